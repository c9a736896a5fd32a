//! What goes wrong with a login is told before the script, in Google's own words and in ours.

use serde_json::{Value, json};

use super::{LOCATION, Place};
use crate::eks::faults::fails;
use crate::harness::Run;

#[track_caller]
fn refused(place: &Place, account: &Value, environment: &[(&str, String)], words: &[&str], hint: &str) {
    let Some(run) = place.run(place.lookup(account, "echo ran") + "limits: {login: 10s}\n") else { return };
    let run = environment.iter().fold(run, |run, (name, value)| run.env(name, value.clone()));
    fails(run, words, hint);
}

#[test]
fn a_key_that_google_does_not_know_is_told() {
    let Some(place) = Place::new() else { return };
    let (one, other) = (place.google.account("one"), place.google.account("other"));
    let mut document: Value = serde_json::from_str(&one.key).expect("JSON");
    let stranger: Value = serde_json::from_str(&other.key).expect("JSON");
    document["private_key"] = stranger["private_key"].clone();
    let words = ["does not accept the service account's key", "Invalid JWT Signature"];
    refused(&place, &json!({"serviceAccountKey": document.to_string()}), &[], &words, "deleted or disabled");
    place.clouds.act("google.delete_account", json!({"email": other.email}));
    let words = ["there is no such service account", "account not found"];
    refused(&place, &json!({"serviceAccountKey": other.key}), &[], &words, "key file");
}

#[test]
fn an_external_account_that_google_does_not_believe_is_told() {
    let Some(place) = Place::new() else { return };
    let (audience, _) = place.google.pool("repo:shop");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let account = |audience: &str| {
        let document = json!({
            "type": "external_account", "audience": audience, "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token", "credential_source": {"file": file},
        });
        json!({"externalAccount": document.to_string()})
    };
    let own = format!("https:{audience}");
    for (subject, named, lifetime, words, hint) in [
        ("repo:shop", own.as_str(), -10, "the external account's token has ended", "renewed in the file"),
        ("repo:shop", "https://other", 600, "is for another audience", "made for the audience"),
        ("repo:other", own.as_str(), 600, "does not take this token", "attribute condition"),
    ] {
        std::fs::write(&file, place.clouds.workload_token(subject, named, lifetime)).expect("written");
        refused(&place, &account(&audience), &[], &[words], hint);
    }
    let elsewhere = audience.replace("/ci/", "/no/");
    refused(&place, &account(&elsewhere), &[], &["no such workload identity pool"], "audience");
}

#[test]
fn impersonation_that_is_not_allowed_is_told_whoever_asks() {
    let Some(place) = Place::new() else { return };
    let (source, other) = (place.google.account("source"), place.google.account("other"));
    let words = ["may not impersonate", "iam.serviceAccounts.getAccessToken"];
    let by_key = json!({"serviceAccountKey": source.key, "impersonateServiceAccount": other.email});
    refused(&place, &by_key, &[], &words, "Token Creator");
    let by_machine = json!({"vmServiceAccount": {}, "impersonateServiceAccount": other.email});
    let host = [("GCE_METADATA_HOST", place.google.machine(&source))];
    refused(&place, &by_machine, &host, &words, "Token Creator");
}

#[test]
fn a_machine_without_an_account_or_without_metadata_is_told() {
    let Some(place) = Place::new() else { return };
    let bare = place.clouds.act("google.machine", json!({"project": place.google.project}));
    let host = bare["host"].as_str().expect("a host").to_owned();
    let vm = json!({"vmServiceAccount": {}});
    refused(
        &place,
        &vm,
        &[("GCE_METADATA_HOST", host)],
        &["the machine has no service account"],
        "attach one",
    );
    let nowhere = [("GCE_METADATA_HOST", "127.0.0.1:9".into())];
    refused(
        &place,
        &vm,
        &nowhere,
        &["the machine's metadata server (127.0.0.1:9)", "cannot connect"],
        "GCE_METADATA_HOST",
    );
}

#[test]
fn what_the_container_api_refuses_is_told() {
    let Some(place) = Place::new() else { return };
    let account = place.google.account("deploy");
    let key = |endpoint: &str| json!({"serviceAccountKey": account.key, "endpoint": endpoint});
    refused(&place, &key("public"), &[], &["there is no such cluster", "NOT_FOUND"], "location");
    for (about, endpoint, words, hint) in [
        (json!({"denied": [account.email]}), "public", "may not look at the cluster", "Cluster Viewer"),
        (
            json!({"disabled": true}),
            "public",
            "the API is not enabled",
            "services enable container.googleapis.com",
        ),
        (json!({"status": "STOPPING"}), "public", "the cluster is being deleted (STOPPING)", "gcloud"),
        (json!({"status": "PROVISIONING", "endpoint": ""}), "public", "still being made", "gcloud"),
        (json!({}), "private", "has no private endpoint", "endpoint"),
        (json!({}), "dns", "has no dns endpoint", "--enable-dns-access"),
        (json!({"trouble": "html"}), "public", "it answered with a page of HTML", "proxy"),
        (json!({"trouble": "empty"}), "public", "it answered with nothing", "proxy"),
        (json!({"trouble": "huge"}), "public", "larger than 1024 KiB", "proxy"),
        (json!({"trouble": "unavailable"}), "public", "HTTP 503", "again"),
    ] {
        place.describe(LOCATION, &about);
        refused(&place, &key(endpoint), &[], &[words], hint);
    }
    place.describe(LOCATION, &json!({"trouble": "slow"}));
    let Some(run) = place.run(place.lookup(&key("public"), "echo ran") + "limits: {login: 3s}\n") else {
        return;
    };
    fails(run, &["did not answer in time"], "limits.login");
}

#[test]
fn without_the_plugin_the_step_does_not_start_whatever_the_kubectl() {
    let Some(place) = Place::new() else { return };
    let account = place.google.account("deploy");
    let step = place.step(&json!({"serviceAccountKey": account.key}), "echo ran");
    // A Cloud SDK may be installed where every program is.
    let run = Run::new(step).tool("bash", std::path::Path::new("/bin/bash"));
    let path = run.folder().join("bin").display().to_string();
    fails(run.env("PATH", path), &["gke-gcloud-auth-plugin is not on the PATH"], "gke-gcloud-auth-plugin");
}
