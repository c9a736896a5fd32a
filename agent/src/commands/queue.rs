//! `kubestep queue …`, and what `submit` shares with it: the queue, and how it is told that something is not done.

mod follow;
mod list;
mod show;

use std::future::Future;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use super::{CLOSED, DATA, SOFTWARE, USAGE, complain, say};
use crate::causes::with_causes;
use crate::cli::{LogFormat, PruneArguments, QueueChoice, QueueCommand, StepChoice};
use crate::limits::parse_duration;
use crate::place::{Place, PlaceError};
use crate::queue::{PoolError, Queue, QueueError, State, StepId};
use crate::settings::{Environment, Settings, SettingsError};

pub(super) use follow::{Follower, Stopped, Until};
pub(super) use show::document;

/// Why a command on a queue is not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("--pool: {0}")]
    Pool(#[from] PoolError),
    /// Of the command line.
    #[error("{name}: {expected}")]
    Value { name: &'static str, expected: String },
    /// This process cannot do its part.
    #[error("the agent cannot work on this machine")]
    Machine(#[source] io::Error),
    /// Standard output.
    #[error("the output cannot be written")]
    Output(#[source] io::Error),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Pool(_) | Self::Value { .. } => USAGE,
            Self::Place(error) if error.is_usage() => USAGE,
            Self::Queue(QueueError::Unknown(_) | QueueError::IdTaken(_)) => USAGE,
            Self::Queue(QueueError::Unfit { .. }) => DATA,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => CLOSED,
            Self::Place(_) | Self::Queue(_) | Self::Machine(_) | Self::Output(_) => SOFTWARE,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Queue(QueueError::Unknown(_)) => Some(
                "`kubestep queue list` lists the steps; is it another queue (--queue), or has the step been pruned?",
            ),
            Self::Queue(QueueError::IdTaken(_)) => Some(
                "the same id is for the same payload in the same pool; choose another --id, or leave it out",
            ),
            Self::Queue(QueueError::Unfit { state, .. }) if *state != State::Ended => {
                Some("`kubestep queue cancel` ends it")
            }
            _ => None,
        }
    }

    /// Tells it, and gives the exit code.
    pub(super) fn tell(&self) -> u8 {
        let code = self.code();
        if code != CLOSED {
            complain(&with_causes(self));
            if let Some(hint) = self.hint() {
                say(&format!("hint: {hint}"));
            }
        }
        code
    }
}

/// A queue, how the next command has to name it, and the settings that it was found by.
pub(super) struct Opened {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) flag: String,
    pub(super) settings: Settings,
}

/// Opens the queue that was chosen.
pub(super) fn open(choice: &QueueChoice, environment: &Environment) -> Result<Opened, Failure> {
    let settings = Settings::resolve(choice, None, environment)?;
    let place = Place::of(choice.queue.as_deref(), &settings)?;
    // What came from the environment comes from there again.
    let is_typed = choice.queue.is_some() || choice.config.is_some() || choice.state_dir.is_some();
    let flag = if is_typed { format!(" --queue {place}") } else { String::new() };
    Ok(Opened { queue: place.open()?, flag, settings })
}

/// Does it, and gives the exit code.
#[must_use]
pub fn run(command: &QueueCommand, environment: &Environment) -> u8 {
    let done = match command {
        QueueCommand::List(arguments) => list::run(arguments, environment),
        QueueCommand::Show(choice) => show::run(choice, environment),
        QueueCommand::Logs(arguments) => follow::run(arguments, environment),
        QueueCommand::Cancel(choice) => change(choice, environment, async |queue, id| queue.cancel(id).await),
        QueueCommand::Requeue(choice) => {
            change(choice, environment, async |queue, id| queue.requeue(id).await)
        }
        QueueCommand::Prune(arguments) => prune(arguments, environment),
    };
    done.unwrap_or_else(|failure| failure.tell())
}

/// Runs an act to its end. What hangs on a thread of its own must not hold the exit.
pub(super) fn block_on<T>(act: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::Machine)?;
    let done = runtime.block_on(act);
    runtime.shutdown_background();
    done
}

/// The id that was typed.
pub(super) fn id(text: &str) -> Result<StepId, Failure> {
    let id = StepId::try_from(text.to_owned());
    id.map_err(|error| Failure::Value { name: "the step's id", expected: error.to_string() })
}

fn change(
    choice: &StepChoice,
    environment: &Environment,
    act: impl AsyncFn(&dyn Queue, &StepId) -> Result<State, QueueError>,
) -> Result<u8, Failure> {
    let id = id(&choice.id)?;
    let opened = open(&choice.place, environment)?;
    let (state, entry) = block_on(async {
        let state = act(&*opened.queue, &id).await?;
        Ok((state, opened.queue.show(&id).await?))
    })?;
    print(&match choice.output {
        LogFormat::Text if state.is_out() => {
            format!("{id} is {state}: its worker has been asked to end it\n")
        }
        LogFormat::Text => format!("{id} is {state}\n"),
        LogFormat::Json => document(&entry),
    })
}

fn prune(arguments: &PruneArguments, environment: &Environment) -> Result<u8, Failure> {
    let age = age(&arguments.older_than)?;
    let opened = open(&arguments.place, environment)?;
    let removed = block_on(async { Ok(opened.queue.prune(age).await?) })?;
    print(&match (arguments.output, removed) {
        (LogFormat::Json, _) => format!("{}\n", serde_json::json!({"removed": removed})),
        (LogFormat::Text, 1) => "removed 1 step\n".into(),
        (LogFormat::Text, _) => format!("removed {removed} steps\n"),
    })
}

/// A duration, or days: steps are kept longer than they run.
fn age(text: &str) -> Result<Duration, Failure> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    let days = days.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60));
    let wrong = |_| Failure::Value {
        name: "--older-than",
        expected: "expected a number of days such as 7d, or a duration such as 30m or 12h".into(),
    };
    days.map_or_else(|| parse_duration(text).map_err(wrong), Ok)
}

/// Prints what was asked for.
pub(super) fn print(text: &str) -> Result<u8, Failure> {
    io::stdout().write_all(text.as_bytes()).map(|()| 0).map_err(Failure::Output)
}

#[cfg(test)]
mod tests {
    use super::age;
    use std::time::Duration;

    #[test]
    fn an_age_is_a_number_of_days_or_a_duration() {
        let hour = Duration::from_secs(3600);
        for (text, expected) in [("7d", 7 * 24 * hour), ("0d", Duration::ZERO), ("36h", 36 * hour)] {
            assert_eq!(age(text).expect("an age"), expected);
        }
        for text in ["", "d", "7", "-1d", "1d12h", "99999999999d"] {
            assert_eq!(age(text).expect_err("none").code(), 64, "{text}");
        }
    }
}
