//! `kubestep submit STEP`: the payload, checked and by value, onto a queue; and its log back, where somebody waits.

mod envelope;

use std::io;

use ring::rand::SecureRandom;

use super::queue::{Failure, Follower, Opened, Stopped, Until, block_on, document, id, open, print};
use super::request::{self, RequestError};
use super::{DATA, USAGE, complain, printable, say};
use crate::causes::with_causes;
use crate::cli::{LogFormat, SubmitArguments};
use crate::payload::{self, Origin};
use crate::queue::{Ending, Entry, LogPosition, StepId, Submitted};
use crate::settings::{Environment, Settings};
use crate::supervise;

/// Submits, and gives the exit code.
#[must_use]
pub fn run(arguments: &SubmitArguments, environment: Environment) -> u8 {
    submit(arguments, environment).unwrap_or_else(|failure| failure.tell())
}

fn submit(arguments: &SubmitArguments, environment: Environment) -> Result<u8, Failure> {
    supervise::tree::seal().map_err(Failure::Machine)?;
    let pool = envelope::pool(&arguments.pool)?;
    let labels = envelope::labels(&arguments.labels)?;
    let id = arguments.id.as_deref().map_or_else(random_id, id)?;
    // All that is wrong with the command line, before a payload is read from a pipe.
    let opened = open(&arguments.place, &environment)?;
    let sent = match read(arguments, &opened.settings, environment) {
        Ok(sent) => sent,
        Err(code) => return Ok(code),
    };
    for asked in &sent.asked {
        say(&format!("note: {asked}"));
    }
    let envelope = envelope::envelope(sent, id.clone(), pool, labels);
    block_on(async {
        let submitted = opened.queue.submit(envelope).await?;
        announce(arguments, &id, submitted)?;
        match until(arguments) {
            None => Ok(0),
            Some(until) => follow(arguments, &opened, id, until).await,
        }
    })
}

fn until(arguments: &SubmitArguments) -> Option<Until> {
    match (arguments.follow, arguments.wait) {
        (true, _) => Some(Until::Ended),
        (false, true) => Some(Until::EndedSilently),
        (false, false) => None,
    }
}

/// The payload by value; or the exit code, when it was told why there is none.
fn read(
    arguments: &SubmitArguments,
    settings: &Settings,
    environment: Environment,
) -> Result<payload::ByValue, u8> {
    let refuse = |error: RequestError| {
        complain(&with_causes(&error));
        USAGE
    };
    let request = request::read(&arguments.step, Origin::Submitted, settings, environment).map_err(refuse)?;
    payload::load_by_value(&request.text, &request.source, &request.surroundings).map_err(|problems| {
        complain(&problems.to_string());
        DATA
    })
}

/// 128 bits that nobody guesses, in hexadecimal digits.
fn random_id() -> Result<StepId, Failure> {
    let mut bytes = [0_u8; 16];
    let none = |_| Failure::Machine(io::Error::other("there are no random numbers"));
    ring::rand::SystemRandom::new().fill(&mut bytes).map_err(none)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    id(&digits)
}

/// With `--follow`, standard output is the script's.
fn announce(arguments: &SubmitArguments, id: &StepId, submitted: Submitted) -> Result<(), Failure> {
    let is_new = submitted == Submitted::New;
    match (arguments.output, until(arguments)) {
        (LogFormat::Json, None) => {
            let submitted = if is_new { "new" } else { "already" };
            let told = serde_json::json!({"id": id, "pool": arguments.pool, "submitted": submitted});
            print(&format!("{told}\n"))?;
        }
        (LogFormat::Text, None | Some(Until::EndedSilently)) => {
            print(&format!("{id}\n"))?;
        }
        _ => say(&format!("step {id} is on the queue")),
    }
    if !is_new {
        say("it was there already");
    }
    Ok(())
}

async fn follow(
    arguments: &SubmitArguments,
    opened: &Opened,
    id: StepId,
    until: Until,
) -> Result<u8, Failure> {
    let follower = Follower { queue: opened.queue.clone(), id, output: arguments.output };
    let followed = follower.follow(LogPosition::default(), until).await;
    let on = |why: &str| {
        let Opened { flag, .. } = opened;
        let id = &follower.id;
        say(&format!("{why}step {id} goes on; to end it: kubestep queue cancel {id}{flag}"));
    };
    match followed {
        Ok(Ok(entry)) => ended(arguments, &entry, until),
        Ok(Err(Stopped(code))) => {
            on("");
            Ok(code)
        }
        Err(failure @ (Failure::Output(_) | Failure::Machine(_))) => {
            on("");
            Err(failure)
        }
        Err(failure) => Err(failure),
    }
}

fn ended(arguments: &SubmitArguments, entry: &Entry, until: Until) -> Result<u8, Failure> {
    let code = entry.ending.as_ref().map_or(Ending::UNTOLD, |ending| ending.exit_code);
    if let (LogFormat::Json, Until::EndedSilently) = (arguments.output, until) {
        print(&document(entry))?;
    } else if let Some(ending) = &entry.ending
        // What a worker told stands in the log.
        && (until == Until::EndedSilently || ending.result.is_none())
    {
        for line in ending.message.lines() {
            say(&format!("{:?}: {}", ending.reason, printable(line)));
        }
        let hint = ending.result.as_ref().and_then(|result| result["hint"].as_str());
        for line in hint.unwrap_or_default().lines() {
            say(&format!("hint: {}", printable(line)));
        }
    }
    Ok(code)
}
