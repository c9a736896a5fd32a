//! What is to be said about one tool by itself.

use super::wanted::Wanted;
use super::{Check, Group, Level, Remark};
use crate::inventory::{Finding, Inventory, State};
use crate::kind::Kind;
use crate::rules::{Enough, Rules};
use crate::system::System;
use crate::tool::Tool;
use crate::version::Version;

pub(super) fn check(finding: &Finding, inventory: &Inventory, wanted: &Wanted, rules: &Rules) -> Check {
    let tool = finding.tool;
    let (short, remarks) = match &finding.state {
        State::Missing => ("missing".to_owned(), vec![absent(finding, inventory, wanted)]),
        State::Unusable { fault, .. } => {
            let level = role(tool, inventory, wanted).when_broken();
            let says = finding.complaint().unwrap_or_default();
            let short = "does not work".to_owned();
            (short, vec![Remark { level, code: fault.name(), says, fix: finding.hint() }])
        }
        State::Usable { version, .. } => {
            let mut remarks = Vec::new();
            remarks.extend(age(tool, version, inventory, wanted, rules));
            remarks.extend(required(tool, version, finding, wanted));
            remarks.extend(known(tool, version, inventory, wanted, rules));
            remarks.extend(lacks(finding));
            (version.to_string(), remarks)
        }
    };
    let mut check = Check::new(format!("tool/{tool}"), Group::Tools, &[tool], short, remarks);
    check.path = match &finding.state {
        State::Missing => None,
        State::Unusable { path, .. } | State::Usable { path, .. } => Some(path.clone()),
    };
    check.details = details(finding);
    check
}

/// What a tool is to what is wanted.
#[derive(Clone, Copy)]
enum Role {
    Needed,
    /// A step is better off with it.
    Useful,
    /// Nobody asked for it.
    Listed,
}

impl Role {
    const fn when_missing(self) -> Level {
        match self {
            Self::Needed => Level::Lacking,
            Self::Useful => Level::Warning,
            Self::Listed => Level::Note,
        }
    }

    /// Somebody put it there, so it is worth a warning where nobody asked for it, too.
    const fn when_broken(self) -> Level {
        match self {
            Self::Needed => Level::Broken,
            Self::Useful | Self::Listed => Level::Warning,
        }
    }

    /// A rule that makes it useless or doubtful.
    const fn at_most(self, level: Level) -> Level {
        match self {
            Self::Needed => level,
            Self::Useful => Level::Warning,
            Self::Listed => Level::Note,
        }
    }
}

fn role(tool: Tool, inventory: &Inventory, wanted: &Wanted) -> Role {
    if wanted.needed.contains_key(&tool) {
        return Role::Needed;
    }
    // One of them is enough: while another one works, this one is only listed.
    if wanted.one_of.contains(&tool) {
        let mut others = wanted.one_of.iter().filter(|other| **other != tool);
        return if others.any(|other| works(*other, inventory)) { Role::Listed } else { Role::Needed };
    }
    if wanted.useful.contains(&tool) { Role::Useful } else { Role::Listed }
}

fn works(tool: Tool, inventory: &Inventory) -> bool {
    inventory.get(tool).is_some_and(|finding| finding.usable().is_some())
}

fn absent(finding: &Finding, inventory: &Inventory, wanted: &Wanted) -> Remark {
    let tool = finding.tool;
    let fix = finding.install.clone().or_else(|| finding.hint());
    let says = finding.complaint().unwrap_or_default();
    let level = role(tool, inventory, wanted).when_missing();
    let remark = |level, says| Remark { level, code: "Missing", says, fix };
    // Of several that would do, only the preferred one is told to be missing.
    match wanted.one_of.split_first() {
        // The step's plan tells them one by one, in these words.
        _ if wanted.step.is_some() => remark(level, says),
        Some((first, [])) if *first == tool => remark(level, says),
        Some((first, rest)) if *first == tool && level == Level::Lacking => {
            let rest = rest.iter().map(|tool| tool.name()).collect::<Vec<_>>().join(", ");
            remark(level, format!("{says} ({rest} would do, too)"))
        }
        Some((first, rest)) if rest.contains(&tool) => {
            remark(Level::Note, format!("{says}; {first} does the same"))
        }
        _ => match wanted.needed.get(&tool) {
            Some(by) => remark(level, format!("{says} (needed by {by})")),
            None => remark(level, says),
        },
    }
}

/// Too old to be of use, or newer than anybody has seen.
fn age(
    tool: Tool,
    version: &Version,
    inventory: &Inventory,
    wanted: &Wanted,
    rules: &Rules,
) -> Option<Remark> {
    let role = role(tool, inventory, wanted);
    match rules.is_enough(tool, version) {
        Enough::TooOld(least) => Some(Remark {
            // A step's plan says for itself what it cannot use.
            level: role.at_most(if wanted.step.is_some() { Level::Warning } else { Level::Lacking }),
            code: "TooOld",
            says: format!("{tool} {version} {}: {least} is the least", least.why),
            fix: rules.install(tool, &System::here()),
        }),
        _ if matches!(version, Version::Unknown { .. }) => {
            let printed = match version {
                Version::Unknown { printed: Some(printed) } => format!("it says: {printed}"),
                _ => "it says nothing".to_owned(),
            };
            Some(Remark {
                level: Level::Note,
                code: "VersionUnknown",
                says: format!(
                    "{tool} does not tell its version ({printed}); --prove judges it by what it does"
                ),
                fix: None,
            })
        }
        _ if rules.is_news(tool, version) => Some(Remark {
            level: Level::Note,
            code: "NewerThanRules",
            says: format!(
                "{tool} {version} is newer than the rules ({}), and judged like the newest that they know",
                rules.date()
            ),
            fix: None,
        }),
        Enough::Yes | Enough::Unknown => None,
    }
}

fn required<'a>(
    tool: Tool,
    version: &'a Version,
    finding: &'a Finding,
    wanted: &'a Wanted,
) -> impl Iterator<Item = Remark> + use<'a> {
    let own = wanted.requirements.iter().filter(move |requirement| requirement.tool == tool);
    own.filter_map(move |requirement| match requirement.is_met(version) {
        Some(true) => None,
        Some(false) => Some(Remark {
            level: Level::Lacking,
            code: "Requirement",
            says: format!("{tool} is {version}, and {requirement} is required"),
            fix: finding
                .hits
                .get(1)
                .map(|next| format!("look at {}, which comes next on the PATH", next.display())),
        }),
        None => Some(Remark {
            level: Level::Warning,
            code: "Requirement",
            says: format!("whether {requirement} holds cannot be seen: its version is unknown"),
            fix: None,
        }),
    })
}

fn known<'a>(
    tool: Tool,
    version: &'a Version,
    inventory: &Inventory,
    wanted: &Wanted,
    rules: &'a Rules,
) -> impl Iterator<Item = Remark> + use<'a> {
    let role = role(tool, inventory, wanted);
    rules.notes(tool, version).map(move |note| Remark {
        level: if note.is_warning { role.at_most(Level::Warning) } else { Level::Note },
        code: "Known",
        says: format!("{tool} {version}: {}", note.says),
        fix: note.fix.clone(),
    })
}

fn lacks(finding: &Finding) -> Option<Remark> {
    let remark = |names: String| Remark {
        level: Level::Note,
        code: "LacksFeature",
        says: format!("scripts cannot use {names}"),
        fix: None,
    };
    (!finding.lacks.is_empty()).then(|| remark(finding.lacks.join(", ")))
}

fn details(finding: &Finding) -> Vec<String> {
    let mut details = Vec::new();
    if let State::Usable { version: Version::Known { printed, .. }, .. } = &finding.state {
        details.push(format!("printed {printed}"));
    }
    details.extend(finding.kind.as_ref().map(Kind::to_string));
    details.extend(finding.kubernetes.map(|(major, minor)| format!("built for Kubernetes {major}.{minor}")));
    details.extend(finding.hits.iter().skip(1).map(|hit| format!("shadows {}", hit.display())));
    details.extend(finding.took.map(|took| format!("answered in {} ms", took.as_millis())));
    details
}
