//! `target.auth.gke`: what is read, what is refused, and where a key file may send a login.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Place, exchanged};
use crate::payload::gke::{GkeEndpoint, GoogleCredentials};
use crate::payload::{Auth, Gke, Policy, Step};

const CLUSTER: &str = "clusterName: shop, project: my-project, location: europe-west4-a";
const SERVER: &str = "  server: https://k8s.example:6443\n";
const EMAIL: &str = "deploy@my-project.iam.gserviceaccount.com";

/// `None` where there is no openssl to make one.
fn key() -> Option<Value> {
    let key = &super::pfx::rsa()?.key;
    Some(json!({
        "type": "service_account",
        "client_email": EMAIL,
        "private_key": key,
        "private_key_id": "0123456789abcdef",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
    }))
}

fn external() -> Value {
    json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": "token"},
    })
}

fn payload(account: &str) -> String {
    exchanged("token: hunter22-token", &format!("gke: {{{account}}}"))
}

fn gke(step: &Step) -> &Gke {
    let Auth::Gke(gke) = &step.target.auth else { panic!("another account") };
    gke
}

fn told(place: &Place, payload: String) -> String {
    let problems = place.problems(payload);
    let lines = problems.lines().map(|line| line.splitn(4, ':').nth(3).unwrap_or(line).trim());
    lines.collect::<Vec<_>>().join("\n").replace("target.auth.gke", "…")
}

fn with(mut document: Value, name: &str, value: impl Into<Value>) -> String {
    document[name] = value.into();
    document.to_string()
}

#[test]
fn a_key_is_json_or_base64_of_it_and_masked_whole_and_by_its_key() {
    let Some(key) = key() else { return };
    let document = serde_json::to_string_pretty(&key).expect("JSON");
    let packed = STANDARD.encode(&document);
    let place = Place::new().file("key.json", &document);
    for given in ["{fromFile: key.json}", &packed] {
        let step = place.step(payload(&format!("serviceAccountKey: {given}")));
        let GoogleCredentials::Key(file) = &gke(&step).credentials else { panic!("another one") };
        assert_eq!(file.value(), key);
        let given = if given == packed { &packed } else { &document };
        for secret in [key["private_key"].as_str().expect("a key"), file.document.expose(), given] {
            assert!(step.secrets().iter().any(|named| named.secret.expose() == secret), "{secret}");
        }
    }
}

#[test]
fn a_cluster_has_a_project_and_a_zone_or_region() {
    let Some(key) = key() else { return };
    let place = Place::new().file("key.json", key.to_string());
    let account = |more: &str| payload(&format!("serviceAccountKey: {{fromFile: key.json}}{more}"));
    assert_eq!(
        told(&place, account("").replace(SERVER, "")),
        "….clusterName: missing\n….project: missing\n….location: missing"
    );
    for location in ["europe-west4-a", "us-central1", "northamerica-northeast1", "me-central2-c"] {
        let step = place.step(
            account(&format!(
                ", clusterName: shop, project: my-project, location: {location}, endpoint: dns"
            ))
            .replace(SERVER, ""),
        );
        assert_eq!((gke(&step).location.as_deref(), gke(&step).endpoint), (Some(location), GkeEndpoint::Dns));
    }
    for (more, expected) in [
        (
            ", location: Frankfurt",
            "….location: \"Frankfurt\" is no location; expected a region such as europe-west4, or a zone such as europe-west4-a",
        ),
        (
            ", clusterName: A",
            "….clusterName: \"A\" is no name of a cluster in GKE; expected at most 40 lower-case letters, digits and dashes",
        ),
        (", project: a/b", "….project: \"a/b\" is no project's id; expected one such as my-project-123"),
        (
            ", impersonateServiceAccount: me",
            "….impersonateServiceAccount: \"me\" is no service account; expected one such as deploy@project.iam.gserviceaccount.com",
        ),
        (", endpoint: internal", "….endpoint: expected public, private, dns, found \"internal\""),
        (
            ", vmServiceAccount: {}",
            "…: expected exactly one of serviceAccountKey, externalAccount, vmServiceAccount; found serviceAccountKey and vmServiceAccount",
        ),
    ] {
        assert_eq!(told(&place, account(more)), expected);
    }
}

#[test]
fn a_key_file_that_is_none_is_told_without_a_word_of_it() {
    let Some(key) = key() else { return };
    for (document, expected) in [
        (
            "hunter22".to_owned(),
            "….serviceAccountKey: expected a key file (JSON, or base64 of it), found something else; hint: give the file itself with fromFile",
        ),
        (
            "{\"type\": \"service_account\"".into(),
            "….serviceAccountKey: expected a key file (JSON, or base64 of it), found something else; hint: give the file itself with fromFile",
        ),
        (
            "{}".into(),
            "….serviceAccountKey: expected a key file of the type service_account, found one without a type",
        ),
        (
            with(key.clone(), "type", "authorized_user"),
            "….serviceAccountKey: expected a key file of the type service_account, found \"authorized_user\"",
        ),
        (
            external().to_string(),
            "….serviceAccountKey: expected the type service_account; one of the type external_account belongs in externalAccount",
        ),
        (with(key.clone(), "client_email", ""), "….serviceAccountKey: the key file has no client_email"),
        (
            with(key.clone(), "private_key", "hunter22-no"),
            "….serviceAccountKey: the private_key in the key file: expected a private key in PEM or base64 of PEM, found something else",
        ),
        (
            with(
                key.clone(),
                "private_key",
                "-----BEGIN PRIVATE KEY-----\naHVudGVyMjI=\n-----END PRIVATE KEY-----\n",
            ),
            "….serviceAccountKey: the private_key in the key file is damaged, or no RSA key",
        ),
    ] {
        let place = Place::new().file("key.json", document);
        let told = told(&place, payload("serviceAccountKey: {fromFile: key.json}"));
        assert!(told == expected, "{told}\n{expected}");
    }
}

#[test]
fn an_external_account_has_its_token_in_a_file_or_behind_an_address() {
    let place = Place::new().file("key.json", external().to_string()).file("token", "hunter22.jwt\n");
    let account = "externalAccount: {fromFile: key.json}";
    let step = place.step(payload(account));
    let GoogleCredentials::External(file) = &gke(&step).credentials else { panic!("another one") };
    let path = place.path().join("token");
    assert_eq!(file.value()["credential_source"]["file"].as_str(), path.to_str());
    assert!(step.secrets().iter().any(|named| named.secret.expose() == "hunter22.jwt"));
    for (document, expected) in [
        (
            with(external(), "credential_source", json!({"file": "none"})),
            "….externalAccount: cannot read \"none\": no such file; hint: relative paths start at the payload's folder",
        ),
        (
            with(external(), "credential_source", json!({"executable": {}})),
            "….externalAccount: a credential_source with an executable is not run",
        ),
        (
            with(external(), "credential_source", Value::Null),
            "….externalAccount: the external account has no credential_source",
        ),
        (with(external(), "audience", ""), "….externalAccount: the external account has no audience"),
    ] {
        let place = Place::new().file("key.json", document).file("token", "hunter22.jwt");
        assert_eq!(told(&place, payload(account)), expected);
    }
    let twice =
        with(external(), "service_account_impersonation_url", "https://iamcredentials.googleapis.com/x");
    let place = Place::new().file("key.json", twice).file("token", "hunter22.jwt");
    assert_eq!(
        told(&place, payload(&format!("{account}, impersonateServiceAccount: {EMAIL}"))),
        "….impersonateServiceAccount: the external account names a service account already; hint: leave one of them out"
    );
}

#[test]
fn a_remote_key_file_sends_its_login_to_google_only() {
    let Some(key) = key() else { return };
    let remote = |document: String, field: &str| {
        told(&Place::new().remote(Policy::default()), payload(&format!("{field}: '{document}'")))
    };
    let field = "serviceAccountKey";
    Place::new().remote(Policy::default()).step(payload(&format!("{field}: '{}'", key)));
    for address in [
        "https://evil.example/token",
        "http://oauth2.googleapis.com/token",
        "https://oauth2.googleapis.com.evil/",
        "https://oauth2.googleapis.com@evil/",
    ] {
        assert_eq!(
            remote(with(key.clone(), "token_uri", address), field),
            "….serviceAccountKey: a remote payload's token_uri must be Google's own (https://oauth2.googleapis.com/…)"
        );
    }
    assert_eq!(
        remote(with(key.clone(), "universe_domain", "evil.example"), field),
        "….serviceAccountKey: a remote payload's universe_domain must be googleapis.com"
    );
    let mut everything = external();
    everything["token_url"] = "https://evil.example".into();
    everything["service_account_impersonation_url"] = "https://evil.example".into();
    assert_eq!(
        remote(everything.to_string(), "externalAccount"),
        "….externalAccount: a remote payload's token_url must be Google's own (https://sts.googleapis.com/…)\n\
         ….externalAccount: a remote payload's service_account_impersonation_url must be Google's own (https://iamcredentials.googleapis.com/…)\n\
         ….externalAccount: a remote payload must not have a credential_source: it names files and addresses of the worker's; hint: use serviceAccountKey, or vmServiceAccount"
    );
    // A local payload speaks for its caller.
    Place::new()
        .step(payload(&format!("{field}: '{}'", with(key.clone(), "token_uri", "http://127.0.0.1:1/token"))));
}

#[test]
fn the_vms_account_is_the_operators_to_allow_and_impersonates_by_the_agent_only() {
    let vm = payload(&format!("vmServiceAccount: {{}}, {CLUSTER}"));
    let local = Place::new().variable("GCE_METADATA_HOST", "127.0.0.1:1").variable("CLOUDSDK_CONFIG", "/x");
    assert_eq!(local.step(&vm).operator.keys().collect::<Vec<_>>(), ["GCE_METADATA_HOST"]);
    assert_eq!(
        told(&Place::new().remote(Policy::default()), vm.clone()),
        "….vmServiceAccount: a remote payload must not use the worker's own account at this server; \
         hint: the operator's config allows it with [remote] gkeVmServiceAccount = […]"
    );
    let servers = vec!["https://k8s.example:6443/".into()];
    let allowed = || Policy {
        gke_vm_service_account_servers: vec!["https://k8s.example:6443/".into()],
        ..Policy::default()
    };
    Place::new().remote(Policy { gke_vm_service_account_servers: servers, ..Policy::default() }).step(&vm);
    // Where the server is to be found, nobody can say beforehand where the account is sent.
    Place::new().remote(allowed()).problems(vm.replace(SERVER, ""));
    let impersonating = payload(&format!("vmServiceAccount: {{}}, impersonateServiceAccount: {EMAIL}"));
    Place::new().step(&impersonating);
    let told = Place::new().problems(impersonating + "credentials: exec\n");
    assert!(told.contains("gke-gcloud-auth-plugin ignores auth.gke.impersonateServiceAccount"), "{told}");
}
