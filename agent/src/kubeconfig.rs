//! The one kubeconfig of a step, for one cluster, one user and one context.
//!
//! Written as JSON, which is YAML: no kubectl has ever read a JSON text as anything but what it says, whereas a
//! namespace called `on` or `no` is a boolean to YAML writers that do not quote it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::payload::{Auth, Exec, Target, User};
use crate::plan::Plan;
use crate::secret::Secret;
use crate::workspace::{Workspace, WorkspaceError};

/// The cluster, the user and the context have this name.
const NAME: &str = "kubestep";

/// The document; whoever asks for it answers for where it goes.
#[must_use]
pub fn document(plan: &Plan) -> Value {
    let target = &plan.step.target;
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": cluster(target)}],
        "users": [{"name": NAME, "user": user(&target.auth)}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME, "namespace": target.namespace}}],
        "current-context": NAME,
    })
}

/// Writes the document, 0600, and gives its path.
///
/// # Errors
/// [`WorkspaceError`] where there is no room for it.
pub fn write(plan: &Plan, workspace: &Workspace) -> Result<PathBuf, WorkspaceError> {
    workspace.write("kubeconfig", document(plan).to_string().as_bytes())
}

fn cluster(target: &Target) -> Map<String, Value> {
    let mut cluster = Map::new();
    cluster.insert("server".into(), json!(target.server));
    if let Some(pem) = &target.certificate_authority {
        cluster.insert("certificate-authority-data".into(), json!(STANDARD.encode(pem)));
    }
    if target.insecure_skip_tls_verify {
        cluster.insert("insecure-skip-tls-verify".into(), json!(true));
    }
    if let Some(name) = &target.tls_server_name {
        cluster.insert("tls-server-name".into(), json!(name));
    }
    if let Some(proxy) = &target.proxy {
        cluster.insert("proxy-url".into(), json!(proxy.url.expose()));
    }
    if let Auth::Kubeconfig(user) = &target.auth
        && let Some(config) = user.exec.as_ref().and_then(|exec| exec.cluster_config.as_ref())
    {
        let config: Value = serde_json::from_str(config.expose()).unwrap_or_default();
        let extension = json!({"name": "client.authentication.k8s.io/exec", "extension": config});
        cluster.insert("extensions".into(), json!([extension]));
    }
    cluster
}

fn user(auth: &Auth) -> Value {
    match auth {
        Auth::Token(token) => json!({"token": token.expose()}),
        Auth::UsernamePassword { username, password } => {
            json!({"username": username, "password": password.expose()})
        }
        Auth::ClientCertificate { certificate, private_key } => json!({
            "client-certificate-data": STANDARD.encode(certificate),
            "client-key-data": STANDARD.encode(private_key.expose()),
        }),
        // The file and not what it holds: whoever renews it does so while the script runs.
        Auth::ServiceAccount { token_file, .. } | Auth::InCluster { token_file, .. } => {
            json!({"tokenFile": token_file})
        }
        Auth::Kubeconfig(user) => imported(user),
    }
}

/// The user of somebody's kubeconfig, with what the files in it hold; only a token file is somebody's to renew.
fn imported(user: &User) -> Value {
    let mut written = Map::new();
    let mut put = |name: &str, value: Value| written.insert(name.into(), value);
    if let Some(token) = &user.token {
        put("token", json!(token.expose()));
    }
    if let Some(file) = &user.token_file {
        put("tokenFile", json!(file.path));
    }
    if let Some(login) = &user.login {
        put("username", json!(login.username));
        put("password", json!(login.password.expose()));
    }
    if let Some(pair) = &user.certificate {
        put("client-certificate-data", json!(STANDARD.encode(&pair.certificate)));
        put("client-key-data", json!(STANDARD.encode(pair.private_key.expose())));
    }
    if let Some(exec) = &user.exec {
        put("exec", plugin(exec));
    }
    if let Some(other) = &user.impersonation {
        put("as", json!(other.user));
        if let Some(uid) = &other.uid {
            put("as-uid", json!(uid));
        }
        put("as-groups", json!(other.groups));
        put("as-user-extra", other.extra.iter().cloned().collect::<BTreeMap<_, _>>().into_iter().collect());
    }
    Value::Object(written)
}

fn plugin(exec: &Exec) -> Value {
    let variable = |(name, value): &(String, Secret)| json!({"name": name, "value": value.expose()});
    let mut written = json!({
        "apiVersion": exec.api_version,
        "command": exec.command,
        "args": exec.arguments.iter().map(Secret::expose).collect::<Vec<_>>(),
        "env": exec.environment.iter().map(variable).collect::<Vec<_>>(),
    });
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            written[name] = value;
        }
    };
    put("installHint", exec.install_hint.as_ref().map(|hint| json!(hint)));
    put("interactiveMode", exec.interactive_mode.as_ref().map(|mode| json!(mode)));
    put("provideClusterInfo", exec.provide_cluster_info.map(Value::from));
    written
}
