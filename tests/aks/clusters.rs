//! What the management API is asked: where a cluster is, and for its own accounts. None of this needs az.

use serde_json::json;

use super::{Place, with};
use crate::harness::azure::FEDERATION;
use crate::harness::whoami::{user, whoami};

/// The administrator of the control plane as a kubeconfig's user, and its name.
fn admin(place: &Place) -> (serde_json::Value, String) {
    let token = place.cluster.read("adminToken").trim().to_owned();
    (json!({"token": token}), "kubestep-admin".to_owned())
}

#[test]
fn without_a_server_the_account_finds_its_cluster() {
    let Some(place) = Place::new() else { return };
    place.describe(&json!({}));
    let app = place.azure.app_with(json!({"certificate": true, "subjects": ["repo:shop"]}));
    let token = place.clouds.workload_token("repo:shop", FEDERATION, 600);
    for account in [
        json!({"clientSecret": app.secret}),
        json!({"clientCertificate": app.pem}),
        json!({"federatedToken": token}),
    ] {
        for mode in ["broker", "exec"] {
            let step = place.lookup(&place.account(&app, &account), whoami("1.36"));
            let Some(run) = with(place.run(step + &format!("credentials: {mode}\n"))) else { return };
            let done = run.any_output().check();
            assert!(done.stdout.contains(&app.object), "{mode}: {}", done.stdout);
            assert_eq!(done.result["target"]["server"], place.cluster.fact("server"));
        }
    }
    let identity = place.azure.identity(&app).into_iter();
    let step = place.lookup(&json!({"managedIdentity": {}}), whoami("1.36"));
    let run = identity.fold(place.run(step), |run, (name, value)| run.env(name, value));
    let Some(run) = with(run) else { return };
    assert_eq!(user(run).name, app.object);
}

#[test]
fn the_administrator_is_had_without_a_plugin() {
    let Some(place) = Place::new() else { return };
    let (admin_user, name) = admin(&place);
    place.describe(&json!({"admin_user": admin_user}));
    let app = place.azure.app_with(json!({"certificate": true}));
    for account in [
        json!({"clientSecret": app.secret, "admin": true}),
        json!({"clientCertificate": app.pfx, "clientCertificatePassword": app.pfx_password, "admin": true}),
    ] {
        let step = place.lookup(&place.account(&app, &account), whoami("1.36"));
        assert_eq!(user(place.run(step)).name, name);
    }
    // Where the machine's own identity speaks for itself, there is no kubelogin either.
    let step = place.lookup(&json!({"managedIdentity": {}, "admin": true}), whoami("1.36"));
    let identity = place.azure.identity(&app).into_iter();
    assert_eq!(user(identity.fold(place.run(step), |run, (name, value)| run.env(name, value))).name, name);
}

#[test]
fn an_administrator_by_certificate_is_had_too_and_masked() {
    let Some(place) = Place::new() else { return };
    let data = |name: &str| {
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, place.cluster.read(name))
    };
    let key = data("adminKey");
    let certificate = json!({"client-certificate-data": data("adminCertificate"), "client-key-data": key});
    place.describe(&json!({"admin_user": certificate}));
    let app = place.azure.app();
    let account = place.account(&app, &json!({"clientSecret": app.secret, "admin": true}));
    let script = format!("{}cat \"$(dirname \"$KUBECONFIG\")/client.key\"; echo {key}", whoami("1.36"));
    let done = place.run(place.lookup(&account, &script)).any_output().check();
    assert!(done.stdout.contains("\"username\""), "{}", done.stdout);
    assert!(done.stdout.ends_with("********\n") && !done.stdout.contains("PRIVATE KEY"), "{}", done.stdout);
}

#[test]
fn a_cluster_without_entra_hands_its_own_account_out() {
    let Some(place) = Place::new() else { return };
    let (admin_user, name) = admin(&place);
    place.describe(&json!({"admin_user": admin_user, "entra": false}));
    let app = place.azure.app();
    let account = place.account(&app, &json!({"clientSecret": app.secret}));
    let done = place.run(place.lookup(&account, whoami("1.36"))).loud().any_output().check();
    assert!(done.stdout.contains(&format!("\"username\": \"{name}\"")), "{}", done.stdout);
    assert!(done.stderr.contains("only a cluster without Entra can be logged in to"), "{}", done.stderr);
    let Some(run) = with(place.run(place.lookup(&account, whoami("1.36")) + "credentials: exec\n")) else {
        return;
    };
    let done = run.any_output().check();
    assert!(done.stdout.contains(&format!("\"username\": \"{name}\"")), "{}", done.stdout);
}

#[test]
fn the_operator_says_where_azure_is() {
    let Some(place) = Place::new() else { return };
    place.describe(&json!({}));
    let app = place.azure.app();
    let step = place.lookup(&place.account(&app, &json!({"clientSecret": app.secret})), whoami("1.36"));
    let run = crate::harness::Run::new(step)
        .env("SSL_CERT_FILE", place.clouds.authority())
        .env("AZURE_AUTHORITY_HOST", format!("{}/", place.clouds.https("entra")))
        .env("AZURE_RESOURCE_MANAGER_ENDPOINT", place.clouds.https("arm"));
    let Some(run) = with(run) else { return };
    assert_eq!(user(run).name, app.object);
}

#[test]
fn each_of_azures_clouds_has_its_own_hosts() {
    let Some(place) = Place::new() else { return };
    place.describe(&json!({}));
    let app = place.azure.app();
    for environment in ["AzureChinaCloud", "AzureUSGovernment"] {
        let account = place.account(&app, &json!({"clientSecret": app.secret, "environment": environment}));
        let Some(run) = with(place.run(place.lookup(&account, whoami("1.36")))) else { return };
        assert_eq!(user(run).name, app.object, "{environment}");
    }
}
