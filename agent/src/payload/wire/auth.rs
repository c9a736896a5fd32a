//! `target.auth`: exactly one method, and what it needs.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::{aks, client_certificate, eks, gke, kubeconfig};
use crate::payload::certificate::{self, Fault};
use crate::payload::fields::{Field, Reader};
use crate::payload::problem::listed;
use crate::payload::trust::Identity;
use crate::payload::url::{self, is_dns_label};
use crate::payload::{Auth, Part};
use crate::secret::Secret;

const METHODS: [&str; 9] = [
    "token",
    "usernamePassword",
    "clientCertificate",
    "serviceAccount",
    "inCluster",
    "kubeconfig",
    "eks",
    "aks",
    "gke",
];

/// The largest token or CA file that is read; etcd takes no object above 1.5 MB.
pub(super) const MAX_ACCOUNT_BYTES: u64 = 1024 * 1024;

/// What `auth` says.
pub(super) enum Account {
    /// An account for the server that the payload names.
    Own(Own),
    /// A cloud's account, which can find its server itself; `None` where it could not be read.
    Cloud(Option<Own>),
    /// The pod's own, which brings its server; `None` where it could not be read.
    Pod(Option<Pod>),
    /// Somebody's kubeconfig, which brings its server too; `None` where it could not be read.
    Imported(Option<Box<kubeconfig::Imported>>),
    /// What is wrong was told.
    Unreadable,
}

/// An account, and the parts of its secrets that are masked by themselves.
pub(super) struct Own {
    pub(super) auth: Auth,
    pub(super) parts: Vec<Part>,
}

/// The pod's own account, and its cluster.
pub(super) struct Pod {
    pub(super) auth: Auth,
    pub(super) server: String,
    pub(super) certificate_authority: String,
    pub(super) namespace: String,
}

/// Reads the account; `server` is the payload's, where it has one.
pub(super) fn read(reader: &Reader<'_>, field: &Field<'_>, server: Option<&str>) -> Account {
    let Some(fields) = reader.fields(field, &METHODS) else { return Account::Unreadable };
    let names: Vec<&str> = fields.found().iter().map(|(name, _)| *name).collect();
    // Every method that is there is read, so that its own problems are told as well.
    let mut accounts: Vec<Account> =
        fields.found().iter().map(|(name, field)| method(reader, name, field, server)).collect();
    let has_unknown = reader.entries_count(field) > names.len();
    match (accounts.pop(), names.as_slice()) {
        (Some(account), [_]) => account,
        (None, _) if has_unknown => Account::Unreadable,
        (found, _) => {
            let found = if found.is_none() { "none".into() } else { names.join(" and ") };
            reader.tell(field, format!("expected exactly one of {}; found {found}", listed(&METHODS)));
            Account::Unreadable
        }
    }
}

fn method(reader: &Reader<'_>, name: &str, field: &Field<'_>, server: Option<&str>) -> Account {
    let bare = |auth: Option<Auth>| auth.map(|auth| Own { auth, parts: Vec::new() });
    let own = match name {
        "token" => {
            bare(reader.secret(field).and_then(|token| check_token(reader, field, token)).map(Auth::Token))
        }
        "usernamePassword" => bare(username_password(reader, field)),
        "clientCertificate" => client_certificate::read(reader, field),
        "serviceAccount" => bare(service_account(reader, field)),
        "eks" | "aks" | "gke" => {
            let own = match name {
                "eks" => bare(eks::read(reader, field, server).map(|eks| Auth::Eks(Box::new(eks)))),
                "aks" => aks::read(reader, field, server),
                _ => gke::read(reader, field, server),
            };
            return Account::Cloud(own);
        }
        "kubeconfig" => return Account::Imported(kubeconfig::read(reader, field).map(Box::new)),
        _ => return Account::Pod(in_cluster(reader, field)),
    };
    own.map_or(Account::Unreadable, Account::Own)
}

/// A token travels in an HTTP header: kubectl refuses a line break, and what surrounds it would be sent.
pub(super) fn check_token(reader: &Reader<'_>, field: &Field<'_>, token: Secret) -> Option<Secret> {
    let text = token.expose();
    let (told, hint) = if text.contains(['\n', '\r']) {
        ("must not hold a line break", "YAML: write `|-` or quotes, as `|` adds one")
    } else if text.trim() != text {
        ("must not begin or end with a blank", "leave the blank out")
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        ("must not hold blanks, control characters or anything but ASCII", "is this the token itself?")
    } else {
        return Some(token);
    };
    reader.tell_with_hint(field, told, hint);
    None
}

fn username_password(reader: &Reader<'_>, field: &Field<'_>) -> Option<Auth> {
    let fields = reader.fields(field, &["username", "password"])?;
    let username = fields.required("username", reader).and_then(|field| {
        let (username, _) = reader.source_text(field)?;
        check_username(reader, field, username)
    });
    let password = fields.required("password", reader).and_then(|field| {
        let password = reader.secret(field)?;
        check_password(reader, field, password)
    });
    Some(Auth::UsernamePassword { username: username?, password: password? })
}

pub(super) fn check_username(reader: &Reader<'_>, field: &Field<'_>, username: String) -> Option<String> {
    let told = if username.is_empty() {
        "must not be empty"
    } else if username.contains(':') {
        "must not hold a colon: basic authentication ends the name there"
    } else if username.contains(char::is_control) {
        "must not hold a line break or another control character"
    } else {
        return Some(username);
    };
    reader.tell(field, told);
    None
}

pub(super) fn check_password(reader: &Reader<'_>, field: &Field<'_>, password: Secret) -> Option<Secret> {
    if password.expose().contains(char::is_control) {
        let told = "must not hold a line break or another control character";
        reader.tell_with_hint(field, told, "YAML: write `|-` or quotes, as `|` adds a line break");
        return None;
    }
    Some(password)
}

/// Tells what is wrong with a certificate or key.
pub(super) fn tell_fault(reader: &Reader<'_>, field: &Field<'_>, fault: Fault) {
    match fault.hint {
        Some(hint) => reader.tell_with_hint(field, fault.message, hint),
        None => reader.tell(field, fault.message),
    }
}

fn service_account(reader: &Reader<'_>, account: &Field<'_>) -> Option<Auth> {
    let fields = reader.fields(account, &["tokenFile"])?;
    let field = fields.required("tokenFile", reader)?;
    let written = reader.filled_text(field)?;
    let bytes = reader.file(field, &written, MAX_ACCOUNT_BYTES)?;
    let token = token_of_file(reader, field, bytes)?;
    // On a queue it is the token of now.
    reader.send(account, Some("token"), token.expose().as_bytes());
    Some(Auth::ServiceAccount { token_file: reader.absolute(&written), token })
}

/// A token file may end in white space: client-go trims it.
pub(super) fn token_of_file(reader: &Reader<'_>, field: &Field<'_>, bytes: Vec<u8>) -> Option<Secret> {
    let text = reader.utf8(field, bytes)?;
    let token = text.trim();
    if token.is_empty() {
        reader.tell(field, "the token file is empty");
        return None;
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        reader.tell(field, "the token file holds more than one word, or is no token");
        return None;
    }
    Some(Secret::new(token.into()))
}

fn in_cluster(reader: &Reader<'_>, field: &Field<'_>) -> Option<Pod> {
    reader.fields(field, &[])?;
    if reader.is_submitted() {
        // Which pod that is, and whether its account may be used, only the worker knows.
        reader.ask(field, "inCluster");
        let auth = Auth::InCluster { token_file: PathBuf::new(), token: Secret::new(String::new()) };
        return Some(Pod {
            auth,
            server: String::new(),
            certificate_authority: String::new(),
            namespace: String::new(),
        });
    }
    let server = pod_server(reader, field)?;
    if !reader.may_use_identity(field, Identity::InCluster, Some(&server)) {
        return None;
    }
    let folder = std::path::absolute(&reader.surroundings.service_account_folder).ok()?;
    let token_file = folder.join("token");
    let token = pod_file(reader, field, &token_file).and_then(|bytes| token_of_file(reader, field, bytes));
    let authority = pod_file(reader, field, &folder.join("ca.crt")).and_then(|bytes| {
        let judged = certificate::authority(&bytes);
        judged
            .map_err(|fault| {
                tell_fault(reader, field, Fault { message: format!("ca.crt: {}", fault.message), ..fault })
            })
            .ok()
    });
    // Kubernetes writes the file into every pod; other makers of such folders leave it out.
    let namespace = std::fs::read_to_string(folder.join("namespace")).unwrap_or_default();
    let namespace = match namespace.trim() {
        "" => "default".to_owned(),
        name if is_dns_label(name) => name.to_owned(),
        _ => {
            reader.tell(field, "the pod's namespace file holds no namespace");
            return None;
        }
    };
    let auth = Auth::InCluster { token_file, token: token? };
    Some(Pod { auth, server, certificate_authority: authority?.text, namespace })
}

fn pod_server(reader: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    let variable = |name: &str| {
        let value = reader.surroundings.environment.get(OsStr::new(name)).and_then(|value| value.to_str());
        let value = value.filter(|value| !value.is_empty());
        if value.is_none() {
            let hint = "auth.inCluster works inside of a pod only";
            reader.tell_with_hint(field, format!("the variable {name} is not set"), hint);
        }
        value
    };
    let (host, port) = (variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT"));
    let (host, port) = (host?, port?);
    let server = match host.contains(':') && !host.starts_with('[') {
        true => format!("https://[{host}]:{port}"),
        false => format!("https://{host}:{port}"),
    };
    match url::split(&server) {
        Ok(url) if url.userinfo.is_none() && !url.has_query && !url.has_fragment => Some(server),
        Ok(_) | Err(_) => {
            reader.tell(field, "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are no host and port");
            None
        }
    }
}

/// A file of the pod's account. The operator's policy judged the account as a whole.
fn pod_file(reader: &Reader<'_>, field: &Field<'_>, path: &Path) -> Option<Vec<u8>> {
    let read = match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX_ACCOUNT_BYTES => {
            Err(io::Error::from(io::ErrorKind::FileTooLarge))
        }
        Ok(_) => std::fs::read(path),
        Err(error) => Err(error),
    };
    read.map_err(|error| reader.unreadable(field, &path.to_string_lossy(), &error)).ok()
}
