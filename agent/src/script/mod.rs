//! Stages the script and its surroundings in the workspace, and states the exact command and environment to run
//! it with (payload.md 2).

mod bash;

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use crate::payload::Text;
use crate::plan::{AccountValue, Plan, search_path};
use crate::supervise::Command;
use crate::workspace::{Workspace, WorkspaceError, write_private};

/// Why a script could not be staged.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The workspace has no room, or is gone.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// A folder for one of `files`, or a link to a tool, could not be made.
    #[error("{place} cannot be made")]
    Make {
        /// Folder or link.
        place: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Writes everything that the script will find, and says how to run it.
///
/// # Errors
/// [`ScriptError`]: the disk is full, a file of `files` is there already.
pub fn stage(plan: &Plan, kubeconfig: &Path, workspace: &Workspace) -> Result<Command, ScriptError> {
    let folders = workspace.folders();
    let directory = plan.step.script.working_directory.clone().unwrap_or_else(|| folders.step());
    link_tools(plan, &folders.tools())?;
    write_files(&plan.step.files, &directory)?;
    let environment = environment(plan, kubeconfig, workspace);
    let file = workspace.write("script", plan.step.script.body.expose().as_bytes())?;
    Ok(bash::command(plan, &file, environment, directory))
}

/// The chosen tools stand first on the script's PATH, so that the preflight and the script mean the same ones.
fn link_tools(plan: &Plan, folder: &Path) -> Result<(), ScriptError> {
    for tool in &plan.tools {
        let place = folder.join(tool.name);
        symlink(&tool.path, &place).map_err(|source| ScriptError::Make { place, source })?;
    }
    Ok(())
}

fn write_files(files: &BTreeMap<String, Text>, directory: &Path) -> Result<(), ScriptError> {
    for (name, text) in files {
        let path = directory.join(name);
        if let Some(folder) = path.parent() {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(0o700).create(folder);
            made.map_err(|source| ScriptError::Make { place: folder.to_owned(), source })?;
        }
        write_private(&path, text.expose().as_bytes())?;
    }
    Ok(())
}

/// Where a variable of the script comes from, and what it holds.
pub enum Variable<'a> {
    /// The agent's own environment.
    Inherited(&'a Text),
    /// The step's surroundings.
    Own(Own),
    /// The account.
    Account(&'a AccountValue),
    /// The payload.
    Payload(&'a Text),
}

/// A variable that says where things are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// The chosen tools' folder, then the PATH by which tools are found.
    Path,
    /// The script's own folder for temporary files.
    Tmpdir,
    /// The one kubeconfig.
    Kubeconfig,
    /// The step's name.
    Step,
    /// The target's namespace.
    Namespace,
    /// A kuberc in HOME would change kubectl's defaults for any command: `off`.
    Kuberc,
}

/// The script's variables by name: inherited ones, then the step's surroundings, then the account's, then the
/// payload's, which win.
#[must_use]
pub fn variables(plan: &Plan) -> BTreeMap<&str, Variable<'_>> {
    const OWN: [(&str, Own); 5] = [
        ("TMPDIR", Own::Tmpdir),
        ("KUBECONFIG", Own::Kubeconfig),
        ("KUBESTEP_STEP", Own::Step),
        ("KUBESTEP_NAMESPACE", Own::Namespace),
        ("KUBERC", Own::Kuberc),
    ];
    let step = &plan.step;
    let inherited = step.inherited.iter().map(|(name, text)| (name.as_str(), Variable::Inherited(text)));
    let own = OWN.map(|(name, own)| (name, Variable::Own(own)));
    let account = plan.account.iter().map(|(name, one)| (name.as_str(), Variable::Account(one)));
    let payload = step.environment.iter().map(|(name, text)| (name.as_str(), Variable::Payload(text)));
    let path = ("PATH", Variable::Own(Own::Path));
    inherited.chain(own).chain(account).chain(payload).chain([path]).collect()
}

fn environment(plan: &Plan, kubeconfig: &Path, workspace: &Workspace) -> BTreeMap<String, String> {
    let (step, folders) = (&plan.step, workspace.folders());
    let value = |variable: Variable<'_>| match variable {
        Variable::Inherited(text) | Variable::Payload(text) => text.expose().to_owned(),
        Variable::Account(value) => value.resolved(&folders.private),
        Variable::Own(Own::Path) => format!("{}:{}", folders.tools().display(), search_path(step)),
        Variable::Own(Own::Tmpdir) => folders.temporary().display().to_string(),
        Variable::Own(Own::Kubeconfig) => kubeconfig.display().to_string(),
        Variable::Own(Own::Step) => step.name.clone(),
        Variable::Own(Own::Namespace) => step.target.namespace.clone(),
        Variable::Own(Own::Kuberc) => "off".to_owned(),
    };
    variables(plan).into_iter().map(|(name, variable)| (name.to_owned(), value(variable))).collect()
}
