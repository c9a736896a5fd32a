//! The report as a table, for a build's page or an issue.

use std::fmt::Write;

use crate::check::{Level, Report};

/// The whole text.
#[must_use]
pub fn markdown(report: &Report, strict: bool) -> String {
    let mut text = format!(
        "**{}** (exit {}, rules of {})\n\n",
        cell(&report.verdict()),
        report.exit_code(strict),
        report.rules
    );
    text.push_str("| | what | found | to do |\n|---|---|---|---|\n");
    for check in &report.checks {
        let place = check.path.as_deref().map(|path| format!("`{}`", cell(&path.display().to_string())));
        let found = [Some(cell(&check.short)), place].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let told = check.remarks.iter().map(|remark| match &remark.fix {
            Some(fix) => format!("{}: `{}`", cell(&remark.says), cell(fix)),
            None => cell(&remark.says),
        });
        let told = told.collect::<Vec<_>>().join("<br>");
        let _ = writeln!(text, "| {} | {} | {found} | {told} |", sign(check.level), check.subject());
    }
    text
}

const fn sign(level: Level) -> &'static str {
    match level {
        Level::Good => "✔",
        Level::Note => "·",
        Level::Warning => "**!**",
        Level::Lacking | Level::Broken => "**✖**",
    }
}

/// Text that stays in its cell.
fn cell(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.replace('|', "\\|").replace('<', "&lt;")
}
