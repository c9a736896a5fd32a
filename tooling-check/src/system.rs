//! Which system this is, as far as it decides how a tool is installed.

use std::fs;
use std::path::Path;

/// A distribution and a processor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct System {
    /// `ID` of os-release and the words of `ID_LIKE`, the nearest first.
    ids: Vec<String>,
    is_root: bool,
}

impl System {
    /// This machine's.
    #[must_use]
    pub fn here() -> Self {
        let files = ["/etc/os-release", "/usr/lib/os-release"];
        let text =
            files.into_iter().find_map(|file| fs::read_to_string(Path::new(file)).ok()).unwrap_or_default();
        Self::of(&text, rustix::process::geteuid().is_root())
    }

    /// The system that this text of os-release names.
    #[must_use]
    pub fn of(os_release: &str, is_root: bool) -> Self {
        let value = |key: &str| {
            let line =
                os_release.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
            Some(line.trim_matches(['"', '\'']))
        };
        let words = ["ID", "ID_LIKE"].into_iter().filter_map(value).flat_map(str::split_whitespace);
        Self { ids: words.map(str::to_owned).collect(), is_root }
    }

    /// Whether it is that distribution or like it.
    #[must_use]
    pub fn is(&self, id: &str) -> bool {
        self.ids.iter().any(|own| own == id)
    }

    /// A command with this machine's words in the place of `{arch}` (Go's name of the processor), `{machine}` (the
    /// kernel's) and `{sudo}` (nothing for root).
    pub(crate) fn filled(&self, command: &str) -> String {
        let machine = std::env::consts::ARCH;
        let arch = match machine {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let sudo = if self.is_root { "" } else { "sudo " };
        command.replace("{arch}", arch).replace("{machine}", machine).replace("{sudo}", sudo)
    }
}

#[cfg(test)]
mod tests {
    use super::System;

    #[test]
    fn a_distribution_is_itself_and_what_it_is_like() {
        let ubuntu = System::of("NAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\nID=ubuntu\nID_LIKE=debian\n", true);
        assert!(ubuntu.is("ubuntu") && ubuntu.is("debian") && !ubuntu.is("24.04") && !ubuntu.is("alpine"));
        let alma = System::of("ID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\n", true);
        assert!(alma.is("fedora") && alma.is("almalinux"));
        assert!(!System::of("", true).is(""));
    }

    #[test]
    fn only_root_needs_no_sudo() {
        let command = "{sudo}apk add jq";
        assert_eq!(System::of("", true).filled(command), "apk add jq");
        assert_eq!(System::of("", false).filled(command), "sudo apk add jq");
    }
}
