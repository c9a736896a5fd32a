//! EKS: tokens of every aws cli and aws-iam-authenticator.

use serde_json::json;

use super::{is_nobody, plugin, seen, token};
use crate::harness::aws::{Aws, Keys, REGION, Trust};
use crate::harness::clouds::{Clouds, clouds};
use crate::harness::cluster::cluster;
use crate::harness::tools::{tool, tools};
use crate::harness::whoami::expected;

/// Every plugin that can make a token: name, version, path.
fn plugins() -> Vec<(&'static str, String, std::path::PathBuf)> {
    let all = ["aws", "aws-iam-authenticator"].into_iter();
    let all = all.flat_map(|name| tools(name).into_iter().map(move |(version, path)| (name, version, path)));
    // It has no `eks get-token` yet.
    all.filter(|(_, version, _)| version != "1.16.150").collect()
}

fn arguments<'a>(name: &str, cluster: &'a str, role: Option<&'a str>) -> Vec<&'a str> {
    let (base, flag): (&[&str], _) = if name == "aws" {
        (
            &["--region", REGION, "--output", "json", "eks", "get-token", "--cluster-name", cluster],
            "--role-arn",
        )
    } else {
        (&["token", "--region", REGION, "-i", cluster], "-r")
    };
    base.iter().copied().chain(role.into_iter().flat_map(|role| [flag, role])).collect()
}

fn environment(clouds: &Clouds, keys: &Keys) -> Vec<(&'static str, String)> {
    let mut all = clouds.environment();
    all.extend(keys.environment());
    all.extend([("AWS_REGION", REGION.to_owned()), ("AWS_DEFAULT_REGION", REGION.to_owned())]);
    all
}

/// A token of a user, made by the newest aws cli.
fn fresh(clouds: &Clouds, aws: &Aws, keys: &Keys, cluster: &str) -> Option<String> {
    let newest = tool("aws", "1")?;
    aws.cluster(cluster, "https://stand-in", "");
    let answer = plugin(&newest, &arguments("aws", cluster, None), &environment(clouds, keys));
    Some(token(&answer.expect("a token")))
}

#[test]
fn every_plugin_s_token_is_its_user_and_with_a_role_its_session() {
    let (Some(cluster), Some(clouds)) = (cluster(), clouds()) else { return };
    let aws = clouds.aws();
    let keys = aws.user("deployer");
    let role = aws.role("ci", &Trust { principals: &[&keys.arn], ..Trust::default() });
    aws.cluster("shop", "https://stand-in", "");
    let found = plugins();
    assert!(
        found.iter().any(|(name, ..)| *name == "aws") && found.len() >= 9,
        "run scripts/tools: {found:?}"
    );
    let session = format!("arn:aws:sts::{}:assumed-role/ci/", aws.account);
    for (name, version, path) in found {
        let answer = plugin(&path, &arguments(name, "shop", None), &environment(clouds, &keys));
        let answer = answer.unwrap_or_else(|words| panic!("{name} {version}: {words}"));
        assert_eq!(seen(cluster, &token(&answer)), expected(&keys.arn, &["aws-users"]), "{name} {version}");
        let answer = plugin(&path, &arguments(name, "shop", Some(&role)), &environment(clouds, &keys));
        let answer = answer.unwrap_or_else(|words| panic!("{name} {version} with a role: {words}"));
        let user = seen(cluster, &token(&answer));
        assert!(user.name.starts_with(&session), "{name} {version} with a role is {user:?}");
    }
}

#[test]
fn a_token_that_is_forged_aged_or_of_another_cluster_is_nobody_s() {
    let (Some(cluster), Some(clouds)) = (cluster(), clouds()) else { return };
    let aws = clouds.aws();
    let (keys, stranger) = (aws.user("deployer"), aws.unmapped_user("stranger"));
    let Some(good) = fresh(clouds, &aws, &keys, "forged") else { return };
    let Some(unmapped) = fresh(clouds, &aws, &stranger, "forged") else { return };
    let mut wrong = aws.user("deployer");
    wrong.secret_access_key = "A".repeat(40);
    let Some(forged) = fresh(clouds, &aws, &wrong, "forged") else { return };
    let Some(path) = tool("aws", "1") else { return };
    let elsewhere = plugin(&path, &arguments("aws", "elsewhere", None), &environment(clouds, &keys));
    let elsewhere = token(&elsewhere.expect("a token"));
    let Some(faketime) = tool("libfaketime", "") else { return };
    let at = |clock: &str| {
        let mut environment = environment(clouds, &keys);
        environment.push(("LD_PRELOAD", faketime.to_string_lossy().into_owned()));
        environment.push(("FAKETIME", clock.to_owned()));
        token(&plugin(&path, &arguments("aws", "forged", None), &environment).expect("a token"))
    };
    assert_eq!(seen(cluster, &good), expected(&keys.arn, &["aws-users"]));
    assert_eq!(seen(cluster, &at("-14m")), expected(&keys.arn, &["aws-users"]));
    let refused = [
        (forged, "the signature is wrong"),
        (elsewhere, "the signature is wrong, or the cluster is another"),
        (at("-16m"), "the token has ended"),
        (at("+1h"), "the date is none, or to come"),
        (unmapped, "is not mapped"),
        (format!("{good}A"), "the signature is wrong"),
    ];
    for (token, why) in refused {
        let said = clouds.judge(&token)["why"].to_string();
        assert!(said.contains(why), "{said} is not {why}");
        is_nobody(cluster, &token);
    }
}

#[test]
fn a_token_dies_when_the_test_says_so() {
    let (Some(cluster), Some(clouds)) = (cluster(), clouds()) else { return };
    let aws = clouds.aws();
    let keys = aws.user("deployer");
    let Some(token) = fresh(clouds, &aws, &keys, "dying") else { return };
    assert_eq!(clouds.judge(&token)["user"]["username"], keys.arn.as_str());
    aws.refuse_before(&keys.access_key_id, jiff::Timestamp::now().as_second() + 60);
    is_nobody(cluster, &token);
}

#[test]
fn sts_refuses_a_wrong_secret_an_ended_session_a_role_and_a_web_identity_in_aws_words() {
    let Some(clouds) = clouds() else { return };
    let Some(path) = tool("aws", "1") else { return };
    let aws = clouds.aws();
    let keys = aws.user("deployer");
    let role =
        aws.role("closed", &Trust { external_id: Some("x-1"), principals: &[&keys.arn], ..Trust::default() });
    let web = aws.role("web", &Trust { subjects: &["repo:shop"], ..Trust::default() });
    let who = ["sts", "get-caller-identity", "--output", "json"];
    let said = |keys: &Keys| plugin(&path, &who, &environment(clouds, keys));
    assert_eq!(said(&keys).expect("an answer")["Arn"], keys.arn.as_str());
    let wrong = Keys { secret_access_key: "A".repeat(40), ..aws.user("other") };
    assert!(said(&wrong).expect_err("refused").contains("(SignatureDoesNotMatch)"));
    assert!(said(&aws.session(&role, -10)).expect_err("refused").contains("(ExpiredToken)"));
    let unknown = Keys { access_key_id: "AKIAUNKNOWN000000000".into(), ..aws.user("third") };
    assert!(said(&unknown).expect_err("refused").contains("(InvalidClientTokenId)"));

    let assume =
        ["sts", "assume-role", "--role-session-name", "test", "--output", "json", "--role-arn", &role];
    let refused = plugin(&path, &assume, &environment(clouds, &keys)).expect_err("refused");
    assert!(refused.contains("is not authorized to perform: sts:AssumeRole on resource"), "{refused}");
    let with_id = [&assume[..], &["--external-id", "x-1"]].concat();
    let answer = plugin(&path, &with_id, &environment(clouds, &keys)).expect("a session");
    assert!(answer["Credentials"]["SessionToken"].is_string());

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let by_web = |lifetime, subject: &str| {
        std::fs::write(&file, clouds.workload_token(subject, "sts.amazonaws.com", lifetime))
            .expect("written");
        let mut environment = clouds.environment();
        environment.push(("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_string_lossy().into_owned()));
        environment.push(("AWS_ROLE_ARN", web.clone()));
        environment.push(("AWS_DEFAULT_REGION", REGION.into()));
        plugin(&path, &who, &environment)
    };
    let prefix = format!("arn:aws:sts::{}:assumed-role/web/", aws.account);
    let session = by_web(600, "repo:shop").expect("a session");
    assert!(session["Arn"].as_str().is_some_and(|arn| arn.starts_with(&prefix)), "{session}");
    assert!(by_web(-10, "repo:shop").expect_err("refused").contains("(ExpiredTokenException)"));
    assert!(by_web(600, "repo:other").expect_err("refused").contains("(AccessDenied)"));
}

#[test]
fn an_instance_a_container_and_a_described_cluster_are_as_aws_tells_them() {
    let Some(clouds) = clouds() else { return };
    let Some(path) = tool("aws", "1") else { return };
    let aws = clouds.aws();
    let role = aws.role("machine", &Trust::default());
    let keys = aws.session(&role, 3600);
    let session = |name: &str| format!("arn:aws:sts::{}:assumed-role/machine/{name}", aws.account);
    let who = |more: &[(&'static str, String)]| {
        let mut environment = clouds.environment();
        environment.push(("AWS_DEFAULT_REGION", REGION.into()));
        environment.extend(more.iter().cloned());
        plugin(&path, &["sts", "get-caller-identity", "--output", "json"], &environment)
    };
    let instance = who(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", aws.instance(&role))]).expect("an answer");
    assert_eq!(instance["Arn"], session("i-0123456789abcdef0"));
    assert_eq!(who(&aws.container(&role)).expect("an answer")["Arn"], session("container"));

    aws.cluster("shop", "https://127.0.0.1:6443", "QUFB");
    aws.cluster_with("hidden", json!({"denied": [role]}));
    let describe = |name: &str| {
        let arguments = ["eks", "describe-cluster", "--output", "json", "--name", name];
        plugin(&path, &arguments, &environment(clouds, &keys))
    };
    let answer = describe("shop").expect("an answer");
    assert_eq!(answer["cluster"]["endpoint"], "https://127.0.0.1:6443");
    assert_eq!(answer["cluster"]["certificateAuthority"]["data"], "QUFB");
    assert!(describe("nowhere").expect_err("refused").contains("(ResourceNotFoundException)"));
    assert!(describe("hidden").expect_err("refused").contains("(AccessDeniedException)"));
    assert_eq!(clouds.requests(&keys.access_key_id, "eks").len(), 3);
}

#[test]
fn an_endpoint_from_the_environment_reaches_sts_and_spoils_the_token() {
    let Some(clouds) = clouds() else { return };
    let Some(path) = tool("aws", "1") else { return };
    let aws = clouds.aws();
    let keys = aws.user("deployer");
    aws.cluster("poisoned", "https://stand-in", "");
    for url in [clouds.http("sts"), clouds.https("sts")] {
        let mut environment = environment(clouds, &keys);
        environment.retain(|(name, _)| *name != "HTTPS_PROXY");
        environment.push(("AWS_ENDPOINT_URL_STS", url.to_owned()));
        let who = plugin(&path, &["sts", "get-caller-identity", "--output", "json"], &environment);
        assert_eq!(who.expect("an answer")["Arn"], keys.arn.as_str());
        let answer = plugin(&path, &arguments("aws", "poisoned", None), &environment).expect("a token");
        let why = clouds.judge(&token(&answer))["why"].to_string();
        assert!(why.contains("not a URL of STS"), "{why}");
    }
}
