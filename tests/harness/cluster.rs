//! The real control plane, started once for all tests by `scripts/cluster run`, which ends it when this process
//! ends, in whatever way.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use super::clouds;
use super::skipped;
use super::tools::{kubectl, repository};

/// A control plane, and every key to it.
pub(crate) struct Cluster {
    facts: serde_json::Value,
    /// Its standard input: the cluster lives as long as this is open.
    _keeper: Child,
}

/// The control plane; where there can be none, the test is skipped.
pub(crate) fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Result<Cluster, String>> = OnceLock::new();
    match CLUSTER.get_or_init(start) {
        Ok(cluster) => Some(cluster),
        Err(why) => {
            skipped(why);
            None
        }
    }
}

fn start() -> Result<Cluster, String> {
    if kubectl().is_none() {
        return Err("no control plane without the real parts: run scripts/tools".into());
    }
    let mut command = Command::new(repository().join("scripts/cluster"));
    command.arg("run");
    // Without the clouds' stand-in, only the tests of clouds are skipped.
    if let Ok(clouds) = clouds::started() {
        command.arg("--token-webhook").arg(clouds.webhook());
    }
    let mut keeper = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("scripts/cluster cannot be started: {error}"))?;
    let mut ready = String::new();
    let stdout = keeper.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut ready).map_err(|error| error.to_string())?;
    let Some(folder) = ready.trim_end().strip_prefix("ready ") else {
        let mut words = String::new();
        let mut stderr = keeper.stderr.take().expect("piped");
        drop(stderr.read_to_string(&mut words));
        return Err(format!("no control plane: {}", words.replace('\n', "; ")));
    };
    let facts = std::fs::read_to_string(PathBuf::from(folder).join("cluster.json")).expect("it is ready");
    Ok(Cluster { facts: serde_json::from_str(&facts).expect("JSON"), _keeper: keeper })
}

impl Cluster {
    /// A fact of `cluster.json`, such as `server`, `ca` or `adminToken`.
    pub(crate) fn fact(&self, name: &str) -> &str {
        self.facts[name].as_str().unwrap_or_else(|| panic!("cluster.json has {name}"))
    }

    /// What a file that `cluster.json` names holds.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.fact(name)).expect("the cluster's own file")
    }

    /// What the administrator's kubectl prints.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        let output = Command::new(self.fact("kubectl"))
            .args(arguments)
            .env("KUBECONFIG", self.fact("kubeconfig"))
            .output()
            .expect("kubectl runs");
        assert!(output.status.success(), "kubectl {arguments:?} failed");
        String::from_utf8(output.stdout).expect("text")
    }

    /// A new service account's token; the account has no rights.
    pub(crate) fn service_account(&self, name: &str) -> String {
        self.kubectl(&["create", "serviceaccount", name]);
        self.kubectl(&["create", "token", name, "--duration", "1h"]).trim().to_owned()
    }

    /// A payload for this cluster: `auth` and `script` as YAML in flow style, the CA from its file.
    pub(crate) fn step(&self, auth: &str, script: &str) -> String {
        let (server, ca) = (self.fact("server"), self.fact("ca"));
        let body = serde_json::json!(script);
        format!(
            "apiVersion: kubestep/v1\n\
             kind: Step\n\
             metadata: {{name: test}}\n\
             target:\n  server: {server}\n  certificateAuthority: {{fromFile: {ca}}}\n  auth: {auth}\n\
             script: {{body: {body}}}\n"
        )
    }
}
