//! The settings of a worker as a config file: `--print-config`.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Source, WorkerSettings};
use crate::cli::{LogFormat, TreeMethod};
use crate::settings::Settings;

impl WorkerSettings {
    /// The settings that hold, as a config file; each line of the worker's says where it comes from. `queue` is where the
    /// queue is, without its secrets.
    #[must_use]
    pub fn config(&self, queue: &str) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: String, source: &str| {
            // A string takes every write.
            let _ = writeln!(text, "{key} = {value}{source}");
        };
        line("queue", quoted(queue), "");
        let step = &self.step;
        if let Some(state) = &step.state_dir {
            line("stateDir", quoted(&state.display().to_string()), "");
        }
        line("mask", quoted(&step.mask), "");
        line("logFormat", quoted(if step.log_format == LogFormat::Json { "json" } else { "text" }), "");
        let tree = match step.tree {
            TreeMethod::Auto => "auto",
            TreeMethod::Cgroup => "cgroup",
            TreeMethod::Sweep => "sweep",
        };
        line("tree", quoted(tree), "");
        line("serviceAccountDir", quoted(&step.service_account_dir.display().to_string()), "");
        text.push_str("\n[worker]\n");
        for (key, value, source) in &self.shown.0 {
            let is_number = matches!(*key, "slots" | "maxSteps");
            let value = match *key {
                "labels" => labels_as_toml(&self.labels),
                _ if is_number => value.clone(),
                _ => quoted(value),
            };
            let _ = writeln!(text, "{key} = {value}  # {}", source.words());
        }
        text.push_str(&remote(&self.step));
        text
    }
}

impl Source {
    fn words(self) -> String {
        match self {
            Self::Flag(flag) => flag.to_owned(),
            Self::Variable(variable) => variable.to_owned(),
            Self::Config => "the config".to_owned(),
            Self::Default => "default".to_owned(),
        }
    }
}

/// A basic string of TOML; what JSON escapes, TOML does, too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn labels_as_toml(labels: &BTreeMap<String, String>) -> String {
    let pairs = labels.iter().map(|(name, value)| format!("{} = {}", quoted(name), quoted(value)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}

/// The tables of what remote payloads may do.
fn remote(step: &Settings) -> String {
    let mut text = String::from("\n[remote]\n");
    if let Ok(serde_json::Value::Object(remote)) = serde_json::to_value(&step.remote) {
        for (key, value) in remote {
            let _ = writeln!(text, "{key} = {value}");
        }
    }
    text.push_str("\n[maxima]\n");
    let durations = [("timeout", step.max_timeout), ("grace", step.max_grace), ("login", step.max_login)];
    for (key, duration) in durations {
        if let Some(duration) = duration {
            let _ = writeln!(text, "{key} = \"{}ms\"", duration.as_millis());
        }
    }
    if let Some(output) = step.max_output {
        let _ = writeln!(text, "output = {}", quoted(&crate::limits::size_words(output)));
    }
    text
}
