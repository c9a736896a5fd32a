//! The file of rules, as it is written: TOML in, checked rules out.
//!
//! A rule that nobody could follow (an unknown tool, a range out of order, a key that does not exist) makes the
//! whole file wrong: half of the rules would be worse than none.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};

use super::{Answers, ApiVersion, Minors, Numbers};
use crate::tool::Tool;

/// The file's form; a file of another form is refused.
const FORM: u32 = 1;

/// Why a file of rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// It is no TOML, or a key of it is unknown, missing or of another kind.
    #[error("the rules are not what was expected: {0}")]
    Form(String),
    /// It is of another form than this program reads.
    #[error("the rules have form {found}, and this program reads form {FORM}")]
    OtherForm {
        /// The form that the file says.
        found: u32,
    },
    /// The ranges of a tool are not in order.
    #[error("the `emits` rules of {tool} are not in the order of their versions")]
    Disorder {
        /// The tool.
        tool: Tool,
    },
    /// An `emits` rule says nothing, or more than one thing.
    #[error("an `emits` rule of {tool} needs one of: always, follows with otherwise, nothing, unknown")]
    Answers {
        /// The tool.
        tool: Tool,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    form: u32,
    pub(super) date: String,
    #[serde(default)]
    pub(super) newest: BTreeMap<ToolName, Vec<Number>>,
    #[serde(default)]
    pub(super) accepts: Vec<Accepts>,
    #[serde(default)]
    pub(super) emits: Vec<Emits>,
    #[serde(default)]
    pub(super) least: Vec<Least>,
    #[serde(default)]
    pub(super) feature: Vec<FeatureRule>,
    #[serde(default)]
    pub(super) built_for: Vec<BuiltFor>,
    #[serde(default)]
    pub(super) note: Vec<NoteRule>,
    #[serde(default)]
    pub(super) install: Vec<Install>,
}

/// kubectl × API version.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Accepts {
    pub(super) api: ApiVersion,
    #[serde(default)]
    pub(super) from: Number,
    pub(super) below: Option<Number>,
    /// From which kubectl on the plugin is told that this version is asked for.
    #[serde(default)]
    pub(super) told_from: Number,
    #[expect(dead_code, reason = "a rule without its source is refused; people read it in the file")]
    source: String,
}

/// plugin × API version; holds from its version up to the next rule of the same tool.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Emits {
    pub(super) tool: ToolName,
    pub(super) from: Number,
    always: Option<ApiVersion>,
    follows: Option<Vec<ApiVersion>>,
    otherwise: Option<ApiVersion>,
    nothing: Option<String>,
    #[serde(default)]
    unknown: bool,
    #[expect(dead_code, reason = "a rule without its source is refused; people read it in the file")]
    source: String,
}

/// The least version of a tool that is of use at all.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Least {
    pub(super) tool: ToolName,
    pub(super) version: Number,
    pub(super) why: String,
    #[expect(dead_code, reason = "a rule without its source is refused; people read it in the file")]
    source: String,
}

/// Something that scripts do with a tool, to be tried.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FeatureRule {
    pub(super) tool: ToolName,
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    #[serde(default)]
    pub(super) input: String,
    pub(super) output: String,
    #[serde(default)]
    pub(super) needed: bool,
    #[expect(dead_code, reason = "a rule without its source is refused; people read it in the file")]
    source: String,
}

/// The Kubernetes that a tool's release was built for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BuiltFor {
    pub(super) tool: ToolName,
    /// `3.18 = "1.33"`, one for each minor version.
    pub(super) minors: BTreeMap<String, Number>,
    /// How many minor versions of the server before that one are supported, and how many after.
    pub(super) before: u32,
    pub(super) after: u32,
    #[expect(dead_code, reason = "a rule without its source is refused; people read it in the file")]
    source: String,
}

/// What is known about a range of a tool's versions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoteRule {
    pub(super) tool: ToolName,
    #[serde(default)]
    pub(super) from: Number,
    pub(super) below: Option<Number>,
    #[serde(default)]
    pub(super) warning: bool,
    pub(super) says: String,
    pub(super) fix: Option<String>,
    #[expect(dead_code, reason = "a rule without its source is refused; people read it in the file")]
    source: String,
}

/// How a tool is installed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Install {
    pub(super) tool: ToolName,
    /// The systems' ids (`ID` and `ID_LIKE` of os-release); none means every system.
    #[serde(default)]
    pub(super) on: Vec<String>,
    pub(super) how: String,
}

impl Document {
    pub(super) fn read(text: &str) -> Result<Self, RulesError> {
        let document: Self = toml::from_str(text).map_err(|error| RulesError::Form(error.to_string()))?;
        if document.form != FORM {
            return Err(RulesError::OtherForm { found: document.form });
        }
        for pair in document.emits.windows(2) {
            if pair[0].tool == pair[1].tool && pair[0].from >= pair[1].from {
                return Err(RulesError::Disorder { tool: pair[0].tool.0 });
            }
        }
        Ok(document)
    }
}

impl Emits {
    pub(super) fn answers(self) -> Result<Answers, RulesError> {
        match (self.always, self.follows, self.otherwise, self.nothing, self.unknown) {
            (Some(version), None, None, None, false) => Ok(Answers::Always(version)),
            (None, Some(follows), Some(otherwise), None, false) => {
                Ok(Answers::Follows { follows: follows.into_iter().collect(), otherwise })
            }
            (None, None, None, Some(why), false) => Ok(Answers::Nothing { why }),
            (None, None, None, None, true) => Ok(Answers::Unknown),
            _ => Err(RulesError::Answers { tool: self.tool.0 }),
        }
    }
}

/// A tool by its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ToolName(pub(super) Tool);

impl<'de> Deserialize<'de> for ToolName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Tool::named(&name).map(Self).ok_or_else(|| de::Error::custom(format!("there is no tool {name}")))
    }
}

/// A version in numbers: `1`, `1.24` or `1.16.156`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number(pub(super) Numbers);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || de::Error::custom(format!("{text} is no version such as 1.24 or 1.16.156"));
        let parts: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
        match parts.map_err(|_| wrong())?[..] {
            [major] => Ok(Self((major, 0, 0))),
            [major, minor] => Ok(Self((major, minor, 0))),
            [major, minor, patch] => Ok(Self((major, minor, patch))),
            _ => Err(wrong()),
        }
    }
}

impl BuiltFor {
    /// The tool's minor versions in numbers.
    pub(super) fn numbers(&self) -> Result<Minors, RulesError> {
        let minor = |text: &str| {
            let (major, minor) = text.split_once('.')?;
            Some((major.parse().ok()?, minor.parse().ok()?))
        };
        let pairs = self.minors.iter().map(|(text, kubernetes)| {
            let wrong = || RulesError::Form(format!("{text} is no minor version such as 3.18"));
            Ok((minor(text).ok_or_else(wrong)?, (kubernetes.0.0, kubernetes.0.1)))
        });
        pairs.collect()
    }
}
