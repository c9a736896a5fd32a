//! Containers as the real `openssl` writes them, in every kind that people have, and the words for the others.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use super::{CONVERT, CONVERT_PBMAC1, LOOK, Pair, TRY, open};
use crate::payload::certificate::{self, Fault};

/// Says that there is no openssl past the test runner's capture, as the end-to-end tests' harness does.
pub(in crate::payload) fn skipped() {
    let stderr = std::fs::OpenOptions::new().append(true).open("/dev/stderr");
    drop(
        stderr.and_then(|mut stderr| {
            stderr.write_all(b"\nskipped: there is no openssl to make PFX files with\n")
        }),
    );
}

/// Keys, certificates and containers by the real openssl.
struct Maker {
    folder: tempfile::TempDir,
}

impl Maker {
    /// Without openssl there is no test.
    fn new() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success()) {
            return Some(Self { folder: tempfile::tempdir().unwrap() });
        }
        skipped();
        None
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn openssl(&self, line: &str, more: &[&str]) {
        let output = Command::new("openssl")
            .args(line.split_whitespace())
            .args(more)
            .current_dir(self.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "openssl {line} {more:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// `NAME.key` and `NAME.pem`, issued by `issuer` or by itself.
    fn certificate(&self, name: &str, kind: &str, issuer: Option<&str>) {
        let line = format!("req -new -nodes -newkey {kind} -keyout {name}.key -subj /CN={name}");
        match issuer {
            None => self.openssl(&format!("{line} -x509 -days 30 -out {name}.pem"), &[]),
            Some(issuer) => {
                self.openssl(&format!("{line} -out {name}.csr"), &[]);
                self.openssl(&format!("x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -set_serial 7 -days 30 -out {name}.pem"), &[]);
            }
        }
    }

    /// The container that `openssl pkcs12 -export` makes of `name`.
    fn export(&self, name: &str, password: &str, options: &str) -> Vec<u8> {
        let pass = format!("pass:{password}");
        let line = format!("pkcs12 -export -in {name}.pem -inkey {name}.key -out {name}.pfx {options}");
        self.openssl(&line, &["-passout", &pass]);
        self.read(&format!("{name}.pfx"))
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).unwrap()
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }
}

fn told(read: Result<Pair, Fault>) -> String {
    let fault = read.err().expect("it is refused");
    fault.hint.map_or(fault.message.clone(), |hint| format!("{}; hint: {hint}", fault.message))
}

/// The pair's certificates and key are `name`'s.
fn assert_is(maker: &Maker, opened: Result<Pair, Fault>, name: &str, what: &str) {
    let pair = opened.map_err(|fault| format!("{what}: {}", fault.message)).unwrap();
    assert_eq!(pair.certificates, maker.text(&format!("{name}.pem")), "{what}");
    let key = certificate::key(pair.key.as_bytes()).ok().unwrap();
    let chain = certificate::authority(pair.certificates.as_bytes()).ok().unwrap();
    assert_eq!(certificate::pair(&chain, &key), Ok(()), "{what}");
}

const EC: &str = "ec -pkeyopt ec_paramgen_curve:P-256";

#[test]
fn every_encryption_that_is_read_gives_the_same_pair() {
    let Some(maker) = Maker::new() else { return };
    maker.certificate("client", EC, None);
    let kinds = [
        "",
        "-keypbe AES-128-CBC -certpbe AES-128-CBC",
        "-keypbe AES-192-CBC -certpbe AES-192-CBC",
        "-legacy",
        "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1",
        "-macalg sha384",
        "-macalg sha512",
        "-keypbe NONE",
        "-certpbe NONE",
        "-keypbe NONE -certpbe NONE",
        "-nomac",
        "-iter 10000",
    ];
    for options in kinds {
        for password in ["", "hunter22", "pässwörd-日本"] {
            let pfx = maker.export("client", password, options);
            assert_is(&maker, open(&pfx, password), "client", &format!("{options:?} with {password:?}"));
        }
    }
}

#[test]
fn keys_of_every_kind_are_read() {
    let Some(maker) = Maker::new() else { return };
    let kinds = [
        "rsa:2048",
        "rsa:4096",
        EC,
        "ec -pkeyopt ec_paramgen_curve:P-384",
        "ec -pkeyopt ec_paramgen_curve:P-521",
        "ed25519",
    ];
    for kind in kinds {
        maker.certificate("client", kind, None);
        let pfx = maker.export("client", "hunter22", "");
        assert_is(&maker, open(&pfx, "hunter22"), "client", kind);
    }
}

#[test]
fn a_chain_comes_out_leaf_first_and_without_strangers() {
    let Some(maker) = Maker::new() else { return };
    maker.certificate("root", EC, None);
    maker.certificate("between", EC, Some("root"));
    maker.certificate("client", EC, Some("between"));
    maker.certificate("stranger", EC, None);
    let mixed =
        ["stranger", "root", "client", "between"].map(|name| maker.text(&format!("{name}.pem"))).concat();
    std::fs::write(maker.path().join("mixed.pem"), mixed).unwrap();
    maker.openssl("pkcs12 -export -in mixed.pem -inkey client.key -out chain.pfx -passout pass:", &[]);
    let pair = open(&maker.read("chain.pfx"), "").ok().unwrap();
    let expected = ["client", "between", "root"].map(|name| maker.text(&format!("{name}.pem"))).concat();
    assert_eq!(pair.certificates, expected);
}

#[test]
fn what_is_not_read_says_so_and_the_command_it_names_helps() {
    let Some(maker) = Maker::new() else { return };
    maker.certificate("client", EC, None);
    for (options, name) in [
        ("-macalg md5 -legacy", "an MD5 checksum"),
        ("-legacy -certpbe PBE-SHA1-RC2-128", "128-bit RC2"),
        ("-legacy -certpbe PBE-SHA1-RC4-128", "128-bit RC4"),
        ("-legacy -certpbe PBE-SHA1-RC4-40", "40-bit RC4"),
        ("-legacy -keypbe PBE-SHA1-2DES", "3DES with two keys"),
        ("-keypbe DES-EDE3-CBC", "PBES2 with 3DES"),
    ] {
        let pfx = maker.export("client", "hunter22", options);
        let words = format!("the PFX uses {name}, which is not read; hint: {CONVERT}");
        assert_eq!(told(open(&pfx, "hunter22")), words, "{options}");
        // The two commands of the hint, with the passwords that they would ask for.
        maker.openssl("pkcs12 -legacy -in client.pfx -nodes -out plain.pem -passin pass:hunter22", &[]);
        maker.openssl("pkcs12 -export -in plain.pem -out new.pfx -passout pass:", &[]);
        assert_is(&maker, open(&maker.read("new.pfx"), ""), "client", options);
    }
    let pfx = maker.export("client", "hunter22", "-macalg sha256");
    // PBMAC1 needs a newer openssl than most have; its identifier is as long as SHA-256's.
    let (sha256, pbmac1) = (
        [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01],
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0e],
    );
    let at = pfx.windows(9).rposition(|window| window == sha256).unwrap();
    let mut changed = pfx.clone();
    changed[at..at + 9].copy_from_slice(&pbmac1);
    let words = format!("the PFX uses a PBMAC1 checksum, which is not read; hint: {CONVERT_PBMAC1}");
    assert_eq!(told(open(&changed, "hunter22")), words);
    let [0x30, 0x82, _, _, content @ ..] = pfx.as_slice() else { panic!("a long sequence") };
    let indefinite = [&[0x30, 0x80], content, &[0, 0]].concat();
    let words = format!("the PFX is BER with indefinite lengths, which is not read; hint: {CONVERT}");
    assert_eq!(told(open(&indefinite, "hunter22")), words);
    std::fs::write(maker.path().join("ber.pfx"), indefinite).unwrap();
    maker.openssl("pkcs12 -legacy -in ber.pfx -nodes -out plain.pem -passin pass:hunter22", &[]);
}

#[test]
fn a_wrong_password_is_told_whatever_the_container() {
    let Some(maker) = Maker::new() else { return };
    maker.certificate("client", EC, None);
    let wrong = format!("the password is wrong, or the PFX is damaged; hint: {TRY}");
    let none = format!("the PFX has a password, and none (or the empty one) is given; hint: {TRY}");
    for options in ["", "-legacy", "-nomac", "-keypbe NONE -certpbe NONE"] {
        let pfx = maker.export("client", "hunter22", options);
        assert_eq!(told(open(&pfx, "hunter23")), wrong, "{options:?}");
        let empty = if options == "-nomac" { &wrong } else { &none };
        assert_eq!(told(open(&pfx, "")), *empty, "{options:?}");
    }
    let pfx = maker.export("client", "", "");
    assert_eq!(told(open(&pfx, "hunter22")), wrong);
    let emoji = "the password holds a character (such as an emoji) that is not read in a PFX's password; \
                 hint: make the PFX anew with another password";
    assert_eq!(told(open(&maker.export("client", "hunter🔑22", ""), "hunter🔑22")), emoji);
}

#[test]
fn one_key_and_its_certificate_must_be_there() {
    let Some(maker) = Maker::new() else { return };
    maker.certificate("client", EC, None);
    maker.certificate("other", EC, None);
    maker.openssl("pkcs12 -export -nokeys -in client.pem -out nokey.pfx -passout pass:", &[]);
    let told_of = |name: &str| told(open(&maker.read(name), ""));
    assert_eq!(told_of("nokey.pfx"), format!("the PFX holds no private key; hint: {LOOK}"));
    // openssl refuses `-nocerts` with a key that fits nothing only when it has a certificate to compare.
    maker.openssl(
        "pkcs12 -export -nocerts -inkey client.key -in client.key -out nocert.pfx -passout pass:",
        &[],
    );
    assert_eq!(told_of("nocert.pfx"), format!("the PFX holds no certificate; hint: {LOOK}"));
}

#[test]
fn other_bytes_are_called_what_they_are() {
    let expected = "expected a PFX (PKCS#12), found";
    let Some(maker) = Maker::new() else { return };
    maker.certificate("client", EC, None);
    maker.openssl("x509 -in client.pem -outform der -out client.der", &[]);
    let pfx = maker.export("client", "", "-iter 1");
    let longer = [pfx.as_slice(), b"\n"].concat();
    for (given, words) in [
        (maker.read("client.pem"), "PEM; hint: PEM belongs in certificate and privateKey"),
        (maker.read("client.der"), "DER of another kind"),
        (b"hunter22".to_vec(), "something else"),
        (Vec::new(), "one that is cut off, or something else"),
        (pfx[..pfx.len() - 1].to_vec(), "one that is cut off, or something else"),
        (longer, "one with more bytes after its end"),
        (
            vec![0xfe, 0xed, 0xfe, 0xed, 0, 0],
            "a Java keystore; hint: convert it with: keytool -importkeystore -srckeystore FILE \
             -destkeystore new.pfx -deststoretype pkcs12",
        ),
    ] {
        assert_eq!(told(open(&given, "")), format!("{expected} {words}"));
    }
    // Every byte of a container turned over, one at a time, is refused or still the pair; nothing panics.
    for at in 0..pfx.len() {
        let mut damaged = pfx.clone();
        damaged[at] ^= 0x55;
        drop(open(&damaged, ""));
    }
}

/// DER of a tag and what stands in it.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82], length.as_slice(), content].concat()
}

/// A container of nothing with a checksum of that many rounds.
fn rounds(number: &[u8]) -> Vec<u8> {
    let data = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
    let sha256 = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
    let safe = der(0x30, &[data.as_slice(), &der(0xa0, &der(0x04, &der(0x30, &[])))].concat());
    let digest = der(0x30, &[der(0x30, &sha256), der(0x04, &[0; 32])].concat());
    let mac = der(0x30, &[digest, der(0x04, &[0; 8]), der(0x02, number)].concat());
    der(0x30, &[[2, 1, 3].to_vec(), safe, mac].concat())
}

#[test]
fn fifty_million_rounds_are_refused_at_once() {
    let started = std::time::Instant::now();
    let words = |number: &str| {
        format!(
            "the PFX asks for {number} rounds of key derivation; at most 1000000 are done; hint: {CONVERT}"
        )
    };
    assert_eq!(told(open(&rounds(&50_000_000_u32.to_be_bytes()), "")), words("50000000"));
    assert_eq!(told(open(&rounds(&[0x7f; 16]), "")), words(&u64::MAX.to_string()));
    assert!(started.elapsed().as_millis() < 100, "{:?}", started.elapsed());
    assert!(!told(open(&rounds(&[0x08, 0x00]), "")).contains("rounds"));
}
