//! What goes onto the queue, what does not, and what is said of it.

use kubestep::payload::{Origin, Policy, Surroundings, load};

use super::Place;
use crate::harness::step;

#[test]
fn a_step_is_submitted_once_under_its_id() {
    let place = Place::new();
    let id = place.submitted(&step("true"), &[]);
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_ne!(place.submitted(&step("true"), &[]), id, "a random one");
    let told = place.submit(&step("true"), &["--id", "build-1", "-o", "json", "--pool", "p"]);
    assert_eq!(told.json(), serde_json::json!({"id": "build-1", "pool": "p", "submitted": "new"}));
    let again = place.submit(&step("true"), &["--id", "build-1", "--pool", "p"]);
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), "build-1\n"));
    assert_eq!(again.stderr, "kubestep: it was there already\n");
    let other = place.submit(&step("false"), &["--id", "build-1", "--pool", "p"]);
    assert_eq!((other.code, other.stdout.as_str()), (Some(64), ""));
    assert_eq!(
        other.stderr,
        "kubestep: error: another step has the id build-1\n\
         kubestep: hint: the same id is for the same payload in the same pool; choose another --id, or leave it out\n"
    );
    assert_eq!(
        place.kubestep(&["queue", "list", "-o", "json"]).json()["steps"].as_array().map(Vec::len),
        Some(3)
    );
}

#[test]
fn what_is_wrong_is_told_at_once_in_the_words_of_run_and_nothing_is_submitted() {
    let place = Place::new();
    let wrong = step("true").replace("kind: Step", "kind: Stop")
        + "environment: {A: {fromEnv: NOT_SET}, B: {fromFile: none}}\nlimits: {timeout: soon}\nconcurrencyKey: ''\n";
    let told = place.submit(&wrong, &[]);
    assert_eq!((told.code, told.stdout.as_str()), (Some(65), ""));
    let path = place.payload(&wrong);
    let run = place.kubestep(&["run", path.to_str().expect("UTF-8")]);
    assert_eq!(run.code, Some(65));
    assert!(run.stderr.lines().count() >= 5, "{}", run.stderr);
    assert_eq!(told.stderr, run.stderr);
    assert_eq!(place.kubestep(&["queue", "list", "-o", "json"]).json()["steps"], serde_json::json!([]));
}

#[test]
fn sources_are_read_here_and_sent_as_values_and_no_secret_is_printed() {
    let place = Place::new().env("TOKEN", "hunter22-token").env("KEY", "hunter22-key");
    std::fs::write(place.folder().join("password"), "hunter22-password\n").expect("written");
    std::fs::write(place.folder().join("deploy.sh"), "echo from a file\n").expect("written");
    let script = step("x").replace("script: {body: \"x\"}", "script: {file: deploy.sh}");
    let payload = script.replace("token-of-the-test", "{fromEnv: TOKEN}")
        + "environment: {KEY: {fromEnv: KEY}, PASSWORD: {fromFile: password}, STAGE: prod}\nrequires: [jq]\n";
    let submitted = place.submit(&payload, &["--id", "one", "--label", "region=east"]);
    assert_eq!((submitted.code, submitted.stdout.as_str()), (Some(0), "one\n"));
    let show = place.kubestep(&["queue", "show", "one", "-o", "json"]);
    let entry = show.json();
    assert_eq!(entry["concurrencyKey"], "https://127.0.0.1:1 default");
    let needs = serde_json::json!({"capabilities": ["jq", "kubernetes"], "labels": {"region": "east"}});
    assert_eq!(entry["needs"], needs);
    let list = place.kubestep(&["queue", "list"]);
    for told in [&submitted, &show, &list, &place.kubestep(&["queue", "show", "one"])] {
        assert!(!told.stdout.contains("hunter22") && !told.stderr.contains("hunter22"), "{told:?}");
    }
    assert!(place.claim(&["kubernetes"]).is_none(), "it has neither jq nor the label");
    let other = payload.replace("requires: [jq]\n", "concurrencyKey: none\n");
    place.submitted(&other, &["--id", "two"]);
    let claimed = place.claim(&["kubernetes"]).expect("a step");
    let worker = Surroundings {
        environment: Default::default(),
        folder: "/none".into(),
        service_account_folder: "/none".into(),
        now: jiff::Timestamp::now(),
        origin: Origin::Remote,
        policy: Policy::default(),
        queued: true,
    };
    let received = load(claimed.payload.expose().as_bytes(), "queue", &worker).expect("a worker reads it");
    let mut secrets: Vec<&str> = Vec::new();
    let named = received.secrets();
    secrets.extend(named.iter().map(|named| named.secret.expose()));
    secrets.sort_unstable();
    assert_eq!(secrets, ["hunter22-key", "hunter22-password", "hunter22-token"]);
    assert_eq!(received.script.body.expose(), "echo from a file\n");
    let read: Vec<(&str, &str)> =
        received.environment.iter().map(|(name, text)| (name.as_str(), text.expose())).collect();
    assert_eq!(read, [("KEY", "hunter22-key"), ("PASSWORD", "hunter22-password"), ("STAGE", "prod")]);
}

#[test]
fn what_the_workers_operator_has_to_allow_is_told() {
    let place = Place::new();
    let told = place.submit(&(step("true") + "inheritEnvironment: [CI]\n"), &["--id", "one"]);
    assert_eq!((told.code, told.stdout.as_str()), (Some(0), "one\n"));
    assert_eq!(
        told.stderr,
        "kubestep: note: inheritEnvironment[0]: the worker's operator must allow it with [remote] environment = […]\n"
    );
    let told = place.submit(&(step("true") + "tools: {helm: bin/helm}\n"), &[]);
    assert_eq!(told.code, Some(65));
    assert!(told.stderr.contains("tools.helm: a relative path means nothing on a worker"), "{told:?}");
}

#[test]
fn a_command_line_that_means_nothing_is_refused() {
    let place = Place::new();
    let path = place.payload(&step("true"));
    let path = path.to_str().expect("UTF-8");
    for (words, told) in [
        (&["submit", "/none/step.yaml"][..], "the payload /none/step.yaml cannot be read: No such file"),
        (
            &["submit", path, "--id", "a.b"],
            "the step's id: expected 1 to 128 letters, digits, dashes and underscores",
        ),
        (
            &["submit", path, "--pool", "a.b"],
            "--pool: expected 1 to 64 letters, digits, dashes and underscores",
        ),
        (&["submit", path, "--label", "east"], "--label: expected NAME=VALUE, each name once"),
        (
            &["submit", path, "--queue", "nats://u:hunter22@h"],
            "queues of NATS (nats://…) come with a later version",
        ),
        (&["submit", path, "--queue", "redis://u:hunter22@h"], "the queue's URL: expected sqlite:FOLDER"),
        (&["submit", path, "--follow", "--wait"], "cannot be used with"),
        (&["queue", "show", "none"], "no step none is on the queue"),
        (&["queue", "logs", "none", "-f"], "no step none is on the queue"),
        (&["queue", "cancel", "none"], "`kubestep queue list` lists the steps"),
        (&["queue", "requeue", "none"], "no step none is on the queue"),
        (&["queue", "logs", "none", "--from", "x"], "--from: expected a position such as 1:5120"),
        (&["queue", "prune", "--older-than", "x"], "--older-than: expected a number of days"),
    ] {
        let found = place.kubestep(words);
        assert_eq!((found.code, found.stdout.as_str()), (Some(64), ""), "{words:?}: {found:?}");
        assert!(
            found.stderr.contains(told) && !found.stderr.contains("hunter22"),
            "{words:?}: {}",
            found.stderr
        );
    }
    let broken = place.kubestep(&["queue", "list", "--queue", "sqlite:/proc/none"]);
    assert_eq!(broken.code, Some(70), "{broken:?}");
}
