//! What is typed after `kubestep worker`.

use std::path::PathBuf;

use clap::Args;

use super::LogFormat;

/// `kubestep worker`.
#[derive(Debug, Default, Args)]
pub struct WorkerArguments {
    /// The queue: sqlite:FOLDER [default: `queue` in the state folder]
    #[arg(long, value_name = "URL")]
    pub queue: Option<String>,
    /// Whose steps are run [default: default]
    #[arg(long, value_name = "NAME")]
    pub pool: Option<String>,
    /// How many steps run at a time [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub slots: Option<u16>,
    /// What this worker is called, for people [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// A label that steps may ask for (repeatable; replaces those of the config)
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// Run one step, and end
    #[arg(long, conflicts_with = "max_steps")]
    pub once: bool,
    /// End after so many steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_steps: Option<u64>,
    /// End when no step came for so long, and none runs
    #[arg(long, value_name = "DURATION")]
    pub idle_exit: Option<String>,
    /// How long running steps may go on after the first TERM or INT [default: as long as they take]
    #[arg(long, value_name = "DURATION")]
    pub drain_timeout: Option<String>,
    /// Run steps as this user, or each slot's as its own of a range such as 10001-10004; only root can
    #[arg(long, value_name = "USER")]
    pub step_user: Option<String>,
    /// Answer /livez, /readyz and /metrics at this address, by HTTP, to whoever asks, such as 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// The operator's config, TOML
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the queue, and of what was learned of tools
    #[arg(long, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
    /// What stands in the steps' logs in place of a secret [default: ********]
    #[arg(long, value_name = "TEXT")]
    pub mask: Option<String>,
    /// Say nothing but warnings and errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more: the phases of each step as they begin
    #[arg(short, long)]
    pub verbose: bool,
    /// How the worker's own lines look on standard error
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Print the settings that hold, and where each comes from, as a config; nothing is run
    #[arg(long)]
    pub print_config: bool,
}

/// `zone=eu-1`: the name, which is not empty, and the value.
///
/// # Errors
/// What was expected.
pub fn label(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() { Err("expected NAME=VALUE") } else { Ok((name.to_owned(), value.to_owned())) }
}

pub(super) const WORKER_ABOUT: &str = "Take steps from a queue, run each in a process of its own, and tell the queue how it ended.\n\n\
    First the machine's tools are looked at: they decide which steps are claimed. A payload speaks for whoever \
    submitted it, and may name of this machine only what the config allows. The steps' logs go to the queue, masked; \
    standard error has the worker's own lines, one when a step begins and one when it ends.";

pub(super) const WORKER_HELP: &str = r#"Examples:
  Two steps at a time, from the queue in the state folder:
    $ kubestep worker --slots 2
  Each slot's steps as a user of their own (as root):
    # kubestep worker --slots 4 --step-user 10001-10004 --config /etc/kubestep.toml
  One step of the pool gpu, or none within a minute, and end:
    $ kubestep worker --pool gpu --once --idle-exit 1m
  What holds, and why:
    $ kubestep worker --slots 2 --print-config

Signals:
  TERM, INT   the first: no new steps, those that run may end by themselves (--drain-timeout bounds that);
              the second: they are cancelled, each with its grace; the third: they are killed
  QUIT        running steps are cancelled at once
  HUP         the config is read again; it holds for the next step

Exit codes:
  0   ended as it was told, or as --once, --max-steps or --idle-exit say; no step was cut short
  1   ended as it was told, and running steps were cancelled or killed
  64  wrong command line, environment or config
  69  the preflight found that no step can run here
  70  a fault of the worker or its machine; the queue cannot be opened

Config (TOML; a flag beats a KUBESTEP_… variable beats the config; the rest of it: `kubestep run --help`):
  queue = "sqlite:/var/lib/kubestep/queue"  # also KUBESTEP_QUEUE
  [worker]
  pool = "default"                   # also KUBESTEP_POOL
  slots = 2                          # also KUBESTEP_SLOTS
  name = "build-7"                   # also KUBESTEP_NAME
  maxSteps = 100                     # also KUBESTEP_MAX_STEPS
  idleExit = "10m"                   # also KUBESTEP_IDLE_EXIT
  drainTimeout = "1h"                # also KUBESTEP_DRAIN_TIMEOUT
  stepUser = "10001-10002"           # also KUBESTEP_STEP_USER
  listen = "127.0.0.1:9464"          # also KUBESTEP_LISTEN
  [worker.labels]                    # also KUBESTEP_LABELS: zone=eu-1,disk=ssd
  zone = "eu-1"
"#;
