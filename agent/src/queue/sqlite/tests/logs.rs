//! Where a log is when its step has ended: a short one in the database, a long one in its file.

use std::fs;
use std::time::Duration;

use super::super::store::Store;
use super::{hand_out, open};
use crate::outcome::Reason;
use crate::queue::tests::{Hands, ending, envelope, frame, id};
use crate::queue::{LogFrame, LogPosition};

/// All of it, read in as small pieces as there are.
fn read(store: &Store) -> Vec<LogFrame> {
    let (mut at, mut found) = (LogPosition::default(), Vec::new());
    loop {
        let chunk = store.log(&id("a"), at, 1).expect("read");
        found.extend(chunk.frames);
        at = chunk.next;
        if chunk.end {
            return found;
        }
    }
}

#[test]
fn a_short_log_moves_into_the_database_with_its_ending_and_a_long_one_stays() {
    for (count, stays) in [(2, false), (2000, true)] {
        let (folder, hands) = (tempfile::tempdir().expect("a folder"), Hands::new());
        let mut store = open(folder.path(), &hands);
        let lease = hand_out(&mut store, &envelope("a"));
        let frames: Vec<_> = (0..count).map(|number| frame(&format!("line {number}"))).collect();
        let (first, rest) = frames.split_at(1);
        let at = store.append(&lease, 0, first).expect("written");
        let begun = store.log(&id("a"), LogPosition::default(), 1).expect("read");
        assert_eq!((begun.frames.as_slice(), begun.end), (first, false));
        store.append(&lease, at, rest).expect("written");
        store.finish(&lease, &ending(Reason::Completed, 0)).expect("ended");

        let file = folder.path().join("queue/logs/1-1");
        assert_eq!(file.exists(), stays);
        assert_eq!(read(&store), frames);
        // Whoever followed it goes on where he was.
        let mut at = begun.next;
        let mut followed = begun.frames;
        while followed.len() < frames.len() {
            let chunk = store.log(&id("a"), at, 1).expect("read");
            followed.extend(chunk.frames);
            at = chunk.next;
        }
        assert_eq!(followed, frames);
        if !stays {
            // As after a loss of power before the file was gone.
            fs::write(&file, "torn").expect("written");
            assert_eq!(read(&store), frames);
        }
        assert_eq!(store.prune(Duration::ZERO).expect("pruned"), 1);
        assert!(!file.exists());
        let kept: i64 =
            store.database.query_row("SELECT count(*) FROM log", [], |row| row.get(0)).expect("asked");
        assert_eq!(kept, 0);
    }
}

#[test]
fn the_logs_of_all_claims_of_a_step_are_read_in_their_order() {
    let (folder, hands) = (tempfile::tempdir().expect("a folder"), Hands::new());
    let mut store = open(folder.path(), &hands);
    let mut envelope = envelope("a");
    envelope.retry.on_failure = 1;
    for (word, reason) in [("failed", Reason::ScriptFailed), ("went well", Reason::Completed)] {
        let lease = match word {
            "failed" => hand_out(&mut store, &envelope),
            _ => store.claim(&crate::queue::tests::claimer("w")).expect("asked").expect("again").lease,
        };
        store.append(&lease, 0, &[frame(word)]).expect("written");
        store.finish(&lease, &ending(reason, 0)).expect("ended");
    }
    assert_eq!(read(&store), [frame("failed"), frame("went well")]);
}
