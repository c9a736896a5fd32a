//! What steps have on this machine: the living ones (`kubestep ps`), and what dead ones left.
//!
//! A step is dead when nobody holds its lock; neither age nor name is looked at. Only folders of our own user are
//! looked into, as a lock says what is to be removed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};

use super::lock::{LOCK, NEW_PREFIX, Owner, PREFIX, RANDOM, boot_id};
use super::{remove_content, remove_tree};

/// A step that runs.
#[derive(Clone, Debug)]
pub struct Living {
    /// Its folder in memory.
    pub private: PathBuf,
    /// What its lock says.
    pub owner: Owner,
}

/// What a dead step left. As long as it is held, no other sweep touches it.
pub struct Remains {
    /// Its folder in memory.
    pub private: PathBuf,
    /// What its lock says; `None` where it died before it said anything, and has nothing but its folder.
    pub owner: Option<Owner>,
    /// Held alone. `None` for a folder that did not even get its lock, and is empty.
    lock: Option<File>,
}

/// Everything that is found in these folders.
#[derive(Default)]
pub struct Found {
    /// In the order of their beginning.
    pub living: Vec<Living>,
    /// Dead.
    pub remains: Vec<Remains>,
}

/// Looks through the folders; it waits for nobody.
#[must_use]
pub fn find(roots: &[PathBuf]) -> Found {
    let mut found = Found::default();
    let mut roots = roots.to_vec();
    roots.sort();
    roots.dedup();
    for root in roots {
        for entry in fs::read_dir(&root).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let is_new = name.starts_with(NEW_PREFIX);
            let own = name.strip_prefix(NEW_PREFIX).or_else(|| name.strip_prefix(PREFIX));
            if own.is_some_and(|own| own.len() == RANDOM) && is_ours(&entry.path(), true) {
                look_at(entry.path(), is_new, &mut found);
            }
        }
    }
    found.living.sort_by(|one, other| one.owner.since.cmp(&other.owner.since));
    found
}

fn look_at(private: PathBuf, is_new: bool, found: &mut Found) {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let path = private.join(LOCK);
    let Ok(lock) = rustix::fs::open(&path, flags, Mode::empty()).map(File::from) else {
        // Its maker is between two calls, or dead. Should he live, an empty folder is no loss: he makes another.
        if is_new && !path.exists() {
            found.remains.push(Remains { private, owner: None, lock: None });
        }
        return;
    };
    if !is_ours(&path, false) {
        return;
    }
    let held = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err();
    let owner = read_owner(&lock).filter(|owner| owner.fits(&private));
    match (held, owner) {
        (true, Some(owner)) => found.living.push(Living { private, owner }),
        // With a name of its own and a lock that says nothing of ours, it is a stranger's; and a lock that was
        // removed meanwhile is nobody's any more.
        (false, owner)
            if (owner.is_some() || is_new) && lock.metadata().is_ok_and(|lock| lock.nlink() > 0) =>
        {
            found.remains.push(Remains { private, owner, lock: Some(lock) });
        }
        _ => {}
    }
}

fn read_owner(mut lock: &File) -> Option<Owner> {
    let mut text = Vec::new();
    // Longer than any lock of ours.
    Read::by_ref(&mut lock).take(64 * 1024).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn is_ours(path: &Path, folder: bool) -> bool {
    let own = rustix::process::geteuid().as_raw();
    let is_kind = |kind: fs::FileType| if folder { kind.is_dir() } else { kind.is_file() };
    fs::symlink_metadata(path).is_ok_and(|there| is_kind(there.file_type()) && there.uid() == own)
}

impl Remains {
    /// Whether its processes can still be there: their numbers mean something in their boot only.
    #[must_use]
    pub fn is_of_this_boot(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.boot_id == boot_id())
    }

    /// Removes the folders; the lock at the very end, so that another sweep can take up what is cut short.
    ///
    /// # Errors
    /// The first thing that could not be removed, after everything was tried.
    pub fn remove(&self) -> io::Result<()> {
        let Some(owner) = &self.owner else {
            return match self.lock {
                Some(_) => remove_tree(&self.private),
                // Where it is not empty any more, its maker has gone on.
                None => fs::remove_dir(&self.private).or(Ok(())),
            };
        };
        let secrets = remove_content(&self.private, LOCK);
        // A folder of somebody else that stands there is none of the step's.
        let work = if is_ours(&owner.work, true) { remove_tree(&owner.work) } else { Ok(()) };
        secrets.and(work)?;
        remove_tree(&self.private)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Folders, Roots, Tenant};
    use super::find;
    use std::fs;
    use std::path::{Path, PathBuf};

    fn make(root: &Path) -> (Folders, fs::File) {
        let roots = Roots { private: vec![root.to_owned()], work: root.to_owned() };
        Folders::create(&roots, &Tenant { step: "deploy".into(), ..Tenant::default() }).expect("a workspace")
    }

    fn names(root: &Path) -> Vec<PathBuf> {
        fs::read_dir(root).expect("there").flatten().map(|entry| entry.path()).collect()
    }

    #[test]
    fn who_holds_his_lock_lives_and_who_does_not_is_removed() {
        let root = tempfile::tempdir().expect("a folder");
        let roots = [root.path().to_owned()];
        let (living, lock) = make(root.path());
        let (dead, dropped) = make(root.path());
        fs::write(dead.step().join("file"), "x").expect("written");
        drop(dropped);
        let found = find(&roots);
        assert_eq!(found.living.len(), 1);
        assert_eq!(found.living[0].owner.step, "deploy");
        assert_eq!(found.remains.len(), 1);
        assert!(found.remains[0].is_of_this_boot());
        assert!(find(&roots).remains.is_empty(), "one sweep at a time");
        found.remains[0].remove().expect("removed");
        assert!(!dead.private.exists() && !dead.work.exists());
        assert!(living.private.exists() && living.work.exists());
        drop((lock, found));
        let found = find(&roots);
        found.remains[0].remove().expect("removed");
        assert!(names(root.path()).is_empty());
    }

    #[test]
    fn a_step_that_died_at_any_moment_of_its_beginning_leaves_nothing() {
        let root = tempfile::tempdir().expect("a folder");
        let new = root.path().join(".kubestep-new-0123456789abcdef");
        let sweep =
            || find(&[root.path().to_owned()]).remains.iter().for_each(|one| one.remove().expect("removed"));
        fs::create_dir(&new).expect("made");
        sweep();
        assert!(!new.exists(), "without its lock");
        fs::create_dir(&new).expect("made");
        fs::write(new.join("lock"), "").expect("written");
        sweep();
        assert!(!new.exists(), "with an empty lock");
        let (folders, lock) = make(root.path());
        drop(lock);
        fs::rename(
            &folders.private,
            root.path().join(
                folders
                    .private
                    .file_name()
                    .expect("named")
                    .to_str()
                    .expect("text")
                    .replace("kubestep-", ".kubestep-new-"),
            ),
        )
        .expect("renamed");
        sweep();
        assert!(names(root.path()).is_empty(), "before it was renamed");
    }

    #[test]
    fn strangers_with_our_names_are_not_touched() {
        let root = tempfile::tempdir().expect("a folder");
        let name = "kubestep-0123456789abcdef";
        for (folder, lock) in [("kubestep-x", None), (name, None), ("kubestep-fedcba9876543210", Some("{}"))]
        {
            fs::create_dir(root.path().join(folder)).expect("made");
            if let Some(lock) = lock {
                fs::write(root.path().join(folder).join("lock"), lock).expect("written");
            }
        }
        let other = root.path().join(".kubestep-new-fedcba9876543210");
        fs::create_dir(&other).expect("made");
        fs::write(other.join("mine"), "x").expect("written");
        find(&[root.path().to_owned()]).remains.iter().for_each(|one| one.remove().expect("removed"));
        assert_eq!(names(root.path()).len(), 4);
        assert!(other.join("mine").exists());
    }
}
