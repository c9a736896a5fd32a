//! The user of an imported kubeconfig: whatever kubectl would log in with, checked, its secrets as secrets.
//!
//! A kubeconfig may combine what a payload's own methods keep apart (a certificate and a token, say), so this is a
//! struct of parts; at least one of them is there, and no two that kubectl refuses together.

use std::path::PathBuf;

use super::Text;
use crate::secret::Secret;

/// What logs in, and whom it speaks for.
#[derive(Clone, Debug, Default)]
pub struct User {
    /// `token`.
    pub token: Option<Secret>,
    /// `tokenFile`; it beats `token`.
    pub token_file: Option<TokenFile>,
    /// `username` and `password`.
    pub login: Option<Login>,
    /// `client-certificate` and `client-key`.
    pub certificate: Option<KeyPair>,
    /// `exec`: kubectl runs this program for its credential. A static token or password beats it.
    pub exec: Option<Exec>,
    /// `as` and its like.
    pub impersonation: Option<Impersonation>,
}

/// A token that somebody else renews.
#[derive(Clone, Debug)]
pub struct TokenFile {
    /// Absolute.
    pub path: PathBuf,
    /// What it holds now.
    pub token: Secret,
}

/// Basic authentication.
#[derive(Clone, Debug)]
pub struct Login {
    /// Not a secret.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// A client certificate and its key, both PEM; they belong together.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The certificate, with its chain.
    pub certificate: String,
    /// The key, not encrypted.
    pub private_key: Secret,
}

/// A credential plugin, as the kubeconfig has it.
#[derive(Clone, Debug)]
pub struct Exec {
    /// `client.authentication.k8s.io/…`.
    pub api_version: String,
    /// A name to be found on the PATH, or absolute.
    pub command: String,
    /// Its arguments; those of flags that sound like a secret are secrets.
    pub arguments: Vec<Text>,
    /// Variables on top of the script's, in order.
    pub environment: Vec<(String, Secret)>,
    /// `Never` or `IfAvailable`; none where the kubeconfig has none.
    pub interactive_mode: Option<String>,
    /// Whether the plugin is told which cluster it is for.
    pub provide_cluster_info: Option<bool>,
    /// What kubectl says where the command is not on the PATH.
    pub install_hint: Option<String>,
    /// JSON: the cluster's extension `client.authentication.k8s.io/exec`, which is the plugin's own configuration.
    pub cluster_config: Option<Secret>,
}

/// Whom requests are made for.
#[derive(Clone, Debug)]
pub struct Impersonation {
    /// `as`.
    pub user: String,
    /// `as-uid`.
    pub uid: Option<String>,
    /// `as-groups`.
    pub groups: Vec<String>,
    /// `as-user-extra`.
    pub extra: Vec<(String, Vec<String>)>,
}

impl User {
    /// The bearer token that kubectl would send without asking a plugin.
    #[must_use]
    pub fn bearer(&self) -> Option<&Secret> {
        self.token_file.as_ref().map(|file| &file.token).or(self.token.as_ref())
    }

    /// Every secret of the user, with its name in the kubeconfig.
    pub(super) fn secrets(&self) -> Vec<(String, &Secret)> {
        let mut all: Vec<(String, &Secret)> = Vec::new();
        all.extend(self.token.iter().map(|token| ("token".into(), token)));
        all.extend(self.token_file.iter().map(|file| ("tokenFile".into(), &file.token)));
        all.extend(self.login.iter().map(|login| ("password".into(), &login.password)));
        all.extend(self.certificate.iter().map(|pair| ("client-key".into(), &pair.private_key)));
        for (name, value) in self.exec.iter().flat_map(|exec| &exec.environment) {
            // An empty value hides nothing.
            if !value.expose().is_empty() {
                all.push((format!("exec.env.{name}"), value));
            }
        }
        for argument in self.exec.iter().flat_map(|exec| &exec.arguments) {
            if let Text::Secret(secret) = argument {
                all.push(("exec.args".into(), secret));
            }
        }
        all
    }
}
