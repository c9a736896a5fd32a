//! The commands: one thin file each, from what was typed to an exit code.

pub mod mask;
pub mod run;

/// Wrong command line, payload not readable, result not writable.
pub const USAGE: u8 = 64;

/// What was given to read is wrong.
pub const DATA: u8 = 65;

/// A fault of the agent itself.
pub const SOFTWARE: u8 = 70;

/// Nobody reads standard output any more.
pub const CLOSED: u8 = 141;
