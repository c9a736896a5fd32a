//! One HTTPS client for one server: a request goes out, an answer of bounded size comes back, by a deadline.
//!
//! At a cluster it is the fast path and never the judge: its TLS cannot agree with kubectl's everywhere, so whoever
//! asks one has to ask kubectl where no answer came ([`HttpsError::is_answer`]). At a cloud's own services it is the
//! only way. Promise: no error and no `Debug` holds a
//! credential, a key or a proxy's URL; nothing is retried; nothing is followed.
//!
//! `tls` says whom to believe, `proxy` which way to go, `connect` goes there.

mod connect;
mod proxy;
mod tls;

use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::Uri;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::secret::Secret;

use connect::Route;
pub use proxy::Proxies;
pub use tls::{Identity, SystemRoots, Trust};

/// The largest body of an answer that is read where the request does not say otherwise, in bytes.
pub const BODY_ROOM: usize = 64 * 1024;

/// The largest head of an answer, in bytes: what hyper reads at once may not be less than 8 KiB.
const HEAD_ROOM: usize = 32 * 1024;

/// How much of the deadline connecting may take: where nothing answers, somebody else must still have time to ask.
const CONNECT_PATIENCE: Duration = Duration::from_secs(4);

/// Who is there, whom to believe, and who asks.
pub struct Peer<'a> {
    /// An https URL (with [`Trust::Link`] http); a path in it comes before every request's.
    pub url: &'a str,
    /// Whom to believe.
    pub trust: Trust<'a>,
    /// The client's own certificate.
    pub identity: Option<Identity<'a>>,
    /// The name in SNI and certificate, where it is not the URL's.
    pub tls_server_name: Option<&'a str>,
    /// Which way to go.
    pub proxies: Proxies<'a>,
}

/// What goes into `Authorization`.
#[derive(Clone)]
pub enum Login {
    /// Nothing.
    None,
    /// `Bearer`.
    Bearer(Secret),
    /// `Basic`.
    Basic {
        /// Without a colon.
        username: String,
        /// The password.
        password: Secret,
    },
}

/// What is asked.
pub struct Request {
    /// Absolute, below the server's own path; with its query.
    pub path: String,
    /// What is sent: then it is a POST, else a GET.
    pub content: Option<Content>,
    /// Further headers.
    pub headers: Vec<(&'static str, Secret)>,
    /// The largest body of its answer that is read, in bytes.
    pub room: usize,
}

/// What is sent.
pub enum Content {
    /// Nothing, which some services want to be POSTed.
    Empty,
    /// A JSON document.
    Json(String),
    /// A form (`application/x-www-form-urlencoded`).
    Form(Secret),
}

impl Request {
    /// A GET.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self { path: path.into(), content: None, headers: Vec::new(), room: BODY_ROOM }
    }

    /// A POST.
    #[must_use]
    pub fn post(path: impl Into<String>, content: Content) -> Self {
        Self { content: Some(content), ..Self::get(path) }
    }

    /// The same with more room for its answer, in bytes.
    #[must_use]
    pub fn with_room(self, room: usize) -> Self {
        Self { room, ..self }
    }
}

/// What was answered, whatever the status.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Such as 404.
    pub status: u16,
    /// At most as long as the request has room for.
    pub body: Vec<u8>,
    /// The server's clock, where it tells it.
    pub date: Option<Timestamp>,
}

/// Why there is no answer that could be read.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// Such as http, or a host that no certificate could name.
    #[error("the server's URL is none that the agent can use")]
    Url,
    /// Neither http, https nor socks5.
    #[error("the proxy's URL is none that the agent can use")]
    ProxyUrl,
    /// A certificate that cannot be trusted, a client's pair that cannot be used.
    #[error("the {what} cannot be used")]
    Certificate {
        /// Which.
        what: &'static str,
        /// Why.
        #[source]
        source: tokio_rustls::rustls::Error,
    },
    /// The system's certificates.
    #[error("no certificates of the system could be read")]
    SystemRoots,
    /// A line break, or something else that no header can carry.
    #[error("the credential holds a character that no header can carry")]
    Credential,
    /// The network.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// The proxy answered, but let nobody through.
    #[error("the proxy let nobody through")]
    Proxy(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The handshake.
    #[error("TLS failed")]
    Tls(#[source] io::Error),
    /// Not HTTP, or cut short.
    #[error("no HTTP answer")]
    Http(#[source] hyper::Error),
    /// The deadline, or the part of it that connecting may take.
    #[error("no answer in time")]
    Late,
    /// Its body is larger than the request has room for.
    #[error("the answer is larger than {} KiB", .room / 1024)]
    TooLarge {
        /// In bytes.
        room: usize,
    },
    /// The answer's body broke off.
    #[error("the answer broke off")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl HttpsError {
    /// Whether a server did answer: then nobody else needs to be asked.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::TooLarge { .. })
    }
}

/// The client.
pub struct Client {
    route: Route,
    /// Of the server's URL, without a slash at its end.
    path: String,
    host: HeaderValue,
    authorization: Option<HeaderValue>,
}

impl Client {
    /// Prepares one; nothing is sent yet, but the system's certificates are read where they are what to trust.
    ///
    /// # Errors
    /// [`HttpsError`]: what it is to use is of no use.
    pub fn new(peer: &Peer<'_>, login: &Login) -> Result<Self, HttpsError> {
        let url: Uri = peer.url.parse().map_err(|_| HttpsError::Url)?;
        let authority = url.authority().ok_or(HttpsError::Url)?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| HttpsError::Url)?;
        let path = url.path().trim_end_matches('/').to_owned();
        let authorization = authorization(login)?;
        Ok(Self { route: Route::new(peer, url)?, path, host, authorization })
    }

    /// Asks once, on a connection of its own. Cancel-safe: what is dropped is closed.
    ///
    /// # Errors
    /// [`HttpsError`]; a status of any kind is none.
    pub async fn send(&self, request: &Request, deadline: Instant) -> Result<Answer, HttpsError> {
        let asked = timeout_at(deadline, self.exchange(request)).await;
        asked.map_err(|_| HttpsError::Late)?
    }

    async fn exchange(&self, request: &Request) -> Result<Answer, HttpsError> {
        let room = request.room;
        let request = self.message(request)?;
        let connected = timeout(CONNECT_PATIENCE, self.route.connect()).await;
        let stream = TokioIo::new(connected.map_err(|_| HttpsError::Late)??);
        let mut builder = http1::Builder::new();
        builder.max_buf_size(HEAD_ROOM);
        let (mut sender, connection) = builder.handshake(stream).await.map_err(HttpsError::Http)?;
        // Ended by being dropped, on every path.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let answer = sender.send_request(request).await.map_err(HttpsError::Http)?;
        let status = answer.status().as_u16();
        let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
        let body = Limited::new(answer.into_body(), room).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                HttpsError::TooLarge { room }
            } else {
                HttpsError::Body(error)
            }
        })?;
        Ok(Answer { status, body: body.to_bytes().to_vec(), date })
    }

    fn message(&self, request: &Request) -> Result<hyper::Request<Full<Bytes>>, HttpsError> {
        let method = if request.content.is_some() { hyper::Method::POST } else { hyper::Method::GET };
        let mut builder = hyper::Request::builder()
            .method(method)
            .uri(format!("{}{}", self.path, request.path))
            .header(HOST, &self.host)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("kubestep/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = &self.authorization {
            builder = builder.header(AUTHORIZATION, authorization);
        }
        for (name, value) in &request.headers {
            builder = builder.header(*name, header(value.expose())?);
        }
        let (kind, text) = match &request.content {
            None | Some(Content::Empty) => (None, ""),
            Some(Content::Json(text)) => (Some("application/json"), text.as_str()),
            Some(Content::Form(text)) => (Some("application/x-www-form-urlencoded"), text.expose()),
        };
        if let Some(kind) = kind {
            builder = builder.header(CONTENT_TYPE, kind);
        }
        builder.body(Full::new(Bytes::from(text.to_owned()))).map_err(|_| HttpsError::Url)
    }
}

fn authorization(login: &Login) -> Result<Option<HeaderValue>, HttpsError> {
    let text = match login {
        Login::None => return Ok(None),
        Login::Bearer(token) => format!("Bearer {}", token.expose()),
        Login::Basic { username, password } => basic(username, password.expose()),
    };
    header(&text).map(Some)
}

/// RFC 7617.
fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

/// A header's value that no `Debug` shows.
fn header(text: &str) -> Result<HeaderValue, HttpsError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| HttpsError::Credential)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::{HttpsError, Login, authorization};
    use crate::secret::Secret;

    #[test]
    fn a_credential_is_in_no_debug_and_in_no_error() {
        let login = Login::Bearer(Secret::new("hunter22".into()));
        let value = authorization(&login).expect("valid").expect("one");
        assert_eq!(value.as_bytes(), b"Bearer hunter22");
        assert!(!format!("{value:?}").contains("hunter22"));
        let broken = Login::Bearer(Secret::new("hunter22\n".into()));
        let error = authorization(&broken).expect_err("no header can carry it");
        assert!(matches!(error, HttpsError::Credential));
        assert!(!format!("{error:?} {error}").contains("hunter"));
    }

    #[test]
    fn a_name_and_a_password_are_sent_as_rfc_7617_says() {
        let login = Login::Basic { username: "Aladdin".into(), password: Secret::new("open sesame".into()) };
        let value = authorization(&login).expect("valid").expect("one");
        assert_eq!(value.as_bytes(), b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}
