//! The command `tooling-check`: what was typed and the environment, then the library's one function.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use tooling_check::command::{CheckArguments, Question, Surroundings, USAGE, run};
use tooling_check::terminal;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "tooling-check",
    version,
    about = "Says whether this machine has the tools for Kubernetes deployment steps, and whether they work together",
    after_long_help = tooling_check::help::AFTER,
    max_term_width = 100
)]
struct Arguments {
    /// What is asked.
    #[command(flatten)]
    check: CheckArguments,
    /// Use this file for that tool, whatever the PATH says (repeatable)
    #[arg(long = "tool", value_name = "NAME=PATH", value_parser = tooling_check::help::chosen)]
    tools: Vec<(tooling_check::Tool, PathBuf)>,
    /// Where tools that were asked are remembered [default: $XDG_CACHE_HOME/tooling-check]
    #[arg(long, value_name = "FOLDER")]
    cache_dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let question = Question {
        wanted: arguments.check.wanted(),
        chosen: arguments.tools.into_iter().collect(),
        judge: None,
    };
    let surroundings = surroundings(arguments.cache_dir);
    run(&arguments.check, question, &surroundings).into()
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place of the program that reads the environment"
)]
fn surroundings(cache_dir: Option<PathBuf>) -> Surroundings {
    let folder = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = folder("HOME");
    let caches = folder("XDG_CACHE_HOME").or_else(|| home.as_ref().map(|home| home.join(".cache")));
    Surroundings {
        path: env::var_os("PATH").unwrap_or_default(),
        home,
        cache: cache_dir.or_else(|| caches.map(|caches| caches.join("tooling-check"))),
        temporary: folder("TMPDIR").unwrap_or_else(|| "/tmp".into()),
        no_colour: env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
        columns: terminal::columns(),
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    // Where nobody reads it, the exit code has to do.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(USAGE),
    }
}
