//! An explanation for people: a word on the left, what there is to say beside it, at most 80 columns.

use std::fmt::Write;
use std::time::Duration;

use super::Explanation;
use crate::kubeconfig::yaml;
use crate::limits::size_words;
use crate::supervise::Method;

/// A terminal's usual width.
const WIDTH: usize = 80;

/// The column in which the telling begins.
const INDENT: usize = 13;

pub(super) fn render(it: &Explanation) -> String {
    let mut page = Page(String::new());
    page.row("step", &it.name);
    page.row(
        "target",
        &format!(
            "{}, namespace {}",
            it.target.server.as_deref().unwrap_or("found by the login"),
            it.target.namespace
        ),
    );
    page.row("", namespace_policy(it.target.namespace_policy));
    page.row("trust", &it.target.trust);
    page.row("login", &format!("{}: {}", it.target.auth, it.login.how));
    page.row("", &format!("because {}", it.login.reason));
    if let (Some(until), true) = (&it.login.until, it.login.is_renewed) {
        page.row("", &format!("the credential of now ends at {until}"));
    }
    page.row("script", &script(it));
    page.row("limits", &limits(it));
    page.row("processes", &processes(it));
    page.table(
        "tools",
        it.tools.iter().map(|tool| {
            let version = tool.version.as_deref().unwrap_or("-");
            (tool.name.to_owned(), format!("{version:<9} {}", tool.path.display()))
        }),
    );
    page.table(
        "files",
        it.files.iter().map(|file| {
            (
                file.name.clone(),
                format!("{} bytes{}", file.bytes, if file.is_secret { ", secret" } else { "" }),
            )
        }),
    );
    page.table(
        "environment",
        it.environment.iter().map(|one| {
            (one.name.clone(), format!("{}{}", one.from, if one.is_secret { ", secret" } else { "" }))
        }),
    );
    page.kubeconfig(&it.kubeconfig);
    for warning in &it.warnings {
        page.row("warning", &format!("{} ({})", warning.message, warning.code.name()));
        if let Some(hint) = &warning.hint {
            page.row("", &format!("hint: {hint}"));
        }
    }
    for note in &it.notes {
        page.row("note", note);
    }
    page.0
}

fn namespace_policy(word: &str) -> &'static str {
    match word {
        "create" => "the namespace is made where it is not there (create)",
        "require" => "the namespace must be there (require)",
        _ => "nobody is asked about the namespace (skip)",
    }
}

fn script(it: &Explanation) -> String {
    let script = &it.script;
    let arguments = match script.arguments.len() {
        0 => "no arguments".to_owned(),
        1 => "1 argument".to_owned(),
        count => format!("{count} arguments"),
    };
    let folder = script.working_directory.as_ref();
    let folder = folder.map_or_else(|| "a fresh folder".to_owned(), |folder| folder.display().to_string());
    let interpreter = script.interpreter.display();
    format!("{} bytes of {} by {interpreter}, {arguments}, in {folder}", script.bytes, script.syntax)
}

fn limits(it: &Explanation) -> String {
    let words = |seconds: f64| format!("{:?}", Duration::from_secs_f64(seconds));
    let timeout = it
        .limits
        .timeout
        .map_or_else(|| "no timeout".to_owned(), |timeout| format!("timeout {}", words(timeout)));
    let output = size_words(it.limits.output);
    let policy =
        if it.limits.output_policy == "fail" { "or the script is ended" } else { "the rest is dropped" };
    format!("{timeout}; {} between TERM and KILL; {output} of output, {policy}", words(it.limits.grace))
}

fn processes(it: &Explanation) -> String {
    let method = match it.tree.method {
        Method::Cgroup => "held together by a cgroup",
        Method::Sweep => "held together by their descent (sweep of /proc)",
    };
    format!("{method}, because {}", it.tree.reason)
}

struct Page(String);

impl Page {
    /// A word and its telling; without a word, more of the one above.
    fn row(&mut self, word: &str, telling: &str) {
        let indent = " ".repeat(INDENT);
        let first = format!("{word:<INDENT$}");
        let options = textwrap::Options::new(WIDTH)
            .initial_indent(&first)
            .subsequent_indent(&indent)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        for line in textwrap::wrap(telling, options) {
            self.line(&line);
        }
    }

    fn table(&mut self, word: &str, rows: impl Iterator<Item = (String, String)>) {
        let rows: Vec<(String, String)> = rows.collect();
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        for (index, (name, telling)) in rows.iter().enumerate() {
            self.row(if index == 0 { word } else { "" }, &format!("{name:<width$}  {telling}"));
        }
    }

    /// The document itself is not wrapped: it is there to be compared.
    fn kubeconfig(&mut self, document: &serde_json::Value) {
        self.line("kubeconfig");
        for line in yaml(document).lines() {
            self.line(&format!("  {line}"));
        }
    }

    fn line(&mut self, line: &str) {
        writeln!(self.0, "{}", line.trim_end()).expect("a string takes every write");
    }
}
