//! The search for a step's tools.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tooling_check::{Inventory, Search, Tool};

use crate::payload::Step;
use crate::plan::{asked_of, search_path, tools_of};

/// The search for the tools of a step, on its script's PATH, with what is remembered of them.
pub struct ToolSearch {
    tools: Vec<Tool>,
    asked: Vec<Tool>,
    chosen: BTreeMap<Tool, PathBuf>,
    path: OsString,
    home: Option<PathBuf>,
    memory: Option<PathBuf>,
}

impl ToolSearch {
    /// The search for this step's tools; `memory` is the folder of what is remembered.
    #[must_use]
    pub fn new(step: &Step, memory: Option<&Path>) -> Self {
        let (tools, asked, chosen) = (tools_of(step), asked_of(step), chosen(step));
        let (path, home) = (OsString::from(search_path(step)), home(step));
        Self { tools, asked, chosen, path, home, memory: memory.and_then(made) }
    }

    /// What is found where no tool has to be run for it.
    #[must_use]
    pub fn recall(&self) -> Option<Inventory> {
        tooling_check::inventory::recall(&self.tools, &self.search())
    }

    /// What is found. It may block for as long as a tool that was never seen takes to answer.
    #[must_use]
    pub fn run(&self) -> Inventory {
        tooling_check::inventory(&self.tools, &self.search())
    }

    fn search(&self) -> Search<'_> {
        Search {
            home: self.home.as_deref(),
            memory: self.memory.as_deref(),
            asked: &self.asked,
            in_full: false,
            ..Search::new(&self.path, &self.chosen)
        }
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
