//! The report for programs. The schema is `docs/preflight.schema.json`; within a form, fields are only added.

use serde::Serialize;

use crate::check::{Check, Level, Report};
use crate::inventory::{Finding, Inventory, State};
use crate::version::Version;

/// Grows when a field changes its meaning or goes away.
const FORM: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema_version: u32,
    rules: &'a str,
    good: bool,
    exit_code: u8,
    verdict: String,
    counts: Counts,
    profiles: Vec<&'static str>,
    step: Option<&'a str>,
    tools: Vec<ToolDocument<'a>>,
    checks: &'a [Check],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    good: usize,
    note: usize,
    warning: usize,
    lacking: usize,
    broken: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolDocument<'a> {
    name: &'static str,
    /// `usable`, `missing`, `unusable`.
    state: &'static str,
    path: Option<String>,
    /// As it is compared.
    version: Option<String>,
    /// As it was printed.
    printed: Option<&'a str>,
    kind: Option<&'static str>,
    kubernetes: Option<String>,
    /// Every file of that name, the one that is met first.
    hits: Vec<String>,
    lacks: &'a [String],
    fault: Option<&'static str>,
    milliseconds: Option<u128>,
}

/// One JSON document with a newline at its end.
///
/// # Errors
/// None in practice: every value is text or a number.
pub fn json(report: &Report, inventory: &Inventory, strict: bool) -> serde_json::Result<String> {
    let count = |level| report.count(level);
    let document = Document {
        schema_version: FORM,
        rules: &report.rules,
        good: report.exit_code(strict) == 0,
        exit_code: report.exit_code(strict),
        verdict: report.verdict(),
        counts: Counts {
            good: count(Level::Good),
            note: count(Level::Note),
            warning: count(Level::Warning),
            lacking: count(Level::Lacking),
            broken: count(Level::Broken),
        },
        profiles: report.wanted.profiles.iter().map(|profile| profile.name()).collect(),
        step: report.wanted.step.as_deref(),
        tools: inventory.iter().map(tool).collect(),
        checks: &report.checks,
    };
    serde_json::to_string_pretty(&document).map(|text| text + "\n")
}

fn tool(finding: &Finding) -> ToolDocument<'_> {
    let (state, path, version, fault) = match &finding.state {
        State::Missing => ("missing", None, None, None),
        State::Unusable { path, fault } => ("unusable", Some(path), None, Some(fault.name())),
        State::Usable { path, version } => ("usable", Some(path), Some(version), None),
    };
    let printed = match version {
        Some(Version::Known { printed, .. } | Version::Unknown { printed: Some(printed) }) => {
            Some(printed.as_str())
        }
        _ => None,
    };
    ToolDocument {
        name: finding.tool.name(),
        state,
        path: path.map(|path| path.display().to_string()),
        version: finding.version().map(Version::to_string),
        printed,
        kind: finding.kind.as_ref().map(|kind| kind.name()),
        kubernetes: finding.kubernetes.map(|(major, minor)| format!("{major}.{minor}")),
        hits: finding.hits.iter().map(|hit| hit.display().to_string()).collect(),
        lacks: &finding.lacks,
        fault,
        milliseconds: finding.took.map(|took| took.as_millis()),
    }
}
