//! `kubestep queue show ID`: all that is told of a step.

use super::{Failure, block_on, id, open, print};
use crate::cli::{LogFormat, StepChoice};
use crate::commands::printable;
use crate::queue::Entry;
use crate::settings::Environment;

pub(super) fn run(choice: &StepChoice, environment: &Environment) -> Result<u8, Failure> {
    let id = id(&choice.id)?;
    let opened = open(&choice.place, environment)?;
    let entry = block_on(async { Ok(opened.queue.show(&id).await?) })?;
    print(&match choice.output {
        LogFormat::Text => text(&entry),
        LogFormat::Json => document(&entry),
    })
}

/// The entry as JSON.
pub(crate) fn document(entry: &Entry) -> String {
    // Its fields are texts and numbers.
    format!("{:#}\n", serde_json::to_value(entry).unwrap_or_default())
}

fn text(entry: &Entry) -> String {
    let time = |time: Option<jiff::Timestamp>| time.map(|time| time.to_string());
    let needs = entry.needs.capabilities.iter().cloned();
    let labels = entry.needs.labels.iter().map(|(name, value)| format!("{name}={value}"));
    let needs = needs.chain(labels).collect::<Vec<_>>().join(", ");
    let ending = entry.ending.as_ref();
    let told = ending.map(|ending| format!("{:?} ({}): {}", ending.reason, ending.exit_code, ending.message));
    let rows = [
        ("id", Some(entry.id.to_string())),
        ("step", Some(entry.name.clone())),
        ("pool", Some(entry.pool.clone())),
        ("state", Some(entry.state.to_string())),
        ("cancelled", entry.cancel.then(|| "its worker has been asked".to_owned())),
        ("needs", Some(needs).filter(|needs| !needs.is_empty())),
        ("key", entry.concurrency_key.clone()),
        ("worker", entry.worker.clone()),
        ("runs", (entry.epoch > 0).then(|| entry.epoch.to_string())),
        ("failures", (entry.failures > 0).then(|| entry.failures.to_string())),
        ("submitted", Some(entry.submitted_at.to_string())),
        ("started", time(entry.started_at)),
        ("ended", time(entry.ended_at)),
        ("ending", told),
    ];
    let told = rows.into_iter().filter_map(|(name, value)| Some((name, value?)));
    told.map(|(name, value)| format!("{name:<10} {}\n", printable(&value))).collect()
}
