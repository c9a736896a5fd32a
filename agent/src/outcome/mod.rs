//! Ending or error in; exit code, reason, words and the result document out: one table, in [`verdict`].

mod document;
mod record;

use crate::causes::with_causes;
use crate::cluster::namespace::NamespaceError;
use crate::credential::LoginError;
use crate::payload::Problems;
use crate::plan::PlanError;
use crate::script::ScriptError;
use crate::supervise::{Ending, Exit, StopReason, SuperviseError};
use crate::workspace::WorkspaceError;

pub use document::{PhaseName, StepResult};
pub use record::Record;

/// Why a step ended: a closed list, never reworded (payload.md 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Serialize, serde::Deserialize)]
pub enum Reason {
    /// The script ran to its end with code 0.
    Completed,
    /// The script ran to its end with another code, or a signal ended it.
    ScriptFailed,
    /// The payload is wrong, or not allowed.
    Refused,
    /// The machine lacks what the step needs.
    SetupFailed,
    /// A fault of the agent itself, or of its machine.
    AgentFailed,
    /// `limits.timeout` has passed.
    TimedOut,
    /// HUP, INT or TERM to the agent.
    Cancelled,
    /// Nobody reads stdout any more.
    LogClosed,
    /// More than `limits.output` was written, and `limits.outputPolicy` is `fail`.
    OutputLimit,
    /// Said by a queue: the step had begun, and its worker is gone.
    Lost,
    /// Said by a queue: it was refused before a worker had it.
    Rejected,
    /// Said by a queue: `notAfter` came before a worker had it.
    Expired,
}

/// What can keep a step from its end.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The payload is wrong.
    #[error(transparent)]
    Refused(#[from] Problems),
    /// Tools are missing.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The supervisor failed.
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
    /// The workspace cannot be written.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// Nobody could log in.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The namespace is not as the payload requires it.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The script cannot be staged.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The tools could not be looked for.
    #[error("the search for tools failed")]
    Inventory,
    /// It was stopped before the script began.
    #[error("stopped before the script began")]
    Stopped(StopReason),
}

/// How a step is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The agent's own exit code.
    pub exit_code: u8,
    /// The reason in the result.
    pub reason: Reason,
    /// What happened, for people.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The table.
#[must_use]
pub fn verdict(done: &Result<Ending, StepError>) -> Verdict {
    match done {
        Ok(Ending::Script { exit, .. }) => script_ended(*exit),
        Ok(Ending::Stopped { reason, .. }) => stopped(*reason),
        Ok(Ending::Lost { .. }) => agent_failed("the supervisor process was ended".into(), None),
        Err(error) => failed(error),
    }
}

fn failed(error: &StepError) -> Verdict {
    let message = with_causes(error);
    match error {
        StepError::Refused(_) => Verdict { exit_code: 65, reason: Reason::Refused, message, hint: None },
        StepError::Plan(plan) => setup_failed(message, plan.hint()),
        StepError::Login(LoginError::Credential(error)) => {
            Verdict { exit_code: 69, reason: Reason::SetupFailed, message, hint: error.hint.clone() }
        }
        StepError::Namespace(namespace) => setup_failed(message, namespace.hint.clone()),
        StepError::Supervise(SuperviseError::NotSpawned(_)) => {
            setup_failed(message, "run the interpreter by hand to see what is wrong with it".into())
        }
        StepError::Stopped(reason) => stopped(*reason),
        StepError::Supervise(_)
        | StepError::Workspace(_)
        | StepError::Login(LoginError::Workspace(_))
        | StepError::Script(_)
        | StepError::Inventory => {
            let hint = message.contains("No space left on device").then(|| {
                "free some space there, or name another folder by TMPDIR or XDG_RUNTIME_DIR".to_owned()
            });
            agent_failed(message, hint)
        }
    }
}

fn script_ended(exit: Exit) -> Verdict {
    let (code, message) = match exit {
        Exit::Code(0) => {
            let message = "the script completed".to_owned();
            return Verdict { exit_code: 0, reason: Reason::Completed, message, hint: None };
        }
        Exit::Code(code) => (code, format!("the script exited with code {code}")),
        Exit::Signal(signal) => (128 + signal, format!("the script was ended by signal {signal}")),
    };
    let exit_code = u8::try_from(code).unwrap_or(u8::MAX);
    Verdict { exit_code, reason: Reason::ScriptFailed, message, hint: None }
}

fn stopped(reason: StopReason) -> Verdict {
    let (exit_code, reason, message) = match reason {
        StopReason::TimedOut => (124, Reason::TimedOut, "limits.timeout has passed"),
        StopReason::Hangup => (129, Reason::Cancelled, "cancelled by HUP"),
        StopReason::Interrupt => (130, Reason::Cancelled, "cancelled by INT"),
        StopReason::Terminate => (143, Reason::Cancelled, "cancelled by TERM"),
        StopReason::LogClosed => (141, Reason::LogClosed, "nobody reads the log any more"),
        StopReason::Queue => (143, Reason::Cancelled, "cancelled on its queue"),
        StopReason::Drain | StopReason::DrainAtOnce => {
            (143, Reason::Cancelled, "cancelled, since its worker ends")
        }
        StopReason::WorkerGone => (70, Reason::AgentFailed, "its worker is gone"),
        StopReason::LeaseOver => {
            (70, Reason::AgentFailed, "the worker could not renew its lease of the step in time")
        }
        StopReason::OutputLimit => (153, Reason::OutputLimit, "the script wrote more than limits.output"),
    };
    Verdict { exit_code, reason, message: message.to_owned(), hint: None }
}

fn setup_failed(message: String, hint: String) -> Verdict {
    Verdict { exit_code: 69, reason: Reason::SetupFailed, message, hint: Some(hint) }
}

fn agent_failed(message: String, hint: Option<String>) -> Verdict {
    Verdict { exit_code: 70, reason: Reason::AgentFailed, message, hint }
}

#[cfg(test)]
mod tests {
    use super::{Reason, StepError, verdict};
    use crate::supervise::{Ending, Exit, Fate, StopReason};

    #[test]
    fn each_ending_has_the_code_and_the_reason_of_the_contract() {
        use StopReason::{Drain, Hangup, Interrupt, LeaseOver, LogClosed, OutputLimit, Terminate, TimedOut};
        let script = |exit| Ok(Ending::Script { exit, tree: Fate::Ended });
        let stopped = |reason, exit| Ok(Ending::Stopped { reason, exit, tree: Fate::Killed });
        for (done, code, reason) in [
            (script(Exit::Code(0)), 0, Reason::Completed),
            (script(Exit::Code(3)), 3, Reason::ScriptFailed),
            (script(Exit::Signal(9)), 137, Reason::ScriptFailed),
            (stopped(TimedOut, Some(Exit::Code(0))), 124, Reason::TimedOut),
            (stopped(Hangup, None), 129, Reason::Cancelled),
            (stopped(Interrupt, Some(Exit::Signal(2))), 130, Reason::Cancelled),
            (stopped(Terminate, Some(Exit::Signal(15))), 143, Reason::Cancelled),
            (stopped(LogClosed, Some(Exit::Code(1))), 141, Reason::LogClosed),
            (stopped(OutputLimit, Some(Exit::Code(0))), 153, Reason::OutputLimit),
            (stopped(StopReason::Queue, None), 143, Reason::Cancelled),
            (stopped(Drain, None), 143, Reason::Cancelled),
            (stopped(LeaseOver, None), 70, Reason::AgentFailed),
            (Ok(Ending::Lost { exit: Some(Exit::Code(0)), reason: None }), 70, Reason::AgentFailed),
            (Ok(Ending::Lost { exit: None, reason: Some(TimedOut) }), 70, Reason::AgentFailed),
            (Err(StepError::Stopped(Terminate)), 143, Reason::Cancelled),
            (Err(StepError::Inventory), 70, Reason::AgentFailed),
        ] {
            let verdict = verdict(&done);
            assert_eq!((verdict.exit_code, verdict.reason), (code, reason), "{done:?}");
        }
    }
}
