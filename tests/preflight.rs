//! What the preflight says against what happens: real kubectls, real plugins, steps that really run.

mod helm;
mod matrix;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::run::names_in;
use crate::harness::tools::repository;
use crate::harness::{Run, step};

/// `kubestep check` in the surroundings of a run.
pub(crate) fn check(run: &Run, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubestep"));
    command.arg("check").args(arguments);
    run.surround(&mut command);
    command.output().expect("the program starts")
}

pub(crate) fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&output.stderr)))
}

/// All that the report says, remark by remark.
pub(crate) fn said(report: &Value) -> Vec<String> {
    let checks = report["checks"].as_array().expect("a list").iter();
    let remarks = checks.flat_map(|check| check["remarks"].as_array().expect("a list"));
    remarks.map(|remark| remark["says"].as_str().expect("text").to_owned()).collect()
}

#[test]
fn the_report_of_this_machine_is_valid_and_its_exit_code_is_the_programs() {
    let schema = std::fs::read_to_string(repository().join("docs/preflight.schema.json")).expect("text");
    let validator =
        jsonschema::validator_for(&serde_json::from_str(&schema).expect("JSON")).expect("a schema");
    let run = Run::new(step("true"));
    for arguments in [&["-o", "json"][..], &["-o", "json", "--for", "aks", "--strict"]] {
        let output = check(&run, arguments);
        let report = report(&output);
        let faults: Vec<String> = validator.iter_errors(&report).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(output.status.code().map(i64::from), report["exitCode"].as_i64());
        assert_eq!(report["tools"].as_array().map(Vec::len), Some(15));
    }
}

#[test]
fn an_empty_path_is_told_tool_by_tool_with_what_to_do() {
    let run = Run::new(step("true")).env("PATH", "/nonexistent");
    let output = check(&run, &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("✖ kubectl                 missing (needed by every step)\n"), "{text}");
    assert!(text.contains("     fix: "), "{text}");
    assert!(
        text.contains("Not good: kubectl, jq, xargs, base64 and bash are missing or do not work."),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "no terminal, no colours");
}

#[test]
fn wrong_usage_wrong_rules_and_a_wrong_step_have_codes_of_their_own() {
    let run = Run::new(step("true")).file("rules.toml", "form = 7\ndate = \"\"\n");
    let rules = run.folder().join("rules.toml");
    let place = run.payload_path();
    std::fs::write(&place, "kind: Nothing\n").expect("written");
    let (rules, place) = (rules.to_str().expect("text"), place.to_str().expect("text"));
    for (arguments, code, word) in [
        (&["--for", "moon"][..], 64, "moon"),
        (&["--require", "kubctl"], 64, "kubctl"),
        (&["--rules", rules], 64, "form 7"),
        (&["--rules", "/nonexistent"], 64, "/nonexistent"),
        (&["/nonexistent.yaml"], 64, "/nonexistent.yaml"),
        (&[place], 65, "apiVersion"),
    ] {
        let output = check(&run, arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
        assert!(told.contains(word) && output.stdout.is_empty(), "{arguments:?}: {told}");
    }
}

#[test]
fn what_run_refuses_check_refuses_in_the_same_words() {
    let payload = step("true") + "requires: [kubelogin]\n";
    let run = Run::new(payload.clone()).file("broken", "#!/bin/sh\nexit 9\n");
    let broken = run.folder().join("broken");
    executable(&broken);
    let run = run.kubectl(&broken).code(69).any_output();
    let place = run.payload_path();
    std::fs::write(&place, payload).expect("written");
    let output = check(&run, &["-o", "json", place.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(3), "broken beats missing");
    let said = said(&report(&output));
    let done = run.check();
    let refused: Vec<&str> =
        done.stderr.lines().filter_map(|line| line.strip_prefix("kubestep: error: ")).collect();
    assert_eq!(refused.len(), 2, "{}", done.stderr);
    for line in refused {
        assert!(said.iter().any(|remark| remark == line), "{line} is not among {said:?}");
    }
}

#[test]
fn a_step_that_check_calls_good_runs() {
    let payload = step("echo ran");
    let run = Run::new(payload.clone()).stdout("ran\n");
    std::fs::write(run.payload_path(), payload).expect("written");
    let place = run.payload_path();
    let output = check(&run, &[place.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    run.check();
}

#[test]
fn no_tool_writes_to_the_home_and_nothing_is_left() {
    let run = Run::new(step("true"));
    let output = check(&run, &["--no-cache", "--prove"]);
    assert!(output.status.code().is_some_and(|code| code < 4), "{}", String::from_utf8_lossy(&output.stderr));
    for place in ["home", "tmp", "state"] {
        assert_eq!(names_in(&run.folder().join(place)), [] as [&str; 0], "{place}");
    }
}

#[test]
fn a_tool_that_was_asked_is_remembered_by_check_and_run_alike() {
    let run = Run::new(step("true"));
    let count = run.folder().join("count");
    let script = format!(
        "#!/bin/sh\necho >> {}\necho '{{\"clientVersion\": {{\"gitVersion\": \"v1.36.1\"}}}}'\n",
        count.display()
    );
    let wrapper = run.folder().join("kubectl-counted");
    std::fs::write(&wrapper, script).expect("written");
    executable(&wrapper);
    let run = run.kubectl(&wrapper);
    let asked = || std::fs::read_to_string(&count).map_or(0, |text| text.lines().count());
    check(&run, &[]);
    check(&run, &[]);
    assert_eq!(asked(), 1);
    check(&run, &["--no-cache"]);
    assert_eq!(asked(), 2);
    // Its folder, with the count in it, lives as long as this.
    let _done = run.check();
    assert_eq!(asked(), 2, "a step finds what check learned");
}

fn executable(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).expect("set");
}
