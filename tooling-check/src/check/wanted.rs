//! What is asked of this machine: profiles, requirements, and what a step needs.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::tool::Tool;
use crate::version::Version;

/// A kind of step that a machine is prepared for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Profile {
    /// Amazon EKS: aws or aws-iam-authenticator.
    Eks,
    /// Azure AKS with Entra accounts: kubelogin.
    Aks,
    /// Google GKE: gke-gcloud-auth-plugin.
    Gke,
    /// Any cluster with a token or a certificate: what every step needs.
    Generic,
    /// Charts: helm.
    Helm,
}

/// The tools that every step of any profile needs.
pub const BASE: [Tool; 5] = [Tool::Kubectl, Tool::Jq, Tool::Xargs, Tool::Base64, Tool::Bash];

/// The plugins that log in to EKS, the preferred one first. One is enough.
pub(crate) const EKS: [Tool; 2] = [Tool::Aws, Tool::AwsIamAuthenticator];

impl Profile {
    /// The name as it is typed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eks => "eks",
            Self::Aks => "aks",
            Self::Gke => "gke",
            Self::Generic => "generic",
            Self::Helm => "helm",
        }
    }

    /// Why there is no other way, where that is not plain.
    const fn why(self) -> &'static str {
        match self {
            Self::Aks => ": without local accounts AKS knows no other login",
            Self::Gke => ": kubectl 1.26 and later know no other login",
            Self::Eks | Self::Generic | Self::Helm => "",
        }
    }

    const fn tool(self) -> Option<Tool> {
        match self {
            Self::Eks | Self::Generic => None,
            Self::Aks => Some(Tool::Kubelogin),
            Self::Gke => Some(Tool::GkeGcloudAuthPlugin),
            Self::Helm => Some(Tool::Helm),
        }
    }
}

/// A tool that has to be there, and its versions: `kubectl>=1.30`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub(crate) tool: Tool,
    bound: Option<(Bound, (u32, u32, u32))>,
    written: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    AtLeast,
    Above,
    AtMost,
    Below,
    Exactly,
}

/// The bounds as they are typed; those of two characters first.
const BOUNDS: [(&str, Bound); 6] = [
    (">=", Bound::AtLeast),
    ("<=", Bound::AtMost),
    ("==", Bound::Exactly),
    (">", Bound::Above),
    ("<", Bound::Below),
    ("=", Bound::Exactly),
];

impl FromStr for Requirement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let written: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let split = BOUNDS.into_iter().find_map(|(sign, bound)| {
            let (name, version) = written.split_once(sign)?;
            Some((name, Some((bound, version))))
        });
        let (name, bound) = split.unwrap_or((&written, None));
        let known = || Tool::ALL.map(Tool::name).join(", ");
        let tool = Tool::named(name).ok_or_else(|| format!("there is no tool {name}; known: {}", known()))?;
        let bound = match bound {
            None => None,
            Some((bound, version)) => {
                let parts: Result<Vec<u32>, _> =
                    version.trim_start_matches('v').split('.').map(str::parse).collect();
                match parts.as_deref() {
                    Ok([major]) => Some((bound, (*major, 0, 0))),
                    Ok([major, minor]) => Some((bound, (*major, *minor, 0))),
                    Ok([major, minor, patch]) => Some((bound, (*major, *minor, *patch))),
                    _ => return Err(format!("{version} is no version such as 1.30 or 1.30.2")),
                }
            }
        };
        Ok(Self { tool, bound, written })
    }
}

impl Requirement {
    /// Whether a version fulfils it; `None` where the version is unknown and matters.
    pub(crate) fn is_met(&self, version: &Version) -> Option<bool> {
        let Some((bound, wanted)) = self.bound else { return Some(true) };
        let found = version.numbers()?;
        Some(match bound {
            Bound::AtLeast => found >= wanted,
            Bound::Above => found > wanted,
            Bound::AtMost => found <= wanted,
            Bound::Below => found < wanted,
            Bound::Exactly => found == wanted,
        })
    }
}

impl std::fmt::Display for Requirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.written)
    }
}

/// A server's version, such as `1.36`.
///
/// # Errors
/// What was expected, for a person.
pub fn server(text: &str) -> Result<(u32, u32), String> {
    let wrong = || format!("{text} is no version such as 1.36");
    let (major, rest) = text.trim_start_matches('v').split_once('.').ok_or_else(wrong)?;
    let minor = rest.split(['.', '+', '-']).next().unwrap_or_default();
    Ok((major.parse().map_err(|_| wrong())?, minor.parse().map_err(|_| wrong())?))
}

/// All that is asked of this machine.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The kinds of step.
    pub profiles: BTreeSet<Profile>,
    /// The tools that must be usable, each with who needs it.
    pub needed: BTreeMap<Tool, String>,
    /// The tools of which one that works is enough, the preferred one first.
    pub one_of: Vec<Tool>,
    /// The tools that a step can do without, but is better off with.
    pub useful: BTreeSet<Tool>,
    /// What was required word by word.
    pub requirements: Vec<Requirement>,
    /// The clusters' version, where it is known.
    pub server: Option<(u32, u32)>,
    /// The step that this is about; `None` for the machine as such.
    pub step: Option<String>,
}

impl Wanted {
    /// What a machine needs for steps of these profiles.
    #[must_use]
    pub fn machine(profiles: &[Profile], requirements: Vec<Requirement>, server: Option<(u32, u32)>) -> Self {
        let mut needed: BTreeMap<Tool, String> =
            BASE.into_iter().map(|tool| (tool, "every step".to_owned())).collect();
        for profile in profiles {
            if let Some(tool) = profile.tool() {
                needed.insert(tool, format!("--for {}{}", profile.name(), profile.why()));
            }
        }
        for requirement in &requirements {
            needed.entry(requirement.tool).or_insert_with(|| format!("--require {requirement}"));
        }
        let profiles: BTreeSet<Profile> = profiles.iter().copied().collect();
        let one_of = if profiles.contains(&Profile::Eks) { EKS.to_vec() } else { Vec::new() };
        Self { profiles, needed, one_of, requirements, server, ..Self::default() }
    }

    /// Whether steps of that profile are to run here.
    #[must_use]
    pub fn is_for(&self, profile: Profile) -> bool {
        self.profiles.contains(&profile)
    }

    /// The tools to look at: every one, or what the step has to do with.
    #[must_use]
    pub fn tools(&self) -> Vec<Tool> {
        let named = |tool: &Tool| self.needed.contains_key(tool) || self.useful.contains(tool);
        Tool::ALL
            .into_iter()
            .filter(|tool| self.step.is_none() || named(tool) || self.one_of.contains(tool))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Requirement, server};
    use crate::version::Version;

    fn version(major: u32, minor: u32, patch: u32) -> Version {
        Version::Known { printed: String::new(), major, minor, patch }
    }

    #[test]
    fn requirements_compare_by_numbers() {
        for (text, met) in [
            ("kubectl>=1.30", true),
            ("kubectl >= 1.30.2", true),
            ("kubectl>1.30.2", false),
            ("kubectl<=1.30", false),
            ("kubectl<1.31", true),
            ("kubectl=1.30.2", true),
            ("kubectl==v1.30.2", true),
            ("kubectl", true),
        ] {
            let requirement: Requirement = text.parse().unwrap();
            assert_eq!(requirement.is_met(&version(1, 30, 2)), Some(met), "{text}");
        }
        let bounded: Requirement = "jq>=1.6".parse().unwrap();
        assert_eq!(bounded.is_met(&Version::Unknown { printed: None }), None);
        assert_eq!("jq".parse::<Requirement>().unwrap().is_met(&Version::NotAsked), Some(true));
    }

    #[test]
    fn what_is_no_requirement_is_told() {
        assert!("kubctl>=1".parse::<Requirement>().unwrap_err().starts_with("there is no tool kubctl"));
        assert!("kubectl>=new".parse::<Requirement>().unwrap_err().contains("new is no version"));
        assert!("kubectl>=1.2.3.4".parse::<Requirement>().is_err());
    }

    #[test]
    fn a_servers_version_is_read_with_vendors_endings() {
        assert_eq!(server("v1.36.1-eks-abcd"), Ok((1, 36)));
        assert_eq!(server("1.29+"), Ok((1, 29)));
        assert!(server("36").is_err());
    }
}
