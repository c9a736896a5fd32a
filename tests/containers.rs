//! The recipes of docs/containers.md: what can be judged without an engine. `scripts/image test` runs them in the image.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::Run;
use crate::harness::cluster::{Cluster, cluster};
use crate::harness::tools::{repository, tool};

fn recipe(name: &str) -> PathBuf {
    repository().join("examples/containers").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(recipe(name)).expect("a recipe")
}

/// A namespace that takes no pods but those that keep to the strictest of Kubernetes' standards.
fn restricted(cluster: &Cluster, name: &str) {
    cluster.kubectl(&["create", "namespace", name]);
    cluster.kubectl(&["label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted"]);
}

/// The manifests as the server would store them, in another namespace.
fn apply(cluster: &Cluster, manifests: &str, namespace: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("manifests.yaml");
    let manifests = manifests.replace("namespace: shop", &format!("namespace: {namespace}"));
    std::fs::write(&file, manifests).expect("written");
    let mut command = Command::new(cluster.fact("kubectl"));
    command.args(["apply", "--dry-run=server", "--output=json", "--filename"]).arg(file);
    command.env("KUBECONFIG", cluster.fact("kubeconfig")).output().expect("kubectl runs")
}

fn taken(cluster: &Cluster, name: &str, namespace: &str) -> Vec<Value> {
    let output = apply(cluster, &text(name), namespace);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {words}");
    // The server's warnings come by this way; PodSecurity's for a Job are nothing else.
    assert!(!words.contains("Warning"), "{name}: {words}");
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    list["items"].as_array().expect("a list").clone()
}

fn payload(items: &[Value]) -> &str {
    let found = items.iter().find(|item| item["kind"] == "ConfigMap").expect("it has one");
    found["data"]["step.yaml"].as_str().expect("a payload")
}

#[test]
fn job_and_pod_are_taken_where_only_restricted_pods_are_and_their_payloads_work() {
    let Some(cluster) = cluster() else { return };
    restricted(cluster, "recipes");
    cluster.kubectl(&["label", "namespace", "recipes", "pod-security.kubernetes.io/warn=restricted"]);

    let items = taken(cluster, "job.yaml", "recipes");
    let kinds: Vec<&str> = items.iter().filter_map(|item| item["kind"].as_str()).collect();
    assert_eq!(kinds, ["Secret", "ConfigMap", "Job"]);
    let token = cluster.service_account("recipe-of-a-job");
    let done = Run::new(payload(&items).replace("https://127.0.0.1:6443", cluster.fact("server")))
        .file("ca.pem", cluster.read("ca"))
        .file("token", format!("{token}\n"))
        // It may not look at deployments.
        .code(1)
        .any_output()
        .check();
    assert!(done.stdout.contains("system:serviceaccount:default:recipe-of-a-job"), "{}", done.stdout);

    let items = taken(cluster, "pod.yaml", "recipes");
    let pod = items.iter().find(|item| item["kind"] == "Pod").expect("a pod");
    assert_eq!(pod["spec"]["serviceAccountName"], "deployer");
    // Outside of a pod it goes no further than this.
    let done = Run::new(payload(&items)).code(65).any_output().check();
    assert!(done.stderr.contains("inCluster"), "{}", done.stderr);
}

#[test]
fn a_pod_that_is_not_confined_is_not_taken_there() {
    let Some(cluster) = cluster() else { return };
    restricted(cluster, "recipes-refused");
    let wide = text("pod.yaml").replace("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true");
    let output = apply(cluster, &wide, "recipes-refused");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && words.contains("violates PodSecurity \"restricted:latest\""),
        "{words}"
    );
}

/// Whether a CI system's own schema allows a file; and what is said of it.
fn judged(checker: &Path, schema: &str, file: &Path) -> (bool, String) {
    let output = Command::new(checker)
        .args(["--builtin-schema", schema])
        .arg(file)
        .output()
        .expect("check-jsonschema runs");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_files_for_github_gitlab_and_buildkite_are_what_their_schemas_allow() {
    let Some(checker) = tool("check-jsonschema", "") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    for (name, schema, field) in [
        ("github.yaml", "vendor.github-workflows", "timeout-minutes:"),
        ("gitlab.yaml", "vendor.gitlab-ci", "interruptible:"),
        ("buildkite.yaml", "vendor.buildkite", "timeout_in_minutes:"),
    ] {
        let (allowed, words) = judged(&checker, schema, &recipe(name));
        assert!(allowed, "{name}: {words}");
        // The schema judges, and is not only read.
        let wrong = folder.path().join(name);
        std::fs::write(&wrong, text(name).replace(field, &format!("{field} [] #"))).expect("written");
        let (allowed, _) = judged(&checker, schema, &wrong);
        assert!(!allowed, "{name}: a wrong {field} is allowed");
    }
}
