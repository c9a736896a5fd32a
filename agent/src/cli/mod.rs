//! What was typed. Nothing is resolved here; `settings` says what it means.

mod mask;
mod queue;
mod worker;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub use mask::{MaskArguments, MaskForms};
pub use queue::{
    ListArguments, LogsArguments, PruneArguments, QueueArguments, QueueChoice, QueueCommand, StepChoice,
    StepState, SubmitArguments,
};
pub use worker::{WorkerArguments, label};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "kubestep",
    version,
    about = "Runs a deployment step against Kubernetes: credentials in, masked log and result out",
    long_about = "Runs a deployment step against Kubernetes.\n\n\
        A payload (YAML or JSON) names a cluster, an account and a script. kubestep writes a temporary \
        KUBECONFIG, runs the script with it under supervision, masks every secret in the live log, and leaves \
        nothing behind.",
    max_term_width = 100,
    arg_required_else_help = true
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one step, and exit with its script's code
    #[command(long_about = RUN_ABOUT, after_long_help = RUN_HELP)]
    Run(RunArguments),
    /// Say what `run` would do and why; touches neither cluster nor plugin
    #[command(after_long_help = EXPLAIN_HELP)]
    Explain(ExplainArguments),
    /// Say whether this machine has what steps need, or what one step needs
    #[command(long_about = CHECK_ABOUT, after_long_help = CHECK_HELP)]
    Check(CheckStepArguments),
    /// Print the JSON Schema of payloads or results
    #[command(after_long_help = SCHEMA_HELP)]
    Schema(SchemaArguments),
    /// Mask secrets in a stream: standard input to standard output
    #[command(long_about = mask::MASK_ABOUT, after_long_help = mask::MASK_HELP)]
    Mask(MaskArguments),
    /// Put a step on a queue, and follow it
    #[command(long_about = queue::SUBMIT_ABOUT, after_long_help = queue::SUBMIT_HELP)]
    Submit(SubmitArguments),
    /// Look at the steps of a queue, read their logs, cancel them
    #[command(after_long_help = queue::QUEUE_HELP)]
    Queue(QueueArguments),
    /// List the steps that run here, this user's
    #[command(after_long_help = PS_HELP)]
    Ps(PsArguments),
    /// Take steps from a queue, and run them
    #[command(long_about = worker::WORKER_ABOUT, after_long_help = worker::WORKER_HELP)]
    Worker(WorkerArguments),
    /// Remove what steps left whose agent and supervisor were killed at once
    #[command(after_long_help = SWEEP_HELP)]
    Sweep(SweepArguments),
}

/// `kubestep check`.
#[derive(Debug, Args)]
pub struct CheckStepArguments {
    /// The payload that this is about, a YAML or JSON file; `-` reads standard input [default: any step]
    #[arg(value_name = "STEP")]
    pub step: Option<PathBuf>,
    /// What is asked.
    #[command(flatten)]
    pub check: tooling_check::command::CheckArguments,
    /// Whom the payload speaks for
    #[arg(long, value_name = "ORIGIN", default_value = "local")]
    pub origin: PayloadOrigin,
    /// The operator's config, TOML (keys: `kubestep run --help`)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where tools that were tried are remembered
    #[arg(long, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
}

/// `kubestep ps`.
#[derive(Debug, Args)]
pub struct PsArguments {
    /// For people or for machines
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: LogFormat,
}

/// `kubestep sweep`.
#[derive(Debug, Args)]
pub struct SweepArguments {
    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
}

/// `kubestep schema`.
#[derive(Debug, Args)]
pub struct SchemaArguments {
    /// Which document's
    #[arg(value_name = "DOCUMENT", default_value = "payload")]
    pub document: Document,
}

/// A document that has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Document {
    /// What `kubestep run` reads.
    Payload,
    /// What `--result` writes.
    Result,
}

/// A payload, and the operator's word on it.
#[derive(Debug, Args)]
pub struct StepArguments {
    /// The payload, a YAML or JSON file; `-` reads standard input
    #[arg(value_name = "STEP")]
    pub step: PathBuf,
    /// Whom the payload speaks for: `local`, the caller; `remote`, somebody who may name only what the config allows
    #[arg(long, value_name = "ORIGIN", default_value = "local")]
    pub origin: PayloadOrigin,
    /// The operator's config, TOML (keys: `kubestep run --help`)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where tools that were tried are remembered
    #[arg(long, value_name = "FOLDER")]
    pub state_dir: Option<PathBuf>,
    /// What stands in the log in place of a secret [default: ********]
    #[arg(long, value_name = "TEXT")]
    pub mask: Option<String>,
}

/// `kubestep explain`.
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// Which step.
    #[command(flatten)]
    pub step: StepArguments,
    /// For people or for machines
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: LogFormat,
}

/// `kubestep run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// Which step.
    #[command(flatten)]
    pub step: StepArguments,
    /// Write the result, a JSON document, to this file (0600, complete or not at all)
    #[arg(long, value_name = "FILE")]
    pub result: Option<PathBuf>,
    /// Say nothing but errors (the script's own output stays)
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more; twice, everything
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
    /// How the agent's own lines look on standard error
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// How the agent's own lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

/// How a script's processes are held together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TreeMethod {
    /// By a cgroup where one can be made.
    #[default]
    Auto,
    /// By a cgroup from birth on, or not at all.
    Cgroup,
    /// By the sweep of /proc.
    Sweep,
}

/// Whom a payload speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PayloadOrigin {
    /// The caller.
    Local,
    /// Somebody else.
    Remote,
}

const EXPLAIN_HELP: &str = r#"Examples:
  Before the first run of a payload:
    $ kubestep explain step.yaml
  What a worker would say to it:
    $ kubestep explain step.yaml --origin remote --config /etc/kubestep.toml -o json

Exit codes: 0 the step can be planned; 64, 65, 69 as `kubestep run` would end.
"#;

const CHECK_ABOUT: &str = "Say whether this machine has what steps need, or what one step needs.\n\n\
    Looks at the tools (which one is met first, whether it runs, its version), and at whether they work together. \
    With a STEP, what `run` would refuse is refused in the same words. Touches no cluster.";

const CHECK_HELP: &str = r#"Examples:
  Before a payload is sent to this worker:
    $ kubestep check step.yaml
  A machine for EKS, clusters of 1.36; kubectl really runs each plugin:
    $ kubestep check --for eks --server 1.36 --prove --strict
  For a worker's registration:
    $ kubestep check --capabilities

Exit codes:
  0   good (notes, and warnings without --strict)
  1   warnings, with --strict
  2   something needed is missing or too old
  3   something needed is there and does not work
  64  wrong usage; the rules or STEP cannot be read
  65  STEP is wrong, or not allowed
  70  a fault of the program or its machine
  141 nobody reads standard output any more
"#;

const SCHEMA_HELP: &str = r#"Examples:
  Completion and checks in an editor with a YAML language server:
    $ kubestep schema > step.schema.json
    $ head -1 step.yaml
    # yaml-language-server: $schema=step.schema.json
"#;

const PS_HELP: &str = r#"Examples:
  Who runs here, and how to stop one:
    $ kubestep ps
    PID    STEP        SINCE                 WORKSPACE
    48213  deploy-web  2026-11-24T10:00:00Z  /tmp/kubestep-p3kTq0mV9sXw2bYe-work
    $ kill -TERM 48213
  For machines:
    $ kubestep ps -o json
"#;

const SWEEP_HELP: &str = r#"Examples:
  After a crash, without waiting for the next step (every `kubestep run` sweeps, too):
    $ kubestep sweep --dry-run
    $ kubestep sweep

A step is dead when nobody holds the lock in its folder; its age and name are not looked at. Only this user's
folders in $XDG_RUNTIME_DIR, /dev/shm and $TMPDIR are looked through.

Exit codes: 0 all is removed, or nothing was there; 70 something could not be removed.
"#;

const RUN_ABOUT: &str = "Run one step, and exit with its script's code.\n\n\
    Standard output is the script's, with every secret masked; so is standard error, with the agent's own lines \
    between (each begins with `kubestep: `).";

const RUN_HELP: &str = r#"Examples:
  A step with a token from the environment:
    $ cat step.yaml
    apiVersion: kubestep/v1
    kind: Step
    metadata: {name: deploy-web}
    target:
      server: https://k8s.example:6443
      certificateAuthority: {fromFile: ca.pem}
      namespace: shop
      auth: {token: {fromEnv: TOKEN}}
    script:
      body: |
        kubectl apply -f app.yaml
    files: {app.yaml: {fromFile: app.yaml}}
    $ TOKEN=… kubestep run step.yaml --result result.json

  From a pipe, the log for machines:
    $ generate-step | kubestep run - --log-format json

Exit codes:
  the script's own   the script ran to its end (128+n: signal n ended it)
  64  wrong command line, STEP not readable, or --result not writable
  65  the payload is wrong, or not allowed
  69  a tool is missing or broken
  70  a fault of the agent or its machine
  124 limits.timeout has passed
  129, 130, 143  HUP, INT, TERM: the script gets TERM, after limits.grace KILL; a second INT or TERM kills at once
  141 nobody reads standard output any more
  153 more than limits.output was written, and limits.outputPolicy is fail
  The result's `reason` tells one from another where the script's own code is the same.

Config (TOML; a flag beats a KUBESTEP_… variable beats the config):
  stateDir = "/var/lib/kubestep"     # also KUBESTEP_STATE_DIR
  queue = "sqlite:/var/lib/kubestep/queue"  # of submit, queue and worker; also KUBESTEP_QUEUE
  mask = "********"                  # also KUBESTEP_MASK
  logFormat = "text"                 # or "json"; also KUBESTEP_LOG_FORMAT
  tree = "auto"                      # "cgroup": from birth on, or no step; "sweep": none; also KUBESTEP_TREE
  serviceAccountDir = "/var/run/secrets/kubernetes.io/serviceaccount"
  [remote]                           # what a payload with --origin remote may name
  environment = ["APP_*"]            # for fromEnv and inheritEnvironment
  files = ["/srv/steps"]             # folders for fromFile, script.file, workingDirectory, tokenFile
  tools = ["/opt/tools"]             # folders for tools
  inCluster = ["https://10.0.0.1:443"]  # servers that the pod's own account may be sent to
  eksWorker = ["https://ID.gr7.REGION.eks.amazonaws.com"]  # servers for the worker's own AWS account
  aksManagedIdentity = ["https://NAME.hcp.REGION.azmk8s.io"]  # servers for the worker's own Azure identity
  aksServerId = ["ID"]               # applications of Entra, beside AKS' own, that tokens may be made for
  gkeVmServiceAccount = ["https://10.0.0.2"]  # servers for the worker's own Google account
  [maxima]                           # the largest limits of a remote payload
  timeout = "2h"
  grace = "1m"
  login = "1m"
  output = "100MiB"
  The config's own place: --config, else KUBESTEP_CONFIG; none otherwise.
"#;
