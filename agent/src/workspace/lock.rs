//! The lock of a step: held as long as anybody cares for the step, and naming all that there is of it.
//!
//! No moment of a step's beginning is unknown to whoever comes after a crash. A folder is made under a name that
//! says "not yet" (`.kubestep-new-…`), gets its lock, and is only then renamed; the lock names the other places
//! before they are made. Whoever finds a lock that nobody holds may remove what it names; should that ever be
//! the lock of somebody who has just made it and does not hold it yet, he notices, and makes another.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::{WorkspaceError, write_private};

/// The file's name.
pub(super) const LOCK: &str = "lock";

/// What a step's `private` is called, before its own part of the name.
pub(super) const PREFIX: &str = "kubestep-";

/// What it is called before it has its lock.
pub(super) const NEW_PREFIX: &str = ".kubestep-new-";

/// How many letters and digits of its own a name has: too many for one to be met twice, or guessed.
pub(super) const RANDOM: usize = 16;

/// How often a folder is made again whose lock a sweep took.
const TRIES: usize = 10;

/// Whose workspace it will be.
#[derive(Clone, Debug, Default)]
pub struct Tenant {
    /// The step's name.
    pub step: String,
    /// The agent's pid.
    pub agent: i32,
    /// The cgroup in which the step's own may be made.
    pub cgroup_parent: Option<PathBuf>,
}

/// What the lock says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// The boot in which the pids mean something.
    pub boot_id: String,
    /// The supervisor's.
    pub pid: u32,
    /// The supervisor's, in clock ticks since boot.
    pub start_time: u64,
    /// The agent's pid.
    pub agent: i32,
    /// The step's name.
    pub step: String,
    /// RFC 3339, UTC.
    pub since: String,
    /// The folder on disk.
    pub work: PathBuf,
    /// The cgroup of the step's own, which may not have been made.
    pub cgroup: Option<PathBuf>,
}

impl Owner {
    /// Whether it names only what a step whose folder is `private` can have: a lock can have been tampered with.
    pub(super) fn fits(&self, private: &Path) -> bool {
        let name = private.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let own = name.strip_prefix(NEW_PREFIX).or_else(|| name.strip_prefix(PREFIX));
        let Some(own) = own.filter(|own| own.len() == RANDOM) else { return false };
        let called = |path: &Path, wanted: String| path.is_absolute() && path.ends_with(wanted);
        called(&self.work, format!("{PREFIX}{own}-work"))
            && self.cgroup.as_ref().is_none_or(|path| called(path, format!("{PREFIX}{own}")))
    }
}

/// A `private` with its lock, and the names of what is still to be made.
pub(super) struct Claim {
    pub(super) private: PathBuf,
    pub(super) owner: Owner,
    pub(super) lock: File,
}

/// Makes a `private` in `root`.
pub(super) fn claim_in(root: &Path, work: &Path, tenant: &Tenant) -> Result<Claim, WorkspaceError> {
    let failed = WorkspaceError::at(root);
    for _ in 0..TRIES {
        let new = tempfile::Builder::new()
            .prefix(NEW_PREFIX)
            .rand_bytes(RANDOM)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(root);
        let new = match new {
            Ok(folder) => folder.keep(),
            Err(error) => return Err(failed(error)),
        };
        match claim(&new, root, work, tenant) {
            Ok(Some(claim)) => return Ok(claim),
            Ok(None) => {}
            Err(error) => {
                drop(super::remove_tree(&new));
                return Err(failed(error));
            }
        }
    }
    Err(failed(io::Error::other("a sweep took every folder that was made")))
}

/// `None` where a sweep took the folder for a dead step's before it was locked.
fn claim(new: &Path, root: &Path, work: &Path, tenant: &Tenant) -> io::Result<Option<Claim>> {
    let name = new.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let own = name.strip_prefix(NEW_PREFIX).ok_or(io::ErrorKind::InvalidInput)?;
    let mut lock = match write_private(&new.join(LOCK), b"") {
        Ok(lock) => lock,
        Err(WorkspaceError::Write { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(WorkspaceError::Write { source, .. }) => return Err(source),
        Err(error) => return Err(io::Error::other(error)),
    };
    // Whoever holds it against us is about to remove it.
    rustix::fs::flock(&lock, FlockOperation::LockShared)?;
    if lock.metadata()?.nlink() == 0 {
        return Ok(None);
    }
    let pid = std::process::id();
    let owner = Owner {
        boot_id: boot_id(),
        pid,
        start_time: start_time(pid).unwrap_or_default(),
        agent: tenant.agent,
        step: tenant.step.clone(),
        since: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        work: work.join(format!("{PREFIX}{own}-work")),
        cgroup: tenant.cgroup_parent.as_ref().map(|parent| parent.join(format!("{PREFIX}{own}"))),
    };
    lock.write_all(&serde_json::to_vec(&owner)?)?;
    let private = root.join(format!("{PREFIX}{own}"));
    match fs::rename(new, &private) {
        Ok(()) => Ok(Some(Claim { private, owner, lock })),
        Err(error) => Err(error),
    }
}

/// Holds the lock beside its other holders.
pub(super) fn share(lock: &File) -> rustix::io::Result<()> {
    rustix::fs::flock(lock, FlockOperation::NonBlockingLockShared)
}

/// This boot's own number.
pub(super) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// When a process started, in clock ticks since boot (proc(5), stat, field 22).
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, field 2, may hold anything, blanks and brackets too: fields are counted behind its end.
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::Owner;
    use std::path::{Path, PathBuf};

    fn owner(work: &str, cgroup: Option<&str>) -> Owner {
        Owner {
            boot_id: String::new(),
            pid: 1,
            start_time: 1,
            agent: 1,
            step: "x".into(),
            since: String::new(),
            work: work.into(),
            cgroup: cgroup.map(PathBuf::from),
        }
    }

    #[test]
    fn a_lock_that_names_what_is_not_the_steps_own_does_not_fit() {
        let private = Path::new("/dev/shm/kubestep-0123456789abcdef");
        let work = "/tmp/kubestep-0123456789abcdef-work";
        assert!(owner(work, None).fits(private));
        assert!(owner(work, Some("/cgroup/kubestep-0123456789abcdef")).fits(private));
        assert!(!owner(work, Some("/cgroup/system.slice")).fits(private));
        assert!(!owner("/home", None).fits(private));
        assert!(!owner("kubestep-0123456789abcdef-work", None).fits(private));
        assert!(!owner("/tmp/kubestep-x-work", None).fits(Path::new("/dev/shm/kubestep-x")));
        assert!(owner(work, None).fits(Path::new("/dev/shm/.kubestep-new-0123456789abcdef")));
    }
}
