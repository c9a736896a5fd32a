//! What is typed after `submit` and `queue`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::LogFormat;

/// Which queue.
#[derive(Debug, Args)]
pub struct QueueChoice {
    /// The queue: `sqlite:FOLDER` [default: KUBESTEP_QUEUE, the config's `queue`, else `queue` in the state folder]
    #[arg(long, value_name = "URL")]
    pub queue: Option<String>,
    /// The operator's config, TOML (keys: `kubestep run --help`)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The state folder, in which the queue is by default
    #[arg(long, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
}

/// `kubestep submit`.
#[derive(Debug, Args)]
pub struct SubmitArguments {
    /// The payload, a YAML or JSON file; `-` reads standard input
    #[arg(value_name = "STEP")]
    pub step: PathBuf,
    /// Which queue.
    #[command(flatten)]
    pub place: QueueChoice,
    /// Which workers it is for
    #[arg(long, value_name = "POOL", default_value = "default")]
    pub pool: String,
    /// A label that its worker must have; may be given several times
    #[arg(long = "label", value_name = "NAME=VALUE")]
    pub labels: Vec<String>,
    /// The step's id on the queue; the same step under the same id is submitted once [default: a random one]
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// Show the masked log as it is written, and exit as `run` would
    #[arg(short, long, conflicts_with = "wait")]
    pub follow: bool,
    /// Wait for the end, and exit as `run` would
    #[arg(short, long)]
    pub wait: bool,
    /// For people or for machines
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: LogFormat,
}

/// `kubestep queue`.
#[derive(Debug, Args)]
pub struct QueueArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: QueueCommand,
}

/// What can be done with a queue.
#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// List the steps, the oldest first
    #[command(after_long_help = LIST_HELP)]
    List(ListArguments),
    /// Say what is known of a step; never its payload
    #[command(after_long_help = SHOW_HELP)]
    Show(StepChoice),
    /// Print a step's masked log
    #[command(after_long_help = LOGS_HELP)]
    Logs(LogsArguments),
    /// Cancel a step: at once where no worker has it, else its worker ends it
    #[command(after_long_help = CANCEL_HELP)]
    Cancel(StepChoice),
    /// Put a step that has ended on the queue again, whatever its ending was
    #[command(after_long_help = REQUEUE_HELP)]
    Requeue(StepChoice),
    /// Remove steps that have ended: payloads are overwritten, logs removed
    #[command(after_long_help = PRUNE_HELP)]
    Prune(PruneArguments),
}

/// One step.
#[derive(Debug, Args)]
pub struct StepChoice {
    /// The step's id
    #[arg(value_name = "ID")]
    pub id: String,
    /// Which queue.
    #[command(flatten)]
    pub place: QueueChoice,
    /// For people or for machines
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: LogFormat,
}

/// `kubestep queue list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Which queue.
    #[command(flatten)]
    pub place: QueueChoice,
    /// Only those of this pool
    #[arg(long, value_name = "POOL")]
    pub pool: Option<String>,
    /// Only those in this state
    #[arg(long, value_name = "STATE")]
    pub state: Option<StepState>,
    /// Only those behind this number, which ends the page before
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub after: u64,
    /// How many, at most
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// For people or for machines
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: LogFormat,
}

/// `kubestep queue logs`.
#[derive(Debug, Args)]
pub struct LogsArguments {
    /// Which step.
    #[command(flatten)]
    pub step: StepChoice,
    /// Go on until the step has ended
    #[arg(short, long)]
    pub follow: bool,
    /// Begin where another reader stopped: the `next` of its last line of JSON
    #[arg(long, value_name = "POSITION")]
    pub from: Option<String>,
}

/// `kubestep queue prune`.
#[derive(Debug, Args)]
pub struct PruneArguments {
    /// Which queue.
    #[command(flatten)]
    pub place: QueueChoice,
    /// How long ago they must have ended: a duration, or a number of days such as 7d
    #[arg(long, value_name = "AGE", default_value = "7d")]
    pub older_than: String,
    /// For people or for machines
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: LogFormat,
}

/// Where a step is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StepState {
    /// Its `notBefore` has not come.
    Waiting,
    /// Another step with its concurrency key comes first.
    Held,
    /// The next worker that can run it gets it.
    Queued,
    /// A worker has it, and has not begun.
    Claimed,
    /// A worker runs it.
    Running,
    /// It is over.
    Ended,
}

pub(super) const SUBMIT_ABOUT: &str = "Put a step on a queue, from which a worker takes it.\n\n\
    All of the payload is checked, as by `run`. What it names here (fromEnv, fromFile, script.file, files, …File) is \
    read here and sent by value. Prints the step's id.";

pub(super) const SUBMIT_HELP: &str = r#"Examples:
  Put it there, and look later:
    $ id=$(kubestep submit step.yaml)
    $ kubestep queue show "$id"
  As `kubestep run step.yaml`, on a worker of the pool `prod`:
    $ kubestep submit step.yaml --pool prod --follow
  Once, however often a pipeline tries:
    $ kubestep submit step.yaml --id "build-$BUILD" --wait

What the payload says only of the worker (inheritEnvironment, an absolute workingDirectory or path in tools, its own
accounts) is left to the worker's operator, and told on standard error. What no operator can allow is refused (65).
A step goes to a worker that has what it needs: kubectl and bash, what logs its account in, every tool in `requires`,
every --label. INT and TERM end only the following; the step goes on.

Exit codes:
  0   it is on the queue
  64  wrong command line, STEP not readable, no queue, or another step has the id
  65  the payload is wrong, or cannot be sent
  70  the queue cannot be read or written
  with --follow and --wait, when the step has ended:
  as `kubestep run`  what its worker told
  75  Lost, Rejected or Expired: no worker told an ending
  129, 130, 143      HUP, INT, TERM to this command: the step goes on
  141 nobody reads standard output any more: the step goes on
"#;

pub(super) const QUEUE_HELP: &str = r#"Examples:
  $ kubestep queue list --state running
  $ kubestep queue logs ID -f
  $ kubestep queue cancel ID
  $ kubestep queue prune --older-than 30d

Exit codes: 0; 64 wrong command line, no queue, or no such step; 65 the step is in a state in which that cannot be done;
70 the queue cannot be read or written; 141 nobody reads standard output any more.
"#;

const LIST_HELP: &str = r#"Examples:
  What waits, and what runs, in a pool:
    $ kubestep queue list --pool prod --state queued
    $ kubestep queue list --pool prod --state running
  All of a long queue, for machines: each page begins after the `next` of the one before, which is null in the last
    $ kubestep queue list -o json --limit 1000
    $ kubestep queue list -o json --limit 1000 --after NEXT

A damaged record is a row of its own, and hides no other. docs/queue.md has the fields of the JSON.

Exit codes: 0; 64 wrong command line, or no queue; 70 the queue cannot be read.
"#;

const SHOW_HELP: &str = r#"Examples:
  $ kubestep queue show ID
  The result, as `run --result` writes it:
    $ kubestep queue show ID -o json | jq .ending.result

Exit codes: 0; 64 no such step; 70 the queue cannot be read.
"#;

const LOGS_HELP: &str = r#"Examples:
  As `run` would print it, until the step has ended:
    $ kubestep queue logs ID -f
  One line of JSON a piece, and on from where another reader stopped:
    $ kubestep queue logs ID -o json | tail -1
    {"next":"1:5120","stream":"stdout","text":"…","time":"2026-11-24T10:00:00.123Z"}
    $ kubestep queue logs ID --from 1:5120 -f

What the script wrote to standard output goes to standard output; its standard error and the agent's lines to standard
error. The log was masked by the worker.

Exit codes: 0; 64 no such step, or no position; 70 the queue cannot be read; 129, 130, 143 HUP, INT, TERM;
141 nobody reads standard output any more.
"#;

const CANCEL_HELP: &str = r#"Examples:
  $ kubestep queue cancel ID
  $ kubestep queue logs ID -f

Exit codes: 0 it has ended, or its worker has been asked; 64 no such step; 70 the queue cannot be written.
"#;

const REQUEUE_HELP: &str = r#"Examples:
  A step that was Lost, when somebody has looked at what it did:
    $ kubestep queue requeue ID
    $ kubestep queue logs ID -f

Its notAfter is lifted, its retries are counted anew; its log goes on behind the old one.

Exit codes: 0; 64 no such step; 65 it has not ended; 70 the queue cannot be written.
"#;

const PRUNE_HELP: &str = r#"Examples:
  $ kubestep queue prune
  $ kubestep queue prune --older-than 12h

Exit codes: 0; 64 wrong command line, or no queue; 70 the queue cannot be written.
"#;
