//! The verdict: an inventory and the rules held against what is wanted. Pure; what it finds is one [`Report`].
//!
//! How bad something is depends on what is wanted, never on the tool alone: a missing helm is a note on a machine
//! that runs no charts.

mod pairs;
mod tools;
#[cfg(test)]
pub(crate) mod tests;
pub mod wanted;

use std::path::PathBuf;

use serde::Serialize;

use crate::inventory::Inventory;
use crate::prove::Proof;
use crate::rules::Rules;
use crate::tool::Tool;
pub use pairs::PLUGINS;
pub(crate) use pairs::api_to_try;
use wanted::Wanted;

/// How bad something is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// It is as it should be.
    Good,
    /// Worth knowing.
    Note,
    /// A step may fail, or somebody should act in time.
    Warning,
    /// Something needed is missing or too old.
    Lacking,
    /// Something needed is there and does not work.
    Broken,
}

/// Which part of the report something belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Group {
    /// One tool by itself.
    Tools,
    /// Tools with each other, and with servers.
    Pairs,
    /// What happened when they were run together.
    Proof,
}

/// Something to say about a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Remark {
    /// How bad it is.
    pub level: Level,
    /// One word for machines, such as `TooOld`.
    pub code: &'static str,
    /// What it is, as a sentence without its full stop.
    pub says: String,
    /// What to do about it: a command where one is known.
    pub fix: Option<String>,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Stable: `tool/kubectl`, `pair/kubectl+aws`, `server/kubectl`, `prove/kubectl+aws`, `step/plan`.
    pub id: String,
    /// Where it belongs.
    pub group: Group,
    /// The tools that it is about.
    pub tools: Vec<&'static str>,
    /// The worst of its remarks.
    pub level: Level,
    /// A few words: a version, or how two tools work together.
    pub short: String,
    /// The file of a tool.
    pub path: Option<PathBuf>,
    /// What there is to say, the worst first.
    pub remarks: Vec<Remark>,
    /// What `-v` adds.
    pub details: Vec<String>,
}

impl Check {
    fn new(id: String, group: Group, tools: &[Tool], short: String, mut remarks: Vec<Remark>) -> Self {
        remarks.sort_by_key(|remark| std::cmp::Reverse(remark.level));
        let level = remarks.first().map_or(Level::Good, |remark| remark.level);
        let tools = tools.iter().map(|tool| tool.name()).collect();
        Self { id, group, tools, level, short, path: None, remarks, details: Vec::new() }
    }

    /// `kubectl`, or `kubectl + aws`.
    #[must_use]
    pub fn subject(&self) -> String {
        let other = match self.id.split('/').next() {
            Some("server") => Some("server"),
            Some("step") => Some("the step"),
            _ => None,
        };
        self.tools.iter().copied().chain(other).collect::<Vec<_>>().join(" + ")
    }
}

/// Why a step cannot be planned on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong, as a sentence without its full stop.
    pub says: String,
    /// What to do about it.
    pub fix: Option<String>,
}

/// All that was found.
#[derive(Clone, Debug)]
pub struct Report {
    /// One for each tool that was looked at, and for each pair that can be judged.
    pub checks: Vec<Check>,
    /// What was asked.
    pub wanted: Wanted,
    /// The rules' day.
    pub rules: String,
}

impl Report {
    /// Judges.
    #[must_use]
    pub fn new(inventory: &Inventory, proofs: &[Proof], wanted: Wanted, rules: &Rules) -> Self {
        let mut checks: Vec<Check> =
            inventory.iter().map(|finding| tools::check(finding, inventory, &wanted, rules)).collect();
        checks.extend(pairs::checks(inventory, proofs, &wanted, rules));
        checks.extend(pairs::proofs(proofs, inventory, &wanted, rules));
        Self { checks, wanted, rules: rules.date().to_owned() }
    }

    /// Adds what a step's own plan refuses, unless that was told in the same words.
    pub fn refuse(&mut self, refusals: Vec<Refusal>) {
        let told = |says: &str| {
            self.checks.iter().flat_map(|check| &check.remarks).any(|remark| remark.says == says)
        };
        let news: Vec<Remark> = refusals
            .into_iter()
            .filter(|refusal| !told(&refusal.says))
            .map(|Refusal { says, fix }| Remark { level: Level::Lacking, code: "Refused", says, fix })
            .collect();
        if !news.is_empty() {
            let short = "cannot be planned".to_owned();
            self.checks.push(Check::new("step/plan".to_owned(), Group::Pairs, &[], short, news));
        }
    }

    /// The worst of all.
    #[must_use]
    pub fn worst(&self) -> Level {
        self.checks.iter().map(|check| check.level).max().unwrap_or(Level::Good)
    }

    /// 0 good; 1 warnings, if they count; 2 something needed is missing or too old; 3 something needed is broken.
    #[must_use]
    pub fn exit_code(&self, strict: bool) -> u8 {
        match self.worst() {
            Level::Good | Level::Note => 0,
            Level::Warning => u8::from(strict),
            Level::Lacking => 2,
            Level::Broken => 3,
        }
    }

    /// How many checks are of that level.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.checks.iter().filter(|check| check.level == level).count()
    }

    /// One sentence: the verdict, the same in every form of the report.
    #[must_use]
    pub fn verdict(&self) -> String {
        let of =
            self.wanted.step.as_deref().map_or("this machine".to_owned(), |step| format!("the step {step}"));
        let bad: Vec<&Check> = self.checks.iter().filter(|check| check.level >= Level::Lacking).collect();
        let warnings = match self.count(Level::Warning) {
            0 => String::new(),
            1 => ", with 1 warning".to_owned(),
            count => format!(", with {count} warnings"),
        };
        match &bad[..] {
            [] => format!("Good: {of} has what it needs{warnings}."),
            [one] => format!("Not good: {}.", one.remarks.first().map_or("", |remark| &remark.says)),
            [first @ .., last] => {
                let first = first.iter().map(|check| check.subject()).collect::<Vec<_>>().join(", ");
                format!("Not good: {first} and {} are missing or do not work.", last.subject())
            }
        }
    }
}
