//! What an engine tells of how much there is to do: the states that are counted, and since when the oldest waits.

use std::time::Duration;

use super::{claim, done, submit};
use crate::queue::tests::{Hands, envelope, id, keyed};
use crate::queue::{Depth, Envelope, Queue};

pub(super) async fn check(queue: &dyn Queue, hands: &Hands) {
    let counts = async || {
        let depth = queue.depth("p").await.expect("counted");
        assert_eq!(depth.steps.iter().map(|(state, _)| *state).collect::<Vec<_>>(), Depth::STATES);
        (depth.steps.into_iter().map(|(_, steps)| steps).collect::<Vec<_>>(), depth.oldest)
    };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    queue.probe().await.expect("writable");
    assert_eq!(counts().await, (vec![0; 5], None));
    let later = hands.read().wall + Duration::from_secs(100);
    submit(queue, Envelope { not_before: Some(later), ..envelope("later") }).await;
    submit(queue, Envelope { pool: "other".into(), ..envelope("elsewhere") }).await;
    submit(queue, keyed("first", "k")).await;
    submit(queue, keyed("second", "k")).await;
    hands.pass(30);
    submit(queue, envelope("third")).await;
    assert_eq!(counts().await, (vec![1, 1, 2, 0, 0], seconds(30)));
    let first = claim(queue, "w").await;
    assert_eq!(counts().await, (vec![1, 1, 1, 1, 0], seconds(0)));
    queue.started(&first).await.expect("started");
    assert_eq!(counts().await, (vec![1, 1, 1, 0, 1], seconds(0)));
    queue.finish(&first, done()).await.expect("ended");
    assert_eq!(counts().await, (vec![1, 0, 2, 0, 0], seconds(30)), "the second one is free");
    hands.pass(80);
    assert_eq!(counts().await, (vec![0, 0, 3, 0, 0], seconds(110)), "its time has come");
    for name in ["second", "third"] {
        queue.cancel(&id(name)).await.expect("cancelled");
    }
    assert_eq!(counts().await, (vec![0, 0, 1, 0, 0], seconds(10)), "since its time has come");
    queue.delete(&id("later")).await.expect("gone");
    assert_eq!(counts().await, (vec![0; 5], None));
    hands.pass(1000);
    queue.requeue(&id("first")).await.expect("again");
    hands.pass(5);
    assert_eq!(counts().await, (vec![0, 0, 1, 0, 0], seconds(5)), "since it was requeued");
}
