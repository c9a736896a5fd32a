//! Where a tool lies: every place on a PATH, or the path that was chosen for it.
//!
//! Relative and empty entries of a PATH mean the working directory, where anybody may have put a file: they are
//! left out here, and the probes do not see them either.

use std::collections::HashSet;
use std::env::{join_paths, split_paths};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};

use crate::fault::Fault;
use crate::tool::Tool;

/// A PATH without its relative entries; `None` if nothing is left, since an empty PATH means the working directory.
pub(crate) fn absolute(path: &OsStr) -> Option<OsString> {
    let entries: Vec<PathBuf> = split_paths(path).filter(|entry| entry.is_absolute()).collect();
    // What was just split holds no separator, so it can be joined.
    join_paths(entries).ok().filter(|path| !path.is_empty())
}

/// The executable that was chosen, if one was, and then every one of that name in the order in which they would be
/// met. `path` is [`absolute`].
///
/// A file that lies there under a second path (`/bin` is often a link to `/usr/bin`) is listed once: it shadows
/// nothing.
pub(crate) fn executables(tool: Tool, chosen: Option<&Path>, path: Option<&OsStr>) -> Vec<PathBuf> {
    // The working directory is only used for relative entries, and there are none.
    let met = which::which_in_all(tool.name(), path, "/").into_iter().flatten();
    let mut seen = HashSet::new();
    let all = chosen.map(Path::to_path_buf).into_iter().chain(met);
    all.filter(|hit| fs::metadata(hit).is_ok_and(|file| seen.insert((file.dev(), file.ino())))).collect()
}

/// The first file of that name that would be met were it executable, and why it is not.
pub(crate) fn blocked_on_path(tool: Tool, path: Option<&OsStr>) -> Option<(PathBuf, Fault)> {
    split_paths(path?).map(|folder| folder.join(tool.name())).find_map(|file| match examine(&file) {
        // A folder on a PATH that is named like a tool is no try to install it.
        Ok(()) | Err(Fault::NotFound | Fault::Folder | Fault::System { .. }) => None,
        Err(fault) => Some((file, fault)),
    })
}

/// Whether the file can be executed, as far as that can be seen without starting it.
pub(crate) fn examine(file: &Path) -> Result<(), Fault> {
    if !file.is_absolute() {
        return Err(Fault::Relative);
    }
    let metadata = match fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(fs::read_link(file).map_or(Fault::NotFound, |target| Fault::DanglingLink { target }));
        }
        Err(error) => return Err(Fault::system("examined", &error)),
    };
    if metadata.is_dir() {
        return Err(Fault::Folder);
    }
    if metadata.is_file() && access(file, Access::EXEC_OK).is_ok() {
        return Ok(());
    }
    Err(if lies_on_noexec(file, &metadata) { Fault::NoExecMount } else { Fault::NotExecutable })
}

fn lies_on_noexec(file: &Path, metadata: &Metadata) -> bool {
    let marked = metadata.is_file() && metadata.mode() & 0o111 != 0;
    marked && statvfs(file).is_ok_and(|system| system.f_flag.contains(StatVfsMountFlags::NOEXEC))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::path::Path;

    use super::{absolute, examine};
    use crate::fault::Fault;

    #[test]
    fn relative_and_empty_entries_are_left_out() {
        assert_eq!(absolute(OsStr::new("/a:.::bin:~/bin:/b:")), Some("/a:/b".into()));
        assert_eq!(absolute(OsStr::new("")), None);
        assert_eq!(absolute(OsStr::new(".")), None);
    }

    #[test]
    fn a_relative_choice_is_refused() {
        assert_eq!(examine(Path::new("bin/kubectl")), Err(Fault::Relative));
        assert_eq!(examine(Path::new("")), Err(Fault::Relative));
    }
}
