//! The worker's own lines: one when a step begins, one when it ends, and what an operator may have to act upon. A step's
//! log is never among them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::log::{Level, Line, Log};
use crate::queue::{Ending, Finished, Lease};

/// Which step a line is about.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) epoch: u64,
}

impl About {
    pub(super) fn new(lease: &Lease, name: &str) -> Self {
        Self { id: lease.id.to_string(), name: name.to_owned(), epoch: lease.epoch }
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("step", json!(self.id)), ("name", json!(self.name)), ("epoch", json!(self.epoch))]
    }
}

/// Says lines.
pub(super) struct Speaker(pub(super) Log);

impl Speaker {
    /// About the worker itself.
    pub(super) fn say(&self, level: Level, message: impl Into<String>) {
        self.line(level, None, message.into(), Vec::new());
    }

    /// What an operator may have to act upon, with a code that machines know.
    pub(super) fn warn(&self, code: &'static str, message: impl Into<String>) {
        self.line(Level::Warning, Some(code), message.into(), Vec::new());
    }

    /// About a step.
    pub(super) fn step(&self, level: Level, about: &About, message: &str) {
        self.line(level, None, format!("{} ({}): {message}", about.id, about.name), about.fields());
    }

    /// How a step ended.
    pub(super) fn ended(&self, about: &About, ending: &Ending, finished: Finished, took: Duration) {
        let reason = json!(ending.reason);
        let again = if finished == Finished::Again { "; it is tried again" } else { "" };
        let message = format!(
            "{} ({}): {} after {:.1} s, exit code {}{again}",
            about.id,
            about.name,
            reason.as_str().unwrap_or_default(),
            took.as_secs_f64(),
            ending.exit_code
        );
        let mut fields = about.fields();
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        fields.extend([
            ("reason", reason),
            ("exitCode", json!(ending.exit_code)),
            ("milliseconds", json!(milliseconds)),
        ]);
        self.line(Level::Info, None, message, fields);
    }

    fn line(
        &self,
        level: Level,
        code: Option<&'static str>,
        message: String,
        mut fields: Vec<(&'static str, Value)>,
    ) {
        fields.insert(0, ("time", json!(format!("{:.3}", jiff::Timestamp::now()))));
        self.0.say(&Line { level, code, message, hint: None, fields });
    }
}
