//! A token of Entra is renewed while the script runs; where nobody can, that is told.

use serde_json::json;

use super::{Place, with};
use crate::eks::renewal::WAITS;
use crate::harness::azure::FEDERATION;

#[test]
fn a_token_is_renewed_before_it_ends_and_the_new_one_is_masked() {
    let Some(place) = Place::new() else { return };
    let app = place.azure.app_with(json!({"lifetime": 14}));
    let step = place.step(&place.account(&app, &json!({"clientSecret": app.secret})), WAITS);
    let Some(run) = with(place.run(step)) else { return };
    let done = run.any_output().check();
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("renewed\n600\n********{", ""));
}

#[test]
fn a_federated_token_that_has_ended_meanwhile_is_told_and_the_login_lasts_as_long_as_it_does() {
    let Some(place) = Place::new() else { return };
    let app = place.azure.app_with(json!({"lifetime": 20, "subjects": ["repo:shop"]}));
    let token = place.clouds.workload_token("repo:shop", FEDERATION, 6);
    let script = "sleep 14; kubectl get --raw /version | head -c 1";
    let step = place.step(&place.account(&app, &json!({"federatedToken": token})), script);
    let Some(run) = with(place.run(step)) else { return };
    let done = run.loud().any_output().check();
    assert_eq!(done.stdout, "{");
    for words in ["cannot be renewed", "was not renewed", "is not within its time", "AADSTS700024"] {
        assert!(done.stderr.contains(words), "{words}: {}", done.stderr);
    }
    let warnings = done.result["warnings"].as_array().expect("a list");
    let codes: Vec<&str> = warnings.iter().filter_map(|one| one["code"].as_str()).collect();
    assert!(codes.contains(&"CredentialNotRenewed") && codes.contains(&"RenewalFailed"), "{codes:?}");
}
