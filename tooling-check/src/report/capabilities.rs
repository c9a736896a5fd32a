//! What steps can be sent to this machine: for a worker's registration, and for routing.

use serde::Serialize;

use crate::check::wanted::Profile;
use crate::check::{PLUGINS, Report};
use crate::inventory::{Inventory, State};
use crate::rules::{Answers, Enough, Pair, Rules};
use crate::tool::Tool;
use crate::version::Version;

/// Grows when a word changes its meaning or goes away.
const FORM: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema_version: u32,
    rules: &'a str,
    capabilities: Vec<&'static str>,
    /// The oldest and the newest minor version of Kubernetes that its kubectl supports.
    kubernetes: Option<[String; 2]>,
    tools: serde_json::Map<String, serde_json::Value>,
}

/// One JSON document with a newline at its end.
///
/// # Errors
/// None in practice: every value is text or a number.
pub fn capabilities(report: &Report, inventory: &Inventory, rules: &Rules) -> serde_json::Result<String> {
    let machine = Machine { report, inventory, rules };
    let usable = inventory.iter().filter(|finding| finding.usable().is_some());
    let tools = usable.map(|finding| {
        let version = finding.version().map(Version::to_string);
        (finding.tool.name().to_owned(), version.map_or(serde_json::Value::Null, Into::into))
    });
    let document = Document {
        schema_version: FORM,
        rules: rules.date(),
        capabilities: machine.words().into_iter().filter(|(_, can)| *can).map(|(word, _)| word).collect(),
        kubernetes: machine.kubernetes(),
        tools: tools.collect(),
    };
    serde_json::to_string_pretty(&document).map(|text| text + "\n")
}

struct Machine<'a> {
    report: &'a Report,
    inventory: &'a Inventory,
    rules: &'a Rules,
}

impl Machine<'_> {
    /// Every word, and whether it holds.
    fn words(&self) -> [(&'static str, bool); 18] {
        let helm = |major| self.has(Tool::Helm) && self.major(Tool::Helm) == Some(major);
        [
            ("kubernetes", self.has(Tool::Kubectl) && self.has(Tool::Bash)),
            ("eks", self.logs_in(Profile::Eks)),
            ("eks-exec", self.runs_plugin(Profile::Eks)),
            ("aks-entra", self.logs_in(Profile::Aks)),
            ("aks-entra-exec", self.runs_plugin(Profile::Aks)),
            ("gke", self.logs_in(Profile::Gke)),
            ("gke-exec", self.runs_plugin(Profile::Gke)),
            ("helm", self.has(Tool::Helm)),
            ("helm-3", helm(3)),
            ("helm-4", helm(4)),
            ("bash", self.has(Tool::Bash)),
            ("python", self.has(Tool::Python3)),
            ("powershell", self.has(Tool::Pwsh)),
            ("aws-cli", self.has(Tool::Aws)),
            ("azure-cli", self.has(Tool::Az)),
            ("gcloud", self.has(Tool::Gcloud)),
            ("jq", self.has(Tool::Jq)),
            ("openssl", self.has(Tool::Openssl)),
        ]
    }

    fn version(&self, tool: Tool) -> Option<&Version> {
        match &self.inventory.get(tool)?.state {
            State::Usable { version, .. } => Some(version),
            State::Missing | State::Unusable { .. } => None,
        }
    }

    fn has(&self, tool: Tool) -> bool {
        let version = self.version(tool);
        version.is_some_and(|version| !matches!(self.rules.is_enough(tool, version), Enough::TooOld(_)))
    }

    fn major(&self, tool: Tool) -> Option<u32> {
        self.version(tool).and_then(Version::numbers).map(|(major, ..)| major)
    }

    /// Whether the plugin makes a token that kubestep can hand over.
    fn makes_tokens(&self, plugin: Tool) -> bool {
        let Some(version) = self.version(plugin) else { return false };
        let answers = !matches!(self.rules.emits(plugin, version), Answers::Nothing { .. });
        self.has(plugin) && answers && self.tried(plugin) != Some("failed")
    }

    /// How a proof of the plugin ended, where there was one.
    fn tried(&self, plugin: Tool) -> Option<&str> {
        let id = format!("prove/kubectl+{plugin}");
        self.report.checks.iter().find(|check| check.id == id).map(|check| check.short.as_str())
    }

    fn logs_in(&self, profile: Profile) -> bool {
        let mut plugins = PLUGINS.iter().filter(|(_, its)| *its == profile);
        self.has(Tool::Kubectl) && plugins.any(|(plugin, _)| self.makes_tokens(*plugin))
    }

    /// Whether kubectl can run a plugin itself.
    fn runs_plugin(&self, profile: Profile) -> bool {
        let runs = |plugin: Tool| {
            let versions = self.version(Tool::Kubectl).zip(self.version(plugin));
            let pair = versions.map(|(kubectl, version)| self.rules.pair(kubectl, plugin, version));
            let refused = self.tried(plugin) == Some("brokered only");
            self.makes_tokens(plugin) && matches!(pair, Some(Pair::Works(_))) && !refused
        };
        PLUGINS.iter().any(|(plugin, its)| *its == profile && runs(*plugin))
    }

    fn kubernetes(&self) -> Option<[String; 2]> {
        let minor = self.rules.kubernetes_of(Tool::Kubectl, self.version(Tool::Kubectl)?, None)?;
        let range = self.rules.supported(Tool::Kubectl, minor)?;
        Some([range.oldest, range.newest].map(|minor| format!("{}.{minor}", range.major)))
    }
}
