//! What stands between a tool's name and the program: launchers decide at each call which program runs, and what
//! was found out about one call may not hold for the next.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::contents::is_script;
use crate::tool::Tool;
use crate::version::Version;

/// What a tool's file is, where it is not the tool itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The Cloud SDK's kubectl: it asks the cluster for its version, and runs the kubectl beside it that fits.
    Dispatcher {
        /// The versions of those beside it, such as `1.27`, in order.
        siblings: Vec<(u32, u32)>,
    },
    /// One program that goes by many names.
    Applet {
        /// Such as `busybox`.
        of: &'static str,
    },
    /// A launcher that picks a version by its own settings, for each folder or user.
    Shim {
        /// Such as `pyenv`.
        of: &'static str,
    },
    /// A snap, which sees little of the file system.
    Snap,
    /// A script in the place of a program.
    Wrapper,
}

/// One program with many names, and what it is called.
const APPLETS: [&str; 3] = ["busybox", "toybox", "coreutils"];

/// Version managers: what their launchers' paths hold, and their names.
const SHIMS: [(&str, &str); 6] = [
    ("/.pyenv/shims/", "pyenv"),
    ("/.asdf/shims/", "asdf"),
    ("/mise/shims/", "mise"),
    ("/.tool-versions/", "asdf"),
    ("/.rbenv/shims/", "rbenv"),
    ("/shims/", "a version manager"),
];

impl Kind {
    /// What the file is by its place, its target, its first bytes and what it said.
    pub(crate) fn of(tool: Tool, path: &Path, version: &Version) -> Option<Self> {
        let real = fs::canonicalize(path).ok()?;
        if let Version::Known { printed, .. } = version
            && printed.ends_with("-dispatcher")
        {
            return Some(Self::Dispatcher { siblings: siblings(&real) });
        }
        let name = real.file_name()?.to_str()?;
        if let Some(of) = APPLETS.into_iter().find(|applet| *applet == name) {
            return Some(Self::Applet { of });
        }
        let (met, real) = (path.to_str()?, real.to_str()?);
        if met.starts_with("/snap/") || real == "/usr/bin/snap" {
            return Some(Self::Snap);
        }
        let managers = ["mise", "asdf", "pyenv"];
        if let Some((_, of)) = SHIMS.into_iter().find(|(part, _)| met.contains(part)) {
            return Some(Self::Shim { of });
        }
        if let Some(of) = managers.into_iter().find(|manager| *manager == name) {
            return Some(Self::Shim { of });
        }
        (!tool.is_script_by_nature() && is_script(path)).then_some(Self::Wrapper)
    }

    /// One word for machines.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Dispatcher { .. } => "dispatcher",
            Self::Applet { .. } => "applet",
            Self::Shim { .. } => "shim",
            Self::Snap => "snap",
            Self::Wrapper => "wrapper",
        }
    }
}

/// `kubectl.1.27` and its like beside the dispatcher.
fn siblings(dispatcher: &Path) -> Vec<(u32, u32)> {
    let entries = dispatcher.parent().and_then(|folder| fs::read_dir(folder).ok());
    let names =
        entries.into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let version = |name: String| {
        let (major, minor) = name.strip_prefix("kubectl.")?.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    let mut found: Vec<(u32, u32)> = names.filter_map(version).collect();
    found.sort_unstable();
    found
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dispatcher { siblings } => match (siblings.first(), siblings.last()) {
                (Some(first), Some(last)) => write!(
                    f,
                    "the Cloud SDK's dispatcher: it runs one of {}.{} to {}.{}, by the cluster's version",
                    first.0, first.1, last.0, last.1
                ),
                _ => f.write_str("the Cloud SDK's dispatcher, without a kubectl beside it"),
            },
            Self::Applet { of } => write!(f, "an applet of {of}"),
            Self::Shim { of } => write!(f, "a launcher of {of}: which version runs is decided at each call"),
            Self::Snap => f.write_str("a snap: it sees neither /tmp nor hidden folders of the home"),
            Self::Wrapper => f.write_str("a script in the place of a program"),
        }
    }
}
