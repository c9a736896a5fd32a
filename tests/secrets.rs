//! No secret is seen: not on a command line, not in a file after the end, not at the most talkative level, and
//! not in the agent's memory.

use std::os::unix::fs::{PermissionsExt, chown};

use crate::harness::{Run, skipped, step};

const TOKEN: &str = "token-of-the-test";
const NOBODY: u32 = 65534;

/// The same run by another user. The builder's folders become that user's.
pub(crate) fn as_nobody(run: Run, by_way_of: &[&str]) -> Run {
    for name in ["", "home", "tmp", "run", "bin", "state"] {
        let path = run.folder().join(name);
        chown(&path, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    std::fs::set_permissions(run.folder(), PermissionsExt::from_mode(0o755)).expect("ours");
    run.by_way_of(by_way_of)
}

fn command_lines() -> Vec<(String, String)> {
    let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
    let read = |entry: std::fs::DirEntry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some((entry.file_name().to_string_lossy().into_owned(), String::from_utf8_lossy(&line).into_owned()))
    };
    processes.filter_map(read).collect()
}

#[test]
fn no_process_has_a_secret_on_its_command_line() {
    let payload =
        step("echo ready; kubectl config view >/dev/null; while [ ! -e \"$HOME/go\" ]; do sleep 0.01; done");
    let mut running = Run::new(payload + "environment: {KEY: {fromEnv: KEY}}\n")
        .env("KEY", "key-of-this-test-only")
        .stdout("ready\n")
        .start();
    running.wait_for_stdout("ready\n");
    let lines = command_lines();
    assert!(lines.iter().any(|(_, line)| line.contains("__tree")), "the walk sees the step");
    for (pid, line) in lines {
        assert!(!line.contains("key-of-this-test-only") && !line.contains(TOKEN), "process {pid}: {line}");
    }
    std::fs::write(running.folder().join("home/go"), "").expect("written");
    running.check();
}

#[test]
fn no_file_holds_a_secret_after_the_end_and_no_line_does_at_any_level() {
    let payload = step("echo \"$KEY\"; cat \"$KUBECONFIG\" >&2; cp \"$KUBECONFIG\" .");
    let done = Run::new(
        payload.replace("token-of-the-test", "{fromEnv: TOKEN}") + "environment: {KEY: {fromEnv: KEY}}\n",
    )
    .env("TOKEN", TOKEN)
    .env("KEY", "key-of-this-test-only")
    .loud()
    .flags(&["-vv"])
    .any_output()
    .check();
    assert!(done.stderr.contains("kubestep: debug: "), "{}", done.stderr);
    for secret in [TOKEN, "key-of-this-test-only"] {
        assert!(!done.stdout.contains(secret) && !done.stderr.contains(secret));
        let found = std::process::Command::new("grep")
            .args(["-rl", "--exclude=step.yaml", secret])
            .arg(done.folder.path())
            .output()
            .expect("grep runs");
        assert_eq!(String::from_utf8_lossy(&found.stdout), "", "files that hold a secret");
    }
}

#[test]
fn an_ordinary_users_script_reads_neither_environment_nor_memory_of_agent_and_supervisor() {
    if !rustix::process::geteuid().is_root() {
        skipped("only root can run a step as another user");
        return;
    }
    // The supervisor is the script's parent, the agent the supervisor's.
    let script = "agent=$(awk '/^PPid/ {print $2}' /proc/$PPID/status)\n\
        for pid in $PPID $agent; do for file in environ mem maps; do\n\
        if head -c 1 /proc/$pid/$file >/dev/null 2>&1; then echo \"$file of $pid can be read\"; fi\n\
        done; done; head -c 1 /proc/$$/environ | wc -c";
    let by_way_of = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    as_nobody(Run::new(step(script)), &by_way_of).stdout("1\n").check();
}

#[test]
fn the_result_is_0600_and_holds_no_secret() {
    let done = Run::new(step(&format!("echo {TOKEN}"))).any_output().check();
    let path = done.folder.path().join("result.json");
    assert_eq!(std::fs::metadata(&path).expect("written").permissions().mode() & 0o777, 0o600);
    assert!(!std::fs::read_to_string(path).expect("text").contains(TOKEN));
}
