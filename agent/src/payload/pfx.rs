//! PKCS#12 (PFX) to PEM: the one key in it, its certificate, and the certificates above that one.
//!
//! Promise: what cannot be read is refused with the reason and a command that converts it; a file that would keep
//! the agent busy is refused before that. A file without a checksum (MAC) is read: the payload that holds it is no
//! safer than it is, and key and certificate must still fit together, which no damaged file does.
//! The bytes that the library decrypts a key into are not wiped when they are freed; the PEM of it is.

mod outline;

use p12_keystore::error::Error;
use p12_keystore::{CertificateBag, Pkcs12Archive, PrivateKeyBag};

use super::certificate::{self, Fault, armoured};
use outline::{Outline, Parts};

/// What the library does at most; a second and a half of work.
const MAX_ROUNDS: u64 = 1_000_000;
/// A checksum, the certificates and the key, each with the most.
const MAX_ALL_ROUNDS: u64 = 3 * MAX_ROUNDS;

const CONVERT: &str = "convert it with: openssl pkcs12 -legacy -in FILE -nodes -out plain.pem && \
                       openssl pkcs12 -export -in plain.pem -out new.pfx";
const CONVERT_PBMAC1: &str = "convert it with OpenSSL 3.4 or newer: openssl pkcs12 -in FILE -nodes -out plain.pem && \
     openssl pkcs12 -export -in plain.pem -out new.pfx";
const LOOK: &str = "see what is in it with: openssl pkcs12 -info -in FILE -nodes -legacy";
const TRY: &str = "try it with: openssl pkcs12 -in FILE -noout -legacy";

/// A client's certificates and key. No `Debug`.
pub(super) struct Pair {
    /// The client's own first, each issuer after what it issued.
    pub(super) certificates: String,
    pub(super) key: String,
}

/// Opens a container.
pub(super) fn open(bytes: &[u8], password: &str) -> Result<Pair, Fault> {
    let parts = judged(bytes)?;
    let archive =
        Pkcs12Archive::from_pkcs12(bytes, password).map_err(|error| why(&error, &parts, password))?;
    let key = match archive.keys.as_slice() {
        [key] => key,
        [] => return Err(Fault::new("the PFX holds no private key").with_hint(LOOK)),
        keys => {
            let told = format!("the PFX holds {} private keys; expected one", keys.len());
            return Err(Fault::new(told).with_hint(LOOK));
        }
    };
    let pem = armoured("PRIVATE KEY", key.key.as_der());
    let own = own(key, &pem, &archive.certs)?;
    Ok(Pair { certificates: chain(own, &archive.certs), key: pem })
}

/// What can be said before the password is tried.
fn judged(bytes: &[u8]) -> Result<Parts, Fault> {
    let expected = |found: &str| Fault::new(format!("expected a PFX (PKCS#12), found {found}"));
    if bytes.starts_with(b"-----BEGIN ") {
        return Err(expected("PEM").with_hint("PEM belongs in certificate and privateKey"));
    }
    if bytes.starts_with(&[0xfe, 0xed, 0xfe, 0xed]) {
        let hint = "convert it with: keytool -importkeystore -srckeystore FILE -destkeystore new.pfx \
                    -deststoretype pkcs12";
        return Err(expected("a Java keystore").with_hint(hint));
    }
    let parts = match outline::of(bytes) {
        Outline::Container(parts) => parts,
        Outline::Other(found) => return Err(expected(found)),
        Outline::Indefinite => {
            return Err(
                Fault::new("the PFX is BER with indefinite lengths, which is not read").with_hint(CONVERT)
            );
        }
    };
    let most = parts.rounds.iter().copied().max().unwrap_or(0);
    if most > MAX_ROUNDS {
        let told = format!("the PFX asks for {most} rounds of key derivation; at most {MAX_ROUNDS} are done");
        return Err(Fault::new(told).with_hint(CONVERT));
    }
    let all: u64 = parts.rounds.iter().sum();
    if all > MAX_ALL_ROUNDS {
        let told = format!(
            "the PFX asks for {all} rounds of key derivation in all; at most {MAX_ALL_ROUNDS} are done"
        );
        return Err(Fault::new(told).with_hint(CONVERT));
    }
    Ok(parts)
}

/// Why the library did not read it. Its own words never come through: they may change, and say less.
fn why(error: &Error, parts: &Parts, password: &str) -> Fault {
    if let Some(name) = parts.unreadable {
        let hint = if name.contains("PBMAC1") { CONVERT_PBMAC1 } else { CONVERT };
        return Fault::new(format!("the PFX uses {name}, which is not read")).with_hint(hint);
    }
    // PKCS#12 derives keys from passwords in UCS-2.
    if password.chars().any(|character| character > '\u{ffff}') {
        let told = "the password holds a character (such as an emoji) that is not read in a PFX's password";
        return Fault::new(told).with_hint("make the PFX anew with another password");
    }
    match error {
        Error::MacError(_) if password.is_empty() => {
            Fault::new("the PFX has a password, and none (or the empty one) is given").with_hint(TRY)
        }
        Error::MacError(_) => Fault::new("the password is wrong, or the PFX is damaged").with_hint(TRY),
        // Without a checksum, a wrong password shows only in what it decrypts to.
        _ if !parts.has_mac => Fault::new("the password is wrong, or the PFX is damaged").with_hint(TRY),
        Error::Pkcs5Error(_) | Error::UnsupportedEncryptionScheme | Error::UnsupportedMacAlgorithm => {
            Fault::new("the PFX is encrypted in a way that is not read").with_hint(CONVERT)
        }
        // The library's other words do not tell a damaged file from one that it does not know.
        _ => Fault::new("the PFX is damaged, or holds something that is not read").with_hint(CONVERT),
    }
}

/// The client's own certificate: the one that the key is for; where that cannot be compared, the one that is
/// marked as the key's, else the first. That key and certificate fit is judged again by whoever takes the pair.
fn own<'a>(
    key: &PrivateKeyBag,
    pem: &str,
    certificates: &'a [CertificateBag],
) -> Result<&'a CertificateBag, Fault> {
    let Some(first) = certificates.first() else {
        return Err(Fault::new("the PFX holds no certificate").with_hint(LOOK));
    };
    let public = certificate::public_key(&certificate::key(pem.as_bytes())?)?;
    let fits = |bag: &&CertificateBag| match &public {
        Some(public) => certificate::is_for(bag.cert.as_der(), public),
        None => key.local_key_id.as_ref().is_some_and(|id| bag.local_key_id.as_ref() == Some(&id.0)),
    };
    Ok(certificates.iter().find(fits).unwrap_or(first))
}

/// The client's own certificate and those above it; unrelated ones would only confuse a server.
fn chain(own: &CertificateBag, certificates: &[CertificateBag]) -> String {
    let mut chain = vec![own];
    let mut last = own;
    while last.cert.issuer() != last.cert.subject() {
        let issuer = certificates.iter().find(|bag| {
            bag.cert.subject() == last.cert.issuer() && !chain.iter().any(|known| known.cert == bag.cert)
        });
        let Some(issuer) = issuer else { break };
        chain.push(issuer);
        last = issuer;
    }
    chain.iter().map(|bag| armoured("CERTIFICATE", bag.cert.as_der())).collect()
}

#[cfg(test)]
pub(super) mod tests;
