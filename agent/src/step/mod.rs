//! One step, from payload to outcome: THE LINE is [`line`], which reads top to bottom. What surrounds it holds
//! on every path: the workspace goes, the log is written out, somebody is told.

mod context;
mod output;
pub mod tools;

use std::path::PathBuf;

use crate::credential::Keeper;
use crate::outcome::{PhaseName, StepError, StepResult, Verdict, verdict};
use crate::payload::{self, Surroundings};
use crate::plan::Plan;
use crate::supervise::{Choice, Ending, Preparation};
use crate::workspace::Roots;
use crate::{kubeconfig, script, supervise};

pub use context::{Context, Stop, Stops};

/// A step to be run, and the machine to run it on.
pub struct Request {
    /// The payload's text.
    pub text: Vec<u8>,
    /// How messages call it: a file's name, or `-`.
    pub source: String,
    /// What the payload's meaning depends on.
    pub surroundings: Surroundings,
    /// This program, to be started as the supervisor.
    pub program: PathBuf,
    /// Where the workspace may be.
    pub roots: Roots,
    /// How the script's processes are to be held together.
    pub tree: Choice,
    /// Where tools that were tried are remembered; `None` remembers nothing.
    pub state: Option<PathBuf>,
}

impl Request {
    fn preparation(&self, step: &str) -> Preparation {
        Preparation { roots: self.roots.clone(), step: step.to_owned(), tree: self.tree }
    }
}

/// A step that is over.
pub struct Outcome {
    /// How it is told.
    pub verdict: Verdict,
    /// The document for machines.
    pub result: StepResult,
}

/// Runs one step, whatever happens, to an outcome.
pub async fn run(request: &Request, mut context: Context<'_>) -> Outcome {
    let done = line(request, &mut context).await;
    supervise::all_left().await;
    context.close_workspace().await;
    let verdict = verdict(&done);
    context.tell_verdict(&verdict).await;
    let result = context.finish(&done, &verdict);
    Outcome { verdict, result }
}

/// The line. Each act needs the one above it; what it leaves on an early return is closed by [`run`].
async fn line(request: &Request, context: &mut Context<'_>) -> Result<Ending, StepError> {
    context.record.phase(PhaseName::Plan);
    let step = payload::load(&request.text, &request.source, &request.surroundings)?;
    context.learn(&step);
    let inventory = context.inventory(&step, request.state.as_deref()).await?;
    let plan = Plan::new(step, &inventory, request.surroundings.now)?;
    context.announce(&plan);

    context.record.phase(PhaseName::Workspace);
    let supervisor = context.supervisor(&request.program).await?;
    let workspace = supervisor.prepare(request.preparation(&plan.step.name)).await?;
    context.check_memory(&workspace);

    context.record.phase(PhaseName::Credential);
    let mut keeper = Keeper::new(&plan, &workspace, &request.program, context.masker());
    let access = context.log_in(&mut keeper).await?;
    let kubeconfig = kubeconfig::write(&plan, &access, &workspace)?;
    let command = script::stage(&plan, &kubeconfig, &workspace)?;
    context.show_kubeconfig(&plan, &access);

    context.record.phase(PhaseName::Namespace);
    context.ensure_namespace(&plan, &access, &command, &request.program).await?;
    context.still_wanted()?;

    context.record.phase(PhaseName::Script);
    let ended = context.run_script(command, &plan.step.limits, &mut keeper).await?;

    context.record.phase(PhaseName::Log);
    context.write_out(ended).await
}
