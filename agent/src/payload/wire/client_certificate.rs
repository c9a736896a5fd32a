//! `target.auth.clientCertificate`: a certificate and its key, as PEM or in one PFX.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::auth::{Own, tell_fault};
use crate::payload::certificate::{self, Fault, Pem};
use crate::payload::fields::{Field, Fields, Reader};
use crate::payload::source::Given;
use crate::payload::{Auth, Part, pfx};
use crate::secret::Secret;

/// Where the parts of its secrets come from.
const NAME: &str = "target.auth.clientCertificate";

pub(super) fn read(reader: &Reader<'_>, field: &Field<'_>) -> Option<Own> {
    let fields = reader.fields(field, &["certificate", "privateKey", "pfx", "password"])?;
    let has_pem = fields.get("certificate").or(fields.get("privateKey")).is_some();
    match (fields.get("pfx"), fields.get("password")) {
        (Some(_), _) if has_pem => {
            reader.tell(field, "expected certificate and privateKey, or pfx; found both");
            None
        }
        (Some(pfx), password) => from_pfx(reader, pfx, password),
        (None, Some(password)) => {
            let hint =
                "an encrypted privateKey must be decrypted: openssl pkey -in key.pem -out key-plain.pem";
            reader.tell_with_hint(password, "belongs to a pfx, and there is none", hint);
            None
        }
        (None, None) => from_pem(reader, &fields),
    }
}

/// A certificate or key as it was given, and as it is used.
struct Judged {
    pem: Pem,
    given: Vec<u8>,
    /// Whether it stands in the payload.
    is_here: bool,
}

fn judged(
    reader: &Reader<'_>,
    field: &Field<'_>,
    judge: impl Fn(&[u8]) -> Result<Pem, Fault>,
) -> Option<Judged> {
    let source = reader.source(field)?;
    let (given, is_here) = (source.bytes, source.given == Given::Here);
    let pem = judge(&given).map_err(|fault| tell_fault(reader, field, fault)).ok()?;
    Some(Judged { pem, given, is_here })
}

fn from_pem(reader: &Reader<'_>, fields: &Fields<'_>) -> Option<Own> {
    let now = reader.surroundings.now;
    let chain = fields.required("certificate", reader);
    let chain = chain.and_then(|field| judged(reader, field, |bytes| certificate::chain(bytes, now)));
    let key_field = fields.required("privateKey", reader);
    let key = key_field.and_then(|field| judged(reader, field, certificate::key));
    let (chain, key) = (chain?, key?);
    if key.is_here {
        reader.note_in_clear(key_field?);
    }
    if let Err(fault) = certificate::pair(&chain.pem, &key.pem) {
        tell_fault(reader, key_field?, fault);
        return None;
    }
    // Given as base64, it is a secret in that writing too, line breaks and all.
    let given = String::from_utf8(key.given).ok().filter(|given| *given != key.pem.text);
    let name = format!("{NAME}.privateKey");
    let parts = given.iter().map(|given| Part::new(&name, given)).collect();
    let auth =
        Auth::ClientCertificate { certificate: chain.pem.text, private_key: Secret::new(key.pem.text) };
    Some(Own { auth, parts })
}

fn from_pfx(reader: &Reader<'_>, field: &Field<'_>, password: Option<&Field<'_>>) -> Option<Own> {
    let noted = |field: &Field<'_>, given: Given| {
        if given == Given::Here {
            reader.note_in_clear(field);
        }
    };
    let given = reader.uncut_source(field).map(|source| {
        noted(field, source.given);
        source.bytes
    });
    let password = password.map_or(Some(String::new()), |field| {
        let (password, given) = reader.source_text(field)?;
        // The empty one is nobody's secret.
        if !password.is_empty() {
            noted(field, given);
        }
        Some(password)
    });
    let (given, password) = (given?, password?);
    let opened = open(&given, &password, reader.surroundings.now);
    let Opened { binary, chain, key } = opened.map_err(|fault| tell_fault(reader, field, fault)).ok()?;
    let mut parts = Vec::new();
    let packed = STANDARD.encode(&binary);
    // Given as base64 with line breaks, it is a secret in that writing too.
    if let Ok(given) = std::str::from_utf8(&given)
        && given != packed
    {
        parts.push(Part::new(&format!("{NAME}.pfx"), given));
    }
    parts.push(Part::new(&format!("{NAME}.pfx"), &packed));
    if !password.is_empty() {
        parts.push(Part::new(&format!("{NAME}.password"), &password));
    }
    let auth = Auth::ClientCertificate { certificate: chain.text, private_key: Secret::new(key.text) };
    Some(Own { auth, parts })
}

/// A PFX that was opened: its key belongs to its chain's first certificate.
pub(super) struct Opened {
    pub(super) binary: Vec<u8>,
    pub(super) chain: Pem,
    pub(super) key: Pem,
}

/// Opens a PFX, given as the binary file or as base64 of it.
pub(super) fn open(given: &[u8], password: &str, now: Timestamp) -> Result<Opened, Fault> {
    let binary = unpacked(given)?;
    let pair = pfx::open(&binary, password)?;
    let chain = certificate::chain(pair.certificates.as_bytes(), now)?;
    let key = certificate::key(pair.key.as_bytes())?;
    certificate::pair(&chain, &key)?;
    Ok(Opened { binary, chain, key })
}

/// The binary file, or base64 of it.
fn unpacked(given: &[u8]) -> Result<Vec<u8>, Fault> {
    if given.trim_ascii().is_empty() {
        return Err(Fault::new("must not be empty"));
    }
    // A sequence's tag is the digit 0 in ASCII, by which no base64 of a PFX begins.
    let is_binary = !given.is_ascii() || given.starts_with(b"0") || given.starts_with(b"-----BEGIN ");
    if is_binary {
        return Ok(given.to_vec());
    }
    let packed: Vec<u8> = given.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(packed).map_err(|_| {
        let told = "expected base64 of a PFX, or fromFile with the PFX itself; found something else";
        Fault::new(told).with_hint("pack it with: base64 -w0 FILE")
    })
}
