//! The line through the library: each tool is located, kubectl and bash are asked once, and what came of it is
//! one [`Finding`] a tool.
//!
//! The first executable on the PATH is the one that counts, even if it does not run: a script would meet it, not
//! the next. The next is only named in the hint.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ask::{Question, ask};
use crate::fault::Fault;
use crate::locate::{absolute, blocked_on_path, examine, executables};
use crate::memory::{Memory, Sighting};
use crate::rules::Rules;
use crate::system::System;
use crate::tool::Tool;
use crate::version::Version;

#[cfg(test)]
mod tests;

/// How long a tool may take to tell its version. Go's take 0.1 s, under emulation some seconds.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(10);

/// Where tools are looked for.
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
    /// How long each tool may take to answer.
    pub limit: Duration,
    /// The tools that are run to hear their version. The others are only located.
    pub asked: &'a [Tool],
    /// What is known about the tools; here, how a missing one is installed.
    pub rules: &'a Rules,
}

/// The tools that are asked where nobody says otherwise: no step can start without them.
pub const ASKED: [Tool; 2] = [Tool::Kubectl, Tool::Bash];

impl<'a> Search<'a> {
    /// A search without HOME and memory, with the [`DEFAULT_LIMIT`] and the embedded rules, that asks [`ASKED`].
    #[must_use]
    pub fn new(path: &'a OsStr, chosen: &'a BTreeMap<Tool, PathBuf>) -> Self {
        let rules = Rules::embedded();
        Self { path, home: None, chosen, memory: None, limit: DEFAULT_LIMIT, asked: &ASKED, rules }
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
    /// How it is installed on this system, where it is missing and a way is known.
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

    /// What to do about a tool that cannot be used, in words that can follow `hint: `.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let (path, fault) = match &self.state {
            State::Usable { .. } => return None,
            State::Missing => {
                return Some(self.install.clone().map_or_else(
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

/// Finds the tools and says of each whether it can be used.
///
/// Blocks until every tool that had to be asked has answered or its time was over, one after the other. Starts no
/// thread, and leaves no process behind but one that a tool moved to a session of its own (`setsid`); writes nothing
/// but the memory.
#[must_use]
pub fn inventory(tools: &[Tool], search: &Search<'_>) -> Inventory {
    let mut asker = Asker {
        path: absolute(search.path),
        home: search.home,
        limit: search.limit,
        asked: search.asked,
        rules: search.rules,
        memory: Memory::open(search.memory),
    };
    let found =
        tools.iter().map(|tool| asker.find(*tool, search.chosen.get(tool).map(PathBuf::as_path))).collect();
    asker.memory.close();
    found
}

/// What the tools are asked with.
struct Asker<'a> {
    path: Option<OsString>,
    home: Option<&'a Path>,
    limit: Duration,
    asked: &'a [Tool],
    rules: &'a Rules,
    memory: Memory,
}

impl Asker<'_> {
    fn find(&mut self, tool: Tool, chosen: Option<&Path>) -> Finding {
        let examined = chosen.map(|path| (path, examine(path)));
        let executable = chosen.filter(|_| matches!(examined, Some((_, Ok(())))));
        let hits = executables(tool, executable, self.path.as_deref());
        let state = match (examined, hits.first()) {
            (Some((path, Err(fault))), _) => State::Unusable { path: path.to_path_buf(), fault },
            (_, Some(first)) => self.state(tool, first.clone()),
            (_, None) => match blocked_on_path(tool, self.path.as_deref()) {
                Some((path, fault)) => State::Unusable { path, fault },
                None => State::Missing,
            },
        };
        let install = match state {
            State::Missing => self.rules.install(tool, &System::here()),
            State::Unusable { .. } | State::Usable { .. } => None,
        };
        Finding { tool, hits, state, install }
    }

    fn state(&mut self, tool: Tool, path: PathBuf) -> State {
        match self.version(tool, &path) {
            Ok(version) => State::Usable { path, version },
            Err(fault) => State::Unusable { path, fault },
        }
    }

    fn version(&mut self, tool: Tool, path: &Path) -> Result<Version, Fault> {
        if !self.asked.contains(&tool) {
            return Ok(Version::NotAsked);
        }
        let surroundings = self.surroundings();
        let seen = Sighting::of(tool, path);
        if let Some(version) = seen.as_ref().and_then(|seen| self.memory.recall(seen, &surroundings)) {
            return Ok(version);
        }
        let version = self.ask(tool, path)?;
        // A file that was replaced in the meantime may not be the one that answered.
        if let Some(seen) = seen.filter(|seen| Sighting::of(tool, path).as_ref() == Some(seen)) {
            self.memory.keep(seen, &surroundings, &version);
        }
        Ok(version)
    }

    fn ask(&self, tool: Tool, program: &Path) -> Result<Version, Fault> {
        let mut environment: Vec<(&str, &OsStr)> = Vec::new();
        environment.extend(self.path.as_deref().map(|path| ("PATH", path)));
        environment.extend(self.home.map(|home| ("HOME", home.as_os_str())));
        if tool == Tool::Kubectl {
            // Nobody's cluster and nobody's defaults (a kuberc turns the answer into YAML) have a say.
            environment.extend([("KUBECONFIG", OsStr::new("/dev/null")), ("KUBERC", OsStr::new("off"))]);
        }
        let arguments = tool.version_arguments();
        let answer = ask(&Question { program, arguments, environment: &environment, limit: self.limit })?;
        match Version::stranger(tool, &answer.stdout, &answer.stderr) {
            Some(found) => Err(Fault::Stranger { found }),
            None => Ok(Version::read(tool, &answer.stdout, &answer.stderr)),
        }
    }

    /// What a launcher's choice depends on, as far as it is known here.
    fn surroundings(&self) -> String {
        let home = self.home.map(Path::to_string_lossy).unwrap_or_default();
        let path = self.path.as_deref().map(OsStr::to_string_lossy).unwrap_or_default();
        format!("{path}\n{home}")
    }
}
