//! The way to the server: TCP, perhaps through a proxy, then TLS.

use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tower_service::Service;

use super::proxy::{Proxy, Scheme, choose};
use super::{HttpsError, Peer, basic, header, tls};

/// A server, the way to it, and how to know it.
pub(super) struct Route {
    server: Uri,
    name: ServerName<'static>,
    /// The name by which a proxy that speaks TLS is known, too: kubectl has one name for both.
    given_name: Option<ServerName<'static>>,
    proxy: Option<Proxy>,
    /// `None` is http.
    config: Option<Arc<ClientConfig>>,
}

/// Bytes both ways.
pub(super) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

type Connection = TokioIo<Box<dyn ByteStream>>;

impl Route {
    pub(super) fn new(peer: &Peer<'_>, server: Uri) -> Result<Self, HttpsError> {
        let config = tls::config(&peer.trust, peer.identity.as_ref())?;
        let scheme = if config.is_some() { "https" } else { "http" };
        if !server.scheme_str().is_some_and(|found| found.eq_ignore_ascii_case(scheme)) {
            return Err(HttpsError::Url);
        }
        let (host, port) = place(&server, 443).ok_or(HttpsError::Url)?;
        let proxy = if config.is_some() { choose(&peer.proxies, &host, port)? } else { None };
        let given_name = peer.tls_server_name.map(|name| server_name(name, HttpsError::Url)).transpose()?;
        let name = given_name.clone().map_or_else(|| server_name(&host, HttpsError::Url), Ok)?;
        Ok(Self { server, name, given_name, proxy, config })
    }

    pub(super) async fn connect(&self) -> Result<Box<dyn ByteStream>, HttpsError> {
        let Some(config) = &self.config else { return open(&self.server, 80).await };
        let stream = match &self.proxy {
            None => open(&self.server, 443).await?,
            Some(proxy) => self.pass(proxy, config).await?.into_inner(),
        };
        encrypt(config, stream, self.name.clone()).await
    }

    /// Has the proxy connect us.
    async fn pass(&self, proxy: &Proxy, config: &Arc<ClientConfig>) -> Result<Connection, HttpsError> {
        let stream = open(&proxy.place, proxy.scheme.port()).await?;
        let stream = match proxy.scheme {
            Scheme::Http | Scheme::Socks5 => stream,
            Scheme::Https => {
                let (host, _) = place(&proxy.place, 443).ok_or(HttpsError::ProxyUrl)?;
                let own = || server_name(&host, HttpsError::ProxyUrl);
                let name = self.given_name.clone().map_or_else(own, Ok)?;
                encrypt(config, stream, name).await?
            }
        };
        let opened = Opened(Some(TokioIo::new(stream)));
        let (place, server) = (proxy.place.clone(), self.server.clone());
        match (&proxy.scheme, &proxy.login) {
            (Scheme::Socks5, login) => {
                let mut socks = SocksV5::new(place, opened);
                if let Some((username, password)) = login {
                    socks = socks.with_auth(username.clone(), password.expose().to_owned());
                }
                socks.call(server).await.map_err(|error| HttpsError::Proxy(error.into()))
            }
            (Scheme::Http | Scheme::Https, login) => {
                let mut tunnel = Tunnel::new(place, opened);
                if let Some((username, password)) = login {
                    tunnel = tunnel.with_auth(header(&basic(username, password.expose()))?);
                }
                tunnel.call(server).await.map_err(|error| HttpsError::Proxy(error.into()))
            }
        }
    }
}

async fn encrypt(
    config: &Arc<ClientConfig>,
    stream: Box<dyn ByteStream>,
    name: ServerName<'static>,
) -> Result<Box<dyn ByteStream>, HttpsError> {
    let connector = TlsConnector::from(Arc::clone(config));
    Ok(Box::new(connector.connect(name, stream).await.map_err(HttpsError::Tls)?))
}

/// Host, without an IPv6 address's brackets, and port.
pub(super) fn place(url: &Uri, port: u16) -> Option<(String, u16)> {
    let host = url.host()?.trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), url.port_u16().unwrap_or(port)))
}

fn server_name(name: &str, fault: HttpsError) -> Result<ServerName<'static>, HttpsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| fault)
}

async fn open(url: &Uri, port: u16) -> Result<Box<dyn ByteStream>, HttpsError> {
    let (host, port) = place(url, port).ok_or(HttpsError::Url)?;
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(HttpsError::Connect)?;
    // A request is one small write; it must not wait for the peer's acknowledgement of the handshake.
    stream.set_nodelay(true).map_err(HttpsError::Connect)?;
    Ok(Box::new(stream))
}

/// A connection that stands already, in the shape in which hyper-util's proxies want it.
struct Opened(Option<Connection>);

impl Service<Uri> for Opened {
    type Response = Connection;
    type Error = io::Error;
    type Future = Ready<io::Result<Connection>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}
