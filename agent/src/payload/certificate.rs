//! Certificates and keys: PEM or base64 of PEM in, PEM that kubectl can use out, every misfit in words of its own.
//!
//! Promise: a pair belongs together, its first certificate is valid now, its key is not encrypted. A chain is kept;
//! whether a server trusts it is the server's business, and kubectl's. Where ring cannot work with a key (P-521,
//! Ed448, RSA below 2048 bits), key and certificate cannot be compared: such a pair is accepted and left to kubectl.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls::SignatureAlgorithm;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::{PemObject, SectionKind};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

/// Why a certificate or key is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) hint: Option<&'static str>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn with_hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }
}

/// PEM text and the blocks in it. No `Debug`: there may be a key in it.
pub(super) struct Pem {
    pub(super) text: String,
    blocks: Vec<(SectionKind, Vec<u8>)>,
}

impl Pem {
    fn of<'a>(&'a self, wanted: impl Fn(SectionKind) -> bool + 'a) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.blocks.iter().filter(move |(kind, _)| wanted(*kind)).map(|(_, der)| der.as_slice())
    }

    fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.of(|kind| kind == SectionKind::Certificate)
    }

    fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.of(is_key)
    }
}

fn is_key(kind: SectionKind) -> bool {
    matches!(kind, SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey)
}

/// What a field is to hold; it chooses the words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Certificate,
    Key,
}

const DER_CERTIFICATE: &str = "convert it with: openssl x509 -inform der -in FILE -out FILE.pem";
const DER_KEY: &str = "convert it with: openssl pkey -inform der -in FILE -out FILE.pem";
const DECRYPT: &str = "decrypt it with: openssl pkey -in key.pem -out key-plain.pem";

/// One or more certificates to trust.
pub(super) fn authority(bytes: &[u8]) -> Result<Pem, Fault> {
    certificates(bytes)
}

/// A client's certificate, with its chain, valid at `now`.
pub(super) fn chain(bytes: &[u8], now: Timestamp) -> Result<Pem, Fault> {
    let pem = certificates(bytes)?;
    let leaf = pem.certificates().next().and_then(|der| X509Certificate::from_der(der).ok());
    if let Some((_, leaf)) = leaf {
        let validity = leaf.validity();
        let (start, end) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        if end < now.as_second() {
            return Err(Fault::new(format!("the certificate expired on {}", date(end))));
        }
        if start > now.as_second() {
            let told = format!("the certificate is not valid before {}", date(start));
            return Err(Fault::new(told).with_hint("is the clock of this machine right?"));
        }
    }
    Ok(pem)
}

/// A private key that is not encrypted.
pub(super) fn key(bytes: &[u8]) -> Result<Pem, Fault> {
    let pem = read(bytes, Wanted::Key)?;
    let encrypted = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"];
    if encrypted.iter().any(|mark| pem.text.contains(mark)) {
        return Err(Fault::new("the key is encrypted, and nobody is there to ask for its password")
            .with_hint(DECRYPT));
    }
    let keys = pem.keys().count();
    match keys {
        1 => Ok(pem),
        0 if pem.certificates().next().is_some() => {
            Err(Fault::new("expected a private key, found a certificate"))
        }
        0 => Err(Fault::new("expected a private key in PEM, found a PEM block of another kind")),
        _ => Err(Fault::new(format!("expected one private key, found {keys}"))),
    }
}

/// A file of both kinds, such as a kubelet's, without its keys: kubectl takes from it what it needs.
pub(super) fn without_keys(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let pem = read(bytes, Wanted::Certificate)?;
    let is_mixed = pem.text.contains("PRIVATE KEY-----") && pem.certificates().next().is_some();
    Ok(match is_mixed {
        true => pem.certificates().map(|der| armoured("CERTIFICATE", der)).collect::<String>().into_bytes(),
        false => pem.text.into_bytes(),
    })
}

/// The key of a file that may hold certificates beside it.
pub(super) fn key_alone(pem: &Pem) -> String {
    let label = |kind| match kind {
        SectionKind::RsaPrivateKey => "RSA PRIVATE KEY",
        SectionKind::EcPrivateKey => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    let keys = pem.blocks.iter().filter(|(kind, _)| is_key(*kind));
    keys.map(|(kind, der)| armoured(label(*kind), der)).collect()
}

/// Whether a key belongs to the first certificate of a chain.
pub(super) fn pair(chain: &Pem, key: &Pem) -> Result<(), Fault> {
    let Some(public) = public_key(key)? else { return Ok(()) };
    let belongs = chain.certificates().map(|der| is_for(der, &public));
    match belongs.collect::<Vec<_>>().as_slice() {
        [true, ..] => Ok(()),
        [false, rest @ ..] if rest.contains(&true) => {
            Err(Fault::new("the key belongs to a later certificate of the chain")
                .with_hint("the client's own certificate must come first"))
        }
        _ => Err(Fault::new("the key does not belong to the certificate")),
    }
}

/// Whether a certificate is for the key with these public bits.
pub(super) fn is_for(certificate: &[u8], public: &[u8]) -> bool {
    let parsed = X509Certificate::from_der(certificate).ok();
    parsed.is_some_and(|(_, parsed)| *parsed.public_key().subject_public_key.data == *public)
}

/// The public key's bits; `None` where the key is of a kind that cannot be compared.
pub(super) fn public_key(key: &Pem) -> Result<Option<Vec<u8>>, Fault> {
    let Some((kind, der)) = key.blocks.iter().find(|(kind, _)| is_key(*kind)) else { return Ok(None) };
    if !is_der(der) {
        return Err(Fault::new("the private key is damaged"));
    }
    let der = match kind {
        SectionKind::RsaPrivateKey => PrivateKeyDer::Pkcs1(der.as_slice().into()),
        SectionKind::EcPrivateKey => PrivateKeyDer::Sec1(der.as_slice().into()),
        _ => PrivateKeyDer::Pkcs8(der.as_slice().into()),
    };
    let info = any_supported_type(&der).ok().and_then(|key| key.public_key().map(|info| info.to_vec()));
    Ok(info.and_then(|info| {
        let (_, info) = SubjectPublicKeyInfo::from_der(&info).ok()?;
        Some(info.subject_public_key.data.to_vec())
    }))
}

/// Whether a key is RSA; `None` where its kind is unknown.
pub(super) fn is_rsa(key: &Pem) -> Option<bool> {
    let (kind, der) = key.blocks.iter().find(|(kind, _)| is_key(*kind))?;
    match kind {
        SectionKind::RsaPrivateKey => Some(true),
        SectionKind::EcPrivateKey => Some(false),
        _ => {
            let key = any_supported_type(&PrivateKeyDer::Pkcs8(der.as_slice().into())).ok()?;
            Some(key.algorithm() == SignatureAlgorithm::RSA)
        }
    }
}

fn certificates(bytes: &[u8]) -> Result<Pem, Fault> {
    let pem = read(bytes, Wanted::Certificate)?;
    let found = pem.certificates().count();
    // A certificate field is no secret: a key in it would be shown.
    if pem.text.contains("PRIVATE KEY-----") {
        let told = if found == 0 {
            "expected a certificate, found a private key"
        } else {
            "holds a private key as well"
        };
        return Err(
            Fault::new(told).with_hint("this field is not masked; if the key is real, consider it disclosed")
        );
    }
    if found == 0 {
        return Err(Fault::new("expected a certificate in PEM, found a PEM block of another kind"));
    }
    for (index, der) in pem.certificates().enumerate() {
        if X509Certificate::from_der(der).is_err() {
            return Err(Fault::new(format!("certificate {} of {found} is damaged", index + 1)));
        }
    }
    Ok(pem)
}

/// PEM, or base64 of it.
fn read(bytes: &[u8], wanted: Wanted) -> Result<Pem, Fault> {
    let (noun, der_hint) = match wanted {
        Wanted::Certificate => ("a certificate", DER_CERTIFICATE),
        Wanted::Key => ("a private key", DER_KEY),
    };
    let fault = |found: &str| Fault::new(format!("expected {noun} in PEM or base64 of PEM, found {found}"));
    if bytes.trim_ascii().is_empty() {
        return Err(Fault::new("must not be empty"));
    }
    // A text source may have cut a last byte that looked like a newline; no text begins with these two bytes.
    if is_der(bytes) || matches!(bytes, [0x30, 0x81 | 0x82, ..]) {
        return Err(fault("DER").with_hint(der_hint));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| fault("other bytes"))?;
    let text = if text.contains("-----BEGIN ") {
        text.to_owned()
    } else {
        let packed: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let decoded = STANDARD.decode(packed).map_err(|_| fault("something else"))?;
        if is_der(&decoded) {
            return Err(fault("base64 of DER").with_hint(der_hint));
        }
        let decoded = String::from_utf8(decoded).map_err(|_| fault("base64 of something else"))?;
        if !decoded.contains("-----BEGIN ") {
            return Err(fault("base64 of something else"));
        }
        decoded
    };
    if text.contains('\0') {
        return Err(fault("a NUL character"));
    }
    let mut blocks = Vec::new();
    for block in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        match block {
            Ok(block) => blocks.push(block),
            // An encrypted key of the old kind has headers that are no base64; `key` says so in its own words.
            Err(_) if wanted == Wanted::Key && text.contains("Proc-Type: 4,ENCRYPTED") => break,
            Err(_) => return Err(Fault::new("the PEM is damaged: a block does not end, or is no base64")),
        }
    }
    if blocks.is_empty()
        && text.lines().any(|line| line.starts_with([' ', '\t']) && line.contains("-----BEGIN "))
    {
        return Err(Fault::new("the PEM is indented; its lines must begin with -----BEGIN"));
    }
    Ok(Pem { text, blocks })
}

/// Whether bytes are one DER sequence, by its tag and length.
fn is_der(bytes: &[u8]) -> bool {
    let (header, length) = match bytes {
        [0x30, short @ 0x00..=0x7f, ..] => (2, usize::from(*short)),
        [0x30, 0x81, a, ..] => (3, usize::from(*a)),
        [0x30, 0x82, a, b, ..] => (4, usize::from(u16::from_be_bytes([*a, *b]))),
        _ => return false,
    };
    bytes.len() == header + length
}

/// DER as PEM.
pub(super) fn armoured(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (index, letter) in body.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(letter);
    }
    pem.push_str(&format!("\n-----END {label}-----\n"));
    pem
}

fn date(second: i64) -> String {
    Timestamp::from_second(second)
        .map_or_else(|_| "a day beyond the calendar".into(), |time| time.to_string())
}

#[cfg(test)]
pub(super) mod tests;
