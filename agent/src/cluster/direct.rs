//! The fast way to ask: the target's connection and account as an HTTPS client of the agent's own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::https::{Client, HttpsError, Identity, Login, Peer, Proxies, SystemRoots, Trust};
use crate::payload::{Auth, Step};
use crate::secret::Secret;

/// The client; `None` where only kubectl can ask, as only it knows how.
///
/// `environment` is the script's: what holds for its kubectl holds here.
pub(super) fn client(
    step: &Step,
    environment: &BTreeMap<String, String>,
) -> Option<Result<Client, HttpsError>> {
    let target = &step.target;
    let value = |name: &str| environment.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let (login, identity) = account(&target.auth)?;
    let roots;
    let trust = match &target.certificate_authority {
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
    Some(Client::new(&Peer { url: &target.server, trust, identity, tls_server_name, proxies }, &login))
}

/// How the account shows itself; `None` where that is kubectl's to find out.
fn account(auth: &Auth) -> Option<(Login, Option<Identity<'_>>)> {
    match auth {
        Auth::Token(token) => Some((Login::Bearer(token.clone()), None)),
        Auth::UsernamePassword { username, password } => {
            let login = Login::Basic { username: username.clone(), password: password.clone() };
            Some((login, None))
        }
        Auth::ClientCertificate { certificate, private_key } => {
            Some((Login::None, Some(Identity { certificate, private_key })))
        }
        // Read again: whoever renews it may have done so since the payload was read.
        Auth::ServiceAccount { token_file, .. } | Auth::InCluster { token_file, .. } => {
            let token = std::fs::read_to_string(token_file).ok()?;
            Some((Login::Bearer(Secret::new(token.trim().to_owned())), None))
        }
    }
}
