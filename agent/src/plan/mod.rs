//! Every decision of a step, with its reason, and every refusal that depends on the machine. Pure: it reads no
//! file, no environment and no clock, and does nothing.

mod access;
pub mod aks;
pub mod eks;
pub mod gke;
mod login;
mod route;
mod tools;

use std::path::PathBuf;

pub use access::{Access, Credential};
pub use login::{AccountValue, Cloud, Login, Plugin, PluginEntry};
pub use route::Route;
use tooling_check::{Inventory, State, Tool, Version};
pub use tools::{Needs, asked_of, needs_of, tools_of};

use jiff::Timestamp;

use crate::payload::{Auth, Step, Text};
use tools::{Need, fault, need};

/// A step that can be done, and how.
pub struct Plan {
    /// What was asked.
    pub step: Step,
    /// The tools that the script will find first on its PATH.
    pub tools: Vec<ChosenTool>,
    /// What the user should know, though the step can run.
    pub warnings: Vec<Warning>,
    /// The interpreter.
    pub bash: PathBuf,
    /// How the script's kubectl will log in.
    pub route: Route,
    /// Who logs in.
    pub login: Login,
    /// What the script gets of its account.
    pub account: Vec<(String, AccountValue)>,
    /// What is worth a line before anything is done.
    pub notes: Vec<String>,
}

/// A tool that was found and, where it was tried, runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenTool {
    /// Such as `kubectl`.
    pub name: &'static str,
    /// Absolute.
    pub path: PathBuf,
    /// Such as `1.36.3`; `None` where it was not asked or did not say.
    pub version: Option<String>,
}

/// A closed list, never reworded: other programs read it from the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
pub enum WarningCode {
    /// A tool that scripts often use is not there, or does not run.
    ToolMissing,
    /// A secret has fewer than four bytes, and is not masked.
    SecretTooShort,
    /// The token that the payload gives has ended.
    CredentialEnded,
    /// The credential cannot be renewed, and the script may outlive it.
    CredentialNotRenewed,
    /// A renewal of the credential failed; it is tried again.
    RenewalFailed,
    /// kubectl gets its credential itself, so that the masker does not know it.
    UnknownCredential,
    /// A secret is a word that ordinary text is made of, and is masked in no other form.
    SecretCommonWord,
    /// No folder in memory could be used: credentials were written to a disk.
    PrivateOnDisk,
    /// The account may not look at the namespace, or not make it (403).
    NamespaceForbidden,
    /// The cluster does not know the account (401).
    NamespaceUnauthorized,
    /// The namespace is being deleted.
    NamespaceTerminating,
    /// Nobody answered for the cluster in time.
    ClusterUnreachable,
    /// The TLS handshake failed.
    ClusterUntrusted,
    /// What answered for the cluster did not answer as an API server does.
    ClusterAnswer,
    /// A process outlived its KILL.
    ProcessSurvived,
    /// More than `limits.output` was written, and the rest was dropped.
    OutputTruncated,
    /// The clean-up failed, and something of the step is still there.
    NotRemoved,
}

impl WarningCode {
    /// The code as the result and the log spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ToolMissing => "ToolMissing",
            Self::SecretTooShort => "SecretTooShort",
            Self::CredentialEnded => "CredentialEnded",
            Self::CredentialNotRenewed => "CredentialNotRenewed",
            Self::RenewalFailed => "RenewalFailed",
            Self::UnknownCredential => "UnknownCredential",
            Self::SecretCommonWord => "SecretCommonWord",
            Self::PrivateOnDisk => "PrivateOnDisk",
            Self::NamespaceForbidden => "NamespaceForbidden",
            Self::NamespaceUnauthorized => "NamespaceUnauthorized",
            Self::NamespaceTerminating => "NamespaceTerminating",
            Self::ClusterUnreachable => "ClusterUnreachable",
            Self::ClusterUntrusted => "ClusterUntrusted",
            Self::ClusterAnswer => "ClusterAnswer",
            Self::ProcessSurvived => "ProcessSurvived",
            Self::OutputTruncated => "OutputTruncated",
            Self::NotRemoved => "NotRemoved",
        }
    }
}

/// Something the user may have to act upon.
#[derive(Clone, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
pub struct Warning {
    /// What kind of thing.
    pub code: WarningCode,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Tools that the step needs and cannot use, all of them.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}", .0.iter().map(|fault| fault.message.as_str()).collect::<Vec<_>>().join("\n"))]
pub struct PlanError(pub Vec<ToolFault>);

/// One tool that the step needs and cannot use.
#[derive(Debug, PartialEq, Eq)]
pub struct ToolFault {
    /// Which, and what is wrong with it.
    pub message: String,
    /// How to mend it.
    pub hint: String,
}

impl PlanError {
    /// How to mend all of it.
    #[must_use]
    pub fn hint(&self) -> String {
        self.0.iter().map(|fault| fault.hint.as_str()).collect::<Vec<_>>().join("\n")
    }
}

impl Plan {
    /// Decides.
    ///
    /// # Errors
    /// Every tool that is needed and not usable, at once.
    pub fn new(step: Step, inventory: &Inventory, now: Timestamp) -> Result<Self, PlanError> {
        let (mut tools, mut warnings, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for finding in inventory.iter() {
            if let State::Usable { path, version } = &finding.state {
                let name = finding.tool.name();
                tools.push(ChosenTool { name, path: path.clone(), version: known(version) });
            }
            match (need(finding.tool, &step), fault(finding)) {
                (_, None) | (Need::Plugin, Some(_)) => {}
                (Need::Must, Some(fault)) => faults.push(fault),
                (Need::May, Some(ToolFault { message, hint })) => {
                    warnings.push(Warning { code: WarningCode::ToolMissing, message, hint: Some(hint) });
                }
            }
        }
        let chosen = Chosen::of(&step, inventory).map_err(|found| faults.extend(found));
        let bash = tools.iter().find(|tool| tool.name == "bash").map(|tool| tool.path.clone());
        match (bash, chosen) {
            (Some(bash), Ok(Chosen { login, account, reason, mut notes })) if faults.is_empty() => {
                notes.extend(without_queue(&step));
                let route = Route::new(&step, &login, reason);
                warnings.extend(route.warnings(&login, now));
                Ok(Self { step, tools, warnings, bash, route, login, account, notes })
            }
            _ => Err(PlanError(faults)),
        }
    }

    /// The kubectl of this step.
    #[must_use]
    pub fn kubectl(&self) -> &ChosenTool {
        self.tools.iter().find(|tool| tool.name == "kubectl").expect("a plan is only made with a kubectl")
    }
}

/// A step that is run here and now has no queue that could do what it says to one.
fn without_queue(step: &Step) -> Option<String> {
    let unheard = step.queueing.unheard();
    let list = unheard.join(", ");
    (!unheard.is_empty()).then(|| format!("{list}: for a queue; the step runs now, once, beside any other"))
}

/// What was decided about the login.
struct Chosen {
    login: Login,
    account: Vec<(String, AccountValue)>,
    /// Why it is this plugin; `None` where there is none.
    reason: Option<String>,
    notes: Vec<String>,
}

impl Chosen {
    fn of(step: &Step, inventory: &Inventory) -> Result<Self, Vec<ToolFault>> {
        let version = match inventory.get(Tool::Kubectl).map(|finding| &finding.state) {
            Some(State::Usable { version, .. }) => version,
            // The step cannot start, which is told; what is decided on top of that is not used.
            _ => &Version::NotAsked,
        };
        match &step.target.auth {
            Auth::Eks(account) => eks::choose(account, step, inventory, version),
            Auth::Aks(account) => aks::choose(account, step, inventory, version),
            Auth::Gke(account) => gke::choose(account, step, inventory, version),
            Auth::Token(_)
            | Auth::UsernamePassword { .. }
            | Auth::ClientCertificate { .. }
            | Auth::ServiceAccount { .. }
            | Auth::InCluster { .. }
            | Auth::Kubeconfig(_) => {
                Ok(Self { login: Login::Given, account: Vec::new(), reason: None, notes: Vec::new() })
            }
        }
    }
}

/// A version as results tell it.
fn known(version: &Version) -> Option<String> {
    match version {
        Version::Known { major, minor, patch, .. } => Some(format!("{major}.{minor}.{patch}")),
        Version::Unknown { .. } | Version::NotAsked => None,
    }
}

/// The PATH by which the script's tools are found: the payload's own, else the agent's.
#[must_use]
pub fn search_path(step: &Step) -> &str {
    step.environment.get("PATH").or_else(|| step.inherited.get("PATH")).map_or(DEFAULT_PATH, Text::expose)
}

/// Where neither the payload nor the agent's environment has a PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
