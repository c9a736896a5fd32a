//! A step's two folders, both 0700: `private` in memory for whatever is secret, `work` on disk for the script.
//!
//! ```text
//! private/  kubeconfig  script  bin/ (links to the chosen tools)  lock
//! work/     step/ (working directory)  tmp/ (TMPDIR)
//! ```
//! `lock` is held by the agent and its supervisor as long as they live, so that a later sweep can tell a dead
//! step's folders from a living one's without looking at age or name.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

/// Where the folders may be made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Roots {
    /// For `private`, the first that works; all but the last are backed by memory.
    pub private: Vec<PathBuf>,
    /// For `work`.
    pub work: PathBuf,
}

/// The two folders.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Folders {
    /// Credentials, script, links to tools.
    pub private: PathBuf,
    /// Working directory and TMPDIR.
    pub work: PathBuf,
    /// Whether `private` is where nothing reaches a disk.
    pub in_memory: bool,
}

/// Why there is no workspace.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// The operating system refused.
    #[error("the workspace in {place} cannot be written")]
    Write {
        /// A folder or file.
        place: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process holds the lock alone: a sweep took this step for a dead one.
    #[error("the workspace in {place} was taken away")]
    Taken {
        /// The private folder.
        place: PathBuf,
    },
}

impl WorkspaceError {
    fn at(place: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let place = place.to_owned();
        move |source| Self::Write { place, source }
    }
}

impl Folders {
    /// Makes both folders and the lock; on failure nothing is left. The lock lasts as long as the file.
    ///
    /// # Errors
    /// [`WorkspaceError::Write`] with the place that could not be written.
    pub fn create(roots: &Roots) -> Result<(Self, File), WorkspaceError> {
        let (private, in_memory) = private_folder(&roots.private)?;
        let work = folder_in(&roots.work).inspect_err(|_| drop(fs::remove_dir(&private)))?;
        let folders = Self { private, work, in_memory };
        match folders.fill() {
            Ok(lock) => Ok((folders, lock)),
            Err(error) => {
                // What is told is why the folders could not be filled, not that an empty one stayed.
                drop(folders.remove());
                Err(error)
            }
        }
    }

    fn fill(&self) -> Result<File, WorkspaceError> {
        for folder in [self.step(), self.temporary(), self.tools()] {
            DirBuilder::new().mode(0o700).create(&folder).map_err(WorkspaceError::at(&folder))?;
        }
        // Locked before it has its name, so that no sweep ever sees it unlocked.
        let unnamed = self.private.join("lock.new");
        let lock = write_private(&unnamed, &self.owner())?;
        let lock_failed = |error: rustix::io::Errno| WorkspaceError::at(&unnamed)(error.into());
        rustix::fs::flock(&lock, FlockOperation::LockShared).map_err(lock_failed)?;
        fs::rename(&unnamed, self.lock()).map_err(WorkspaceError::at(&unnamed))?;
        Ok(lock)
    }

    /// What a sweep after a crash has to know.
    fn owner(&self) -> Vec<u8> {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let pid = std::process::id();
        let start = start_time(pid);
        let owner = serde_json::json!({
            "bootId": boot_id.trim(), "pid": pid, "startTime": start, "work": self.work, "cgroup": null,
        });
        owner.to_string().into_bytes()
    }

    /// The script's working directory, where it has none of its own.
    #[must_use]
    pub fn step(&self) -> PathBuf {
        self.work.join("step")
    }

    /// The script's TMPDIR.
    #[must_use]
    pub fn temporary(&self) -> PathBuf {
        self.work.join("tmp")
    }

    /// The folder that stands first on the script's PATH.
    #[must_use]
    pub fn tools(&self) -> PathBuf {
        self.private.join("bin")
    }

    fn lock(&self) -> PathBuf {
        self.private.join("lock")
    }

    /// Removes `private`, then `work`; what is not there any more is no failure.
    ///
    /// # Errors
    /// The first failure, after both were tried.
    pub fn remove(&self) -> io::Result<()> {
        let private = remove_tree(&self.private);
        let work = remove_tree(&self.work);
        private.and(work)
    }
}

/// The agent's hold on its workspace.
pub struct Workspace {
    folders: Folders,
    _lock: File,
}

impl Workspace {
    /// Takes the agent's own hold on folders that its supervisor made.
    ///
    /// # Errors
    /// [`WorkspaceError`] where the lock is not there or not to be had.
    pub fn hold(folders: Folders) -> Result<Self, WorkspaceError> {
        let lock = File::open(folders.lock()).map_err(WorkspaceError::at(&folders.private))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared)
            .map_err(|_| WorkspaceError::Taken { place: folders.private.clone() })?;
        Ok(Self { folders, _lock: lock })
    }

    /// The two folders.
    #[must_use]
    pub fn folders(&self) -> &Folders {
        &self.folders
    }

    /// Writes a file of mode 0600 into `private`, and gives its path.
    ///
    /// # Errors
    /// [`WorkspaceError::Write`].
    pub fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, WorkspaceError> {
        let path = self.folders.private.join(name);
        write_private(&path, content)?;
        Ok(path)
    }
}

/// Makes a new file of mode 0600.
///
/// # Errors
/// [`WorkspaceError::Write`]; a file that is there already is one.
pub fn write_private(path: &Path, content: &[u8]) -> Result<File, WorkspaceError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content)?;
        Ok(file)
    };
    write().map_err(WorkspaceError::at(path))
}

fn private_folder(roots: &[PathBuf]) -> Result<(PathBuf, bool), WorkspaceError> {
    let (last, memory) = roots.split_last().expect("settings gives TMPDIR at least");
    let found = memory.iter().find_map(|root| folder_in(root).ok());
    found.map_or_else(|| Ok((folder_in(last)?, false)), |folder| Ok((folder, true)))
}

/// A new folder of mode 0700 with a name that nobody can guess.
fn folder_in(root: &Path) -> Result<PathBuf, WorkspaceError> {
    tempfile::Builder::new()
        .prefix("kubestep-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(root)
        .map(tempfile::TempDir::keep)
        .map_err(WorkspaceError::at(root))
}

/// Removes a folder; one that the script closed against its owner (`chmod 0`) is opened again first.
fn remove_tree(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_folders(folder);
            fs::remove_dir_all(folder)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Gives the owner all rights on every folder. What fails here fails again, and is told, at the removal.
fn open_folders(folder: &Path) {
    drop(fs::set_permissions(folder, Permissions::from_mode(0o700)));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        open_folders(&entry.path());
    }
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
    use super::{Folders, Roots, Workspace, write_private};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn roots(root: &Path) -> Roots {
        Roots { private: vec![root.join("memory"), root.to_owned()], work: root.to_owned() }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("is there").permissions().mode() & 0o7777
    }

    #[test]
    fn folders_are_0700_files_0600_and_nothing_stays() {
        let root = tempfile::tempdir().expect("a folder");
        let (folders, _lock) = Folders::create(&roots(root.path())).expect("a workspace");
        assert!(!folders.in_memory, "the first root does not exist, so the last one is taken");
        let workspace = Workspace::hold(folders.clone()).expect("both can hold the lock");
        let file = workspace.write("kubeconfig", b"x").expect("written");
        assert_eq!(mode(&file), 0o600);
        for folder in
            [&folders.private, &folders.work, &folders.step(), &folders.temporary(), &folders.tools()]
        {
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
        folders.remove().expect("removed");
        folders.remove().expect("removed twice is no failure");
        assert_eq!(fs::read_dir(root.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn a_folder_that_the_script_closed_is_removed_too() {
        let root = tempfile::tempdir().expect("a folder");
        let (folders, _lock) = Folders::create(&roots(root.path())).expect("a workspace");
        let closed = folders.step().join("closed");
        fs::create_dir(&closed).expect("made");
        fs::write(closed.join("file"), "x").expect("written");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o0)).expect("closed");
        folders.remove().expect("removed");
    }

    #[test]
    fn a_file_that_is_there_already_is_not_written_through() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("link");
        std::os::unix::fs::symlink("/etc/hostname", &path).expect("linked");
        assert!(write_private(&path, b"x").is_err());
    }

    #[test]
    fn where_work_cannot_be_made_private_is_not_left() {
        let root = tempfile::tempdir().expect("a folder");
        let roots = Roots { private: vec![root.path().to_owned()], work: root.path().join("missing") };
        let error = Folders::create(&roots).map(drop).expect_err("no work");
        assert!(error.to_string().contains("missing cannot be written"), "{error}");
        assert_eq!(fs::read_dir(root.path()).expect("a folder").count(), 0);
    }
}
