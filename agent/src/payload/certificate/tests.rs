//! Every shape in which certificates and keys come, and the words for the wrong ones.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rcgen::{Certificate, CertificateParams, KeyPair, date_time_ymd};

use super::{Fault, Pem, armoured, authority, chain, key, pair, without_keys};

/// A certificate as PEM.
pub(in crate::payload) fn certificate_pem(certificate: &Certificate) -> String {
    armoured("CERTIFICATE", certificate.der())
}

/// A key as PEM.
pub(in crate::payload) fn key_pem(key: &KeyPair) -> String {
    armoured("PRIVATE KEY", key.serialized_der())
}

fn made() -> (String, Vec<u8>, KeyPair) {
    let pair = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["k8s".into()]).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2026, 12, 31);
    let certificate = params.self_signed(&pair).unwrap();
    (certificate_pem(&certificate), certificate.der().to_vec(), pair)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn told(read: Result<Pem, Fault>) -> String {
    let fault = read.err().expect("it is wrong");
    fault.hint.map_or(fault.message.clone(), |hint| format!("{}; hint: {hint}", fault.message))
}

#[test]
fn several_certificates_are_kept_as_they_are() {
    let (pem, _, _) = made();
    let two = format!("# a comment\n{pem}\n{pem}");
    assert_eq!(authority(two.as_bytes()).ok().unwrap().text, two);
}

#[test]
fn base64_of_pem_is_unpacked_whatever_its_line_breaks() {
    let (pem, _, _) = made();
    let packed = STANDARD.encode(&pem);
    let broken: Vec<&str> =
        packed.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    assert_eq!(authority(broken.join("\n").as_bytes()).ok().unwrap().text, pem);
}

#[test]
fn an_authority_that_is_none_is_refused_in_words_of_its_own() {
    let (pem, der, keys) = made();
    let secret = key_pem(&keys);
    let expected = "expected a certificate in PEM or base64 of PEM, found";
    let openssl = "hint: convert it with: openssl x509 -inform der -in FILE -out FILE.pem";
    let disclosed = "hint: this field is not masked; if the key is real, consider it disclosed";
    let damaged = pem.replace("MII", "AAA");
    for (given, words) in [
        (der.clone(), format!("{expected} DER; {openssl}")),
        (STANDARD.encode(&der).into_bytes(), format!("{expected} base64 of DER; {openssl}")),
        (secret.clone().into_bytes(), format!("expected a certificate, found a private key; {disclosed}")),
        (format!("{pem}{secret}").into_bytes(), format!("holds a private key as well; {disclosed}")),
        (b" \n".to_vec(), "must not be empty".into()),
        (b"hunter22!".to_vec(), format!("{expected} something else")),
        (b"aHVudGVyMjI=".to_vec(), format!("{expected} base64 of something else")),
        (vec![0xff, 0x00], format!("{expected} other bytes")),
        (
            pem.replace("-----END", "-----ENT").into_bytes(),
            "the PEM is damaged: a block does not end, or is no base64".into(),
        ),
        (
            pem.replace('\n', "\n  ").replacen("-----BEGIN", "  -----BEGIN", 1).into_bytes(),
            "the PEM is indented; its lines must begin with -----BEGIN".into(),
        ),
        (
            armoured("PUBLIC KEY", &[0x30, 0x00]).into_bytes(),
            "expected a certificate in PEM, found a PEM block of another kind".into(),
        ),
    ] {
        assert_eq!(told(authority(&given)), words);
    }
    if damaged != pem {
        assert_eq!(told(authority(damaged.as_bytes())), "certificate 1 of 1 is damaged");
    }
}

#[test]
fn a_key_that_is_none_is_refused_in_words_of_its_own() {
    let (pem, _, keys) = made();
    let plain = key_pem(&keys);
    let decrypt = "the key is encrypted, and nobody is there to ask for its password; \
                   hint: decrypt it with: openssl pkey -in key.pem -out key-plain.pem";
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n\
               -----END RSA PRIVATE KEY-----\n";
    for (given, words) in [
        (pem.clone(), "expected a private key, found a certificate"),
        (format!("{plain}{plain}"), "expected one private key, found 2"),
        (plain.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), decrypt),
        (old.into(), decrypt),
        (
            armoured("PUBLIC KEY", &[0x30, 0x00]),
            "expected a private key in PEM, found a PEM block of another kind",
        ),
    ] {
        assert_eq!(told(key(given.as_bytes())), words);
    }
    let der = told(key(&keys.serialize_der()));
    assert_eq!(
        der,
        "expected a private key in PEM or base64 of PEM, found DER; \
         hint: convert it with: openssl pkey -inform der -in FILE -out FILE.pem"
    );
}

#[test]
fn a_file_of_certificate_and_key_gives_its_certificates() {
    let (pem, _, keys) = made();
    let mixed = format!("{pem}{}", key_pem(&keys));
    assert_eq!(without_keys(mixed.as_bytes()).unwrap(), pem.as_bytes());
    assert_eq!(without_keys(pem.as_bytes()).unwrap(), pem.as_bytes());
    assert!(key(mixed.as_bytes()).is_ok(), "and its key");
}

#[test]
fn a_certificate_is_judged_by_the_given_time() {
    let (pem, _, _) = made();
    assert!(chain(pem.as_bytes(), at("2026-06-01T00:00:00Z")).is_ok());
    let late = told(chain(pem.as_bytes(), at("2027-01-01T00:00:00Z")));
    assert_eq!(late, "the certificate expired on 2026-12-31T00:00:00Z");
    let early = told(chain(pem.as_bytes(), at("2025-12-31T23:59:59Z")));
    assert_eq!(
        early,
        "the certificate is not valid before 2026-01-01T00:00:00Z; hint: is the clock of this machine right?"
    );
}

#[test]
fn keys_of_every_kind_that_ring_knows_are_compared() {
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        let (own, other) =
            (KeyPair::generate_for(algorithm).unwrap(), KeyPair::generate_for(algorithm).unwrap());
        let params = CertificateParams::new(vec!["k8s".into()]).unwrap();
        let pem = authority(certificate_pem(&params.self_signed(&own).unwrap()).as_bytes()).ok().unwrap();
        let own = key(key_pem(&own).as_bytes()).ok().unwrap();
        let other = key(key_pem(&other).as_bytes()).ok().unwrap();
        assert_eq!(pair(&pem, &own), Ok(()));
        assert_eq!(pair(&pem, &other).unwrap_err().message, "the key does not belong to the certificate");
    }
}

#[test]
fn a_damaged_key_is_told_and_an_unknown_kind_is_left_to_kubectl() {
    let (pem, _, _) = made();
    let pem = authority(pem.as_bytes()).ok().unwrap();
    let block = |der: &[u8]| key(armoured("PRIVATE KEY", der).as_bytes()).ok().unwrap();
    assert_eq!(pair(&pem, &block(b"hunter22")).unwrap_err().message, "the private key is damaged");
    assert_eq!(pair(&pem, &block(&[0x30, 0x03, 0x02, 0x01, 0x00])), Ok(()));
}
