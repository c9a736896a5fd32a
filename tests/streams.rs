//! The two streams: what comes, when it comes, and what happens when nobody reads.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Run, step};

const TOKEN: &str = "token-of-the-test";

#[test]
fn both_streams_are_masked_and_otherwise_unchanged() {
    let script = format!(r"printf 'a {TOKEN} b\n\xff\0\n'; printf 'c {TOKEN}\n' >&2");
    let done = Run::new(step(&script)).any_output().check();
    assert_eq!(done.stdout, "a ******** b\n\u{fffd}\0\n");
    assert_eq!(done.stderr, "c ********\n");
    assert_eq!(
        done.result["log"],
        serde_json::json!({"stdoutBytes": 16, "stderrBytes": 11, "masked": 2, "dropped": 0})
    );
}

#[test]
fn a_secret_that_is_written_byte_by_byte_is_masked() {
    let script =
        format!("for ((i = 0; i < {}; i++)); do printf %s \"${{T:i:1}}\"; sleep 0.005; done", TOKEN.len());
    let payload = step(&script) + &format!("environment: {{T: {TOKEN}}}\n");
    Run::new(payload).stdout("********").check();
}

#[test]
fn the_mask_can_be_chosen() {
    Run::new(step(&format!("echo {TOKEN}"))).flags(&["--mask", "[hidden]"]).stdout("[hidden]\n").check();
    Run::new(step(&format!("echo {TOKEN}"))).env("KUBESTEP_MASK", "[hidden]").stdout("[hidden]\n").check();
}

#[test]
fn a_prompt_a_bar_and_a_long_line_are_seen_as_they_happen() {
    let script = "printf 'name? '; read -r _ </dev/null; printf '10%%\\r20%%\\r'; while [ ! -e \"$HOME/go\" ]; do sleep 0.01; done";
    let mut running = Run::new(step(script)).stdout("name? 10%\r20%\r").start();
    running.wait_for_stdout("name? ");
    running.wait_for_stdout("20%\r");
    std::fs::write(running.folder().join("home/go"), "").expect("written");
    running.check();
}

#[test]
fn ten_megabytes_without_a_newline_pass() {
    let done = Run::new(step("head -c 10000000 /dev/zero | tr '\\0' x")).any_output().check();
    assert_eq!(done.stdout.len(), 10_000_000);
    assert!(done.stdout.bytes().all(|byte| byte == b'x'));
}

#[test]
fn the_agents_own_lines_stand_on_lines_of_their_own() {
    let script = "printf 'no newline' >&2; exit 3";
    let done = Run::new(step(script)).loud().code(3).any_output().check();
    assert!(
        done.stderr.ends_with("no newline\nkubestep: error: the script exited with code 3\n"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.starts_with("kubestep: "), "{}", done.stderr);
}

#[test]
fn the_agents_own_lines_are_json_where_that_is_asked_for() {
    let done = Run::new(step("exit 3")).loud().flags(&["--log-format", "json"]).code(3).any_output().check();
    let lines: Vec<serde_json::Value> =
        done.stderr.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let last = lines.last().expect("at least one");
    assert_eq!(last["level"], "error");
    assert_eq!(last["message"], "the script exited with code 3");
}

#[test]
fn a_reader_that_goes_away_ends_the_step_with_141() {
    let script = "while :; do echo line; sleep 0.001; done";
    let run = Run::new(step(script));
    let result = run.folder().join("result.json");
    let mut child = spawn_unread(&run);
    let mut first = [0; 5];
    child.stdout.take().expect("piped").read_exact(&mut first).expect("a line");
    assert_eq!(child.wait().expect("it was ours").code(), Some(141));
    let result: serde_json::Value =
        serde_json::from_slice(&std::fs::read(result).expect("written")).expect("JSON");
    assert_eq!(result["reason"], "LogClosed");
}

#[test]
fn a_slow_reader_slows_the_script_and_loses_nothing() {
    // 8 MB through a pipe of 64 KB to a reader that begins late: what the script writes waits for it.
    let script = "echo begin >&2; for i in {1..1000}; do printf '%08192d' 0; done; echo end >&2";
    let run = Run::new(step(script));
    let mut child = spawn_unread(&run);
    let mut stderr = child.stderr.take().expect("piped");
    let mut first = [0; 6];
    stderr.read_exact(&mut first).expect("it begins");
    let mut all = Vec::new();
    // The script cannot have ended: 8 MB are more than all buffers together.
    assert!(child.try_wait().expect("it is ours").is_none());
    child.stdout.take().expect("piped").read_to_end(&mut all).expect("read");
    assert_eq!(all.len(), 8_192_000);
    assert_eq!(child.wait().expect("it was ours").code(), Some(0));
}

#[test]
fn after_a_stop_a_reader_that_does_not_read_is_waited_for_five_seconds() {
    // It ignores TERM, so that until its KILL it fills every buffer on the way.
    let script = "trap '' TERM; echo begin >&2; head -c 3000000 /dev/zero | tr '\\0' x";
    let payload = step(script) + "limits: {grace: 1s}\n";
    let run = Run::new(payload);
    let mut child = spawn_unread(&run);
    let mut stderr = child.stderr.take().expect("piped");
    stderr.read_exact(&mut [0; 6]).expect("it begins");
    let stopped = Instant::now();
    crate::harness::run::signal_pid(i32::try_from(child.id()).expect("a pid"), Signal::TERM);
    assert_eq!(child.wait().expect("it was ours").code(), Some(143));
    let took = stopped.elapsed();
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(10), "{took:?}");
    let result = std::fs::read(run.folder().join("result.json")).expect("written");
    let result: serde_json::Value = serde_json::from_slice(&result).expect("JSON");
    assert!(result["log"]["dropped"].as_u64().expect("a number") > 0, "{result}");
}

fn spawn_unread(run: &Run) -> std::process::Child {
    let mut command = run.command();
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program starts")
}

#[test]
fn a_stdout_that_is_closed_from_the_start_is_no_failure() {
    Run::new(step("echo nobody hears this; echo hello >&2"))
        .by_way_of(&["bash", "-c", "exec \"$@\" >&-", "bash"])
        .stderr("hello\n")
        .check();
}

#[test]
fn a_secret_too_short_to_be_masked_is_told_by_its_field() {
    let payload = step("echo abc") + "secrets: [abc]\n";
    let done = Run::new(payload).loud().any_output().check();
    assert_eq!(done.stdout, "abc\n");
    let warning = "kubestep: warning: secrets[0] has fewer than 4 bytes and is not masked\n";
    assert!(done.stderr.contains(warning), "{}", done.stderr);
    assert_eq!(done.result["warnings"][0]["code"], "SecretTooShort");
}
