//! helm with every kubectl and plugin: whether it reads what the plugin says to kubectl, as the check foretells it,
//! against steps in which it really runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use tooling_check::Tool;
use tooling_check::check::Report;
use tooling_check::check::wanted::Wanted;
use tooling_check::rules::{ApiVersion, Pair, Rules};

use super::matrix::{Ports, ends, plugins, reaches, search, token_endpoints, version};
use crate::harness::api_stand_in::{ApiStandIn, Reply};
use crate::harness::stand_in::{Pair as Certificate, SERVER};
use crate::harness::tools::{kubectls, newest_and_oldest, tool};

#[test]
fn helm_3_and_4_read_what_the_plugins_say_to_kubectl_where_the_check_says_so() {
    compare_helms(&newest_and_oldest(), &ends(plugins()));
}

#[test]
#[ignore = "minutes: every helm with every kubectl and every plugin; scripts/test --long"]
fn every_helm_reads_what_the_plugins_say_to_every_kubectl_where_the_check_says_so() {
    compare_helms(&kubectls(), &plugins());
}

/// One kubeconfig serves both; its exec entry is the one that the check gives this kubectl with this plugin.
fn compare_helms(kubectls: &[(String, PathBuf)], plugins: &[(Tool, String, PathBuf)]) {
    let helms: Vec<PathBuf> = ["3", "4"].iter().filter_map(|major| tool("helm", major)).collect();
    let server = ApiStandIn::answering(Certificate::self_signed(&SERVER).server(), |_| {
        Reply::Json(
            200,
            json!({"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": []}).to_string(),
        )
    });
    let ports = Ports { server: server.port, tokens: token_endpoints() };
    let mut told = BTreeMap::new();
    for (_, kubectl) in kubectls {
        for (tool, _, plugin) in plugins {
            for helm in &helms {
                let (report, api) = foretell(kubectl, (*tool, plugin), helm);
                let Some(api) = api else { continue };
                let remarks = || report.checks.iter().flat_map(|check| &check.remarks);
                let reads = !remarks().any(|remark| remark.code == "OtherApi");
                let truth = reaches(kubectl, ("helm list", Some(helm)), (*tool, plugin, api), ports);
                told.entry((reads, truth)).or_insert_with(Vec::new).push(format!(
                    "{} with {} and {}: {api}",
                    helm.display(),
                    kubectl.display(),
                    plugin.display()
                ));
            }
        }
    }
    let disagreements: Vec<_> = told.iter().filter(|((reads, truth), _)| reads != truth).collect();
    assert!(disagreements.is_empty(), "(foretold, true): {disagreements:#?}");
    assert!(helms.is_empty() || told.contains_key(&(true, true)), "nothing was tried");
}

/// What the check says of these three, and the version of the API that this kubectl has the plugin speak; `None` where
/// it cannot run it.
fn foretell(kubectl: &Path, (tool, plugin): (Tool, &Path), helm: &Path) -> (Report, Option<ApiVersion>) {
    let chosen = BTreeMap::from([
        (Tool::Kubectl, kubectl.to_owned()),
        (Tool::Helm, helm.to_owned()),
        (tool, plugin.to_owned()),
    ]);
    let asked = [Tool::Kubectl, Tool::Helm, tool];
    let found = tooling_check::inventory(&asked, &search(&asked, &chosen));
    let (client, answers) =
        (version(found.get(Tool::Kubectl).expect("asked")), version(found.get(tool).expect("asked")));
    let api = match Rules::embedded().pair(&client, tool, &answers) {
        Pair::Works(api) | Pair::Unknown(api) => Some(api),
        Pair::Never { .. } => None,
    };
    (Report::new(&found, &[], Wanted::default(), Rules::embedded()), api)
}
