//! What is wrong with a program that was found, in words for a person, and what to do about it.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a program that lies where it was looked for cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing lies at the path that was chosen.
    #[error("no such file")]
    NotFound,
    /// A path was chosen that depends on the working directory.
    #[error("not an absolute path")]
    Relative,
    /// A folder lies there.
    #[error("is a folder")]
    Folder,
    /// A link to nothing lies there.
    #[error("is a link to {}, which does not exist", .target.display())]
    DanglingLink {
        /// Where the link points.
        target: PathBuf,
    },
    /// The file is not marked executable, or not for this user.
    #[error("may not be executed by this user")]
    NotExecutable,
    /// The file system allows no execution.
    #[error("lies on a file system that is mounted noexec")]
    NoExecMount,
    /// The program was built for another processor.
    #[error("was built for {built_for}, and this machine is {}", std::env::consts::ARCH)]
    WrongArchitecture {
        /// The other processor's name.
        built_for: String,
    },
    /// The kernel does not know the file's format.
    #[error("is not a program: {contents}")]
    NotAProgram {
        /// What the file holds instead.
        contents: Contents,
    },
    /// The interpreter or loader that the file names does not exist.
    #[error("needs {}, which is not on this machine", named(interpreter.as_deref()))]
    MissingInterpreter {
        /// The script's interpreter or the binary's loader, where the file tells it.
        interpreter: Option<PathBuf>,
    },
    /// A library that it is linked with does not exist.
    #[error("needs the library {library}, which is not on this machine")]
    MissingLibrary {
        /// Its file's name.
        library: String,
    },
    /// It lacks what scripts use.
    #[error("does not do what scripts expect: {feature}")]
    Lacks {
        /// The rules' name for it.
        feature: String,
    },
    /// It was stopped because it asked its terminal for input.
    #[error("wanted input from a terminal when asked for its version")]
    WaitsForTerminal,
    /// It ended with a code other than 0 when it was asked for its version.
    #[error("ended with exit code {code} when asked for its version{}", quoted(said.as_deref()))]
    Exited {
        /// The exit code.
        code: i32,
        /// The first line of what it said about that.
        said: Option<String>,
    },
    /// A signal ended it when it was asked for its version.
    #[error("was killed by signal {signal} when asked for its version")]
    Killed {
        /// The signal's number.
        signal: i32,
    },
    /// It gave no answer in time.
    #[error("gave no answer within {limit:?} when asked for its version")]
    TimedOut {
        /// How long it was given.
        limit: Duration,
    },
    /// Another program goes by the tool's name.
    #[error("is {found}")]
    Stranger {
        /// Which one.
        found: &'static str,
    },
    /// It printed without end.
    #[error("printed more than {} KiB when asked for its version", crate::ask::MOST_OUTPUT / 1024)]
    Flooded,
    /// The system refused for another reason.
    #[error("could not be {act}: {why}")]
    System {
        /// What was tried: `examined`, `started` or `watched`.
        act: &'static str,
        /// The system's words.
        why: String,
    },
}

impl Fault {
    pub(crate) fn system(act: &'static str, error: &std::io::Error) -> Self {
        Self::System { act, why: error.to_string() }
    }

    /// One word for machines.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotFound => "NotFound",
            Self::Relative => "Relative",
            Self::Folder => "Folder",
            Self::DanglingLink { .. } => "DanglingLink",
            Self::NotExecutable => "NotExecutable",
            Self::NoExecMount => "NoExecMount",
            Self::WrongArchitecture { .. } => "WrongArchitecture",
            Self::NotAProgram { .. } => "NotAProgram",
            Self::MissingInterpreter { .. } => "MissingInterpreter",
            Self::MissingLibrary { .. } => "MissingLibrary",
            Self::Lacks { .. } => "Lacks",
            Self::Exited { .. } => "Exited",
            Self::Killed { .. } => "Killed",
            Self::TimedOut { .. } => "TimedOut",
            Self::Flooded => "Flooded",
            Self::WaitsForTerminal => "WaitsForTerminal",
            Self::Stranger { .. } => "Stranger",
            Self::System { .. } => "System",
        }
    }

    /// What to do about it, in words that can follow `hint: `.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotFound => "correct the path, or install the program there",
            Self::Relative => "write the whole path, from / on",
            Self::Folder => "name the program inside the folder",
            Self::DanglingLink { .. } => "install what the link points to, or remove the link",
            Self::NotExecutable => "run chmod +x on it, or check who owns it and its folders",
            Self::NoExecMount => "move the program to a file system that is mounted with exec",
            Self::WrongArchitecture { .. } => "install the build for this machine's processor",
            Self::NotAProgram { contents } => contents.hint(),
            Self::MissingInterpreter { interpreter: Some(path) } if ends_in_carriage_return(path) => {
                "save the script with Unix line ends (sed -i 's/\\r$//')"
            }
            Self::MissingInterpreter { .. } => {
                "install what it needs, or a build for this system (a glibc program does not run on musl)"
            }
            Self::Exited { .. } | Self::Killed { .. } => {
                "run it by hand with the version option, and reinstall it if it fails"
            }
            Self::MissingLibrary { .. } => "install the package that has it (apt-file search, dnf provides)",
            Self::Lacks { .. } => "install GNU's (jq: 1.5 or newer)",
            Self::TimedOut { .. } | Self::Flooded | Self::WaitsForTerminal => {
                "run it by hand with the version option, and look at what it waits for or prints"
            }
            Self::Stranger { .. } => "put the right one first on the PATH, or choose its path",
            Self::System { .. } => return None,
        })
    }
}

/// A path with its invisible characters shown: a script that was saved on Windows needs `/bin/sh\r`.
fn named(interpreter: Option<&Path>) -> String {
    interpreter
        .map_or_else(|| "an interpreter".to_owned(), |path| path.to_string_lossy().escape_debug().to_string())
}

fn ends_in_carriage_return(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"\r")
}

fn quoted(said: Option<&str>) -> String {
    said.map_or_else(String::new, |said| format!(": {said}"))
}

/// What a file holds that is not a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contents {
    /// Nothing.
    #[error("the file is empty")]
    Nothing,
    /// A web page, as a failed download leaves it.
    #[error("the file is a web page")]
    WebPage,
    /// A text whose first line names no interpreter. A shell would run it all the same, other programs cannot.
    #[error("the file is a text without a #! line")]
    Text,
    /// Anything else, a program that was cut short among them.
    #[error("the file's format is unknown or damaged")]
    Unknown,
}

impl Contents {
    const fn hint(self) -> &'static str {
        match self {
            Self::Nothing | Self::WebPage | Self::Unknown => "download it again, and compare its checksum",
            Self::Text => "begin the script with a line such as #!/bin/sh",
        }
    }
}
