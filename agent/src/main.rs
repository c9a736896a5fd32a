//! The command `kubestep`: what was typed, the command's own file, an exit code.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use kubestep::cli::{Arguments, Command};
use kubestep::{commands, init, settings, supervise};

fn main() -> ExitCode {
    // Before anything else: the supervisor is started once a step, and needs no command line.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "__tree") {
        return supervise::tree::main();
    }
    init::stand_in().unwrap_or_else(typed)
}

fn typed() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    match arguments.command {
        Command::Mask(arguments) => commands::mask::run(&arguments).into(),
        Command::Run(arguments) => commands::run::run(&arguments, settings::environment()).into(),
        Command::Check(arguments) => commands::check::run(&arguments, settings::environment()).into(),
        Command::Explain(arguments) => commands::explain::run(&arguments, settings::environment()).into(),
        Command::Schema(arguments) => commands::schema::run(&arguments).into(),
        Command::Ps(arguments) => commands::ps::run(&arguments, &settings::environment()).into(),
        Command::Sweep(arguments) => commands::sweep::run(&arguments, &settings::environment()).into(),
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    // Where nobody reads it, the exit code has to do.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(commands::USAGE),
    }
}
