//! The report as JUnit's XML: one test case a check. What is needed and not there is a failure; with `--strict`, so is
//! a warning. A plugin that cannot be proved here is skipped.

use std::fmt::Write;

use crate::check::{Check, Level, Report};

/// The whole document.
#[must_use]
pub fn junit(report: &Report, strict: bool) -> String {
    let fails = |check: &&Check| fails(check, strict);
    let (count, failures) = (report.checks.len(), report.checks.iter().filter(fails).count());
    let skipped = report.checks.iter().filter(|check| is_excused(check)).count();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        text,
        "<testsuite name=\"tooling-check\" tests=\"{count}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\">"
    );
    let _ = writeln!(text, "  <properties>");
    for (name, value) in [
        ("verdict", report.verdict()),
        ("exitCode", report.exit_code(strict).to_string()),
        ("rules", report.rules.clone()),
    ] {
        let _ = writeln!(text, "    <property name=\"{name}\" value=\"{}\"/>", escaped(&value));
    }
    let _ = writeln!(text, "  </properties>");
    for check in &report.checks {
        case(&mut text, check, strict);
    }
    text.push_str("</testsuite>\n");
    text
}

fn fails(check: &Check, strict: bool) -> bool {
    check.level >= Level::Lacking || (strict && check.level == Level::Warning)
}

fn is_excused(check: &Check) -> bool {
    check.remarks.iter().any(|remark| remark.code == "Excused")
}

fn case(text: &mut String, check: &Check, strict: bool) {
    let group = check.id.split('/').next().unwrap_or_default();
    let _ = write!(text, "  <testcase classname=\"{group}\" name=\"{}\">", escaped(&check.id));
    let told: Vec<String> = check
        .remarks
        .iter()
        .map(|remark| match &remark.fix {
            Some(fix) => format!("{}\nfix: {fix}", remark.says),
            None => remark.says.clone(),
        })
        .collect();
    let told = told.join("\n");
    if let Some(worst) = check.remarks.first().filter(|_| fails(check, strict)) {
        let (code, says) = (worst.code, escaped(&worst.says));
        let _ = write!(
            text,
            "\n    <failure type=\"{code}\" message=\"{says}\">{}</failure>\n  ",
            escaped(&told)
        );
    } else if is_excused(check) {
        let _ = write!(text, "\n    <skipped message=\"{}\"/>\n  ", escaped(&told));
    } else {
        let out = if told.is_empty() { check.short.clone() } else { format!("{}\n{told}", check.short) };
        let _ = write!(text, "\n    <system-out>{}</system-out>\n  ", escaped(&out));
    }
    let _ = writeln!(text, "</testcase>");
}

/// Text for XML 1.0, which has no escapes for most control characters.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            _ if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            _ => escaped.push(c),
        }
    }
    escaped
}
