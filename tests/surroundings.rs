//! What a script finds: its folder, its environment, its tools (payload.md 2).

use crate::harness::{Run, step};

#[test]
fn the_environment_holds_what_the_contract_lists_and_nothing_else() {
    let payload = step("env | cut -d= -f1 | sort | tr '\\n' ' '") + "environment: {STAGE: prod}\n";
    let done = Run::new(payload)
        .env("LANG", "C.UTF-8")
        .env("AGENT_ONLY", "x")
        .env("KUBECONFIG", "/root/.kube/config")
        .env("KUBESTEP_MASK", "***")
        .any_output()
        .check();
    let names: Vec<&str> = done.stdout.split_whitespace().collect();
    let expected = [
        "HOME",
        "KUBECONFIG",
        "KUBERC",
        "KUBESTEP_NAMESPACE",
        "KUBESTEP_STEP",
        "LANG",
        "PATH",
        "PWD",
        "SHLVL",
        "STAGE",
        "TMPDIR",
        "_",
    ];
    assert_eq!(names, expected, "PWD, SHLVL and _ are bash's own");
}

#[test]
fn the_payloads_own_variables_win_and_name_patterns_are_inherited() {
    let payload = step("echo $LANG $APP_ONE $APP_TWO $KUBESTEP_STEP")
        + "environment: {LANG: own, KUBESTEP_NAMESPACE_X: x}\ninheritEnvironment: [\"APP_*\"]\n";
    let payload = payload.replace(", KUBESTEP_NAMESPACE_X: x", "");
    Run::new(payload)
        .env("LANG", "C")
        .env("APP_ONE", "1")
        .env("APP_TWO", "2")
        .stdout("own 1 2 test\n")
        .check();
}

#[test]
fn an_inherited_variable_that_sounds_like_a_secret_is_masked() {
    let payload = step("echo $DEPLOY_PASSWORD $HTTPS_PROXY") + "inheritEnvironment: [DEPLOY_PASSWORD]\n";
    Run::new(payload)
        .env("DEPLOY_PASSWORD", "correct-horse")
        .env("HTTPS_PROXY", "http://user:battery@proxy:3128")
        .stdout("******** ********\n")
        .check();
}

#[test]
fn the_script_runs_in_a_fresh_private_folder_with_its_files() {
    let payload = step(
        "pwd; stat -c '%a %n' . .. values.yaml k8s k8s/app.yaml; cat values.yaml k8s/app.yaml; ls -A \"$TMPDIR\"",
    ) + "files: {values.yaml: {value: \"a: 1\\n\"}, k8s/app.yaml: {fromFile: app.yaml}}\n";
    let run = Run::new(payload).file("app.yaml", "b: 2\n");
    let done = run.any_output().check();
    let (folder, rest) = done.stdout.split_once('\n').expect("two lines");
    assert!(folder.starts_with(done.folder.path().join("tmp").to_str().expect("text")), "{folder}");
    assert_eq!(rest, "700 .\n700 ..\n600 values.yaml\n700 k8s\n600 k8s/app.yaml\na: 1\nb: 2");
}

#[test]
fn the_kubeconfig_is_0600_in_a_0700_folder() {
    let script = "stat -c %a \"$KUBECONFIG\" \"$(dirname \"$KUBECONFIG\")\"; kubectl config current-context";
    Run::new(step(script)).stdout("600\n700\nkubestep\n").check();
}

#[test]
fn the_kubeconfig_is_shown_where_that_is_asked_for_without_its_secrets() {
    let done = Run::new(step("exit 0") + "outputKubeConfig: true\n").loud().any_output().check();
    let shown =
        "kubestep: users:\nkubestep: - name: kubestep\nkubestep:   user:\nkubestep:     token: REDACTED\n";
    assert!(done.stderr.contains(shown), "{}", done.stderr);
    assert!(done.stderr.contains("kubestep: current-context: kubestep\n"), "{}", done.stderr);
}

#[test]
fn the_tools_of_the_payload_stand_first_on_the_path() {
    let script = "command -v kubectl | sed 's|.*/kubestep-[^/]*||'; kubectl";
    let stand_in = "#!/bin/bash\nif [ \"$1\" = version ]; then echo '{\"clientVersion\":{\"gitVersion\":\"v1.99.0\"}}'; else echo stand-in; fi\n";
    let payload = step(script) + "tools: {kubectl: stand-in-kubectl}\n";
    let run = Run::new(payload).file("stand-in-kubectl", stand_in);
    let path = run.folder().join("stand-in-kubectl");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    run.stdout("/bin/kubectl\nstand-in\n").check();
}

#[test]
fn there_is_no_terminal_to_ask_on_and_standard_input_is_empty() {
    let script = "cat; if (: </dev/tty) 2>/dev/null; then echo terminal; else echo none; fi; ls /proc/self/fd | tr '\\n' ' '";
    Run::new(step(script)).stdout("none\n0 1 2 3 ").check();
}

#[test]
fn arguments_and_a_folder_of_ones_own_are_taken() {
    let payload = step("echo \"$#:$1:$2\"; pwd; ls")
        .replace("script: {", "script: {arguments: [--fast, two words], workingDirectory: app, ");
    let run = Run::new(payload);
    let app = run.folder().join("app");
    std::fs::create_dir(&app).expect("made");
    std::fs::write(app.join("mine"), "").expect("written");
    let expected = format!("2:--fast:two words\n{}\nmine\n", app.display());
    run.stdout(&expected).check();
}

#[test]
fn a_script_from_a_file_is_run() {
    let payload = step("").replace("script: {body: \"\"}", "script: {file: deploy.sh}");
    Run::new(payload).file("deploy.sh", "echo from the file\n").stdout("from the file\n").check();
}

#[test]
fn start_up_files_of_bash_change_nothing() {
    let run = Run::new(step("echo $0 | sed 's|.*/||'; echo ${SEEN:-unseen}"));
    for name in [".bashrc", ".bash_profile", ".profile"] {
        std::fs::write(run.folder().join("home").join(name), "SEEN=seen\n").expect("written");
    }
    run.env("BASH_ENV", "/dev/null").stdout("script\nunseen\n").check();
}
