//! No secret of a login is seen: on no command line, in no line at any level, in no file after the end.

use std::path::Path;

use serde_json::{Value, json};

use super::{Place, access_key, role_for, with};
use crate::harness::aws::Trust;

/// Every file below a folder that holds one of these.
pub(crate) fn holders(folder: &Path, secrets: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(holders(&path, secrets));
        } else if let Ok(bytes) = std::fs::read(&path) {
            let text = String::from_utf8_lossy(&bytes);
            if secrets.iter().any(|secret| text.contains(secret.as_str())) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn no_command_line_no_line_and_no_file_has_a_secret_of_a_login() {
    let Some(place) = Place::new() else { return };
    if !Path::new("/usr/bin/strace").exists() {
        return crate::harness::skipped("no strace to see every command line with");
    }
    let keys = place.aws.user("deployer");
    let role = role_for(&place.aws, "ci", &keys);
    let web = place.aws.role("web", &Trust { subjects: &["repo:shop"], ..Trust::default() });
    let token = place.clouds.workload_token("repo:shop", "sts.amazonaws.com", 600);
    let secrets = vec![keys.secret_access_key.clone(), token.clone()];
    let by_key = (
        json!({"accessKey": {"accessKeyId": keys.access_key_id, "secretAccessKey": {"fromEnv": "KEY"}}}),
        json!({"assumeRole": {"roleArn": role}}),
    );
    let by_token = (json!({"webIdentity": {"roleArn": web, "token": {"fromEnv": "WEB"}}}), json!({}));
    let cases: [&(Value, Value); 2] = [&by_key, &by_token];
    for plugin in ["aws@1", "aws-iam-authenticator"] {
        for (credentials, more) in cases {
            for mode in ["broker", "exec"] {
                let step = place.step(
                    credentials,
                    more,
                    "kubectl get --raw /version >/dev/null; cat \"$(dirname \"$KUBECONFIG\")\"/token || true",
                ) + &format!("credentials: {mode}\n");
                let run = place.run(step).env("KEY", &keys.secret_access_key).env("WEB", &token);
                let Some(run) = with(run, plugin) else { return };
                let seen = tempfile::NamedTempFile::new().expect("a file");
                let path = seen.path().display().to_string();
                let by_way_of = ["strace", "-f", "-qq", "-e", "trace=execve", "-s", "65535", "-o", &path];
                let done = run.by_way_of(&by_way_of).loud().flags(&["-vv"]).any_output().check();
                let lines = std::fs::read_to_string(seen.path()).expect("written");
                assert!(lines.contains("get-token") || lines.contains("\"token\""), "the plugin was seen");
                let told = format!("{}{}{}{lines}", done.stdout, done.stderr, done.result);
                for secret in &secrets {
                    assert!(!told.contains(secret.as_str()), "{plugin}, {mode}");
                }
                assert!(!told.contains("k8s-aws-v1."), "{plugin}, {mode}: the token itself");
                assert_eq!(holders(&done.folder.path().join("home"), &secrets), [""; 0]);
                assert_eq!(holders(&done.folder.path().join("state"), &secrets), [""; 0]);
            }
        }
    }
}

#[test]
fn the_tools_of_a_pair_that_cannot_work_are_both_named_before_anything_runs() {
    let Some(place) = Place::new() else { return };
    let step = place.step(&access_key(&place.aws.user("deployer")), &json!({"plugin": "aws"}), "echo ran");
    let Some(run) = with(place.run(step + "credentials: exec\n"), "aws@1.18") else { return };
    let done = run.code(69).any_output().check();
    let message = done.result["message"].as_str().expect("a message");
    assert!(
        message.contains("kubectl 1.36") && message.contains("aws 1.18") && message.contains("v1alpha1"),
        "{message}"
    );
    assert!(done.result["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{}", done.result);
    assert_eq!(done.stdout, "");
}
