//! The clouds' stand-in is worth what it refuses: the real plugins' tokens, given as static ones, are taken by the real
//! control plane as the right identity, and what is forged, aged or another's is not. Nothing here needs kubestep to
//! know a cloud.

mod aws;
mod azure;
mod google;

use std::io::{Read, Write};
use std::net::TcpStream;
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

/// The control plane refuses a step's kubectl with this token.
#[track_caller]
fn is_nobody(cluster: &Cluster, token: &str) {
    let step = cluster.step(&json!({"token": token}).to_string(), "kubectl get namespaces");
    let done = Run::new(step).any_output().code(1).check();
    assert!(done.stderr.contains("You must be logged in to the server"), "{}", done.stderr);
}

/// The header of a token.
fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// An API's answer to a request in the clear, status and body: the agent does not ask it yet, and no real tool here.
fn ask(url: &str, method: &str, path: &str, header: &str) -> (u16, Vec<u8>) {
    let place = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(place).expect("it listens");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {place}\r\n{header}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let status = String::from_utf8_lossy(&answer[9..12]).parse().expect("a status");
    (status, answer.split_off(end + 4))
}

/// As [`ask`], for an answer that is JSON.
fn ask_json(url: &str, method: &str, path: &str, header: &str) -> (u16, Value) {
    let (status, body) = ask(url, method, path, header);
    (status, serde_json::from_slice(&body).expect("JSON"))
}
