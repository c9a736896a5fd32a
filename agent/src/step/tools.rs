//! The search for a step's tools, to be run where it may block.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tooling_check::{Inventory, Search, Tool};

use crate::payload::Step;
use crate::plan::{asked_of, search_path, tools_of};

/// The search: for the tools of this step, on its script's PATH, with what `memory` knows of them.
pub fn search(step: &Step, memory: Option<&Path>) -> impl FnOnce() -> Inventory + Send + use<> {
    let (tools, asked) = (tools_of(step), asked_of(step));
    let chosen = chosen(step);
    let path = OsString::from(search_path(step));
    let home = home(step);
    let memory = memory.and_then(made);
    move || {
        let (home, memory) = (home.as_deref(), memory.as_deref());
        let search = Search { home, memory, asked: &asked, ..Search::new(&path, &chosen) };
        tooling_check::inventory(&tools, &search)
    }
}

/// The tools that the payload names by their paths.
#[must_use]
pub fn chosen(step: &Step) -> BTreeMap<Tool, PathBuf> {
    step.tools.iter().filter_map(|(name, path)| Some((Tool::named(name)?, path.clone()))).collect()
}

/// The HOME of the agent, by which version managers find their settings.
#[must_use]
pub fn home(step: &Step) -> Option<PathBuf> {
    step.inherited.get("HOME").map(|home| PathBuf::from(home.expose()))
}

/// The state folder, made where it is missing; one that cannot be made is no failure, only no memory.
fn made(folder: &Path) -> Option<PathBuf> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).ok()?;
    Some(folder.to_owned())
}
