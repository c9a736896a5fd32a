//! The commands: one thin file each, from what was typed to an exit code.

use std::io::Write;

pub mod check;
pub mod explain;
pub mod mask;
pub mod ps;
mod request;
pub mod run;
pub mod schema;
pub mod sweep;

/// Wrong command line, payload not readable, result not writable.
pub const USAGE: u8 = 64;

/// What was given to read is wrong.
pub const DATA: u8 = 65;

/// A fault of the agent itself.
pub const SOFTWARE: u8 = 70;

/// Nobody reads standard output any more.
pub const CLOSED: u8 = 141;

/// For what goes wrong where there is no log: no secret was read so far, or none is named.
fn complain(message: &str) {
    for line in message.lines() {
        // Where nobody reads stderr the exit code has to do.
        let _ = writeln!(std::io::stderr(), "kubestep: error: {line}");
    }
}

/// What a lock says is another process' text: no control character of it reaches a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
