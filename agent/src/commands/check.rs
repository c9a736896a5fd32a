//! `kubestep check [STEP]`: the preflight of `tooling-check`, and with a step the plan's own refusals.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::PathBuf;

use tooling_check::Inventory;
use tooling_check::check::wanted::Wanted;
use tooling_check::check::{PLUGINS, Refusal};
use tooling_check::command::{Question, Surroundings, check};
use tooling_check::terminal;

use super::{CLOSED, DATA, SOFTWARE, USAGE, complain, request};
use crate::causes::with_causes;
use crate::cli::CheckStepArguments;
use crate::mask::Masker;
use crate::payload::{self, Step};
use crate::plan::{Needs, Plan, needs_of, search_path};
use crate::settings::{Environment, Settings};
use crate::step::{Request, tools};

/// Checks, and gives the exit code.
#[must_use]
pub fn run(arguments: &CheckStepArguments, environment: Environment) -> u8 {
    let settings = match Settings::resolve(arguments, None, &environment) {
        Ok(settings) => settings,
        Err(error) => return refuse(&error, USAGE),
    };
    let mut surroundings = surroundings(&environment, &settings);
    let masker = Masker::new(&settings.mask);
    let question = if let Some(step) = &arguments.step {
        let request = match request::read(step, request::origin(arguments.origin), &settings, environment) {
            Ok(request) => request,
            Err(error) => return refuse(&error, USAGE),
        };
        match asked(&request, arguments, &mut surroundings, &masker) {
            Ok(question) => question,
            Err(error) => {
                complain(&masker.text(&with_causes(&error)));
                return DATA;
            }
        }
    } else {
        Question { wanted: arguments.check.wanted(), ..Question::default() }
    };
    match check(&arguments.check, question, &surroundings) {
        Ok(told) => print(&told.text, told.code, &masker),
        Err(failure) => refuse(&failure, failure.code),
    }
}

fn refuse(error: &dyn std::error::Error, code: u8) -> u8 {
    complain(&with_causes(error));
    code
}

/// What the step of this request asks of the machine.
fn asked(
    request: &Request,
    arguments: &CheckStepArguments,
    surroundings: &mut Surroundings,
    masker: &Masker,
) -> Result<Question, payload::Problems> {
    let step = payload::load(&request.text, &request.source, &request.surroundings)?;
    // A secret too short to be masked is no field of a report.
    let _ = masker.add(step.secrets().iter().map(|named| named.secret));
    surroundings.path = search_path(&step).into();
    surroundings.home = tools::home(&step);
    let (wanted, chosen) = (wanted(&step, arguments), tools::chosen(&step));
    let now = request.surroundings.now;
    let judge = move |found: &Inventory| match Plan::new(step, found, now) {
        Ok(_) => Vec::new(),
        Err(error) => {
            let refusals = error.0.into_iter();
            refusals.map(|fault| Refusal { says: fault.message, fix: Some(fault.hint) }).collect()
        }
    };
    Ok(Question { wanted, chosen, judge: Some(Box::new(judge)) })
}

/// What the step needs, and what was asked for besides.
fn wanted(step: &Step, arguments: &CheckStepArguments) -> Wanted {
    let Needs { must, may, one_of } = needs_of(step);
    let mut wanted = arguments.check.wanted();
    wanted.step = Some(step.name.clone());
    // What every step needs is what this step's plan says.
    wanted.needed.retain(|_, by| by.starts_with("--"));
    wanted.needed.extend(must.into_iter().map(|tool| (tool, "the step".to_owned())));
    wanted.useful.extend(may);
    let profiles = PLUGINS.iter().filter(|(plugin, _)| one_of.contains(plugin));
    wanted.profiles.extend(profiles.map(|(_, profile)| *profile));
    wanted.one_of.extend(one_of);
    wanted
}

pub(super) fn surroundings(environment: &Environment, settings: &Settings) -> Surroundings {
    let value = |name: &str| environment.get(OsStr::new(name)).filter(|value| !value.is_empty());
    Surroundings {
        path: value("PATH").cloned().unwrap_or_default(),
        home: value("HOME").map(PathBuf::from),
        cache: settings.state_dir.clone(),
        temporary: settings.work_root.clone(),
        no_colour: value("NO_COLOR").is_some(),
        columns: terminal::columns(),
    }
}

fn print(text: &str, code: u8, masker: &Masker) -> u8 {
    let mut stdout = io::stdout();
    match stdout.write_all(masker.whole(text.as_bytes()).bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => CLOSED,
        Err(_) => SOFTWARE,
    }
}
