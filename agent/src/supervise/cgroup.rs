//! A cgroup (version 2) of a tree's own, below the supervisor's: who is born in it cannot leave it by itself, and
//! the kernel kills all of it at once.
//!
//! The mount is found, never assumed: on hybrid hosts it is not where it usually is.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags};

/// A cgroup that may not have been made yet.
#[derive(Clone, Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
}

/// The cgroup of this process, if cgroups can be made in it.
///
/// # Errors
/// Why not, for people.
pub(super) fn parent() -> Result<PathBuf, String> {
    let read = |path: &str| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let own = own_path(&read("/proc/self/cgroup")?).ok_or("the kernel has no cgroup v2")?;
    let folder = locate(&read("/proc/self/mountinfo")?, &own).ok_or("no cgroup2 mount holds this process")?;
    rustix::fs::access(&folder, rustix::fs::Access::WRITE_OK)
        .and_then(|()| rustix::fs::access(folder.join("cgroup.procs"), rustix::fs::Access::WRITE_OK))
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// The line of version 2 in /proc/self/cgroup.
fn own_path(cgroups: &str) -> Option<String> {
    cgroups.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

/// Where a mount of cgroup2 shows the cgroup `own` (proc(5), mountinfo).
fn locate(mounts: &str, own: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = place.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let below = Path::new(own).strip_prefix(root).ok()?;
        Some(Path::new(&unescaped(point)).join(below))
    })
}

/// Blanks and the like stand in mountinfo as `\040`.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.filter(|_| *first == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Cgroup {
    /// The one of that name; nothing is done yet.
    pub(super) fn named(path: PathBuf) -> Self {
        Self { path }
    }

    /// Makes it, and proves that it can be killed (Linux 5.14).
    pub(super) fn create(&self) -> io::Result<()> {
        fs::create_dir(&self.path)?;
        let usable = fs::metadata(self.path.join("cgroup.kill")).map(drop).and_then(|()| self.warm_up());
        usable.inspect_err(|_| drop(fs::remove_dir(&self.path)))
    }

    /// The first move of a process after a while costs a grace period of the kernel, about 10 ms. Paid here by a
    /// move that changes nothing, it does not stand between a look at a process and its move.
    fn warm_up(&self) -> io::Result<()> {
        let parent = self.path.parent().ok_or(io::ErrorKind::NotFound)?;
        write(&parent.join("cgroup.procs"), "0")
    }

    /// Moves this process in; what it starts is born here.
    pub(super) fn enter(&self) -> io::Result<()> {
        self.adopt(0)
    }

    /// Moves this process back.
    pub(super) fn leave(&self) -> io::Result<()> {
        self.warm_up()
    }

    /// Moves a process in; 0 is this one.
    pub(super) fn adopt(&self, pid: i32) -> io::Result<()> {
        write(&self.path.join("cgroup.procs"), &pid.to_string())
    }

    /// Every process in it and in those below; none where it was not made.
    pub(super) fn members(&self) -> Vec<i32> {
        let (mut members, mut folders) = (Vec::new(), vec![self.path.clone()]);
        while let Some(folder) = folders.pop() {
            let list = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            // 0 stands for a process that our namespace does not show.
            members.extend(list.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid != 0));
            folders.extend(folders_in(&folder));
        }
        members
    }

    /// KILL to all of it, also to what is being born.
    pub(super) fn kill(&self) -> io::Result<()> {
        write(&self.path.join("cgroup.kill"), "1")
    }

    /// Blocks until no process is in it. One that was not made is empty.
    pub(super) fn wait_until_empty(&self) {
        let Ok(mut events) = File::open(self.path.join("cgroup.events")) else { return };
        let mut text = String::new();
        loop {
            text.clear();
            let read = events.rewind().and_then(|()| events.read_to_string(&mut text));
            if read.is_err() || !text.contains("populated 1") {
                return;
            }
            let mut polled = [PollFd::from_borrowed_fd(events.as_fd(), PollFlags::PRI)];
            if !matches!(rustix::event::poll(&mut polled, None), Ok(_) | Err(rustix::io::Errno::INTR)) {
                return;
            }
        }
    }

    pub(super) fn is_populated(&self) -> bool {
        let events = fs::read_to_string(self.path.join("cgroup.events"));
        events.is_ok_and(|events| events.contains("populated 1"))
    }

    /// Removes it and those below, which must be empty; one that is not there is no failure.
    pub(super) fn remove(&self) -> io::Result<()> {
        let (mut folders, mut found) = (vec![self.path.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            folders.extend(folders_in(&folder));
            found.push(folder);
        }
        for folder in found.iter().rev() {
            match fs::remove_dir(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    File::options().write(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{locate, own_path};
    use std::path::PathBuf;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw,relatime shared:9 - cgroup2 cgroup2 rw";

    #[test]
    fn the_mount_is_found_on_hybrid_hosts() {
        let own = own_path("8:pids:/x\n0::/user.slice\n").expect("version 2");
        assert_eq!(locate(HYBRID, &own), Some(PathBuf::from("/sys/fs/cgroup/uni fied/user.slice")));
        assert_eq!(locate(HYBRID, "/"), Some(PathBuf::from("/sys/fs/cgroup/uni fied/")));
        assert_eq!(own_path("8:pids:/x\n"), None);
    }

    #[test]
    fn in_a_container_the_mounts_root_is_cut_off() {
        let mounts = "9 8 0:7 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw";
        assert_eq!(locate(mounts, "/docker/abc/x"), Some(PathBuf::from("/sys/fs/cgroup/x")));
        assert_eq!(locate(mounts, "/docker/other"), None);
        assert_eq!(locate("9 8 0:7 / /x ro - ext4 a rw", "/"), None);
    }
}
