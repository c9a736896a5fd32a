//! A user of a kubeconfig: every way to log in that it has, none that kubectl refuses beside another.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::cluster::data_of;
use super::exec;
use crate::payload::certificate::{self, Fault, Pem};
use crate::payload::fields::{Field, Fields, Reader};
use crate::payload::wire::auth::{
    MAX_ACCOUNT_BYTES, check_password, check_token, check_username, tell_fault, token_of_file,
};
use crate::payload::wire::target::present;
use crate::payload::{Impersonation, KeyPair, Login, TokenFile, User};
use crate::secret::Secret;

const FIELDS: [&str; 15] = [
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
    "token",
    "tokenFile",
    "username",
    "password",
    "exec",
    "auth-provider",
    "as",
    "as-uid",
    "as-groups",
    "as-user-extra",
    "extensions",
];

pub(super) fn read(inner: &Reader<'_>, field: &Field<'_>) -> Option<User> {
    let fields = inner.fields(field, &FIELDS)?;
    let agrees = agrees(inner, field, &fields);
    let token =
        fields.filled("token").map(|field| check_token(inner, field, Secret::new(inner.filled_text(field)?)));
    let token_file = fields.filled("tokenFile").map(|field| token_file(inner, field));
    let login = login(inner, &fields);
    let certificate = certificate(inner, &fields);
    let exec = fields.filled("exec").map(|field| exec::read(inner, field));
    let impersonation = impersonation(inner, &fields);
    if !agrees {
        return None;
    }
    Some(User {
        token: present(token)?,
        token_file: present(token_file)?,
        login: present(login)?,
        certificate: present(certificate)?,
        exec: present(exec)?,
        impersonation: present(impersonation)?,
    })
}

/// Whether there is a way to log in, and no two that kubectl refuses.
fn agrees(inner: &Reader<'_>, field: &Field<'_>, fields: &Fields<'_>) -> bool {
    let has = |name: &str| fields.filled(name).is_some();
    if let Some(provider) = fields.filled("auth-provider") {
        refuse_provider(inner, provider);
        return false;
    }
    if let Some(login) = fields.filled("username").or(fields.filled("password"))
        && let Some(name) = ["token", "tokenFile"].into_iter().find(|name| has(name))
    {
        let told = format!("must not stand beside {name}: kubectl refuses two ways to log in");
        inner.tell(login, told);
        return false;
    }
    let ways = ["token", "tokenFile", "username", "password", "exec"];
    let certificate = ["client-certificate", "client-certificate-data", "client-key", "client-key-data"];
    if !ways.iter().chain(&certificate).any(|name| has(name)) {
        let told = "has no credential; kubectl would ask for a user name";
        inner.tell_with_hint(field, told, "is it the right context?");
        return false;
    }
    true
}

/// kubectl 1.26 dropped the clouds' providers. It still has `oidc`, which writes the tokens that it renews into the
/// kubeconfig: with ours they would be lost, and the refresh token of its owner used up.
fn refuse_provider(inner: &Reader<'_>, provider: &Field<'_>) {
    let left = "auth-provider left kubectl with version 1.26";
    let (told, hint) = match provider.node.get("name").and_then(|name| name.text()) {
        Some("gcp") => (
            left,
            "use exec with gke-gcloud-auth-plugin; `gcloud container clusters get-credentials` writes that",
        ),
        Some("azure") => (left, "use exec with kubelogin; `kubelogin convert-kubeconfig` writes that"),
        Some("oidc") => (
            "auth-provider oidc is not supported: it writes renewed tokens into the kubeconfig, and that is removed",
            "use exec with the plugin kubectl-oidc_login",
        ),
        _ => ("auth-provider is not supported", "use exec with the plugin of your provider"),
    };
    inner.tell_with_hint(provider, told, hint);
}

fn login(inner: &Reader<'_>, fields: &Fields<'_>) -> Option<Option<Login>> {
    let (username, password) = (fields.filled("username"), fields.filled("password"));
    if username.is_none() && password.is_none() {
        return None;
    }
    let username = username.or_else(|| fields.missing("username", inner));
    let password = password.or_else(|| fields.missing("password", inner));
    let username = username.and_then(|field| check_username(inner, field, inner.filled_text(field)?));
    let password =
        password.and_then(|field| check_password(inner, field, Secret::new(inner.filled_text(field)?)));
    Some(username.zip(password).map(|(username, password)| Login { username, password }))
}

fn certificate(inner: &Reader<'_>, fields: &Fields<'_>) -> Option<Option<KeyPair>> {
    let names = ["client-certificate", "client-certificate-data", "client-key", "client-key-data"];
    if !names.iter().any(|name| fields.filled(name).is_some()) {
        return None;
    }
    let now = inner.surroundings.now;
    let chain = pem(inner, fields, ["client-certificate", "client-certificate-data"], |bytes| {
        certificate::chain(&certificate::without_keys(bytes)?, now)
    });
    let key = pem(inner, fields, ["client-key", "client-key-data"], certificate::key);
    let (Some((_, chain)), Some((field, key))) = (chain, key) else { return Some(None) };
    Some(match certificate::pair(&chain, &key) {
        Ok(()) => Some(KeyPair { certificate: chain.text, private_key: Secret::new(key.text) }),
        Err(fault) => {
            tell_fault(inner, field, fault);
            None
        }
    })
}

/// PEM from a field with a file's name, or the one with the data.
fn pem<'a, 'n>(
    inner: &Reader<'_>,
    fields: &'a Fields<'n>,
    [name, data]: [&'static str; 2],
    judge: impl Fn(&[u8]) -> Result<Pem, Fault>,
) -> Option<(&'a Field<'n>, Pem)> {
    let (field, bytes) = match (fields.filled(name), fields.filled(data)) {
        (None, None) => return fields.missing(data, inner),
        (Some(field), Some(_)) => {
            inner.tell(field, format!("must not stand beside {data}; kubectl refuses both"));
            return None;
        }
        (Some(field), None) => (field, file_as(inner, field, data)?),
        (None, Some(field)) => (field, data_of(inner, field)?),
    };
    judge(&bytes).map_err(|fault| tell_fault(inner, field, fault)).ok().map(|pem| (field, pem))
}

fn token_file(inner: &Reader<'_>, field: &Field<'_>) -> Option<TokenFile> {
    let (path, bytes) = file(inner, field)?;
    let token = token_of_file(inner, field, bytes)?;
    inner.send(field, Some("token"), token.expose().as_bytes());
    Some(TokenFile { path, token })
}

fn impersonation(inner: &Reader<'_>, fields: &Fields<'_>) -> Option<Option<Impersonation>> {
    let others = ["as-uid", "as-groups", "as-user-extra"];
    let Some(user) = fields.filled("as") else {
        let other = others.iter().find_map(|name| fields.filled(name))?;
        inner.tell(other, "needs as: kubectl impersonates no groups without a user");
        return Some(None);
    };
    let texts = |field: &Field<'_>| -> Option<Vec<String>> {
        inner.list(field)?.iter().map(|field| inner.text(field)).collect()
    };
    let uid = fields.filled("as-uid").map(|field| inner.text(field));
    let groups = fields.filled("as-groups").map_or(Some(Vec::new()), texts);
    let extra = fields.filled("as-user-extra").map_or(Some(Vec::new()), |field| {
        let entries = inner.entries(field)?;
        entries.iter().map(|(name, field)| Some(((*name).to_owned(), texts(field)?))).collect()
    });
    let read = || {
        Some(Impersonation { user: inner.text(user)?, uid: present(uid)?, groups: groups?, extra: extra? })
    };
    Some(read())
}

/// A path of the kubeconfig, made absolute as kubectl does it: by the folder of the file that it stands in.
pub(super) fn path(inner: &Reader<'_>, field: &Field<'_>, written: &str) -> Option<PathBuf> {
    if !written.starts_with('/') && !inner.is_in_a_folder() {
        let told = "a relative path, and the kubeconfig comes from no file";
        inner.tell_with_hint(field, told, "give the kubeconfig with fromFile, or write the path from / on");
        return None;
    }
    let path = inner.absolute(written);
    if path.to_str().is_none() {
        inner.tell(field, "its whole path is not UTF-8, which no kubeconfig can hold");
        return None;
    }
    Some(path)
}

/// A file that the kubeconfig names, which is sent to a queue as this field with base64.
pub(super) fn file_as(inner: &Reader<'_>, field: &Field<'_>, data: &'static str) -> Option<Vec<u8>> {
    let (_, bytes) = file(inner, field)?;
    inner.send(field, Some(data), STANDARD.encode(&bytes).as_bytes());
    Some(bytes)
}

/// A file that the kubeconfig names.
fn file(inner: &Reader<'_>, field: &Field<'_>) -> Option<(PathBuf, Vec<u8>)> {
    let written = inner.filled_text(field)?;
    let path = path(inner, field, &written)?;
    let bytes = inner.file(field, &written, MAX_ACCOUNT_BYTES)?;
    Some((path, bytes))
}
