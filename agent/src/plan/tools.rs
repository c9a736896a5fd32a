//! Which tools a step needs, and what is said of those that it cannot use.

use std::path::PathBuf;

use tooling_check::{Finding, Inventory, State, Tool, Version};

use super::{ToolFault, eks};
use crate::payload::{Auth, Step, TOOL_NAMES};

/// The tools that every run looks for.
const LOOKED_FOR: [&str; 6] = ["kubectl", "bash", "helm", "jq", "xargs", "base64"];

/// The tools without which no step can start.
const NEEDED: [&str; 2] = ["kubectl", "bash"];

/// The tools to look for: what every run does, what this step names, and what can log its account in.
#[must_use]
pub fn tools_of(step: &Step) -> Vec<Tool> {
    let named =
        TOOL_NAMES.into_iter().filter(|name| step.requires.contains(name) || step.tools.contains_key(name));
    let mut tools: Vec<Tool> = LOOKED_FOR.into_iter().chain(named).filter_map(Tool::named).collect();
    tools.extend(plugins(&step.target.auth));
    tools.sort_unstable();
    tools.dedup();
    tools
}

/// What a step has to do with tools: all that `kubestep check` needs to know of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// It does not start without these.
    pub must: Vec<Tool>,
    /// Scripts often use these.
    pub may: Vec<Tool>,
    /// One of these has to log in, the better one first; none where no plugin is used.
    pub one_of: Vec<Tool>,
}

/// What the step has to do with tools.
#[must_use]
pub fn needs_of(step: &Step) -> Needs {
    let mut needs = Needs { one_of: plugins(&step.target.auth), ..Needs::default() };
    if let (Auth::Aks(_), None) = (&step.target.auth, &step.target.server) {
        // A cluster without Entra hands its own account out.
        needs.may.append(&mut needs.one_of);
    }
    for tool in tools_of(step) {
        match need(tool, step) {
            Need::Must => needs.must.push(tool),
            Need::May => needs.may.push(tool),
            Need::Plugin => {}
        }
    }
    needs
}

/// The tools that are run to hear their version: those whose version decides something.
#[must_use]
pub fn asked_of(step: &Step) -> Vec<Tool> {
    tooling_check::inventory::ASKED.into_iter().chain(plugins(&step.target.auth)).collect()
}

/// The plugins that can log the account in.
fn plugins(auth: &Auth) -> Vec<Tool> {
    match auth {
        Auth::Eks(account) => eks::candidates(account).iter().map(|plugin| plugin.tool()).collect(),
        // The cluster's own administrator needs none.
        Auth::Aks(account) if account.admin => Vec::new(),
        Auth::Aks(_) => vec![Tool::Kubelogin],
        Auth::Gke(_) => vec![Tool::GkeGcloudAuthPlugin],
        Auth::Token(_)
        | Auth::UsernamePassword { .. }
        | Auth::ClientCertificate { .. }
        | Auth::ServiceAccount { .. }
        | Auth::InCluster { .. }
        | Auth::Kubeconfig(_) => Vec::new(),
    }
}

/// What a tool that cannot be used means for a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// It must not start.
    Must,
    /// A script may miss it.
    May,
    /// Only the choice of a plugin depends on it.
    Plugin,
}

pub(super) fn need(tool: Tool, step: &Step) -> Need {
    let name = tool.name();
    if NEEDED.contains(&name) || step.requires.contains(&name) || step.tools.contains_key(name) {
        Need::Must
    } else if plugins(&step.target.auth).contains(&tool) {
        Need::Plugin
    } else {
        Need::May
    }
}

/// Why a tool cannot be used, and what to do; `None` where it can.
pub(super) fn fault(finding: &Finding) -> Option<ToolFault> {
    let message = finding.complaint()?;
    let name = finding.tool.name();
    let by_path = format!("or name another in the payload (tools: {{{name}: /path/to/{name}}})");
    let hint = finding.hint().map_or_else(|| by_path.clone(), |hint| format!("{hint}; {by_path}"));
    Some(ToolFault { message, hint })
}

/// A plugin that runs.
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) version: Version,
}

pub(super) fn candidate(tool: Tool, inventory: &Inventory) -> Result<Candidate, ToolFault> {
    let missing = || ToolFault { message: format!("{tool} was not looked for"), hint: String::new() };
    let finding = inventory.get(tool).ok_or_else(missing)?;
    match (&finding.state, fault(finding)) {
        (State::Usable { path, version }, _) => {
            Ok(Candidate { path: path.clone(), version: version.clone() })
        }
        (_, fault) => Err(fault.unwrap_or_else(missing)),
    }
}
