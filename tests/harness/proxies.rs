//! Stand-ins for the proxies that companies have: CONNECT, in the clear or within TLS, and SOCKS5.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::TcpStream;

use super::stand_in::{ByteStream, head, listen};

/// How it is spoken to.
#[derive(Clone)]
pub(crate) enum Kind {
    Connect,
    ConnectInTls(Arc<ServerConfig>),
    Socks5,
    /// CONNECT, and nobody is let through.
    Refusing,
}

/// A proxy that listens.
pub(crate) struct AnyProxy {
    pub(crate) port: u16,
    tunnels: Arc<AtomicUsize>,
}

impl AnyProxy {
    /// Starts one; with a login, only for those who know it.
    pub(crate) fn start(kind: &Kind, login: Option<(&str, &str)>) -> Self {
        let tunnels = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&tunnels);
        let login = login.map(|(name, password)| (name.to_owned(), password.to_owned()));
        let tls = if let Kind::ConnectInTls(config) = kind { Some(Arc::clone(config)) } else { None };
        let kind = kind.clone();
        let port = listen(tls, move |stream| {
            let (kind, login, count) = (kind.clone(), login.clone(), Arc::clone(&count));
            Box::pin(async move {
                let mut client = BufReader::new(stream);
                let place = match kind {
                    Kind::Socks5 => socks(&mut client, login).await?,
                    Kind::Connect | Kind::ConnectInTls(_) => connect(&mut client, login).await?,
                    Kind::Refusing => {
                        head(&mut client).await?;
                        client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await?;
                        None
                    }
                };
                let Some(place) = place else { return client.shutdown().await };
                count.fetch_add(1, Ordering::SeqCst);
                let mut server = TcpStream::connect(place).await?;
                copy_bidirectional(&mut client, &mut server).await.map(drop)
            })
        });
        Self { port, tunnels }
    }

    /// How many connections it has let through.
    pub(crate) fn tunnels(&self) -> usize {
        self.tunnels.load(Ordering::SeqCst)
    }
}

type Client = BufReader<Box<dyn ByteStream>>;

async fn connect(client: &mut Client, login: Option<(String, String)>) -> io::Result<Option<String>> {
    let head = head(client).await?;
    let expected = login.map(|(name, password)| {
        format!("Proxy-Authorization: Basic {}", STANDARD.encode(format!("{name}:{password}")))
    });
    if expected.is_some_and(|expected| !head.contains(&expected)) {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"p\"\r\n\
            Content-Length: 0\r\nConnection: close\r\n\r\n";
        client.write_all(refusal.as_bytes()).await?;
        return Ok(None);
    }
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    client.flush().await?;
    Ok(head[0].split(' ').nth(1).map(str::to_owned))
}

/// RFC 1928 and 1929, for an address or a name.
async fn socks(client: &mut Client, login: Option<(String, String)>) -> io::Result<Option<String>> {
    let _version = client.read_u8().await?;
    text(client).await?;
    client.write_all(&[5, if login.is_some() { 2 } else { 0 }]).await?;
    if let Some(login) = login {
        let _version = client.read_u8().await?;
        let is_right = (text(client).await?, text(client).await?) == login;
        client.write_all(&[1, u8::from(!is_right)]).await?;
        if !is_right {
            return Ok(None);
        }
    }
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    let host = if request[3] == 1 {
        std::net::Ipv4Addr::from_bits(client.read_u32().await?).to_string()
    } else {
        text(client).await?
    };
    let port = client.read_u16().await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    client.flush().await?;
    Ok(Some(format!("{host}:{port}")))
}

/// A length in one byte, then as many.
async fn text(client: &mut Client) -> io::Result<String> {
    let mut bytes = vec![0; client.read_u8().await?.into()];
    client.read_exact(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
