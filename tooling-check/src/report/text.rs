//! The report for a person: one line for each thing, what is wrong below it, the verdict last.

use std::fmt::Write;
use std::path::Path;

use crate::check::{Check, Group, Level, Remark, Report};

/// How the text looks.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Whether escape sequences are written.
    pub colour: bool,
    /// Columns that a line may have. Commands are never broken.
    pub width: usize,
    /// Whether notes and details are told, too.
    pub verbose: bool,
}

/// What a remark's continuation is indented by.
const INDENT: &str = "     ";

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(self, text: &str) -> String {
        if text.is_empty() { String::new() } else { self.paint("2", text) }
    }

    fn level(self, level: Level, text: &str) -> String {
        let code = match level {
            Level::Good => "32",
            Level::Note => "2",
            Level::Warning => "33",
            Level::Lacking | Level::Broken => "31",
        };
        self.paint(code, text)
    }
}

const fn sign(level: Level) -> &'static str {
    match level {
        Level::Good => "✔",
        Level::Note => "·",
        Level::Warning => "!",
        Level::Lacking | Level::Broken => "✖",
    }
}

/// The whole text, with a newline at its end.
#[must_use]
pub fn text(report: &Report, strict: bool, style: Style) -> String {
    let mut text = String::new();
    let titles = [(Group::Tools, "Tools"), (Group::Pairs, "Together"), (Group::Proof, "Tried")];
    let versions = report.checks.iter().filter(|check| check.path.is_some());
    let versions = versions.map(|check| check.short.chars().count()).max().unwrap_or(0);
    for (group, title) in titles {
        let checks: Vec<&Check> = report.checks.iter().filter(|check| check.group == group).collect();
        if checks.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{}", style.bold(title));
        let names = checks.iter().map(|check| check.subject().chars().count()).max().unwrap_or(0);
        for check in checks {
            line(&mut text, check, (names, versions), style);
        }
        text.push('\n');
    }
    let worst = report.worst();
    let exit = style.dim(&format!("(exit {}, rules of {})", report.exit_code(strict), report.rules));
    let level = if worst <= Level::Note { Level::Good } else { worst };
    for verdict in textwrap::wrap(&printable(&report.verdict()), style.width) {
        let _ = writeln!(text, "{}", style.paint("1", &style.level(level, &verdict)));
    }
    let _ = writeln!(text, "{exit}");
    text
}

fn line(text: &mut String, check: &Check, (names, versions): (usize, usize), style: Style) {
    let subject = check.subject();
    let place = check.path.as_deref().map(|path| printable(&path.display().to_string())).unwrap_or_default();
    let head = if check.group == Group::Tools {
        // Sign, name, version, path, with two blanks between.
        let left = style.width.saturating_sub(2 + names + 2 + versions + 2);
        let place = if style.verbose { place } else { shortened(&place, left) };
        let short =
            style.level(if check.level == Level::Note { Level::Good } else { check.level }, &check.short);
        let short = if check.path.is_none() { style.level(check.level, &check.short) } else { short };
        if place.is_empty() {
            // Who needs it stands behind it, and not once more below.
            let who = check.remarks.first().and_then(|remark| absence(&subject, remark)).unwrap_or_default();
            format!("{subject:names$}  {short}{}", style.dim(who))
        } else {
            let gap = " ".repeat(versions.saturating_sub(check.short.chars().count()));
            format!("{subject:names$}  {short}{gap}  {}", style.dim(&place))
        }
    } else {
        format!("{subject:names$}  {}", style.level(check.level, &check.short))
    };
    let _ = writeln!(text, "{} {}", style.level(check.level, sign(check.level)), head);
    for remark in &check.remarks {
        if style.verbose || remark.level >= Level::Warning {
            // The line itself says that it is missing.
            tell(text, remark, absence(&subject, remark).is_some(), style);
        }
    }
    if style.verbose {
        for detail in &check.details {
            let _ = writeln!(text, "{INDENT}{}", style.dim(&printable(detail)));
        }
    }
}

/// What a remark that a tool is missing says besides.
fn absence<'a>(subject: &str, remark: &'a Remark) -> Option<&'a str> {
    let rest = remark.says.strip_prefix(subject)?.strip_prefix(" is not on the PATH")?;
    (rest.is_empty() || rest.starts_with(" (")).then_some(rest)
}

fn tell(text: &mut String, remark: &Remark, is_told: bool, style: Style) {
    let options = textwrap::Options::new(style.width).initial_indent(INDENT).subsequent_indent(INDENT);
    for line in textwrap::wrap(&printable(&remark.says), options).into_iter().filter(|_| !is_told) {
        let _ = writeln!(text, "{}", style.level(remark.level, &line));
    }
    if let Some(fix) = &remark.fix {
        let _ = writeln!(text, "{INDENT}fix: {}", style.bold(&printable(fix)));
    }
}

/// A path in so many columns, its end kept.
fn shortened(path: &str, columns: usize) -> String {
    let length = path.chars().count();
    if length <= columns || columns < 8 {
        return path.to_owned();
    }
    let tail: String = path.chars().skip(length - columns + 1).collect();
    // Cut at a folder where one is near.
    let cut = tail
        .find('/')
        .filter(|at| tail.len() - at > Path::new(path).file_name().map_or(0, |name| name.len()));
    format!("…{}", &tail[cut.unwrap_or(0)..])
}

/// What a path or a tool's words hold is others' text: no control character of it reaches a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
