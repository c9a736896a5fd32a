//! A port on loopback for one handshake: it notes that kubectl came, and plays the token endpoints of two clouds.
//!
//! It stands in for no cluster: a TLS handshake is cut off at its first byte.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(2);

/// No request of these clients is longer.
const LONGEST_REQUEST: usize = 64 * 1024;

/// The first byte of a TLS handshake record (RFC 8446, 5.1).
const HANDSHAKE: u8 = 0x16;

/// The port, and the thread that answers at it.
pub(super) struct Door {
    address: SocketAddr,
    knocked: Arc<AtomicBool>,
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    pub(super) fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (knocked, closing) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (knocks, ends) = (Arc::clone(&knocked), Arc::clone(&closing));
        let thread = thread::spawn(move || {
            for client in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                // A client that breaks off has to be asked nothing more.
                let _ = client.and_then(|client| serve(client, &knocks));
            }
        });
        Ok(Self { address, knocked, closing, thread: Some(thread) })
    }

    pub(super) const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Whether somebody began a TLS handshake: kubectl does so once it has a credential.
    pub(super) fn was_knocked(&self) -> bool {
        self.knocked.load(Ordering::SeqCst)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // Wakes the thread out of `accept`; if nobody listens any more, it has ended.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers one client. A TLS handshake that it begins is noted before it is cut off: kubectl ends at once then, and
/// who waits for its end looks at the note.
fn serve(mut client: TcpStream, knocked: &AtomicBool) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    let mut request = Vec::new();
    let mut block = [0; 4096];
    while request.len() < LONGEST_REQUEST && !is_whole(&request) {
        let length = client.read(&mut block)?;
        if length == 0 {
            break;
        }
        request.extend_from_slice(&block[..length]);
        if request[0] == HANDSHAKE {
            knocked.store(true, Ordering::SeqCst);
            return Ok(());
        }
    }
    let body = tokens();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes())?;
    client.write_all(body.as_bytes())
}

/// Whether the head has come, and the body that it announces.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    body.len() >= length.unwrap_or(0)
}

/// One answer for both: Google's token exchange (RFC 8693), Azure's managed identity.
fn tokens() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    serde_json::json!({
        "access_token": "made-up-for-the-preflight",
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": 3600,
        "expires_on": (now + 3600).to_string(),
        "resource": "6dae42f8-4368-4678-94ff-3960e28e3630",
    })
    .to_string()
}
