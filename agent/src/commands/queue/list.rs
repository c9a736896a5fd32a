//! `kubestep queue list`: one page.

use serde_json::{Value, json};

use super::{Failure, block_on, open, print};
use crate::cli::{ListArguments, LogFormat, StepState};
use crate::commands::{printable, say, table};
use crate::queue::{Entry, Filter, Listed, State, checked_pool};
use crate::settings::Environment;

const HEAD: [&str; 8] = ["NUMBER", "ID", "STATE", "POOL", "STEP", "SUBMITTED", "WORKER", "ENDING"];

pub(super) fn run(arguments: &ListArguments, environment: &Environment) -> Result<u8, Failure> {
    arguments.pool.as_deref().map(checked_pool).transpose()?;
    let opened = open(&arguments.place, environment)?;
    let limit = arguments.limit as usize;
    let filter = Filter {
        pool: arguments.pool.clone(),
        state: arguments.state.map(state),
        after: arguments.after,
        // One more, by which it is seen whether there is another page.
        most: Some(limit + 1),
    };
    let mut listed = block_on(async { Ok(opened.queue.list(filter).await?) })?;
    let more = listed.len() > limit;
    listed.truncate(limit);
    let next = listed.last().filter(|_| more).map(|last| last.number);
    let code = match arguments.output {
        LogFormat::Text => print(&text(&listed)),
        LogFormat::Json => print(&document(&listed, next)),
    }?;
    if let (LogFormat::Text, Some(next)) = (arguments.output, next) {
        say(&format!("there are more: --after {next}"));
    }
    Ok(code)
}

fn state(typed: StepState) -> State {
    match typed {
        StepState::Waiting => State::Waiting,
        StepState::Held => State::Held,
        StepState::Queued => State::Queued,
        StepState::Claimed => State::Claimed,
        StepState::Running => State::Running,
        StepState::Ended => State::Ended,
    }
}

/// `steps` and `next`: the number after which the next page begins, or null.
fn document(listed: &[Listed], next: Option<u64>) -> String {
    let row = |listed: &Listed| {
        let told = listed.entry.as_ref().and_then(|entry| serde_json::to_value(entry).ok());
        match told {
            Some(Value::Object(mut fields)) => {
                fields.insert("number".into(), listed.number.into());
                Value::from(fields)
            }
            _ => json!({"number": listed.number, "damaged": true}),
        }
    };
    let steps: Vec<Value> = listed.iter().map(row).collect();
    format!("{:#}\n", json!({"steps": steps, "next": next}))
}

fn text(listed: &[Listed]) -> String {
    let head = HEAD.map(str::to_owned);
    table(&std::iter::once(head).chain(listed.iter().map(cells)).collect::<Vec<_>>())
}

fn cells(listed: &Listed) -> [String; 8] {
    let number = listed.number.to_string();
    let Some(entry) = &listed.entry else {
        let damaged = String::from("its record is damaged");
        let [.., last] = [const { String::new() }; 8];
        return [number, "-".into(), "damaged".into(), "-".into(), "-".into(), "-".into(), last, damaged];
    };
    let worker = entry.worker.clone().unwrap_or_default();
    [
        number,
        entry.id.to_string(),
        entry.state.to_string(),
        entry.pool.clone(),
        entry.name.clone(),
        format!("{:.0}", entry.submitted_at),
        worker,
        ending(entry),
    ]
    .map(|text| printable(&text))
}

/// How it ended, or how its last run failed.
fn ending(entry: &Entry) -> String {
    let told = entry.ending.as_ref().map(|ending| format!("{:?} ({})", ending.reason, ending.exit_code));
    told.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{document, text};
    use crate::queue::{Ending, Entry, Listed, Needs, State, StepId};

    fn listed() -> [Listed; 2] {
        let time = "2026-11-24T10:00:00.123Z".parse().expect("a time");
        let ending = serde_json::json!(
            {"reason": "Completed", "exitCode": 0, "message": "the script completed", "result": null}
        );
        let ending: Ending = serde_json::from_value(ending).expect("an ending");
        let entry = Entry {
            id: StepId::try_from("one".to_owned()).expect("an id"),
            pool: "default".into(),
            name: "deploy".into(),
            state: State::Ended,
            needs: Needs::default(),
            concurrency_key: Some("shop".into()),
            epoch: 1,
            failures: 0,
            worker: Some("w\u{1b}[31m".into()),
            cancel: false,
            submitted_at: time,
            started_at: Some(time),
            ended_at: Some(time),
            ending: Some(ending),
        };
        [Listed { number: 4, entry: Some(entry) }, Listed { number: 5, entry: None }]
    }

    #[test]
    fn a_table_tells_a_damaged_record_in_its_row_and_no_control_character() {
        let expected = "\
NUMBER  ID   STATE    POOL     STEP    SUBMITTED             WORKER  ENDING
4       one  ended    default  deploy  2026-11-24T10:00:00Z  w\u{fffd}[31m  Completed (0)
5       -    damaged  -        -       -                             its record is damaged
";
        assert_eq!(text(&listed()), expected);
    }

    #[test]
    fn the_json_of_a_list_is_what_the_docs_say() {
        let expected = serde_json::json!({
            "steps": [
                {
                    "number": 4, "id": "one", "pool": "default", "name": "deploy", "state": "ended",
                    "needs": {"capabilities": [], "labels": {}}, "concurrencyKey": "shop", "epoch": 1, "failures": 0,
                    "worker": "w\u{1b}[31m", "cancel": false, "submittedAt": "2026-11-24T10:00:00.123Z",
                    "startedAt": "2026-11-24T10:00:00.123Z", "endedAt": "2026-11-24T10:00:00.123Z",
                    "ending": {
                        "reason": "Completed", "exitCode": 0, "message": "the script completed", "result": null
                    },
                },
                {"number": 5, "damaged": true},
            ],
            "next": 5,
        });
        let found: serde_json::Value = serde_json::from_str(&document(&listed(), Some(5))).expect("JSON");
        assert_eq!(found, expected);
    }
}
