//! Whom the client believes, and who it says it is.
//!
//! Certificates are judged by rustls and webpki alone; the one verifier of our own believes anyone, and is for
//! `insecureSkipTlsVerify`. The system's certificates take milliseconds to read, so they are read only where there
//! is no authority of the target's own.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::HttpsError;
use crate::secret::Secret;

/// Where Go, and so kubectl, looks for a bundle; the first that is there is taken.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whom to believe.
pub enum Trust<'a> {
    /// Who has a certificate from one of these, as PEM.
    Authority(&'a str),
    /// Who has one from those that the system believes.
    System(&'a SystemRoots),
    /// Anyone.
    Anyone,
    /// Nobody has to be: it is http, on this machine's own link (a cloud's metadata service), and never by a proxy.
    Link,
}

/// Where the system's certificates are, if not where they usually are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemRoots {
    /// `SSL_CERT_FILE`.
    pub file: Option<PathBuf>,
    /// `SSL_CERT_DIR`, taken apart.
    pub folders: Vec<PathBuf>,
}

/// A client's certificate with its chain, and the key of the first one, as PEM.
pub struct Identity<'a> {
    /// The certificates.
    pub certificate: &'a str,
    /// The key.
    pub private_key: &'a Secret,
}

/// How TLS is spoken; `None` where it is not.
pub(super) fn config(
    trust: &Trust<'_>,
    identity: Option<&Identity<'_>>,
) -> Result<Option<Arc<ClientConfig>>, HttpsError> {
    let provider = Arc::new(ring::default_provider());
    let unusable = |what| move |source| HttpsError::Certificate { what, source };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unusable("TLS library"))?;
    let builder = match trust {
        Trust::Link => return Ok(None),
        Trust::Authority(pem) => builder.with_root_certificates(authorities([pem.as_bytes()])),
        Trust::System(roots) => builder.with_root_certificates(system(roots)?),
        Trust::Anyone => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone::new(&provider)))
        }
    };
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain: Result<Vec<_>, _> =
                CertificateDer::pem_slice_iter(identity.certificate.as_bytes()).collect();
            let key = PrivateKeyDer::from_pem_slice(identity.private_key.expose().as_bytes());
            let (Ok(chain), Ok(key)) = (chain, key) else {
                let source = Error::InvalidCertificate(CertificateError::BadEncoding);
                return Err(HttpsError::Certificate { what: "client certificate", source });
            };
            builder.with_client_auth_cert(chain, key).map_err(unusable("client certificate"))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A client asks once or twice.
    config.resumption = Resumption::disabled();
    Ok(Some(Arc::new(config)))
}

/// What webpki cannot read is left out: where it was the one that mattered, kubectl is asked.
fn authorities<'a>(pems: impl IntoIterator<Item = &'a [u8]>) -> RootCertStore {
    let mut store = RootCertStore::empty();
    for pem in pems {
        store.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten());
    }
    store
}

/// As Go does it, but that a bundle makes the usual folders superfluous: what is missed there is kubectl's to find.
fn system(roots: &SystemRoots) -> Result<RootCertStore, HttpsError> {
    let usual = || BUNDLES.iter().find_map(|path| std::fs::read(path).ok());
    let bundle = roots.file.as_ref().map_or_else(usual, |path| std::fs::read(path).ok());
    let folders = roots.folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok());
    let files = folders.flatten().flatten().filter_map(|entry| std::fs::read(entry.path()).ok());
    let pems: Vec<Vec<u8>> = bundle.into_iter().chain(files).collect();
    let store = authorities(pems.iter().map(Vec::as_slice));
    if store.is_empty() { Err(HttpsError::SystemRoots) } else { Ok(store) }
}

/// Believes anyone; that the peer has the key of the certificate that it shows is still proven.
#[derive(Debug)]
struct Anyone {
    algorithms: WebPkiSupportedAlgorithms,
}

impl Anyone {
    fn new(provider: &CryptoProvider) -> Self {
        Self { algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
