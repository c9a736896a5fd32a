//! The commands: one thin file each, from what was typed to an exit code.

use std::io::Write;

pub mod check;
pub mod explain;
pub mod mask;
pub mod ps;
pub mod queue;
mod request;
pub mod run;
pub mod schema;
pub mod step_child;
pub mod submit;
pub mod sweep;
pub mod worker;

use crate::cli::Command;
use crate::settings::Environment;

/// Wrong command line, payload not readable, result not writable.
pub const USAGE: u8 = 64;

/// What was given to read is wrong.
pub const DATA: u8 = 65;

/// A fault of the agent itself.
pub const SOFTWARE: u8 = 70;

/// Nobody reads standard output any more.
pub const CLOSED: u8 = 141;

/// Runs a command, and gives the exit code.
#[must_use]
pub fn run(command: Command, environment: Environment) -> u8 {
    match command {
        Command::Mask(arguments) => mask::run(&arguments),
        Command::Run(arguments) => run::run(&arguments, environment),
        Command::Check(arguments) => check::run(&arguments, environment),
        Command::Explain(arguments) => explain::run(&arguments, environment),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Submit(arguments) => submit::run(&arguments, environment),
        Command::Queue(arguments) => queue::run(&arguments.command, &environment),
        Command::Ps(arguments) => ps::run(&arguments, &environment),
        Command::Worker(arguments) => worker::run(&arguments, environment),
        Command::Sweep(arguments) => sweep::run(&arguments, &environment),
    }
}

/// For what goes wrong where there is no log: no secret was read so far, or none is named.
fn complain(message: &str) {
    message.lines().for_each(|line| say(&format!("error: {line}")));
}

/// A line of a command's own, where there is no log.
fn say(line: &str) {
    // Where nobody reads stderr the exit code has to do.
    let _ = writeln!(std::io::stderr(), "kubestep: {line}");
}

/// Rows with their columns below each other; the last column may end where it will.
fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// What a lock says is another process' text: no control character of it reaches a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
