//! A plugin that misbehaves neither hangs a step, nor gets its words around the masker, nor leaves a process.

use serde_json::json;

use super::faults::script;
use super::{Place, access_key, with};
use crate::harness::Run;
use crate::harness::aws::Keys;
use crate::harness::whoami::whoami;
use crate::supervision::{marked, marker};

/// A step whose `aws` is this shell script, after what it says of its version.
fn run(place: &Place, keys: &Keys, aws: &str) -> Run {
    let run = place.run(place.step(&access_key(keys), &json!({}), "echo ran") + "limits: {login: 2s}\n");
    let path = run.folder().join("aws-stand-in");
    script(&path, &format!("#!/bin/bash\ncase $1 in --version) echo aws-cli/2.15.0; exit;; esac\n{aws}\n"));
    run.tool("aws", &path)
}

fn answer(status: &str) -> String {
    format!(
        "echo '{{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{status}}}'"
    )
}

#[test]
fn an_answer_that_is_of_no_use_ends_the_step_before_the_script() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    let token = r#"{"token":"hunter22-of-the-plugin"}"#;
    for (aws, told) in [
        (format!("echo Hello; {}", answer(token)), "something other than one JSON document"),
        (format!("{}; echo Bye", answer(token)), "something other than one JSON document"),
        (answer(r#"{"token":""}"#), "neither a token nor a certificate"),
        (answer(r#"{"token":"hunter22-of\nthe-plugin"}"#), "holds a line break"),
        (answer(token).replace("ExecCredential", "TokenReview"), "no ExecCredential"),
        (
            answer(r#"{"token":"hunter22-of-the-plugin","expirationTimestamp":"2020-01-01T00:00:00Z"}"#),
            "has ended already",
        ),
        ("true".into(), "it printed nothing"),
        ("kill -9 $$".into(), "signal 9 ended it"),
        ("head -c 1G /dev/zero".into(), "it printed more than 1 MiB"),
        (
            "echo one >&2; echo \"key $AWS_SECRET_ACCESS_KEY\" >&2; exit 3".into(),
            "it exited with code 3; it said: one key ********",
        ),
    ] {
        let done = run(&place, &keys, &aws).code(69).any_output().check();
        let message = done.result["message"].as_str().expect("a message");
        assert!(message.contains(told), "{aws}: {message}");
        assert_eq!(done.stdout, "");
        assert!(!done.stderr.contains("hunter22") && !done.stderr.contains(&keys.secret_access_key));
    }
}

#[test]
fn one_that_hangs_or_forks_is_ended_with_all_that_it_started() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    let mark = marker();
    let hangs = format!("export MARK_OF_A_TEST={mark}; setsid sleep 300 & trap '' TERM; sleep 300");
    let started = std::time::Instant::now();
    let done = run(&place, &keys, &hangs).code(69).any_output().check();
    let message = done.result["message"].as_str().expect("a message");
    assert!(message.contains("it did not answer within limits.login"), "{message}");
    assert!(started.elapsed() < std::time::Duration::from_secs(20));
    assert!(marked(&mark).is_empty());
    let forks = format!(
        "export MARK_OF_A_TEST={mark}; setsid sleep 300 & {}",
        answer(r#"{"token":"hunter22-of-the-plugin"}"#)
    );
    run(&place, &keys, &forks).stdout("ran\n").any_output().check();
    assert!(marked(&mark).is_empty());
}

#[test]
fn a_stop_while_somebody_logs_in_ends_that_too() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    let mark = marker();
    let hangs = format!("export MARK_OF_A_TEST={mark}; setsid sleep 300 & trap '' TERM; sleep 300");
    let run = place.run(place.step(&access_key(&keys), &json!({}), "echo ran"));
    let path = run.folder().join("aws-stand-in");
    script(&path, &format!("#!/bin/bash\ncase $1 in --version) echo aws-cli/2.15.0; exit;; esac\n{hangs}\n"));
    let running = run.tool("aws", &path).code(143).any_output().start();
    crate::harness::run::eventually("it logs in", std::time::Duration::from_secs(60), || {
        marked(&mark).len() > 1
    });
    running.signal(rustix::process::Signal::TERM);
    let done = running.check();
    assert_eq!((done.stdout.as_str(), done.result["reason"].as_str()), ("", Some("Cancelled")));
    assert!(marked(&mark).is_empty());
}

#[test]
fn what_a_plugin_says_beside_its_answer_is_masked_with_the_token_in_it() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    let says = format!(
        "echo 'using hunter22-of-the-plugin' >&2; {}",
        answer(r#"{"token":"hunter22-of-the-plugin"}"#)
    );
    let done = run(&place, &keys, &says).loud().any_output().check();
    assert!(done.stderr.contains("kubestep: aws: using ********\n"), "{}", done.stderr);
    assert!(!done.stderr.contains("hunter22"));
}

#[test]
fn a_plugin_that_cannot_be_used_gives_way_to_the_other_and_a_line_says_so() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    let step = || place.step(&access_key(&keys), &json!({}), whoami("1.36"));
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("aws");
    script(&broken, "#!/nonexistent/python\n");
    let Some(both) = with(place.run(step()), "aws-iam-authenticator") else { return };
    let done = both.tool("aws", &broken).loud().any_output().check();
    assert!(done.stdout.contains(&keys.arn), "{}", done.stdout);
    assert!(done.stderr.contains("kubestep: aws: aws at "), "{}", done.stderr);
    let Some(both) = with(place.run(step()), "aws-iam-authenticator") else { return };
    let Some(old) = with(both, "aws@1.16.150") else { return };
    let done = old.loud().any_output().check();
    assert!(done.stdout.contains(&keys.arn), "{}", done.stdout);
    assert!(done.stderr.contains("has no `eks get-token`: 1.16.156 or later is needed"), "{}", done.stderr);
    let neither = place.run(step()).code(69).any_output().check();
    let message = neither.result["message"].as_str().expect("a message");
    assert!(message.contains("aws is not on the PATH"), "{message}");
    assert!(message.contains("aws-iam-authenticator is not on the PATH"), "{message}");
}

#[test]
fn a_plugin_that_is_a_folder_or_vanishes_is_told() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    let folder = tempfile::tempdir().expect("a folder");
    let run = place.run(place.step(&access_key(&keys), &json!({"plugin": "aws"}), "echo ran"));
    let done = run.tool("aws", folder.path()).code(69).any_output().check();
    assert!(done.result["message"].as_str().expect("a message").contains("aws"), "{}", done.result);
    let vanishes = place.run(place.step(&access_key(&keys), &json!({"plugin": "aws"}), "echo ran"));
    let path = vanishes.folder().join("aws-stand-in");
    script(&path, "#!/bin/sh\nrm \"$0\"\necho aws-cli/2.15.0\n");
    let done = vanishes.tool("aws", &path).code(69).any_output().check();
    let message = done.result["message"].as_str().expect("a message");
    assert!(message.contains("could not log in"), "{message}");
}

#[test]
fn a_real_token_is_asked_for_once_however_many_kubectls_there_are() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    let Some(real) = crate::harness::tools::tool("aws-iam-authenticator", "") else { return };
    let script_text =
        "for i in 1 2 3 4 5; do kubectl get --raw /version >/dev/null; done\n".to_owned() + whoami("1.36");
    let run =
        place.run(place.step(&access_key(&keys), &json!({"plugin": "aws-iam-authenticator"}), &script_text));
    let (counter, path) = (run.folder().join("state/calls"), run.folder().join("counting"));
    let counts = format!(
        "#!/bin/sh\n[ \"$1\" = token ] && echo x >>{}\nexec {} \"$@\"\n",
        counter.display(),
        real.display()
    );
    script(&path, &counts);
    let done = run.tool("aws-iam-authenticator", &path).any_output().check();
    assert!(done.stdout.contains(&keys.arn), "{}", done.stdout);
    let counted = std::fs::read_to_string(done.folder.path().join("state/calls")).expect("written");
    assert_eq!(counted, "x\n");
}
