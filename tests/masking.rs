//! `kubestep mask`: what it takes, what it refuses, and that it never holds what it need not.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use crate::harness::tools::repository;
use crate::harness::{Run, step};

/// A run of `kubestep mask`.
struct Mask {
    folder: TempDir,
    flags: Vec<String>,
}

/// What it did.
#[derive(Debug, PartialEq, Eq)]
struct Done {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Mask {
    fn new(secrets: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("secrets"), secrets).expect("written");
        Self { folder, flags: Vec::new() }
    }

    fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    fn secrets(&self) -> PathBuf {
        self.folder.path().join("secrets")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubestep"));
        command.args(["mask", "--secrets"]).arg(self.secrets()).args(&self.flags);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn start(&self) -> Child {
        self.command().spawn().expect("the program starts")
    }

    fn run(&self, input: &[u8]) -> Done {
        let mut child = self.start();
        let (mut stdin, input) = (child.stdin.take().expect("piped"), input.to_vec());
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().expect("it runs");
        writer.join().expect("written");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Done { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    #[track_caller]
    fn check(&self, input: &str, stdout: &str) {
        let expected = Done { code: Some(0), stdout: stdout.into(), stderr: String::new() };
        assert_eq!(self.run(input.as_bytes()), expected);
    }

    #[track_caller]
    fn refused(&self, code: i32, words: &str) {
        let done = self.run(b"hunter22");
        assert_eq!((done.code, done.stdout.as_str()), (Some(code), ""), "{}", done.stderr);
        assert!(
            done.stderr.starts_with("kubestep: error: ") && done.stderr.contains(words),
            "{}",
            done.stderr
        );
        assert!(!done.stderr.contains("hunter22"), "{}", done.stderr);
    }
}

#[test]
fn secrets_come_one_a_line_or_as_json_or_ended_by_nul() {
    Mask::new("hunter22\nsecond-one\n").check("a hunter22 b second-one", "a ******** b ********");
    Mask::new("hunter22\r\nsecond-one").check("a hunter22 b second-one", "a ******** b ********");
    Mask::new("[\"hunter22\", \"two\\nlines-here\"]")
        .check("a hunter22 two\nlines-here", "a ******** ********");
    Mask::new("hunter22\0two\nlines-here\0").flags(&["-0"]).check("two\r\n  lines-here", "********");
}

#[test]
fn every_form_is_hidden_or_with_forms_raw_the_value_alone() {
    let input = "aHVudGVyMjI= hunter22 68756e7465723232";
    Mask::new("hunter22").check(input, "******** ******** ********");
    Mask::new("hunter22").flags(&["--forms", "raw"]).check(input, "aHVudGVyMjI= ******** 68756e7465723232");
    Mask::new("hunter22").flags(&["--mask", "[x]"]).check("hunter22", "[x]");
}

#[test]
fn stats_are_one_line_of_json_at_the_end() {
    let done = Mask::new("hunter22").flags(&["--stats"]).run(b"hunter22 hunter22");
    let stats: serde_json::Value = serde_json::from_str(&done.stderr).expect("JSON");
    assert_eq!((&stats["bytes"], &stats["masked"]), (&17.into(), &2.into()));
    assert!(stats["forms"].as_u64() > Some(10) && stats["buildMilliseconds"].is_number(), "{stats}");
}

#[test]
fn short_secrets_and_common_words_are_told_by_their_number() {
    let done = Mask::new("abc\npassword\nhunter22").run(b"abc password cGFzc3dvcmQ= hunter22");
    assert_eq!(done.stdout, "abc ******** cGFzc3dvcmQ= ********");
    assert_eq!(
        done.stderr,
        "kubestep: warning: secret 1 has fewer than 4 bytes and is not masked\n\
         kubestep: warning: secret 2 is an ordinary word: it is masked as it is, in no other form\n"
    );
}

#[test]
fn a_common_word_in_a_payload_is_told_once_by_its_field() {
    let payload = step("echo it is default") + "secrets: [default]\n";
    let done = Run::new(payload).loud().any_output().check();
    assert_eq!(done.stdout, "it is ********\n");
    assert_eq!(done.stderr.matches("secrets[0] is an ordinary word").count(), 1, "{}", done.stderr);
    assert_eq!(done.result["warnings"][0]["code"], "SecretCommonWord");
}

/// What makes a masker that was built for tests panic.
const FAULT: (&str, &str) = ("KUBESTEP_TEST_MASKER_FAULT", "@fault@");

#[test]
fn a_fault_of_the_masker_ends_the_step_and_nothing_goes_out_unmasked() {
    for stream in ["1", "2"] {
        // The write after the fault finds nobody, however long the script would go on.
        let script = format!(
            "exec 1>&{stream}; echo ready; while [ ! -e \"$HOME/go\" ]; do sleep 0.01; done\n\
             printf 'a hunter22 b @fault@ hunter'; sleep 0.2; while printf '22 after\\n'; do sleep 0.01; done"
        );
        let payload = step(&script) + "secrets: [hunter22]\n";
        let run = Run::new(payload).env(FAULT.0, FAULT.1).code(70).any_output();
        let mut running = run.start();
        if stream == "1" {
            running.wait_for_stdout("ready\n");
        }
        std::fs::write(running.folder().join("home/go"), "").expect("written");
        let done = running.check();
        assert_eq!(done.result["reason"], "AgentFailed");
        for text in [&done.stdout, &done.stderr] {
            for unwanted in ["hunter", "fault@", "after"] {
                assert!(!text.contains(unwanted), "{text}");
            }
        }
        if stream == "1" {
            assert_eq!(done.stdout, "ready\n");
        }
    }
}

#[test]
fn a_fault_of_the_masker_ends_the_filter_with_70() {
    let mask = Mask::new("hunter22");
    let mut child = mask.command().env(FAULT.0, FAULT.1).spawn().expect("the program starts");
    let (mut stdin, mut stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    stdin.write_all(b"ready ").expect("written");
    let mut read = [0; 6];
    stdout.read_exact(&mut read).expect("read");
    stdin.write_all(b"a hunter22 b @fault@ hunter").expect("written");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("read");
    assert_eq!((&read, rest.as_str()), (b"ready ", ""));
    assert_eq!(child.wait().expect("it was ours").code(), Some(70));
}

#[test]
fn secrets_that_are_none_are_refused_and_never_shown() {
    let missing = Mask::new("");
    std::fs::remove_file(missing.secrets()).expect("removed");
    missing.refused(64, "cannot be read");
    Mask::new("").refused(65, "there is none in it");
    Mask::new("[]").refused(65, "there is none in it");
    Mask::new("hunter22\n\nsecond").refused(65, "number 2 is empty");
    Mask::new("hunter22\0\0second").flags(&["-0"]).refused(65, "number 2 is empty");
    Mask::new("[\"hunter22\", \"\"]").refused(65, "number 2 is empty");
    for wrong in ["[\"hunter22\"", "[1]", "[{\"hunter22\": 1}]", "[\"hunter22\"] hunter22"] {
        Mask::new(wrong).refused(65, "expected a JSON array of strings (line 1, column");
    }
    Mask::new(vec![b'x'; 16 * 1024 * 1024 + 1]).refused(65, "more than 16777216 bytes");
    Mask::new("hunter22").flags(&["--mask", ""]).refused(64, "mask: expected a text");
}

#[test]
fn binary_input_and_binary_secrets_pass() {
    let done = Mask::new(b"\xff\xfe\x00\x01secret\n").run(b"\x00\xff\xff\xfe\x00\x01secret\x80");
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), "\0\u{fffd}********\u{fffd}"));
}

#[test]
fn a_secret_of_one_mebibyte_is_masked() {
    let secret: String = (0..1024 * 1024 / 8).map(|number| format!("{number:08x}")).collect();
    let done = Mask::new(&secret).run(format!("a {secret} b {} c", &secret[..secret.len() - 1]).as_bytes());
    assert_eq!(done.stdout, format!("a ******** b {} c", &secret[..secret.len() - 1]));
}

#[test]
#[ignore = "takes half a minute without optimization"]
fn a_hundred_thousand_secrets_are_masked() {
    let secrets: String =
        (0..100_000).map(|number| format!("secret-{number:05}-{}\n", number * 7919)).collect();
    let done = Mask::new(secrets).run(b"a secret-00001-7919 b secret-99999-791892081 c secret-100000 d");
    assert_eq!(done.stdout, "a ******** b ******** c secret-100000 d");
}

#[test]
fn what_cannot_begin_a_secret_is_written_at_once() {
    let mask = Mask::new("hunter22");
    let mut child = mask.start();
    let (mut stdin, mut stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let mut exchange = |write: &str, expected: &str| {
        stdin.write_all(write.as_bytes()).expect("written");
        let mut read = vec![0; expected.len()];
        stdout.read_exact(&mut read).expect("read");
        assert_eq!(String::from_utf8_lossy(&read), expected);
    };
    exchange("name? ", "name? ");
    exchange("10%\rhunt", "10%\r");
    exchange("ing ", "hunting ");
    exchange("hunter", "");
    exchange("22!", "********!");
    drop(stdin);
    assert!(child.wait().expect("it was ours").success());
}

#[test]
fn one_endless_line_takes_constant_memory() {
    one_line_takes_constant_memory(64);
}

#[test]
#[ignore = "takes minutes without optimization"]
fn one_line_of_a_gibibyte_takes_constant_memory() {
    one_line_takes_constant_memory(1024);
}

fn one_line_takes_constant_memory(mebibytes: u64) {
    let mask = Mask::new("hunter22\n-----a-longer-secret-with-many-bytes-----");
    let mut child = mask.start();
    let (mut stdin, mut stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let reader = std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()).expect("read"));
    let block = vec![b'-'; 1024 * 1024];
    for _ in 0..mebibytes {
        stdin.write_all(&block).expect("written");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it lives");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(kilobytes < 32 * 1024, "{peak}");
    drop(stdin);
    assert_eq!(reader.join().expect("read"), mebibytes * 1024 * 1024);
    assert!(child.wait().expect("it was ours").success());
}

#[test]
fn a_closed_stdout_ends_it_with_141() {
    let mask = Mask::new("hunter22");
    let mut child = mask.start();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("piped");
    let began = Instant::now();
    while stdin.write_all(&[b'x'; 65536]).is_ok() {
        assert!(began.elapsed().as_secs() < 30, "it does not end");
    }
    assert_eq!(child.wait().expect("it was ours").code(), Some(141));
}

#[test]
fn what_a_script_prints_in_other_forms_is_masked() {
    let script = "echo \"$T\" | base64; printf %s \"$T\" | od -An -tx1 -v | tr -d ' \\n'; echo";
    let payload = step(script) + "environment: {T: token-of-the-test}\n";
    Run::new(payload).stdout("********\n********\n").check();
}

/// Megabytes of a log that holds no secret, with a thousand secrets and two documents loaded.
fn nothing_is_masked_in(mebibytes: usize) {
    let generate = |words: &[&str]| {
        let script = repository().join("benches/mask/generate.py");
        let output = Command::new("python3").arg(script).args(words).output().expect("python3 runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let mut secrets = generate(&["secrets", "1000"]);
    secrets.extend_from_slice(KUBECONFIG.as_bytes());
    secrets.push(0);
    secrets.extend_from_slice(ACCOUNT_KEY.as_bytes());
    let mut log = generate(&["log", &mebibytes.to_string()]);
    log.extend_from_slice(KUBECONFIG.replace("tok-4711-0815-1234", "redacted").as_bytes());
    let done = Mask::new(secrets).flags(&["-0", "--stats"]).run(&log);
    let stats: serde_json::Value = serde_json::from_str(&done.stderr).expect("JSON");
    assert_eq!((&stats["masked"], done.code), (&0.into(), Some(0)));
    assert!(done.stdout.as_bytes() == log, "the log came out another");
}

const KUBECONFIG: &str = "apiVersion: v1
kind: Config
clusters:
- name: shop
  cluster:
    server: https://10.0.0.1:6443
    certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJkakNDQVIyZ0F3SUJBZ0lCQURBS0JnZ3Foa2pPUFFRREFqQWpNU0V3SHdZRFZRUUREQmhyTTNNdGMyVnkK
contexts:
- name: default
  context: {cluster: shop, user: deploy, namespace: default}
current-context: default
users:
- name: deploy
  user:
    token: tok-4711-0815-1234
";

const ACCOUNT_KEY: &str = r#"{
  "type": "service_account",
  "project_id": "shop-production",
  "private_key_id": "90adf1b5c2e1f4a7d3b6c8e9f0a1b2c3d4e5f607",
  "private_key": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDDZp8x\n-----END PRIVATE KEY-----\n",
  "client_email": "deploy@shop-production.iam.gserviceaccount.com",
  "token_uri": "https://oauth2.googleapis.com/token"
}"#;

#[test]
fn nothing_is_masked_in_a_log_without_secrets() {
    nothing_is_masked_in(3);
}

#[test]
#[ignore = "takes a minute without optimization"]
fn nothing_is_masked_in_64_mebibytes_without_secrets() {
    nothing_is_masked_in(64);
}
