//! `kubestep explain` says what `kubestep run` does.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::{Run, step};

/// `explain` in the surroundings of a run.
fn explain(run: &Run, payload: &str, format: &str) -> Output {
    std::fs::write(run.payload_path(), payload).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubestep"));
    command.arg("explain").arg(run.payload_path()).args(["-o", format]);
    run.surround(&mut command);
    command.env("API_KEY", "key-of-the-test").env("APP_STAGE", "prod").output().expect("the program starts")
}

fn payload() -> String {
    step("env -0 | cut -z -d= -f1 | tr '\\0' '\\n'")
        + "environment: {API_KEY: {fromEnv: API_KEY}, COLOUR: blue}\ninheritEnvironment: [APP_STAGE]\n\
           files: {a.txt: one, b/c.txt: {value: two two}}\nlimits: {timeout: 90s}\n"
}

fn names(list: &Value) -> BTreeSet<String> {
    list.as_array()
        .expect("a list")
        .iter()
        .map(|one| one["name"].as_str().expect("a name").to_owned())
        .collect()
}

#[test]
fn it_decides_as_run_does() {
    let run = Run::new(payload()).env("API_KEY", "key-of-the-test").env("APP_STAGE", "prod").any_output();
    let output = explain(&run, &payload(), "json");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let done = run.check();
    assert_eq!(told["tools"], done.result["tools"]);
    assert_eq!(told["warnings"], done.result["warnings"]);
    for field in ["server", "namespace", "auth"] {
        assert_eq!(told["target"][field], done.result["target"][field]);
    }
    let bashs_own = ["PWD", "SHLVL", "_"].map(str::to_owned);
    let found: BTreeSet<String> = done.stdout.lines().map(str::to_owned).collect();
    let expected: BTreeSet<String> = names(&told["environment"]).into_iter().chain(bashs_own).collect();
    assert_eq!(found, expected);
    assert_eq!(names(&told["files"]), ["a.txt", "b/c.txt"].map(str::to_owned).into());
    assert_eq!(
        told["limits"],
        serde_json::json!({"timeout": 90.0, "grace": 10.0, "output": 1073741824, "outputPolicy": "truncate"})
    );
}

#[test]
fn it_shows_no_secret_and_leaves_nothing() {
    let run = Run::new(payload());
    for format in ["text", "json"] {
        let output = explain(&run, &payload(), format);
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(!text.contains("token-of-the-test") && !text.contains("key-of-the-test"), "{text}");
        assert!(text.contains("REDACTED"), "{text}");
        assert!(text.contains("the secret of target.auth.token stands in the payload in clear"), "{text}");
    }
    for name in ["tmp", "run"] {
        assert_eq!(crate::harness::run::names_in(&run.folder().join(name)), [""; 0], "{name}");
    }
}

#[test]
fn it_is_read_at_eighty_columns() {
    let run = Run::new(payload());
    let output = explain(&run, &payload(), "text");
    let text = String::from_utf8(output.stdout).expect("text");
    for line in text.lines().filter(|line| !line.contains(&run.folder().display().to_string())) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(
        text.starts_with("step         test\ntarget       https://127.0.0.1:1, namespace default\n"),
        "{text}"
    );
}

#[test]
fn it_ends_as_run_would() {
    let run = Run::new("");
    assert_eq!(explain(&run, "a: b", "text").status.code(), Some(65));
    assert_eq!(explain(&run, &(step("exit 0") + "requires: [kubelogin]\n"), "text").status.code(), Some(69));
    std::fs::remove_file(run.payload_path()).expect("written before");
    let output = Command::new(env!("CARGO_BIN_EXE_kubestep"))
        .args([Path::new("explain"), &run.payload_path()])
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn it_runs_no_plugin_and_asks_no_cluster() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("set");
    let server = format!("https://{}", listener.local_addr().expect("bound"));
    let run = Run::new("").file("stand-in-plugin", "#!/bin/bash\ntouch \"$(dirname \"$0\")/it-ran\"\n");
    let plugin = run.folder().join("stand-in-plugin");
    std::fs::set_permissions(&plugin, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    let kubeconfig = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "k", "cluster": {"server": server}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "users": [{"name": "u", "user": {"exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1", "command": plugin,
        }}}],
    });
    let content = serde_json::json!(kubeconfig.to_string());
    let payload = step("exit 0").replace("server: https://127.0.0.1:1", "namespace: default").replace(
        "auth: {token: token-of-the-test}",
        &format!("auth: {{kubeconfig: {{content: {content}}}}}"),
    );
    let output = explain(&run, &payload, "json");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!run.folder().join("it-ran").exists(), "the plugin ran");
    assert!(listener.accept().is_err(), "the cluster was asked");
}
