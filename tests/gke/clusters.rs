//! Where a cluster is: what the container API says of it, asked by the agent itself. None of this needs gcloud.

use serde_json::json;

use super::Place;
use crate::harness::whoami::{user, whoami};

#[test]
fn a_zones_and_a_regions_cluster_are_found_brokered_and_exec() {
    let Some(place) = Place::new() else { return };
    let account = place.google.account("deploy");
    for location in ["europe-west4-a", "us-central1"] {
        place.describe(location, &json!({}));
        for mode in ["broker", "exec"] {
            let fields = json!({"serviceAccountKey": account.key, "location": location});
            let step = place.lookup(&fields, whoami("1.36")) + &format!("credentials: {mode}\n");
            let Some(run) = place.run(step) else { return };
            let done = run.any_output().check();
            assert!(done.stdout.contains(&account.email), "{location}, {mode}: {}", done.stdout);
            assert_eq!(done.result["target"]["server"], place.cluster.fact("server"));
        }
    }
}

#[test]
fn each_account_finds_it_with_its_own_token() {
    let Some(place) = Place::new() else { return };
    let machine = place.google.account("machine");
    let other = place.google.account_with("other", json!({"impersonators": [machine.email]}));
    // Only the account that the step is may look.
    place.describe(super::LOCATION, &json!({"denied": [machine.email]}));
    let account = json!({"vmServiceAccount": {}, "impersonateServiceAccount": other.email});
    let Some(run) = place.run(place.lookup(&account, whoami("1.36"))) else { return };
    assert_eq!(user(run.env("GCE_METADATA_HOST", place.google.machine(&machine))).name, other.email);
}

#[test]
fn the_endpoint_is_the_one_that_is_asked_for() {
    let Some(place) = Place::new() else { return };
    let account = place.google.account("deploy");
    let key = |endpoint: &str| json!({"serviceAccountKey": account.key, "endpoint": endpoint});
    place.describe(super::LOCATION, &json!({"endpoint": "127.0.0.1:9", "private": place.host()}));
    let Some(run) = place.run(place.lookup(&key("private"), whoami("1.36"))) else { return };
    assert_eq!(user(run).name, account.email);
    // The name's certificate is one that everybody believes, which the agent's SSL_CERT_FILE says here.
    place.describe(super::LOCATION, &json!({"endpoint": "127.0.0.1:9", "dns": place.host()}));
    let step = place.lookup(&key("dns"), whoami("1.36"));
    let Some(run) = place.run(step) else { return };
    let roots = tempfile::NamedTempFile::new().expect("a file");
    let both = [place.cluster.read("ca"), std::fs::read_to_string(place.clouds.authority()).expect("text")];
    std::fs::write(roots.path(), both.concat()).expect("written");
    assert_eq!(user(run.env("SSL_CERT_FILE", roots.path().display().to_string())).name, account.email);
}

#[test]
fn the_operator_says_where_google_is() {
    let Some(place) = Place::new() else { return };
    let machine = place.google.account("machine");
    let other = place.google.account_with("other", json!({"impersonators": [machine.email]}));
    place.describe(super::LOCATION, &json!({}));
    let account = json!({"vmServiceAccount": {}, "impersonateServiceAccount": other.email});
    let Some(run) = place.run(place.lookup(&account, whoami("1.36"))) else { return };
    let run = run
        .env("HTTPS_PROXY", "")
        .env("GCE_METADATA_HOST", place.google.machine(&machine))
        .env("CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER", place.clouds.https("container"))
        .env(
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS",
            format!("{}/", place.clouds.https("iamcredentials")),
        );
    assert_eq!(user(run).name, other.email);
}
