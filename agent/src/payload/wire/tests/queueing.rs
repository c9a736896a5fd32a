//! What a step says to its queue.

use super::{Place, with};
use crate::payload::{ConcurrencyKey, Queueing};

#[test]
fn a_step_says_when_beside_which_and_whether_again() {
    let place = Place::new();
    assert_eq!(place.step(with("")).queueing, Queueing::default());
    assert!(Queueing::default().unheard().is_empty());
    let step = place.step(with(
        "notBefore: 2026-11-24T10:00:00Z\nnotAfter: \"2026-11-24T12:00:00+01:00\"\nconcurrencyKey: shop\n\
         retry: {onLost: true, onFailure: 3}\n",
    ));
    let time = |text: &str| Some(text.parse().unwrap());
    let expected = Queueing {
        queued: false,
        not_before: time("2026-11-24T10:00:00Z"),
        not_after: time("2026-11-24T11:00:00Z"),
        concurrency_key: ConcurrencyKey::Named("shop".into()),
        retry_on_lost: true,
        retry_on_failure: 3,
    };
    assert_eq!(step.queueing, expected);
    assert_eq!(expected.unheard(), ["notBefore", "notAfter", "concurrencyKey", "retry"]);
    assert!(Queueing { queued: true, ..expected }.unheard().is_empty());
    let free = place.step(with("concurrencyKey: none")).queueing;
    assert_eq!(free.concurrency_key, ConcurrencyKey::Free);
}

#[test]
fn what_a_queue_could_not_do_is_refused() {
    let place = Place::new();
    let time = "expected a time such as 2026-11-24T10:00:00Z";
    let later = "notBefore: 2026-11-24T10:00:00Z\nnotAfter: 2026-11-24T10:00:00Z";
    let long = format!("concurrencyKey: {}", "k".repeat(129));
    for (more, told) in [
        ("notBefore: tomorrow", format!("notBefore: {time}")),
        ("notAfter: 2026-11-24", format!("notAfter: {time}")),
        ("notAfter: 2026-11-24T10:00:00", format!("notAfter: {time}")),
        (later, "notAfter: must be later than notBefore".into()),
        ("concurrencyKey: ''", "concurrencyKey: must not be empty".into()),
        (&long, "concurrencyKey: expected at most 128 bytes without control characters".into()),
        ("retry: {onFailure: 4}", "retry.onFailure: expected a number from 0 to 3, found \"4\"".into()),
        ("retry: {onFailure: -1}", "retry.onFailure: expected a number from 0 to 3, found \"-1\"".into()),
        ("retry: {onLost: yes}", "retry.onLost: expected true or false, without quotes".into()),
    ] {
        let found = place.problems(with(more));
        assert!(found.ends_with(&told) && found.lines().count() == 1, "{more}: {found}");
    }
}
