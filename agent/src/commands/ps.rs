//! `kubestep ps`: the steps that run here, as their locks tell.

use std::io::{self, Write};

use super::{SOFTWARE, printable, table};
use crate::cli::{LogFormat, PsArguments};
use crate::settings::{self, Environment};
use crate::workspace::remains::{self, Living};

/// Lists, and gives the exit code.
#[must_use]
pub fn run(arguments: &PsArguments, environment: &Environment) -> u8 {
    let (roots, _) = settings::roots(environment);
    let living = remains::find(&roots).living;
    let told = match arguments.output {
        LogFormat::Text => text(&living),
        LogFormat::Json => json(&living),
    };
    if io::stdout().write_all(told.as_bytes()).is_ok() { 0 } else { SOFTWARE }
}

fn text(living: &[Living]) -> String {
    let head = ["PID", "STEP", "SINCE", "WORKSPACE"].map(str::to_owned);
    let rows = living.iter().map(|one| {
        let owner = &one.owner;
        let work = owner.work.display().to_string();
        [owner.agent.to_string(), owner.step.clone(), owner.since.clone(), work].map(|text| printable(&text))
    });
    table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

fn json(living: &[Living]) -> String {
    let steps: Vec<serde_json::Value> = living
        .iter()
        .map(|one| {
            let owner = &one.owner;
            serde_json::json!({
                "pid": owner.agent, "supervisor": owner.pid, "step": owner.step, "since": owner.since,
                "private": one.private, "work": owner.work, "cgroup": owner.cgroup,
            })
        })
        .collect();
    format!("{:#}\n", serde_json::Value::from(steps))
}
