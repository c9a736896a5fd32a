//! The inventory: what was found about each tool that was sought, one [`Finding`] a tool.
//!
//! The first executable on the PATH is the one that counts, even if it does not run: a script would meet it, not
//! the next. The next is only named in the hint.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::fault::Fault;
use crate::kind::Kind;
use crate::rules::Rules;
use crate::system::System;
use crate::tool::Tool;
use crate::version::Version;

mod look;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod traps;

pub use look::{inventory, recall};

/// How long a tool may take to tell its version. Go's take 0.1 s, under emulation some seconds.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(10);

/// The tools that are asked where nobody says otherwise: no step can start without them.
pub const ASKED: [Tool; 2] = [Tool::Kubectl, Tool::Bash];

/// Whom an inventory tells which tools have not answered so far.
pub type Progress<'a> = &'a (dyn Fn(&[Tool]) + Sync);

/// Where tools are looked for, and what is done with them.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    /// The PATH. Its relative and empty entries are skipped: they mean the working directory, where anybody may
    /// have put a file.
    pub path: &'a OsStr,
    /// The HOME that tools see when they are asked; version managers keep their settings there.
    pub home: Option<&'a Path>,
    /// Paths that beat the PATH.
    pub chosen: &'a BTreeMap<Tool, PathBuf>,
    /// An existing folder for what was learned. Where it cannot be written, each inventory asks again.
    pub memory: Option<&'a Path>,
    /// An existing folder for what tools write though they are only asked (gcloud and az do).
    pub scratch: Option<&'a Path>,
    /// How long each tool may take to answer.
    pub limit: Duration,
    /// The tools that are run to hear their version and to try their features. The others are only located.
    pub asked: &'a [Tool],
    /// What is known about the tools; here, the features to try, and how a missing tool is installed. `None`: the
    /// embedded rules, which then are read only where one of these is needed.
    pub rules: Option<&'a Rules>,
    /// Whether it is found out of each tool what stands between its name and the program, and of a missing one how it
    /// is installed. A report tells both; a step needs neither.
    pub in_full: bool,
    /// Told the tools that have not answered so far, each time that their number changes.
    pub progress: Option<Progress<'a>>,
}

impl<'a> Search<'a> {
    /// A search without HOME, memory and scratch, with the [`DEFAULT_LIMIT`] and the embedded rules, that asks
    /// [`ASKED`].
    #[must_use]
    pub fn new(path: &'a OsStr, chosen: &'a BTreeMap<Tool, PathBuf>) -> Self {
        Self {
            path,
            home: None,
            chosen,
            memory: None,
            scratch: None,
            limit: DEFAULT_LIMIT,
            asked: &ASKED,
            rules: None,
            in_full: true,
            progress: None,
        }
    }

    pub(crate) fn rules(&self) -> &'a Rules {
        self.rules.unwrap_or_else(|| Rules::embedded())
    }
}

/// What was found, a finding for each tool that was sought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    findings: BTreeMap<Tool, Finding>,
}

impl Inventory {
    /// The finding about a tool; `None` if it was not sought.
    #[must_use]
    pub fn get(&self, tool: Tool) -> Option<&Finding> {
        self.findings.get(&tool)
    }

    /// All findings, in the order of [`Tool::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.findings.values()
    }
}

impl FromIterator<Finding> for Inventory {
    fn from_iter<I: IntoIterator<Item = Finding>>(findings: I) -> Self {
        Self { findings: findings.into_iter().map(|finding| (finding.tool, finding)).collect() }
    }
}

/// What was found out about a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The tool.
    pub tool: Tool,
    /// Every executable file of it: the chosen one, then those on the PATH. The first one counts, the others are
    /// shadowed by it. A file that is reached in two ways is listed once.
    pub hits: Vec<PathBuf>,
    /// Whether it can be used.
    pub state: State,
    /// What stands between the name and the program, where that is not the program itself, and was to be found out.
    pub kind: Option<Kind>,
    /// The features of scripts that it was tried for and lacks; names of the rules' `feature`s.
    pub lacks: Vec<String>,
    /// The minor version of Kubernetes whose libraries it says it was built with.
    pub kubernetes: Option<(u32, u32)>,
    /// How long it took to answer; `None` where it was not run now.
    pub took: Option<Duration>,
    /// How it is installed on this system, where it is missing, a way is known, and that was to be found out.
    pub install: Option<String>,
}

/// Whether a tool can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It lies nowhere on the PATH.
    Missing,
    /// It lies there and does not work.
    Unusable {
        /// The file that would be met.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
    /// It can be executed and, if it was asked, it answered.
    Usable {
        /// The file that would be met.
        path: PathBuf,
        /// Its version.
        version: Version,
    },
}

impl Finding {
    /// The file, if it can be used.
    #[must_use]
    pub fn usable(&self) -> Option<&Path> {
        match &self.state {
            State::Usable { path, .. } => Some(path),
            State::Missing | State::Unusable { .. } => None,
        }
    }

    /// The version, if it is known.
    #[must_use]
    pub const fn version(&self) -> Option<&Version> {
        match &self.state {
            State::Usable { version: version @ Version::Known { .. }, .. } => Some(version),
            _ => None,
        }
    }

    /// What is wrong with a tool that cannot be used, as a sentence without its full stop.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        match &self.state {
            State::Usable { .. } => None,
            State::Missing => Some(format!("{} is not on the PATH", self.tool)),
            State::Unusable { path, fault } => Some(format!("{} at {} {fault}", self.tool, path.display())),
        }
    }

    /// What to do about a tool that cannot be used, in words that can follow `hint: `.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let (path, fault) = match &self.state {
            State::Usable { .. } => return None,
            State::Missing => {
                let install =
                    self.install.clone().or_else(|| Rules::embedded().install(self.tool, &System::here()));
                return Some(install.map_or_else(
                    || format!("install {} in a folder of the PATH", self.tool),
                    |install| format!("install {}: {install}", self.tool),
                ));
            }
            State::Unusable { path, fault } => (path, fault),
        };
        let next = self.hits.iter().find(|hit| *hit != path).map(|next| {
            format!("{} comes next on the PATH: choose its path, or put its folder first", next.display())
        });
        let hints: Vec<String> = fault.hint().map(str::to_owned).into_iter().chain(next).collect();
        (!hints.is_empty()).then(|| hints.join("; "))
    }
}
