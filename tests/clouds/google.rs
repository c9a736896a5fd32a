//! GKE: tokens of the real gke-gcloud-auth-plugin, by every kind of application default credentials, and the container
//! API.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{ask, ask_json, bearer, is_nobody, plugin, seen, token};
use crate::harness::clouds::{Clouds, clouds};
use crate::harness::cluster::cluster;
use crate::harness::google::{Account, impersonation_url};
use crate::harness::tools::tool;
use crate::harness::whoami::expected;

/// The plugin, and a folder for its credentials.
struct Login {
    clouds: &'static Clouds,
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Login {
    fn new() -> Option<Self> {
        let (clouds, program) = (clouds()?, tool("gke-gcloud-auth-plugin", "")?);
        Some(Self { clouds, program, folder: tempfile::tempdir().expect("a folder") })
    }

    fn with(&self, more: &[(&'static str, String)]) -> Result<Value, String> {
        let mut environment = self.clouds.environment();
        environment.extend(more.iter().cloned());
        plugin(&self.program, &["--use_application_default_credentials"], &environment)
    }

    /// With this file of credentials.
    fn by(&self, credentials: &str) -> Result<Value, String> {
        let path = self.folder.path().join("adc.json");
        std::fs::write(&path, credentials).expect("written");
        self.with(&[("GOOGLE_APPLICATION_CREDENTIALS", path.to_string_lossy().into_owned())])
    }

    /// An `external_account` whose workload's token is in a file; with an account to impersonate, or without.
    fn external(&self, audience: &str, workload: &str, account: Option<&Account>) -> Result<Value, String> {
        let file = self.folder.path().join("workload");
        std::fs::write(&file, workload).expect("written");
        let mut document = json!({
            "type": "external_account", "audience": audience, "token_url": "https://sts.googleapis.com/v1/token",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "credential_source": {"file": file},
        });
        if let Some(account) = account {
            document["service_account_impersonation_url"] = json!(impersonation_url(account));
        }
        self.by(&document.to_string())
    }
}

/// Application default credentials that become `target` by the key of `source`.
fn impersonated(target: &Account, source: &Account) -> String {
    let source: Value = serde_json::from_str(&source.key).expect("JSON");
    json!({
        "type": "impersonated_service_account", "service_account_impersonation_url": impersonation_url(target),
        "source_credentials": source,
    })
    .to_string()
}

#[test]
fn the_plugin_s_token_is_the_account_of_its_credentials() {
    let (Some(cluster), Some(login)) = (cluster(), Login::new()) else { return };
    let google = login.clouds.google();
    let deployer = google.account("deployer");
    let (audience, principal) = google.pool("repo:shop");
    let target = google.account_with("target", json!({"impersonators": [deployer.email, principal]}));
    let workload = login.clouds.workload_token("repo:shop", &format!("https:{audience}"), 600);
    let cases = [
        (login.by(&deployer.key), &deployer.email),
        (login.by(&impersonated(&target, &deployer)), &target.email),
        (login.external(&audience, &workload, None), &principal),
        (login.external(&audience, &workload, Some(&target)), &target.email),
        (login.with(&[("GCE_METADATA_HOST", google.machine(&deployer))]), &deployer.email),
    ];
    for (answer, name) in cases {
        let answer = answer.unwrap_or_else(|words| panic!("{name}: {words}"));
        assert_eq!(seen(cluster, &token(&answer)), expected(name, &["google-users"]));
    }
}

#[test]
fn google_refuses_in_its_own_words() {
    let Some(login) = Login::new() else { return };
    let google = login.clouds.google();
    let (deployer, target) = (google.account("deployer"), google.account("target"));
    let (audience, _) = google.pool("repo:shop");
    let mut forged: Value = serde_json::from_str(&deployer.key).expect("JSON");
    let other: Value = serde_json::from_str(&target.key).expect("JSON");
    forged["private_key"] = other["private_key"].clone();
    let mut unknown = other.clone();
    unknown["client_email"] = json!("nobody@nowhere.iam.gserviceaccount.com");
    let workload =
        |subject: &str, audience: &str, lifetime| login.clouds.workload_token(subject, audience, lifetime);
    let right = format!("https:{audience}");
    let external = |workload: &str| login.external(&audience, workload, None);
    let cases = [
        (login.by(&forged.to_string()), "Invalid JWT Signature."),
        (login.by(&unknown.to_string()), "account not found"),
        (
            login.by(&impersonated(&target, &deployer)),
            "Permission 'iam.serviceAccounts.getAccessToken' denied",
        ),
        (external(&workload("repo:shop", &right, -10)), "is stale to sign-in"),
        (external(&workload("repo:shop", "https://else", 600)), "does not match the expected audience"),
        (external(&workload("repo:other", &right, 600)), "rejected by the attribute condition"),
        (external("no token"), "Unable to verify the ID Token signature"),
    ];
    for (answer, expected) in cases {
        let words = answer.expect_err("refused");
        assert!(words.contains(expected), "{words} is not {expected}");
    }
}

#[test]
fn a_token_that_nobody_gave_or_that_died_is_nobody_s() {
    let (Some(cluster), Some(login)) = (cluster(), Login::new()) else { return };
    let google = login.clouds.google();
    let (deployer, short) =
        (google.account("deployer"), google.account_with("short", json!({"lifetime": 2})));
    is_nobody(cluster, "ya29.nobody-gave-this-one");
    let brief = token(&login.by(&short.key).expect("a token"));
    let good = token(&login.by(&deployer.key).expect("a token"));
    google.refuse_before(&deployer.email, jiff::Timestamp::now().as_second() + 60);
    is_nobody(cluster, &good);
    std::thread::sleep(std::time::Duration::from_secs(2));
    is_nobody(cluster, &brief);
}

#[test]
fn the_container_api_tells_of_a_cluster_and_refuses_as_google_does() {
    let Some(login) = Login::new() else { return };
    let google = login.clouds.google();
    let deployer = google.account("deployer");
    let bearer = bearer(&token(&login.by(&deployer.key).expect("a token")));
    let url = login.clouds.http("container");
    let about = |more: Value| {
        let mut about = json!({"endpoint": "127.0.0.1:6443", "authority": "QUFB"});
        about.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        about
    };
    let path =
        |name: &str| format!("/v1/projects/{}/locations/europe-west1-b/clusters/{name}", google.project);
    let call = |name: &str| ask_json(url, "GET", &path(name), &bearer);
    google.cluster(
        "europe-west1-b",
        "shop",
        about(json!({"private": "10.0.0.2", "dns": "gke-shop.example"})),
    );
    google.cluster("europe-west1-b", "denied", about(json!({"denied": [deployer.email]})));
    google.cluster("europe-west1-b", "disabled", about(json!({"disabled": true})));
    let (status, shop) = call("shop");
    assert_eq!(
        (status, &shop["endpoint"], &shop["masterAuth"]["clusterCaCertificate"]),
        (200, &json!("127.0.0.1:6443"), &json!("QUFB"))
    );
    assert_eq!(shop["privateClusterConfig"]["privateEndpoint"], "10.0.0.2");
    assert_eq!(shop["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["endpoint"], "gke-shop.example");
    let reasons = [("denied", 403, "IAM_PERMISSION_DENIED"), ("disabled", 403, "SERVICE_DISABLED")];
    for (name, expected, reason) in reasons {
        let (status, refused) = call(name);
        assert_eq!((status, &refused["error"]["details"][0]["reason"]), (expected, &json!(reason)));
    }
    assert_eq!(call("nowhere").1["error"]["status"], "NOT_FOUND");
    assert_eq!(ask(url, "GET", &path("shop"), "X-Token: none").0, 401);
}
