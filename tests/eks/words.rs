//! The rest of the table of troubles, each by the real tool's real words.

use serde_json::{Value, json};

use super::faults::{fails, script};
use super::{Place, access_key, role_for, with};
use crate::harness::aws::Trust;
use crate::harness::tools::tool;
use crate::harness::{Run, cluster::cluster};

/// A step of the newest aws cli 1 that takes a role, with this in its environment.
fn takes_a_role(place: &Place, environment: &[(&str, &str)]) -> Option<Run> {
    let keys = place.aws.user("deployer");
    let role = role_for(&place.aws, "ci", &keys);
    let step = place.step(&access_key(&keys), &json!({"assumeRole": {"roleArn": role}}), "echo ran");
    let run = with(place.run(step), "aws@1")?;
    Some(environment.iter().fold(run, |run, (name, value)| run.env(name, *value)))
}

#[test]
fn an_endpoint_that_is_not_there_and_one_that_is_not_trusted() {
    let Some(place) = Place::new() else { return };
    let Some(run) = takes_a_role(&place, &[("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")]) else { return };
    fails(run, &["AWS cannot be reached", "Could not connect"], "HTTPS_PROXY");
    let other = place.cluster.fact("ca").to_owned();
    let Some(run) = takes_a_role(&place, &[("AWS_CA_BUNDLE", &other)]) else { return };
    fails(run, &["has a certificate that is not trusted"], "SSL_CERT_FILE");
}

#[test]
fn a_clock_that_sts_does_not_believe() {
    let Some(place) = Place::new() else { return };
    let (Some(aws), Some(faketime)) = (tool("aws", "1"), tool("libfaketime", "")) else { return };
    for clock in ["-1h", "+1h"] {
        let Some(run) = takes_a_role(&place, &[]) else { return };
        let path = run.folder().join("wrapper");
        let text = format!(
            "#!/bin/sh\nLD_PRELOAD={} FAKETIME={clock} exec {} \"$@\"\n",
            faketime.display(),
            aws.display()
        );
        script(&path, &text);
        fails(run.tool("aws", &path), &["the clock of this machine is wrong"], "set the clock");
    }
}

#[test]
fn a_web_identity_that_is_none() {
    let Some(place) = Place::new() else { return };
    let web = place.aws.role("web", &Trust { subjects: &["repo:shop"], ..Trust::default() });
    let credentials = json!({"webIdentity": {"roleArn": web, "token": "hunter22.no.token"}});
    let Some(run) = with(place.run(place.step(&credentials, &json!({}), "echo ran")), "aws@1") else {
        return;
    };
    fails(run, &["AWS does not accept the web identity token"], "OpenID Connect provider");
}

#[test]
fn a_session_of_sso_that_is_not_there_or_has_ended() {
    let Some(place) = Place::new() else { return };
    let config = "[profile ops]\nsso_start_url = https://ops.awsapps.com/start\nsso_region = eu-west-1\n\
        sso_account_id = 123456789012\nsso_role_name = ops\n";
    for plugin in ["aws@1", "aws@2"] {
        let step = place.step(&json!({"worker": {}}), &json!({}), "echo ran");
        let run = place.run(step).file("config", config).env("AWS_PROFILE", "ops");
        let path = run.folder().join("config").display().to_string();
        let Some(run) = with(run.env("AWS_CONFIG_FILE", path), plugin) else { return };

        fails(run, &["the worker's SSO session"], "aws sso login");
    }
}

#[test]
fn a_plugins_version_that_kubectl_does_not_know() {
    let Some(cluster) = cluster() else { return };
    let ca = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, cluster.read("ca"));
    let exec = |version: &str, command: &str, arguments: Value| {
        json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": cluster.fact("server"), "certificate-authority-data": ca}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {"exec": {"apiVersion": format!("client.authentication.k8s.io/{version}"),
                "command": command, "args": arguments, "interactiveMode": "Never"}}}]})
    };
    let answer = |version: &str| {
        format!(
            r#"echo '{{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/{version}","status":{{"token":"x"}}}}'"#
        )
    };
    for (kubeconfig, told) in [
        (exec("v1alpha1", "true", json!([])), "this kubectl does not know the plugin's version"),
        (
            exec("v1beta1", "sh", json!(["-c", answer("v1")])),
            "the plugin answers in another version than the kubeconfig says",
        ),
        (
            exec("v1beta1", "sh", json!(["-c", answer("v1alpha1")])),
            "this kubectl does not know the plugin's version",
        ),
    ] {
        let auth = json!({"kubeconfig": {"content": kubeconfig.to_string()}}).to_string();
        let step = cluster.step(&auth, "echo ran");
        let step: String = step
            .lines()
            .filter(|line| !line.starts_with("  server:") && !line.starts_with("  certificateAuthority:"))
            .map(|line| format!("{line}\n"))
            .collect();
        let done = Run::new(step).any_output().check();
        let warnings = done.result["warnings"].to_string();
        assert!(warnings.contains(told), "{warnings}");
    }
}
