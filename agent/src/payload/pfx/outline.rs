//! What a PKCS#12 container says of itself before it is opened: its algorithms, and how often it derives a key.
//!
//! The library says *that* it cannot read a file; this says why, and what reading would cost. It walks the DER
//! without understanding it: everything that matters here is an object identifier, or a number after a salt.

/// No PKCS#12 nests deeper than fifteen levels before its encryption.
const MAX_DEPTH: usize = 24;

/// Algorithms that are not read; by the bytes of their object identifiers.
const UNREADABLE: [(&[u8], &str); 12] = [
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0e], "a PBMAC1 checksum"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05], "an MD5 checksum"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x01], "128-bit RC4"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x02], "40-bit RC4"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x04], "3DES with two keys"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x05], "128-bit RC2"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x02], "PBES2 with RC2"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07], "PBES2 with 3DES"),
    (&[0x2b, 0x0e, 0x03, 0x02, 0x07], "DES"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0a], "DES"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02], "a signature instead of a password"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03], "a certificate instead of a password"),
];

/// What is known of a container without its password.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outline {
    /// No DER, or not from its first byte to its last.
    Other(&'static str),
    /// BER with lengths that are not told; openssl reads it.
    Indefinite,
    /// DER that begins as PKCS#12 does.
    Container(Parts),
}

/// The parts of a container that matter.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// The first algorithm in it that is not read.
    pub(super) unreadable: Option<&'static str>,
    /// The rounds of each key derivation in sight.
    pub(super) rounds: Vec<u64>,
    /// Whether a checksum says if a password is right.
    pub(super) has_mac: bool,
}

pub(super) fn of(bytes: &[u8]) -> Outline {
    if bytes.first().is_some_and(|tag| *tag != 0x30) {
        return Outline::Other("something else");
    }
    let (content, rest) = match element(bytes) {
        Ok(Element { content, rest, .. }) => (content, rest),
        Err(Fault::Other) => return Outline::Other("something else"),
        Err(Fault::Indefinite) => return Outline::Indefinite,
        Err(Fault::Short) => return Outline::Other("one that is cut off, or something else"),
    };
    if !rest.is_empty() {
        return Outline::Other("one with more bytes after its end");
    }
    // Version 3 is the only one; a key begins with version 0 or 1, a certificate with a sequence.
    if !content.starts_with(&[0x02, 0x01, 0x03]) {
        return Outline::Other("DER of another kind");
    }
    let mut parts = Parts::default();
    match walk(content, 0, &mut parts) {
        Ok(children) => parts.has_mac = children > 2,
        Err(Fault::Indefinite) => return Outline::Indefinite,
        // The library judges what is damaged further in.
        Err(Fault::Short | Fault::Other) => {}
    }
    Outline::Container(parts)
}

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    rest: &'a [u8],
}

enum Fault {
    Indefinite,
    Short,
    Other,
}

fn element(bytes: &[u8]) -> Result<Element<'_>, Fault> {
    let [tag, first, rest @ ..] = bytes else { return Err(Fault::Short) };
    let (length, rest) = match first {
        0x00..=0x7f => (usize::from(*first), rest),
        0x80 if tag & 0x20 != 0 => return Err(Fault::Indefinite),
        0x81..=0x84 => {
            let count = usize::from(first & 0x0f);
            let digits = rest.get(..count).ok_or(Fault::Short)?;
            let length = digits.iter().fold(0_usize, |length, digit| (length << 8) | usize::from(*digit));
            (length, &rest[count..])
        }
        _ => return Err(Fault::Other),
    };
    let (content, rest) = rest.split_at_checked(length).ok_or(Fault::Short)?;
    Ok(Element { tag: *tag, content, rest })
}

/// Walks what stands side by side, and answers how many elements those are.
fn walk(mut bytes: &[u8], depth: usize, parts: &mut Parts) -> Result<usize, Fault> {
    if depth > MAX_DEPTH {
        return Err(Fault::Other);
    }
    let (mut count, mut previous) = (0, 0);
    while !bytes.is_empty() {
        let Element { tag, content, rest } = element(bytes)?;
        match tag {
            0x02 if previous == 0x04 => parts.rounds.push(number(content)),
            0x04 => in_octets(content, depth, parts)?,
            0x06 => {
                let known = UNREADABLE.iter().find(|(object, _)| *object == content).map(|(_, name)| *name);
                parts.unreadable = parts.unreadable.or(known);
            }
            _ if tag & 0x20 != 0 => {
                walk(content, depth + 1, parts)?;
            }
            _ => {}
        }
        (bytes, previous, count) = (rest, tag, count + 1);
    }
    Ok(count)
}

/// An octet string holds more of the container, or encrypted bytes that only look like it.
fn in_octets(content: &[u8], depth: usize, parts: &mut Parts) -> Result<(), Fault> {
    if content.first() != Some(&0x30) {
        return Ok(());
    }
    let mut inside = Parts::default();
    match walk(content, depth + 1, &mut inside) {
        Ok(_) => {
            parts.rounds.extend(inside.rounds);
            parts.unreadable = parts.unreadable.or(inside.unreadable);
            Ok(())
        }
        Err(Fault::Indefinite) => Err(Fault::Indefinite),
        Err(Fault::Short | Fault::Other) => Ok(()),
    }
}

/// A number that is too large to tell is as bad as the largest one.
fn number(content: &[u8]) -> u64 {
    match content.len() {
        1..=8 => content.iter().fold(0, |number, digit| (number << 8) | u64::from(*digit)),
        _ => u64::MAX,
    }
}
