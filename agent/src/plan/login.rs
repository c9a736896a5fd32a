//! Who logs in, and with which program: decided before anything is run.

use std::path::PathBuf;

use super::eks::EksLogin;
use crate::payload::{Exec, Text};

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
        plugin: Exec,
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
}

impl Cloud {
    /// The program that logs in.
    #[must_use]
    pub fn plugin(&self) -> &Plugin {
        match self {
            Self::Eks(login) => &login.program,
        }
    }
}

/// A variable that the script gets because of its account.
#[derive(Clone, Debug)]
pub enum AccountVariable {
    /// This text.
    Text(Text),
    /// The path of this file in the step's private folder.
    Private(&'static str),
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
