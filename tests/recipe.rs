//! What README and examples tell a user to do works, word for word but for the server's name.

use std::fs;
use std::path::Path;

use crate::harness::Run;
use crate::harness::cluster::{Cluster, cluster};
use crate::harness::tools::repository;

fn example(name: &str) -> String {
    fs::read_to_string(repository().join("examples").join(name)).expect("an example")
}

/// An example with the lines edited that it says are to be edited.
fn edited(name: &str, cluster: &Cluster) -> String {
    let ca = Path::new(cluster.fact("ca")).display().to_string();
    example(name).replace("https://127.0.0.1:6443", cluster.fact("server")).replace("ca.pem", &ca)
}

/// The account of the README's recipe, and its token.
fn account(cluster: &Cluster) -> String {
    let recipe = repository().join("examples/shop.yaml");
    cluster.kubectl(&["apply", "-f", recipe.to_str().expect("text")]);
    cluster
        .kubectl(&["create", "token", "deployer", "--namespace", "shop", "--duration", "1h"])
        .trim()
        .to_owned()
}

#[test]
fn the_recipes_account_deploys_in_its_namespace_and_its_token_says_when_it_ends() {
    let Some(cluster) = cluster() else { return };
    let token = account(cluster);
    let ends = ["create", "token", "deployer", "-n", "shop", "--duration", "1h", "-o"];
    let ends = cluster.kubectl(&[&ends[..], &["jsonpath={.status.expirationTimestamp}"]].concat());
    assert!(ends.parse::<jiff::Timestamp>().is_ok(), "{ends}");
    let done = Run::new(edited("step.yaml", cluster))
        .file("web.yaml", example("web.yaml"))
        .env("TOKEN", token.clone())
        .any_output()
        .check();
    assert!(done.stdout.starts_with("the token is ********\n"), "{}", done.stdout);
    assert!(done.stdout.contains("system:serviceaccount:shop:deployer"), "{}", done.stdout);
    assert!(done.stdout.contains("deployment.apps/web"), "{}", done.stdout);
    assert!(!done.stdout.contains(&token));
    let warnings = done.result["warnings"].as_array().expect("a list");
    assert!(warnings.iter().all(|warning| warning["code"] == "ToolMissing"), "{warnings:?}");
}

#[test]
fn the_recipes_account_has_no_rights_elsewhere() {
    let Some(cluster) = cluster() else { return };
    let payload =
        edited("step.yaml", cluster).replace("kubectl auth whoami", "kubectl get secrets -n kube-system");
    let payload = payload.replace("echo \"the token is $TOKEN\"", "set -e");
    let done = Run::new(payload)
        .file("web.yaml", example("web.yaml"))
        .env("TOKEN", account(cluster))
        .code(1)
        .any_output()
        .check();
    assert!(done.stderr.contains("(Forbidden)"), "{}", done.stderr);
}

#[test]
fn the_debug_script_shows_everything_but_secrets() {
    let Some(cluster) = cluster() else { return };
    let token = account(cluster);
    let payload = edited("debug.yaml", cluster)
        + "environment:\n  AWS_SECRET_ACCESS_KEY: {fromEnv: AWS_SECRET}\n  HTTPS_PROXY: {fromEnv: A_PROXY}\n";
    let done = Run::new(payload)
        .env("TOKEN", token.clone())
        .env("AWS_SECRET", "aws-secret-of-the-test")
        .env("A_PROXY", "http://user:battery-staple@127.0.0.1:9")
        .loud()
        .any_output()
        .check();
    for shown in [
        "AWS_SECRET_ACCESS_KEY: ********\n",
        "HTTPS_PROXY: ********\n",
        "current-context: kubestep\n",
        "gitVersion: v",
        "deployments.apps",
        "with your own: exit code 1\n",
    ] {
        assert!(done.stdout.contains(shown), "{shown} in {}", done.stdout);
    }
    assert!(done.stderr.contains("kubestep:     token: REDACTED\n"), "{}", done.stderr);
    for secret in [token.as_str(), "aws-secret-of-the-test", "battery-staple"] {
        assert!(!done.stdout.contains(secret) && !done.stderr.contains(secret));
    }
}
