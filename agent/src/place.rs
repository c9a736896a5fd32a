//! What a queue's URL means, and the queue that is there: `sqlite:PATH`, a folder of this machine; others come later.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::queue::clock::Clock;
use crate::queue::sqlite::Sqlite;
use crate::queue::{Queue, QueueError};
use crate::settings::Settings;

/// Where a queue is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The embedded engine in this folder.
    Sqlite(PathBuf),
}

/// Why there is no queue.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The URL names no queue. Nothing of it is repeated, as it may hold a password.
    #[error("the queue's URL: expected sqlite:FOLDER")]
    Url,
    /// A kind that this version does not have.
    #[error("the queue's URL: queues of NATS (nats://…) come with a later version; expected sqlite:FOLDER")]
    Later,
    /// Neither a URL nor a state folder.
    #[error("there is no queue: neither --queue, KUBESTEP_QUEUE nor a state folder to have one in")]
    Nowhere,
    /// This machine's clocks cannot be read.
    #[error("no lease can be measured on this machine")]
    Clock(#[source] std::io::Error),
    /// It cannot be opened.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl PlaceError {
    /// Whether the command line, the environment or the config is at fault, and not the machine.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Url | Self::Later | Self::Nowhere)
    }
}

impl Place {
    /// What `url` means, which was typed; without one, the settings' URL; without that, `queue` in the state folder.
    ///
    /// # Errors
    /// [`PlaceError::Url`], [`PlaceError::Later`], [`PlaceError::Nowhere`].
    pub fn of(url: Option<&str>, settings: &Settings) -> Result<Self, PlaceError> {
        let Some(url) = url.or(settings.queue.as_deref()) else {
            let state = settings.state_dir.as_ref().ok_or(PlaceError::Nowhere)?;
            return Ok(Self::Sqlite(state.join("queue")));
        };
        match url.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("nats" | "tls" | "ws" | "wss", _)) => Err(PlaceError::Later),
            _ => Err(PlaceError::Url),
        }
    }

    /// Opens the queue; makes it where there is none.
    ///
    /// # Errors
    /// [`PlaceError::Clock`], [`PlaceError::Queue`].
    pub fn open(&self) -> Result<Arc<dyn Queue>, PlaceError> {
        match self {
            Self::Sqlite(folder) => {
                let clock = Clock::machine().map_err(PlaceError::Clock)?;
                Ok(Arc::new(Sqlite::open(folder, clock)?))
            }
        }
    }
}

impl fmt::Display for Place {
    /// As `--queue` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(folder) => write!(f, "sqlite:{}", folder.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, PlaceError};
    use crate::cli::{Arguments, Command};
    use crate::queue::Filter;
    use crate::settings::{Environment, Settings};
    use clap::Parser;

    fn settings(variables: &[(&str, &str)]) -> Settings {
        let Command::Run(arguments) = Arguments::parse_from(["kubestep", "run", "-"]).command else {
            unreachable!("a run")
        };
        let environment: Environment =
            variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Settings::resolve(&arguments.step, None, &environment).expect("valid")
    }

    #[test]
    fn what_is_typed_beats_the_settings_beat_the_state_folder() {
        let state = [("KUBESTEP_STATE_DIR", "/state")];
        let both = [("KUBESTEP_STATE_DIR", "/state"), ("KUBESTEP_QUEUE", "sqlite:/variable")];
        for (typed, variables, expected) in [
            (None, &state[..], "sqlite:/state/queue"),
            (None, &both[..], "sqlite:/variable"),
            (Some("sqlite:/typed"), &both[..], "sqlite:/typed"),
            (Some("sqlite:here"), &both[..], "sqlite:here"),
        ] {
            assert_eq!(Place::of(typed, &settings(variables)).expect("a place").to_string(), expected);
        }
    }

    #[test]
    fn what_names_no_queue_is_refused_without_a_word_of_it() {
        for (url, is_later) in [
            ("nats://user:hunter22@nats.example:4222", true),
            ("https://user:hunter22@queue.example", false),
            ("sqlite:", false),
            ("/var/lib/hunter22", false),
            ("", false),
        ] {
            let error = Place::of(Some(url), &settings(&[])).expect_err("no queue");
            assert_eq!(matches!(error, PlaceError::Later), is_later, "{url}");
            assert!(error.is_usage() && !error.to_string().contains("hunter22"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_queue_is_opened_and_made_where_there_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::Sqlite(folder.path().join("state/queue"));
        let queue = place.open().expect("a queue");
        assert!(queue.list(Filter::default()).await.expect("a list").is_empty());
        std::fs::write(folder.path().join("file"), "").expect("written");
        let error = Place::Sqlite(folder.path().join("file")).open().err().expect("no folder");
        assert!(!error.is_usage(), "{error}");
    }
}
