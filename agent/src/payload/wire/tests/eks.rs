//! `target.auth.eks`: what is read, what is refused, and whose words reach a login.

use std::time::Duration;

use super::{Place, exchanged};
use crate::payload::eks::{AwsCredentials, Eks, EksPlugin};
use crate::payload::{Auth, Credentials, Policy, Step, WebToken};

const SERVER: &str = "https://k8s.example:6443";
const EKS_SERVER: &str = "https://ABC.gr7.eu-central-1.eks.amazonaws.com";
const KEY: &str =
    "credentials: {accessKey: {accessKeyId: AKIAIOSFODNN7EXAMPLE, secretAccessKey: hunter22-key}}";
const ROLE: &str = "arn:aws:iam::123456789012:role/deploy";

/// The good payload with this account, at a server of EKS.
fn payload(account: &str) -> String {
    let auth = format!("eks: {{clusterName: shop, {account}}}");
    exchanged("token: hunter22-token", &auth).replace(SERVER, EKS_SERVER)
}

fn eks(step: &Step) -> &Eks {
    let Auth::Eks(eks) = &step.target.auth else { panic!("another account") };
    eks
}

/// The problems of an account, without the place of each.
fn told(place: &Place, account: &str) -> String {
    let problems = place.problems(payload(account));
    problems
        .lines()
        .map(|line| line.splitn(4, ':').nth(3).unwrap_or(line).trim())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn keys_are_read_and_the_region_is_the_servers() {
    let step = Place::new().step(payload(KEY));
    let account = eks(&step);
    assert_eq!((account.region.name.as_str(), account.region.is_given), ("eu-central-1", false));
    assert_eq!((account.cluster_name.as_str(), account.plugin), ("shop", EksPlugin::Auto));
    assert_eq!(step.credentials, Credentials::Broker);
    assert!(account.is_renewed() && account.assume_role.is_none());
    let secrets: Vec<String> = step.secrets().into_iter().map(|named| named.field).collect();
    assert_eq!(secrets, ["target.auth.eks.credentials.accessKey.secretAccessKey"]);
    assert_eq!(step.in_clear, secrets);
    let given = Place::new().step(payload(&format!("{KEY}, region: us-gov-west-1, plugin: aws")));
    assert_eq!((eks(&given).region.name.as_str(), eks(&given).plugin), ("us-gov-west-1", EksPlugin::Aws));
}

#[test]
fn without_a_server_the_region_is_needed() {
    let without = |account: &str| payload(account).replace(&format!("  server: {EKS_SERVER}\n"), "");
    let step = Place::new().step(without(&format!("{KEY}, region: eu-west-1")));
    assert_eq!(step.target.server, None);
    let problems = Place::new().problems(without(KEY));
    assert!(
        problems.ends_with(
            "target.auth.eks: the region is not given, and there is no target.server to read it from; \
             hint: set target.auth.eks.region, such as eu-central-1"
        ),
        "{problems}"
    );
    let own = Place::new().problems(payload(KEY).replace(EKS_SERVER, SERVER));
    assert!(own.contains("the region is not given, and cannot be read from target.server"), "{own}");
}

#[test]
fn roles_are_read_with_all_that_they_have() {
    let role = format!(
        "{KEY}, assumeRole: {{roleArn: '{ROLE}', sessionName: me, externalId: 'a:b/c', duration: 1h30m}}"
    );
    let step = Place::new().step(payload(&role));
    let role = eks(&step).assume_role.as_ref().expect("a role");
    assert_eq!((role.arn.as_str(), role.session_name.as_deref()), (ROLE, Some("me")));
    assert_eq!(
        (role.external_id.as_deref(), role.duration),
        (Some("a:b/c"), Some(Duration::from_secs(5400)))
    );
    let place = Place::new().file("token", "hunter22.jwt\n");
    let web = |token: &str| format!("credentials: {{webIdentity: {{roleArn: '{ROLE}', {token}}}}}");
    let by_file = place.step(payload(&web("tokenFile: token")));
    let AwsCredentials::WebIdentity { token: WebToken::File { path, token }, .. } =
        &eks(&by_file).credentials
    else {
        panic!("another account")
    };
    assert_eq!((path, token.expose()), (&place.path().join("token"), "hunter22.jwt"));
    assert!(eks(&by_file).is_renewed());
    let given = place.step(payload(&web("token: hunter22.jwt")));
    assert!(!eks(&given).is_renewed());
    assert_eq!(
        told(&place, &web("token: hunter22.jwt, tokenFile: token")),
        "target.auth.eks.credentials.webIdentity: expected token or tokenFile; found both"
    );
}

#[test]
fn what_aws_would_refuse_for_its_form_is_refused() {
    let place = Place::new();
    let path = "target.auth.eks";
    let role = |field: &str| format!("{KEY}, assumeRole: {{roleArn: '{ROLE}', {field}}}");
    for (account, expected) in [
        (
            format!("{KEY}, region: Frankfurt"),
            format!("{path}.region: \"Frankfurt\" is no region; expected one such as eu-central-1"),
        ),
        (
            format!("{KEY}, plugin: awz"),
            format!(
                "{path}.plugin: expected auto, aws, aws-iam-authenticator, found \"awz\"; did you mean \"aws\"?"
            ),
        ),
        (
            "credentials: {}".into(),
            format!("{path}.credentials: expected exactly one of accessKey, webIdentity, worker; found none"),
        ),
        (
            KEY.replace("AKIAIOSFODNN7EXAMPLE", "AKIA"),
            format!(
                "{path}.credentials.accessKey.accessKeyId: expected 16 to 128 letters and digits, such as AKIAIOSFODNN7EXAMPLE"
            ),
        ),
        (
            KEY.replace("hunter22-key", "\"hunter22 \""),
            format!(
                "{path}.credentials.accessKey.secretAccessKey: must not begin or end with a blank; hint: leave the blank out"
            ),
        ),
        (
            role("duration: 5m"),
            format!(
                "{path}.assumeRole.duration: expected whole seconds from 15m to 12h, which is what STS allows"
            ),
        ),
        (
            role("sessionName: 'a b'"),
            format!(
                "{path}.assumeRole.sessionName: \"a b\" is no name of a session; expected 2 to 64 letters, digits and any of _ + = , . @ -"
            ),
        ),
        (
            format!("{KEY}, assumeRole: {{roleArn: deploy}}"),
            format!(
                "{path}.assumeRole.roleArn: \"deploy\" is no role; expected one such as arn:aws:iam::123456789012:role/deploy"
            ),
        ),
    ] {
        assert_eq!(told(&place, &account), expected);
    }
    let both = KEY.replace("{accessKey:", "{worker: {}, accessKey:");
    assert!(told(&place, &both).contains("found worker and accessKey"), "{}", told(&place, &both));
}

#[test]
fn a_choice_without_a_plugin_is_refused() {
    let step = Place::new().step(payload(KEY) + "credentials: exec\n");
    assert_eq!(step.credentials, Credentials::Exec);
    Place::new().refuses(&[(
        "script:",
        "credentials: exec\nscript:",
        "9:14: credentials: auth.token has no plugin, so that there is nothing to choose; hint: leave credentials out",
    )]);
}

#[test]
fn the_workers_own_account_is_the_operators_to_allow() {
    let worker = payload("credentials: {worker: {}}");
    let local = Place::new().variable("AWS_PROFILE", "ops").variable("AWS_SECRET_ACCESS_KEY", "hunter22");
    let step = local.step(&worker);
    assert_eq!(step.operator.keys().collect::<Vec<_>>(), ["AWS_PROFILE", "AWS_SECRET_ACCESS_KEY"]);
    assert!(step.secrets().iter().any(|named| named.field == "operator.AWS_SECRET_ACCESS_KEY"));
    let refused = Place::new().remote(Policy::default()).problems(&worker);
    assert!(
        refused.ends_with(
            "target.auth.eks.credentials.worker: a remote payload must not use the worker's own account at this \
             server; hint: the operator's config allows it with [remote] eksWorker = […]"
        ),
        "{refused}"
    );
    let allowed = || Policy { eks_worker_servers: vec![format!("{EKS_SERVER}/")], ..Policy::default() };
    Place::new().remote(allowed()).step(&worker);
    // Where the server is to be found, nobody can say beforehand where the account is sent.
    let found = payload("credentials: {worker: {}}, region: eu-west-1")
        .replace(&format!("  server: {EKS_SERVER}\n"), "");
    Place::new().remote(allowed()).problems(found);
}

#[test]
fn of_the_operators_variables_only_those_of_the_account_are_taken() {
    let place = Place::new()
        .variable("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
        .variable("AWS_PROFILE", "ops")
        .variable("AZURE_AUTHORITY_HOST", "https://x");
    let step = place.step(payload(KEY));
    assert_eq!(step.operator.keys().collect::<Vec<_>>(), ["AWS_ENDPOINT_URL_STS"]);
    assert!(place.step(super::GOOD).operator.is_empty());
}
