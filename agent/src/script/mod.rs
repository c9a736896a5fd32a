//! Stages the script and its surroundings in the workspace, and states the exact command and environment to run
//! it with (payload.md 2).

mod bash;

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use crate::payload::Text;
use crate::plan::{Plan, search_path};
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

/// Inherited variables, then the step's surroundings, then the payload's own, which win.
fn environment(plan: &Plan, kubeconfig: &Path, workspace: &Workspace) -> BTreeMap<String, String> {
    let step = &plan.step;
    let folders = workspace.folders();
    let exposed = |(name, text): (&String, &Text)| (name.clone(), text.expose().to_owned());
    let mut environment: BTreeMap<String, String> = step.inherited.iter().map(exposed).collect();
    let own = [
        ("TMPDIR", folders.temporary().display().to_string()),
        ("KUBECONFIG", kubeconfig.display().to_string()),
        ("KUBESTEP_STEP", step.name.clone()),
        ("KUBESTEP_NAMESPACE", step.target.namespace.clone()),
        // A kuberc in HOME changes kubectl's defaults for any command.
        ("KUBERC", "off".to_owned()),
    ];
    environment.extend(own.map(|(name, value)| (name.to_owned(), value)));
    environment.extend(step.environment.iter().map(exposed));
    let path = format!("{}:{}", folders.tools().display(), search_path(step));
    environment.insert("PATH".into(), path);
    environment
}
