//! Remembers between two inventories what a tool answered, so that an unchanged tool is not run again.
//!
//! One small JSON file in a folder of the caller's. An answer holds for a path, for the file that it leads to and
//! for the link that may lie there; any change of one of them asks again. Scripts and launchers that serve many
//! names (the shims of asdf and mise, snap) answer for a file that cannot be seen from here: what they said holds
//! for a minute, with the same PATH and HOME. Only answers are remembered, never faults: what a tool lacked may be
//! there by the next time.
//!
//! The memory is a help, not a need: what cannot be read counts as empty, what cannot be written is left.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use crate::contents::is_script;
use crate::tool::Tool;
use crate::version::Version;

const FILE_NAME: &str = "tools.json";

/// Grows when the file's form or the questions change: answers of another version are forgotten.
const FORM: u32 = 3;

/// More answers than any machine's tools give: a file at the limit is still read in well under 1 ms.
const MOST_ANSWERS: usize = 64;

/// No memory of ours is larger.
const LARGEST_FILE: u64 = 256 * 1024;

/// How long a launcher's answer holds: a burst of steps pays once, a switch of versions is soon seen.
const LAUNCHER_TRUST: Duration = Duration::from_secs(60);

/// The answers of earlier inventories.
pub(crate) struct Memory {
    file: Option<PathBuf>,
    /// What the rules were: they say which features are tried.
    rules: u64,
    answers: Vec<Remembered>,
    changed: bool,
}

/// What a tool said, and what it was seen to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heard {
    printed: Option<String>,
    numbers: Option<(u32, u32, u32)>,
    pub(crate) kubernetes: Option<(u32, u32)>,
    pub(crate) lacks: Vec<String>,
}

impl Heard {
    pub(crate) fn new(version: &Version, kubernetes: Option<(u32, u32)>, lacks: Vec<String>) -> Self {
        let printed = match version {
            Version::Known { printed, .. } => Some(printed.clone()),
            Version::Unknown { printed } => printed.clone(),
            Version::NotAsked => None,
        };
        Self { printed, numbers: version.numbers(), kubernetes, lacks }
    }

    pub(crate) fn version(&self) -> Version {
        match (self.numbers, self.printed.clone()) {
            (Some((major, minor, patch)), Some(printed)) => Version::Known { printed, major, minor, patch },
            (_, printed) => Version::Unknown { printed },
        }
    }
}

/// A path in the state in which it was seen.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sighting {
    tool: String,
    path: String,
    file: Identity,
    link: Identity,
}

/// What tells one state of a file from another. The time of change is among it, since a copy that keeps the times
/// of its source (`cp -p`, `tar`) keeps the time of modification only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    seen: Sighting,
    heard: Heard,
    launcher: Option<Launcher>,
}

/// When and where a launcher answered.
#[derive(Serialize, Deserialize)]
struct Launcher {
    /// Seconds since 1970.
    at: u64,
    surroundings: String,
}

#[derive(Serialize, Deserialize)]
struct Document {
    form: u32,
    rules: u64,
    answers: Vec<Remembered>,
}

impl Sighting {
    /// How `tool` lies at `path` now; `None` where that cannot be seen or written down.
    pub(crate) fn of(tool: Tool, path: &Path) -> Option<Self> {
        let file = Identity::of(&fs::metadata(path).ok()?);
        let link = Identity::of(&fs::symlink_metadata(path).ok()?);
        Some(Self { tool: tool.name().to_owned(), path: path.to_str()?.to_owned(), file, link })
    }

    /// Whether another program answers through this file: a script, or one that goes by another name.
    fn is_launcher(&self) -> bool {
        let Ok(real) = fs::canonicalize(&self.path) else { return true };
        let named = real.file_name().and_then(|name| name.to_str());
        !named.is_some_and(|name| name.starts_with(&self.tool)) || is_script(&real)
    }
}

impl Memory {
    /// Reads the memory in that folder; none without a folder. What was learned by other rules is forgotten.
    pub(crate) fn open(folder: Option<&Path>, rules: u64) -> Self {
        let file = folder.map(|folder| folder.join(FILE_NAME));
        let document = file.as_deref().and_then(|file| read(file).ok());
        let answers = match document {
            Some(Document { form: FORM, rules: those, answers }) if those == rules => answers,
            _ => Vec::new(),
        };
        Self { file, rules, answers, changed: false }
    }

    /// What the tool in this state answered, in these surroundings.
    pub(crate) fn recall(&self, seen: &Sighting, surroundings: &str) -> Option<Heard> {
        let one = self.answers.iter().find(|one| one.seen == *seen)?;
        if let Some(launcher) = &one.launcher {
            // A clock that was set back gives no age at all.
            let age = now().checked_sub(launcher.at)?;
            if age >= LAUNCHER_TRUST.as_secs() || launcher.surroundings != surroundings {
                return None;
            }
        }
        Some(one.heard.clone())
    }

    /// Keeps an answer in the place of any earlier one for the same path.
    pub(crate) fn keep(&mut self, seen: Sighting, surroundings: &str, heard: &Heard) {
        if heard.printed.is_none() {
            // Silence may have been a mishap.
            return;
        }
        let launcher =
            seen.is_launcher().then(|| Launcher { at: now(), surroundings: surroundings.to_owned() });
        self.answers.retain(|one| one.seen.tool != seen.tool || one.seen.path != seen.path);
        self.answers.insert(0, Remembered { seen, heard: heard.clone(), launcher });
        self.answers.truncate(MOST_ANSWERS);
        self.changed = true;
    }

    /// Writes what is new. Of two inventories at the same time the later one's memory stays, whole.
    pub(crate) fn close(self) {
        if let (Some(file), true) = (self.file, self.changed) {
            // Without a memory the tools are only asked again.
            let _ = write(&file, &Document { form: FORM, rules: self.rules, answers: self.answers });
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Reads the file if it is one that only this user (or root) can have written.
fn read(file: &Path) -> io::Result<Document> {
    // NONBLOCK: somebody's FIFO of that name must not hold the inventory up.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(file)?;
    let metadata = file.metadata()?;
    let ours = metadata.uid() == geteuid().as_raw() || metadata.uid() == 0;
    if !metadata.is_file() || !ours || metadata.mode() & 0o022 != 0 || metadata.len() > LARGEST_FILE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1);
    file.take(LARGEST_FILE).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

fn write(file: &Path, document: &Document) -> io::Result<()> {
    let folder = file.parent().ok_or(io::ErrorKind::NotFound)?;
    // Created 0600, and removed again unless it takes its place.
    let mut new = tempfile::Builder::new().prefix(".tools.").tempfile_in(folder)?;
    new.write_all(&serde_json::to_vec(document)?)?;
    new.persist(file)?;
    Ok(())
}
