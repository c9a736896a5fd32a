//! The command `kubestep`: what was typed, the command's own file, an exit code.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use kubestep::cli::Arguments;
use kubestep::{commands, init, settings, supervise};

fn main() -> ExitCode {
    // Before anything else: these are started once a step, and need no command line.
    match std::env::args_os().nth(1).as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("__tree") => return supervise::tree::main(),
        Some("__step") => return commands::step_child::main(),
        _ => {}
    }
    if let Some(code) = init::stand_in() {
        return code;
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    commands::run(arguments.command, settings::environment()).into()
}

fn usage(error: &clap::Error) -> ExitCode {
    // Where nobody reads it, the exit code has to do.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(commands::USAGE),
    }
}
