//! What is promised of logs, and of waiting for them and for endings.

use std::time::Duration;

use super::super::{Hands, envelope, frame, id};
use super::{begin, done, is_over, submit};
use crate::outcome::Reason;
use crate::queue::{Envelope, LogPosition, Queue, QueueError, Retry};

pub(super) async fn logs(queue: &dyn Queue, hands: &Hands) {
    let again = Retry { on_lost: true, on_failure: 0 };
    submit(queue, Envelope { retry: again, ..envelope("a") }).await;
    let read = async |from| queue.log(&id("a"), from, 1).await.expect("read");
    let empty = read(LogPosition::default()).await;
    assert_eq!((empty.frames.len(), empty.end), (0, false));
    let first = begin(queue, "one").await;
    let length = queue.append(&first, 0, vec![frame("a"), frame("b")]).await.expect("written");
    let repeated = queue.append(&first, 0, vec![frame("a"), frame("b")]).await;
    assert!(matches!(repeated, Err(QueueError::LogAt { expected }) if expected == length));
    let beyond = queue.append(&first, length + 1, vec![frame("c")]).await;
    assert!(matches!(beyond, Err(QueueError::LogAt { expected }) if expected == length));
    let mut seen = read(empty.next).await;
    assert_eq!((&*seen.frames, seen.end), (&[frame("a"), frame("b")][..], false));
    assert_eq!(seen.next, LogPosition { epoch: first.epoch, offset: length });
    hands.pass(60);
    assert!(is_over(&queue.append(&first, length, vec![frame("c")]).await), "before anybody noticed");
    let second = begin(queue, "two").await;
    assert!(is_over(&queue.append(&first, length, vec![frame("c")]).await));
    let length = queue.append(&second, 0, vec![frame("d")]).await.expect("written");
    queue.append(&second, length, vec![frame("e")]).await.expect("written");
    queue.finish(&second, done()).await.expect("ended");
    assert!(is_over(&queue.append(&second, 0, vec![frame("f")]).await));
    let mut rest = Vec::new();
    while !seen.end {
        seen = read(seen.next).await;
        rest.extend(seen.frames.iter().map(|frame| frame.bytes.clone()));
    }
    assert_eq!(rest, [b"d", b"e"], "each frame once, in order, from where it was left");
}

pub(super) async fn waits(queue: &dyn Queue, hands: &Hands) {
    const LONG: Duration = Duration::from_secs(20);
    submit(queue, envelope("other")).await;
    submit(queue, envelope("a")).await;
    let (a, start) = (id("a"), LogPosition::default());
    let nothing = queue.tail(&a, start, 1, Duration::ZERO).await.expect("looked");
    assert_eq!((nothing.frames.len(), nothing.end), (0, false));
    assert!(queue.ended(&a, Duration::ZERO).await.expect("looked").is_none());
    let (other, lease) = (begin(queue, "w").await, begin(queue, "w").await);
    let write = async {
        queue.append(&other, 0, vec![frame("of another step")]).await.expect("written");
        queue.append(&lease, 0, vec![frame("x")]).await.expect("written");
    };
    let (chunk, ()) = tokio::join!(queue.tail(&a, start, 1, LONG), write);
    let chunk = chunk.expect("read");
    assert_eq!((&*chunk.frames, chunk.end), (&[frame("x")][..], false));
    assert_eq!(chunk.next.offset, chunk.frames[0].size() as u64);
    let (rest, told, finished) = tokio::join!(
        queue.tail(&a, chunk.next, 1, LONG),
        queue.ended(&a, LONG),
        queue.finish(&lease, done())
    );
    finished.expect("ended");
    assert!(rest.expect("the end").end);
    assert_eq!(told.expect("told").and_then(|entry| entry.ending), Some(done()));
    // Nobody but the waiting ones looks: they find out by themselves that its worker is lost.
    hands.pass(60);
    let lost = queue.ended(&id("other"), LONG).await.expect("told").and_then(|entry| entry.ending);
    assert_eq!(lost.map(|ending| ending.reason), Some(Reason::Lost));
    let written = queue.tail(&id("other"), start, 1, LONG).await.expect("read");
    assert!(queue.tail(&id("other"), written.next, 1, LONG).await.expect("read").end);
    assert!(matches!(queue.tail(&id("b"), start, 1, LONG).await, Err(QueueError::Unknown(_))));
    assert!(matches!(queue.ended(&id("b"), LONG).await, Err(QueueError::Unknown(_))));
}
