//! What is known about tools and about pairs of them, as data: `tooling-check/rules.toml`, where each rule has its
//! source. Pure: whoever asks brings the versions.
//!
//! A version that is unknown makes the answer `Unknown`, never a refusal; a version newer than any that the rules
//! were made from is judged like the newest ([`Rules::is_news`] says so).

mod api;
mod document;
mod pair;
mod skew;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

pub use api::{ApiVersion, ApiVersions};
pub use document::RulesError;
pub use pair::Pair;
use skew::{Builds, Minors};
pub use skew::{Skew, Supported};

use crate::system::System;
use crate::tool::Tool;
use crate::version::Version;
use document::{Document, FeatureRule};

/// Major, minor and patch.
pub(crate) type Numbers = (u32, u32, u32);

/// The file that every build carries.
const EMBEDDED: &str = include_str!("../../rules.toml");

/// Told without reading it: a step whose tools are all remembered needs no more of the rules.
const EMBEDDED_FINGERPRINT: u64 = fingerprint(EMBEDDED);

/// The rules of one file.
pub struct Rules {
    date: String,
    newest: BTreeMap<Tool, Vec<Numbers>>,
    accepts: Vec<Accepts>,
    emits: BTreeMap<Tool, Vec<(Numbers, Answers)>>,
    least: BTreeMap<Tool, Least>,
    features: BTreeMap<Tool, Vec<Feature>>,
    built_for: BTreeMap<Tool, Builds>,
    notes: Vec<Note>,
    install: Vec<Install>,
    fingerprint: u64,
}

/// Something that scripts do with a tool: it is tried, whatever version the tool has.
pub(crate) struct Feature {
    pub(crate) name: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) input: String,
    pub(crate) output: String,
    pub(crate) needed: bool,
}

/// An API version, and the kubectls that read it.
struct Accepts {
    api: ApiVersion,
    from: Numbers,
    below: Option<Numbers>,
    told_from: Numbers,
}

/// The least version of a tool that is of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Least {
    numbers: Numbers,
    /// What older ones lack.
    pub why: String,
}

struct Install {
    tool: Tool,
    on: Vec<String>,
    how: String,
}

/// Which API version a plugin answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answers {
    /// It makes no credential for kubectl at all.
    Nothing {
        /// What it lacks, as the end of a sentence that begins with its name.
        why: String,
    },
    /// It answers with that one, whatever is asked.
    Always(ApiVersion),
    /// It answers with what is asked.
    Follows {
        /// The versions that it follows; to others it does not answer.
        follows: ApiVersions,
        /// What it answers with where nothing is asked.
        otherwise: ApiVersion,
    },
    /// Nobody knows.
    Unknown,
}

/// What is known about some versions of a tool.
pub struct Note {
    tool: Tool,
    from: Numbers,
    below: Option<Numbers>,
    /// Whether somebody should act.
    pub is_warning: bool,
    /// What it is, as a sentence without its full stop.
    pub says: String,
    /// What to do.
    pub fix: Option<String>,
}

/// Whether a tool is new enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enough {
    /// It is, or there is no limit.
    Yes,
    /// It is not.
    TooOld(Least),
    /// Its version is unknown.
    Unknown,
}

impl fmt::Display for Least {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&written(self.numbers))
    }
}

/// `1.16.156`.
pub(crate) fn written((major, minor, patch): Numbers) -> String {
    format!("{major}.{minor}.{patch}")
}

impl Rules {
    /// The rules that this build carries.
    ///
    /// # Panics
    /// Never: a test reads them.
    #[must_use]
    pub fn embedded() -> &'static Self {
        static EMBEDDED_RULES: OnceLock<Rules> = OnceLock::new();
        EMBEDDED_RULES
            .get_or_init(|| Self::read(EMBEDDED).expect("the embedded rules are right: a test reads them"))
    }

    /// Reads the text of a rules file.
    ///
    /// # Errors
    /// The first thing in it that is wrong.
    pub fn read(text: &str) -> Result<Self, RulesError> {
        let document = Document::read(text)?;
        let mut emits: BTreeMap<Tool, Vec<(Numbers, Answers)>> = BTreeMap::new();
        for rule in document.emits {
            emits.entry(rule.tool.0).or_default().push((rule.from.0, rule.answers()?));
        }
        let accepts = document.accepts.into_iter().map(|rule| Accepts {
            api: rule.api,
            from: rule.from.0,
            below: rule.below.map(|below| below.0),
            told_from: rule.told_from.0,
        });
        let least = document.least.into_iter();
        let mut features: BTreeMap<Tool, Vec<Feature>> = BTreeMap::new();
        for rule in document.feature {
            let FeatureRule { tool, name, arguments, input, output, needed, .. } = rule;
            features.entry(tool.0).or_default().push(Feature { name, arguments, input, output, needed });
        }
        let builds = document.built_for.iter().map(|rule| {
            let minors = rule.numbers()?;
            Ok((rule.tool.0, Builds { minors, before: rule.before, after: rule.after }))
        });
        let built_for = builds.collect::<Result<_, RulesError>>()?;
        let notes = document.note.into_iter().map(|rule| Note {
            tool: rule.tool.0,
            from: rule.from.0,
            below: rule.below.map(|below| below.0),
            is_warning: rule.warning,
            says: rule.says,
            fix: rule.fix,
        });
        let install = document.install.into_iter();
        Ok(Self {
            date: document.date,
            newest: document
                .newest
                .into_iter()
                .map(|(tool, all)| (tool.0, all.into_iter().map(|one| one.0).collect()))
                .collect(),
            accepts: accepts.collect(),
            emits,
            least: least
                .map(|rule| (rule.tool.0, Least { numbers: rule.version.0, why: rule.why }))
                .collect(),
            features,
            built_for,
            notes: notes.collect(),
            fingerprint: fingerprint(text),
            install: install.map(|rule| Install { tool: rule.tool.0, on: rule.on, how: rule.how }).collect(),
        })
    }

    /// The day on which the rules were last held against the tools, such as `2026-11-24`.
    #[must_use]
    pub fn date(&self) -> &str {
        &self.date
    }

    /// What tells these rules from others, for what is remembered; without any, the embedded ones.
    pub(crate) fn fingerprint(rules: Option<&Self>) -> u64 {
        rules.map_or(EMBEDDED_FINGERPRINT, |rules| rules.fingerprint)
    }

    /// What is tried with that tool.
    pub(crate) fn features(&self, tool: Tool) -> &[Feature] {
        self.features.get(&tool).map_or(&[], Vec::as_slice)
    }

    /// What is known about that version of a tool.
    pub fn notes(&self, tool: Tool, version: &Version) -> impl Iterator<Item = &Note> {
        let numbers = version.numbers();
        self.notes.iter().filter(move |note| {
            let holds = |at: Numbers| at >= note.from && note.below.is_none_or(|below| at < below);
            note.tool == tool && numbers.is_some_and(holds)
        })
    }

    /// Whether this version is newer than every one that the rules were made from.
    #[must_use]
    pub fn is_news(&self, tool: Tool, version: &Version) -> bool {
        let (Some(numbers), Some(newest)) = (version.numbers(), self.newest.get(&tool)) else { return false };
        // Each major version has a line of its own: aws 1 and 2 are released side by side.
        let line = newest.iter().filter(|known| known.0 == numbers.0).max();
        line.or_else(|| newest.iter().max()).is_some_and(|known| numbers > *known)
    }

    /// The least version of that tool, where there is one.
    #[must_use]
    pub fn least(&self, tool: Tool) -> Option<&Least> {
        self.least.get(&tool)
    }

    /// Whether the tool of that version is of use at all.
    #[must_use]
    pub fn is_enough(&self, tool: Tool, version: &Version) -> Enough {
        match (self.least(tool), version.numbers()) {
            (None, _) => Enough::Yes,
            (Some(_), None) => Enough::Unknown,
            (Some(least), Some(numbers)) if numbers >= least.numbers => Enough::Yes,
            (Some(least), Some(_)) => Enough::TooOld(least.clone()),
        }
    }

    /// Which API version a plugin of that version answers with.
    #[must_use]
    pub fn emits(&self, plugin: Tool, version: &Version) -> &Answers {
        let Some(rules) = self.emits.get(&plugin) else { return &Answers::Unknown };
        match (version.numbers(), &rules[..]) {
            // A plugin that never changed its mind needs no version.
            (_, [(_, only)]) => only,
            (None, _) => &Answers::Unknown,
            (Some(numbers), _) => at(rules, numbers),
        }
    }

    /// The API versions that a kubectl (or a helm that is built with its libraries) of that version reads; none is
    /// known where the version is not.
    #[must_use]
    pub fn accepts(&self, kubectl: &Version) -> Option<ApiVersions> {
        kubectl.numbers().map(|numbers| self.read_by(numbers))
    }

    fn read_by(&self, kubectl: Numbers) -> ApiVersions {
        let read = |rule: &&Accepts| kubectl >= rule.from && rule.below.is_none_or(|below| kubectl < below);
        self.accepts.iter().filter(read).map(|rule| rule.api).collect()
    }

    /// How the tool is installed on that system, as a command or, where none is sure, an address to read.
    #[must_use]
    pub fn install(&self, tool: Tool, system: &System) -> Option<String> {
        let mut rules = self.install.iter().filter(|rule| rule.tool == tool);
        let rule = rules.find(|rule| rule.on.is_empty() || rule.on.iter().any(|id| system.is(id)))?;
        Some(system.filled(&rule.how))
    }
}

/// The rule that holds at a version: the last one that begins there or before.
fn at(rules: &[(Numbers, Answers)], numbers: Numbers) -> &Answers {
    let before = rules.iter().take_while(|(from, _)| *from <= numbers);
    before.last().map_or(&Answers::Unknown, |(_, answers)| answers)
}

/// FNV-1a: two files of rules are told apart, nothing more.
const fn fingerprint(text: &str) -> u64 {
    let (mut rest, mut hash) = (text.as_bytes(), 0xcbf2_9ce4_8422_2325_u64);
    while let [byte, others @ ..] = rest {
        hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
        rest = others;
    }
    hash
}
