//! Reads a tool's version out of what it printed.
//!
//! Only the numbers are compared: vendors' endings (`-eks-2f008fe`, `-gke.1`, `-dispatcher`, `+k3s1`) are no
//! semver pre-releases, and `jq-1.6` or `1.29+` are no semver at all. The text stays as it was printed.
//! A text that is not understood makes the version unknown, never the tool unusable.

use std::fmt;

use serde::Deserialize;

use crate::tool::Tool;

/// More of a line than this is no version but noise.
const LONGEST_LINE: usize = 200;

/// A tool's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// The tool was not run.
    NotAsked,
    /// The tool ran, but what it printed tells no version.
    Unknown {
        /// The first line it printed, if it printed any.
        printed: Option<String>,
    },
    /// The tool told its version.
    Known {
        /// As it was printed, with the vendor's ending.
        printed: String,
        /// The first number.
        major: u32,
        /// The second number.
        minor: u32,
        /// The third number, 0 where there is none.
        patch: u32,
    },
}

impl Version {
    /// Major, minor and patch, which compare as tuples do.
    #[must_use]
    pub const fn numbers(&self) -> Option<(u32, u32, u32)> {
        match self {
            Self::Known { major, minor, patch, .. } => Some((*major, *minor, *patch)),
            Self::NotAsked | Self::Unknown { .. } => None,
        }
    }

    /// What `tool` printed when it was asked for its version.
    pub(crate) fn read(tool: Tool, stdout: &[u8], stderr: &[u8]) -> Self {
        // Some builds print their version to standard error.
        let streams = [stdout, stderr].map(String::from_utf8_lossy);
        let known = streams.iter().find_map(|text| match tool {
            Tool::Kubectl => kubectl(text),
            Tool::Bash => bash(text),
            _ => None,
        });
        known.unwrap_or_else(|| Self::Unknown { printed: streams.iter().find_map(|text| first_line(text)) })
    }

    fn known(printed: &str, (major, minor, patch): (u32, u32, u32)) -> Option<Self> {
        Some(Self::Known { printed: first_line(printed)?, major, minor, patch })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("version not asked"),
            Self::Unknown { .. } => f.write_str("version unknown"),
            Self::Known { major, minor, patch, .. } => write!(f, "{major}.{minor}.{patch}"),
        }
    }
}

#[derive(Deserialize)]
struct KubectlAnswer {
    #[serde(rename = "clientVersion")]
    client: KubectlClient,
}

#[derive(Deserialize)]
struct KubectlClient {
    #[serde(rename = "gitVersion")]
    git: String,
}

fn kubectl(text: &str) -> Option<Version> {
    // A wrapper may have written lines of its own before and after the document.
    let document = text.find('{').map_or("", |start| &text[start..]);
    let answer = serde_json::Deserializer::from_str(document).into_iter::<KubectlAnswer>().next();
    if let Some(Ok(KubectlAnswer { client })) = answer {
        return Version::known(&client.git, numbers(&client.git)?);
    }
    // The forms without `-o json`: `Client Version: v1.31.9`, `… GitVersion:"v1.27.16"`, and YAML where a
    // file of defaults (kuberc) asks for it. A number without one of these words may be anything.
    ["GitVersion:\"", "gitVersion: ", "Client Version: "].into_iter().find_map(|label| {
        let word = after(text, label)?.split(['"', ',', '\n', ' ']).next()?;
        Version::known(word, numbers(word)?)
    })
}

fn bash(text: &str) -> Option<Version> {
    // Translated outputs keep the name but not the word `version`.
    let line = text.lines().find(|line| line.contains("GNU bash"))?;
    Version::known(line, numbers(line)?)
}

fn after<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    text.find(label).map(|start| &text[start + label.len()..])
}

/// The first line that holds anything, without control characters, and not endless.
pub(crate) fn first_line(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let line: String = line.chars().filter(|c| !c.is_control()).take(LONGEST_LINE).collect();
    (!line.is_empty()).then_some(line)
}

/// The first `1.2` or `1.2.3` in a text. A number that does not fit is no version.
fn numbers(text: &str) -> Option<(u32, u32, u32)> {
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (major, tail) = number(&rest[start..])?;
        if let Some((minor, tail)) = tail.strip_prefix('.').and_then(number) {
            let patch = tail.strip_prefix('.').and_then(number).map_or(0, |(patch, _)| patch);
            return Some((major, minor, patch));
        }
        rest = tail;
    }
    None
}

fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::{Version, first_line, numbers};
    use crate::tool::Tool;

    fn kubectl(stdout: &str) -> Version {
        Version::read(Tool::Kubectl, stdout.as_bytes(), b"")
    }

    fn known(printed: &str, (major, minor, patch): (u32, u32, u32)) -> Version {
        Version::Known { printed: printed.to_owned(), major, minor, patch }
    }

    // The samples are those of the project's collection of outputs; measured ones and published ones.
    #[test]
    fn kubectls_json_is_read_with_every_vendors_ending() {
        for (git, version) in [
            ("v1.32.4-dispatcher", (1, 32, 4)),
            ("v1.27.16", (1, 27, 16)),
            ("v1.28.15", (1, 28, 15)),
            ("v1.33.1", (1, 33, 1)),
            ("v1.27.1-eks-2f008fe", (1, 27, 1)),
            ("v1.23.6", (1, 23, 6)),
            ("v1.31.2+k3s1", (1, 31, 2)),
        ] {
            let text = format!(
                r#"{{"clientVersion": {{"major": "1", "minor": "32+", "gitVersion": "{git}", "platform": "linux/amd64"}},
                   "kustomizeVersion": "v5.0.4-0.20230601165947-6ce0bf390ce3"}}"#
            );
            assert_eq!(kubectl(&text), known(git, version));
        }
    }

    #[test]
    fn kubectls_json_is_found_among_a_wrappers_own_lines() {
        let text = "switching to 9.9.9\n{\"clientVersion\": {\"gitVersion\": \"v1.30.1\"}}\ndone\n";
        assert_eq!(kubectl(text), known("v1.30.1", (1, 30, 1)));
    }

    #[test]
    fn kubectls_plain_forms_are_read() {
        let plain = "Client Version: v1.31.9\nKustomize Version: v5.4.2\n";
        assert_eq!(kubectl(plain), known("v1.31.9", (1, 31, 9)));
        let go = "Client Version: version.Info{Major:\"1\", Minor:\"27\", GitVersion:\"v1.27.16\", GitCommit:\"cbb86e0d\"}\n\
                  Kustomize Version: v5.0.1\n";
        assert_eq!(kubectl(go), known("v1.27.16", (1, 27, 16)));
        let both =
            "Client Version: v1.30.13\nKustomize Version: v5.0.4-0.2023\nServer Version: v1.36.1-eks-abcd\n";
        assert_eq!(kubectl(both), known("v1.30.13", (1, 30, 13)));
        let yaml = "clientVersion:\n  buildDate: \"2025-05-15T08:27:33Z\"\n  gitVersion: v1.33.1\n  goVersion: go1.24.2\n";
        assert_eq!(kubectl(yaml), known("v1.33.1", (1, 33, 1)));
    }

    #[test]
    fn a_number_that_kubectl_did_not_call_its_version_is_none() {
        assert_eq!(
            kubectl("see release 1.2.3\nmore"),
            Version::Unknown { printed: Some("see release 1.2.3".to_owned()) }
        );
        assert_eq!(kubectl(" \n\n"), Version::Unknown { printed: None });
        assert_eq!(
            kubectl("{\"clientVersion\": {\"gitVersion\": \"unversioned\"}}").numbers(),
            None,
            "a word is no version"
        );
    }

    #[test]
    fn bash_is_read_from_either_stream() {
        let line = "GNU bash, version 5.2.15(1)-release (x86_64-pc-linux-gnu)";
        let text = format!("{line}\nCopyright (C) 2022 Free Software Foundation, Inc.\n");
        assert_eq!(Version::read(Tool::Bash, text.as_bytes(), b""), known(line, (5, 2, 15)));
        assert_eq!(Version::read(Tool::Bash, b"", text.as_bytes()), known(line, (5, 2, 15)));
        let dash = Version::read(Tool::Bash, b"", b"sh: 0: Illegal option --\n");
        assert_eq!(dash, Version::Unknown { printed: Some("sh: 0: Illegal option --".to_owned()) });
    }

    #[test]
    fn the_first_dotted_number_counts() {
        assert_eq!(numbers("jq-1.6"), Some((1, 6, 0)));
        assert_eq!(numbers("1.29+"), Some((1, 29, 0)));
        assert_eq!(numbers("2 things, 3.4.5-rc.1"), Some((3, 4, 5)));
        assert_eq!(numbers("v1.2.x"), Some((1, 2, 0)));
        assert_eq!(numbers("7. 8 .9"), None);
        assert_eq!(numbers("99999999999.1"), None);
        assert_eq!(numbers("ключ 1.2"), Some((1, 2, 0)));
    }

    #[test]
    fn versions_compare_by_their_numbers() {
        let [nine, ten] = ["v1.9.9", "v1.10.0-rc.1"].map(|text| numbers(text).unwrap());
        assert!(nine < ten);
    }

    #[test]
    fn a_printed_line_is_short_and_without_control_characters() {
        assert_eq!(first_line("\r\n \x1b[1mhello\x07\nmore").as_deref(), Some("[1mhello"));
        assert_eq!(first_line(&"x".repeat(70_000)).unwrap().len(), 200);
        assert_eq!(first_line("\x07\n"), None);
    }
}
