//! Every decision of a step, with its reason, and every refusal that depends on the machine. Pure: it reads no
//! file, no environment and no clock, and does nothing.

mod route;

use std::path::PathBuf;

pub use route::Route;
use tooling_check::{Inventory, State, Tool, Version};

use jiff::Timestamp;

use crate::payload::{Step, TOOL_NAMES, Text};

/// The tools that every run looks for.
const LOOKED_FOR: [&str; 6] = ["kubectl", "bash", "helm", "jq", "xargs", "base64"];

/// The tools without which no step can start.
const NEEDED: [&str; 2] = ["kubectl", "bash"];

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

/// The tools to look for: what every run does, and what this step names.
#[must_use]
pub fn tools_of(step: &Step) -> Vec<Tool> {
    let named =
        TOOL_NAMES.into_iter().filter(|name| step.requires.contains(name) || step.tools.contains_key(name));
    let mut tools: Vec<Tool> = LOOKED_FOR.into_iter().chain(named).filter_map(Tool::named).collect();
    tools.sort_unstable();
    tools.dedup();
    tools
}

impl Plan {
    /// Decides.
    ///
    /// # Errors
    /// Every tool that is needed and not usable, at once.
    pub fn new(step: Step, inventory: &Inventory, now: Timestamp) -> Result<Self, PlanError> {
        let route = Route::new(&step.target.auth);
        let (mut tools, mut warnings, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for finding in inventory.iter() {
            let name = finding.tool.name();
            let message = match &finding.state {
                State::Usable { path, version } => {
                    tools.push(ChosenTool { name, path: path.clone(), version: known(version) });
                    continue;
                }
                State::Missing => format!("{name} is not on the PATH"),
                State::Unusable { path, fault } => format!("{name} at {} {fault}", path.display()),
            };
            let by_path = format!("or name another in the payload (tools: {{{name}: /path/to/{name}}})");
            let hint = finding.hint().map_or_else(|| by_path.clone(), |hint| format!("{hint}; {by_path}"));
            if NEEDED.contains(&name) || step.requires.contains(&name) || step.tools.contains_key(name) {
                faults.push(ToolFault { message, hint });
            } else {
                warnings.push(Warning { code: WarningCode::ToolMissing, message, hint: Some(hint) });
            }
        }
        let bash = tools.iter().find(|tool| tool.name == "bash").map(|tool| tool.path.clone());
        match bash {
            Some(bash) if faults.is_empty() => {
                warnings.extend(ended(&route, now));
                Ok(Self { step, tools, warnings, bash, route })
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

/// The step can still run: it may be there to debug just this.
fn ended(route: &Route, now: Timestamp) -> Option<Warning> {
    let until = route.until.filter(|until| *until <= now && !route.is_renewed)?;
    Some(Warning {
        code: WarningCode::CredentialEnded,
        message: format!("the token of target.auth.{} ended at {until}", route.method),
        hint: Some("make a new one, such as by kubectl create token ACCOUNT --duration 1h".into()),
    })
}

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
