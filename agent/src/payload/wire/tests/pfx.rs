//! `clientCertificate` with a PFX: how it is given, and what is masked of it.

use std::process::Command;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Place, exchanged};
use crate::payload::Auth;
use crate::payload::pfx::tests::skipped;

const TOKEN: &str = "token: hunter22-token";

/// A PFX by the real openssl, which ends in a newline: the last byte is that of 2570 rounds.
fn pfx(password: &str, options: &str) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let openssl = |line: &str| {
        let output =
            Command::new("openssl").args(line.split_whitespace()).current_dir(&folder).output().ok()?;
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        Some(())
    };
    let made = openssl("req -x509 -nodes -newkey ed25519 -keyout key -out cert -subj /CN=x -days 30")
        .and_then(|()| {
            openssl(&format!(
                "pkcs12 -export -in cert -inkey key -out pfx -iter 2570 -passout pass:{password} {options}"
            ))
        });
    if made.is_none() {
        skipped();
        return None;
    }
    Some(std::fs::read(folder.path().join("pfx")).unwrap())
}

/// An RSA pair, and both in a PFX with the password `hunter22-pw`.
pub(super) struct Rsa {
    pub(super) certificate: String,
    pub(super) key: String,
    pub(super) pfx: Vec<u8>,
}

/// By the real openssl, once: nothing else here makes RSA keys.
pub(super) fn rsa() -> Option<&'static Rsa> {
    static RSA: OnceLock<Option<Rsa>> = OnceLock::new();
    let made = RSA.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        for line in [
            "req -x509 -nodes -newkey rsa:2048 -keyout key -out cert -subj /CN=x -days 30",
            "pkcs12 -export -in cert -inkey key -out pfx -passout pass:hunter22-pw",
        ] {
            let mut openssl = Command::new("openssl");
            let output = openssl.args(line.split(' ')).current_dir(&folder).output().ok()?;
            assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let pfx = std::fs::read(folder.path().join("pfx")).unwrap();
        Some(Rsa { certificate: text("cert"), key: text("key"), pfx })
    });
    if made.is_none() {
        skipped();
    }
    made.as_ref()
}

fn method(text: &str) -> String {
    exchanged(TOKEN, &format!("clientCertificate: {text}"))
}

pub(super) fn place() -> Place {
    let mut place = Place::new();
    // openssl makes certificates that are valid from now on.
    place.surroundings.now = jiff::Timestamp::now();
    place
}

#[test]
fn a_pfx_comes_as_a_binary_file_or_as_base64() {
    let Some(pfx) = pfx("hunter22", "") else { return };
    assert_eq!(pfx.last(), Some(&b'\n'));
    let packed = STANDARD.encode(&pfx);
    let lines: Vec<String> =
        packed.as_bytes().chunks(76).map(|line| String::from_utf8(line.to_vec()).unwrap()).collect();
    let lines = lines.join("\n") + "\n";
    let place = place()
        .file("client.pfx", &pfx)
        .file("client.b64", &lines)
        .variable("PFX", &packed)
        .variable("PASSWORD", "hunter22");
    for (source, given) in [
        ("{fromFile: client.pfx}".to_owned(), None),
        ("{fromFile: client.b64}".to_owned(), Some(lines.as_str())),
        ("{fromEnv: PFX}".to_owned(), None),
        (packed.clone(), None),
    ] {
        let step = place.step(method(&format!("{{pfx: {source}, password: {{fromEnv: PASSWORD}}}}")));
        let Auth::ClientCertificate { certificate, private_key } = &step.target.auth else {
            panic!("another method")
        };
        assert_eq!(certificate.matches("BEGIN CERTIFICATE").count(), 1);
        assert!(private_key.expose().starts_with("-----BEGIN PRIVATE KEY-----\n"));
        let masked: Vec<&str> = step.secrets().iter().map(|named| named.secret.expose()).collect();
        let expected = [Some(private_key.expose()), given, Some(packed.as_str()), Some("hunter22")];
        assert_eq!(masked, expected.into_iter().flatten().collect::<Vec<_>>(), "{source}");
        assert!(!format!("{step:?}").contains("hunter22"));
    }
}

#[test]
fn without_a_password_the_empty_one_is_tried() {
    let Some(pfx) = pfx("", "") else { return };
    let place = place().file("client.pfx", &pfx);
    let step = place.step(method("{pfx: {fromFile: client.pfx}}"));
    assert_eq!(step.secrets().len(), 2, "the key and the PFX; an empty password hides nothing");
    place.step(method("{pfx: {fromFile: client.pfx}, password: ''}"));
}

#[test]
fn a_pfx_is_judged_as_certificate_and_key_are() {
    let Some(unfit) = pfx("", "") else { return };
    let mut place = place().file("client.pfx", &unfit);
    place.surroundings.now = "2124-01-01T00:00:00Z".parse().unwrap();
    let told = place.problems(method("{pfx: {fromFile: client.pfx}}"));
    assert!(
        told.starts_with("deploy.yaml:8:30: target.auth.clientCertificate.pfx: the certificate expired on "),
        "{told}"
    );
}

#[test]
fn what_is_no_pfx_and_what_does_not_go_together_is_told() {
    let unclear = "expected certificate and privateKey, or pfx; found both";
    Place::new().file("pem", "-----BEGIN CERTIFICATE-----\nhunter22\n").file("empty", "").refuses(&[
        (TOKEN, "clientCertificate: {pfx: hunter22!}", "8:30: target.auth.clientCertificate.pfx: expected base64 of a PFX, or fromFile with the PFX itself; found something else; hint: pack it with: base64 -w0 FILE"),
        (TOKEN, "clientCertificate: {pfx: aHVudGVyMjI=}", "8:30: target.auth.clientCertificate.pfx: expected a PFX (PKCS#12), found something else"),
        (TOKEN, "clientCertificate: {pfx: {fromFile: pem}}", "8:30: target.auth.clientCertificate.pfx: expected a PFX (PKCS#12), found PEM; hint: PEM belongs in certificate and privateKey"),
        (TOKEN, "clientCertificate: {pfx: {fromFile: empty}}", "8:30: target.auth.clientCertificate.pfx: must not be empty"),
        (TOKEN, "clientCertificate: {pfx: a, privateKey: b}", &format!("8:24: target.auth.clientCertificate: {unclear}")),
        (TOKEN, "clientCertificate: {pfx: a, certificate: b, password: c}", &format!("8:24: target.auth.clientCertificate: {unclear}")),
        (TOKEN, "clientCertificate: {certificate: a, privateKey: b, password: hunter22}", "8:66: target.auth.clientCertificate.password: belongs to a pfx, and there is none; hint: an encrypted privateKey must be decrypted: openssl pkey -in key.pem -out key-plain.pem"),
        (TOKEN, "clientCertificate: {}", "8:24: target.auth.clientCertificate.certificate: missing\n8:24: target.auth.clientCertificate.privateKey: missing"),
    ]);
}
