//! `kubestep explain STEP`: decides as `run` does, and does nothing of it.

use std::io::{self, Write};

use super::request;
use super::{SOFTWARE, USAGE, complain, say};
use crate::causes::with_causes;
use crate::cli::{ExplainArguments, LogFormat};
use crate::explain::Explanation;
use crate::mask::Masker;
use crate::outcome::{StepError, verdict};
use crate::payload;
use crate::plan::Plan;
use crate::settings::{Environment, Settings};
use crate::step::Request;
use crate::step::tools::ToolSearch;

/// Explains one step, and gives the exit code.
#[must_use]
pub fn run(arguments: &ExplainArguments, environment: Environment) -> u8 {
    let settings = match Settings::resolve(&arguments.step, None, &environment) {
        Ok(settings) => settings,
        Err(error) => return refuse(&error),
    };
    let request = match request::read(
        &arguments.step.step,
        request::origin(arguments.step.origin),
        &settings,
        environment,
    ) {
        Ok(request) => request,
        Err(error) => return refuse(&error),
    };
    let masker = Masker::new(&settings.mask);
    match decide(&request, &masker) {
        Ok(plan) => print(&Explanation::new(&plan, request.tree), arguments.output, &masker),
        Err(error) => {
            let verdict = verdict(&Err(error));
            complain(&masker.text(&verdict.message));
            if let Some(hint) = verdict.hint {
                say(&format!("hint: {}", masker.text(&hint)));
            }
            verdict.exit_code
        }
    }
}

fn refuse(error: &dyn std::error::Error) -> u8 {
    complain(&with_causes(error));
    USAGE
}

/// The beginning of `step`'s line.
fn decide(request: &Request, masker: &Masker) -> Result<Plan, StepError> {
    let step = payload::load(&request.text, &request.source, &request.surroundings)?;
    // A secret too short to be masked is no field of an explanation.
    let _ = masker.add(step.secrets().iter().map(|named| named.secret));
    let inventory = ToolSearch::new(&step, request.state.as_deref()).run();
    Ok(Plan::new(step, &inventory, request.surroundings.now)?)
}

fn print(explanation: &Explanation, format: LogFormat, masker: &Masker) -> u8 {
    let text = match format {
        LogFormat::Text => Ok(explanation.text()),
        LogFormat::Json => explanation.json(),
    };
    let text = text.map_err(io::Error::from);
    let printed = text.and_then(|text| io::stdout().write_all(masker.whole(text.as_bytes()).bytes()));
    if printed.is_ok() { 0 } else { SOFTWARE }
}
