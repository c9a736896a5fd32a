//! Each account is itself, whoever makes its token and whoever asks for it.

use serde_json::{Value, json};

use super::{Place, with};
use crate::harness::azure::FEDERATION;
use crate::harness::tools::{kubectls, tools};
use crate::harness::whoami::{user, users, whoami};

/// Checks that the step is this identity, brokered and exec.
#[track_caller]
fn is(place: &Place, account: &Value, environment: &[(&str, String)], name: &str) {
    for mode in ["broker", "exec"] {
        let step = place.step(account, whoami("1.36")) + &format!("credentials: {mode}\n");
        let run = environment.iter().fold(place.run(step), |run, (name, value)| run.env(name, value.clone()));
        let Some(run) = with(run) else { return };
        assert_eq!(user(run).name, name, "{mode}");
    }
}

#[test]
fn a_secret_is_its_application() {
    let Some(place) = Place::new() else { return };
    let app = place.azure.app();
    is(&place, &place.account(&app, &json!({"clientSecret": app.secret})), &[], &app.object);
}

#[test]
fn a_certificate_is_its_application_as_pem_and_as_pfx() {
    let Some(place) = Place::new() else { return };
    let app = place.azure.app_with(json!({"certificate": true}));
    is(&place, &place.account(&app, &json!({"clientCertificate": app.pem})), &[], &app.object);
    let pfx = json!({"clientCertificate": app.pfx, "clientCertificatePassword": app.pfx_password});
    is(&place, &place.account(&app, &pfx), &[], &app.object);
}

#[test]
fn a_workloads_token_is_its_application_as_a_file_and_given() {
    let Some(place) = Place::new() else { return };
    let app = place.azure.app_with(json!({"subjects": ["repo:shop"]}));
    let token = place.clouds.workload_token("repo:shop", FEDERATION, 600);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, &token).expect("written");
    is(&place, &place.account(&app, &json!({"federatedTokenFile": file})), &[], &app.object);
    let given = place.account(&app, &json!({"federatedToken": token}));
    for mode in ["broker", "exec"] {
        let step = place.step(&given, whoami("1.36")) + &format!("credentials: {mode}\n");
        let Some(run) = with(place.run(step)) else { return };
        let done = run.any_output().check();
        assert!(done.stdout.contains(&app.object), "{mode}: {}", done.stdout);
        assert!(done.result.to_string().contains("CredentialNotRenewed"), "{}", done.result);
        let plugin = (mode == "broker").then_some("kubelogin");
        assert_eq!(
            done.result["target"]["plugin"].as_str(),
            plugin,
            "{mode}: who has logged in before the script"
        );
        assert!(
            done.stderr.contains("cannot be renewed")
                || done.result.to_string().contains("cannot be renewed")
        );
    }
}

#[test]
fn the_machines_identity_is_its_application() {
    let Some(place) = Place::new() else { return };
    let app = place.azure.app();
    let machine = place.azure.identity(&app);
    is(&place, &json!({"managedIdentity": {}}), &machine, &app.object);
    is(&place, &json!({"managedIdentity": {}, "clientId": app.client}), &machine, &app.object);
}

#[test]
fn every_kubectl_is_the_same_application_by_every_kubelogin_that_the_broker_asks() {
    let Some(place) = Place::new() else { return };
    let app = place.azure.app_with(json!({"subjects": ["repo:shop"]}));
    let token = place.clouds.workload_token("repo:shop", FEDERATION, 600);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, token).expect("written");
    let script: String = kubectls()
        .iter()
        .map(|(version, path)| format!("kubectl() {{ {} \"$@\"; }}; {}", path.display(), whoami(version)))
        .collect();
    let kubelogins = tools("kubelogin");
    assert!(kubelogins.len() >= 5, "run scripts/tools: {kubelogins:?}");
    let accounts = [json!({"clientSecret": app.secret}), json!({"federatedTokenFile": file})];
    for (version, path) in kubelogins {
        for account in &accounts {
            let step = place.step(&place.account(&app, account), &script);
            let seen = users(place.run(step).tool("kubelogin", &path));
            assert_eq!(seen.len(), kubectls().len());
            assert!(seen.iter().all(|user| user.name == app.object), "{version}: {seen:?}");
        }
    }
    let step = place.step(&place.account(&app, &accounts[0]), &script) + "credentials: exec\n";
    let Some(run) = with(place.run(step)) else { return };
    let seen = users(run);
    assert!(seen.iter().all(|user| user.name == app.object), "exec: {seen:?}");
}

#[test]
fn a_tenants_own_audience_is_asked_for() {
    let Some(place) = Place::new() else { return };
    let app = place.azure.app();
    let own = "5ad4a0d1-0000-4000-8000-000000000001";
    place.clouds.act("azure.audience", json!({"id": own}));
    is(&place, &place.account(&app, &json!({"clientSecret": app.secret, "serverId": own})), &[], &app.object);
}

#[test]
fn the_script_finds_its_account_under_azures_and_terraforms_names() {
    let Some(place) = Place::new() else { return };
    let app = place.azure.app_with(json!({"certificate": true}));
    let script = "env | grep -E '^(AZURE|ARM)_' | sed \"s|$(dirname \"$KUBECONFIG\")|PRIVATE|\" | sort";
    let seen = |account: Value| {
        let run = with(place.run(place.step(&place.account(&app, &account), script)))?;
        Some(run.any_output().check().stdout)
    };
    let ids = |more: &str, arm: &str| {
        let (tenant, client) = (&place.azure.tenant, &app.client);
        format!(
            "ARM_CLIENT_ID={client}\n{arm}ARM_ENVIRONMENT=public\nARM_TENANT_ID={tenant}\n\
             AZURE_AUTHORITY_HOST=https://login.microsoftonline.com/\n{more}\
             AZURE_CLIENT_ID={client}\nAZURE_CONFIG_DIR=PRIVATE/azure/cli\nAZURE_TENANT_ID={tenant}\n"
        )
    };
    let Some(by_secret) = seen(json!({"clientSecret": app.secret})) else { return };
    let expected = ids("", "ARM_CLIENT_SECRET=********\n")
        .replace("AZURE_CONFIG_DIR", "AZURE_CLIENT_SECRET=********\nAZURE_CONFIG_DIR");
    assert_eq!(by_secret, expected);
    let pfx = json!({"clientCertificate": app.pfx, "clientCertificatePassword": app.pfx_password});
    let Some(by_pfx) = seen(pfx) else { return };
    let path = "AZURE_CLIENT_CERTIFICATE_PATH=PRIVATE/azure/client.pem\n";
    let arm = "ARM_CLIENT_CERTIFICATE=********\nARM_CLIENT_CERTIFICATE_PASSWORD=********\n";
    let expected = ids(path, "").replacen("ARM_CLIENT_ID", &format!("{arm}ARM_CLIENT_ID"), 1);
    assert_eq!(by_pfx, expected);
}
