//! `target.auth.aks`: what is read, what is refused, and whose words reach a login.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Place, exchanged};
use crate::payload::aks::{AzureCredentials, AzureEnvironment, SERVER_ID};
use crate::payload::{Aks, Auth, Policy, Step, WebToken};

const IDS: &str = "tenantId: contoso.onmicrosoft.com, clientId: 11111111-2222-3333-4444-555555555555";
const CLUSTER: &str =
    "clusterName: shop, resourceGroup: shop-rg, subscriptionId: 99999999-2222-3333-4444-555555555555";
const GUID: &str = "00000000-0000-0000-0000-000000000001";
const SERVER: &str = "  server: https://k8s.example:6443\n";

fn payload(account: &str) -> String {
    exchanged("token: hunter22-token", &format!("aks: {{{account}}}"))
}

fn without_server(account: &str) -> String {
    payload(account).replace(SERVER, "")
}

fn aks(step: &Step) -> &Aks {
    let Auth::Aks(aks) = &step.target.auth else { panic!("another account") };
    aks
}

/// The problems, without the place of each.
fn told(place: &Place, payload: String) -> String {
    let problems = place.problems(payload);
    let lines = problems.lines().map(|line| line.splitn(4, ':').nth(3).unwrap_or(line).trim());
    lines.collect::<Vec<_>>().join("\n").replace("target.auth.aks", "…")
}

#[test]
fn a_secret_needs_ids_and_with_a_server_no_cluster() {
    let step = Place::new().step(payload(&format!("{IDS}, clientSecret: hunter22-secret")));
    let account = aks(&step);
    assert_eq!(account.tenant_id.as_deref(), Some("contoso.onmicrosoft.com"));
    assert_eq!((account.environment, account.server_id.as_str()), (AzureEnvironment::Public, SERVER_ID));
    assert!(account.cluster.is_none() && account.is_renewed() && !account.admin);
    let secrets: Vec<String> = step.secrets().into_iter().map(|named| named.field).collect();
    assert_eq!(secrets, ["target.auth.aks.clientSecret"]);
    assert_eq!(step.in_clear, secrets);
    let full = format!("{IDS}, {CLUSTER}, clientSecret: hunter22, environment: AzureChinaCloud, admin: true");
    let full = Place::new().step(without_server(&full));
    let cluster = aks(&full).cluster.as_ref().expect("a cluster");
    assert_eq!((cluster.name.as_str(), cluster.resource_group.as_str()), ("shop", "shop-rg"));
    assert_eq!((aks(&full).environment, aks(&full).admin), (AzureEnvironment::China, true));
}

#[test]
fn what_is_missing_is_told_at_once() {
    let place = Place::new();
    let cluster = "….clusterName: missing\n….resourceGroup: missing\n….subscriptionId: missing";
    assert_eq!(told(&place, without_server(&format!("{IDS}, clientSecret: hunter22"))), cluster);
    assert_eq!(told(&place, payload(&format!("{IDS}, clientSecret: hunter22, admin: true"))), cluster);
    assert_eq!(told(&place, payload("clientSecret: hunter22")), "….tenantId: missing\n….clientId: missing");
    let list = "clientSecret, clientCertificate, federatedToken, federatedTokenFile, managedIdentity";
    assert_eq!(told(&place, payload(IDS)), format!("…: expected exactly one of {list}; found none"));
    let two = format!("{IDS}, clientSecret: hunter22, managedIdentity: {{}}");
    assert_eq!(
        told(&place, payload(&two)),
        format!("…: expected exactly one of {list}; found clientSecret and managedIdentity")
    );
}

#[test]
fn what_azure_would_refuse_for_its_form_is_refused() {
    let place = Place::new();
    let with = |field: &str| payload(&format!("{IDS}, clientSecret: hunter22, {field}"));
    for (field, expected) in [
        (
            "environment: Azure",
            "….environment: expected AzureCloud, AzureChinaCloud, AzureUSGovernment, found \"Azure\"",
        ),
        ("serverId: shop", "….serverId: \"shop\" is no application's id"),
        (
            "clusterName: -shop",
            "….clusterName: \"-shop\" is no name of a cluster in AKS; expected at most 63 letters, digits, dashes and \
             underscores, with a letter or digit at both ends",
        ),
        (
            "resourceGroup: a/b",
            "….resourceGroup: \"a/b\" is no resource group; expected at most 90 letters, digits and any of - _ . ( ), no \
             dot at the end",
        ),
        (
            "clientCertificatePassword: hunter23",
            "….clientCertificatePassword: belongs to clientCertificate, and there is none",
        ),
    ] {
        let told = told(&place, with(field));
        assert!(told.starts_with(expected), "{told}");
    }
    let ids = payload("tenantId: contoso, clientId: app, clientSecret: hunter22").replace("contoso", "'a b'");
    assert_eq!(
        told(&place, ids),
        "….tenantId: \"a b\" is no directory; expected its id or its domain, such as contoso.onmicrosoft.com\n\
         ….clientId: \"app\" is no id; expected one such as 11111111-2222-3333-4444-555555555555"
    );
}

#[test]
fn a_certificate_is_a_pfx_or_pem() {
    let Some(rsa) = super::pfx::rsa() else { return };
    let both = format!("{}{}", rsa.key, rsa.certificate);
    let (ec, ec_key) = super::account::certificate("ec", 2030);
    let place = super::pfx::place()
        .file("both.pem", &both)
        .file("alone.pem", &rsa.certificate)
        .file("both.pfx", &rsa.pfx)
        .file("ec.pem", ec + &ec_key);
    let of = |file: &str| format!("{IDS}, clientCertificate: {{fromFile: {file}}}");
    let read = |payload: String| {
        let step = place.step(payload);
        let AzureCredentials::Certificate(read) = &aks(&step).credentials else { panic!("another one") };
        (read.clone(), step)
    };
    let (pem, step) = read(payload(&of("both.pem")));
    assert!(pem.pfx.is_none() && pem.private_key.expose().contains("PRIVATE KEY"));
    assert!(!pem.certificate.contains("PRIVATE KEY"));
    assert!(step.secrets().iter().any(|named| named.secret.expose() == both.trim_end()));
    let (opened, step) =
        read(payload(&format!("{}, clientCertificatePassword: hunter22-pw", of("both.pfx"))));
    let packed = STANDARD.encode(&rsa.pfx);
    assert_eq!(opened.pfx.as_ref().expect("a pfx").packed.expose(), packed);
    for secret in [packed.as_str(), "hunter22-pw", opened.private_key.expose()] {
        assert!(step.secrets().iter().any(|named| named.secret.expose() == secret));
    }
    let (_, _) =
        read(payload(&format!("{IDS}, clientCertificate: {packed}, clientCertificatePassword: hunter22-pw")));
    for (account, expected) in [
        (
            of("alone.pem"),
            "….clientCertificate: holds a certificate without its key; hint: put both into one file: cat cert.pem key.pem",
        ),
        (of("ec.pem"), "….clientCertificate: the key is no RSA key, and Entra takes no other"),
        (
            format!("{}, clientCertificatePassword: hunter22-no", of("both.pfx")),
            "….clientCertificate: the password is wrong, or the PFX is damaged",
        ),
        (
            format!("{}, clientCertificatePassword: hunter22-no", of("both.pem")),
            "….clientCertificate: is PEM, whose key must not be encrypted",
        ),
    ] {
        let told = told(&place, payload(&account));
        assert!(told.starts_with(expected) && !told.contains("hunter22"), "{told}");
    }
}

#[test]
fn tokens_are_given_or_in_a_file() {
    let place = Place::new().file("token", "hunter22.jwt\n");
    let given = place.step(payload(&format!("{IDS}, federatedToken: hunter22.jwt")));
    assert!(!aks(&given).is_renewed());
    let file = place.step(payload(&format!("{IDS}, federatedTokenFile: token")));
    assert!(aks(&file).is_renewed());
    let AzureCredentials::Federated(WebToken::File { path, token }) = &aks(&file).credentials else {
        panic!("another one")
    };
    assert_eq!((path, token.expose()), (&place.path().join("token"), "hunter22.jwt"));
}

#[test]
fn the_workers_own_identity_and_other_audiences_are_the_operators_to_allow() {
    let identity = payload("managedIdentity: {}");
    let local = Place::new()
        .variable("IDENTITY_ENDPOINT", "http://127.0.0.1:1/token")
        .variable("IDENTITY_HEADER", "hunter22-header")
        .variable("AZURE_CLIENT_SECRET", "x");
    let step = local.step(&identity);
    assert_eq!(step.operator.keys().collect::<Vec<_>>(), ["IDENTITY_ENDPOINT", "IDENTITY_HEADER"]);
    assert!(step.secrets().iter().any(|named| named.field == "operator.IDENTITY_HEADER"));
    let refused = told(&Place::new().remote(Policy::default()), identity.clone());
    assert_eq!(
        refused,
        "….managedIdentity: a remote payload must not use the worker's own account at this server; \
         hint: the operator's config allows it with [remote] aksManagedIdentity = […]"
    );
    let servers = vec!["https://k8s.example:6443".into()];
    Place::new().remote(Policy { aks_managed_identity_servers: servers, ..Policy::default() }).step(identity);

    let other = payload(&format!("{IDS}, clientSecret: hunter22, serverId: {GUID}"));
    assert_eq!(aks(&Place::new().step(&other)).server_id, GUID);
    assert_eq!(
        told(&Place::new().remote(Policy::default()), other.clone()),
        "….serverId: a remote payload must not have tokens made for this application; \
         hint: the operator's config allows it with [remote] aksServerId = […]"
    );
    Place::new().remote(Policy { aks_server_ids: vec![GUID.into()], ..Policy::default() }).step(other);
}

#[test]
fn admin_has_no_plugin_to_choose() {
    let admin =
        payload(&format!("{IDS}, {CLUSTER}, clientSecret: hunter22, admin: true")) + "credentials: exec\n";
    let told = Place::new().problems(admin);
    assert!(told.ends_with("credentials: auth.aks.admin uses no plugin that kubectl could run; hint: leave credentials out: the agent then logs in itself"), "{told}");
}
