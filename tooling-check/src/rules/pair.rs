//! Whether a kubectl and a plugin can work together where kubectl runs the plugin itself.

use super::{Answers, ApiVersion, Numbers, Rules, at, written};
use crate::tool::Tool;
use crate::version::Version;

/// What becomes of a kubectl and a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pair {
    /// They work, if the kubeconfig asks for that version.
    Works(ApiVersion),
    /// They cannot work, whatever the kubeconfig asks for.
    Never {
        /// Why, with both versions.
        why: String,
        /// What to install.
        hint: String,
    },
    /// A version is unknown: that one is the likeliest to work.
    Unknown(ApiVersion),
}

impl Rules {
    /// Whether kubectl can run that plugin, and which API version the kubeconfig has to ask for: of those that work,
    /// v1beta1 first.
    #[must_use]
    pub fn pair(&self, kubectl: &Version, plugin: Tool, version: &Version) -> Pair {
        let accepted = self.accepts(kubectl);
        let answers = self.emits(plugin, version);
        if let Answers::Nothing { why } = answers {
            return Pair::Never {
                why: format!("{plugin} {version} makes no credential for kubectl: {why}"),
                hint: self.remedy(kubectl, plugin, version),
            };
        }
        let (Some(accepted), Some(client)) = (accepted, kubectl.numbers()) else {
            return Pair::Unknown(likeliest(answers));
        };
        if *answers == Answers::Unknown {
            return Pair::Unknown(accepted.iter().next().unwrap_or(ApiVersion::V1Beta1));
        }
        match self.common(client, answers) {
            Some(api) => Pair::Works(api),
            None => Pair::Never {
                why: format!(
                    "kubectl {kubectl} reads {accepted}, and {plugin} {version} answers with {}",
                    told(answers)
                ),
                hint: self.remedy(kubectl, plugin, version),
            },
        }
    }

    /// The first API version that kubectl reads, and that comes back when kubectl asks for it.
    fn common(&self, kubectl: Numbers, answers: &Answers) -> Option<ApiVersion> {
        self.read_by(kubectl).iter().find(|api| {
            let is_told = self.accepts.iter().any(|rule| rule.api == *api && kubectl >= rule.told_from);
            match answers {
                Answers::Always(answer) => answer == api,
                Answers::Follows { follows, .. } if is_told => follows.contains(*api),
                Answers::Follows { otherwise, .. } => otherwise == api,
                Answers::Nothing { .. } | Answers::Unknown => false,
            }
        })
    }

    /// What to install instead: a newer plugin, else a newer kubectl.
    fn remedy(&self, kubectl: &Version, plugin: Tool, version: &Version) -> String {
        let rules = self.emits.get(&plugin).map_or(&[][..], Vec::as_slice);
        let present = version.numbers().unwrap_or_default();
        // An unknown kubectl is judged as a new one.
        let client = kubectl.numbers().unwrap_or((u32::MAX, 0, 0));
        let works = |(_, answers): &&(Numbers, Answers)| self.common(client, answers).is_some();
        let mut majors: Vec<u32> =
            rules.iter().map(|(from, _)| from.0).filter(|major| *major >= present.0).collect();
        majors.dedup();
        // Of each major version the first release from which on all work.
        let newer = majors.into_iter().filter_map(|major| {
            let line = rules.iter().rev().filter(|(from, _)| from.0 == major);
            line.take_while(works).last().map(|(from, _)| *from).filter(|from| *from > present)
        });
        let newer: Vec<String> = newer.map(|from| format!("{} or newer", written(from))).collect();
        if !newer.is_empty() {
            return format!("install {plugin} {}", newer.join(", or "));
        }
        let steps = self.accepts.iter().map(|rule| rule.from).filter(|from| *from > client);
        match steps.filter(|from| self.common(*from, at(rules, present)).is_some()).min() {
            Some(from) => format!("install kubectl {} or newer", written(from)),
            None => format!("install the newest kubectl and the newest {plugin}"),
        }
    }
}

const fn likeliest(answers: &Answers) -> ApiVersion {
    match answers {
        Answers::Always(api) => *api,
        Answers::Follows { otherwise, .. } => *otherwise,
        Answers::Nothing { .. } | Answers::Unknown => ApiVersion::V1Beta1,
    }
}

fn told(answers: &Answers) -> String {
    match answers {
        Answers::Always(api) => format!("{api} only"),
        Answers::Follows { follows, .. } => follows.to_string(),
        Answers::Nothing { .. } | Answers::Unknown => "nothing that is known".to_owned(),
    }
}
