//! bash: `bash --noprofile --norc FILE ARGUMENTS`, so that nobody's start-up files change what a script means.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::plan::Plan;
use crate::supervise::Command;

pub(super) fn command(
    plan: &Plan,
    file: &Path,
    environment: BTreeMap<String, String>,
    directory: PathBuf,
) -> Command {
    let options = ["--noprofile", "--norc"].map(str::to_owned);
    let file = file.display().to_string();
    let arguments =
        options.into_iter().chain([file]).chain(plan.step.script.arguments.iter().cloned()).collect();
    Command { program: plan.bash.clone(), arguments, environment, directory }
}
