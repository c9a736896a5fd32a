//! The command, from its arguments to the report and an exit code: `tooling-check` and `kubestep check` are this.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::check::wanted::{Profile, Requirement, Wanted, server};
use crate::check::{Refusal, Report};
use crate::inventory::{Inventory, Search, inventory};
use crate::prove::prove;
use crate::report::{Format, Style, capabilities, json, junit, markdown, text};
use crate::rules::Rules;
use crate::tool::Tool;

/// Wrong usage, or rules that cannot be read.
pub const USAGE: u8 = 64;

/// A fault of the program or its machine.
pub const SOFTWARE: u8 = 70;

/// Nobody reads standard output any more.
pub const CLOSED: u8 = 141;

/// The arguments that both programs have.
#[derive(Debug, Default, clap::Args)]
pub struct CheckArguments {
    /// What steps are to run here (repeatable)
    #[arg(long = "for", value_name = "PROFILE")]
    pub profiles: Vec<Profile>,
    /// A tool that has to be there, and its versions, such as 'kubectl>=1.30' (repeatable)
    #[arg(long = "require", value_name = "TOOL[OP VERSION]")]
    pub requirements: Vec<Requirement>,
    /// The clusters' version, such as 1.36: is it supported by kubectl and helm?
    #[arg(long, value_name = "VERSION", value_parser = server)]
    pub server: Option<(u32, u32)>,
    /// Run kubectl with each plugin against a port on loopback, with made-up credentials
    #[arg(long)]
    pub prove: bool,
    /// Warnings count: exit code 1
    #[arg(long)]
    pub strict: bool,
    /// Notes and details, too
    #[arg(short, long)]
    pub verbose: bool,
    /// The form of the report
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Option<Format>,
    /// Print what steps this machine can serve, as JSON for routing
    #[arg(long, conflicts_with = "output")]
    pub capabilities: bool,
    /// Rules in the place of those that this program carries
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Ask every tool again
    #[arg(long)]
    pub no_cache: bool,
    /// How long each tool may take to answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: Option<u64>,
}

/// What the process' environment says.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// The PATH that tools are looked for on.
    pub path: OsString,
    /// The HOME that tools see.
    pub home: Option<PathBuf>,
    /// A folder for what was learned; made where it is missing.
    pub cache: Option<PathBuf>,
    /// A folder for what is needed only now.
    pub temporary: PathBuf,
    /// Whether colours are unwelcome (`NO_COLOR`).
    pub no_colour: bool,
    /// The columns of the terminal, where it has some.
    pub columns: Option<usize>,
}

/// A step's own judgement of what was found.
pub type Judge = Box<dyn FnOnce(&Inventory) -> Vec<Refusal>>;

/// What is asked, and where it comes from.
#[derive(Default)]
pub struct Question {
    /// What is wanted.
    pub wanted: Wanted,
    /// Paths that beat the PATH.
    pub chosen: BTreeMap<Tool, PathBuf>,
    /// Who else judges.
    pub judge: Option<Judge>,
}

/// A report, and the exit code that goes with it.
pub struct Told {
    /// For standard output.
    pub text: String,
    /// 0 to 3.
    pub code: u8,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[error("{says}")]
pub struct Failure {
    /// For a person.
    pub says: String,
    /// [`USAGE`] or [`SOFTWARE`].
    pub code: u8,
}

impl CheckArguments {
    /// What these arguments want of a machine.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        Wanted::machine(&self.profiles, self.requirements.clone(), self.server)
    }
}

/// Looks, judges, prints, and gives the exit code.
#[must_use]
pub fn run(arguments: &CheckArguments, question: Question, surroundings: &Surroundings) -> u8 {
    let told = match check(arguments, question, surroundings) {
        Ok(told) => told,
        Err(failure) => return complain(&failure.says, failure.code),
    };
    let mut stdout = io::stdout();
    match stdout.write_all(told.text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => told.code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => CLOSED,
        Err(error) => complain(&format!("standard output cannot be written: {error}"), SOFTWARE),
    }
}

/// Looks and judges.
///
/// # Errors
/// Rules that cannot be read, and what keeps a proof from being made.
pub fn check(
    arguments: &CheckArguments,
    question: Question,
    surroundings: &Surroundings,
) -> Result<Told, Failure> {
    let own = arguments.rules.as_deref().map(read_rules).transpose();
    let own = own.map_err(|says| Failure { says, code: USAGE })?;
    let rules = own.as_ref().unwrap_or_else(|| Rules::embedded());
    report(arguments, question, surroundings, rules).map_err(|says| Failure { says, code: SOFTWARE })
}

fn read_rules(file: &Path) -> Result<Rules, String> {
    let text =
        fs::read_to_string(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    Rules::read(&text).map_err(|error| format!("{}: {error}", file.display()))
}

fn report(
    arguments: &CheckArguments,
    question: Question,
    surroundings: &Surroundings,
    rules: &Rules,
) -> Result<Told, String> {
    let Question { wanted, chosen, judge } = question;
    let unmade =
        |error: io::Error| format!("no folder can be made in {}: {error}", surroundings.temporary.display());
    let scratch = tempfile::Builder::new().prefix("tooling-check-").tempdir_in(&surroundings.temporary);
    // Without one the tools are asked all the same; only a proof needs it.
    let scratch = if arguments.prove { Some(scratch.map_err(unmade)?) } else { scratch.ok() };
    let memory = surroundings.cache.as_deref().filter(|_| !arguments.no_cache);
    let tools = wanted.tools();
    let search = Search {
        home: surroundings.home.as_deref(),
        memory: memory
            .filter(|folder| fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).is_ok()),
        scratch: scratch.as_ref().map(tempfile::TempDir::path),
        limit: Duration::from_secs(arguments.timeout.unwrap_or(10)),
        asked: &tools,
        rules: Some(rules),
        progress: io::stderr().is_terminal().then_some(&show_progress),
        ..Search::new(&surroundings.path, &chosen)
    };
    let found = inventory(&tools, &search);
    let proofs = match &scratch {
        Some(scratch) if arguments.prove => prove(&found, &search, scratch.path())
            .map_err(|error| format!("nothing can be proved here: {error}"))?,
        _ => Vec::new(),
    };
    let mut report = Report::new(&found, &proofs, wanted, rules);
    if let Some(judge) = judge {
        report.refuse(judge(&found));
    }
    let text = told(arguments, &report, &found, surroundings, rules).map_err(|error| error.to_string())?;
    Ok(Told { text, code: report.exit_code(arguments.strict) })
}

fn told(
    arguments: &CheckArguments,
    report: &Report,
    found: &Inventory,
    surroundings: &Surroundings,
    rules: &Rules,
) -> serde_json::Result<String> {
    if arguments.capabilities {
        return capabilities(report, found, rules);
    }
    Ok(match arguments.output.unwrap_or(Format::Text) {
        Format::Json => json(report, found, arguments.strict)?,
        Format::Junit => junit(report, arguments.strict),
        Format::Markdown => markdown(report, arguments.strict),
        Format::Text => {
            let style = Style {
                colour: io::stdout().is_terminal() && !surroundings.no_colour,
                // Longer lines are hard to read, shorter ones cannot hold a path.
                width: surroundings.columns.unwrap_or(80).clamp(60, 120),
                verbose: arguments.verbose,
            };
            text(report, arguments.strict, style)
        }
    })
}

/// One line that goes away again: whom is waited for.
fn show_progress(waiting: &[Tool]) {
    let names = waiting.iter().map(|tool| tool.name()).collect::<Vec<_>>().join(", ");
    let names: String = names.chars().take(60).collect();
    let line = if waiting.is_empty() { String::new() } else { format!("asking {names} …") };
    // Where nobody reads stderr there is nobody to tell.
    let _ = write!(io::stderr(), "\r\x1b[K{line}");
}

fn complain(told: &str, code: u8) -> u8 {
    for line in told.lines() {
        // Where nobody reads stderr the exit code has to do.
        let _ = writeln!(io::stderr(), "tooling-check: error: {line}");
    }
    code
}
