//! Which proxy stands between us and a server: decided as Go's `net/http` does it, since kubectl does.
//!
//! A target's own proxy is used for every host, and `NO_PROXY` is not looked at. Of the environment, `HTTPS_PROXY`
//! counts, or in its absence `https_proxy`; this machine's own addresses and what `NO_PROXY` names are reached
//! directly. The rules are those of golang.org/x/net/http/httpproxy.

use std::net::IpAddr;

use hyper::Uri;

use super::HttpsError;
use crate::secret::Secret;

/// Where a proxy may come from.
pub enum Proxies<'a> {
    /// The target's own: always used.
    Given(&'a Secret),
    /// Variables of the environment, as their values.
    Environment {
        /// `HTTPS_PROXY`.
        https_proxy: Option<&'a str>,
        /// `NO_PROXY`.
        no_proxy: Option<&'a str>,
    },
}

/// How to speak with a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
    Socks5,
}

impl Scheme {
    pub(super) fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks5 => 1080,
        }
    }
}

/// A proxy. Not `Debug`: a name can be half of a secret.
pub(super) struct Proxy {
    pub(super) scheme: Scheme,
    /// Its URL without the login.
    pub(super) place: Uri,
    /// Name and password, decoded.
    pub(super) login: Option<(String, Secret)>,
}

/// The proxy for a host, where there is one.
pub(super) fn choose(proxies: &Proxies<'_>, host: &str, port: u16) -> Result<Option<Proxy>, HttpsError> {
    match proxies {
        Proxies::Given(url) => read(url.expose()).map(Some),
        Proxies::Environment { https_proxy, no_proxy } => match https_proxy {
            Some(url) if !url.is_empty() && !is_direct(host, port, no_proxy.unwrap_or_default()) => {
                // Go takes what has no scheme, or one that is really a host's name, for an http proxy's place.
                let url = if url.contains("://") { (*url).to_owned() } else { format!("http://{url}") };
                read(&url).map(Some)
            }
            _ => Ok(None),
        },
    }
}

fn read(url: &str) -> Result<Proxy, HttpsError> {
    let (scheme, rest) = url.split_once("://").ok_or(HttpsError::ProxyUrl)?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        "socks5" | "socks5h" => Scheme::Socks5,
        _ => return Err(HttpsError::ProxyUrl),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (userinfo, place) = match authority.rsplit_once('@') {
        Some((userinfo, place)) => (Some(userinfo), place),
        None => (None, authority),
    };
    // The name stands for the kind of connection only: the port is looked up by our own scheme.
    let uri: Uri = format!("http://{place}/").parse().map_err(|_| HttpsError::ProxyUrl)?;
    let login = userinfo.map(|userinfo| {
        let (name, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        let (name, password) = decoded(name).zip(decoded(password)).ok_or(HttpsError::ProxyUrl)?;
        Ok((name, Secret::new(password)))
    });
    Ok(Proxy { scheme, place: uri, login: login.transpose()? })
}

/// Undoes `%40`.
fn decoded(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// Whether no proxy of the environment may stand before this host.
fn is_direct(host: &str, port: u16, no_proxy: &str) -> bool {
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    let host = host.trim().to_lowercase();
    no_proxy.split(',').any(|rule| matches(&rule.trim().to_lowercase(), &host, address, port))
}

/// One element of `NO_PROXY`: `*`, a network, an address or a domain, the last two with or without a port.
fn matches(rule: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if rule == "*" {
        return true;
    }
    if let Some((network, bits)) = network(rule) {
        return address.is_some_and(|address| contains(network, bits, address));
    }
    let (name, wanted) = split_port(rule);
    if name.is_empty() || wanted.is_some_and(|wanted| wanted != port.to_string()) {
        return false;
    }
    if let Ok(named) = name.parse::<IpAddr>() {
        return address == Some(named);
    }
    // `*.a.b` and `.a.b` mean what is below a.b, `a.b` means itself too.
    let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
    match name.strip_prefix('.') {
        Some(_) => host.ends_with(name),
        None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
    }
}

/// A name or address and its port, as Go's `SplitHostPort` sees them: `::1` has none.
fn split_port(rule: &str) -> (&str, Option<&str>) {
    if let Some((address, rest)) = rule.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return rest.strip_prefix(':').map_or((rule, None), |port| (address, Some(port)));
    }
    match rule.split_once(':') {
        // An empty port is none.
        Some((name, port)) if !port.contains(':') => (name, Some(port).filter(|port| !port.is_empty())),
        _ => (rule, None),
    }
}

fn network(rule: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = rule.split_once('/')?;
    let (address, bits): (IpAddr, u32) = (address.parse().ok()?, bits.parse().ok()?);
    let most = if address.is_ipv4() { 32 } else { 128 };
    (bits <= most).then_some((address, bits))
}

fn contains(network: IpAddr, bits: u32, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (network.to_bits() ^ address.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            (network.to_bits() ^ address.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests;
