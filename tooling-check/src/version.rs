//! Reads a tool's version out of what it printed.
//!
//! Only the numbers are compared: vendors' endings (`-eks-2f008fe`, `-gke.1`, `-dispatcher`, `+k3s1`) are no
//! semver pre-releases, and `jq-1.6` or `1.29+` are no semver at all. The text stays as it was printed.
//! A text that is not understood makes the version unknown, never the tool unusable.

use std::fmt;

use crate::tool::Tool;

mod read;
#[cfg(test)]
mod tests;

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
        let streams = [stdout, stderr].map(plain);
        let Some(printed) = streams.iter().find_map(|text| first_line(&read::told(tool, text)?)) else {
            return Self::Unknown { printed: streams.iter().find_map(|text| first_line(text)) };
        };
        match numbers(&printed) {
            Some((major, minor, patch)) => Self::Known { printed, major, minor, patch },
            None => Self::Unknown { printed: Some(printed) },
        }
    }

    /// The minor version of Kubernetes whose libraries the tool says it has; helm 4 does.
    pub(crate) fn kubernetes(tool: Tool, stdout: &[u8]) -> Option<(u32, u32)> {
        let text = plain(stdout);
        let (_, rest) = text.split_once("KubeClientVersion:\"").filter(|_| tool == Tool::Helm)?;
        numbers(rest.split('"').next()?).map(|(major, minor, _)| (major, minor))
    }

    /// Which other program printed this, where one is known that goes by the tool's name.
    pub(crate) fn stranger(tool: Tool, stdout: &[u8], stderr: &[u8]) -> Option<&'static str> {
        [stdout, stderr].into_iter().find_map(|text| read::stranger(tool, &plain(text)))
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

/// The text without the escape sequences by which terminals are coloured (`ESC [ … letter`).
pub(crate) fn plain(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| ('@'..='~').contains(&c)).map_or(part.len(), |end| end + 1);
        plain.push_str(&part[end..]);
    }
    plain
}

/// The first line that holds anything, without control characters, and not endless.
pub(crate) fn first_line(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let line: String = line.chars().filter(|c| !c.is_control()).take(LONGEST_LINE).collect();
    (!line.is_empty()).then_some(line)
}

/// The last line that holds anything, likewise.
pub(crate) fn last_line(output: &[u8]) -> Option<String> {
    plain(output).lines().rev().find_map(first_line)
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
