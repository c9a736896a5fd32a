//! What is known once somebody is logged in: where the cluster is, and what shows who we are there.

use std::path::{Path, PathBuf};

use super::{Login, Plan};
use crate::payload::{Exec, Target};
use crate::secret::Secret;

/// Where the cluster is, and how one shows there who one is.
#[derive(Clone, Debug)]
pub struct Access {
    /// An https URL.
    pub server: String,
    /// PEM of one or more certificates.
    pub certificate_authority: Option<String>,
    /// What shows who we are.
    pub credential: Credential,
}

/// What shows who we are.
#[derive(Clone, Debug)]
pub enum Credential {
    /// What the payload gives.
    Given,
    /// A token in a file, which the agent renews.
    Token {
        /// Absolute.
        file: PathBuf,
        /// What it held at first.
        token: Secret,
    },
    /// A client certificate in files, which the agent renews.
    Certificate {
        /// Absolute.
        certificate_file: PathBuf,
        /// Absolute.
        key_file: PathBuf,
        /// PEM.
        certificate: String,
        /// PEM.
        private_key: Secret,
    },
    /// kubectl asks this plugin.
    Plugin(Exec),
}

impl Access {
    /// What is known without a login; `None` where the account's provider has to be asked.
    #[must_use]
    pub fn without_login(plan: &Plan) -> Option<Self> {
        let credential = match &plan.login {
            Login::Given => Credential::Given,
            Login::Broker(_) | Login::Exec { .. } => return None,
        };
        Self::of_target(&plan.step.target, credential)
    }

    /// The target's own place; `None` where the account's provider has to be asked.
    #[must_use]
    pub fn of_target(target: &Target, credential: Credential) -> Option<Self> {
        let (server, certificate_authority) = (target.server.clone()?, target.certificate_authority.clone());
        Some(Self { server, certificate_authority, credential })
    }

    /// What it will look like, to be shown before anything is done.
    #[must_use]
    pub fn foreseen(plan: &Plan) -> Self {
        // Stands for the private folder, which is not there yet.
        let private = Path::new("PRIVATE");
        let token = || Credential::Token { file: private.join("token"), token: Secret::new(String::new()) };
        Self::without_login(plan).unwrap_or_else(|| {
            let target = &plan.step.target;
            let credential = match &plan.login {
                Login::Exec { plugin, .. } => Credential::Plugin(plugin.exec(private)),
                Login::Given | Login::Broker(_) => token(),
            };
            Self {
                server: target.server.clone().unwrap_or_else(|| "FOUND BY THE LOGIN".to_owned()),
                certificate_authority: target.certificate_authority.clone(),
                credential,
            }
        })
    }
}
