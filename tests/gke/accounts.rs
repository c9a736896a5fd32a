//! Each account is itself, whoever makes its token and whoever asks for it.

use serde_json::{Value, json};

use super::Place;
use crate::harness::google::impersonation_url;
use crate::harness::tools::kubectls;
use crate::harness::whoami::{user, users, whoami};

const BOTH: [&str; 2] = ["broker", "exec"];

/// Checks that the step is this identity, in each of these modes.
#[track_caller]
fn is(place: &Place, account: &Value, modes: &[&str], environment: &[(&str, String)], name: &str) {
    for mode in modes {
        let step = place.step(account, whoami("1.36")) + &format!("credentials: {mode}\n");
        let Some(run) = place.run(step) else { return };
        let run = environment.iter().fold(run, |run, (name, value)| run.env(name, value.clone()));
        assert_eq!(user(run).name, name, "{mode}");
    }
}

/// Workload identity federation with a token in this file.
fn external(audience: &str, file: &std::path::Path) -> Value {
    json!({
        "type": "external_account",
        "audience": audience,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": file},
    })
}

#[test]
fn a_key_is_its_service_account() {
    let Some(place) = Place::new() else { return };
    let account = place.google.account("deploy");
    is(&place, &json!({"serviceAccountKey": account.key}), &BOTH, &[], &account.email);
    let packed = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &account.key);
    is(&place, &json!({"serviceAccountKey": packed}), &BOTH, &[], &account.email);
}

#[test]
fn an_external_account_is_its_subject_or_the_account_that_it_impersonates() {
    let Some(place) = Place::new() else { return };
    let (audience, principal) = place.google.pool("repo:shop");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let token = place.clouds.workload_token("repo:shop", &format!("https:{audience}"), 600);
    std::fs::write(&file, token).expect("written");
    let document = external(&audience, &file);
    is(&place, &json!({"externalAccount": document.to_string()}), &BOTH, &[], &principal);
    let other = place.google.account_with("other", json!({"impersonators": [principal]}));
    let mut impersonating = document.clone();
    impersonating["service_account_impersonation_url"] = json!(impersonation_url(&other));
    is(&place, &json!({"externalAccount": impersonating.to_string()}), &BOTH, &[], &other.email);
    let account = json!({"externalAccount": document.to_string(), "impersonateServiceAccount": other.email});
    is(&place, &account, &BOTH, &[], &other.email);
}

#[test]
fn the_machines_account_is_its_service_account() {
    let Some(place) = Place::new() else { return };
    let account = place.google.account("machine");
    let machine = [("GCE_METADATA_HOST", place.google.machine(&account))];
    is(&place, &json!({"vmServiceAccount": {}}), &BOTH, &machine, &account.email);
    // Somebody's own credentials in HOME, or in a variable, do not take its place.
    let other = place.google.account("other");
    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(home.path().join(".config/gcloud")).expect("made");
    let key = home.path().join(".config/gcloud/application_default_credentials.json");
    std::fs::write(&key, &other.key).expect("written");
    let environment = [
        machine[0].clone(),
        ("HOME", home.path().display().to_string()),
        ("GOOGLE_APPLICATION_CREDENTIALS", key.display().to_string()),
    ];
    is(&place, &json!({"vmServiceAccount": {}}), &BOTH, &environment, &account.email);
}

#[test]
fn an_impersonated_account_is_who_the_step_is() {
    let Some(place) = Place::new() else { return };
    let (source, machine) = (place.google.account("source"), place.google.account("machine"));
    let other = place.google.account_with("other", json!({"impersonators": [source.email, machine.email]}));
    let by_key = json!({"serviceAccountKey": source.key, "impersonateServiceAccount": other.email});
    is(&place, &by_key, &BOTH, &[], &other.email);
    let by_machine = json!({"vmServiceAccount": {}, "impersonateServiceAccount": other.email});
    let host = [("GCE_METADATA_HOST", place.google.machine(&machine))];
    is(&place, &by_machine, &["broker"], &host, &other.email);
    let step = place.step(&by_machine, "echo ran") + "credentials: exec\n";
    let Some(run) = place.run(step) else { return };
    let done = run.code(65).any_output().check();
    assert_eq!((done.result["reason"].as_str(), done.stdout.as_str()), (Some("Refused"), ""));
    assert!(done.result["message"].as_str().is_some_and(|told| told.contains("ignores")), "{}", done.result);
}

#[test]
fn every_kubectl_is_the_same_account() {
    let Some(place) = Place::new() else { return };
    let account = place.google.account("deploy");
    let script: String = kubectls()
        .iter()
        .map(|(version, path)| format!("kubectl() {{ {} \"$@\"; }}; {}", path.display(), whoami(version)))
        .collect();
    for mode in BOTH {
        let step = place.step(&json!({"serviceAccountKey": account.key}), &script)
            + &format!("credentials: {mode}\n");
        let Some(run) = place.run(step) else { return };
        let seen = users(run);
        assert_eq!(seen.len(), kubectls().len());
        assert!(seen.iter().all(|user| user.name == account.email), "{mode}: {seen:?}");
    }
}

#[test]
fn the_script_finds_its_account_under_googles_names() {
    let Some(place) = Place::new() else { return };
    let source = place.google.account("source");
    let other = place.google.account_with("other", json!({"impersonators": [source.email]}));
    let script = "P=$(dirname \"$KUBECONFIG\"); env | grep -E '^(GOOGLE|CLOUDSDK|GCE)_' | sed \"s|$P|PRIVATE|\" | sort; \
                  grep -o '\"type\":\"[a-z_]*\"' \"$GOOGLE_APPLICATION_CREDENTIALS\"; cat \"$GOOGLE_APPLICATION_CREDENTIALS\"";
    let project = &place.google.project;
    let account = json!({
        "serviceAccountKey": source.key, "project": project, "location": "europe-west4", "impersonateServiceAccount": other.email,
    });
    let Some(run) = place.run(place.step(&account, script)) else { return };
    let done = run.any_output().check();
    let expected = format!(
        "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE=PRIVATE/google/source.json\n\
         CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT={}\n\
         CLOUDSDK_COMPUTE_REGION=europe-west4\n\
         CLOUDSDK_CONFIG=PRIVATE/google/gcloud\n\
         CLOUDSDK_CORE_PROJECT={project}\n\
         GOOGLE_APPLICATION_CREDENTIALS=PRIVATE/google/credentials.json\n\
         GOOGLE_CLOUD_PROJECT={project}\n\
         \"type\":\"impersonated_service_account\"\n\"type\":\"service_account\"\n",
        other.email
    );
    assert!(done.stdout.starts_with(&expected), "{}", done.stdout);
    assert!(!done.stdout.contains("PRIVATE KEY") && done.stdout.contains("********"), "{}", done.stdout);
}
