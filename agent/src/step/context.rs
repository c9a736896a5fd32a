//! What accompanies a step along its line: its log, its masker, whoever may stop it, and what is known so far.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tooling_check::Inventory;

use super::output::{Budget, ScriptOutput};
use super::tools::ToolSearch;
use crate::cluster::{Kubectl, namespace};
use crate::credential::{Keeper, News};
use crate::kubeconfig::{self, Purpose};
use crate::limits::{Limits, READER_PATIENCE};
use crate::log::{Level, Line, Log};
use crate::mask::{self, Hidden, Masker, TooShort};
use crate::outcome::{Reason, Record, StepError, StepResult, Verdict};
use crate::payload::Step;
use crate::plan::{Access, Plan, Warning, WarningCode};
use crate::supervise::{self, Command, Ended, Ending, Left, StopReason, SuperviseError, Supervisor, Tree};
use crate::workspace::Workspace;

/// Reasons to stop, as they come: signals, a closed log, too much output.
pub type Stops = mpsc::UnboundedReceiver<StopReason>;

/// Where such reasons are told.
pub type Stop = mpsc::UnboundedSender<StopReason>;

/// What accompanies a step.
pub struct Context<'a> {
    log: &'a Log,
    masker: Masker,
    stop: Stop,
    stops: Stops,
    /// What is known so far.
    pub(super) record: Record,
    /// Once it runs; it is closed on every path.
    supervisor: Option<Supervisor>,
    /// What the script may write; set when it starts.
    budget: Option<Arc<Budget>>,
    /// Until when the reader of the log is waited for; set by the first stop.
    reader_until: Option<Instant>,
}

impl<'a> Context<'a> {
    /// A context at the beginning of its step.
    #[must_use]
    pub fn new(log: &'a Log, masker: Masker, (stop, stops): (Stop, Stops), record: Record) -> Self {
        Self { log, masker, stop, stops, record, supervisor: None, budget: None, reader_until: None }
    }

    /// The same with a supervisor that runs already.
    #[must_use]
    pub fn with_supervisor(self, supervisor: Supervisor) -> Self {
        Self { supervisor: Some(supervisor), ..self }
    }

    /// The supervisor, which is started where none runs yet.
    pub(super) async fn supervisor(&mut self, program: &Path) -> Result<&mut Supervisor, SuperviseError> {
        let supervisor = match self.supervisor.take() {
            Some(supervisor) => supervisor,
            None => Supervisor::start(program).await?,
        };
        Ok(self.supervisor.insert(supervisor))
    }

    /// Masks the step's secrets from here on, and notes whose step it is.
    pub(super) fn learn(&mut self, step: &Step) {
        self.record.step(step);
        let secrets = step.secrets();
        let answers = self.masker.add(secrets.iter().map(|named| named.secret));
        for (named, answer) in secrets.iter().zip(answers) {
            let (code, message, hint) = match answer {
                Ok(Hidden::Everywhere) => continue,
                Ok(Hidden::CommonWord) => (
                    WarningCode::SecretCommonWord,
                    format!("{} is an ordinary word: the log is masked wherever it stands", named.field),
                    "its other forms (base64, JSON, …) are not masked; use a value that is no word",
                ),
                Err(TooShort) => (
                    WarningCode::SecretTooShort,
                    format!("{} has fewer than {} bytes and is not masked", named.field, mask::SHORTEST),
                    "a secret that short would mask ordinary text; use a longer one",
                ),
            };
            self.warn(Warning { code, message, hint: Some(hint.into()) });
        }
    }

    /// Looks for the step's tools; on a thread of its own where one has to be tried, which may take its time.
    pub(super) async fn inventory(
        &mut self,
        step: &Step,
        memory: Option<&Path>,
    ) -> Result<Inventory, StepError> {
        let search = ToolSearch::new(step, memory);
        if let Some(inventory) = search.recall() {
            return Ok(inventory);
        }
        let search = tokio::task::spawn_blocking(move || search.run());
        tokio::select! {
            biased;
            Some(reason) = self.stops.recv() => {
                supervise::end_others();
                Err(StepError::Stopped(reason))
            }
            inventory = search => inventory.map_err(|_| StepError::Inventory),
        }
    }

    /// Says what will be run, where, and as whom.
    pub(super) fn announce(&mut self, plan: &Plan) {
        self.record.plan(plan);
        for warning in plan.warnings.clone() {
            self.say_warning(&warning);
        }
        let (step, kubectl) = (&plan.step, plan.kubectl());
        let target = &step.target;
        self.say(format!(
            "step {} on {}, namespace {}, as {}",
            step.name,
            target.server.as_deref().unwrap_or("a cluster that its account finds"),
            target.namespace,
            target.auth.method()
        ));
        plan.notes.iter().for_each(|note| self.say(note.clone()));
        let version = kubectl.version.as_deref().unwrap_or("of unknown version");
        self.say(format!("kubectl {version} at {}", kubectl.path.display()));
        for tool in &plan.tools {
            tracing::debug!("{} at {}", tool.name, tool.path.display());
        }
    }

    pub(super) fn check_memory(&mut self, workspace: &Workspace) {
        let folders = workspace.folders();
        tracing::debug!("workspace {} and {}", folders.private.display(), folders.work.display());
        if !folders.in_memory {
            self.warn(Warning {
                code: WarningCode::PrivateOnDisk,
                message: format!(
                    "no folder in memory could be used; credentials are in {}",
                    folders.private.display()
                ),
                hint: Some("make /dev/shm or $XDG_RUNTIME_DIR writable for this user".into()),
            });
        }
    }

    /// Shows the kubeconfig where the payload asks for it. The secrets are left out when it is made, not masked.
    pub(super) fn show_kubeconfig(&self, plan: &Plan, access: &Access) {
        if plan.step.output_kubeconfig {
            self.say(format!(
                "the kubeconfig:\n{}",
                kubeconfig::yaml(&kubeconfig::document(plan, access, Purpose::Show))
            ));
        }
    }

    /// The masker of the step's log.
    pub(super) fn masker(&self) -> Masker {
        self.masker.clone()
    }

    /// Has somebody log in, where that is to be done. A stop ends that at once.
    pub(super) async fn log_in(&mut self, keeper: &mut Keeper<'_>) -> Result<Access, StepError> {
        let (access, heard) = tokio::select! {
            biased;
            Some(reason) = self.stops.recv() => return Err(StepError::Stopped(reason)),
            done = keeper.log_in() => done?,
        };
        heard.into_iter().for_each(|line| self.say(line));
        self.record.server(&access.server);
        Ok(access)
    }

    /// Sees to the namespace with what the script will have. A stop ends that at once.
    pub(super) async fn ensure_namespace(
        &mut self,
        plan: &Plan,
        access: &Access,
        script: &Command,
        program: &Path,
    ) -> Result<(), StepError> {
        let kubectl = Kubectl {
            program: &plan.kubectl().path,
            supervisor: program,
            environment: &script.environment,
            directory: &script.directory,
        };
        let mask = |text: &str| self.masker.text(text);
        let ensured = tokio::select! {
            biased;
            Some(reason) = self.stops.recv() => return Err(StepError::Stopped(reason)),
            ensured = namespace::ensure(plan, access, &kubectl, mask) => ensured?,
        };
        if ensured.created {
            self.say(format!("namespace {} was not there and has been made", plan.step.target.namespace));
        }
        if let Some(warning) = ensured.warning {
            self.warn(warning);
        }
        Ok(())
    }

    /// A stop that came while the step was prepared ends it before the script begins.
    pub(super) fn still_wanted(&mut self) -> Result<(), StepError> {
        self.stops.try_recv().map_or(Ok(()), |reason| Err(StepError::Stopped(reason)))
    }

    /// Runs the script; its output is masked and written as it comes.
    /// Meanwhile the credential is kept fresh.
    pub(super) async fn run_script(
        &mut self,
        command: Command,
        limits: &Limits,
        keeper: &mut Keeper<'_>,
    ) -> Result<Ended, StepError> {
        let budget = Budget::new(limits, self.stop.clone());
        let outputs = [self.log.stdout(), self.log.stderr()]
            .map(|sink| ScriptOutput::new(Arc::clone(&budget), self.masker.stream(), sink));
        self.budget = Some(budget);
        let supervisor = self.supervisor.as_mut().ok_or(SuperviseError::Gone)?;
        let (log, warnings) = (self.log, &mut self.record.warnings);
        tokio::select! {
            ended = supervisor.run(command, outputs, limits, &mut self.stops) => Ok(ended?),
            never = keeper.keep(|news| tell(log, warnings, news)) => match never {},
        }
    }

    /// Writes out what the script has written. A reader that does not read gets a bounded time after a stop.
    pub(super) async fn write_out(&mut self, mut ended: Ended) -> Result<Ending, StepError> {
        let ending = ended.ending;
        let written = tokio::select! {
            done = ended.outputs_done() => Some(done),
            () = reader_patience(ending.stopped().is_some(), &mut self.reader_until, &mut self.stops) => None,
        };
        match written {
            Some(done) => done?,
            None => {
                self.log.abandon();
                ended.outputs_done().await?;
            }
        }
        self.tell_tree(&ended.tree);
        self.tell_dropped(&ending);
        Ok(ending)
    }

    /// Says who of the script's processes was left, and who still is. Never more than their names.
    fn tell_tree(&mut self, tree: &Tree) {
        let mask = |name: &str| self.masker.text(name);
        self.record.tree(tree, mask);
        if tree.leftovers.count > 0 {
            self.say(format!(
                "the script left processes behind, which were ended: {}",
                words(&tree.leftovers)
            ));
        }
        if tree.survivors.count > 0 {
            self.warn(Warning {
                code: WarningCode::ProcessSurvived,
                message: format!("processes of the script outlive their KILL: {}", words(&tree.survivors)),
                hint: Some("they are another user's, or wait for a device or a file server".into()),
            });
        }
    }

    /// Says how much came after `limits.output`.
    fn tell_dropped(&mut self, ending: &Ending) {
        let dropped = self.budget.as_ref().map_or(0, |budget| budget.dropped());
        self.record.truncated = dropped;
        if dropped > 0 && ending.stopped() != Some(StopReason::OutputLimit) {
            self.warn(Warning {
                code: WarningCode::OutputTruncated,
                message: format!("the script wrote more than limits.output; {dropped} bytes were dropped"),
                hint: Some("raise limits.output, or have the script write to a file".into()),
            });
        }
    }

    /// Has the workspace removed, on whatever path the step came here.
    pub(super) async fn close_workspace(&mut self) {
        let Some(supervisor) = self.supervisor.take() else { return };
        if let Err(error) = supervisor.close().await {
            self.warn(Warning {
                code: WarningCode::NotRemoved,
                message: error.to_string(),
                hint: Some("remove what is left by hand".into()),
            });
        }
    }

    /// Says how the step ended, and waits for the reader, within bounds.
    pub(super) async fn tell_verdict(&mut self, verdict: &Verdict) {
        let level = if verdict.reason == Reason::Completed { Level::Info } else { Level::Error };
        let (message, hint) = (verdict.message.clone(), verdict.hint.clone());
        self.log.say(&Line { level, hint, ..Line::info(message) });
        let ended_by_itself = matches!(verdict.reason, Reason::Completed | Reason::ScriptFailed);
        tokio::select! {
            () = self.log.flush() => {}
            () = reader_patience(!ended_by_itself, &mut self.reader_until, &mut self.stops) => self.log.abandon(),
        }
    }

    /// The result, which is told last.
    pub(super) fn finish(self, done: &Result<Ending, StepError>, verdict: &Verdict) -> StepResult {
        self.record.finish(done, verdict, self.log.totals())
    }

    fn say(&self, message: String) {
        self.log.say(&Line::info(message));
    }

    fn warn(&mut self, warning: Warning) {
        self.say_warning(&warning);
        self.record.warnings.push(warning);
    }

    fn say_warning(&self, warning: &Warning) {
        self.log.say(&warning_line(warning));
    }
}

/// Tells what comes of a renewal; a failure is noted once, however often it is tried again.
fn tell(log: &Log, warnings: &mut Vec<Warning>, news: News) {
    match news {
        News::Heard(lines) => lines.into_iter().for_each(|line| log.say(&Line::info(line))),
        News::Failed { error, until, failures } => {
            let warning = Warning {
                code: WarningCode::RenewalFailed,
                message: format!("the credential, which ends at {until}, was not renewed: {}", error.message),
                hint: error.hint,
            };
            log.say(&warning_line(&warning));
            if failures == 1 {
                warnings.push(warning);
            }
        }
    }
}

fn warning_line(warning: &Warning) -> Line {
    let Warning { code, message, hint } = warning.clone();
    Line { level: Level::Warning, code: Some(code.name()), hint, ..Line::info(message) }
}

/// Waits as long as the reader of the log is waited for: without end while nobody stops the step, and a bounded
/// time, counted once, after that.
async fn reader_patience(stopped: bool, until: &mut Option<Instant>, stops: &mut Stops) {
    if !stopped && until.is_none() && stops.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
    let until = *until.get_or_insert_with(|| Instant::now() + READER_PATIENCE);
    tokio::time::sleep_until(until).await;
}

/// `sleep (123), sh (124) and 7 more`.
fn words(left: &Left) -> String {
    let named: Vec<String> = left.named.iter().map(|one| format!("{} ({})", one.name, one.pid)).collect();
    let more = left.count.saturating_sub(left.named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.join(", "))
}
