//! `limits.output`: what a script may write, and what happens when it writes more.

use std::time::{Duration, Instant};

use crate::harness::{Run, step};

fn limited(script: &str, limits: &str) -> String {
    format!("{}limits: {{{limits}}}\n", step(script))
}

#[test]
fn beyond_the_limit_a_step_goes_on_and_one_line_says_how_much_was_dropped() {
    let script =
        "head -c 5000 /dev/zero | tr '\\0' a; head -c 3000 /dev/zero | tr '\\0' b; touch \"$HOME/went-on\"";
    let done = Run::new(limited(script, "output: 4KiB")).loud().any_output().check();
    assert_eq!(done.stdout, "a".repeat(4096));
    let line = "kubestep: warning: the script wrote more than limits.output; 3904 bytes were dropped";
    assert_eq!(done.stderr.lines().filter(|one| one.contains("limits.output;")).collect::<Vec<_>>(), [line]);
    assert!(done.folder.path().join("home/went-on").exists());
    assert_eq!(done.result["reason"], "Completed");
    assert_eq!(done.result["log"]["dropped"], 3904);
    assert_eq!(
        done.result["warnings"].as_array().expect("a list").last().expect("one")["code"],
        "OutputTruncated"
    );
}

#[test]
fn with_the_policy_fail_it_is_ended_with_153() {
    let script = "trap 'echo got TERM >&2; exit 0' TERM; while :; do echo line; done";
    let payload = limited(script, "output: 64KiB, outputPolicy: fail, grace: 5s");
    let started = Instant::now();
    let done = Run::new(payload).code(153).any_output().check();
    assert_eq!(done.result["reason"], "OutputLimit");
    assert_eq!(done.stdout.len(), 65536);
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert!(
        done.stderr.ends_with("kubestep: error: the script wrote more than limits.output\n"),
        "{}",
        done.stderr
    );
}

#[test]
fn both_streams_count_and_no_half_of_a_secret_is_shown_where_one_is_cut() {
    // The limit cuts the token of 17 bytes in its middle.
    let script = "printf '%020d' 0 >&2; sleep 0.1; printf '%032dtoken-of-the-test and more' 0";
    let done = Run::new(limited(script, "output: 60B")).any_output().check();
    assert_eq!(done.stdout, "0".repeat(32), "nothing of the token");
    assert!(done.stderr.starts_with(&"0".repeat(20)), "{}", done.stderr);
}

#[test]
fn exactly_the_limit_is_within_it() {
    let done =
        Run::new(limited("printf 12345678", "output: 8B, outputPolicy: fail")).stdout("12345678").check();
    assert_eq!(done.result["log"]["dropped"], 0);
}
