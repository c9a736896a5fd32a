//! Who logs in, and with which program: decided before anything is run.

use std::path::{Path, PathBuf};

use super::aks::AksLogin;
use super::eks::EksLogin;
use super::gke::GkeLogin;
use crate::payload::{Exec, Text};
use crate::secret::Secret;

/// Who logs in.
#[derive(Clone, Debug)]
pub enum Login {
    /// Nobody has to: the kubeconfig holds or names what the payload gives.
    Given,
    /// The agent, before the script; it keeps the credential fresh while the script runs.
    Broker(Cloud),
    /// kubectl, at every call, by this plugin.
    Exec {
        /// Whose account it is.
        cloud: Cloud,
        /// The kubeconfig's entry.
        plugin: PluginEntry,
    },
}

impl Login {
    /// The cloud whose account it is.
    #[must_use]
    pub fn cloud(&self) -> Option<&Cloud> {
        match self {
            Self::Given => None,
            Self::Broker(cloud) | Self::Exec { cloud, .. } => Some(cloud),
        }
    }
}

/// A cloud's login.
#[derive(Clone, Debug)]
pub enum Cloud {
    /// AWS'.
    Eks(EksLogin),
    /// Azure's.
    Aks(AksLogin),
    /// Google's.
    Gke(GkeLogin),
}

impl Cloud {
    /// The program that logs in, where there is one.
    #[must_use]
    pub fn plugin(&self) -> Option<&Plugin> {
        match self {
            Self::Eks(login) => Some(&login.program),
            Self::Aks(login) => login.plugin(),
            Self::Gke(login) => Some(&login.program),
        }
    }
}

/// A kubeconfig's entry by which kubectl runs a plugin.
#[derive(Clone, Debug)]
pub struct PluginEntry {
    /// In full, such as `client.authentication.k8s.io/v1beta1`.
    pub api_version: String,
    /// Absolute.
    pub command: String,
    /// Its arguments.
    pub arguments: Vec<AccountValue>,
    /// What it gets on top of kubectl's environment, or instead of it.
    pub environment: Vec<(&'static str, AccountValue)>,
}

impl PluginEntry {
    /// The entry as it is written, with the place of the step's private folder.
    #[must_use]
    pub fn exec(&self, private: &Path) -> Exec {
        let argument = |value: &AccountValue| match value {
            AccountValue::Text(text) => text.clone(),
            AccountValue::Private(_) => Text::Plain(value.resolved(private)),
        };
        let variable = |(name, value): &(&'static str, AccountValue)| {
            ((*name).to_owned(), Secret::new(value.resolved(private)))
        };
        Exec {
            api_version: self.api_version.clone(),
            command: self.command.clone(),
            arguments: self.arguments.iter().map(argument).collect(),
            environment: self.environment.iter().map(variable).collect(),
            interactive_mode: Some("Never".into()),
            provide_cluster_info: None,
            install_hint: None,
            cluster_config: None,
        }
    }
}

/// What a script, or a plugin, gets because of its account: a variable's value, an argument.
#[derive(Clone, Debug)]
pub enum AccountValue {
    /// This text.
    Text(Text),
    /// The path of this file in the step's private folder.
    Private(&'static str),
}

impl AccountValue {
    pub(super) fn plain(text: &str) -> Self {
        Self::Text(Text::Plain(text.to_owned()))
    }

    pub(super) fn secret(secret: &Secret) -> Self {
        Self::Text(Text::Secret(secret.clone()))
    }

    /// The text, with the place of the step's private folder. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn resolved(&self, private: &Path) -> String {
        match self {
            Self::Text(text) => text.expose().to_owned(),
            Self::Private(name) => private.join(name).display().to_string(),
        }
    }
}

/// A program that logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// Such as `aws`.
    pub name: &'static str,
    /// Absolute.
    pub program: PathBuf,
    /// Such as `2.9.19`; `None` where it is unknown.
    pub version: Option<String>,
}

impl Plugin {
    /// `aws 2.9.19 at /usr/bin/aws`.
    #[must_use]
    pub fn words(&self) -> String {
        let version = self.version.as_deref().unwrap_or("of unknown version");
        format!("{} {version} at {}", self.name, self.program.display())
    }
}
