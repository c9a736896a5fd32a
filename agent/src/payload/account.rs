//! The ways to log in, each with what it needs.

use std::path::PathBuf;

use super::aks::Aks;
use super::eks::Eks;
use super::gke::Gke;
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
    /// An account of Azure, at a cluster of AKS.
    Aks(Box<Aks>),
    /// An account of Google Cloud, at a cluster of GKE.
    Gke(Box<Gke>),
}

/// A token of OpenID Connect.
#[derive(Clone, Debug)]
pub enum WebToken {
    /// It is given, and lasts as long as it does.
    Given(Secret),
    /// A file that somebody else renews.
    File {
        /// Absolute.
        path: PathBuf,
        /// What it holds now.
        token: Secret,
    },
}

impl WebToken {
    /// The token of now.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        match self {
            Self::Given(token) | Self::File { token, .. } => token,
        }
    }
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
            Self::Aks(_) => "aks",
            Self::Gke(_) => "gke",
        }
    }

    /// Whether a cloud's provider logs in, and may be asked where the cluster is.
    #[must_use]
    pub fn is_cloud(&self) -> bool {
        matches!(self, Self::Eks(_) | Self::Aks(_) | Self::Gke(_))
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
            Self::Aks(aks) => {
                let secrets = aks.secrets().into_iter();
                secrets.map(|(name, secret)| (format!("aks.{name}"), secret)).collect()
            }
            Self::Gke(gke) => {
                let secrets = gke.secrets().into_iter();
                secrets.map(|(name, secret)| (format!("gke.{name}"), secret)).collect()
            }
        }
    }
}
