//! What all stand-ins rest on: a listener with a thread of its own, heads of HTTP messages, certificates.

use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Bytes both ways, in the clear or not.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

type Served = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Listens on a port of this machine as long as the tests run, and gives the port.
pub(crate) fn listen(
    tls: Option<Arc<ServerConfig>>,
    serve: impl Fn(Box<dyn ByteStream>) -> Served + Send + Sync + 'static,
) -> u16 {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    listener.set_nonblocking(true).expect("set");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let (listener, serve) = (TcpListener::from_std(listener).expect("taken over"), Arc::new(serve));
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, serve) = (tls.clone(), Arc::clone(&serve));
                tokio::spawn(async move { serve(handshake(stream, tls).await?).await });
            }
        });
    });
    port
}

async fn handshake(stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<Box<dyn ByteStream>> {
    match tls {
        Some(config) => Ok(Box::new(TlsAcceptor::from(config).accept(stream).await?)),
        None => Ok(Box::new(stream)),
    }
}

/// The lines of an HTTP message's head; nothing of its body.
pub(crate) async fn head(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end() {
            "" => return Ok(lines),
            line => lines.push(line.to_owned()),
        }
    }
}

/// A certificate with its key, and what can be made of it.
pub(crate) struct Pair {
    params: CertificateParams,
    key: KeyPair,
    is_root: bool,
    /// Its own certificate, then those between it and the root.
    pub(crate) chain: Vec<CertificateDer<'static>>,
}

/// What a certificate is for, and what is wrong with it.
pub(crate) struct Wish<'a> {
    /// Names and addresses.
    pub(crate) names: &'a [&'a str],
    pub(crate) common_name: &'a str,
    pub(crate) authority: bool,
    pub(crate) expired: bool,
}

/// An ordinary server's.
pub(crate) const SERVER: Wish<'static> = Wish {
    names: &["127.0.0.1", "0.0.0.0", "localhost"],
    common_name: "stand-in",
    authority: false,
    expired: false,
};

/// An ordinary authority's.
pub(crate) const AUTHORITY: Wish<'static> =
    Wish { names: &[], common_name: "stand-in authority", authority: true, expired: false };

impl Wish<'_> {
    fn params(&self) -> CertificateParams {
        let names: Vec<String> = self.names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, self.common_name);
        params.is_ca =
            if self.authority { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(if self.expired { 2021 } else { 2100 }, 1, 1);
        params
    }
}

impl Pair {
    pub(crate) fn self_signed(wish: &Wish<'_>) -> Self {
        let (params, key) = (wish.params(), KeyPair::generate().expect("a key"));
        let certificate = params.self_signed(&key).expect("signed");
        Self { params, key, is_root: true, chain: vec![certificate.der().clone()] }
    }

    /// Signed by this one; the chain below a root leaves the root out.
    pub(crate) fn sign(&self, wish: &Wish<'_>) -> Self {
        let (params, key) = (wish.params(), KeyPair::generate().expect("a key"));
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate: Certificate = params.signed_by(&key, &issuer).expect("signed");
        let above = if self.is_root { &[][..] } else { &self.chain[..] };
        let chain = [&[certificate.der().clone()], above].concat();
        Self { params, key, is_root: false, chain }
    }

    /// Its own certificate as PEM.
    pub(crate) fn pem(&self) -> String {
        armoured("CERTIFICATE", &self.chain[0])
    }

    pub(crate) fn key_pem(&self) -> String {
        armoured("PRIVATE KEY", self.key.serialized_der())
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        self.server_for(None)
    }

    /// A server that lets in only whom `clients` has signed.
    pub(crate) fn server_for(&self, clients: Option<&Self>) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::try_from(self.key.serialized_der().to_vec()).expect("PKCS #8");
        server(self.chain.clone(), key, clients)
    }
}

pub(crate) fn server(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: Option<&Pair>,
) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring has them");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(authority.chain[0].clone()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
    };
    Arc::new(builder.with_single_cert(chain, key).expect("a pair"))
}

fn armoured(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
