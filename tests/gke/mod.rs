//! `target.auth.gke` against the real control plane, which asks the clouds' stand-in who a token is: each account, by the
//! real gke-gcloud-auth-plugin, brokered and exec.

mod accounts;
mod clusters;
mod faults;
mod renewal;

use serde_json::{Value, json};

use crate::aks::{authority, without_server};
use crate::harness::Run;
use crate::harness::clouds::{Clouds, clouds};
use crate::harness::cluster::{Cluster, cluster};
use crate::harness::google::Google;
use crate::harness::tools::tool;

const LOCATION: &str = "europe-west4-a";

/// The project of one test, and what it is sent to.
struct Place {
    cluster: &'static Cluster,
    clouds: &'static Clouds,
    google: Google,
}

impl Place {
    fn new() -> Option<Self> {
        let (cluster, clouds) = (cluster()?, clouds()?);
        Some(Self { cluster, clouds, google: clouds.google() })
    }

    /// The control plane's host and port.
    fn host(&self) -> &str {
        self.cluster.fact("server").trim_start_matches("https://")
    }

    /// What the container API says of the cluster `shop`, which the control plane stands for; with more said of it.
    fn describe(&self, location: &str, more: &Value) {
        let mut about = json!({"endpoint": self.host(), "authority": authority(self.cluster)});
        about.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
        self.google.cluster(location, "shop", about);
    }

    fn step(&self, account: &Value, script: &str) -> String {
        self.cluster.step(&json!({"gke": account}).to_string(), script)
    }

    /// A step that has no server, but the names by which the container API knows the cluster.
    fn lookup(&self, account: &Value, script: &str) -> String {
        let mut account = account.clone();
        account["clusterName"] = json!("shop");
        account["project"] = json!(self.google.project);
        if account.get("location").is_none() {
            account["location"] = json!(LOCATION);
        }
        without_server(&self.step(&account, script))
    }

    /// A run of it, with the way to the clouds and the plugin; `None` skips.
    fn run(&self, step: impl Into<Vec<u8>>) -> Option<Run> {
        let run = Run::new(step).tool("gke-gcloud-auth-plugin", &tool("gke-gcloud-auth-plugin", "")?);
        let environment = self.clouds.environment().into_iter();
        Some(environment.fold(run, |run, (name, value)| run.env(name, value)))
    }
}
