//! What the operator means: flags beat `KUBESTEP_*` variables beat the config file. The only reader of the
//! process's environment.

mod typed;
pub mod worker;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cli::{LogFormat, TreeMethod};
use crate::limits::{parse_duration, parse_size};

pub use typed::Typed;

/// The process's environment, read once.
pub type Environment = BTreeMap<OsString, OsString>;

/// Checked settings of `kubestep run`. A worker tells them to the process of each step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// What stands in place of a secret.
    pub mask: String,
    /// How the agent's own lines look.
    pub log_format: LogFormat,
    /// Whether a terminal may be written to in colours.
    pub colour: bool,
    /// Folder of caches; `None` where there is no home for it.
    pub state_dir: Option<PathBuf>,
    /// The queue's URL, as the environment or the config gives it.
    pub queue: Option<String>,
    /// Where a pod finds its own account.
    pub service_account_dir: PathBuf,
    /// What remote payloads may name.
    pub remote: Remote,
    /// The largest limits of remote payloads.
    pub max_timeout: Option<Duration>,
    /// The largest grace of remote payloads.
    pub max_grace: Option<Duration>,
    /// The longest login of remote payloads.
    pub max_login: Option<Duration>,
    /// The largest output of remote payloads, in bytes.
    pub max_output: Option<u64>,
    /// How a script's processes are held together.
    pub tree: TreeMethod,
    /// Folders for what is secret; the last is on a disk.
    pub private_roots: Vec<PathBuf>,
    /// Folder for what is not.
    pub work_root: PathBuf,
    /// This program.
    pub program: PathBuf,
}

/// What remote payloads may name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Remote {
    /// Names or globs of variables.
    pub environment: Vec<String>,
    /// Folders.
    pub files: Vec<PathBuf>,
    /// Folders.
    pub tools: Vec<PathBuf>,
    /// Servers.
    pub in_cluster: Vec<String>,
    /// Servers.
    pub eks_worker: Vec<String>,
    /// Servers.
    pub aks_managed_identity: Vec<String>,
    /// Applications of Entra.
    pub aks_server_id: Vec<String>,
    /// Servers.
    pub gke_vm_service_account: Vec<String>,
}

/// A fault in flags, environment or config.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The config cannot be read.
    #[error("the config {path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The config is no TOML, or holds unknown keys.
    #[error("the config {path} is wrong: {message}")]
    Config {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected.
        message: String,
    },
    /// A value is not one of its kind.
    #[error("{name}: {expected}")]
    Value {
        /// A config key or variable.
        name: &'static str,
        /// What was expected.
        expected: String,
    },
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Config {
    state_dir: Option<PathBuf>,
    queue: Option<String>,
    mask: Option<String>,
    log_format: Option<LogFormat>,
    service_account_dir: Option<PathBuf>,
    tree: Option<TreeMethod>,
    remote: Remote,
    maxima: Maxima,
    worker: worker::WorkerConfig,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Maxima {
    timeout: Option<String>,
    grace: Option<String>,
    login: Option<String>,
    output: Option<String>,
}

/// The process's own environment.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn environment() -> Environment {
    std::env::vars_os().collect()
}

impl Settings {
    /// Resolves flags, environment and config.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn resolve<'a>(
        typed: impl Into<Typed<'a>>,
        given_format: Option<LogFormat>,
        environment: &Environment,
    ) -> Result<Self, SettingsError> {
        Self::with_config(typed.into(), given_format, environment).map(|(settings, _)| settings)
    }

    /// Gives what the config says to a worker, too.
    fn with_config(
        typed: Typed<'_>,
        given_format: Option<LogFormat>,
        environment: &Environment,
    ) -> Result<(Self, worker::WorkerConfig), SettingsError> {
        let value = |name: &str| environment.get(OsStr::new(name)).filter(|value| !value.is_empty());
        let path = |name: &str| value(name).map(PathBuf::from);
        let absolute = |name: &str| path(name).filter(|path| path.is_absolute());
        let config = typed.config.cloned().or_else(|| path("KUBESTEP_CONFIG"));
        let config = config.as_deref().map_or(Ok(Config::default()), read_config)?;
        let log_format = value("KUBESTEP_LOG_FORMAT").map(|text| log_format(text)).transpose()?;
        let mask = typed.mask.cloned().or(text(value("KUBESTEP_MASK"), "KUBESTEP_MASK")?).or(config.mask);
        let (private_roots, temporary) = roots(environment);
        let given_state =
            typed.state_dir.cloned().or_else(|| path("KUBESTEP_STATE_DIR")).or(config.state_dir);
        let settings = Self {
            mask: checked_mask(mask)?,
            log_format: given_format.or(log_format).or(config.log_format).unwrap_or(LogFormat::Text),
            colour: value("NO_COLOR").is_none() && value("TERM").is_some_and(|term| term != "dumb"),
            state_dir: given_state.or_else(|| state_dir(&absolute)),
            queue: text(value("KUBESTEP_QUEUE"), "KUBESTEP_QUEUE")?.or(config.queue),
            service_account_dir: config
                .service_account_dir
                .unwrap_or_else(|| PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount")),
            remote: config.remote,
            max_timeout: duration("maxima.timeout", config.maxima.timeout.as_deref())?,
            max_grace: duration("maxima.grace", config.maxima.grace.as_deref())?,
            max_login: duration("maxima.login", config.maxima.login.as_deref())?,
            max_output: size("maxima.output", config.maxima.output.as_deref())?,
            tree: value("KUBESTEP_TREE")
                .map(|text| tree(text))
                .transpose()?
                .or(config.tree)
                .unwrap_or_default(),
            private_roots,
            work_root: temporary,
            program: PathBuf::from("/proc/self/exe"),
        };
        Ok((settings, config.worker))
    }
}

/// Where workspaces are: folders for what is secret, the last of them on a disk, and the folder for what is not.
#[must_use]
pub fn roots(environment: &Environment) -> (Vec<PathBuf>, PathBuf) {
    let absolute =
        |name: &str| environment.get(OsStr::new(name)).map(PathBuf::from).filter(|path| path.is_absolute());
    let temporary = absolute("TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp"));
    let memory = absolute("XDG_RUNTIME_DIR").into_iter().chain([PathBuf::from("/dev/shm")]);
    (memory.chain([temporary.clone()]).collect(), temporary)
}

fn read_config(path: &Path) -> Result<Config, SettingsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
    toml::from_str(&text)
        .map_err(|error| SettingsError::Config { path: path.to_owned(), message: error.to_string() })
}

/// systemd's own folder, the system's for root, else the user's.
fn state_dir(absolute: &impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    if let Some(folder) = absolute("STATE_DIRECTORY") {
        return Some(folder);
    }
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/kubestep"));
    }
    let user = || absolute("HOME").map(|home| home.join(".local/state"));
    absolute("XDG_STATE_HOME").or_else(user).map(|state| state.join("kubestep"))
}

fn log_format(text: &OsStr) -> Result<LogFormat, SettingsError> {
    match text.to_str() {
        Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        _ => Err(SettingsError::Value {
            name: "KUBESTEP_LOG_FORMAT",
            expected: "expected text or json".into(),
        }),
    }
}

fn tree(text: &OsStr) -> Result<TreeMethod, SettingsError> {
    match text.to_str() {
        Some("auto") => Ok(TreeMethod::Auto),
        Some("cgroup") => Ok(TreeMethod::Cgroup),
        Some("sweep") => Ok(TreeMethod::Sweep),
        _ => Err(SettingsError::Value {
            name: "KUBESTEP_TREE",
            expected: "expected auto, cgroup or sweep".into(),
        }),
    }
}

fn text(value: Option<&OsString>, name: &'static str) -> Result<Option<String>, SettingsError> {
    let no_text = || SettingsError::Value { name, expected: "expected text".into() };
    value.map(|value| value.to_str().map(str::to_owned).ok_or_else(no_text)).transpose()
}

/// What stands in place of a secret. An empty mask would hide that something was hidden, and one with a newline
/// would cut lines.
///
/// # Errors
/// [`SettingsError::Value`].
pub fn checked_mask(mask: Option<String>) -> Result<String, SettingsError> {
    let mask = mask.unwrap_or_else(|| crate::limits::DEFAULT_MASK.to_owned());
    if mask.is_empty() || mask.contains(char::is_control) {
        let expected = "expected a text of at least one character and no control characters".to_owned();
        return Err(SettingsError::Value { name: "mask", expected });
    }
    Ok(mask)
}

fn duration(name: &'static str, text: Option<&str>) -> Result<Option<Duration>, SettingsError> {
    text.map(parse_duration)
        .transpose()
        .map_err(|error| SettingsError::Value { name, expected: error.to_string() })
}

fn size(name: &'static str, text: Option<&str>) -> Result<Option<u64>, SettingsError> {
    text.map(parse_size)
        .transpose()
        .map_err(|error| SettingsError::Value { name, expected: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::{Environment, Settings, SettingsError};
    use crate::cli::{Arguments, Command, LogFormat, TreeMethod};
    use clap::Parser;
    use std::path::PathBuf;

    fn resolve(flags: &[&str], environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let typed = ["kubestep", "run", "-"].into_iter().chain(flags.iter().copied());
        let Command::Run(arguments) = Arguments::parse_from(typed).command else { unreachable!("a run") };
        let environment: Environment =
            environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Settings::resolve(&arguments.step, arguments.log_format, &environment)
    }

    fn config(text: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).expect("written");
        (folder, path.display().to_string())
    }

    #[test]
    fn a_flag_beats_the_environment_beats_the_config() {
        let (_folder, path) = config("mask = 'config'\nlogFormat = 'json'");
        let mask =
            |flags: &[&str], environment: &[(&str, &str)]| resolve(flags, environment).expect("valid").mask;
        let variable = [("KUBESTEP_MASK", "environment")];
        assert_eq!(mask(&["--config", &path, "--mask", "flag"], &variable), "flag");
        assert_eq!(mask(&["--config", &path], &variable), "environment");
        assert_eq!(mask(&["--config", &path], &[]), "config");
        assert_eq!(mask(&[], &[("KUBESTEP_CONFIG", &path)]), "config");
        assert_eq!(mask(&[], &[]), "********");
        assert_eq!(resolve(&["--config", &path], &[]).expect("valid").log_format, LogFormat::Json);
    }

    #[test]
    fn an_unknown_key_of_the_config_is_told_with_its_place() {
        let (_folder, path) = config("[remote]\nenvironement = []\n");
        let error = resolve(&["--config", &path], &[]).expect_err("wrong").to_string();
        assert!(error.contains("line 2") && error.contains("`environement`"), "{error}");
    }

    #[test]
    fn maxima_are_durations() {
        let (_folder, path) = config("[maxima]\ntimeout = '2h'\ngrace = '5'\n");
        let error = resolve(&["--config", &path], &[]).expect_err("wrong").to_string();
        assert_eq!(error, "maxima.grace: expected a duration such as 500ms, 30s, 5m, 2h or 1h30m");
    }

    #[test]
    fn credentials_go_to_memory_first_and_to_tmpdir_last() {
        let settings =
            resolve(&[], &[("XDG_RUNTIME_DIR", "/run/user/7"), ("TMPDIR", "/data/tmp")]).expect("valid");
        let expected = ["/run/user/7", "/dev/shm", "/data/tmp"].map(PathBuf::from);
        assert_eq!(settings.private_roots, expected);
        assert_eq!(settings.work_root, PathBuf::from("/data/tmp"));
        let settings = resolve(&[], &[("TMPDIR", "relative")]).expect("valid");
        assert_eq!(settings.work_root, PathBuf::from("/tmp"));
    }

    #[test]
    fn the_tree_is_held_together_as_the_operator_says() {
        let (_folder, path) = config("tree = 'sweep'\n[maxima]\noutput = '1MiB'");
        let settings = resolve(&["--config", &path], &[]).expect("valid");
        assert_eq!((settings.tree, settings.max_output), (TreeMethod::Sweep, Some(1 << 20)));
        let settings = resolve(&["--config", &path], &[("KUBESTEP_TREE", "cgroup")]).expect("valid");
        assert_eq!(settings.tree, TreeMethod::Cgroup);
        assert_eq!(resolve(&[], &[]).expect("valid").tree, TreeMethod::Auto);
        let error = resolve(&[], &[("KUBESTEP_TREE", "group")]).expect_err("wrong").to_string();
        assert_eq!(error, "KUBESTEP_TREE: expected auto, cgroup or sweep");
    }

    #[test]
    fn an_empty_mask_is_refused() {
        assert!(resolve(&["--mask", ""], &[]).is_err());
        assert!(resolve(&["--mask", "a\nb"], &[]).is_err());
    }
}
