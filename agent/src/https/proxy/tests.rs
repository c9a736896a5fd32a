//! The rules of golang.org/x/net/http/httpproxy, row by row.

use super::{Proxies, Scheme, choose, is_direct};
use crate::secret::Secret;

#[test]
fn no_proxy_means_what_it_means_to_go() {
    for (no_proxy, host, port, direct) in [
        ("", "k8s.example", 443, false),
        ("*", "k8s.example", 443, true),
        ("a, * ", "k8s.example", 443, true),
        // A domain means itself and what is below it; one with a dot before it only what is below.
        ("example", "k8s.example", 443, true),
        ("k8s.example", "k8s.example", 443, true),
        ("8s.example", "k8s.example", 443, false),
        (".example", "k8s.example", 443, true),
        (".k8s.example", "k8s.example", 443, false),
        ("*.example", "k8s.example", 443, true),
        ("*.k8s.example", "k8s.example", 443, false),
        ("*example", "k8s.example", 443, false),
        ("K8S.Example", "k8s.example", 443, true),
        ("k8s.example", "K8S.EXAMPLE", 443, true),
        ("other, ,k8s.example", "k8s.example", 443, true),
        // A port has to agree where it is named.
        ("k8s.example:6443", "k8s.example", 6443, true),
        ("k8s.example:6443", "k8s.example", 443, false),
        ("k8s.example:", "k8s.example", 443, true),
        (":443", "k8s.example", 443, false),
        // Addresses and networks; a name is never looked up for them.
        ("10.0.0.7", "10.0.0.7", 443, true),
        ("10.0.0.7:443", "10.0.0.7", 443, true),
        ("10.0.0.7:80", "10.0.0.7", 443, false),
        ("10.0.0.0/8", "10.9.9.9", 443, true),
        ("10.0.0.0/8", "11.0.0.0", 443, false),
        ("10.0.0.7/32", "10.0.0.8", 443, false),
        ("0.0.0.0/0", "10.0.0.8", 443, true),
        ("10.0.0.0/33", "10.0.0.0", 443, false),
        ("10", "10.0.0.1", 443, false),
        ("fd00::7", "fd00::7", 443, true),
        ("[fd00::7]:6443", "fd00::7", 6443, true),
        ("[fd00::7]:6443", "fd00::7", 443, false),
        ("fd00::/8", "fd12::1", 443, true),
        ("::/0", "10.0.0.1", 443, false),
        // This machine is never behind a proxy.
        ("", "localhost", 443, true),
        ("", "127.0.0.1", 443, true),
        ("", "127.9.9.9", 443, true),
        ("", "::1", 443, true),
        ("", "0.0.0.0", 443, false),
    ] {
        assert_eq!(is_direct(host, port, no_proxy), direct, "NO_PROXY={no_proxy} and {host}:{port}");
    }
}

#[test]
fn the_targets_own_proxy_beats_the_environment_and_stands_before_this_machine_too() {
    let url = Secret::new("socks5://proxy:1".into());
    let proxy = choose(&Proxies::Given(&url), "localhost", 443).ok().flatten().expect("a proxy");
    assert_eq!((proxy.scheme, proxy.place.to_string().as_str()), (Scheme::Socks5, "http://proxy:1/"));
}

#[test]
fn a_proxy_is_read_as_go_reads_it() {
    let chosen = |value: &str| {
        let proxies = Proxies::Environment { https_proxy: Some(value), no_proxy: None };
        let proxy = choose(&proxies, "k8s.example", 443).ok()?.expect("nothing says that it is direct");
        let login = proxy.login.map(|(name, password)| format!("{name} {}", password.expose()));
        Some((proxy.scheme, proxy.place.authority().expect("a place").to_string(), login))
    };
    let found =
        |scheme, place: &str, login: Option<&str>| Some((scheme, place.to_owned(), login.map(str::to_owned)));
    assert_eq!(chosen("proxy:3128"), found(Scheme::Http, "proxy:3128", None));
    assert_eq!(chosen("proxy"), found(Scheme::Http, "proxy", None));
    assert_eq!(chosen("HTTPS://proxy/"), found(Scheme::Https, "proxy", None));
    assert_eq!(chosen("http://me:p%40ss@proxy:1"), found(Scheme::Http, "proxy:1", Some("me p@ss")));
    assert_eq!(chosen("socks5://me@[::1]:2"), found(Scheme::Socks5, "[::1]:2", Some("me ")));
    for bad in ["ftp://proxy", "http://", "http://me:%zz@proxy", "http://a b"] {
        assert_eq!(chosen(bad), None, "{bad}");
    }
}

#[test]
fn no_variable_is_no_proxy() {
    for https_proxy in [None, Some("")] {
        let proxies = Proxies::Environment { https_proxy, no_proxy: None };
        assert!(choose(&proxies, "k8s.example", 443).is_ok_and(|proxy| proxy.is_none()));
    }
}
