//! Accounts of all clouds at once, each as itself; and what is seen of their secrets: nothing.

use std::path::Path;

use serde_json::{Value, json};

use crate::eks::secrets::holders;
use crate::harness::aws::REGION;
use crate::harness::clouds::{Clouds, clouds};
use crate::harness::cluster::{Cluster, cluster};
use crate::harness::tools::tool;
use crate::harness::whoami::whoami;
use crate::harness::{Run, skipped};

/// A run with the way to the clouds and all of their plugins; `None` skips.
fn run(clouds: &Clouds, step: String) -> Option<Run> {
    let mut run = Run::new(step);
    for (name, version) in [("aws", "1"), ("kubelogin", ""), ("gke-gcloud-auth-plugin", "")] {
        run = run.tool(name, &tool(name, version)?);
    }
    Some(clouds.environment().into_iter().fold(run, |run, (name, value)| run.env(name, value)))
}

/// The account of this number, who it is, and its secrets.
fn account(cluster: &Cluster, clouds: &'static Clouds, number: usize) -> (Value, String, Vec<String>) {
    match number % 4 {
        0 => {
            let aws = clouds.aws();
            aws.cluster("shop", cluster.fact("server"), "");
            let keys = aws.user(&format!("user-{number}"));
            let key = json!({"accessKeyId": keys.access_key_id, "secretAccessKey": keys.secret_access_key});
            let eks = json!({"clusterName": "shop", "region": REGION, "credentials": {"accessKey": key}});
            (json!({"eks": eks}), keys.arn, vec![keys.secret_access_key])
        }
        1 => {
            let azure = clouds.azure();
            let app = azure.app();
            let aks = json!({"tenantId": azure.tenant, "clientId": app.client, "clientSecret": app.secret});
            (json!({"aks": aks}), app.object, vec![app.secret])
        }
        2 => {
            let google = clouds.google();
            let (source, name) = (google.account("source"), format!("other-{number}"));
            let other = google.account_with(&name, json!({"impersonators": [source.email]}));
            let gke = json!({"serviceAccountKey": source.key, "impersonateServiceAccount": other.email});
            (json!({"gke": gke}), other.email, lines_of(&source.key))
        }
        _ => {
            let account = clouds.google().account(&format!("account-{number}"));
            (json!({"gke": {"serviceAccountKey": account.key}}), account.email, lines_of(&account.key))
        }
    }
}

/// The lines of a key file's private key.
fn lines_of(key: &str) -> Vec<String> {
    let key: Value = serde_json::from_str(key).expect("JSON");
    let lines = key["private_key"].as_str().expect("a key").lines().filter(|line| line.len() > 40);
    lines.map(str::to_owned).collect()
}

#[test]
fn twenty_steps_of_three_clouds_at_once_are_each_itself() {
    let (Some(cluster), Some(clouds)) = (cluster(), clouds()) else { return };
    let home = tempfile::tempdir().expect("a folder");
    let mut running = Vec::new();
    for number in 0..20 {
        let (auth, name, _) = account(cluster, clouds, number);
        let mode = if number % 8 < 4 { "broker" } else { "exec" };
        let step = cluster.step(&auth.to_string(), whoami("1.36")) + &format!("credentials: {mode}\n");
        let Some(run) = run(clouds, step) else { return };
        // One HOME for all: nothing in it may lead from one to another.
        let run = run.env("HOME", home.path().display().to_string());
        running.push((name, run.any_output().start()));
    }
    for (name, step) in running {
        let done = step.check();
        assert!(done.stdout.contains(&format!("\"username\": \"{name}")), "{name}: {}", done.stdout);
    }
    let left = crate::harness::run::names_in(home.path());
    assert!(left.iter().all(|name| name == ".kube"), "no login of ours stands in HOME: {left:?}");
}

#[test]
fn no_command_line_no_line_and_no_file_has_a_secret_of_azure_or_google() {
    let (Some(cluster), Some(clouds)) = (cluster(), clouds()) else { return };
    if !Path::new("/usr/bin/strace").exists() {
        return skipped("no strace to see every command line with");
    }
    for number in 1..4 {
        let (auth, name, mut secrets) = account(cluster, clouds, number);
        // A token of Google, one of Entra.
        secrets.extend(["ya29.", "eyJ"].map(str::to_owned));
        for mode in ["broker", "exec"] {
            let script = "kubectl auth whoami; cat \"$(dirname \"$KUBECONFIG\")\"/token || true; env; \
                          cat \"$(dirname \"$KUBECONFIG\")\"/*/* 2>/dev/null; true";
            let step = cluster.step(&auth.to_string(), script) + &format!("credentials: {mode}\n");
            let Some(run) = run(clouds, step) else { return };
            let seen = tempfile::NamedTempFile::new().expect("a file");
            let path = seen.path().display().to_string();
            let by_way_of = ["strace", "-f", "-qq", "-e", "trace=execve", "-s", "65535", "-o", &path];
            let done = run.by_way_of(&by_way_of).loud().flags(&["-vv"]).any_output().check();
            assert!(done.stdout.contains(&name), "{mode}: {}", done.stdout);
            let lines = std::fs::read_to_string(seen.path()).expect("written");
            assert!(lines.contains("kubelogin") || lines.contains("gke-gcloud-auth-plugin"), "it was seen");
            let told = format!("{}{}{}{lines}", done.stdout, done.stderr, done.result);
            for secret in &secrets {
                assert!(!told.contains(secret.as_str()), "{name}, {mode}: {secret:.12}");
            }
            for folder in ["home", "state"] {
                assert_eq!(holders(&done.folder.path().join(folder), &secrets), [""; 0], "{mode}");
            }
        }
    }
}
