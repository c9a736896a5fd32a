//! How a step is to be run: what its process would read from the operator's config and from the environment, told by the
//! worker, so that the process needs neither. It may not even be allowed to read them.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use serde::{Deserialize, Serialize};

use crate::limits::SYSTEMD_VARIABLES;
use crate::settings::{Environment, Settings};

/// Folders of systemd's that are the worker's own, and no step's.
const OWN: [&str; 2] = ["CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"];

/// What the process of a step is told first. It has no `Debug`: the environment may hold secrets.
#[derive(Serialize, Deserialize)]
pub struct Job {
    /// The operator's word.
    pub settings: Settings,
    /// Whether it tells of each phase: each wakes the worker, which otherwise shows none.
    pub phases: bool,
    /// The worker's environment; `KUBESTEP_…` and what else is the worker's own is left out.
    environment: Vec<(Text, Text)>,
}

/// A name or a value; nearly all are text, which JSON says shortest.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<OsString> for Text {
    fn from(text: OsString) -> Self {
        text.into_string().map_or_else(|text| Self::Bytes(text.into_vec()), Self::Text)
    }
}

impl From<Text> for OsString {
    fn from(text: Text) -> Self {
        match text {
            Text::Text(text) => text.into(),
            Text::Bytes(bytes) => Self::from_vec(bytes),
        }
    }
}

impl Text {
    fn is(&self, other: &str) -> bool {
        matches!(self, Self::Text(text) if text == other)
    }
}

impl Job {
    /// A job in the worker's own surroundings.
    #[must_use]
    pub fn new(settings: Settings, environment: &Environment) -> Self {
        let own = |name: &str| {
            name.starts_with("KUBESTEP_") || OWN.contains(&name) || SYSTEMD_VARIABLES.contains(&name)
        };
        let kept = environment.iter().filter(|(name, _)| !name.to_str().is_some_and(own));
        let phases = tracing::enabled!(tracing::Level::DEBUG);
        Self {
            settings,
            phases,
            environment: kept.map(|(name, value)| (name.clone().into(), value.clone().into())).collect(),
        }
    }

    /// Sets a variable, or takes it away.
    pub fn set(&mut self, name: &str, value: Option<OsString>) {
        self.environment.retain(|(known, _)| !known.is(name));
        self.environment.extend(value.map(|value| (Text::Text(name.into()), value.into())));
    }

    /// The parts.
    #[must_use]
    pub fn into_parts(self) -> (Settings, Environment) {
        let environment = self.environment.into_iter().map(|(name, value)| (name.into(), value.into()));
        (self.settings, environment.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Job;
    use crate::cli::{Arguments, Command};
    use crate::settings::{Environment, Settings};
    use clap::Parser;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn a_job_survives_its_way_and_leaves_out_what_is_the_workers() {
        let mut environment: Environment = [
            ("PATH", "/bin"),
            ("KUBESTEP_MASK", "[x]"),
            ("NOTIFY_SOCKET", "/run/notify"),
            ("TMPDIR", "/tmp/a"),
        ]
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .into();
        let no_text = OsString::from_vec(b"\xff=".to_vec());
        environment.insert("OTHER".into(), no_text.clone());
        let Command::Run(run) = Arguments::parse_from(["kubestep", "run", "-"]).command else {
            unreachable!("a run")
        };
        let settings = Settings::resolve(&run.step, None, &environment).expect("valid");
        let mut job = Job::new(settings, &environment);
        job.set("HOME", Some("/home/a".into()));
        job.set("TMPDIR", None);
        let text = serde_json::to_vec(&job).expect("JSON");
        let (settings, environment) = serde_json::from_slice::<Job>(&text).expect("JSON").into_parts();
        assert_eq!((settings.mask.as_str(), settings.work_root.as_path()), ("[x]", "/tmp/a".as_ref()));
        let names: Vec<_> = environment.keys().collect();
        assert_eq!(names, ["HOME", "OTHER", "PATH"]);
        assert_eq!(environment.get("OTHER".as_ref() as &std::ffi::OsStr), Some(&no_text));
    }
}
