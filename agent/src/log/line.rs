//! A line of the agent's own: `kubestep: warning: …` for people, one JSON object for machines.

use std::fmt::Write;

use tracing::field::{Field, Visit};
use tracing_subscriber::layer::Context;

use super::{Sink, Voice};
use crate::mask::{Masked, Masker};

/// How the agent's own lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `kubestep: …`
    Text,
    /// The same for a terminal: what the reader may have to act upon stands out.
    Colour,
    /// One JSON object a line.
    Json,
}

/// How important a line is; the least important comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `-vv`.
    Trace,
    /// `-v`.
    Debug,
    /// What a reader of the log wants to know.
    Info,
    /// Something the reader may have to act upon.
    Warning,
    /// Why the step did not do what it was to do; `-q` shows this too.
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Level {
    /// The sequences around a level's name on a terminal.
    fn colour(self) -> (&'static str, &'static str) {
        match self {
            Self::Trace | Self::Debug => ("\x1b[2m", "\x1b[0m"),
            Self::Info => ("", ""),
            Self::Warning => ("\x1b[33m", "\x1b[0m"),
            Self::Error => ("\x1b[1;31m", "\x1b[0m"),
        }
    }
}

/// A line, and what to do about it.
#[derive(Clone, Debug)]
pub struct Line {
    /// How important it is.
    pub level: Level,
    /// A warning's code; the closed list is `plan::WarningCode`.
    pub code: Option<&'static str>,
    /// What happened. Of several lines, each gets the prefix.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// What else machines are told, by name; never one of the names above, and no secret.
    pub fields: Vec<(&'static str, serde_json::Value)>,
}

impl Line {
    /// An information.
    #[must_use]
    pub fn info(message: String) -> Self {
        Self { level: Level::Info, code: None, message, hint: None, fields: Vec::new() }
    }

    /// An error and what to do about it.
    #[must_use]
    pub fn error(message: String, hint: Option<String>) -> Self {
        Self { level: Level::Error, code: None, message, hint, fields: Vec::new() }
    }

    /// Masks the texts before JSON escapes them, and the whole again.
    pub(super) fn render(&self, format: Format, masker: &Masker) -> Masked {
        let (message, hint) =
            (masker.text(&self.message), self.hint.as_deref().map(|hint| masker.text(hint)));
        let rendered = match format {
            Format::Text => self.text(&message, hint.as_deref(), ("", "")),
            Format::Colour => self.text(&message, hint.as_deref(), self.level.colour()),
            Format::Json => {
                let level = self.level.name();
                let mut line =
                    serde_json::json!({"level": level, "code": self.code, "message": message, "hint": hint});
                for (name, value) in &self.fields {
                    line[name] = value.clone();
                }
                format!("{line}\n")
            }
        };
        masker.whole(rendered.as_bytes())
    }

    fn text(&self, message: &str, hint: Option<&str>, (on, off): (&str, &str)) -> String {
        let prefix = match self.level {
            Level::Info => String::new(),
            level => format!("{on}{}:{off} ", level.name()),
        };
        let message = message.lines().map(|line| format!("kubestep: {prefix}{line}\n"));
        let hint = hint.into_iter().flat_map(str::lines).map(|line| format!("kubestep: hint: {line}\n"));
        message.chain(hint).collect()
    }
}

/// Says the events of `tracing` as lines.
pub struct Diagnostics {
    masker: Masker,
    sink: Sink,
    voice: Voice,
}

impl Diagnostics {
    pub(super) fn new(masker: Masker, sink: Sink, voice: Voice) -> Self {
        Self { masker, sink, voice }
    }

    fn level(level: tracing::Level) -> Level {
        match level {
            tracing::Level::TRACE => Level::Trace,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::INFO => Level::Info,
            tracing::Level::WARN => Level::Warning,
            tracing::Level::ERROR => Level::Error,
        }
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Diagnostics {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        // Our own events only: what a library traces may hold anything.
        let ours =
            metadata.target().starts_with("kubestep") || metadata.target().starts_with("tooling_check");
        ours && Self::level(*metadata.level()) >= self.voice.least
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        let level = Self::level(*event.metadata().level());
        let line = Line { level, ..Line::info(words.0) };
        self.sink.line(line.render(self.voice.format, &self.masker));
    }
}

/// The message first, then `name=value`.
struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let done = if field.name() == "message" {
            write!(self.0, "{value:?}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
        done.expect("a string takes every write");
    }
}

#[cfg(test)]
mod tests {
    use super::{Format, Level, Line};
    use crate::mask::Masker;
    use crate::secret::Secret;

    fn rendered(line: &Line, format: Format) -> String {
        let masker = Masker::new("***");
        masker.add([&Secret::new("hunter\"22".into())]);
        String::from_utf8(line.render(format, &masker).bytes().to_vec()).expect("text")
    }

    #[test]
    fn a_secret_in_a_line_is_masked_in_both_formats() {
        let line = Line::info("it is hunter\"22".into());
        assert_eq!(rendered(&line, Format::Text), "kubestep: it is ***\n");
        assert!(rendered(&line, Format::Json).contains("\"it is ***\""));
    }

    #[test]
    fn each_line_of_a_text_has_the_prefix() {
        let line = Line::error("one\ntwo".into(), Some("three".into()));
        let expected = "kubestep: error: one\nkubestep: error: two\nkubestep: hint: three\n";
        assert_eq!(rendered(&line, Format::Text), expected);
        assert_eq!(rendered(&Line::info("started".into()), Format::Text), "kubestep: started\n");
    }

    #[test]
    fn colours_stand_around_the_level_only() {
        let line = Line::error("no".into(), Some("yes".into()));
        let expected = "kubestep: \x1b[1;31merror:\x1b[0m no\nkubestep: hint: yes\n";
        assert_eq!(rendered(&line, Format::Colour), expected);
        assert_eq!(rendered(&Line::info("started".into()), Format::Colour), "kubestep: started\n");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let line = Line { level: Level::Warning, code: Some("ToolMissing"), ..Line::info("a\nb".into()) };
        let expected =
            "{\"level\":\"warning\",\"code\":\"ToolMissing\",\"message\":\"a\\nb\",\"hint\":null}\n";
        assert_eq!(rendered(&line, Format::Json), expected);
        let line = Line { fields: vec![("step", "a-7".into())], ..line };
        assert_eq!(rendered(&line, Format::Json), expected.replace("null}", "null,\"step\":\"a-7\"}"));
    }
}
