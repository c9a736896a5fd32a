//! The removal of a folder that a script could do with as it liked: closed against its owner, made immutable, a
//! million files wide or ten thousand folders deep, with mounts in it.
//!
//! It goes down and up by descriptors, one open at a time: nothing grows with the depth but a list of names, and
//! no path is followed that could have been changed. It never leaves the file system of the folder: what is
//! mounted in it is taken off its place, or stays and is told.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fs::{self, Permissions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, IFlags, Mode, OFlags, RawDir, ResolveFlags, SeekFrom};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How much of a folder is read at once, in bytes.
const BUFFER: usize = 32 * 1024;

/// Removes a folder and all that is in it; one that is not there is no failure.
///
/// # Errors
/// The first thing that could not be removed, after everything else was.
pub(super) fn remove_tree(folder: &Path) -> io::Result<()> {
    Removal::new(folder, None).run()?;
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes all that is in a folder, but not `spared`.
///
/// # Errors
/// As [`remove_tree`].
pub(super) fn remove_content(folder: &Path, spared: &str) -> io::Result<()> {
    Removal::new(folder, CString::new(spared).ok()).run()
}

/// Device and inode.
type Identity = (u64, u64);

struct Removal<'a> {
    folder: &'a Path,
    /// An entry of the topmost folder that is to stay.
    spared: Option<CString>,
    /// The folders above the present one: what they are, and the name of the next one in them.
    above: Vec<(Identity, CString)>,
    /// What cannot be removed, and is not tried again.
    resisting: BTreeSet<(Identity, CString)>,
    first_failure: Option<io::Error>,
}

impl<'a> Removal<'a> {
    fn new(folder: &'a Path, spared: Option<CString>) -> Self {
        Self { folder, spared, above: Vec::new(), resisting: BTreeSet::new(), first_failure: None }
    }

    fn run(mut self) -> io::Result<()> {
        let Some(mut here) = open_topmost(self.folder)? else { return Ok(()) };
        loop {
            here = match self.clear(&here)? {
                Some(below) => match enter(here.as_fd(), &below) {
                    Ok(folder) => {
                        self.above.push((identity(&here)?, below));
                        folder
                    }
                    Err(error) => {
                        self.resists(&here, &below, error)?;
                        here
                    }
                },
                None => match self.above.pop() {
                    Some((expected, name)) => self.leave(&here, expected, name)?,
                    None => break,
                },
            };
        }
        self.first_failure.map_or(Ok(()), Err)
    }

    /// Removes what is in a folder, and gives the name of a folder in it that has something in it, if there is one.
    fn clear(&mut self, here: &OwnedFd) -> io::Result<Option<CString>> {
        let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
        loop {
            // Entries that are removed while a folder is read can hide others from this reading.
            rustix::fs::seek(here, SeekFrom::Start(0))?;
            let mut removed = false;
            let mut entries = RawDir::new(here, &mut buffer);
            while let Some(entry) = entries.next() {
                let entry = entry?;
                let name = entry.file_name();
                if matches!(name.to_bytes(), b"." | b"..") || self.is_to_stay(here, name)? {
                    continue;
                }
                match remove_entry(here.as_fd(), name, entry.file_type()) {
                    Ok(()) => removed = true,
                    Err(Errno::NOTEMPTY | Errno::EXIST) => return Ok(Some(name.to_owned())),
                    Err(error) => {
                        let name = name.to_owned();
                        self.resists(here, &name, error)?;
                    }
                }
            }
            if !removed {
                return Ok(None);
            }
        }
    }

    /// Goes up, and removes the folder that was left.
    fn leave(&mut self, here: &OwnedFd, expected: Identity, name: CString) -> io::Result<OwnedFd> {
        let parent = rustix::fs::openat(here, "..", FOLDER, Mode::empty())?;
        if identity(&parent)? != expected {
            return Err(io::Error::other(format!("{} is being changed", self.folder.display())));
        }
        if let Err(error) = remove_entry(parent.as_fd(), &name, FileType::Directory) {
            self.resists(&parent, &name, error)?;
        }
        Ok(parent)
    }

    fn is_to_stay(&self, here: &OwnedFd, name: &CStr) -> io::Result<bool> {
        let spared = self.above.is_empty() && self.spared.as_deref() == Some(name);
        // Nearly always there is nothing that resists, and nothing to look for.
        let resists = || Ok::<bool, io::Error>(self.resisting.contains(&(identity(here)?, name.to_owned())));
        Ok(spared || (!self.resisting.is_empty() && resists()?))
    }

    fn resists(&mut self, here: &OwnedFd, name: &CStr, error: Errno) -> io::Result<()> {
        self.resisting.insert((identity(here)?, name.to_owned()));
        // A folder that is not empty because of what is in it has its reason told already.
        if self.first_failure.is_none() {
            let place = place(here.as_fd()).join(name.to_string_lossy().as_ref());
            let error = io::Error::from(error);
            self.first_failure = Some(io::Error::new(error.kind(), format!("{}: {error}", place.display())));
        }
        Ok(())
    }
}

/// `None` where it is not there.
fn open_topmost(folder: &Path) -> io::Result<Option<OwnedFd>> {
    let open = || rustix::fs::open(folder, FOLDER, Mode::empty());
    match open() {
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::ACCESS) if fs::symlink_metadata(folder)?.is_dir() => {
            fs::set_permissions(folder, Permissions::from_mode(0o700))?;
            Ok(Some(open()?))
        }
        opened => Ok(Some(opened?)),
    }
}

/// Removes one entry, with all that may be done about what resists.
fn remove_entry(here: BorrowedFd<'_>, name: &CStr, kind: FileType) -> rustix::io::Result<()> {
    let flags = if kind == FileType::Directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    match rustix::fs::unlinkat(here, name, flags) {
        Err(Errno::NOENT) => Ok(()),
        // Not every file system tells kinds.
        Err(Errno::ISDIR) if kind != FileType::Directory => remove_entry(here, name, FileType::Directory),
        Err(Errno::ACCESS | Errno::PERM) => {
            open_up(here, name, kind);
            rustix::fs::unlinkat(here, name, flags)
        }
        Err(Errno::BUSY) => {
            unmount(here, name)?;
            rustix::fs::unlinkat(here, name, flags)
        }
        done => done,
    }
}

/// Opens a folder in a folder, unless something is mounted on it.
fn enter(here: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    match open_here(here, name) {
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(here, name, Mode::RWXU, AtFlags::empty())?;
            open_here(here, name)
        }
        Err(Errno::XDEV) => {
            unmount(here, name)?;
            open_here(here, name)
        }
        opened => opened,
    }
}

fn open_here(here: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    match rustix::fs::openat2(here, name, FOLDER, Mode::empty(), resolve) {
        // Linux before 5.6, and containers that do not let it through.
        Err(Errno::NOSYS | Errno::PERM) if !is_mount_point(here, name) => {
            rustix::fs::openat(here, name, FOLDER, Mode::empty())
        }
        Err(Errno::NOSYS | Errno::PERM) => Err(Errno::XDEV),
        opened => opened,
    }
}

fn is_mount_point(here: BorrowedFd<'_>, name: &CStr) -> bool {
    let place = place(here).join(name.to_string_lossy().as_ref());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    // A place with blanks stands there escaped; random names, as ours, have none, and a script's own are rare
    // enough to be left and told.
    let escaped = place.display().to_string().replace(' ', "\\040");
    mounts.is_empty() || mounts.lines().any(|line| line.split(' ').nth(4) == Some(escaped.as_str()))
}

/// Takes off what is mounted there. Whoever has it open keeps it until he closes it.
fn unmount(here: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<()> {
    let place = format!("/proc/self/fd/{}/{}", here.as_raw_fd(), name.to_string_lossy());
    rustix::mount::unmount(place, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
}

/// Gives the owner all rights on the folder, and takes off what makes folder or entry immutable. What fails here
/// fails again, and is told, at the removal.
fn open_up(here: BorrowedFd<'_>, name: &CStr, kind: FileType) {
    let _ = rustix::fs::fchmod(here, Mode::RWXU);
    thaw(here);
    // Anything else could do something when it is opened.
    if matches!(kind, FileType::RegularFile | FileType::Directory)
        && let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC
        && let Ok(entry) = rustix::fs::openat(here, name, flags, Mode::empty())
    {
        thaw(entry.as_fd());
    }
}

fn thaw(entry: BorrowedFd<'_>) {
    let frozen = IFlags::IMMUTABLE | IFlags::APPEND;
    if let Ok(flags) = rustix::fs::ioctl_getflags(entry)
        && flags.intersects(frozen)
    {
        let _ = rustix::fs::ioctl_setflags(entry, flags.difference(frozen));
    }
}

fn identity(folder: &OwnedFd) -> io::Result<Identity> {
    let stat = rustix::fs::fstat(folder)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Where a descriptor is, for messages.
fn place(folder: BorrowedFd<'_>) -> PathBuf {
    fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{FOLDER, Mode, remove_content, remove_tree};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn ten_thousand_levels_are_removed_with_one_descriptor() {
        let root = tempfile::tempdir().expect("a folder");
        let top = root.path().join("top");
        fs::create_dir(&top).expect("made");
        let mut here = rustix::fs::open(&top, FOLDER, Mode::empty()).expect("opened");
        for _ in 0..10_000 {
            rustix::fs::mkdirat(&here, "d", Mode::RWXU).expect("made");
            here = rustix::fs::openat(&here, "d", FOLDER, Mode::empty()).expect("opened");
        }
        remove_tree(&top).expect("removed");
        assert!(!top.exists());
    }

    #[test]
    fn links_are_removed_and_not_followed_and_one_name_can_be_spared() {
        let root = tempfile::tempdir().expect("a folder");
        let (top, other) = (root.path().join("top"), root.path().join("other"));
        fs::create_dir_all(top.join("a/lock")).expect("made");
        fs::create_dir(&other).expect("made");
        fs::write(other.join("kept"), "x").expect("written");
        std::os::unix::fs::symlink(&other, top.join("a/link")).expect("linked");
        fs::write(top.join("lock"), "x").expect("written");
        remove_content(&top, "lock").expect("removed");
        assert_eq!(fs::read_dir(&top).expect("there").count(), 1, "only the topmost lock stays");
        assert!(other.join("kept").exists());
        remove_tree(&top).expect("removed");
        remove_tree(&top).expect("what is not there is no failure");
    }

    #[test]
    fn many_entries_beside_each_other_are_removed_also_where_some_are_folders() {
        let root = tempfile::tempdir().expect("a folder");
        let top = root.path().join("top");
        for folder in 0..40 {
            let folder = top.join(format!("folder-{folder}"));
            fs::create_dir_all(&folder).expect("made");
            (0..200).for_each(|file| fs::write(folder.join(format!("file-{file}")), "").expect("written"));
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).expect("closed");
        }
        (0..3000).for_each(|file| fs::write(top.join(format!("file-{file}")), "").expect("written"));
        remove_tree(&top).expect("removed");
    }
}
