//! `kubestep worker`: from what was typed to a worker that runs, and an exit code.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::{SOFTWARE, USAGE, check, complain};
use crate::causes::with_causes;
use crate::cli::{LogFormat, WorkerArguments};
use crate::log::{Format, Level, Log, Voice};
use crate::mask::Masker;
use crate::place::{Place, PlaceError};
use crate::queue::{Claimer, PoolError, checked_pool};
use crate::settings::worker::WorkerSettings;
use crate::settings::{Environment, SettingsError};
use crate::supervise;
use crate::worker::drain::{self, Drain};
use crate::worker::listen::ListenError;
use crate::worker::notify::Notify;
use crate::worker::outside::Outside;
use crate::worker::preflight::{PreflightError, preflight};
use crate::worker::ready::Health;
use crate::worker::seat::{Seat, SeatError, Template};
use crate::worker::status::Status;
use crate::worker::users::{self, UserError};
use crate::worker::{Bounds, Worker};

/// Running steps were cancelled or killed.
const CUT_SHORT: u8 = 1;

/// No step can run here.
const UNFIT: u8 = 69;

/// Why a worker does not work.
#[derive(Debug, thiserror::Error)]
enum WorkError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error("the step user: {0}")]
    User(#[from] UserError),
    #[error(transparent)]
    Seat(#[from] SeatError),
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    #[error("no step can run here:\n{0}")]
    Unfit(String),
    #[error("pool: {0}")]
    Pool(#[from] PoolError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("the worker cannot work on this machine")]
    Machine(#[from] io::Error),
}

impl WorkError {
    fn code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::User(_) | Self::Pool(_) => USAGE,
            Self::Place(error) if error.is_usage() => USAGE,
            Self::Unfit(_) => UNFIT,
            Self::Place(_) | Self::Seat(_) | Self::Preflight(_) | Self::Listen(_) | Self::Machine(_) => {
                SOFTWARE
            }
        }
    }
}

/// Works, and gives the exit code.
#[must_use]
pub fn run(arguments: &WorkerArguments, environment: Environment) -> u8 {
    work(arguments, environment).unwrap_or_else(|error| {
        complain(&with_causes(&error));
        error.code()
    })
}

fn work(arguments: &WorkerArguments, environment: Environment) -> Result<u8, WorkError> {
    supervise::tree::seal()?;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let settings =
        WorkerSettings::resolve(arguments, &environment, if host.is_empty() { "worker" } else { host })?;
    checked_pool(&settings.pool)?;
    let place = Place::of(None, &settings.step)?;
    if arguments.print_config {
        let told = settings.config(&place.to_string());
        return Ok(io::stdout().write_all(told.as_bytes()).map_or(SOFTWARE, |()| 0));
    }
    let seats = seats(&settings)?;
    let fitness = preflight(&check::surroundings(&environment, &settings.step))?;
    if let Some(report) = fitness.unfit {
        return Err(WorkError::Unfit(report));
    }
    let queue = place.open()?;
    let claimer = claimer(&settings, fitness.capabilities);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let (wish, wishes) = mpsc::unbounded_channel();
        let (reload, reloads) = mpsc::unbounded_channel();
        drain::listen(&wish, &reload)?;
        let log = Log::open(Masker::new(&settings.step.mask), voice(arguments, &settings), || ())?;
        super::run::diagnose(&log);
        let first = Template { settings: own(&settings), environment: environment.clone() };
        let (template, newest) = watch::channel(first);
        let outside = Outside::open(settings.listen, &environment).await?;
        let notify = outside.notify();
        let again = Again { arguments, environment: &environment, host, template, reloads, notify };
        let status = Status::new(&settings.pool, usize::from(settings.slots));
        status.preflight(Ok(()));
        let Place::Sqlite(folder) = place;
        let folders = vec![folder, settings.step.work_root.clone()];
        let health = Health::new(status.clone(), Arc::clone(&queue), folders);
        let _tasks = outside.begin(status.clone(), health);
        let worker = Worker {
            queue,
            claimer,
            seats,
            program: settings.step.program.clone(),
            template: newest,
            bounds: Bounds {
                steps: settings.max_steps,
                idle: settings.idle_exit,
                drain: settings.drain_timeout,
            },
            wishes,
            status,
            log,
        };
        tokio::select! {
            drain = worker.run() => Ok::<_, WorkError>(drain),
            never = again.reload() => match never {},
        }
    })?;
    // A queue that hangs must not hold the exit.
    runtime.shutdown_background();
    Ok(if ended >= Drain::Cancel { CUT_SHORT } else { 0 })
}

fn claimer(settings: &WorkerSettings, capabilities: BTreeSet<String>) -> Claimer {
    let (worker, pool, labels) = (settings.name.clone(), settings.pool.clone(), settings.labels.clone());
    Claimer { worker, pool, capabilities, labels }
}

/// What the steps of a worker are told: where their queue is, is none of it.
fn own(settings: &WorkerSettings) -> crate::settings::Settings {
    crate::settings::Settings { queue: None, ..settings.step.clone() }
}

fn seats(settings: &WorkerSettings) -> Result<Vec<Seat>, WorkError> {
    let slots = usize::from(settings.slots);
    let Some(text) = &settings.step_user else { return Ok(vec![Seat::shared(); slots]) };
    let passwd = std::fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    let users = users::parse(text, slots, &passwd)?;
    if !rustix::process::geteuid().is_root() || !rustix::process::getuid().is_root() {
        return Err(UserError::NotRoot.into());
    }
    let state = settings.step.state_dir.as_deref();
    Ok(users.into_iter().map(|user| Seat::of(user, state)).collect::<Result<_, _>>()?)
}

fn voice(arguments: &WorkerArguments, settings: &WorkerSettings) -> Voice {
    let least = match (arguments.quiet, arguments.verbose) {
        (true, _) => Level::Warning,
        (false, false) => Level::Info,
        (false, true) => Level::Debug,
    };
    let format = match settings.step.log_format {
        LogFormat::Text if settings.step.colour && io::stderr().is_terminal() => Format::Colour,
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    Voice { format, least }
}

/// Reads the config again when HUP asks for it.
struct Again<'a> {
    arguments: &'a WorkerArguments,
    environment: &'a Environment,
    host: &'a str,
    template: watch::Sender<Template>,
    reloads: mpsc::UnboundedReceiver<()>,
    notify: Arc<Notify>,
}

impl Again<'_> {
    async fn reload(mut self) -> std::convert::Infallible {
        while self.reloads.recv().await.is_some() {
            self.notify.reloading();
            match WorkerSettings::resolve(self.arguments, self.environment, self.host) {
                Ok(settings) => {
                    let environment = self.environment.clone();
                    self.template.send_replace(Template { settings: own(&settings), environment });
                    tracing::info!(
                        "the config was read again: what steps may do holds for the next one, all else from the next start"
                    );
                }
                Err(error) => {
                    tracing::warn!("the config was read again and not taken: {}", with_causes(&error))
                }
            }
            self.notify.ready();
        }
        std::future::pending().await
    }
}
