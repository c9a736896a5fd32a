//! The address by a plain socket: what is answered, and what an asker cannot do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::{BOUNDS, Bounds, Check, Listener, told};
use crate::queue::Queue;
use crate::queue::clock::Clock;
use crate::queue::sqlite::Sqlite;
use crate::worker::ready::Health;
use crate::worker::status::Status;

struct Worker {
    address: SocketAddr,
    status: Status,
    serving: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A worker that is ready.
async fn worker(bounds: Bounds) -> Worker {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::machine().expect("clocks");
    let queue: Arc<dyn Queue> = Arc::new(Sqlite::open(&folder.path().join("queue"), clock).expect("a queue"));
    let status = Status::new("p", 2);
    status.preflight(Ok(()));
    let health = Health::new(status.clone(), queue, vec![folder.path().to_owned()]);
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.expect("it listens");
    assert!(!listener.is_open());
    let address = listener.address();
    let serving = tokio::spawn(Listener { bounds, ..listener }.serve(health));
    Worker { address, status, serving, _folder: folder }
}

/// What is answered to these bytes, until the connection is closed.
async fn say(worker: &Worker, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(worker.address).await.expect("connected");
    stream.write_all(bytes).await.expect("sent");
    let mut answer = Vec::new();
    // A connection that is reset has said what it had to say.
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8(answer).expect("text")
}

async fn ask(worker: &Worker, method: &str, path: &str) -> (u16, String, String) {
    let answer = say(worker, format!("{method} {path} HTTP/1.1\r\nHost: worker\r\n\r\n").as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn each_path_is_answered() {
    let worker = worker(BOUNDS).await;
    let (status, head, body) = ask(&worker, "GET", "/livez").await;
    assert_eq!((status, body.as_str()), (200, "ok\n"));
    assert!(head.contains("cache-control: no-store") && head.contains("connection: close"), "{head}");
    assert_eq!(ask(&worker, "GET", "/readyz").await.2, "ok\n");
    let (status, _, body) = ask(&worker, "GET", "/readyz?verbose").await;
    assert_eq!((status, body.as_str()), (200, "loop: ok\npreflight: ok\nqueue: ok\ndisk: ok\ndrain: ok\n"));
    let (status, head, body) = ask(&worker, "GET", "/metrics").await;
    assert_eq!(status, 200);
    let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(head.contains(kind), "{head}");
    assert!(body.contains("kubestep_queue_depth{pool=\"p\",state=\"queued\"} 0\n"), "{body}");
    assert!(body.ends_with("# EOF\n"));
    assert_eq!(ask(&worker, "GET", "/").await.0, 404);
    assert_eq!(ask(&worker, "GET", "/readyz/").await.0, 404);
}

#[tokio::test]
async fn a_worker_that_drains_is_alive_and_not_ready() {
    let worker = worker(BOUNDS).await;
    worker.status.draining();
    let (status, _, body) = ask(&worker, "GET", "/readyz").await;
    assert_eq!((status, body.as_str()), (503, "drain: the worker takes no more steps\n"));
    let (status, _, body) = ask(&worker, "GET", "/readyz?verbose=1").await;
    assert_eq!(status, 503);
    assert!(
        body.starts_with("loop: ok\n") && body.ends_with("drain: the worker takes no more steps\n"),
        "{body}"
    );
    assert_eq!(ask(&worker, "GET", "/livez").await.0, 200);
}

#[tokio::test]
async fn head_has_no_body_and_other_methods_are_refused() {
    let worker = worker(BOUNDS).await;
    let (status, head, body) = ask(&worker, "HEAD", "/livez").await;
    assert_eq!((status, body.as_str()), (200, ""));
    assert!(head.contains("content-length: 3"), "{head}");
    let (status, head, _) = ask(&worker, "POST", "/readyz").await;
    assert_eq!(status, 405);
    assert!(head.contains("allow: get, head"), "{head}");
}

#[tokio::test]
async fn what_is_no_request_or_too_large_a_one_ends_its_connection() {
    let worker = worker(BOUNDS).await;
    let large = format!("GET /livez HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(64 * 1024));
    for bytes in [large.as_bytes(), b"\x16\x03\x01\x02\x00\x01\x00", b"hello\r\n\r\n"] {
        let answer = say(&worker, bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(ask(&worker, "GET", "/livez").await.0, 200);
}

#[tokio::test]
async fn an_asker_that_says_nothing_is_hung_up_on_and_then_the_next_one_is_heard() {
    let time = Duration::from_millis(300);
    let worker = worker(Bounds { connections: 2, time, ..BOUNDS }).await;
    let begin = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(TcpStream::connect(worker.address).await.expect("connected"));
    }
    assert_eq!(ask(&worker, "GET", "/livez").await.0, 200);
    assert!(begin.elapsed() >= time, "there was no place for a third one before");
    for mut stream in silent {
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        assert_eq!(answer, b"");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_told_and_one_for_all_machines_is_open() {
    let worker = worker(BOUNDS).await;
    let error = Listener::bind(worker.address).await.err().expect("it is taken");
    assert_eq!(error.to_string(), format!("cannot listen at {}", worker.address));
    let open = Listener::bind(([0, 0, 0, 0], 0).into()).await.expect("it listens");
    assert!(open.is_open());
}

#[test]
fn a_fault_takes_one_line() {
    let fault = Some("a\r\nHTTP/1.1 200 OK\n".to_owned());
    let response = told(&[Check { name: "disk", fault }], false);
    assert_eq!(response.status(), 503);
    let body = format!("{:?}", response.body());
    assert!(body.contains("disk: a  HTTP/1.1 200 OK \\n"), "{body}");
}
