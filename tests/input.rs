//! Bad input, as a user meets it: the words, the exit code, the result. The payload's own faults are tested
//! one by one beside its reader (`agent/src/payload`); here stands what only the whole program can show.

use std::os::unix::fs::PermissionsExt;

use crate::harness::{Run, skipped, step};

#[test]
fn a_payload_that_is_not_there_is_64() {
    let run = Run::new("");
    let missing = run.folder().join("missing.yaml");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_kubestep"))
        .arg("run")
        .arg(&missing)
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(64));
    let expected = format!(
        "kubestep: error: the payload {} cannot be read: No such file or directory (os error 2)\n",
        missing.display()
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
}

#[test]
fn a_wrong_command_line_is_64_and_help_is_0() {
    for (arguments, code) in [
        (&["run"][..], 64),
        (&["rum", "-"], 64),
        (&["run", "-", "--origin", "x"], 64),
        (&["run", "--help"], 0),
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_kubestep"))
            .args(arguments)
            .output()
            .expect("it starts");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_result_that_cannot_be_written_is_64_before_the_script_starts() {
    let run = Run::new(step("echo started")).without_result().flags(&["--result", "/dev/null"]).code(64);
    run.stderr(
        "kubestep: error: the result /dev/null cannot be written: it is there already and is no regular file\n",
    )
    .check();
    let run =
        Run::new(step("echo started")).without_result().flags(&["--result", "/nowhere/result.json"]).code(64);
    let done = run.any_output().check();
    assert!(done.stderr.contains("the result /nowhere/result.json cannot be written"), "{}", done.stderr);
    assert_eq!(done.stdout, "");
}

#[test]
fn all_faults_of_a_payload_are_told_in_one_run() {
    let payload = "apiVersion: kubestep/v1\nkind: Step\nmetadata: {name: test}\ntarget:\n  sever: https://k8s\n  auth: {tokn: hunter22}\nscript: {}\nlimits: {timeout: 0s}\n";
    let done = Run::new(payload).code(65).any_output().check();
    assert_eq!(done.result["reason"], "Refused");
    for part in [
        ":5:3: target.sever: ",
        "did you mean \"server\"?",
        ":6:10: target.auth.tokn: ",
        "script",
        "limits.timeout",
    ] {
        assert!(done.stderr.contains(part), "{part} in {}", done.stderr);
    }
    assert!(!done.stderr.contains("hunter22"));
}

#[test]
fn five_megabytes_are_refused() {
    let payload = format!("{}# {}\n", step("exit 0"), "x".repeat(5 * 1024 * 1024));
    let done = Run::new(payload).code(65).any_output().check();
    assert!(done.stderr.contains("4 MiB"), "{}", done.stderr);
}

#[test]
fn without_a_kubectl_the_step_does_not_start() {
    let run = Run::new(step("echo started")).code(69).any_output();
    std::fs::remove_file(run.folder().join("bin/kubectl")).expect("linked");
    let bin = run.folder().join("bin");
    for tool in ["bash", "jq", "xargs", "base64"] {
        std::os::unix::fs::symlink(format!("/usr/bin/{tool}"), bin.join(tool)).expect("linked");
    }
    let path = bin.display().to_string();
    let done = run.env("PATH", path).check();
    assert!(
        done.stderr
            .starts_with("kubestep: error: kubectl is not on the PATH\nkubestep: hint: install kubectl"),
        "{}",
        done.stderr
    );
    assert_eq!(done.result["reason"], "SetupFailed");
}

#[test]
fn a_kubectl_that_does_not_run_is_told_with_its_fault() {
    let run = Run::new(step("echo started")).code(69).any_output();
    let broken = run.folder().join("broken-kubectl");
    std::fs::write(&broken, "#!/nowhere/interpreter\n").expect("written");
    std::fs::set_permissions(&broken, PermissionsExt::from_mode(0o755)).expect("executable");
    let done = run.kubectl(&broken).check();
    assert!(done.stderr.contains("/nowhere/interpreter"), "{}", done.stderr);
    assert_eq!(done.result["reason"], "SetupFailed");
}

#[test]
fn without_bash_the_step_does_not_start() {
    let run = Run::new(step("echo started")).code(69).any_output();
    let path = run.folder().join("bin").display().to_string();
    let done = run.env("PATH", path).check();
    assert!(done.stderr.contains("bash is not on the PATH"), "{}", done.stderr);
}

#[test]
fn a_tool_that_is_required_is_69_and_one_that_is_not_is_a_warning() {
    let run = Run::new(step("exit 0") + "requires: [helm]\n").code(69).any_output();
    let path = format!("{}:/usr/bin:/bin", run.folder().join("bin").display());
    if std::path::Path::new("/usr/bin/helm").exists() {
        skipped("helm is installed in /usr/bin, so that it cannot be missed");
        return;
    }
    let done = run.env("PATH", path.clone()).check();
    assert!(done.stderr.contains("helm is not on the PATH"), "{}", done.stderr);
    let done = Run::new(step("exit 0")).check();
    let codes: Vec<&str> = done.result["warnings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|w| w["code"].as_str())
        .collect();
    assert!(codes.contains(&"ToolMissing"), "{codes:?}");
}

#[test]
fn a_workspace_without_room_is_70_and_says_where() {
    if !rustix::process::geteuid().is_root() {
        skipped("only root can mount a tiny tmpfs");
        return;
    }
    let script = format!("echo started; : {}", "x".repeat(100_000));
    let run = Run::new(step(&script)).code(70).any_output();
    let tiny = run.folder().join("run").display().to_string();
    // A mount namespace of its own: nothing of this machine changes.
    let mount = format!("mount -t tmpfs -o size=64k,mode=0700 tiny {tiny} && exec \"$@\"");
    let done = run.by_way_of(&["unshare", "-m", "bash", "-c", &mount, "bash"]).check();
    assert!(done.stderr.contains("No space left on device"), "{}", done.stderr);
    assert!(done.stderr.contains("hint: free some space"), "{}", done.stderr);
    assert_eq!(done.stdout, "");
}

#[test]
fn a_remote_payload_may_name_nothing_of_the_workers_own() {
    let payload = step("echo $SECRET")
        .replace("auth: {token: token-of-the-test}", "auth: {token: {fromEnv: APP_TOKEN}}");
    let refused =
        Run::new(payload.clone()).flags(&["--origin", "remote"]).env("APP_TOKEN", "abcdefgh").code(65);
    let done = refused.any_output().check();
    assert!(done.stderr.contains("target.auth.token"), "{}", done.stderr);
    assert!(done.stderr.contains("[remote] environment"), "{}", done.stderr);
    let allowed = Run::new(payload)
        .env("APP_TOKEN", "abcdefgh")
        .file("config.toml", "[remote]\nenvironment = ['APP_*']\n");
    let config = allowed.folder().join("config.toml").display().to_string();
    allowed.flags(&["--origin", "remote", "--config", &config]).stdout("\n").check();
}

#[test]
fn what_is_said_to_a_queue_is_not_passed_over_without_one() {
    let payload = step("exit 0") + "notBefore: 2126-01-01T00:00:00Z\nretry: {onFailure: 2}\n";
    let done = Run::new(payload).loud().any_output().check();
    let told = "kubestep: notBefore, retry: for a queue; the step runs now, once, beside any other";
    assert!(done.stderr.lines().any(|line| line == told), "{}", done.stderr);
}
