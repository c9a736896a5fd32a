//! Client certificates that the real control plane trusts, made by openssl (ring makes no RSA key), and the
//! writings that certificates come in.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use super::cluster::Cluster;

/// What the certificates may be used for. The system's own configuration may be missing or add things.
const CONFIGURATION: &str = "[req]\ndistinguished_name = name\n[name]\n\
    [client]\nbasicConstraints = critical, CA:false\nextendedKeyUsage = clientAuth\n\
    [authority]\nbasicConstraints = critical, CA:true\nkeyUsage = critical, keyCertSign\n";

/// Base64 in lines, as `base64` and PEM have it.
pub(crate) fn base64_lines(bytes: &[u8], width: usize) -> String {
    let packed = STANDARD.encode(bytes);
    let lines = packed.as_bytes().chunks(width).map(|line| str::from_utf8(line).expect("ASCII"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// A certificate as PEM (rcgen's own writer would bring a second base64).
pub(crate) fn pem(certificate: &rcgen::Certificate) -> String {
    let body = base64_lines(certificate.der(), 64);
    format!("-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")
}

/// A certificate and its key, in files.
pub(crate) struct Pair {
    certificate: PathBuf,
    key: PathBuf,
    /// Where they are; `None` for the cluster's own.
    _folder: Option<TempDir>,
}

impl Pair {
    /// The cluster's authority.
    pub(crate) fn authority(cluster: &Cluster) -> Self {
        let [certificate, key] = ["ca", "caKey"].map(|name| PathBuf::from(cluster.fact(name)));
        Self { certificate, key, _folder: None }
    }

    /// A client's pair that this one has signed; `subject` such as `/O=group/CN=user`, `kind` as openssl spells it.
    pub(crate) fn client(&self, subject: &str, kind: &[&str]) -> Self {
        self.sign("client", subject, kind)
    }

    /// An authority below this one.
    pub(crate) fn below(&self, subject: &str) -> Self {
        self.sign("authority", subject, &["ed25519"])
    }

    fn sign(&self, extensions: &str, subject: &str, kind: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-config", "/dev/stdin", "-extensions", extensions]);
        openssl.args(["-noenc", "-days", "1", "-subj", subject]).arg("-CA").arg(&self.certificate);
        openssl.arg("-CAkey").arg(&self.key).arg("-newkey").args(kind);
        openssl.arg("-out").arg(&certificate).arg("-keyout").arg(&key);
        run(openssl, CONFIGURATION);
        Self { certificate, key, _folder: Some(folder) }
    }

    /// The certificate as PEM.
    pub(crate) fn certificate(&self) -> String {
        std::fs::read_to_string(&self.certificate).expect("openssl wrote it")
    }

    /// The key as PEM, PKCS #8.
    pub(crate) fn key(&self) -> String {
        std::fs::read_to_string(&self.key).expect("openssl wrote it")
    }

    /// The key as PEM in the writing of its own kind: SEC 1 or PKCS #1.
    pub(crate) fn traditional_key(&self) -> String {
        let mut openssl = Command::new("openssl");
        openssl.args(["pkey", "-traditional", "-in"]).arg(&self.key);
        run(openssl, "")
    }
}

fn run(mut openssl: Command, input: &str) -> String {
    let openssl = openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = openssl.spawn().expect("scripts/cluster needs openssl, too");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("openssl reads it");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
