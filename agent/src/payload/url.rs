//! The URLs and DNS names of a payload: servers, proxies, namespaces. Its URLs are a small part of what a URL can be, and all else is refused.
//!
//! Promise: what is accepted means the same to kubectl (Go) and to the agent. A URL's text never gets into a problem.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A URL in its parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url<'a> {
    pub(super) scheme: &'a str,
    pub(super) userinfo: Option<&'a str>,
    pub(super) has_query: bool,
    pub(super) has_fragment: bool,
}

/// Takes a URL apart, and judges host and port.
pub(super) fn split(text: &str) -> Result<Url<'_>, &'static str> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic())
        || text.contains(['\\', '"', '<', '>', '^', '`', '{', '|', '}'])
    {
        return Err("holds a character that a URL cannot have (spaces, line breaks, other than ASCII)");
    }
    let (scheme, rest) = text.split_once("://").ok_or("expected a URL with a scheme and a host")?;
    let (rest, fragment) = rest.split_once('#').map_or((rest, false), |(rest, _)| (rest, true));
    let (rest, query) = rest.split_once('?').map_or((rest, false), |(rest, _)| (rest, true));
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    let (userinfo, place) = match authority.rsplit_once('@') {
        Some((userinfo, place)) => (Some(userinfo), place),
        None => (None, authority),
    };
    check_place(place)?;
    Ok(Url { scheme, userinfo, has_query: query, has_fragment: fragment })
}

fn check_place(place: &str) -> Result<(), &'static str> {
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("the bracket of its IPv6 address is not closed")?;
        host.parse::<Ipv6Addr>().map_err(|_| "has no valid IPv6 address in its brackets")?;
        match rest.strip_prefix(':') {
            Some(port) => (None, Some(port)),
            None if rest.is_empty() => (None, None),
            None => return Err("has something other than a port after its IPv6 address"),
        }
    } else {
        match place.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(place), None),
        }
    };
    match host {
        Some("") => return Err("has no host"),
        Some(host) if !is_host(host) => {
            return Err("has no valid host (a DNS name, an IPv4 address or [an IPv6 address])");
        }
        Some(_) | None => {}
    }
    match port.map(|port| (port.bytes().all(|byte| byte.is_ascii_digit()), port.parse::<u16>())) {
        None | Some((true, Ok(1..))) => Ok(()),
        Some(_) => Err("has no valid port (1 to 65535)"),
    }
}

/// A DNS name or an IPv4 address.
fn is_host(host: &str) -> bool {
    host.parse::<Ipv4Addr>().is_ok() || is_dns_name(host)
}

/// A DNS name, as certificates and SNI know it. What looks like a number is an address gone wrong.
pub(super) fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        bytes.len() <= 63
            && edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= 253 && !numeric && name.split('.').all(label)
}

/// A DNS label as Kubernetes wants it for namespaces (RFC 1123).
pub(super) fn is_dns_label(name: &str) -> bool {
    let bytes = name.as_bytes();
    let letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    bytes.len() <= 63
        && bytes.first().is_some_and(letter)
        && bytes.last().is_some_and(letter)
        && bytes.iter().all(|byte| letter(byte) || *byte == b'-')
}

/// The userinfo of a proxy as people write it, with or without a scheme.
pub(super) fn loose_userinfo(text: &str) -> Option<&str> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    rest.rsplit_once('@').map(|(userinfo, _)| userinfo).filter(|userinfo| !userinfo.is_empty())
}

/// What must be masked of a userinfo by itself: all of it, the password as written, and the password decoded.
pub(super) fn userinfo_leaves(userinfo: &str) -> Vec<String> {
    let mut leaves = vec![userinfo.to_owned()];
    if let Some((_, password)) = userinfo.split_once(':') {
        leaves.push(password.to_owned());
        leaves.extend(percent_decoded(password));
    }
    leaves.retain(|leaf| !leaf.is_empty());
    leaves.dedup();
    leaves
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (high, low) = (bytes.next()?, bytes.next()?);
        let value = char::from(high).to_digit(16)? * 16 + char::from(low).to_digit(16)?;
        decoded.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::{is_dns_name, loose_userinfo, split, userinfo_leaves};

    #[test]
    fn hosts_and_ports_are_judged() {
        for good in [
            "https://a",
            "https://a.b:6443",
            "https://10.0.0.1:443/x/y",
            "https://[::1]:6443",
            "https://[fd00::1]",
            "https://a_b",
        ] {
            assert!(split(good).is_ok(), "{good}");
        }
        for bad in [
            "a:6443",
            "https://",
            "https://:443",
            "https://a:",
            "https://a:0",
            "https://a:65536",
            "https://a:+1",
            "https://::1",
            "https://[::1",
            "https://[x]",
            "https://[::1]443",
            "https://300.1.1.1",
            "https://-a",
            "https://a b",
            "https://a\n",
            "https://ä",
            "https://a..b",
            "https://a/\\b",
        ] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_dns_name_is_no_address() {
        assert!(is_dns_name("k8s.internal"));
        for bad in ["", "10.0.0.1", "a.", "*.a", "a/b", "a:1"] {
            assert!(!is_dns_name(bad), "{bad}");
        }
    }

    #[test]
    fn userinfo_comes_apart_into_all_that_must_be_hidden() {
        assert_eq!(loose_userinfo("http://u:p%40ss@proxy:3128"), Some("u:p%40ss"));
        assert_eq!(loose_userinfo("u:p@proxy"), Some("u:p"));
        assert_eq!(loose_userinfo("http://proxy"), None);
        assert_eq!(userinfo_leaves("u:p%40ss"), ["u:p%40ss", "p%40ss", "p@ss"]);
        assert_eq!(userinfo_leaves("u:pass"), ["u:pass", "pass"]);
        assert_eq!(userinfo_leaves("token"), ["token"]);
    }
}
