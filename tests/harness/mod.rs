//! What every test stands on: [`Run`] drives the program, [`tools`] and [`cluster`] are the real parts.

pub(crate) mod api_stand_in;
pub(crate) mod aws;
pub(crate) mod azure;
pub(crate) mod basic_stand_in;
pub(crate) mod certificates;
pub(crate) mod clouds;
pub(crate) mod cluster;
pub(crate) mod google;
mod http;
pub(crate) mod proxies;
pub(crate) mod proxy_stand_in;
pub(crate) mod run;
pub(crate) mod stand_in;
pub(crate) mod tools;
pub(crate) mod whoami;

pub(crate) use run::{Run, Running};

/// A payload for a cluster that is not there; its script is the given one.
pub(crate) fn step(script: &str) -> String {
    let body = serde_json::json!(script);
    format!(
        "apiVersion: kubestep/v1\n\
         kind: Step\n\
         metadata: {{name: test}}\n\
         target:\n  server: https://127.0.0.1:1\n  auth: {{token: token-of-the-test}}\n  namespacePolicy: skip\n\
         script: {{body: {body}}}\n"
    )
}

/// Says in the run's output why a test could not run; `scripts/test` counts these, and fails in CI.
pub(crate) fn skipped(why: &str) {
    use std::io::Write;
    // Past the test runner's capture, which hides what a passing test prints.
    let line = format!("\nskipped: {why}\n");
    let _ = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/stderr")
        .and_then(|mut stderr| stderr.write_all(line.as_bytes()));
}
