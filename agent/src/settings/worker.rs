//! What the operator means by `kubestep worker`: each value with where it comes from, which `print` tells.

mod print;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use super::{Environment, Settings, SettingsError};
use crate::cli::{WorkerArguments, label};
use crate::limits::parse_duration;

/// Settings of a worker.
#[derive(Debug)]
pub struct WorkerSettings {
    /// What its steps have, too.
    pub step: Settings,
    /// Whose steps it runs.
    pub pool: String,
    /// How many at a time; at least 1.
    pub slots: u16,
    /// Its name, for people.
    pub name: String,
    /// What steps may ask for.
    pub labels: BTreeMap<String, String>,
    /// After how many steps it ends.
    pub max_steps: Option<u64>,
    /// After how long without a step it ends.
    pub idle_exit: Option<Duration>,
    /// How long running steps may go on when it drains.
    pub drain_timeout: Option<Duration>,
    /// Whom steps run as.
    pub step_user: Option<String>,
    /// Where it is asked how it is.
    pub listen: Option<SocketAddr>,
    shown: Shown,
}

/// The `[worker]` table of the config.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct WorkerConfig {
    pool: Option<String>,
    slots: Option<u16>,
    name: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    max_steps: Option<u64>,
    idle_exit: Option<String>,
    drain_timeout: Option<String>,
    step_user: Option<String>,
    listen: Option<String>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Flag(&'static str),
    Variable(&'static str),
    Config,
    Default,
}

/// A value's names: its config key, its flag, its variable.
type Names = (&'static str, &'static str, &'static str);

const POOL: Names = ("pool", "--pool", "KUBESTEP_POOL");
const SLOTS: Names = ("slots", "--slots", "KUBESTEP_SLOTS");
const NAME: Names = ("name", "--name", "KUBESTEP_NAME");
const MAX_STEPS: Names = ("maxSteps", "--max-steps", "KUBESTEP_MAX_STEPS");
const IDLE_EXIT: Names = ("idleExit", "--idle-exit", "KUBESTEP_IDLE_EXIT");
const DRAIN_TIMEOUT: Names = ("drainTimeout", "--drain-timeout", "KUBESTEP_DRAIN_TIMEOUT");
const STEP_USER: Names = ("stepUser", "--step-user", "KUBESTEP_STEP_USER");
const LISTEN: Names = ("listen", "--listen", "KUBESTEP_LISTEN");
const LABELS: Names = ("labels", "--label", "KUBESTEP_LABELS");

/// Reads values by the order of their sources, and notes which it was.
struct Picker<'a> {
    environment: &'a Environment,
    shown: Shown,
}

/// What `--print-config` tells: key, value as TOML, source.
#[derive(Debug, Default)]
struct Shown(Vec<(&'static str, String, Source)>);

impl Picker<'_> {
    fn variable(&self, name: &'static str) -> Result<Option<String>, SettingsError> {
        let value = self.environment.get(OsStr::new(name)).filter(|value| !value.is_empty());
        super::text(value, name)
    }

    /// The value's text, by its source; `None` where nobody gives one.
    fn pick(
        &mut self,
        (key, flag, variable): Names,
        typed: Option<String>,
        config: Option<String>,
        default: Option<&str>,
    ) -> Result<Option<String>, SettingsError> {
        let (value, source) = match (typed, self.variable(variable)?, config) {
            (Some(value), ..) => (Some(value), Source::Flag(flag)),
            (None, Some(value), _) => (Some(value), Source::Variable(variable)),
            (None, None, Some(value)) => (Some(value), Source::Config),
            (None, None, None) => (default.map(str::to_owned), Source::Default),
        };
        if let Some(value) = &value {
            self.shown.0.push((key, value.clone(), source));
        }
        Ok(value)
    }

    fn duration(
        &mut self,
        names: Names,
        typed: Option<String>,
        config: Option<String>,
    ) -> Result<Option<Duration>, SettingsError> {
        let text = self.pick(names, typed, config, None)?;
        let wrong = |error: crate::limits::NotADuration| value(names.0, error.to_string());
        text.as_deref().map(parse_duration).transpose().map_err(wrong)
    }

    fn address(
        &mut self,
        names: Names,
        typed: Option<String>,
        config: Option<String>,
    ) -> Result<Option<SocketAddr>, SettingsError> {
        let text = self.pick(names, typed, config, None)?;
        let wrong = |_| value(names.0, "expected an address such as 127.0.0.1:9464 or [::]:9464".into());
        text.map(|text| text.parse()).transpose().map_err(wrong)
    }

    fn number(
        &mut self,
        names: Names,
        typed: Option<u64>,
        config: Option<u64>,
        default: Option<&str>,
    ) -> Result<Option<u64>, SettingsError> {
        let words = |number: Option<u64>| number.map(|number| number.to_string());
        let text = self.pick(names, words(typed), words(config), default)?;
        let wrong = |_| value(names.0, "expected a whole number of at least 1".into());
        let number = text.map(|text| text.parse::<std::num::NonZeroU64>()).transpose().map_err(wrong)?;
        Ok(number.map(std::num::NonZeroU64::get))
    }
}

fn value(name: &'static str, expected: String) -> SettingsError {
    SettingsError::Value { name, expected }
}

impl WorkerSettings {
    /// Resolves flags, environment and config; `host` is the machine's name.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn resolve(
        arguments: &WorkerArguments,
        environment: &Environment,
        host: &str,
    ) -> Result<Self, SettingsError> {
        let (mut step, config) = Settings::with_config(arguments.into(), arguments.log_format, environment)?;
        if let Some(queue) = &arguments.queue {
            step.queue = Some(queue.clone());
        }
        let mut picker = Picker { environment, shown: Shown::default() };
        let pool =
            picker.pick(POOL, arguments.pool.clone(), config.pool, Some("default"))?.unwrap_or_default();
        let slots =
            picker.number(SLOTS, arguments.slots.map(u64::from), config.slots.map(u64::from), Some("1"))?;
        let slots = slots.and_then(|slots| u16::try_from(slots).ok()).filter(|slots| *slots <= 1024);
        let slots = slots.ok_or_else(|| value("slots", "expected a number from 1 to 1024".into()))?;
        let name = picker.pick(NAME, arguments.name.clone(), config.name, Some(host))?.unwrap_or_default();
        let most = if arguments.once { Some(1) } else { arguments.max_steps };
        let max_steps = picker.number(MAX_STEPS, most, config.max_steps, None)?;
        let idle_exit = picker.duration(IDLE_EXIT, arguments.idle_exit.clone(), config.idle_exit)?;
        let drain_timeout =
            picker.duration(DRAIN_TIMEOUT, arguments.drain_timeout.clone(), config.drain_timeout)?;
        let step_user = picker.pick(STEP_USER, arguments.step_user.clone(), config.step_user, None)?;
        let listen = picker.address(LISTEN, arguments.listen.clone(), config.listen)?;
        let labels = picker.labels(&arguments.labels, config.labels)?;
        if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
            return Err(value("name", "expected 1 to 128 bytes without control characters".into()));
        }
        let shown = picker.shown;
        Ok(Self {
            step,
            pool,
            slots,
            name,
            labels,
            max_steps,
            idle_exit,
            drain_timeout,
            step_user,
            listen,
            shown,
        })
    }
}

impl Picker<'_> {
    fn labels(
        &mut self,
        typed: &[(String, String)],
        config: Option<BTreeMap<String, String>>,
    ) -> Result<BTreeMap<String, String>, SettingsError> {
        let (key, flag, variable) = LABELS;
        let wrong = || value(variable, "expected NAME=VALUE,NAME=VALUE".into());
        let split = |text: &str| label(text).map_err(|_| wrong());
        let given = self.variable(variable)?;
        let (labels, source) = match (typed.is_empty(), given, config) {
            (false, ..) => (typed.iter().cloned().collect(), Source::Flag(flag)),
            (true, Some(text), _) => {
                (text.split(',').map(split).collect::<Result<_, _>>()?, Source::Variable(variable))
            }
            (true, None, Some(labels)) => (labels, Source::Config),
            (true, None, None) => return Ok(BTreeMap::new()),
        };
        self.shown.0.push((key, String::new(), source));
        Ok(labels)
    }
}

#[cfg(test)]
mod tests {
    use super::WorkerSettings;
    use crate::cli::{Arguments, Command};
    use crate::settings::{Environment, SettingsError};
    use clap::Parser;
    use std::time::Duration;

    fn resolve(flags: &[&str], variables: &[(&str, &str)]) -> Result<WorkerSettings, SettingsError> {
        let typed = ["kubestep", "worker"].into_iter().chain(flags.iter().copied());
        let Command::Worker(arguments) = Arguments::parse_from(typed).command else {
            unreachable!("a worker")
        };
        let environment: Environment =
            variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        WorkerSettings::resolve(&arguments, &environment, "host-7")
    }

    #[test]
    fn a_flag_beats_the_environment_beats_the_config_beats_the_default() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.toml");
        let text = "queue = 'sqlite:/config'\n[worker]\nslots = 3\npool = 'config'\nname = 'config'\n\
            idleExit = '1m'\nlabels = {zone = 'eu'}\n";
        std::fs::write(&path, text).expect("written");
        let path = path.display().to_string();
        let variables =
            [("KUBESTEP_CONFIG", path.as_str()), ("KUBESTEP_SLOTS", "4"), ("KUBESTEP_POOL", "variable")];
        let found = resolve(&["--slots", "5"], &variables).expect("valid");
        assert_eq!((found.slots, found.pool.as_str(), found.name.as_str()), (5, "variable", "config"));
        assert_eq!((found.idle_exit, found.drain_timeout), (Some(Duration::from_secs(60)), None));
        assert_eq!(found.labels["zone"], "eu");
        let told = found.config("sqlite:/config");
        for line in [
            "queue = \"sqlite:/config\"\n",
            "slots = 5  # --slots\n",
            "pool = \"variable\"  # KUBESTEP_POOL\n",
            "name = \"config\"  # the config\n",
            "labels = {\"zone\" = \"eu\"}  # the config\n",
        ] {
            assert!(told.contains(line), "{told}");
        }
        // What is printed means the same.
        let again = folder.path().join("again.toml");
        std::fs::write(&again, &told).expect("written");
        let again = again.display().to_string();
        let found = resolve(&["--config", &again], &[]).expect("valid");
        assert_eq!((found.slots, found.pool.as_str(), found.labels["zone"].as_str()), (5, "variable", "eu"));

        let found = resolve(&[], &[("KUBESTEP_LABELS", "a=1,b=2")]).expect("valid");
        assert_eq!((found.slots, found.pool.as_str(), found.name.as_str()), (1, "default", "host-7"));
        assert_eq!(
            found.labels.into_iter().collect::<Vec<_>>(),
            [("a".into(), "1".into()), ("b".into(), "2".into())]
        );
        assert_eq!(resolve(&["--once"], &[]).expect("valid").max_steps, Some(1));
        let found = resolve(&[], &[("KUBESTEP_LISTEN", "[::1]:9464")]).expect("valid");
        assert_eq!(found.listen, Some(([0, 0, 0, 0, 0, 0, 0, 1], 9464).into()));
        assert!(found.config("").contains("listen = \"[::1]:9464\"  # KUBESTEP_LISTEN\n"));
    }

    #[test]
    fn what_cannot_be_meant_is_told_by_its_name() {
        for (flags, variables, told) in [
            (
                &["--idle-exit", "soon"][..],
                &[][..],
                "idleExit: expected a duration such as 500ms, 30s, 5m, 2h or 1h30m",
            ),
            (&[], &[("KUBESTEP_SLOTS", "0")], "slots: expected a whole number of at least 1"),
            (&[], &[("KUBESTEP_SLOTS", "2000")], "slots: expected a number from 1 to 1024"),
            (&["--listen", "9464"], &[], "listen: expected an address such as 127.0.0.1:9464 or [::]:9464"),
            (&[], &[("KUBESTEP_LABELS", "zone")], "KUBESTEP_LABELS: expected NAME=VALUE,NAME=VALUE"),
            (&["--name", "a\nb"], &[], "name: expected 1 to 128 bytes without control characters"),
        ] {
            assert_eq!(resolve(flags, variables).expect_err("wrong").to_string(), told);
        }
    }
}
