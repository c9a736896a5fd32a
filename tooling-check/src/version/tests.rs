//! Versions are read out of what the tools print: the samples of `samples.json`, and forms that no tool prints yet.

use super::{Version, first_line, numbers, plain};
use crate::tool::Tool;

fn kubectl(stdout: &str) -> Version {
    Version::read(Tool::Kubectl, stdout.as_bytes(), b"")
}

fn known(printed: &str, (major, minor, patch): (u32, u32, u32)) -> Version {
    Version::Known { printed: printed.to_owned(), major, minor, patch }
}

// The samples are those of the project's collection of outputs; measured ones and published ones.
#[test]
fn kubectls_json_is_read_with_every_vendors_ending() {
    for (git, version) in [
        ("v1.32.4-dispatcher", (1, 32, 4)),
        ("v1.27.16", (1, 27, 16)),
        ("v1.28.15", (1, 28, 15)),
        ("v1.33.1", (1, 33, 1)),
        ("v1.27.1-eks-2f008fe", (1, 27, 1)),
        ("v1.23.6", (1, 23, 6)),
        ("v1.31.2+k3s1", (1, 31, 2)),
    ] {
        let text = format!(
            r#"{{"clientVersion": {{"major": "1", "minor": "32+", "gitVersion": "{git}", "platform": "linux/amd64"}},
               "kustomizeVersion": "v5.0.4-0.20230601165947-6ce0bf390ce3"}}"#
        );
        assert_eq!(kubectl(&text), known(git, version));
    }
}

#[test]
fn kubectls_json_is_found_among_a_wrappers_own_lines() {
    let text = "switching to 9.9.9\n{\"clientVersion\": {\"gitVersion\": \"v1.30.1\"}}\ndone\n";
    assert_eq!(kubectl(text), known("v1.30.1", (1, 30, 1)));
}

#[test]
fn kubectls_plain_forms_are_read() {
    let plain = "Client Version: v1.31.9\nKustomize Version: v5.4.2\n";
    assert_eq!(kubectl(plain), known("v1.31.9", (1, 31, 9)));
    let go = "Client Version: version.Info{Major:\"1\", Minor:\"27\", GitVersion:\"v1.27.16\", GitCommit:\"cbb86e0d\"}\n\
              Kustomize Version: v5.0.1\n";
    assert_eq!(kubectl(go), known("v1.27.16", (1, 27, 16)));
    let both =
        "Client Version: v1.30.13\nKustomize Version: v5.0.4-0.2023\nServer Version: v1.36.1-eks-abcd\n";
    assert_eq!(kubectl(both), known("v1.30.13", (1, 30, 13)));
    let yaml = "clientVersion:\n  buildDate: \"2025-05-15T08:27:33Z\"\n  gitVersion: v1.33.1\n  goVersion: go1.24.2\n";
    assert_eq!(kubectl(yaml), known("v1.33.1", (1, 33, 1)));
}

#[test]
fn a_number_that_kubectl_did_not_call_its_version_is_none() {
    assert_eq!(
        kubectl("see release 1.2.3\nmore"),
        Version::Unknown { printed: Some("see release 1.2.3".to_owned()) }
    );
    assert_eq!(kubectl(" \n\n"), Version::Unknown { printed: None });
    assert_eq!(
        kubectl("{\"clientVersion\": {\"gitVersion\": \"unversioned\"}}").numbers(),
        None,
        "a word is no version"
    );
}

#[test]
fn bash_is_read_from_either_stream() {
    let line = "GNU bash, version 5.2.15(1)-release (x86_64-pc-linux-gnu)";
    let text = format!("{line}\nCopyright (C) 2022 Free Software Foundation, Inc.\n");
    assert_eq!(Version::read(Tool::Bash, text.as_bytes(), b""), known(line, (5, 2, 15)));
    assert_eq!(Version::read(Tool::Bash, b"", text.as_bytes()), known(line, (5, 2, 15)));
    let dash = Version::read(Tool::Bash, b"", b"sh: 0: Illegal option --\n");
    assert_eq!(dash, Version::Unknown { printed: Some("sh: 0: Illegal option --".to_owned()) });
}

#[test]
fn the_first_dotted_number_counts() {
    assert_eq!(numbers("jq-1.6"), Some((1, 6, 0)));
    assert_eq!(numbers("1.29+"), Some((1, 29, 0)));
    assert_eq!(numbers("2 things, 3.4.5-rc.1"), Some((3, 4, 5)));
    assert_eq!(numbers("v1.2.x"), Some((1, 2, 0)));
    assert_eq!(numbers("7. 8 .9"), None);
    assert_eq!(numbers("99999999999.1"), None);
    assert_eq!(numbers("ключ 1.2"), Some((1, 2, 0)));
}

#[test]
fn versions_compare_by_their_numbers() {
    let [nine, ten] = ["v1.9.9", "v1.10.0-rc.1"].map(|text| numbers(text).unwrap());
    assert!(nine < ten);
}

#[test]
fn a_printed_line_is_short_and_without_control_characters() {
    assert_eq!(first_line("\r\n \x1b[1mhello\x07\nmore").as_deref(), Some("[1mhello"));
    assert_eq!(first_line(&"x".repeat(70_000)).unwrap().len(), 200);
    assert_eq!(first_line("\x07\n"), None);
}

/// One line of `samples.json`: what a tool printed, and what has to be read out of it.
#[derive(serde::Deserialize)]
struct Sample {
    tool: String,
    args: Vec<String>,
    stdout: String,
    stderr: String,
    version: Option<String>,
    source: String,
}

#[test]
fn every_sample_is_read() {
    let samples: Vec<Sample> = serde_json::from_str(include_str!("samples.json")).unwrap();
    for sample in &samples {
        let tool = Tool::named(&sample.tool).unwrap();
        let read = Version::read(tool, sample.stdout.as_bytes(), sample.stderr.as_bytes());
        let wanted = sample.version.as_deref().map(|text| numbers(text).unwrap());
        let told = format!("{} {} ({}): {read:?}", sample.tool, sample.args.join(" "), sample.source);
        assert_eq!(read.numbers(), wanted, "{told}");
    }
    for tool in Tool::ALL {
        assert!(samples.iter().any(|sample| sample.tool == tool.name()), "{tool} has no sample");
    }
}

#[test]
fn builds_without_a_version_are_unknown_and_told_as_they_print_it() {
    let unversioned = Version::read(Tool::AwsIamAuthenticator, b"{\"Version\":\"unversioned\"}\n", b"");
    assert_eq!(unversioned, Version::Unknown { printed: Some("unversioned".to_owned()) });
    let empty = b"kubelogin version \ngit hash: \nGo version: \nBuild time: \nPlatform: \n";
    assert_eq!(Version::read(Tool::Kubelogin, empty, b"").numbers(), None);
    // `go install` stamps helm with two numbers only.
    let helm = b"version.BuildInfo{Version:\"v3.22\", GitCommit:\"\", KubeClientVersion:\"v1.36\"}\n";
    assert_eq!(Version::read(Tool::Helm, helm, b""), known("v3.22", (3, 22, 0)));
    assert_eq!(
        Version::read(Tool::Helm, b"version.BuildInfo{KubeClientVersion:\"v1.36\"}", b"").numbers(),
        None
    );
}

#[test]
fn the_other_kubelogin_is_told_from_azures() {
    assert!(Version::stranger(Tool::Kubelogin, b"kubelogin version v1.28.1\n", b"").is_some());
    assert_eq!(
        Version::stranger(Tool::Kubelogin, b"kubelogin version \ngit hash: v0.2.8/d7f1c16c\n", b""),
        None
    );
}

#[test]
fn colours_are_no_part_of_a_version() {
    assert_eq!(plain(b"\x1b[1;32mjq-1.7\x1b[0m\x1b[K!"), "jq-1.7!");
    assert_eq!(plain(b"\x1b[1"), "");
    assert_eq!(Version::read(Tool::Jq, b"\x1b[1mjq-1.7\x1b[0m\n", b""), known("jq-1.7", (1, 7, 0)));
}
