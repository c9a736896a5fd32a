//! What is to be said about tools with each other, and with the clusters' version.

use super::wanted::{EKS, Profile, Wanted};
use super::{Check, Group, Level, Remark};
use crate::inventory::{Finding, Inventory, State};
use crate::kind::Kind;
use crate::prove::{Outcome, Proof};
use crate::rules::{Answers, ApiVersion, Enough, Pair, Rules, Skew};
use crate::system::System;
use crate::tool::Tool;
use crate::version::Version;

/// The plugins that log in, each with the profile that needs it.
pub const PLUGINS: [(Tool, Profile); 4] = [
    (Tool::Aws, Profile::Eks),
    (Tool::AwsIamAuthenticator, Profile::Eks),
    (Tool::Kubelogin, Profile::Aks),
    (Tool::GkeGcloudAuthPlugin, Profile::Gke),
];

pub(super) fn checks(inventory: &Inventory, proofs: &[Proof], wanted: &Wanted, rules: &Rules) -> Vec<Check> {
    let mut checks = Vec::new();
    let Some(kubectl) = usable(inventory, Tool::Kubectl) else { return checks };
    for (plugin, profile) in PLUGINS {
        // What happened beats what the rules foretell.
        let proved = proofs
            .iter()
            .any(|proof| proof.plugin == plugin && !matches!(proof.outcome, Outcome::Excused { .. }));
        if !proved {
            checks.extend(login(plugin, wanted.is_for(profile), inventory, rules));
        }
    }
    checks.extend(helm(kubectl, inventory, rules));
    let Some(server) = wanted.server else { return checks };
    for tool in [Tool::Kubectl, Tool::Helm] {
        if let Some(finding) = inventory.get(tool).filter(|finding| finding.usable().is_some()) {
            checks.push(skew(finding, server, wanted, rules));
        }
    }
    checks
}

fn usable(inventory: &Inventory, tool: Tool) -> Option<&Version> {
    match &inventory.get(tool)?.state {
        State::Usable { version, .. } => Some(version),
        State::Missing | State::Unusable { .. } => None,
    }
}

/// kubectl and a plugin, for both ways: kubestep runs the plugin and hands the token over (broker), or kubectl runs it
/// (exec).
fn login(plugin: Tool, is_wanted: bool, inventory: &Inventory, rules: &Rules) -> Option<Check> {
    let (kubectl, version) = usable(inventory, Tool::Kubectl).zip(usable(inventory, plugin))?;
    let makes_tokens = !matches!(rules.is_enough(plugin, version), Enough::TooOld(_))
        && !matches!(rules.emits(plugin, version), Answers::Nothing { .. });
    // EKS has two ways in: one that does not work matters only where the other one does not, either.
    let other_works = EKS.contains(&plugin)
        && EKS.into_iter().filter(|other| *other != plugin).any(|other| {
            let version = usable(inventory, other);
            version.is_some_and(|version| matches!(rules.pair(kubectl, other, version), Pair::Works(_)))
        });
    let level = |level: Level| if is_wanted && !other_works { level } else { Level::Note };
    let (short, remarks) = match rules.pair(kubectl, plugin, version) {
        Pair::Works(api) => (format!("{api}, brokered or run by kubectl"), Vec::new()),
        Pair::Unknown(api) => {
            let says = format!("a version is unknown: {api} is the likeliest to work; --prove tries it");
            let remark = Remark { level: Level::Note, code: "Unknown", says, fix: None };
            (format!("{api}, likely"), vec![remark])
        }
        Pair::Never { why, hint } if makes_tokens => {
            let says = format!("kubectl cannot run it: {why}; brokered by kubestep it works");
            let remark = Remark {
                level: level(Level::Warning),
                code: "ExecNever",
                says,
                fix: Some(with_command(hint, plugin, rules)),
            };
            ("brokered only".to_owned(), vec![remark])
        }
        Pair::Never { why, hint } => {
            let remark = Remark {
                level: level(Level::Lacking),
                code: "Never",
                says: why,
                fix: Some(with_command(hint, plugin, rules)),
            };
            ("never".to_owned(), vec![remark])
        }
    };
    let id = format!("pair/kubectl+{plugin}");
    Some(Check::new(id, Group::Pairs, &[Tool::Kubectl, plugin], short, remarks))
}

/// One kubeconfig serves kubectl and helm: both have to read what the plugins answer.
fn helm(kubectl: &Version, inventory: &Inventory, rules: &Rules) -> Option<Check> {
    let version = usable(inventory, Tool::Helm)?;
    let said = inventory.get(Tool::Helm).and_then(|finding| finding.kubernetes);
    let built_for = rules.kubernetes_of(Tool::Helm, version, said);
    let (short, remark) = match built_for {
        None => ("unknown".to_owned(), None),
        Some((major, minor)) => {
            let as_kubectl = Version::Known { printed: String::new(), major, minor, patch: 0 };
            let fails = |plugin: Tool| {
                let found = usable(inventory, plugin)?;
                let works = |client: &Version| match rules.pair(client, plugin, found) {
                    Pair::Works(api) | Pair::Unknown(api) => Some(api),
                    Pair::Never { .. } => None,
                };
                works(kubectl).filter(|api| works(&as_kubectl) != Some(*api)).map(|api| (plugin, found, api))
            };
            let failing = PLUGINS.iter().find_map(|(plugin, _)| fails(*plugin));
            let remark = failing.map(|(plugin, found, api)| Remark {
                level: Level::Note,
                code: "OtherApi",
                says: format!(
                    "helm {version} (Kubernetes {major}.{minor}) does not read {api}, which kubectl {kubectl} needs of {plugin} {found}"
                ),
                fix: Some("use brokered credentials, or a kubectl of helm's age".to_owned()),
            });
            (format!("helm is built for Kubernetes {major}.{minor}"), remark)
        }
    };
    let remarks = remark.into_iter().collect();
    Some(Check::new(
        "pair/kubectl+helm".to_owned(),
        Group::Pairs,
        &[Tool::Kubectl, Tool::Helm],
        short,
        remarks,
    ))
}

fn skew(finding: &Finding, server: (u32, u32), wanted: &Wanted, rules: &Rules) -> Check {
    let tool = finding.tool;
    let version = finding.version().cloned().unwrap_or(Version::Unknown { printed: None });
    let built_for = rules.kubernetes_of(tool, &version, finding.kubernetes);
    let told = format!("{}.{}", server.0, server.1);
    let mut clients = vec![built_for];
    if let Some(Kind::Dispatcher { siblings }) = &finding.kind {
        // It runs the sibling of the server's own version, where there is one.
        clients.extend(siblings.iter().filter(|sibling| **sibling == server).map(|sibling| Some(*sibling)));
    }
    let verdicts = clients.into_iter().map(|client| rules.skew(tool, client, server));
    let best = verdicts.max_by_key(|skew| match skew {
        Skew::Supported => 2,
        Skew::Unknown => 1,
        Skew::Unsupported(_) => 0,
    });
    let (short, remark) = match best.unwrap_or(Skew::Unknown) {
        Skew::Supported => (format!("{told} is supported"), None),
        Skew::Unknown => (format!("{told}: unknown"), None),
        Skew::Unsupported(range) => {
            let is_wanted = wanted.needed.contains_key(&tool);
            let says = format!(
                "{tool} {version} is supported with Kubernetes {}.{} to {}.{}, and the server is {told}",
                range.major, range.oldest, range.major, range.newest
            );
            let remark = Remark {
                level: if is_wanted { Level::Warning } else { Level::Note },
                code: "Skew",
                says,
                fix: Some(match tool {
                    Tool::Kubectl => format!("install kubectl {told}"),
                    _ => format!("install a {tool} that is built for Kubernetes {told} or a little newer"),
                }),
            };
            (format!("{told} is not supported"), Some(remark))
        }
    };
    Check::new(format!("server/{tool}"), Group::Pairs, &[tool], short, remark.into_iter().collect())
}

/// What happened when kubectl ran the plugins.
pub(super) fn proofs(proofs: &[Proof], inventory: &Inventory, wanted: &Wanted, rules: &Rules) -> Vec<Check> {
    let accepted =
        |tool: Tool| proofs.iter().any(|proof| proof.plugin == tool && proof.outcome == Outcome::Accepted);
    let checks = proofs.iter().map(|one| {
        let for_profile =
            PLUGINS.iter().any(|(tool, profile)| *tool == one.plugin && wanted.is_for(*profile));
        // One way into EKS is enough.
        let other =
            EKS.contains(&one.plugin) && EKS.into_iter().any(|other| other != one.plugin && accepted(other));
        let is_wanted = wanted.needed.contains_key(&one.plugin) || (for_profile && !other);
        proof(one, is_wanted, inventory, rules)
    });
    checks.collect()
}

fn proof(proof: &Proof, is_wanted: bool, inventory: &Inventory, rules: &Rules) -> Check {
    let Proof { plugin, api, outcome, took } = proof;
    let versions = usable(inventory, Tool::Kubectl).zip(usable(inventory, *plugin));
    let foretold = versions.and_then(|(kubectl, version)| match rules.pair(kubectl, *plugin, version) {
        Pair::Never { why, hint } => Some((why, with_command(hint, *plugin, rules))),
        Pair::Works(_) | Pair::Unknown(_) => None,
    });
    let mut details: Vec<String> =
        took.map(|took| format!("took {} ms", took.as_millis())).into_iter().collect();
    let (short, remark) = match outcome {
        Outcome::Accepted => (format!("kubectl took its {api} credential"), None),
        Outcome::Excused { why } => {
            let says = format!("{plugin} was not tried: {why}");
            ("not tried".to_owned(), Some(Remark { level: Level::Note, code: "Excused", says, fix: None }))
        }
        Outcome::Failed { said, makes_tokens } => {
            details.push(format!("kubectl said: {said}"));
            // Where the rules know why, something is too old; where they do not, something is broken.
            let level = match (makes_tokens, &foretold) {
                (true, _) => Level::Warning,
                (false, Some(_)) => Level::Lacking,
                (false, None) => Level::Broken,
            };
            let rest = if *makes_tokens { "; brokered by kubestep it works" } else { "" };
            let (why, fix) = foretold.map_or_else(|| (said.clone(), None), |(why, fix)| (why, Some(fix)));
            let says = format!("kubectl cannot run {plugin}: {why}{rest}");
            let level = if is_wanted { level } else { Level::Note };
            let short = if *makes_tokens { "brokered only" } else { "failed" };
            (short.to_owned(), Some(Remark { level, code: "Refused", says, fix }))
        }
    };
    let remarks = remark.into_iter().collect();
    let id = format!("prove/kubectl+{plugin}");
    let mut check = Check::new(id, Group::Proof, &[Tool::Kubectl, *plugin], short, remarks);
    check.details = details;
    check
}

/// `install aws 2.6.3 or newer`, and how.
fn with_command(hint: String, plugin: Tool, rules: &Rules) -> String {
    let own = hint.starts_with(&format!("install {plugin} "));
    match rules.install(plugin, &System::here()).filter(|_| own) {
        Some(command) => format!("{hint}: {command}"),
        None => hint,
    }
}

/// The API version to try a pair with.
pub(crate) fn api_to_try(rules: &Rules, kubectl: &Version, plugin: Tool, version: &Version) -> ApiVersion {
    match rules.pair(kubectl, plugin, version) {
        Pair::Works(api) | Pair::Unknown(api) => api,
        Pair::Never { .. } => {
            let accepted = rules.accepts(kubectl).and_then(|all| all.iter().next());
            accepted.unwrap_or(ApiVersion::V1Beta1)
        }
    }
}
