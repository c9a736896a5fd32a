//! The address at which a worker is asked how it is: `/livez`, `/readyz`, `/metrics`.
//!
//! It only tells, and believes nobody: no body is read, a connection carries one request, is bounded in time and size,
//! and so is the number of connections. Nothing of a step but its counts is told.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::metrics;
use super::ready::{Check, Health};
use super::status::one_line;

const TEXT: &str = "text/plain; charset=utf-8";

/// What one asker may take.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Connections at a time; more wait in the kernel.
    connections: usize,
    /// A whole connection: the request, the looks, the answer.
    time: Duration,
    /// A request's head, in bytes.
    head: usize,
}

const BOUNDS: Bounds = Bounds { connections: 16, time: Duration::from_secs(10), head: 8 * 1024 };

/// How long no connection is taken after one could not be, such as where there are no descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// An address at which nobody could listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {address}")]
pub struct ListenError {
    /// Which.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// A socket that listens.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    bounds: Bounds,
}

impl Listener {
    /// Listens; whoever connects waits until [`Listener::serve`].
    ///
    /// # Errors
    /// The address is taken, or not this machine's, or not allowed to us.
    pub async fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        let failed = |source| ListenError { address, source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address, bounds: BOUNDS })
    }

    /// Where it listens: with the port that the kernel chose, where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether other machines can ask, too: then the worker warns, since whoever asks is not asked who it is.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.address.ip().to_canonical().is_loopback()
    }

    /// Answers until it is dropped; with it, every connection ends.
    pub async fn serve(self, health: Health) {
        let (health, places) = (Arc::new(health), Arc::new(Semaphore::new(self.bounds.connections)));
        let mut connections = JoinSet::new();
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            while connections.try_join_next().is_some() {}
            match self.socket.accept().await {
                Ok((stream, _)) => {
                    let (health, bounds) = (Arc::clone(&health), self.bounds);
                    connections.spawn(async move {
                        drop(timeout(bounds.time, converse(stream, &health, bounds)).await);
                        drop(place);
                    });
                }
                Err(_) => sleep(BREATH).await,
            }
        }
    }
}

/// One request, one answer. Whoever speaks no HTTP is hung up on; there is nobody to tell.
async fn converse(stream: TcpStream, health: &Health, bounds: Bounds) {
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(answer(&request, health).await)
    });
    let mut builder = http1::Builder::new();
    builder.keep_alive(false).max_header_size(bounds.head).max_buf_size(bounds.head);
    drop(builder.serve_connection(TokioIo::new(stream), service).await);
}

async fn answer<B>(request: &Request<B>, health: &Health) -> Response<Full<Bytes>> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n".into());
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let query = request.uri().query().unwrap_or_default();
    let verbose = query.split('&').any(|part| part.split('=').next() == Some("verbose"));
    match request.uri().path() {
        "/livez" => told(&[health.liveness()], verbose),
        "/readyz" => told(&health.readiness().await, verbose),
        "/metrics" => document(StatusCode::OK, metrics::CONTENT_TYPE, health.metrics().await),
        _ => text(StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics\n".into()),
    }
}

/// 200 where everything holds, else 503 with a line for each thing that does not; or a line for each thing.
fn told(checks: &[Check], verbose: bool) -> Response<Full<Bytes>> {
    let good = checks.iter().all(|check| check.fault.is_none());
    let lines = checks.iter().filter_map(|check| match &check.fault {
        Some(fault) => Some(format!("{}: {}\n", check.name, one_line(fault))),
        None => verbose.then(|| format!("{}: ok\n", check.name)),
    });
    let lines: String = lines.collect();
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    text(status, if lines.is_empty() { "ok\n".to_owned() } else { lines })
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    document(status, TEXT, text)
}

fn document(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
