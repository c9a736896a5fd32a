//! The commands: one thin file each, from what was typed to an exit code.

pub mod run;
pub mod schema;

/// Wrong command line, payload not readable, result not writable.
pub const USAGE: u8 = 64;

/// A fault of the agent itself.
pub const SOFTWARE: u8 = 70;
