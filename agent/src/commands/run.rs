//! `kubestep run STEP`.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing_subscriber::layer::SubscriberExt;

use super::request::{self, RequestError};
use super::{SOFTWARE, USAGE, complain};
use crate::causes::with_causes;
use crate::cli::{LogFormat, RunArguments};
use crate::log::{Format, Level, Log, Voice};
use crate::mask::Masker;
use crate::outcome::{Record, StepResult};
use crate::settings::{Environment, Settings, SettingsError};
use crate::step::{self, Context, Outcome, Request};
use crate::supervise::{self, StopReason};

/// What ends the command before there is a step.
#[derive(Debug, thiserror::Error)]
enum UsageError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("the result {path} cannot be written")]
    Result {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Runs one step, and gives the exit code.
#[must_use]
pub fn run(arguments: &RunArguments, environment: Environment) -> u8 {
    let prepared = Settings::resolve(&arguments.step, arguments.log_format, &environment)
        .map_err(UsageError::from)
        .and_then(|settings| {
            prove_writable(arguments.result.as_deref())?;
            let request = request::read(
                &arguments.step.step,
                request::origin(arguments.step.origin),
                &settings,
                environment,
            )?;
            Ok((settings, request))
        });
    match prepared {
        Ok((settings, request)) => run_step(arguments, &settings, &request).unwrap_or_else(|error| {
            complain(&format!("the agent cannot work on this machine: {error}"));
            SOFTWARE
        }),
        Err(error) => {
            complain(&with_causes(&error));
            USAGE
        }
    }
}

fn run_step(arguments: &RunArguments, settings: &Settings, request: &Request) -> io::Result<u8> {
    supervise::tree::seal()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(with_log(settings, voice(arguments, settings), request))?;
    // A writer that hangs on its reader, or a tool that was being tried, must not hold the exit.
    runtime.shutdown_background();
    if let Some(path) = &arguments.result
        && let Err(error) = outcome.result.write(path)
    {
        complain(&format!("the result {} cannot be written: {error}", path.display()));
        return Ok(SOFTWARE);
    }
    Ok(outcome.verdict.exit_code)
}

async fn with_log(settings: &Settings, voice: Voice, request: &Request) -> io::Result<Outcome> {
    let (stop, stops) = mpsc::unbounded_channel();
    listen(&stop)?;
    let masker = Masker::new(&settings.mask);
    let closed = stop.clone();
    let log = Log::open(masker.clone(), voice, move || {
        // A step that is over needs no news.
        let _ = closed.send(StopReason::LogClosed);
    })?;
    diagnose(&log);
    let context = Context::new(&log, masker, (stop, stops), Record::begin(request.surroundings.now));
    Ok(step::run(request, context).await)
}

/// Has the log say what is traced.
pub(super) fn diagnose(log: &Log) {
    let subscriber = tracing_subscriber::registry().with(log.diagnostics());
    // There is one command a process; a second subscriber is a test's, and keeps its first one.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Turns signals into reasons to stop.
pub(super) fn listen(stop: &mpsc::UnboundedSender<StopReason>) -> io::Result<()> {
    for (kind, reason) in [
        (SignalKind::hangup(), StopReason::Hangup),
        (SignalKind::interrupt(), StopReason::Interrupt),
        (SignalKind::terminate(), StopReason::Terminate),
    ] {
        // Whoever started us by nohup does not want it to end anything.
        if reason == StopReason::Hangup && supervise::ignores_hangup() {
            continue;
        }
        let (mut signal, stop) = (signal(kind)?, stop.clone());
        tokio::spawn(async move { while signal.recv().await.is_some() && stop.send(reason).is_ok() {} });
    }
    Ok(())
}

fn voice(arguments: &RunArguments, settings: &Settings) -> Voice {
    let least = match (arguments.quiet, arguments.verbose) {
        (true, _) => Level::Error,
        (false, 0) => Level::Info,
        (false, 1) => Level::Debug,
        (false, _) => Level::Trace,
    };
    let format = match settings.log_format {
        LogFormat::Text if settings.colour && io::stderr().is_terminal() => Format::Colour,
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    Voice { format, least }
}

/// Before anything is done, so that no step runs whose result would be lost.
fn prove_writable(result: Option<&Path>) -> Result<(), UsageError> {
    let Some(path) = result else { return Ok(()) };
    StepResult::prove_writable(path).map_err(|source| UsageError::Result { path: path.to_owned(), source })
}
