"""HTTP on loopback: each service in the clear, over TLS, and by way of a proxy that plays the clouds' own hosts.

A service is a function from `Request` to `Reply`; it runs on a thread of its own for each connection.
"""

import dataclasses
import http.server
import json
import socketserver
import threading
import time
import urllib.parse
from typing import Any, Callable, Optional

from authority import Authority


@dataclasses.dataclass
class Request:
    service: str
    scheme: str
    host: str
    method: str
    path: str
    query: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    who: str = ""  # whom the service found behind it, for the record

    def parameter(self, name: str, default: str = "") -> str:
        return urllib.parse.parse_qs(self.query, keep_blank_values=True).get(name, [default])[0]

    def form(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(self.body.decode(), keep_blank_values=True))

    def bearer(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")

    @property
    def base(self) -> str:
        return f"{self.scheme}://{self.host}"


@dataclasses.dataclass
class Reply:
    status: int
    body: Any  # bytes, text, or what is written as JSON
    kind: str = "application/json"
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    repeat: int = 1  # how often the body is sent, one after the other

    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return text.encode()


Service = Callable[[Request], Reply]

# Answers that no service means to give; a test asks for one by its name.
TROUBLES: dict[str, Callable[[], Reply]] = {
    "html": lambda: Reply(200, "<html><body>Please log in</body></html>", "text/html"),
    "empty": lambda: Reply(200, b""),
    "huge": lambda: Reply(200, b" " * 1_000_000, repeat=200),
    "unavailable": lambda: Reply(503, {"error": {"code": "ServerBusy", "message": "the stand-in is busy"}}),
    "slow": lambda: (time.sleep(120), Reply(504, b""))[1],
}


class Servers:
    """All listeners, and the record of what they were asked."""

    def __init__(self, authority: Authority, log):
        self._authority = authority
        self._log = log
        self._lock = threading.Lock()
        self._hosts: list[tuple[Callable[[str], bool], str, Service]] = []
        self.record: list[dict] = []

    def host(self, owns: Callable[[str], bool], name: str, service: Service) -> None:
        """Hosts that the proxy answers for as this service."""
        self._hosts.append((owns, name, service))

    def find(self, host: str) -> Optional[tuple[str, Service]]:
        return next(((name, service) for owns, name, service in self._hosts if owns(host)), None)

    def listen(self, name: str, service: Optional[Service], tls: bool = False) -> int:
        """Listens on a port of the kernel's choice, and gives it. Without a service it is the proxy."""
        server = _Server(("127.0.0.1", 0), _Connection)
        server.all, server.name, server.service, server.tls = self, name, service, tls
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        return server.server_address[1]

    def context(self, host: str):
        return self._authority.context(host)

    def note(self, request: Request, status: int) -> None:
        entry = {"service": request.service, "method": request.method, "host": request.host, "path": request.path}
        entry |= {"query": request.query, "status": status, "who": request.who, "time": time.time()}
        with self._lock:
            self.record.append(entry)
            self._log.write(json.dumps(entry) + "\n")
            self._log.flush()

    def complain(self, text: str) -> None:
        with self._lock:
            self._log.write(text + "\n")
            self._log.flush()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    all: Servers
    name: str
    service: Optional[Service]
    tls: bool

    def handle_error(self, request, client_address):
        pass  # a client that goes away is told by the test, in its own words


class _Connection(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    wbufsize = -1  # one packet for head and body

    def setup(self):
        self.tunnel: Optional[tuple[str, str, Service]] = None
        self.scheme = "http"
        self.request.settimeout(130)
        if self.server.tls:
            self.encrypt("127.0.0.1")
        super().setup()

    def encrypt(self, host: str):
        self.scheme = "https"
        self.request = self.server.all.context(host).wrap_socket(self.request, server_side=True)

    def do_CONNECT(self):
        host = self.path.rsplit(":", 1)[0]
        found = self.server.all.find(host) if self.server.service is None else None
        if found is None:
            self.server.all.complain(f"proxy: {self.path} is no host of the stand-ins")
            self.send_error(502)
            self.close_connection = True
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        self.encrypt(host)
        super().setup()  # reader and writer of the new stream
        self.tunnel = (host, *found)
        self.close_connection = False  # Python's clients say CONNECT in HTTP/1.0

    def answer(self):
        length = int(self.headers.get("content-length") or 0)
        host, name, service = self.tunnel or ("", self.server.name, self.server.service)
        path, _, query = self.path.partition("?")
        headers = {key.lower(): value for key, value in self.headers.items()}
        request = Request(name, self.scheme, headers.get("host", host), self.command, path, query, headers, self.rfile.read(length))
        try:
            reply = service(request) if service else Reply(502, b"")
        except Exception as error:  # the stand-in's own fault must be seen, and not kill the connection's thread silently
            import traceback

            self.server.all.complain(traceback.format_exc())
            reply = Reply(500, {"stand-in": repr(error)})
        self.server.all.note(request, reply.status)
        content = reply.content()
        self.send_response(reply.status)
        for key, value in {"Content-Type": reply.kind, "Content-Length": str(len(content) * reply.repeat), **reply.headers}.items():
            self.send_header(key, value)
        self.end_headers()
        for _ in range(reply.repeat):
            self.wfile.write(content)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_HEAD = answer

    def log_message(self, *_):
        pass
