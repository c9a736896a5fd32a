//! A stand-in for a company's proxy: it does CONNECT and nothing else, and only for those who log in.

use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::http::{Head, basic};

/// A proxy that listens.
pub(crate) struct ProxyStandIn {
    /// Such as `127.0.0.1:3128`.
    pub(crate) place: String,
    tunnels: Arc<AtomicUsize>,
}

impl ProxyStandIn {
    /// Starts one that knows this user; it lives as long as the tests.
    pub(crate) fn start(username: &str, password: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let place = listener.local_addr().expect("bound").to_string();
        let (authorization, tunnels) = (basic(username, password), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&tunnels);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (authorization, count) = (authorization.clone(), Arc::clone(&count));
                std::thread::spawn(move || serve(stream, &authorization, &count));
            }
        });
        Self { place, tunnels }
    }

    /// How many connections it has let through.
    pub(crate) fn tunnels(&self) -> usize {
        self.tunnels.load(Ordering::SeqCst)
    }
}

fn serve(mut client: TcpStream, authorization: &str, tunnels: &AtomicUsize) -> io::Result<()> {
    // The client sends nothing beyond the head before it is answered, so nothing stays in the buffer.
    let head = Head::read(&mut BufReader::new(&client))?;
    if head.get("Proxy-Authorization") != Some(authorization) {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\n\
            Proxy-Authenticate: Basic realm=\"proxy\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return client.write_all(refusal.as_bytes());
    }
    let place = head.line.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let server = TcpStream::connect(place.ok_or_else(|| io::Error::other("no CONNECT"))?)?;
    tunnels.fetch_add(1, Ordering::SeqCst);
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (up, down) = ((client.try_clone()?, server.try_clone()?), (server, client));
    std::thread::spawn(move || pour(up.0, up.1));
    pour(down.0, down.1)
}

/// From one side to the other, until there is no more.
fn pour(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    let poured = io::copy(&mut from, &mut to);
    to.shutdown(Shutdown::Write)?;
    poured.map(drop)
}
