//! `target.auth.aks` against the real control plane, which asks the clouds' stand-in who a token is: each account, by the
//! real kubelogin where the account needs one, brokered and exec.

mod accounts;
mod clusters;
mod faults;
mod renewal;

use serde_json::{Value, json};

use crate::harness::Run;
use crate::harness::azure::{App, Azure};
use crate::harness::clouds::{Clouds, clouds};
use crate::harness::cluster::{Cluster, cluster};
use crate::harness::tools::tool;

/// The tenant of one test, and what it is sent to.
struct Place {
    cluster: &'static Cluster,
    clouds: &'static Clouds,
    azure: Azure,
}

impl Place {
    fn new() -> Option<Self> {
        let (cluster, clouds) = (cluster()?, clouds()?);
        Some(Self { cluster, clouds, azure: clouds.azure() })
    }

    /// What the management API says of the cluster `shop`, which the control plane stands for; with more said of it.
    fn describe(&self, more: &Value) {
        let mut about = json!({"server": self.cluster.fact("server"), "authority": authority(self.cluster)});
        about.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
        self.azure.cluster("shop", about);
    }

    /// The account of this application, with these fields besides its ids.
    fn account(&self, app: &App, more: &Value) -> Value {
        let mut account = json!({"tenantId": self.azure.tenant, "clientId": app.client});
        account.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
        account
    }

    fn step(&self, account: &Value, script: &str) -> String {
        self.cluster.step(&json!({"aks": account}).to_string(), script)
    }

    /// A step that has no server, but the names by which the management API knows the cluster.
    fn lookup(&self, account: &Value, script: &str) -> String {
        let mut account = account.clone();
        account["clusterName"] = json!("shop");
        account["resourceGroup"] = json!("group");
        account["subscriptionId"] = json!(self.azure.subscription);
        without_server(&self.step(&account, script))
    }

    /// A run of it, with the way to the clouds and no plugin yet.
    fn run(&self, step: impl Into<Vec<u8>>) -> Run {
        let run = Run::new(step);
        self.clouds.environment().into_iter().fold(run, |run, (name, value)| run.env(name, value))
    }
}

/// The control plane's authority, as clouds tell it.
pub(crate) fn authority(cluster: &Cluster) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, cluster.read("ca"))
}

pub(crate) fn without_server(step: &str) -> String {
    let is_place = |line: &&str| line.contains("server:") || line.contains("certificateAuthority:");
    step.lines().filter(|line| !is_place(line)).map(|line| format!("{line}\n")).collect()
}

/// The newest kubelogin on the run's PATH; `None` skips.
fn with(run: Run) -> Option<Run> {
    Some(run.tool("kubelogin", &tool("kubelogin", "")?))
}
