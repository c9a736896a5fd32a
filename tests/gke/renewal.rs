//! A token of Google is renewed while the script runs, whoever gives it.

use serde_json::json;

use super::Place;
use crate::eks::renewal::WAITS;

#[test]
fn a_keys_and_an_impersonated_accounts_tokens_are_renewed_before_they_end_and_masked() {
    let Some(place) = Place::new() else { return };
    let (short, machine) =
        (place.google.account_with("short", json!({"lifetime": 14})), place.google.account("machine"));
    let other = place.google.account_with("other", json!({"lifetime": 14, "impersonators": [machine.email]}));
    let host = place.google.machine(&machine);
    for account in [
        json!({"serviceAccountKey": short.key}),
        json!({"vmServiceAccount": {}, "impersonateServiceAccount": other.email}),
    ] {
        let Some(run) = place.run(place.step(&account, WAITS)) else { return };
        let done = run.env("GCE_METADATA_HOST", &host).any_output().check();
        assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("renewed\n600\n********{", ""));
    }
}
