//! The fast way to ask: the target's connection and account as an HTTPS client of the agent's own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::https::{Client, HttpsError, Identity, Login, Peer, Proxies, SystemRoots, Trust};
use crate::payload::{Auth, Step, User};
use crate::plan::{Access, Credential};
use crate::secret::Secret;

/// The client; `None` where only kubectl can ask, as only it knows how.
///
/// `environment` is the script's: what holds for its kubectl holds here.
pub(super) fn client(
    step: &Step,
    access: &Access,
    environment: &BTreeMap<String, String>,
) -> Option<Result<Client, HttpsError>> {
    let target = &step.target;
    let value = |name: &str| environment.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let (login, identity) = account(&target.auth, &access.credential)?;
    let roots;
    let trust = match &access.certificate_authority {
        Some(pem) => Trust::Authority(pem),
        None if target.insecure_skip_tls_verify => Trust::Anyone,
        // The agent opens no file because a payload's variable names it; the script's kubectl may.
        None if ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| step.environment.contains_key(*name)) => {
            return None;
        }
        None => {
            let folders = value("SSL_CERT_DIR").into_iter().flat_map(|folders| folders.split(':'));
            let folders = folders.map(PathBuf::from).collect();
            roots = SystemRoots { file: value("SSL_CERT_FILE").map(PathBuf::from), folders };
            Trust::System(&roots)
        }
    };
    let proxies = match &target.proxy {
        Some(proxy) => Proxies::Given(&proxy.url),
        None => Proxies::Environment {
            https_proxy: value("HTTPS_PROXY").or_else(|| value("https_proxy")),
            no_proxy: value("NO_PROXY").or_else(|| value("no_proxy")),
        },
    };
    let tls_server_name = target.tls_server_name.as_deref();
    Some(Client::new(&Peer { url: &access.server, trust, identity, tls_server_name, proxies }, &login))
}

/// How the account shows itself; `None` where that is kubectl's to find out.
fn account<'a>(auth: &'a Auth, credential: &'a Credential) -> Option<(Login, Option<Identity<'a>>)> {
    match credential {
        Credential::Given => given(auth),
        Credential::Token { token, .. } => Some((Login::Bearer(token.clone()), None)),
        Credential::Certificate { certificate, private_key, .. } => {
            Some((Login::None, Some(Identity { certificate, private_key })))
        }
        Credential::Plugin(_) => None,
    }
}

fn given(auth: &Auth) -> Option<(Login, Option<Identity<'_>>)> {
    match auth {
        Auth::Token(token) => Some((Login::Bearer(token.clone()), None)),
        Auth::UsernamePassword { username, password } => {
            let login = Login::Basic { username: username.clone(), password: password.clone() };
            Some((login, None))
        }
        Auth::ClientCertificate { certificate, private_key } => {
            Some((Login::None, Some(Identity { certificate, private_key })))
        }
        Auth::ServiceAccount { token_file, .. } | Auth::InCluster { token_file, .. } => {
            Some((from_file(token_file)?, None))
        }
        Auth::Kubeconfig(user) => imported(user),
        Auth::Eks(_) | Auth::Aks(_) | Auth::Gke(_) => None,
    }
}

/// The user of an imported kubeconfig, where it is plain: kubectl alone runs plugins and speaks for others, and has
/// words of its own for a user with two logins or none.
fn imported(user: &User) -> Option<(Login, Option<Identity<'_>>)> {
    let User { token, token_file, login, certificate, exec: None, impersonation: None } = user else {
        return None;
    };
    let login = match (token, token_file, login) {
        (_, Some(file), None) => from_file(&file.path)?,
        (Some(token), None, None) => Login::Bearer(token.clone()),
        (None, None, Some(login)) => {
            Login::Basic { username: login.username.clone(), password: login.password.clone() }
        }
        (None, None, None) if certificate.is_some() => Login::None,
        _ => return None,
    };
    let identity = certificate
        .as_ref()
        .map(|pair| Identity { certificate: &pair.certificate, private_key: &pair.private_key });
    Some((login, identity))
}

/// Read again: whoever renews it may have done so since the payload was read.
fn from_file(path: &Path) -> Option<Login> {
    let token = std::fs::read_to_string(path).ok()?;
    let token = token.trim();
    (!token.is_empty()).then(|| Login::Bearer(Secret::new(token.to_owned())))
}
