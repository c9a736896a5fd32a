//! Each account is itself, whoever makes its token and whoever asks for it.

use serde_json::{Value, json};

use super::{Place, access_key, role_for, with};
use crate::harness::aws::Trust;
use crate::harness::tools::{kubectls, tools};
use crate::harness::whoami::{user, users, whoami};

/// One of each kind that logs in: the aws cli 1 and 2, the authenticator.
const PLUGINS: [&str; 3] = ["aws@1", "aws@2", "aws-iam-authenticator"];

const MODES: [&str; 2] = ["broker", "exec"];

/// Checks that the step is this identity, with each of `plugins`, brokered and exec.
#[track_caller]
fn is(
    place: &Place,
    plugins: &[&str],
    (credentials, more): (&Value, &Value),
    environment: &[(&str, String)],
    name: &str,
) {
    for plugin in plugins {
        for mode in MODES {
            let step = place.step(credentials, more, whoami("1.36")) + &format!("credentials: {mode}\n");
            let mut run = place.run(step);
            for (name, value) in environment {
                run = run.env(name, value.clone());
            }
            let Some(run) = with(run, plugin) else { return };
            let seen = user(run).name;
            assert!(seen.starts_with(name), "{plugin}, {mode}: {seen} is not {name}");
        }
    }
}

fn session_of(place: &Place, role: &str, name: &str) -> String {
    format!("arn:aws:sts::{}:assumed-role/{role}/{name}", place.aws.account)
}

#[test]
fn keys_are_their_user() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    is(&place, &PLUGINS, (&access_key(&keys), &json!({})), &[], &keys.arn);
}

#[test]
fn keys_with_a_role_are_its_session_by_the_steps_name_or_the_payloads() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    let role = role_for(&place.aws, "ci", &keys);
    let more = json!({"assumeRole": {"roleArn": role, "sessionName": "me", "duration": "15m"}});
    is(&place, &PLUGINS, (&access_key(&keys), &more), &[], &session_of(&place, "ci", "me"));
    let more = json!({"assumeRole": {"roleArn": role}});
    is(&place, &["aws@1"], (&access_key(&keys), &more), &[], &session_of(&place, "ci", "kubestep-test"));
}

#[test]
fn a_role_with_an_external_id_is_taken_with_it() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    let trust = Trust { principals: &[&keys.arn], external_id: Some("x-1"), ..Trust::default() };
    let role = place.aws.role("closed", &trust);
    let more = json!({"assumeRole": {"roleArn": role, "externalId": "x-1"}});
    is(
        &place,
        &["aws@1", "aws-iam-authenticator"],
        (&access_key(&keys), &more),
        &[],
        &session_of(&place, "closed", ""),
    );
}

#[test]
fn keys_of_a_session_are_the_session_and_the_end_is_told() {
    let Some(place) = Place::new() else { return };
    let role = role_for(&place.aws, "ci", &place.aws.user("deployer"));
    let keys = place.aws.session(&role, 3600);
    let step = place.step(&access_key(&keys), &json!({}), whoami("1.36"));
    for plugin in PLUGINS {
        let Some(run) = with(place.run(step.clone()), plugin) else { return };
        let done = run.any_output().check();
        assert!(done.stdout.contains(&keys.arn), "{plugin}: {}", done.stdout);
        let codes: Vec<&Value> =
            done.result["warnings"].as_array().expect("a list").iter().map(|one| &one["code"]).collect();
        assert!(codes.contains(&&json!("CredentialNotRenewed")), "{codes:?}");
        let name = plugin.split('@').next().expect("a name");
        assert_eq!(done.result["target"]["plugin"], name, "who has logged in");
    }
}

#[test]
fn a_web_identity_is_its_role_by_token_and_by_file_and_with_a_role_on_top() {
    let Some(place) = Place::new() else { return };
    let web = place.aws.role("web", &Trust { subjects: &["repo:shop"], ..Trust::default() });
    let session = session_of(&place, "web", "kubestep-test");
    let token = place.clouds.workload_token("repo:shop", "sts.amazonaws.com", 600);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, &token).expect("written");
    let by_token = json!({"webIdentity": {"roleArn": web, "token": token}});
    let by_file = json!({"webIdentity": {"roleArn": web, "tokenFile": file}});
    is(&place, &PLUGINS, (&by_file, &json!({})), &[], &session);
    is(&place, &["aws@1", "aws-iam-authenticator"], (&by_token, &json!({})), &[], &session);
    let trusted = format!("arn:aws:sts::{}:assumed-role/web/kubestep-test", place.aws.account);
    let top = place.aws.role("top", &Trust { principals: &[&web, &trusted], ..Trust::default() });
    let more = json!({"assumeRole": {"roleArn": top}});
    is(&place, &["aws@1", "aws-iam-authenticator"], (&by_file, &more), &[], &session_of(&place, "top", ""));
}

#[test]
fn the_workers_own_account_is_its_variables_its_profile_its_token_its_container_or_its_machine() {
    let Some(place) = Place::new() else { return };
    let worker = json!({"worker": {}});
    let both: &[&str] = &["aws@1", "aws-iam-authenticator"];
    let keys = place.aws.user("worker");
    let variables = keys.environment();
    is(&place, both, (&worker, &json!({})), &variables, &keys.arn);
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config");
    let profile = format!(
        "[profile ops]\naws_access_key_id = {}\naws_secret_access_key = {}\noutput = table\n",
        keys.access_key_id, keys.secret_access_key
    );
    std::fs::write(&config, profile).expect("written");
    let by_profile = [("AWS_CONFIG_FILE", config.display().to_string()), ("AWS_PROFILE", "ops".into())];
    is(&place, both, (&worker, &json!({})), &by_profile, &keys.arn);

    let web = place.aws.role("pod", &Trust { subjects: &["repo:worker"], ..Trust::default() });
    let token = folder.path().join("token");
    std::fs::write(&token, place.clouds.workload_token("repo:worker", "sts.amazonaws.com", 600))
        .expect("written");
    let by_token = [("AWS_ROLE_ARN", web), ("AWS_WEB_IDENTITY_TOKEN_FILE", token.display().to_string())];
    is(&place, both, (&worker, &json!({})), &by_token, &session_of(&place, "pod", ""));

    let machine = place.aws.role("machine", &Trust::default());
    let by_machine = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", place.aws.instance(&machine))];
    is(&place, both, (&worker, &json!({})), &by_machine, &session_of(&place, "machine", ""));
    let container = place.aws.container(&machine);
    is(&place, both, (&worker, &json!({})), &container, &session_of(&place, "machine", ""));

    let role = place.aws.role("on-top", &Trust { principals: &[&keys.arn], ..Trust::default() });
    let more = json!({"assumeRole": {"roleArn": role}});
    is(&place, both, (&worker, &more), &variables, &session_of(&place, "on-top", ""));
}

#[test]
fn every_kubectl_is_the_same_user_by_every_plugin_that_the_broker_asks() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    let versions = |name| tools(name).into_iter().filter(|(version, _)| version != "1.16.150");
    let plugins: Vec<_> = ["aws", "aws-iam-authenticator"]
        .into_iter()
        .flat_map(|name| versions(name).map(move |(version, path)| (name, version, path)))
        .collect();
    assert!(plugins.len() >= 9, "run scripts/tools: {plugins:?}");
    let script: String = kubectls()
        .iter()
        .map(|(version, path)| format!("kubectl() {{ {} \"$@\"; }}; {}", path.display(), whoami(version)))
        .collect();
    for (name, version, path) in plugins {
        let plugin = json!({"plugin": name});
        let run = place.run(place.step(&access_key(&keys), &plugin, &script)).tool(name, &path);
        let seen = users(run);
        assert_eq!(seen.len(), kubectls().len());
        assert!(seen.iter().all(|user| user.name == keys.arn), "{name} {version}: {seen:?}");
    }
}

#[test]
fn twenty_steps_with_twenty_accounts_at_once_are_each_itself() {
    let Some(place) = Place::new() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let running: Vec<_> = (0..20)
        .filter_map(|number| {
            let keys = place.aws.user(&format!("user-{number}"));
            let role = role_for(&place.aws, &format!("role-{number}"), &keys);
            let (more, name) = if number % 2 == 0 {
                (json!({}), keys.arn.clone())
            } else {
                (json!({"assumeRole": {"roleArn": role}}), session_of(&place, &format!("role-{number}"), ""))
            };
            let plugin = if number % 4 < 2 { "aws@1" } else { "aws-iam-authenticator" };
            // One HOME for all: nothing in it may lead from one to another.
            let run = place.run(place.step(&access_key(&keys), &more, whoami("1.36")));
            let run = with(run.env("HOME", home.path().display().to_string()), plugin)?;
            Some((name, run.any_output().start()))
        })
        .collect();
    assert_eq!(running.len(), 20);
    for (name, step) in running {
        let done = step.check();
        assert!(done.stdout.contains(&format!("\"{name}")), "{name}: {}", done.stdout);
    }
    assert!(!home.path().join(".aws").exists(), "no session of ours stands in HOME");
}

#[test]
fn without_a_server_the_account_finds_its_cluster() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    for plugin in ["aws@1", "aws@2"] {
        let step = place.step(&access_key(&keys), &json!({}), whoami("1.36"));
        let server = place.cluster.fact("server");
        let step: String = step
            .lines()
            .filter(|line| !line.contains("server:") && !line.contains("certificateAuthority:"))
            .map(|line| format!("{line}\n"))
            .collect();
        let Some(run) = with(place.run(step), plugin) else { return };
        let done = run.any_output().check();
        assert!(done.stdout.contains(&keys.arn), "{plugin}: {}", done.stdout);
        assert_eq!(done.result["target"]["server"], server);
        assert_eq!(done.result["target"]["plugin"], "aws", "who has logged in");
    }
}

#[test]
fn the_scripts_own_aws_is_the_same_identity() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    let role = role_for(&place.aws, "ci", &keys);
    let script = "aws sts get-caller-identity --query Arn --output text; env | grep -c '^AWS_SECRET'; \
                  echo \"$AWS_REGION $AWS_DEFAULT_REGION $AWS_SECRET_ACCESS_KEY\"; cat \"${AWS_CONFIG_FILE:-/dev/null}\"; \
                  cat \"$(dirname \"$KUBECONFIG\")/aws/session.json\" 2>/dev/null | tr ',' '\\n' | grep Secret";
    for plugin in ["aws@1", "aws@2"] {
        let static_keys = place.step(&access_key(&keys), &json!({}), script);
        let Some(run) = with(place.run(static_keys), plugin) else { return };
        let done = run.code(1).any_output().check();
        let expected = format!("{}\n1\neu-west-1 eu-west-1 ********\n", keys.arn);
        assert_eq!(done.stdout, expected, "{plugin}: {}", done.stderr);
        let session = place.step(&access_key(&keys), &json!({"assumeRole": {"roleArn": role}}), script);
        let Some(run) = with(place.run(session), plugin) else { return };
        let done = run.any_output().check();
        let mut lines = done.stdout.lines();
        let arn = lines.next().expect("an ARN");
        assert!(arn.starts_with(&session_of(&place, "ci", "kubestep-test")), "{plugin}: {arn}");
        assert_eq!(lines.next(), Some("0"), "no key that cannot be renewed");
        assert!(done.stdout.contains("credential_process = /bin/cat"), "{}", done.stdout);
        assert!(done.stdout.ends_with("\"SecretAccessKey\":\"********\"\n"), "{}", done.stdout);
    }
}
