//! Whole payloads in, whole messages out. `account` has the tests of the target, `pfx`, `kubeconfig`, `eks`, `aks`, `gke`
//! and `queueing` those of these, `remote` those of trust, `by_value` those of what is sent to a queue.

mod account;
mod aks;
mod by_value;
mod eks;
mod gke;
mod kubeconfig;
mod pfx;
mod queueing;
mod remote;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::limits::{Limits, OutputPolicy};
use crate::payload::{Origin, Policy, Step, Surroundings, Text, load};

/// A right payload; the tests exchange parts of it.
const GOOD: &str = "\
apiVersion: kubestep/v1
kind: Step
metadata:
  name: deploy
target:
  server: https://k8s.example:6443
  auth:
    token: hunter22-token
script:
  body: echo hello
";

/// A folder of its own, with what payloads name in it, and the surroundings of a local payload there.
struct Place {
    folder: tempfile::TempDir,
    surroundings: Surroundings,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let surroundings = Surroundings {
            environment: BTreeMap::new(),
            folder: folder.path().to_owned(),
            service_account_folder: folder.path().join("account"),
            now: "2026-11-24T10:00:00Z".parse().unwrap(),
            origin: Origin::Local,
            policy: Policy::default(),
            queued: false,
        };
        Self { folder, surroundings }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.surroundings.environment.insert(OsString::from(name), OsString::from(value));
        self
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    fn remote(mut self, policy: Policy) -> Self {
        self.surroundings.origin = Origin::Remote;
        self.surroundings.policy = policy;
        self
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn step(&self, payload: impl AsRef<[u8]>) -> Step {
        match load(payload.as_ref(), "deploy.yaml", &self.surroundings) {
            Ok(step) => step,
            Err(problems) => panic!("refused:\n{problems}"),
        }
    }

    fn problems(&self, payload: impl AsRef<[u8]>) -> String {
        match load(payload.as_ref(), "deploy.yaml", &self.surroundings) {
            Ok(_) => panic!("accepted:\n{}", String::from_utf8_lossy(payload.as_ref())),
            Err(problems) => problems.to_string(),
        }
    }

    /// Each case is the good payload with one text exchanged, and the problem's words after the file's name.
    fn refuses(&self, cases: &[(&str, &str, &str)]) {
        let mut wrong = Vec::new();
        for (old, new, told) in cases {
            let found = self.problems(exchanged(old, new));
            let found = found.replace("deploy.yaml:", "");
            if found.trim() != *told {
                wrong.push(format!("{new:?}\n  expected {told}\n  found    {}", found.trim()));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// The good payload with one text exchanged.
fn exchanged(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old}");
    GOOD.replacen(old, new, 1)
}

/// The good payload with more at its end.
fn with(more: &str) -> String {
    format!("{GOOD}{more}")
}

#[test]
fn a_small_payload_gets_the_defaults() {
    let step = Place::new().step(GOOD);
    assert_eq!(step.name, "deploy");
    assert_eq!(step.target.server.as_deref().unwrap_or_default(), "https://k8s.example:6443");
    assert_eq!(step.target.namespace, "default");
    assert_eq!(step.target.auth.method(), "token");
    assert!(!step.target.insecure_skip_tls_verify);
    assert_eq!(step.script.body.expose(), "echo hello");
    assert_eq!(step.limits, Limits::default());
    assert!(step.files.is_empty() && step.inherited.is_empty() && step.parts.is_empty());
}

#[test]
fn a_full_payload_is_read_as_it_is_written() {
    let place = Place::new()
        .variable("API_KEY", "from-the-environment")
        .variable("CI", "true")
        .variable("PATH", "/bin")
        .file("deploy.sh", "echo from file\n")
        .file("app.yaml", "kind: Pod\n")
        .file("app/x", "")
        .file("kubectl", "");
    let step = place.step(with_script(
        "file: deploy.sh\n  syntax: bash\n  arguments: [--fast, two words, 1.20, 0644, on]\n  workingDirectory: ./app",
        "files: {values.yaml: {value: 'a: 1'}, k8s/app.yaml: {fromFile: app.yaml}}\n\
         environment: {STAGE: prod, API_KEY: {fromEnv: API_KEY}}\n\
         inheritEnvironment: [CI]\n\
         secrets: [first-secret, {value: second-secret}]\n\
         requires: [helm, jq, helm]\n\
         tools: {kubectl: ./kubectl}\n\
         limits: {timeout: 1h30m, grace: 0s, output: 64MiB, outputPolicy: fail}\n",
    ));
    assert_eq!(step.script.body.expose(), "echo from file\n");
    assert_eq!(step.script.arguments, ["--fast", "two words", "1.20", "0644", "on"]);
    assert_eq!(step.script.working_directory, Some(place.path().join("app")));
    assert_eq!(step.files["k8s/app.yaml"].expose(), "kind: Pod");
    assert!(matches!(step.files["k8s/app.yaml"], Text::Plain(_)));
    assert!(
        matches!(&step.environment["API_KEY"], Text::Secret(key) if key.expose() == "from-the-environment")
    );
    assert!(matches!(&step.environment["STAGE"], Text::Plain(stage) if stage == "prod"));
    assert_eq!(step.inherited.keys().collect::<Vec<_>>(), ["CI", "PATH"]);
    assert_eq!(
        step.secrets.iter().map(|secret| secret.expose()).collect::<Vec<_>>(),
        ["first-secret", "second-secret"]
    );
    assert_eq!(step.requires, ["helm", "jq"]);
    assert_eq!(step.tools["kubectl"], place.path().join("kubectl"));
    assert_eq!(step.limits.timeout.unwrap().as_secs(), 5400);
    assert!(step.limits.grace.is_zero());
    assert_eq!((step.limits.output, step.limits.output_policy), (64 << 20, OutputPolicy::Fail));
}

fn with_script(script: &str, more: &str) -> String {
    format!("{}{more}", exchanged("body: echo hello", script))
}

#[test]
fn json_means_the_same_as_yaml() {
    let payload = r#"
        {"apiVersion": "kubestep/v1", "kind": "Step", "metadata": {"name": "deploy", "labels": {"a": 1, "b": "\ud83d\ude00"}},
         "target": {"server": "https://k8s", "insecureSkipTlsVerify": true, "auth": {"token": "hunter22-token"}},
         "script": {"body": "echo"}}"#;
    let step = Place::new().step(payload);
    assert_eq!(step.labels["a"], "1");
    assert_eq!(step.labels["b"], "😀");
    assert!(step.target.insecure_skip_tls_verify);
}

#[test]
fn problems_in_json_have_a_path_and_come_in_order() {
    let payload = r#"{"apiVersion": "v1", "kind": "Step", "metadata": {"name": "a", "labels": {"x": 1.20}},
        "target": {"auth": {"tokn": "hunter22"}}, "script": {"body": ""}}"#;
    assert_eq!(
        Place::new().problems(payload),
        "deploy.yaml: apiVersion: expected \"kubestep/v1\", found \"v1\"\n\
         deploy.yaml: metadata.labels.x: expected a text, found a number with a fraction; hint: put it in quotes\n\
         deploy.yaml: target.server: missing\n\
         deploy.yaml: target.auth.tokn: unknown field; did you mean \"token\"?\n\
         deploy.yaml: script.body: the script is empty"
    );
}

#[test]
fn all_problems_of_a_payload_are_told_in_one_run() {
    let payload = "\
apiVersion: kubestep/v2
kind: Step
metadata:
  name: ../etc
target:
  server: http://admin:hunter22@k8s
  namespace: Bad_Name
  auth:
    tokn: hunter22
script:
  body: echo
  arguments: {a: b}
environment:
  KUBECONFIG: /tmp/config
limits:
  timeout: 0s
requires: [hlm]
";
    assert_eq!(
        Place::new().problems(payload),
        "deploy.yaml:1:13: apiVersion: expected \"kubestep/v1\", found \"kubestep/v2\"\n\
         deploy.yaml:4:9: metadata.name: \"../etc\" is no step name; expected 1 to 128 letters, digits, dots, dashes \
         and underscores, with a letter or digit at both ends\n\
         deploy.yaml:6:11: target.server: must be https; kubectl sends no credentials over http\n\
         deploy.yaml:6:11: target.server: must not hold a user or password; they belong in target.auth\n\
         deploy.yaml:7:14: target.namespace: \"Bad_Name\" is no namespace; expected at most 63 lower-case letters, \
         digits and dashes, with a letter or digit at both ends\n\
         deploy.yaml:9:5: target.auth.tokn: unknown field; did you mean \"token\"?\n\
         deploy.yaml:12:14: script.arguments: expected a list, found a mapping\n\
         deploy.yaml:14:15: environment.KUBECONFIG: must not be set: the step's KUBECONFIG is made from target\n\
         deploy.yaml:16:12: limits.timeout: must be longer than 0s; hint: leave it out for a script without a time limit\n\
         deploy.yaml:17:12: requires[0]: unknown tool \"hlm\"; did you mean \"helm\"?"
    );
}

#[test]
fn missing_and_unknown_fields_are_told() {
    let metadata = "metadata:\n  name: deploy\n";
    Place::new().refuses(&[
        ("kind: Step\n", "", "1:1: kind: missing"),
        (metadata, "", "1:1: metadata: missing"),
        (metadata, "metadata: {}\n", "3:11: metadata.name: missing"),
        (metadata, "metadata:\n", "3:9: metadata: expected a mapping, found nothing"),
        ("kind: Step", "kind: Stepp", "2:7: kind: expected \"Step\", found \"Stepp\""),
        ("kind:", "Kind: Step\nkind:", "2:1: Kind: unknown field; did you mean \"kind\"?"),
        ("  server:", "  sever: x\n  server:", "6:3: target.sever: unknown field; did you mean \"server\"?"),
        (
            "  name:",
            "  colour: x\n  name:",
            "4:3: metadata.colour: unknown field; expected name, labels",
        ),
        ("  name:", "  <<: {a: b}\n  name:", "4:3: metadata[\"<<\"]: merge keys are not supported; hint: write the fields out"),
        ("name: deploy", "name: !mine deploy", "4:9: metadata.name: expected a text, found a tag of its own, which is not supported; hint: remove the word that begins with !"),
        ("kind: Step", "kind: Step\nkind: Step", "3:1: kind: stands here for the second time"),
    ]);
}

#[test]
fn fields_of_later_versions_are_unknown_and_say_so() {
    let later = "unknown field; hint: this version of kubestep does not know it yet";
    let limits = with("limits: {memory: 1GiB}");
    assert_eq!(Place::new().problems(limits), format!("deploy.yaml:11:10: limits.memory: {later}"));
    Place::new().refuses(&[
        ("body:", "syntax: python\n  body:", "10:11: script.syntax: expected \"bash\", found \"python\"; hint: this version of kubestep does not know it yet"),
        ("body:", "syntax: bahs\n  body:", "10:11: script.syntax: expected \"bash\", found \"bahs\"; did you mean \"bash\"?"),
    ]);
}

#[test]
fn a_script_is_a_body_or_a_file() {
    let folder = "10:9: script.file: cannot read \"folder\": it is a folder";
    Place::new().file("folder/x", "").file("latin", [b'a', 0xe4]).file("blank", " \n").refuses(&[
        ("body: echo hello", "file: none.sh", "10:9: script.file: cannot read \"none.sh\": no such file; hint: relative paths start at the payload's folder"),
        ("body: echo hello", "file: folder", folder),
        ("body: echo hello", "file: latin", "10:9: script.file: expected a text, found what is not UTF-8 (at byte 1)"),
        ("body: echo hello", "file: blank", "10:9: script.file: the script is empty"),
        ("body: echo hello", "body: a\n  file: b", "10:3: script: expected exactly one of body and file, found both"),
        ("body: echo hello", "syntax: bash", "10:3: script: expected exactly one of body and file, found neither"),
        ("body: echo hello", "body: [a]", "10:9: script.body: expected a text, found a list"),
        ("body: echo hello", "body: \"a\\0b\"", "10:9: script.body: holds a NUL character, which neither files, variables nor requests can carry"),
        ("body: echo hello", "body: a\n  workingDirectory: none", "11:21: script.workingDirectory: cannot read \"none\": no such file; hint: relative paths start at the payload's folder"),
        ("body: echo hello", "body: a\n  workingDirectory: blank", "11:21: script.workingDirectory: \"blank\" is no folder"),
        ("body: echo hello", "body: a\n  arguments: [\"a\\0\"]", "11:15: script.arguments[0]: holds a NUL character, which neither files, variables nor requests can carry"),
    ]);
}

#[test]
fn an_argument_that_holds_a_secret_is_refused() {
    let told = "visible to every process; hint: pass it by environment or files";
    let place = Place::new().variable("CI_TOKEN", "inherited-secret");
    let payload = with_script(
        "body: a\n  arguments: [fine, --token=hunter22-token, x-inherited-secret, second]",
        "secrets: [second, abc]\ninheritEnvironment: [CI_TOKEN]\n",
    );
    assert_eq!(
        place.problems(payload),
        format!(
            "deploy.yaml:11:21: script.arguments[1]: holds the secret of target.auth.token; arguments are {told}\n\
             deploy.yaml:11:45: script.arguments[2]: holds the secret of inherited.CI_TOKEN; arguments are {told}\n\
             deploy.yaml:11:65: script.arguments[3]: holds the secret of secrets[0]; arguments are {told}"
        )
    );
    let _: Step = Place::new().step(with_script("body: a\n  arguments: [abc]", "secrets: [abc]\n"));
}

#[test]
fn what_linux_cannot_hand_to_a_process_is_refused() {
    let long = "x".repeat(128 * 1024);
    let argument = with_script(&format!("body: a\n  arguments: [{long}]"), "");
    assert_eq!(
        Place::new().problems(argument),
        "deploy.yaml:11:15: script.arguments[0]: is longer than an argument can be (128 KiB); hint: pass it by files"
    );
    assert_eq!(
        Place::new().problems(with(&format!("environment: {{A: {long}}}"))),
        "deploy.yaml:11:18: environment.A: is longer than a variable can be (128 KiB); hint: pass it by files"
    );
}

#[test]
fn what_a_payload_reads_is_bounded_as_a_whole() {
    let place = Place::new().file("large", vec![b'a'; 1024 * 1024]);
    let files: Vec<String> = (0..66).map(|index| format!("f{index:02}: {{fromFile: large}}")).collect();
    assert_eq!(
        place.problems(with(&format!("files:\n  {}\n", files.join("\n  ")))),
        "deploy.yaml:76:19: files.f64.fromFile: files and variables of this payload hold more than 64 MiB together"
    );
}

#[test]
fn a_hostile_payload_is_read_in_a_moment() {
    let many =
        |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<Vec<_>>().join(", ");
    let files = with(&format!("files: {{{}}}", many(40_000, &|index| format!("f{index}: x"))));
    assert_eq!(Place::new().step(files).files.len(), 40_000);
    let unknown = with(&many(40_000, &|index| format!("u{index}: x")).replace(", ", "\n"));
    let told = Place::new().problems(unknown);
    assert!(told.ends_with("deploy.yaml: and 39900 more problems"), "{}", &told[told.len() - 200..]);
    let held = with_script(
        &format!("body: a\n  arguments: [{}]", many(40_000, &|index| format!("a{index}"))),
        &format!("secrets: [{}]", many(40_000, &|index| format!("s{index:06}"))),
    );
    assert_eq!(Place::new().step(held).secrets.len(), 40_000);
}

#[test]
fn names_of_files_stay_within_the_working_directory() {
    let place = Place::new();
    let cases = [
        ("../x", "[\"../x\"]: must not hold `..`: files stay in the working directory"),
        ("a/../x", "[\"a/../x\"]: must not hold `..`: files stay in the working directory"),
        ("/etc/x", "[\"/etc/x\"]: expected a relative name: files are written into the working directory"),
        ("a//b", "[\"a//b\"]: expected a file name without empty parts, `.` and a slash at its end"),
        ("a/", "[\"a/\"]: expected a file name without empty parts, `.` and a slash at its end"),
        (".", "[\".\"]: expected a file name without empty parts, `.` and a slash at its end"),
    ];
    for (name, told) in cases {
        let column = name.len() + 11;
        let expected = format!("deploy.yaml:11:{column}: files{told}");
        assert_eq!(place.problems(with(&format!("files: {{{name}: x}}"))), expected);
    }
    assert_eq!(
        place.problems(with("files: {a: x, a/b: x, ab: x}")),
        "deploy.yaml:11:12: files.a: is a file here, and the folder of another file"
    );
}

#[test]
fn variables_have_names_and_values_that_a_process_can_have() {
    let place = Place::new();
    for (variable, told) in [
        (
            "1A: x",
            "19: environment.1A: expected a variable name: letters, digits and underscores, not beginning with a digit",
        ),
        (
            "A-B: x",
            "20: environment.A-B: expected a variable name: letters, digits and underscores, not beginning with a digit",
        ),
        (
            "KUBESTEP_X: x",
            "27: environment.KUBESTEP_X: must not be set: names with KUBESTEP_ are the agent's",
        ),
        (
            "A: \"a\\0\"",
            "18: environment.A: holds a NUL character, which neither files, variables nor requests can carry",
        ),
        ("A:", "16: environment.A: expected a text, or exactly one of value, fromEnv, fromFile"),
        ("A: []", "18: environment.A: expected a text, or exactly one of value, fromEnv, fromFile"),
    ] {
        let found = place.problems(with(&format!("environment: {{{variable}}}")));
        assert_eq!(found.replace("deploy.yaml:11:", "").trim(), told);
    }
}

#[test]
fn text_sources_say_why_they_cannot_be_read() {
    let source = "expected a text, or exactly one of value, fromEnv, fromFile";
    let place =
        Place::new().file("folder/x", "").file("large", vec![b'a'; 1024 * 1024 + 1]).file("latin", [0xe4]);
    let fifo = place.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    place.refuses(&[
        ("hunter22-token", "{fromEnv: API_TOKEN}", "8:22: target.auth.token.fromEnv: the variable \"API_TOKEN\" is not set"),
        ("hunter22-token", "{fromFile: none}", "8:23: target.auth.token.fromFile: cannot read \"none\": no such file; hint: relative paths start at the payload's folder"),
        ("hunter22-token", "{fromFile: /none}", "8:23: target.auth.token.fromFile: cannot read \"/none\": no such file"),
        ("hunter22-token", "{fromFile: folder}", "8:23: target.auth.token.fromFile: cannot read \"folder\": it is a folder"),
        ("hunter22-token", "{fromFile: fifo}", "8:23: target.auth.token.fromFile: cannot read \"fifo\": it is no regular file"),
        ("hunter22-token", "{fromFile: large}", "8:23: target.auth.token.fromFile: cannot read \"large\": larger than 1 MiB"),
        ("hunter22-token", "{fromFile: latin}", "8:12: target.auth.token: expected a text, found what is not UTF-8 (at byte 0)"),
        ("hunter22-token", "{fromenv: hunter22}", &format!("8:12: target.auth.token: {source}; did you mean \"fromEnv\"?")),
        ("hunter22-token", "{hunter22: x}", &format!("8:12: target.auth.token: {source}")),
        ("hunter22-token", "{value: a, fromEnv: b}", &format!("8:12: target.auth.token: {source}")),
        ("hunter22-token", "{}", &format!("8:12: target.auth.token: {source}")),
        ("hunter22-token", "{{ hunter22 }}", "8:13: target.auth.token: expected a field name, found another kind of value; hint: a value that begins with { or [ needs quotes"),
    ]);
}

#[test]
fn a_file_that_must_not_be_read_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new().file("closed", "x");
    let closed = place.path().join("closed");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&closed).is_ok() {
        // root reads everything; the words have a test of their own in `source`.
        return;
    }
    let told = "8:23: target.auth.token.fromFile: cannot read \"closed\": permission denied";
    place.refuses(&[("hunter22-token", "{fromFile: closed}", told)]);
}

#[test]
fn inherited_variables_are_the_default_list_and_what_is_named() {
    let place = Place::new()
        .variable("LC_ALL", "C")
        .variable("AWS_REGION", "eu")
        .variable("AWS_SECRET_ACCESS_KEY", "aws-secret")
        .variable("KUBECONFIG", "/root/.kube/config")
        .variable("KUBESTEP_QUEUE", "nats://u:p@q")
        .variable("NOTIFY_SOCKET", "/run/systemd/notify")
        .variable("OTHER", "x")
        .variable("HTTPS_PROXY", "http://upper:3128")
        .variable("https_proxy", "http://user:p%40ss@lower:3128");
    let step = place.step(with("inheritEnvironment: ['AWS_*', 'KUBE*', 'NOTIFY*', NOT_SET]\n"));
    let names: Vec<&str> = step.inherited.keys().map(String::as_str).collect();
    assert_eq!(names, ["AWS_REGION", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "LC_ALL", "https_proxy"]);
    assert!(matches!(step.inherited["AWS_SECRET_ACCESS_KEY"], Text::Secret(_)));
    assert!(matches!(step.inherited["AWS_REGION"], Text::Plain(_)));
    assert_eq!(step.inherited["HTTPS_PROXY"].expose(), "http://user:p%40ss@lower:3128");
    assert!(matches!(step.inherited["HTTPS_PROXY"], Text::Secret(_)));
    let secrets: Vec<&str> = step.parts.iter().map(|part| part.secret.expose()).collect();
    assert!(secrets.contains(&"user:p%40ss") && secrets.contains(&"p@ss") && secrets.contains(&"p%40ss"));
}

#[test]
fn the_agents_own_variables_cannot_be_asked_for() {
    let place = Place::new();
    for (name, told) in [
        ("KUBECONFIG", "KUBECONFIG is never inherited: the step has its own"),
        ("KUBESTEP_QUEUE", "KUBESTEP_ variables are the agent's own settings, and never inherited"),
        ("NOTIFY_SOCKET", "by this variable systemd speaks with the agent; it is never inherited"),
        ("A=B", "expected the name of a variable; * stands for any characters"),
        ("''", "must not be empty"),
    ] {
        let found = place.problems(with(&format!("inheritEnvironment: [{name}]")));
        assert_eq!(found, format!("deploy.yaml:11:22: inheritEnvironment[0]: {told}"));
    }
}

#[test]
fn limits_tools_and_secrets_are_judged() {
    let place = Place::new().file("folder/x", "");
    let duration = "expected a duration such as 500ms, 30s, 5m, 2h or 1h30m";
    for (more, told) in [
        ("limits: {timeout: 5}", format!("19: limits.timeout: {duration}")),
        ("limits: {grace: -1s}", format!("17: limits.grace: {duration}")),
        ("limits: {grace: }", "15: limits.grace: expected a text, found nothing".into()),
        ("limits: {output: 1MB}", "18: limits.output: expected a size such as 512KiB, 64MiB or 1GiB".into()),
        ("limits: {outputPolicy: fial}", "24: limits.outputPolicy: expected truncate or fail, found \"fial\"; did you mean \"fail\"?".into()),
        ("tools: {kubctl: /x}", "17: tools.kubctl: unknown tool \"kubctl\"; did you mean \"kubectl\"?\n:17: tools.kubctl: cannot read \"/x\": no such file".into()),
        ("tools: {helm: folder}", "15: tools.helm: expected a program, found another kind of file at \"folder\"".into()),
        ("secrets: ['']", "11: secrets[0]: must not be empty".into()),
        ("secrets: a", "10: secrets: expected a list, found a single value".into()),
        ("secrets: [{fromEnv: NONE}]", "21: secrets[0].fromEnv: the variable \"NONE\" is not set".into()),
    ] {
        let found = place.problems(with(more)).replace("deploy.yaml:11:", ":");
        assert_eq!(found, format!(":{told}"), "{more}");
    }
}

#[test]
fn no_secret_of_a_payload_is_ever_shown() {
    let secret = "hunter22";
    let place = Place::new().variable("GOOD_TOKEN", secret).file("secret", "hunter22 \n");
    let right = with(
        "environment: {A: {fromEnv: GOOD_TOKEN}, B: {fromFile: secret}}\nsecrets: [hunter22]\n\
         inheritEnvironment: [GOOD_TOKEN]\n",
    );
    let step = place.step(right);
    assert!(!format!("{step:?}").contains(secret), "{step:?}");
    // Wrong in every way that the same value can be.
    let broken = [
        GOOD.replace("hunter22-token", "hunter22 x"),
        GOOD.replace("hunter22-token", "[hunter22]"),
        GOOD.replace("hunter22-token", "{hunter22: hunter22}"),
        GOOD.replace("hunter22-token", "{fromFile: secret}"),
        GOOD.replace("hunter22-token", "\"hunter22"),
        GOOD.replace("hunter22-token", "hunter22: x"),
        GOOD.replace("hunter22-token", "@hunter22"),
        GOOD.replace("hunter22-token", "!hunter22 x"),
        GOOD.replace("hunter22-token", "*hunter22"),
        GOOD.replace("hunter22-token", "\"\\qhunter22\""),
        GOOD.replace("https://", "https://u:hunter22@"),
        GOOD.replace("https://", "hunter22://"),
        with("secrets: {a: hunter22}"),
        with("secrets: [\"hunter22\\0\"]"),
        with("environment: {A: [hunter22]}"),
        exchanged("auth:", "proxyUrl: ftp://u:hunter22@p\n  auth:"),
        r#"{"target": {"auth": {"token": "hunter22" "x"}}}"#.into(),
        r#"{"target": {"auth": {"token": "hunter22\q"}}}"#.into(),
        r#"{"target": {"auth": {"token": ["hunter22"]}}}"#.into(),
    ];
    for payload in broken {
        let problems = load(payload.as_bytes(), "deploy.yaml", &place.surroundings).expect_err(&payload);
        assert!(!problems.to_string().contains(secret), "{problems}");
        assert!(!format!("{problems:?}").contains(secret), "{problems:?}");
    }
}

#[test]
fn paths_of_a_step_are_absolute() {
    let mut place = Place::new().file("kubectl", "");
    place.surroundings.folder = place.path().join("deeper/..");
    std::fs::create_dir(place.path().join("deeper")).unwrap();
    let step = place.step(with("tools: {kubectl: kubectl}"));
    assert!(step.tools["kubectl"].is_absolute());
    assert_ne!(step.tools["kubectl"], PathBuf::from("kubectl"));
}
