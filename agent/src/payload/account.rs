//! The ways to log in, each with what it needs.

use std::path::PathBuf;

use super::eks::Eks;
use super::user::User;
use crate::secret::Secret;

/// How to log in.
#[derive(Clone, Debug)]
pub enum Auth {
    /// A bearer token.
    Token(Secret),
    /// Basic authentication.
    UsernamePassword {
        /// Not a secret.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A client certificate and the key that belongs to it, both PEM.
    ClientCertificate {
        /// The certificate, with its chain.
        certificate: String,
        /// The key, not encrypted.
        private_key: Secret,
    },
    /// A token file that somebody else renews; the kubeconfig names it.
    ServiceAccount {
        /// Absolute.
        token_file: PathBuf,
        /// What it holds now.
        token: Secret,
    },
    /// The pod's own account.
    InCluster {
        /// Absolute.
        token_file: PathBuf,
        /// What it holds now.
        token: Secret,
    },
    /// The user of an imported kubeconfig.
    Kubeconfig(Box<User>),
    /// An account of AWS, at a cluster of EKS.
    Eks(Box<Eks>),
}

impl Auth {
    /// The method's name in the payload and in the result.
    #[must_use]
    pub fn method(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::UsernamePassword { .. } => "usernamePassword",
            Self::ClientCertificate { .. } => "clientCertificate",
            Self::ServiceAccount { .. } => "serviceAccount",
            Self::InCluster { .. } => "inCluster",
            Self::Kubeconfig(_) => "kubeconfig",
            Self::Eks(_) => "eks",
        }
    }

    /// Every secret of the account, with its name below `auth`.
    pub(super) fn secrets(&self) -> Vec<(String, &Secret)> {
        match self {
            Self::Token(token) => vec![("token".into(), token)],
            Self::UsernamePassword { password, .. } => vec![("usernamePassword.password".into(), password)],
            Self::ClientCertificate { private_key, .. } => {
                vec![("clientCertificate.privateKey".into(), private_key)]
            }
            Self::ServiceAccount { token, .. } => vec![("serviceAccount.tokenFile".into(), token)],
            Self::InCluster { token, .. } => vec![("inCluster".into(), token)],
            Self::Kubeconfig(user) => {
                let secrets = user.secrets().into_iter();
                secrets.map(|(name, secret)| (format!("kubeconfig.content: {name}"), secret)).collect()
            }
            Self::Eks(eks) => {
                let secrets = eks.secrets().into_iter();
                secrets.map(|(name, secret)| (format!("eks.credentials.{name}"), secret)).collect()
            }
        }
    }
}
