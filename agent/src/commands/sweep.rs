//! `kubestep sweep`: removes what dead steps left, and says what it was.

use std::io::{self, Write};

use super::{SOFTWARE, complain, printable};
use crate::cli::SweepArguments;
use crate::settings::{self, Environment};
use crate::supervise::aftermath::{self, Dead};

/// Sweeps, and gives the exit code.
#[must_use]
pub fn run(arguments: &SweepArguments, environment: &Environment) -> u8 {
    let (roots, _) = settings::roots(environment);
    let (dead, did) = if arguments.dry_run {
        (aftermath::look(&roots), "would remove")
    } else {
        (aftermath::sweep(&roots), "removed")
    };
    let mut code = 0;
    for one in &dead {
        match &one.removed {
            // Where nobody reads it, it is done all the same.
            Ok(()) => drop(writeln!(io::stdout(), "{did} {}", words(one))),
            Err(error) => {
                complain(&format!("{} could not be removed: {error}", words(one)));
                code = SOFTWARE;
            }
        }
    }
    code
}

fn words(dead: &Dead) -> String {
    let private = dead.private.display();
    let Some(step) = &dead.step else { return format!("{private}, of a step that had not begun") };
    let processes = match dead.processes {
        0 => String::new(),
        1 => ", 1 process".to_owned(),
        count => format!(", {count} processes"),
    };
    let of = printable(&format!("{} since {}", step.name, step.since));
    format!("{private} and {}{processes}, of the step {of}", step.work.display())
}
