//! The schema says what the program reads and writes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::harness::tools::repository;
use crate::harness::{Run, step};

fn schema(document: &str) -> Value {
    let output =
        Command::new(env!("CARGO_BIN_EXE_kubestep")).args(["schema", document]).output().expect("it starts");
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn examples() -> Vec<(PathBuf, String)> {
    let folder = std::fs::read_dir(repository().join("examples")).expect("there are examples").flatten();
    let texts = folder
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), std::fs::read_to_string(path).expect("text")));
    texts.filter(|(_, text)| text.contains("apiVersion: kubestep/v1")).collect()
}

#[test]
fn every_example_is_valid_and_names_the_schema() {
    let validator = jsonschema::validator_for(&schema("payload")).expect("a schema");
    let mut methods = BTreeSet::new();
    for (path, text) in examples() {
        assert!(
            text.starts_with("# yaml-language-server: $schema=../docs/payload.schema.json\n"),
            "{}",
            path.display()
        );
        let example: Value = serde_saphyr::from_str(&text).expect("YAML");
        let faults: Vec<String> = validator.iter_errors(&example).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{}: {faults:?}", path.display());
        methods.extend(example["target"]["auth"].as_object().expect("one method").keys().cloned());
    }
    let schema = schema("payload");
    let known = schema["$defs"]["Auth"]["oneOf"].as_array().expect("a list");
    let known = known.iter().filter_map(|one| one["required"][0].as_str().map(str::to_owned)).collect();
    assert_eq!(methods, known, "an example for every way to log in");
}

#[test]
fn the_checked_in_schemas_are_those_that_the_program_prints() {
    for document in ["payload", "result"] {
        let path = repository().join(format!("docs/{document}.schema.json"));
        let kept: Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_default()).unwrap_or_default();
        assert!(kept == schema(document), "kubestep schema {document} > {}", path.display());
    }
}

#[test]
fn every_result_is_valid() {
    let validator = jsonschema::validator_for(&schema("result")).expect("a schema");
    for (payload, code) in [(step("exit 3"), 3), (step("exit 0"), 0), ("a: b".into(), 65)] {
        let done = Run::new(payload).code(code).any_output().check();
        let faults: Vec<String> =
            validator.iter_errors(&done.result).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{faults:?}");
    }
}

/// The fields that the program says it knows, from what it says of one that it does not know.
fn known_to_the_program(payload: &str) -> BTreeSet<String> {
    let done = Run::new(payload).code(65).any_output().check();
    let line = done.stderr.lines().find(|line| line.contains("zzzzqqqq")).expect("it is told");
    let list = line.split("expected ").nth(1).expect("it says what it knows");
    list.split([',', ' ']).filter(|word| !word.is_empty() && *word != "or").map(str::to_owned).collect()
}

#[test]
fn the_schema_has_the_fields_that_the_program_reads() {
    let schema = schema("payload");
    let defined = |name: &str| {
        let object = if name.is_empty() { &schema } else { &schema["$defs"][name] };
        object["properties"].as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>()
    };
    for (name, payload) in [
        ("", "zzzzqqqq: 1"),
        ("Metadata", "metadata: {zzzzqqqq: 1}"),
        ("Target", "target: {zzzzqqqq: 1}"),
        ("Script", "script: {zzzzqqqq: 1}"),
        ("Limits", "limits: {zzzzqqqq: 1}"),
        ("Retry", "retry: {zzzzqqqq: 1}"),
        ("UsernamePassword", "target: {auth: {usernamePassword: {zzzzqqqq: 1}}}"),
        ("ClientCertificate", "target: {auth: {clientCertificate: {zzzzqqqq: 1}}}"),
        ("Kubeconfig", "target: {auth: {kubeconfig: {zzzzqqqq: 1}}}"),
        ("ServiceAccount", "target: {auth: {serviceAccount: {zzzzqqqq: 1}}}"),
        ("Eks", "target: {auth: {eks: {zzzzqqqq: 1}}}"),
        ("Aks", "target: {auth: {aks: {zzzzqqqq: 1}}}"),
        ("Gke", "target: {auth: {gke: {zzzzqqqq: 1}}}"),
    ] {
        assert_eq!(defined(name), known_to_the_program(payload), "{name}");
    }
    let methods = schema["$defs"]["Auth"]["oneOf"].as_array().expect("a list");
    let methods: BTreeSet<String> =
        methods.iter().filter_map(|one| one["required"][0].as_str().map(str::to_owned)).collect();
    assert_eq!(methods, known_to_the_program("target: {auth: {zzzzqqqq: 1}}"));
}
