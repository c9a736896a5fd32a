//! The clouds' stand-in is worth what it refuses: the real plugins' tokens, given as static ones, are taken by the real
//! control plane as the right identity, and what is forged, aged or another's is not. Nothing here needs kubestep to
//! know a cloud.

mod aws;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::Run;
use crate::harness::cluster::Cluster;
use crate::harness::whoami::{User, user, whoami};

/// What a plugin prints, run with this environment and no other, in a HOME of its own.
#[track_caller]
fn plugin(program: &Path, arguments: &[&str], environment: &[(&str, String)]) -> Result<Value, String> {
    let home = tempfile::tempdir().expect("a folder");
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", home.path())
        .envs(environment.iter().map(|(name, value)| (*name, value)))
        .output()
        .expect("it runs");
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).expect("JSON"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The token in a plugin's answer.
fn token(answer: &Value) -> String {
    answer["status"]["token"].as_str().expect("a token").to_owned()
}

/// Whom a step with this static token is, as the real control plane says.
#[track_caller]
fn seen(cluster: &Cluster, token: &str) -> User {
    user(Run::new(cluster.step(&json!({"token": token}).to_string(), whoami("1.36"))))
}
