//! What goes wrong with a login is told before the script, in the tool's own words and in ours.

use serde_json::{Value, json};

use super::{Place, access_key, role_for, with};
use crate::harness::Run;
use crate::harness::aws::{Keys, Trust};
use crate::harness::run::Done;
use crate::harness::tools::tool;

/// The run ends before its script, with 69 and these words and this hint.
#[track_caller]
pub(crate) fn fails(run: Run, words: &[&str], hint: &str) -> Done {
    let done = run.code(69).any_output().check();
    assert_eq!(done.result["reason"], "SetupFailed");
    assert_eq!(done.stdout, "", "the script did not run");
    let message = done.result["message"].as_str().expect("a message").to_owned();
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    let told = done.result["hint"].as_str().unwrap_or_default();
    assert!(told.contains(hint), "{hint:?} is not in: {told}");
    done
}

/// An account that STS refuses, the words of that, and the hint.
struct Refusal {
    credentials: Value,
    more: Value,
    words: &'static [&'static str],
    hint: &'static str,
}

fn refusals(place: &Place, keys: &Keys, wrong: &Keys) -> Vec<Refusal> {
    let aws = &place.aws;
    let role = role_for(aws, "ci", keys);
    let closed = aws.role("closed", &Trust::default());
    let web = aws.role("web", &Trust { subjects: &["repo:shop"], ..Trust::default() });
    let unknown = Keys { access_key_id: "AKIAUNKNOWN000000000".into(), ..aws.user("other") };
    let ended = aws.session(&role, -10);
    let by_keys = |keys: &Keys, role: &str, words, hint| {
        let more = json!({"assumeRole": {"roleArn": role}});
        Refusal { credentials: access_key(keys), more, words, hint }
    };
    let by_token = |subject: &str, lifetime, words, hint| {
        let token = place.clouds.workload_token(subject, "sts.amazonaws.com", lifetime);
        let credentials = json!({"webIdentity": {"roleArn": web, "token": token}});
        Refusal { credentials, more: json!({}), words, hint }
    };
    let signature: &[&str] =
        &["could not take the role", "is not the one of this access key", "(SignatureDoesNotMatch)"];
    vec![
        by_keys(wrong, &role, signature, "secretAccessKey"),
        by_keys(
            &unknown,
            &role,
            &["AWS does not know the access key", "(InvalidClientTokenId)"],
            "accessKeyId",
        ),
        by_keys(&ended, &role, &["the session of these keys has ended", "(ExpiredToken)"], "new session"),
        by_keys(keys, &closed, &["may not be taken by this account", "(AccessDenied)"], "trust policy"),
        by_token(
            "repo:shop",
            -10,
            &["the web identity token has ended", "(ExpiredTokenException)"],
            "tokenFile",
        ),
        by_token("repo:other", 600, &["may not be taken with this token", "(AccessDenied)"], "sub and aud"),
    ]
}

#[test]
fn sts_refusals_are_told_with_cause_and_cure() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    let wrong = Keys { secret_access_key: "A".repeat(40), ..place.aws.user("deployer") };
    let refusals = refusals(&place, &keys, &wrong);
    for plugin in ["aws@1", "aws@2"] {
        for Refusal { credentials, more, words, hint } in &refusals {
            let Some(run) = with(place.run(place.step(credentials, more, "echo ran")), plugin) else {
                return;
            };
            let done = fails(run, words, hint);
            for secret in [&wrong.secret_access_key, &keys.secret_access_key] {
                assert!(!format!("{}{}", done.stderr, done.result).contains(secret.as_str()));
            }
        }
    }
    let step = place.step(&refusals[0].credentials, &refusals[0].more, "echo ran");
    let Some(run) = with(place.run(step), "aws-iam-authenticator") else { return };
    fails(run, &["could not log in", "is not the one of this access key"], "secretAccessKey");
}

#[test]
fn an_account_that_the_cluster_does_not_know_is_told_what_to_do() {
    let Some(place) = Place::new() else { return };
    let stranger = place.aws.unmapped_user("stranger");
    let step = place.step(&access_key(&stranger), &json!({}), "kubectl get namespaces");
    let Some(run) = with(place.run(step), "aws@1") else { return };
    let done = run.code(1).any_output().check();
    let warning = &done.result["warnings"][0];
    assert!(done.result.to_string().contains("NamespaceUnauthorized"), "{}", done.result);
    assert!(done.result.to_string().contains("aws-auth"), "{warning}");
}

#[test]
fn a_wrong_clock_is_told_as_such() {
    let Some(place) = Place::new() else { return };
    let (Some(aws), Some(faketime)) = (tool("aws", "1"), tool("libfaketime", "")) else { return };
    let keys = place.aws.user("deployer");
    let step = place.step(&access_key(&keys), &json!({}), "echo ran");
    let run = place.run(step);
    // The plugin's environment is ours, so its clock is set by a wrapper.
    let wrapper =
        format!("#!/bin/sh\nLD_PRELOAD={} FAKETIME=+1h exec {} \"$@\"\n", faketime.display(), aws.display());
    let path = run.folder().join("wrapper");
    script(&path, &wrapper);
    let preload = format!("LD_PRELOAD={}", faketime.display());
    let run = run.tool("aws", &path).by_way_of(&["env", &preload, "FAKETIME=+1h"]);
    let done = run.any_output().check();
    let told = done.result["warnings"].to_string();
    assert!(
        told.contains("its clock is 60 minutes behind") || told.contains("its clock is 59 minutes"),
        "{told}"
    );
    assert!(told.contains("minutes behind this machine's") && told.contains("timedatectl"), "{told}");
}

#[test]
fn a_worker_without_an_account_and_a_missing_profile_are_told() {
    let Some(place) = Place::new() else { return };
    let step = place.step(&json!({"worker": {}}), &json!({}), "echo ran");
    let none = || place.run(step.clone()).env("AWS_EC2_METADATA_DISABLED", "true");
    for plugin in ["aws@1", "aws@2"] {
        let Some(run) = with(none(), plugin) else { return };
        fails(run, &["the worker has no AWS account of its own"], "AWS_PROFILE");
        let Some(run) = with(none().env("AWS_PROFILE", "nope"), plugin) else { return };
        fails(run, &["no such profile", "(nope)"], "AWS_CONFIG_FILE");
    }
    let dead = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9");
    for version in ["0.6", "0.7"] {
        let plugin = format!("aws-iam-authenticator@{version}");
        let Some(run) = with(none().env(dead.0, dead.1), &plugin) else { return };
        fails(run, &["the worker has no AWS account of its own"], "AWS_PROFILE");
    }
}

#[test]
fn a_cluster_that_cannot_be_looked_up_is_told() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    let without_server = |cluster: &str| {
        let step = place.step(&access_key(&keys), &json!({"clusterName": cluster}), "echo ran");
        let keep = |line: &&str| !line.contains("server:") && !line.contains("certificateAuthority:");
        step.lines().filter(keep).map(|line| format!("{line}\n")).collect::<String>()
    };
    place.aws.cluster_with("denied", json!({"denied": [keys.arn]}));
    place.aws.cluster_with("creating", json!({"status": "CREATING"}));
    for (cluster, words, hint) in [
        ("nowhere", "there is no such cluster in this account and region", "assumeRole"),
        ("denied", "the account may not look at the cluster", "target.server"),
        ("creating", "EKS names no endpoint of the cluster creating (it is CREATING)", "target.server"),
    ] {
        let Some(run) = with(place.run(without_server(cluster)), "aws@1") else { return };
        fails(run, &[words], hint);
    }
    let Some(run) = with(place.run(without_server("shop")), "aws-iam-authenticator") else { return };
    fails(
        run,
        &["aws is not on the PATH", "cannot find the cluster: target.server is not given"],
        "set target.server",
    );
}

#[test]
fn a_proxy_that_refuses_is_told() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    let role = role_for(&place.aws, "ci", &keys);
    let step = place.step(&access_key(&keys), &json!({"assumeRole": {"roleArn": role}}), "echo ran");
    let Some(run) = with(place.run(step).env("HTTPS_PROXY", "http://127.0.0.1:9"), "aws@1") else { return };
    fails(run, &["the agent's proxy does not let us through"], "NO_PROXY");
}

/// Writes a program.
pub(super) fn script(path: &std::path::Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("ours");
}
