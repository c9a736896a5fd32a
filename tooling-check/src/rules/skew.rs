//! Which servers a kubectl or a helm supports.

use std::collections::BTreeMap;

use super::Rules;
use crate::tool::Tool;
use crate::version::Version;

/// A minor version of a tool to a minor version of Kubernetes.
pub(super) type Minors = BTreeMap<(u32, u32), (u32, u32)>;

/// Which Kubernetes each release of a tool was built for, and how far from it a server may be.
pub(super) struct Builds {
    /// Empty where they are the same (kubectl).
    pub(super) minors: Minors,
    pub(super) before: u32,
    pub(super) after: u32,
}

/// The servers that a client supports, by their minor versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supported {
    /// The major version, 1.
    pub major: u32,
    /// The oldest minor version.
    pub oldest: u32,
    /// The newest minor version.
    pub newest: u32,
}

/// A client and a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skew {
    /// The makers support the two.
    Supported,
    /// They do not; most things work all the same.
    Unsupported(Supported),
    /// A version is unknown.
    Unknown,
}

impl Rules {
    /// The minor version of Kubernetes that a tool's libraries are of: what it says, else what the rules say.
    #[must_use]
    pub fn kubernetes_of(
        &self,
        tool: Tool,
        version: &Version,
        said: Option<(u32, u32)>,
    ) -> Option<(u32, u32)> {
        let (major, minor, _) = version.numbers()?;
        let builds = self.built_for.get(&tool)?;
        if builds.minors.is_empty() {
            return Some((major, minor));
        }
        said.or_else(|| builds.minors.get(&(major, minor)).copied())
    }

    /// Which servers a tool of that Kubernetes supports.
    #[must_use]
    pub fn supported(&self, tool: Tool, (major, minor): (u32, u32)) -> Option<Supported> {
        let builds = self.built_for.get(&tool)?;
        Some(Supported { major, oldest: minor.saturating_sub(builds.before), newest: minor + builds.after })
    }

    /// Whether the makers of a tool support it with a server.
    #[must_use]
    pub fn skew(&self, tool: Tool, kubernetes: Option<(u32, u32)>, server: (u32, u32)) -> Skew {
        let Some(range) = kubernetes.and_then(|kubernetes| self.supported(tool, kubernetes)) else {
            return Skew::Unknown;
        };
        let holds = server.0 == range.major && (range.oldest..=range.newest).contains(&server.1);
        if holds { Skew::Supported } else { Skew::Unsupported(range) }
    }
}
