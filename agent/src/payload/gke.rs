//! An account of Google Cloud at a cluster of GKE, as the payload gives it.

use serde_json::Value;

use crate::secret::Secret;

/// `target.auth.gke`.
#[derive(Clone, Debug)]
pub struct Gke {
    /// The cluster's name in GKE; always there where the container API is asked, as are the next two.
    pub cluster_name: Option<String>,
    /// The project's id.
    pub project: Option<String>,
    /// A zone or a region.
    pub location: Option<String>,
    /// Who logs in.
    pub credentials: GoogleCredentials,
    /// The e-mail address of the service account that is used instead.
    pub impersonate: Option<String>,
    /// Which of the cluster's endpoints is looked up.
    pub endpoint: GkeEndpoint,
}

/// Who logs in.
#[derive(Clone, Debug)]
pub enum GoogleCredentials {
    /// A service account, by its key.
    Key(KeyFile),
    /// Somebody whom Google believes another's token.
    External(KeyFile),
    /// The worker's own.
    VmServiceAccount,
}

/// A key file, judged.
#[derive(Clone, Debug)]
pub struct KeyFile {
    /// The JSON document that is used; the `file` of a `credential_source` in it is absolute.
    pub document: Secret,
    /// What of it is a secret by itself.
    pub leaf: Option<Secret>,
}

impl KeyFile {
    /// The document.
    ///
    /// # Panics
    /// Never: the payload's reader has parsed it.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_str(self.document.expose()).expect("the payload's reader has parsed it")
    }
}

/// An endpoint of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GkeEndpoint {
    /// An address of the internet.
    #[default]
    Public,
    /// One of the cluster's network.
    Private,
    /// A name, with a certificate that everybody believes.
    Dns,
}

impl GkeEndpoint {
    /// Each with its word in the payload.
    pub const WORDS: [(&'static str, Self); 3] =
        [("public", Self::Public), ("private", Self::Private), ("dns", Self::Dns)];

    /// Its word in the payload.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Dns => "dns",
        }
    }
}

impl Gke {
    /// Every secret, with its name below `gke`.
    pub(super) fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        let (name, file) = match &self.credentials {
            GoogleCredentials::Key(file) => ("serviceAccountKey", file),
            GoogleCredentials::External(file) => ("externalAccount", file),
            GoogleCredentials::VmServiceAccount => return Vec::new(),
        };
        std::iter::once(&file.document).chain(&file.leaf).map(|secret| (name, secret)).collect()
    }
}
