//! A stand-in for a cluster that takes a name and a password: no kube-apiserver has basic authentication since
//! 1.19. It judges `Authorization: Basic` itself, and passes what is right on to the real kube-apiserver as the
//! front proxy that vouches for the user; who the user is and what it may do is the real server's word.
//!
//! TLS with a certificate of its own authority; one request a connection; it lives as long as the tests.

use std::io::{self, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::certificates::pem;
use super::cluster::Cluster;
use super::http::{Head, basic};

/// The group that every user of the stand-in is in.
pub(crate) const GROUP: &str = "basic-users";

/// A stand-in that listens.
pub(crate) struct BasicStandIn {
    /// Its URL.
    pub(crate) server: String,
    /// The PEM to trust it by.
    pub(crate) authority: String,
}

/// What one connection needs.
struct Gate {
    username: String,
    authorization: String,
    /// Where the real server listens.
    apiserver: String,
    front: Arc<ServerConfig>,
    back: Arc<ClientConfig>,
}

impl BasicStandIn {
    /// Starts one that knows this user.
    pub(crate) fn start(cluster: &Cluster, username: &str, password: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let server = format!("https://{}", listener.local_addr().expect("bound"));
        let (authority, front) = front();
        let gate = Arc::new(Gate {
            username: username.to_owned(),
            authorization: basic(username, password),
            apiserver: cluster.fact("server").trim_start_matches("https://").to_owned(),
            front: Arc::new(front),
            back: Arc::new(back(cluster)),
        });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let gate = Arc::clone(&gate);
                // A client that goes away in the middle is told by the test, in kubectl's words.
                std::thread::spawn(move || gate.serve(stream));
            }
        });
        Self { server, authority }
    }
}

/// An authority of its own, and the server that it vouches for.
fn front() -> (String, ServerConfig) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = pem(&params.self_signed(&key).expect("a certificate"));
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate").der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("PKCS #8");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a pair");
    (authority, config)
}

/// The front proxy's way to the real server.
fn back(cluster: &Cluster) -> ClientConfig {
    let certificate = |name| CertificateDer::from_pem_slice(cluster.read(name).as_bytes()).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(cluster.read("frontProxyKey").as_bytes()).expect("PEM");
    let mut roots = RootCertStore::empty();
    roots.add(certificate("ca")).expect("an authority");
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks them")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate("frontProxyCertificate")], key)
        .expect("a pair")
}

impl Gate {
    /// One connection, one request.
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let connection = ServerConnection::new(Arc::clone(&self.front)).map_err(io::Error::other)?;
        let mut stream = BufReader::new(StreamOwned::new(connection, stream));
        let head = Head::read(&mut stream)?;
        let length = head.get("Content-Length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let client = stream.get_mut();
        if head.get("Authorization") == Some(&self.authorization) {
            self.pass_on(&head, &body, client)?;
        } else {
            client.write_all(unauthorized().as_bytes())?;
        }
        client.conn.send_close_notify();
        client.flush()
    }

    fn pass_on(&self, head: &Head, body: &[u8], client: &mut impl Write) -> io::Result<()> {
        let name = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
        let connection = ClientConnection::new(Arc::clone(&self.back), name).map_err(io::Error::other)?;
        let mut server = StreamOwned::new(connection, TcpStream::connect(&self.apiserver)?);
        let mut request = format!("{}\r\n", head.line);
        for (name, value) in head.headers.iter().filter(|(name, _)| passes(name)) {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("X-Remote-User: {}\r\nX-Remote-Group: {GROUP}\r\n", self.username);
        request += "Connection: close\r\n\r\n";
        server.write_all(request.as_bytes())?;
        server.write_all(body)?;
        server.flush()?;
        io::copy(&mut server, client).map(drop)
    }
}

/// Whether a client's header reaches the real server: what says who the user is, only the stand-in may say.
fn passes(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name != "authorization" && name != "connection" && !name.starts_with("x-remote-")
}

/// What a kube-apiserver answers to a stranger.
fn unauthorized() -> String {
    let status = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "Unauthorized", "reason": "Unauthorized", "code": 401,
    });
    let body = status.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}
