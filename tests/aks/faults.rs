//! What goes wrong with a login is told before the script, in the tool's own words and in ours.

use serde_json::{Value, json};

use super::{Place, with};
use crate::eks::faults::fails;
use crate::harness::azure::FEDERATION;
use crate::harness::tools::tool;

/// An account that Entra refuses, the words of that, and the hint.
type Refusal = (Value, &'static [&'static str], &'static str);

fn refusals(place: &Place, wrong: &str) -> Vec<Refusal> {
    let azure = &place.azure;
    let (app, other) = (
        azure.app_with(json!({"certificate": true, "subjects": ["repo:shop"]})),
        azure.app_with(json!({"certificate": true})),
    );
    let ended = azure.app_with(json!({"secret_ended": true}));
    let token = |subject: &str, lifetime| place.clouds.workload_token(subject, FEDERATION, lifetime);
    let elsewhere = {
        let mut account = place.account(&app, &json!({"clientSecret": app.secret}));
        account["tenantId"] = json!("99999999-0000-4000-8000-000000000000");
        account
    };
    vec![
        (
            place.account(&app, &json!({"clientSecret": wrong})),
            &["the client secret is wrong", "AADSTS7000215"],
            "clientSecret",
        ),
        (
            place.account(&ended, &json!({"clientSecret": ended.secret})),
            &["has expired", "AADSTS7000222"],
            "credential reset",
        ),
        (elsewhere, &["there is no such directory", "AADSTS90002"], "tenantId"),
        (
            json!({"tenantId": place.azure.tenant, "clientId": "99999999-0000-4000-8000-000000000000", "clientSecret": wrong}),
            &["no such application", "AADSTS700016"],
            "clientId",
        ),
        (
            place.account(&app, &json!({"clientCertificate": other.pem})),
            &["not one of the application's", "AADSTS700027"],
            "upload it",
        ),
        (
            place.account(&app, &json!({"federatedToken": token("repo:shop", -10)})),
            &["not within its time", "AADSTS700024"],
            "federatedTokenFile",
        ),
        (
            place.account(&app, &json!({"federatedToken": token("repo:other", 600)})),
            &["no federated identity", "AADSTS700213"],
            "federated-credential",
        ),
        (
            place.account(
                &app,
                &json!({"clientSecret": app.secret, "serverId": "99999999-0000-4000-8000-000000000000"}),
            ),
            &["does not know the application that the token is for", "AADSTS500011"],
            "serverId",
        ),
    ]
}

#[test]
fn entras_refusals_are_told_with_cause_and_cure() {
    let Some(place) = Place::new() else { return };
    let wrong = "A".repeat(40);
    for (account, words, hint) in refusals(&place, &wrong) {
        let Some(run) = with(place.run(place.step(&account, "echo ran"))) else { return };
        let done = fails(run, words, hint);
        assert!(!format!("{}{}", done.stderr, done.result).contains(&wrong));
        // The agent's own login to the management API has the same words.
        if account.get("serverId").is_none() {
            let Some(run) = with(place.run(place.lookup(&account, "echo ran"))) else { return };
            fails(run, words, hint);
        }
    }
}

#[test]
fn a_wrong_secret_does_not_live_on_what_a_right_one_left() {
    let Some(place) = Place::new() else { return };
    let app = place.azure.app();
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().display().to_string();
    for mode in ["broker", "exec"] {
        let account = |secret: &str| place.account(&app, &json!({"clientSecret": secret}));
        let step = |secret: &str| {
            place.step(&account(secret), "kubectl auth whoami") + &format!("credentials: {mode}\n")
        };
        let run =
            |secret: &str| with(place.run(step(secret)).env("HOME", &folder).env("XDG_CACHE_HOME", &folder));
        let Some(right) = run(&app.secret) else { return };
        right.any_output().check();
        let Some(wrong) = run(&"A".repeat(40)) else { return };
        if mode == "broker" {
            fails(wrong, &["AADSTS7000215"], "clientSecret");
        } else {
            let done = wrong.code(1).any_output().check();
            assert!(done.stderr.contains("AADSTS7000215"), "{}", done.stderr);
        }
        let left = crate::harness::run::names_in(home.path());
        assert!(left.iter().all(|name| name == ".kube"), "kubelogin keeps nothing in HOME: {left:?}");
    }
}

#[test]
fn what_the_management_api_refuses_is_told() {
    let Some(place) = Place::new() else { return };
    let app = place.azure.app();
    let user = place.account(&app, &json!({"clientSecret": app.secret}));
    let admin = place.account(&app, &json!({"clientSecret": app.secret, "admin": true}));
    fails(
        place.run(place.lookup(&user, "echo ran")),
        &["there is no such cluster", "ResourceNotFound"],
        "clusterName",
    );
    let cases: [(Value, &Value, &[&str], &str); 6] = [
        (
            json!({"denied": [app.client]}),
            &user,
            &["may not look at the cluster", "AuthorizationFailed"],
            "Cluster User Role",
        ),
        (
            json!({"denied": [app.client]}),
            &admin,
            &["may not have the cluster's administrator"],
            "Cluster Admin Role",
        ),
        (
            json!({"local_accounts": false}),
            &admin,
            &["local accounts are disabled", "Getting static credential is not allowed"],
            "leave admin out",
        ),
        (json!({"power": "Stopped"}), &user, &["the cluster shop is stopped"], "az aks start"),
        (json!({}), &user, &["wants a login of Entra", "kubelogin"], "install kubelogin"),
        (
            json!({"user_kubeconfig": kubeconfig(&place, "evil-login")}),
            &user,
            &["names another plugin than kubelogin"],
            "target.server",
        ),
    ];
    for (about, account, words, hint) in cases {
        place.describe(&about);
        fails(place.run(place.lookup(account, "echo ran")), words, hint);
    }
}

fn kubeconfig(place: &Place, command: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "shop",
        "clusters": [{"name": "shop", "cluster": {"server": place.cluster.fact("server"), "certificate-authority-data": super::authority(place.cluster)}}],
        "contexts": [{"name": "shop", "context": {"cluster": "shop", "user": "u"}}],
        "users": [{"name": "u", "user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": command, "args": []}}}],
    })
    .to_string()
}

#[test]
fn answers_that_are_none_are_told_by_their_shape() {
    let Some(place) = Place::new() else { return };
    let app = place.azure.app();
    let account = place.account(&app, &json!({"clientSecret": app.secret}));
    for (trouble, words) in [
        ("html", "it answered with a page of HTML"),
        ("empty", "it answered with nothing"),
        ("huge", "the answer is larger than"),
        ("unavailable", "HTTP 503"),
        ("slow", "did not answer in time"),
    ] {
        place.describe(&json!({"trouble": trouble}));
        let step = place.lookup(&account, "echo ran") + "limits: {login: 3s}\n";
        fails(place.run(step), &["Azure's management API", words], "");
        let broken = place.azure.app_with(json!({"trouble": trouble}));
        let account = place.account(&broken, &json!({"clientSecret": broken.secret}));
        let step = place.lookup(&account, "echo ran") + "limits: {login: 3s}\n";
        fails(place.run(step), &["at Entra (", words], "");
    }
    place.describe(&json!({"user_kubeconfig": "nothing: like a kubeconfig"}));
    let words = "its answer holds no kubeconfig that can be used";
    fails(place.run(place.lookup(&account, "echo ran")), &[words], "target.server");
}

#[test]
fn an_old_kubelogin_is_refused_where_it_would_go_elsewhere() {
    let Some(place) = Place::new() else { return };
    let Some(old) = tool("kubelogin", "0.1") else { return };
    let app = place.azure.app_with(json!({"certificate": true}));
    let step = place.step(&place.account(&app, &json!({"clientSecret": app.secret})), "echo ran");
    let host = format!("{}/", place.clouds.https("entra"));
    let run = place.run(step).tool("kubelogin", &old).env("AZURE_AUTHORITY_HOST", host);
    fails(run, &["kubelogin 0.1.4", "ignores the agent's AZURE_AUTHORITY_HOST"], "newer kubelogin");
    let step = place.step(&place.account(&app, &json!({"clientCertificate": app.pem})), "echo ran");
    fails(place.run(step).tool("kubelogin", &old), &["kubelogin 0.1.4", "in PEM"], "newer kubelogin");
}

#[test]
fn without_kubelogin_the_step_does_not_start() {
    let Some(place) = Place::new() else { return };
    let app = place.azure.app();
    let step = place.step(&place.account(&app, &json!({"clientSecret": app.secret})), "echo ran");
    fails(place.run(step), &["kubelogin is not on the PATH"], "kubelogin");
}
