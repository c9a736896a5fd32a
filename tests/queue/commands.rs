//! What is said of steps, and done with them.

use kubestep::outcome::Reason;
use kubestep::queue::LogStream;
use serde_json::json;

use super::{Place, ending, frame};
use crate::harness::step;

fn ids(told: &serde_json::Value) -> Vec<String> {
    let steps = told["steps"].as_array().expect("a list").iter();
    steps.map(|step| step["id"].as_str().unwrap_or("damaged").to_owned()).collect()
}

#[test]
fn a_list_comes_in_pages_past_a_damaged_record_and_by_pool_and_state() {
    let place = Place::new();
    let free = step("true") + "concurrencyKey: none\n";
    for id in ["a", "b", "c", "d", "e"] {
        place.submitted(&free, &["--id", id, "--pool", if id == "d" { "p" } else { "default" }]);
    }
    let list = |flags: &[&str]| place.kubestep(&[&["queue", "list", "-o", "json"], flags].concat()).json();
    let database = rusqlite::Connection::open(place.folder().join("state/queue/queue.db")).expect("opens");
    database.execute_batch("UPDATE step SET id = 'no id' WHERE id = 'b'").expect("damaged");
    let first = list(&["--limit", "2"]);
    assert_eq!((ids(&first), &first["next"]), (vec!["a".to_owned(), "damaged".into()], &json!(2)));
    assert_eq!(first["steps"][1], json!({"number": 2, "damaged": true}));
    let second = list(&["--limit", "2", "--after", "2"]);
    assert_eq!((ids(&second), &second["next"]), (vec!["c".to_owned(), "d".into()], &json!(4)));
    let last = list(&["--limit", "2", "--after", "4"]);
    assert_eq!((ids(&last), &last["next"]), (vec!["e".to_owned()], &json!(null)));
    assert_eq!(ids(&list(&["--pool", "p"])), ["d"]);
    place.begin();
    assert_eq!(ids(&list(&["--state", "running"])), ["a"]);
    let table = place.kubestep(&["queue", "list", "--limit", "2"]);
    assert_eq!(table.stderr, "kubestep: there are more: --after 2\n");
    let rows: Vec<Vec<&str>> =
        table.stdout.lines().map(|line| line.split_whitespace().take(5).collect()).collect();
    assert_eq!(
        rows,
        [
            ["NUMBER", "ID", "STATE", "POOL", "STEP"],
            ["1", "a", "running", "default", "test"],
            ["2", "-", "damaged", "-", "-"]
        ]
    );
}

#[test]
fn a_steps_life_is_shown_cancelled_requeued_and_pruned() {
    let place = Place::new();
    place.submitted(&step("true"), &["--id", "a"]);
    let show = || place.kubestep(&["queue", "show", "a", "-o", "json"]).json();
    let entry = show();
    let mut fields: Vec<&String> = entry.as_object().expect("an object").keys().collect();
    fields.sort();
    let documented = [
        "cancel",
        "concurrencyKey",
        "ended",
        "endedAt",
        "ending",
        "epoch",
        "failures",
        "id",
        "name",
        "needs",
        "pool",
        "startedAt",
        "state",
        "submittedAt",
        "worker",
    ];
    assert_eq!(fields, documented.iter().filter(|name| **name != "ended").collect::<Vec<_>>());
    assert_eq!(
        (&entry["state"], &entry["worker"], &entry["ending"]),
        (&json!("queued"), &json!(null), &json!(null))
    );
    let lease = place.begin();
    let refused = place.kubestep(&["queue", "requeue", "a"]);
    assert_eq!(refused.code, Some(65));
    assert_eq!(
        refused.stderr,
        "kubestep: error: step a is running\nkubestep: hint: `kubestep queue cancel` ends it\n"
    );
    let asked = place.kubestep(&["queue", "cancel", "a"]);
    assert_eq!(
        (asked.code, asked.stdout.as_str()),
        (Some(0), "a is running: its worker has been asked to end it\n")
    );
    assert_eq!((&show()["cancel"], &show()["worker"]), (&json!(true), &json!("worker-of-the-test")));
    place.finish(&lease, ending(Reason::Cancelled, 143));
    assert_eq!(show()["ending"]["reason"], "Cancelled");
    assert_eq!(show()["ending"]["result"], json!({"kind": "StepResult", "exitCode": 143}));
    let requeued = place.kubestep(&["queue", "requeue", "a"]);
    assert_eq!((requeued.code, requeued.stdout.as_str()), (Some(0), "a is queued\n"));
    let cancelled = place.kubestep(&["queue", "cancel", "a", "-o", "json"]).json();
    assert_eq!((&cancelled["state"], &cancelled["ending"]["exitCode"]), (&json!("ended"), &json!(143)));
    let text = place.kubestep(&["queue", "show", "a"]).stdout;
    for row in [
        "state      ended\n",
        "ending     Cancelled (143): cancelled before it began\n",
        "pool       default\n",
    ] {
        assert!(text.contains(row), "{text}");
    }
    assert_eq!(place.kubestep(&["queue", "prune"]).stdout, "removed 0 steps\n", "it has just ended");
    let pruned = place.kubestep(&["queue", "prune", "--older-than", "0s", "-o", "json"]).json();
    assert_eq!(pruned, json!({"removed": 1}));
    assert_eq!(place.kubestep(&["queue", "show", "a"]).code, Some(64));
}

#[test]
fn a_log_goes_to_both_streams_and_on_from_any_position() {
    let place = Place::new();
    place.submitted(&step("true"), &["--id", "a"]);
    assert_eq!(place.kubestep(&["queue", "logs", "a"]).stdout, "");
    let lease = place.begin();
    let frames = vec![
        frame(LogStream::Agent, "kubestep: warning\n"),
        frame(LogStream::Stdout, "one\n"),
        frame(LogStream::Stderr, "two\n"),
        frame(LogStream::Stdout, "three"),
    ];
    place.append(&lease, 0, frames);
    let logs = |flags: &[&str]| place.kubestep(&[&["queue", "logs", "a"], flags].concat());
    let text = logs(&[]);
    assert_eq!(
        (text.code, text.stdout.as_str(), text.stderr.as_str()),
        (Some(0), "one\nthree", "kubestep: warning\ntwo\n")
    );
    let lines = logs(&["-o", "json"]).stdout;
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(
        lines[1],
        json!({"stream": "stdout", "text": "one\n", "time": "2025-11-24T16:00:00.123Z", "next": lines[1]["next"]})
    );
    for (index, line) in lines.iter().enumerate() {
        let rest = logs(&["-o", "json", "--from", line["next"].as_str().expect("a position")]).stdout;
        assert_eq!(rest.lines().count(), lines.len() - 1 - index, "each once, none left out");
    }
    place.finish(&lease, ending(Reason::Completed, 0));
    assert_eq!(logs(&["-f"]), text, "it ends with the step");
}
