//! An account of Azure at a cluster of AKS, as the payload gives it.

use super::account::WebToken;
use crate::secret::Secret;

/// The one application of Entra that stands for all clusters of AKS.
pub const SERVER_ID: &str = "6dae42f8-4368-4678-94ff-3960e28e3630";

/// `target.auth.aks`.
#[derive(Clone, Debug)]
pub struct Aks {
    /// Where the management API finds the cluster; always there where it is asked.
    pub cluster: Option<AksCluster>,
    /// Of the subscription, whether or not the cluster is named.
    pub subscription_id: Option<String>,
    /// The directory; `None` only with a managed identity.
    pub tenant_id: Option<String>,
    /// The application, or the managed identity where the machine has several; `None` only with a managed identity.
    pub client_id: Option<String>,
    /// Which of Azure's clouds.
    pub environment: AzureEnvironment,
    /// Who logs in.
    pub credentials: AzureCredentials,
    /// Whether the cluster's own administrator is used instead of the account.
    pub admin: bool,
    /// The application of Entra that tokens are made for.
    pub server_id: String,
}

/// A cluster's place in Azure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AksCluster {
    /// The subscription.
    pub subscription_id: String,
    /// The group.
    pub resource_group: String,
    /// The cluster's name.
    pub name: String,
}

/// Who logs in.
#[derive(Clone, Debug)]
pub enum AzureCredentials {
    /// An application, by a secret.
    Secret(Secret),
    /// An application, by a certificate.
    Certificate(Box<AzureCertificate>),
    /// An application, by a token of somebody else's.
    Federated(WebToken),
    /// The worker's own.
    ManagedIdentity,
}

/// The certificate of an application; its key is RSA.
#[derive(Clone, Debug)]
pub struct AzureCertificate {
    /// PEM, with its chain.
    pub certificate: String,
    /// PEM, not encrypted.
    pub private_key: Secret,
    /// The PFX that both came in.
    pub pfx: Option<Pfx>,
}

/// A PFX as it was given.
#[derive(Clone, Debug)]
pub struct Pfx {
    /// In base64.
    pub packed: Secret,
    /// `None` is the empty one.
    pub password: Option<Secret>,
}

/// One of Azure's clouds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AzureEnvironment {
    /// The public one.
    #[default]
    Public,
    /// 21Vianet's.
    China,
    /// The United States' government's.
    UsGovernment,
}

impl AzureEnvironment {
    /// Each with its word in the payload, which is the az command line's.
    pub const WORDS: [(&'static str, Self); 3] = [
        ("AzureCloud", Self::Public),
        ("AzureChinaCloud", Self::China),
        ("AzureUSGovernment", Self::UsGovernment),
    ];
}

impl Aks {
    /// Whether a login can be repeated as long as a script may run.
    #[must_use]
    pub fn is_renewed(&self) -> bool {
        self.given_token().is_none()
    }

    /// The token of somebody else's that is given once and for all; what an administrator gets outlasts it.
    #[must_use]
    pub fn given_token(&self) -> Option<&Secret> {
        match &self.credentials {
            AzureCredentials::Federated(WebToken::Given(token)) if !self.admin => Some(token),
            _ => None,
        }
    }

    /// Every secret, with its name below `aks`.
    pub(super) fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        match &self.credentials {
            AzureCredentials::Secret(secret) => vec![("clientSecret", secret)],
            AzureCredentials::Certificate(certificate) => {
                let mut secrets = vec![("clientCertificate", &certificate.private_key)];
                if let Some(pfx) = &certificate.pfx {
                    secrets.push(("clientCertificate", &pfx.packed));
                    secrets
                        .extend(pfx.password.iter().map(|password| ("clientCertificatePassword", password)));
                }
                secrets
            }
            AzureCredentials::Federated(WebToken::Given(token)) => vec![("federatedToken", token)],
            AzureCredentials::Federated(WebToken::File { token, .. }) => vec![("federatedTokenFile", token)],
            AzureCredentials::ManagedIdentity => Vec::new(),
        }
    }
}
