//! Nothing outlives a step, and a crash leaves nothing behind: each way out as a real script, by each method.

mod bombs;
mod deaths;
mod endings;
mod escapes;
mod output;
mod removal;
mod soak;

use std::path::{Path, PathBuf};

use crate::cleanup::alive;
use crate::harness::{Run, skipped};

/// How a step can be run here: a name, the setting, and whether it is by an ordinary user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    by_way_of: &'static [&'static str],
}

const AS_NOBODY: &[&str] = &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

const WAYS: [Way; 5] = [
    Way { name: "cgroup", method: "cgroup", by_way_of: &[] },
    Way { name: "auto", method: "auto", by_way_of: &[] },
    Way { name: "sweep", method: "sweep", by_way_of: &[] },
    Way { name: "sweep, an ordinary user", method: "sweep", by_way_of: AS_NOBODY },
    Way {
        name: "sweep, in a pid namespace",
        method: "sweep",
        by_way_of: &["unshare", "--pid", "--fork", "--mount-proc"],
    },
];

/// Whether a cgroup can be made here; where one should be possible and is not, that is said.
pub(crate) fn has_cgroup() -> bool {
    let cgroups = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    rustix::process::geteuid().is_root()
        && cgroups.lines().any(|line| line.contains(" - cgroup2 ") && !line.contains(" ro,"))
}

/// Every way that works here.
pub(crate) fn ways() -> Vec<Way> {
    let root = rustix::process::geteuid().is_root();
    let mut ways = WAYS.to_vec();
    if !root {
        skipped("only root can run steps as another user, in a pid namespace, and in a cgroup");
        ways.retain(|way| way.by_way_of.is_empty());
    }
    if !has_cgroup() {
        skipped("no cgroup2 mount can be written here");
        ways.retain(|way| way.method != "cgroup");
    }
    ways
}

impl Way {
    /// The run, in this way.
    pub(crate) fn apply(self, run: Run) -> Run {
        let run = run.env("KUBESTEP_TREE", self.method);
        if self.by_way_of == AS_NOBODY {
            return crate::secrets::as_nobody(run, self.by_way_of);
        }
        if self.by_way_of.is_empty() { run } else { run.by_way_of(self.by_way_of) }
    }
}

/// The pids of all processes whose environment has this marker; a test's own has it in no other place.
pub(crate) fn marked(marker: &str) -> Vec<i32> {
    let wanted = format!("MARK_OF_A_TEST={marker}");
    let entries = std::fs::read_dir("/proc").expect("Linux").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        alive(*pid) && environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    })
    .collect()
}

/// A marker that no other test has.
pub(crate) fn marker() -> String {
    let folder = tempfile::Builder::new().prefix("mark-").rand_bytes(16).tempdir().expect("a folder");
    folder.path().file_name().expect("named").to_string_lossy().into_owned()
}

/// A payload's environment with a marker, which every process that does not clear it carries.
pub(crate) fn with_mark(payload: &str, marker: &str) -> String {
    format!("{payload}environment: {{MARK_OF_A_TEST: {marker}}}\n")
}

/// The cgroups of steps that are there.
pub(crate) fn cgroups() -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let point = |line: &str| line.split(' ').nth(4).map(PathBuf::from);
    let mount = mounts.lines().filter(|line| line.contains(" - cgroup2 ")).find_map(point);
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default().to_owned();
    let entries =
        mount.and_then(|mount| std::fs::read_dir(mount.join(own)).ok()).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| is_a_steps(path)).collect()
}

fn is_a_steps(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("kubestep-"))
}
