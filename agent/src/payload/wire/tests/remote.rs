//! What a remote payload may name.

use std::time::Duration;

use super::{GOOD, Place, exchanged, with};
use crate::payload::Policy;

const FILES: &str = "a remote payload must not name files and folders of the worker; \
                     hint: the operator's config allows it with [remote] files = […]";
const ENVIRONMENT: &str = "hint: the operator's config allows it with [remote] environment = […]";

#[test]
fn a_remote_payload_names_nothing_of_the_worker() {
    let place = Place::new()
        .file("token", "hunter22-token")
        .variable("API_TOKEN", "x")
        .file("account/token", "x")
        .variable("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        .variable("KUBERNETES_SERVICE_PORT", "443")
        .remote(Policy::default());
    place.refuses(&[
        ("hunter22-token", "{fromFile: token}", &format!("8:23: target.auth.token.fromFile: {FILES}")),
        ("hunter22-token", "{fromFile: none}", &format!("8:23: target.auth.token.fromFile: {FILES}")),
        ("hunter22-token", "{fromEnv: API_TOKEN}", &format!("8:22: target.auth.token.fromEnv: a remote payload must not read the variable \"API_TOKEN\"; {ENVIRONMENT}")),
        ("hunter22-token", "{fromEnv: NOT_SET}", &format!("8:22: target.auth.token.fromEnv: a remote payload must not read the variable \"NOT_SET\"; {ENVIRONMENT}")),
        ("token: hunter22-token", "serviceAccount: {tokenFile: token}", &format!("8:33: target.auth.serviceAccount.tokenFile: {FILES}")),
        ("body: echo hello", "file: token", &format!("10:9: script.file: {FILES}")),
        ("body: echo hello", "body: a\n  workingDirectory: .", &format!("11:21: script.workingDirectory: {FILES}")),
        (
            "  server: https://k8s.example:6443\n  auth:\n    token: hunter22-token",
            "  auth: {inCluster: {}}",
            "6:21: target.auth.inCluster: a remote payload must not use the worker's own account at this server; \
             hint: the operator's config allows it with [remote] inCluster = […]",
        ),
    ]);
    assert_eq!(
        place.problems(with(
            "inheritEnvironment: ['*']\ntools: {helm: /bin/sh}\nfiles: {a: {fromFile: token}}\n"
        )),
        format!(
            "deploy.yaml:11:22: inheritEnvironment[0]: a remote payload must not read the variable \"*\"; {ENVIRONMENT}\n\
             deploy.yaml:12:15: tools.helm: a remote payload must not choose tools of the worker; \
             hint: the operator's config allows it with [remote] tools = […]\n\
             deploy.yaml:13:23: files.a.fromFile: {FILES}"
        )
    );
}

#[test]
fn the_operator_allows_names_folders_and_servers() {
    let place = Place::new()
        .file("shared/token", "hunter22-token")
        .file("tools/helm", "")
        .variable("DEPLOY_TOKEN", "hunter22-other");
    let policy = Policy {
        environment: vec!["DEPLOY_*".into()],
        files: vec![place.path().join("shared")],
        tools: vec![place.path().join("tools")],
        ..Policy::default()
    };
    let place = place.remote(policy);
    let step = place.step(
        with("environment: {A: {fromEnv: DEPLOY_TOKEN}}\ninheritEnvironment: ['DEPLOY_*', DEPLOY_X]\ntools: {helm: tools/helm}\n")
            .replace("hunter22-token", "{fromFile: shared/token}"),
    );
    assert_eq!(step.environment["A"].expose(), "hunter22-other");
    // An allowed folder's missing file is called missing, and not forbidden.
    place.refuses(&[
        ("hunter22-token", "{fromFile: shared/none}", "8:23: target.auth.token.fromFile: cannot read \"shared/none\": no such file; hint: relative paths start at the payload's folder"),
        ("hunter22-token", "{fromFile: shared/../tools/helm}", &format!("8:23: target.auth.token.fromFile: {FILES}")),
    ]);
    let wider = place.problems(with("inheritEnvironment: ['DEPLOY*']"));
    assert!(wider.contains("must not read the variable \"DEPLOY*\""), "{wider}");
}

#[test]
fn a_link_out_of_an_allowed_folder_is_refused() {
    let place = Place::new().file("private/token", "hunter22-token").file("shared/fine", "x");
    std::os::unix::fs::symlink("../private/token", place.path().join("shared/link")).unwrap();
    let policy = Policy { files: vec![place.path().join("shared")], ..Policy::default() };
    let told = format!("8:23: target.auth.token.fromFile: {FILES}");
    place.remote(policy).refuses(&[("hunter22-token", "{fromFile: shared/link}", &told)]);
}

#[test]
fn limits_above_the_operators_are_refused_and_bind_a_silent_payload_too() {
    let policy = Policy {
        max_timeout: Some(Duration::from_secs(60)),
        max_grace: Some(Duration::from_secs(5)),
        max_output: Some(1 << 20),
        ..Policy::default()
    };
    let place = Place::new().remote(policy.clone());
    assert_eq!(
        place.problems(with("limits: {timeout: 2m, grace: 6s, output: 2MiB}")),
        "deploy.yaml:11:19: limits.timeout: more than the 60s that the operator allows; \
         hint: the operator's config sets it with [maxima] timeout\n\
         deploy.yaml:11:30: limits.grace: more than the 5s that the operator allows; \
         hint: the operator's config sets it with [maxima] grace\n\
         deploy.yaml:11:42: limits.output: more than the 1MiB that the operator allows; \
         hint: the operator's config sets it with [maxima] output"
    );
    let silent = place.step(GOOD).limits;
    assert_eq!((silent.timeout, silent.grace), (policy.max_timeout, Duration::from_secs(5)));
    assert_eq!(silent.output, 1 << 20);
    let mut local = Place::new();
    local.surroundings.policy = policy;
    assert_eq!(local.step(with("limits: {timeout: 2m}")).limits.timeout, Some(Duration::from_secs(120)));
}

#[test]
fn an_allowed_server_gets_the_pods_account() {
    let certificate = super::account::certificate("k8s", 2030).0;
    let policy = Policy { in_cluster_servers: vec!["https://10.0.0.1:443/".into()], ..Policy::default() };
    let place = Place::new()
        .file("account/token", "hunter22-pod\n")
        .file("account/ca.crt", certificate)
        .variable("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        .variable("KUBERNETES_SERVICE_PORT", "443")
        .remote(policy);
    let payload = exchanged(
        "  server: https://k8s.example:6443\n  auth:\n    token: hunter22-token",
        "  auth: {inCluster: {}}",
    );
    assert_eq!(place.step(payload).target.server.as_deref().unwrap_or_default(), "https://10.0.0.1:443");
}
