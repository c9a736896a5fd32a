//! `target`: server, trust, proxy, namespace; the account is `auth`'s.

use super::auth::{self, Account, Own};
use super::inherit;
use crate::payload::certificate;
use crate::payload::fields::{Field, Fields, Reader};
use crate::payload::problem::{quoted, suggestion};
use crate::payload::url::{self, is_dns_label, is_dns_name};
use crate::payload::{Auth, NamespacePolicy, Part, Proxy, Target};
use crate::secret::Secret;

const FIELDS: [&str; 8] = [
    "server",
    "certificateAuthority",
    "insecureSkipTlsVerify",
    "tlsServerName",
    "proxyUrl",
    "namespace",
    "namespacePolicy",
    "auth",
];

/// What `inCluster` and `kubeconfig` bring themselves.
const CONNECTION: [&str; 5] =
    ["server", "certificateAuthority", "insecureSkipTlsVerify", "tlsServerName", "proxyUrl"];

/// A target, and the parts of its secrets that are masked by themselves.
pub(super) struct Read {
    pub(super) target: Target,
    pub(super) parts: Vec<Part>,
}

/// How to reach the cluster.
pub(super) struct Connection {
    /// `None` where the account's provider is asked for it.
    pub(super) server: Option<String>,
    pub(super) certificate_authority: Option<String>,
    pub(super) insecure_skip_tls_verify: bool,
    pub(super) tls_server_name: Option<String>,
    pub(super) proxy: Option<Proxy>,
}

pub(super) fn read(reader: &Reader<'_>, field: &Field<'_>) -> Option<Read> {
    let fields = reader.fields(field, &FIELDS)?;
    let given = fields.get("server").and_then(|field| field.plain());
    let account = fields.required("auth", reader).map(|field| auth::read(reader, field, given));
    let connection = match &account {
        Some(Account::Pod(_)) => absent(reader, &fields, "inCluster"),
        Some(Account::Imported(_)) => absent(reader, &fields, "kubeconfig"),
        Some(Account::Cloud(_)) => connection(reader, &fields, Server::MayBeFound),
        Some(Account::Own(_) | Account::Unreadable) | None => connection(reader, &fields, Server::Required),
    };
    let namespace = fields.get("namespace").map(|field| namespace(reader, field));
    let policy =
        fields.get("namespacePolicy").map_or(Some(NamespacePolicy::Create), |field| policy(reader, field));
    match account? {
        Account::Unreadable => None,
        Account::Pod(pod) => {
            let pod = pod?;
            let target = Target {
                server: Some(pod.server),
                certificate_authority: Some(pod.certificate_authority),
                insecure_skip_tls_verify: false,
                tls_server_name: None,
                proxy: None,
                namespace: namespace.unwrap_or(Some(pod.namespace))?,
                namespace_policy: policy?,
                auth: pod.auth,
            };
            Some(Read { target, parts: Vec::new() })
        }
        Account::Imported(imported) => {
            let imported = *imported?;
            let target = Target {
                server: imported.cluster.server,
                certificate_authority: imported.cluster.certificate_authority,
                insecure_skip_tls_verify: imported.cluster.insecure_skip_tls_verify,
                tls_server_name: imported.cluster.tls_server_name,
                proxy: imported.cluster.proxy,
                namespace: namespace.unwrap_or(Some(imported.namespace))?,
                namespace_policy: policy?,
                auth: Auth::Kubeconfig(Box::new(imported.user)),
            };
            Some(Read { target, parts: imported.parts })
        }
        Account::Cloud(own) => own_target(own?, connection?, namespace, policy?),
        Account::Own(own) => own_target(own, connection?, namespace, policy?),
    }
}

fn own_target(
    own: Own,
    connection: Connection,
    namespace: Option<Option<String>>,
    namespace_policy: NamespacePolicy,
) -> Option<Read> {
    let target = Target {
        server: connection.server,
        certificate_authority: connection.certificate_authority,
        insecure_skip_tls_verify: connection.insecure_skip_tls_verify,
        tls_server_name: connection.tls_server_name,
        proxy: connection.proxy,
        namespace: namespace.unwrap_or(Some("default".into()))?,
        namespace_policy,
        auth: own.auth,
    };
    Some(Read { target, parts: own.parts })
}

/// An account that brings its own connection takes none from the payload.
fn absent(reader: &Reader<'_>, fields: &Fields<'_>, method: &str) -> Option<Connection> {
    for field in CONNECTION.iter().filter_map(|name| fields.get(name)) {
        reader.tell(field, format!("must be absent: auth.{method} brings its own"));
    }
    None
}

/// Whether a target needs a server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    Required,
    MayBeFound,
}

fn connection(reader: &Reader<'_>, fields: &Fields<'_>, need: Server) -> Option<Connection> {
    let server = match fields.get("server") {
        None if need == Server::MayBeFound => Some(None),
        _ => fields.required("server", reader).and_then(|field| server(reader, field)).map(Some),
    };
    let authority = fields
        .get("certificateAuthority")
        .map(|field| authority(reader, field, &reader.source(field)?.bytes));
    let insecure = fields.get("insecureSkipTlsVerify").map(|field| {
        let insecure = reader.truth(field)?;
        if insecure && fields.get("certificateAuthority").is_some() {
            reader.tell(field, "must not be true together with certificateAuthority; kubectl refuses both");
        }
        Some(insecure)
    });
    let tls_server_name = fields.get("tlsServerName").map(|field| tls_server_name(reader, field));
    let proxy = fields.get("proxyUrl").map(|field| proxy(reader, field, reader.secret(field)?));
    Some(Connection {
        server: server?,
        certificate_authority: present(authority)?,
        insecure_skip_tls_verify: insecure.unwrap_or(Some(false))?,
        tls_server_name: present(tls_server_name)?,
        proxy: present(proxy)?,
    })
}

/// A field that may be absent, but not wrong.
pub(super) fn present<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    read.map_or(Some(None), |value| value.map(Some))
}

pub(super) fn server(reader: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    let text = reader.filled_text(field)?;
    let hint = "such as https://k8s.example:6443";
    let url = match url::split(&text) {
        Ok(url) => url,
        Err(fault) => {
            reader.tell_with_hint(field, fault, hint);
            return None;
        }
    };
    let mut faults = Vec::new();
    if url.scheme.eq_ignore_ascii_case("http") {
        faults.push("must be https; kubectl sends no credentials over http");
    } else if !url.scheme.eq_ignore_ascii_case("https") {
        faults.push("must be https");
    }
    if url.userinfo.is_some() {
        faults.push("must not hold a user or password; they belong in target.auth");
    }
    if url.has_query {
        faults.push("must not hold a query (?…)");
    }
    if url.has_fragment {
        faults.push("must not hold a fragment (#…)");
    }
    for fault in &faults {
        reader.tell(field, *fault);
    }
    faults.is_empty().then_some(text)
}

pub(super) fn tls_server_name(reader: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    let name = reader.text(field)?;
    if !is_dns_name(&name) {
        reader.tell(field, format!("expected a DNS name such as k8s.internal, found {}", quoted(&name)));
        return None;
    }
    Some(name)
}

pub(super) fn authority(reader: &Reader<'_>, field: &Field<'_>, bytes: &[u8]) -> Option<String> {
    match certificate::authority(bytes) {
        Ok(pem) => Some(pem.text),
        Err(fault) => {
            auth::tell_fault(reader, field, fault);
            None
        }
    }
}

pub(super) fn proxy(reader: &Reader<'_>, field: &Field<'_>, secret: Secret) -> Option<Proxy> {
    let hint = "such as http://proxy:3128";
    let url = match url::split(secret.expose()) {
        Ok(url) => url,
        Err(fault) => {
            reader.tell_with_hint(field, fault, hint);
            return None;
        }
    };
    if !["http", "https", "socks5"].iter().any(|scheme| url.scheme.eq_ignore_ascii_case(scheme)) {
        reader.tell_with_hint(field, "expected a URL with http, https or socks5", hint);
        return None;
    }
    if url.has_query || url.has_fragment {
        reader.tell_with_hint(field, "must not hold a query or fragment", hint);
        return None;
    }
    let leaves = inherit::leaves(url.userinfo);
    Some(Proxy { url: secret, leaves })
}

pub(super) fn namespace(reader: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    let name = reader.text(field)?;
    if !is_dns_label(&name) {
        let told = format!(
            "{} is no namespace; expected at most 63 lower-case letters, digits and dashes, \
             with a letter or digit at both ends",
            quoted(&name)
        );
        reader.tell(field, told);
        return None;
    }
    Some(name)
}

fn policy(reader: &Reader<'_>, field: &Field<'_>) -> Option<NamespacePolicy> {
    let word = reader.text(field)?;
    let found = NamespacePolicy::WORDS.iter().find(|(known, _)| *known == word);
    if found.is_none() {
        let known = NamespacePolicy::WORDS.map(|(known, _)| known);
        let meant = suggestion(&word, &known).map(|meant| format!("; did you mean {}?", quoted(meant)));
        let meant = meant.unwrap_or_default();
        reader.tell(field, format!("expected create, require or skip, found {}{meant}", quoted(&word)));
    }
    found.map(|(_, policy)| *policy)
}
