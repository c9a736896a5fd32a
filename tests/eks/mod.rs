//! `target.auth.eks` against the real control plane, which asks the clouds' stand-in who a token is: each account, each
//! plugin, brokered and exec.

mod accounts;
pub(crate) mod faults;
mod plugins;
pub(crate) mod renewal;
pub(crate) mod secrets;
mod words;

use serde_json::{Value, json};

use crate::harness::Run;
use crate::harness::aws::{Aws, Keys, REGION, Trust};
use crate::harness::clouds::{Clouds, clouds};
use crate::harness::cluster::{Cluster, cluster};
use crate::harness::tools::tool;

/// The account of one test, and what it is sent to.
pub(crate) struct Place {
    pub(crate) cluster: &'static Cluster,
    clouds: &'static Clouds,
    pub(crate) aws: Aws,
}

impl Place {
    /// With a cluster `shop`, which the control plane stands for.
    pub(crate) fn new() -> Option<Self> {
        let (cluster, clouds) = (cluster()?, clouds()?);
        let aws = clouds.aws();
        let authority =
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, cluster.read("ca"));
        aws.cluster("shop", cluster.fact("server"), &authority);
        Some(Self { cluster, clouds, aws })
    }

    /// A step with these `credentials`, and what else its account has.
    pub(crate) fn step(&self, credentials: &Value, more: &Value, script: &str) -> String {
        let mut eks = json!({"clusterName": "shop", "region": REGION, "credentials": credentials});
        let more = more.as_object().expect("fields").clone();
        eks.as_object_mut().expect("fields").extend(more);
        self.cluster.step(&json!({"eks": eks}).to_string(), script)
    }

    /// A run of it, with the way to the clouds and no plugin yet.
    pub(crate) fn run(&self, step: impl Into<Vec<u8>>) -> Run {
        let run = Run::new(step);
        self.clouds.environment().into_iter().fold(run, |run, (name, value)| run.env(name, value))
    }
}

/// `credentials` by these keys.
pub(crate) fn access_key(keys: &Keys) -> Value {
    let mut key = json!({"accessKeyId": keys.access_key_id, "secretAccessKey": keys.secret_access_key});
    if let Some(token) = &keys.session_token {
        key["sessionToken"] = json!(token);
    }
    json!({"accessKey": key})
}

/// The newest plugin of this name on the run's PATH; `None` skips.
pub(crate) fn with(run: Run, plugin: &str) -> Option<Run> {
    let (name, version) = plugin.split_once('@').unwrap_or((plugin, ""));
    Some(run.tool(name, &tool(name, version)?))
}

/// A role that this user may take.
fn role_for(aws: &Aws, name: &str, keys: &Keys) -> String {
    aws.role(name, &Trust { principals: &[&keys.arn], ..Trust::default() })
}
