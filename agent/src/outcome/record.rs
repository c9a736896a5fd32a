//! What is known of a step so far, collected along the line; at the end it becomes the result document.

use std::time::Instant;

use jiff::Timestamp;

use super::document::{
    Agent, ApiVersion, Kind, LogSummary, Metadata, Phase, PhaseName, ProcessSummary, ScriptEnd, StepResult,
    TargetSummary, ToolSummary, TreeSummary,
};
use super::{StepError, Verdict};
use crate::log::Totals;
use crate::payload::Step;
use crate::plan::{Login, Plan, Warning};
use crate::supervise::{Ending, Exit, Left, Tree};

/// The collection.
pub struct Record {
    started: Timestamp,
    metadata: Metadata,
    target: Option<TargetSummary>,
    tools: Vec<ToolSummary>,
    phases: Vec<Phase>,
    current: Option<(PhaseName, Instant)>,
    tree: Option<TreeSummary>,
    /// What came after `limits.output`, in bytes.
    pub truncated: u64,
    /// In the order in which they came up.
    pub warnings: Vec<Warning>,
    /// Who is told of each phase as it begins.
    watcher: Option<Watcher>,
}

type Watcher = Box<dyn Fn(PhaseName) + Send>;

impl Record {
    /// Begins with the time.
    #[must_use]
    pub fn begin(now: Timestamp) -> Self {
        let (metadata, tools, phases, warnings) = (Metadata::default(), Vec::new(), Vec::new(), Vec::new());
        Self {
            started: now,
            metadata,
            target: None,
            tools,
            phases,
            current: None,
            tree: None,
            truncated: 0,
            warnings,
            watcher: None,
        }
    }

    /// Has somebody told of each phase as it begins.
    #[must_use]
    pub fn watched(mut self, watcher: impl Fn(PhaseName) + Send + 'static) -> Self {
        self.watcher = Some(Box::new(watcher));
        self
    }

    /// Begins a phase, and ends the one before.
    pub fn phase(&mut self, name: PhaseName) {
        self.end_phase();
        if let Some(watcher) = &self.watcher {
            watcher(name);
        }
        self.current = Some((name, Instant::now()));
    }

    fn end_phase(&mut self) {
        if let Some((name, since)) = self.current.take() {
            // To a tenth: more digits would only be noise.
            let milliseconds = (since.elapsed().as_secs_f64() * 10_000.0).round() / 10.0;
            self.phases.push(Phase { name, milliseconds });
        }
    }

    /// Which step it is.
    pub fn step(&mut self, step: &Step) {
        self.metadata = Metadata { name: Some(step.name.clone()), labels: step.labels.clone() };
        let target = &step.target;
        self.target = Some(TargetSummary {
            server: target.server.clone(),
            namespace: target.namespace.clone(),
            auth: target.auth.method(),
            plugin: None,
        });
    }

    /// Where the cluster was found.
    pub fn server(&mut self, server: &str) {
        if let Some(target) = &mut self.target {
            target.server = Some(server.to_owned());
        }
    }

    /// What was decided.
    pub fn plan(&mut self, plan: &Plan) {
        let summary = |tool: &crate::plan::ChosenTool| ToolSummary {
            name: tool.name,
            path: tool.path.clone(),
            version: tool.version.clone(),
        };
        self.tools = plan.tools.iter().map(summary).collect();
        if let (Some(target), Login::Broker(cloud)) = (&mut self.target, &plan.login) {
            target.plugin = cloud.plugin().map(|plugin| plugin.name);
        }
        self.warnings.extend(plan.warnings.iter().cloned());
    }

    /// What was seen of the script's processes. Their names are the script's choice, so they are masked.
    pub fn tree(&mut self, tree: &Tree, mask: impl Fn(&str) -> String) {
        let summary = |left: &Left| {
            let named = left.named.iter();
            named.map(|one| ProcessSummary { pid: one.pid, name: mask(&one.name) }).collect()
        };
        self.tree = Some(TreeSummary {
            method: tree.method,
            leftovers: summary(&tree.leftovers),
            leftover_count: tree.leftovers.count,
            survivors: summary(&tree.survivors),
        });
    }

    /// The document.
    #[must_use]
    pub fn finish(mut self, done: &Result<Ending, StepError>, verdict: &Verdict, log: Totals) -> StepResult {
        self.end_phase();
        let exit = done.as_ref().ok().and_then(Ending::exit);
        StepResult {
            api_version: ApiVersion::V1,
            kind: Kind::StepResult,
            metadata: self.metadata,
            reason: verdict.reason,
            exit_code: verdict.exit_code,
            script: exit.map(script_end),
            message: verdict.message.clone(),
            hint: verdict.hint.clone(),
            started_at: milliseconds(self.started),
            finished_at: milliseconds(Timestamp::now()),
            agent: Agent { version: env!("CARGO_PKG_VERSION") },
            target: self.target,
            tools: self.tools,
            phases: self.phases,
            log: LogSummary {
                stdout_bytes: log.stdout,
                stderr_bytes: log.stderr,
                masked: log.masked,
                dropped: log.dropped + self.truncated,
            },
            tree: self.tree,
            warnings: self.warnings,
        }
    }
}

fn script_end(exit: Exit) -> ScriptEnd {
    match exit {
        Exit::Code(code) => ScriptEnd { exit_code: Some(code), signal: None },
        Exit::Signal(signal) => ScriptEnd { exit_code: None, signal: Some(signal) },
    }
}

fn milliseconds(time: Timestamp) -> String {
    format!("{time:.3}")
}
