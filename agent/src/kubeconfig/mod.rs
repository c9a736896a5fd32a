//! The one kubeconfig of a step, for one cluster, one user and one context.
//!
//! Written as JSON, which is YAML: no kubectl has ever read a JSON text as anything but what it says, whereas a
//! namespace called `on` or `no` is a boolean to YAML writers that do not quote it.

mod imported;
mod yaml;

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::payload::{Auth, Target};
use crate::plan::{Access, Credential, Plan};
use crate::secret::Secret;
use crate::workspace::{Workspace, WorkspaceError};

pub use yaml::yaml;

/// The cluster, the user and the context have this name.
const NAME: &str = "kubestep";

/// What stands in place of a secret in a kubeconfig that is shown; kubectl's own word.
const REDACTED: &str = "REDACTED";

/// Whether a document is to be used or to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It holds the secrets; whoever asks for it answers for where it goes.
    Use,
    /// It holds none.
    Show,
}

impl Purpose {
    fn text(self, secret: &Secret) -> String {
        match self {
            Self::Use => secret.expose().to_owned(),
            Self::Show => REDACTED.to_owned(),
        }
    }

    fn base64(self, secret: &Secret) -> String {
        match self {
            Self::Use => STANDARD.encode(secret.expose()),
            Self::Show => REDACTED.to_owned(),
        }
    }
}

/// The document.
#[must_use]
pub fn document(plan: &Plan, access: &Access, purpose: Purpose) -> Value {
    let target = &plan.step.target;
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": cluster(target, access, purpose)}],
        "users": [{"name": NAME, "user": user(&target.auth, access, purpose)}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME, "namespace": target.namespace}}],
        "current-context": NAME,
    })
}

/// Writes the document, 0600, and gives its path.
///
/// # Errors
/// [`WorkspaceError`] where there is no room for it.
pub fn write(plan: &Plan, access: &Access, workspace: &Workspace) -> Result<PathBuf, WorkspaceError> {
    workspace.write("kubeconfig", document(plan, access, Purpose::Use).to_string().as_bytes())
}

fn cluster(target: &Target, access: &Access, purpose: Purpose) -> Map<String, Value> {
    let mut cluster = Map::new();
    cluster.insert("server".into(), json!(access.server));
    if let Some(pem) = &access.certificate_authority {
        cluster.insert("certificate-authority-data".into(), json!(STANDARD.encode(pem)));
    }
    if target.insecure_skip_tls_verify {
        cluster.insert("insecure-skip-tls-verify".into(), json!(true));
    }
    if let Some(name) = &target.tls_server_name {
        cluster.insert("tls-server-name".into(), json!(name));
    }
    if let Some(proxy) = &target.proxy {
        cluster.insert("proxy-url".into(), json!(purpose.text(&proxy.url)));
    }
    if let Auth::Kubeconfig(user) = &target.auth
        && let Some(extensions) = imported::extensions(user, purpose)
    {
        cluster.insert("extensions".into(), extensions);
    }
    cluster
}

fn user(auth: &Auth, access: &Access, purpose: Purpose) -> Value {
    match &access.credential {
        Credential::Given => given(auth, purpose),
        Credential::Token { file, .. } => json!({"tokenFile": file}),
        Credential::Certificate { certificate_file, key_file, .. } => {
            json!({"client-certificate": certificate_file, "client-key": key_file})
        }
        Credential::Plugin(exec) => json!({"exec": imported::plugin(exec, purpose)}),
    }
}

/// The account that the payload gives.
fn given(auth: &Auth, purpose: Purpose) -> Value {
    match auth {
        Auth::Token(token) => json!({"token": purpose.text(token)}),
        Auth::UsernamePassword { username, password } => {
            json!({"username": username, "password": purpose.text(password)})
        }
        Auth::ClientCertificate { certificate, private_key } => json!({
            "client-certificate-data": STANDARD.encode(certificate),
            "client-key-data": purpose.base64(private_key),
        }),
        // The file and not what it holds: whoever renews it does so while the script runs.
        Auth::ServiceAccount { token_file, .. } | Auth::InCluster { token_file, .. } => {
            json!({"tokenFile": token_file})
        }
        Auth::Kubeconfig(user) => imported::user(user, purpose),
        // Somebody logs in with it, and what comes of that is no longer given.
        Auth::Eks(_) | Auth::Aks(_) | Auth::Gke(_) => json!({}),
    }
}
