//! The line through the library: each tool is located and recalled; those that have to be asked are asked side by
//! side; what came of it is remembered.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::nice;

use super::{Finding, Inventory, Search, State};
use crate::ask::{End, Question, run};
use crate::fault::Fault;
use crate::kind::Kind;
use crate::locate::{absolute, blocked_on_path, examine, executables};
use crate::memory::{Heard, Memory, Sighting};
use crate::rules::Rules;
use crate::system::System;
use crate::tool::Tool;
use crate::version::Version;

/// Finds the tools and says of each whether it can be used.
///
/// Blocks until every tool that had to be asked has answered or its time was over; they are asked side by side. Leaves
/// no thread behind, and no process but one that a tool moved to a session of its own (`setsid`); writes nothing but
/// the memory, and what tools write to the scratch folder.
#[must_use]
pub fn inventory(tools: &[Tool], search: &Search<'_>) -> Inventory {
    let asker = Asker { path: absolute(search.path), search };
    let mut memory = search.memory();
    let mut found = asker.locate_all(tools, &memory);
    asker.ask_all(&mut found);
    let surroundings = asker.surroundings();
    for located in &mut found {
        if let (Some(seen), Progress::Heard(heard), Some(_)) =
            (&located.seen, &located.progress, located.took)
        {
            // A file that was replaced in the meantime may not be the one that answered.
            if Sighting::of(located.tool, &located.hits[0]).as_ref() == Some(seen) {
                memory.keep(seen.clone(), &surroundings, heard);
            }
        }
    }
    memory.close();
    found.into_iter().map(|located| located.finding(search)).collect()
}

/// The same where no tool has to be run for it; else `None`. Waits for nothing but the file system.
#[must_use]
pub fn recall(tools: &[Tool], search: &Search<'_>) -> Option<Inventory> {
    let asker = Asker { path: absolute(search.path), search };
    let found = asker.locate_all(tools, &search.memory());
    let is_open = |located: &Located| matches!(located.progress, Progress::Open);
    (!found.iter().any(is_open)).then(|| found.into_iter().map(|located| located.finding(search)).collect())
}

impl Search<'_> {
    fn memory(&self) -> Memory {
        Memory::open(self.memory, Rules::fingerprint(self.rules))
    }
}

/// A tool on its way to a finding.
struct Located {
    tool: Tool,
    hits: Vec<PathBuf>,
    seen: Option<Sighting>,
    progress: Progress,
    took: Option<Duration>,
}

enum Progress {
    /// Nothing more can be learned.
    Settled(State),
    /// The first hit answered, now or in an earlier inventory.
    Heard(Heard),
    /// The first hit has to be run.
    Open,
}

/// What the tools are asked with.
struct Asker<'a> {
    path: Option<OsString>,
    search: &'a Search<'a>,
}

impl Asker<'_> {
    fn locate_all(&self, tools: &[Tool], memory: &Memory) -> Vec<Located> {
        tools.iter().map(|tool| self.locate(*tool, memory)).collect()
    }

    fn locate(&self, tool: Tool, memory: &Memory) -> Located {
        let chosen = self.search.chosen.get(&tool).map(PathBuf::as_path);
        let examined = chosen.map(|path| (path, examine(path)));
        let executable = chosen.filter(|_| matches!(examined, Some((_, Ok(())))));
        let hits = executables(tool, executable, self.path.as_deref());
        let mut seen = None;
        let progress = match (examined, hits.first()) {
            (Some((path, Err(fault))), _) => {
                Progress::Settled(State::Unusable { path: path.to_path_buf(), fault })
            }
            (_, Some(first)) if self.search.asked.contains(&tool) => {
                seen = Sighting::of(tool, first);
                let heard = seen.as_ref().and_then(|seen| memory.recall(seen, &self.surroundings()));
                heard.map_or(Progress::Open, Progress::Heard)
            }
            (_, Some(first)) => {
                Progress::Settled(State::Usable { path: first.clone(), version: Version::NotAsked })
            }
            (_, None) => Progress::Settled(match blocked_on_path(tool, self.path.as_deref()) {
                Some((path, fault)) => State::Unusable { path, fault },
                None => State::Missing,
            }),
        };
        Located { tool, hits, seen, progress, took: None }
    }

    /// Asks every tool that is open, side by side, the slow ones first.
    fn ask_all(&self, found: &mut [Located]) {
        let mut open: Vec<&mut Located> =
            found.iter_mut().filter(|located| matches!(located.progress, Progress::Open)).collect();
        open.sort_by_key(|located| !located.tool.is_slow());
        let waiting = Mutex::new(open.iter().map(|located| located.tool).collect::<Vec<_>>());
        let tell = |done: Option<Tool>| {
            let Some(progress) = self.search.progress else { return };
            // No panic happens while the list is held.
            let Ok(mut waiting) = waiting.lock() else { return };
            waiting.retain(|tool| Some(*tool) != done);
            progress(&waiting);
        };
        tell(None);
        let answer = |located: &mut Located| {
            let start = Instant::now();
            let path = located.hits[0].clone();
            located.progress = match self.hear(located.tool, &path) {
                Ok(heard) => Progress::Heard(heard),
                Err(fault) => Progress::Settled(State::Unusable { path, fault }),
            };
            located.took = Some(start.elapsed());
            tell(Some(located.tool));
        };
        match &mut open[..] {
            // The usual step, whose tools are remembered, and the first one after an update.
            [] => {}
            [one] => answer(one),
            _ => thread::scope(|scope| {
                for located in open {
                    scope.spawn(|| {
                        if !located.tool.is_slow() {
                            give_way();
                        }
                        answer(located);
                    });
                }
            }),
        }
    }

    /// What the program says of itself, and which features it lacks.
    fn hear(&self, tool: Tool, program: &Path) -> Result<Heard, Fault> {
        let (mut lacks, mut needs) = (Vec::new(), false);
        for feature in self.search.rules().features(tool) {
            needs = true;
            let arguments: Vec<&str> = feature.arguments.iter().map(String::as_str).collect();
            let input = feature.input.as_bytes();
            match self.run(tool, program, &arguments, input).and_then(End::good) {
                Ok(answer) if answer.stdout.trim_ascii() == feature.output.trim().as_bytes() => {}
                Ok(_) | Err(Fault::Exited { .. }) if !feature.needed => lacks.push(feature.name.clone()),
                Ok(_) | Err(Fault::Exited { .. }) => {
                    return Err(Fault::Lacks { feature: feature.name.clone() });
                }
                Err(fault) => return Err(fault),
            }
        }
        let end = self.run(tool, program, tool.version_arguments(), b"")?;
        // What it can do was seen: busybox' applets and BSD's tools know no --version, and say who they are.
        let answer = if needs { end.anyway() } else { end.good()? };
        if let Some(found) = Version::stranger(tool, &answer.stdout, &answer.stderr) {
            return Err(Fault::Stranger { found });
        }
        let kubernetes = Version::kubernetes(tool, &answer.stdout);
        let version = Version::read(tool, &answer.stdout, &answer.stderr);
        Ok(Heard::new(&version, kubernetes, lacks))
    }

    fn run(&self, tool: Tool, program: &Path, arguments: &[&str], input: &[u8]) -> Result<End, Fault> {
        let scratch = self.search.scratch.map(Path::as_os_str);
        let mut environment: Vec<(&str, &OsStr)> = Vec::new();
        environment.extend(self.path.as_deref().map(|path| ("PATH", path)));
        environment.extend(self.search.home.map(|home| ("HOME", home.as_os_str())));
        environment.extend(tool.quiet_environment().iter().map(|(name, value)| (*name, OsStr::new(*value))));
        let own = tool.own_folders().iter().map(|name| Some((*name, scratch?)));
        environment.extend(own.flatten());
        let (environment, limit) = (&environment[..], self.search.limit);
        run(&Question { program, arguments, input, environment, limit, enough: &|| false })
    }

    /// What a launcher's choice depends on, as far as it is known here.
    fn surroundings(&self) -> String {
        let home = self.search.home.map(Path::to_string_lossy).unwrap_or_default();
        let path = self.path.as_deref().map(OsStr::to_string_lossy).unwrap_or_default();
        format!("{path}\n{home}")
    }
}

/// What this thread starts gets a tenth of what others get where processors are scarce: the slow tools decide when all
/// have answered. (Linux has a niceness for each thread, which its children inherit.)
fn give_way() {
    const NICE: i32 = 10;
    // Where it may not be changed all are alike.
    let _ = nice(NICE);
}

impl Located {
    fn finding(self, search: &Search<'_>) -> Finding {
        let Self { tool, hits, progress, took, .. } = self;
        let (state, lacks, kubernetes) = match progress {
            Progress::Settled(state) => (state, Vec::new(), None),
            Progress::Heard(heard) => {
                let state = State::Usable { path: hits[0].clone(), version: heard.version() };
                (state, heard.lacks, heard.kubernetes)
            }
            Progress::Open => unreachable!("every open tool was asked"),
        };
        let (kind, install) = match &state {
            _ if !search.in_full => (None, None),
            State::Usable { path, version } => (Kind::of(tool, path, version), None),
            State::Unusable { path, .. } => (Kind::of(tool, path, &Version::NotAsked), None),
            State::Missing => (None, search.rules().install(tool, &System::here())),
        };
        Finding { tool, hits, state, kind, lacks, kubernetes, took, install }
    }
}
