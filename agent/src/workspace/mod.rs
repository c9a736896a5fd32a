//! A step's two folders, both 0700: `private` in memory for whatever is secret, `work` on disk for the script.
//!
//! ```text
//! private/  lock  kubeconfig  script  bin/ (links to the chosen tools)
//! work/     step/ (working directory)  tmp/ (TMPDIR)
//! ```
//! `lock` is held by the agent and its supervisor as long as they live, and names all that there is of the step.
//! It is the first thing made and the last removed, so that whoever comes after a crash can tell a dead step from
//! a living one, and knows what it left, without looking at age or name ([`remains`]).

mod lock;
pub mod remains;
mod removal;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use lock::{LOCK, claim_in, share};
pub use lock::{Owner, Tenant};
use removal::{remove_content, remove_tree};

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
    /// The cgroup of the step's own, which may not have been made.
    pub cgroup: Option<PathBuf>,
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
    pub fn create(roots: &Roots, tenant: &Tenant) -> Result<(Self, File), WorkspaceError> {
        let (last, memory) = roots.private.split_last().expect("settings gives TMPDIR at least");
        let in_memory = memory.iter().find_map(|root| claim_in(root, &roots.work, tenant).ok());
        let (claim, in_memory) = match in_memory {
            Some(claim) => (claim, true),
            None => (claim_in(last, &roots.work, tenant)?, false),
        };
        let (work, cgroup) = (claim.owner.work, claim.owner.cgroup);
        let folders = Self { private: claim.private, work, in_memory, cgroup };
        match folders.fill(&roots.work) {
            Ok(()) => Ok((folders, claim.lock)),
            Err(error) => {
                // What is told is why the folders could not be filled, not that an empty one stayed.
                drop(folders.remove());
                Err(error)
            }
        }
    }

    fn fill(&self, work_root: &Path) -> Result<(), WorkspaceError> {
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        builder.create(&self.work).map_err(WorkspaceError::at(work_root))?;
        for folder in [self.step(), self.temporary(), self.tools()] {
            builder.create(&folder).map_err(WorkspaceError::at(&folder))?;
        }
        Ok(())
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
        self.private.join(LOCK)
    }

    /// Removes what is secret, at once; `work` and the lock stay.
    ///
    /// # Errors
    /// The first failure, after everything was tried.
    pub fn remove_secrets(&self) -> io::Result<()> {
        remove_content(&self.private, LOCK)
    }

    /// Removes what is secret, then `work`, and at the very end the lock, so that a removal that is cut short can
    /// be taken up. What is not there any more is no failure.
    ///
    /// # Errors
    /// The first failure, after everything was tried.
    pub fn remove(&self) -> io::Result<()> {
        let secrets = self.remove_secrets();
        let work = remove_tree(&self.work);
        // With the lock, nobody would know any more what is left.
        secrets.and(work)?;
        remove_tree(&self.private)
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
        share(&lock).map_err(|_| WorkspaceError::Taken { place: folders.private.clone() })?;
        Ok(Self { folders, _lock: lock })
    }

    /// The two folders.
    #[must_use]
    pub fn folders(&self) -> &Folders {
        &self.folders
    }

    /// Where a file of `private` lies, or would lie.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folders.private.join(name)
    }

    /// Writes a file of mode 0600 into `private`, whole and at once: whoever reads it meets the old one or the new
    /// one. Gives its path. The name may lie in a folder, which is made.
    ///
    /// # Errors
    /// [`WorkspaceError::Write`].
    pub fn replace(&self, name: &str, content: &[u8]) -> Result<PathBuf, WorkspaceError> {
        let path = self.path(name);
        if let Some(folder) = path.parent() {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(WorkspaceError::at(folder))?;
        }
        let mut new = path.clone().into_os_string();
        new.push(".new");
        let new = PathBuf::from(new);
        // One that is there is a try that failed half-way.
        drop(std::fs::remove_file(&new));
        write_private(&new, content)?;
        std::fs::rename(&new, &path).map_err(WorkspaceError::at(&path))?;
        Ok(path)
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

#[cfg(test)]
mod tests {
    use super::{Folders, Roots, Tenant, Workspace, write_private};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn roots(root: &Path) -> Roots {
        Roots { private: vec![root.join("memory"), root.to_owned()], work: root.to_owned() }
    }

    fn create(root: &Path) -> (Folders, fs::File) {
        Folders::create(&roots(root), &Tenant::default()).expect("a workspace")
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("is there").permissions().mode() & 0o7777
    }

    #[test]
    fn folders_are_0700_files_0600_and_nothing_stays() {
        let root = tempfile::tempdir().expect("a folder");
        let (folders, _lock) = create(root.path());
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
        let (folders, _lock) = create(root.path());
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
        let error = Folders::create(&roots, &Tenant::default()).map(drop).expect_err("no work");
        assert!(error.to_string().contains("missing cannot be written"), "{error}");
        assert_eq!(fs::read_dir(root.path()).expect("a folder").count(), 0);
    }
}
