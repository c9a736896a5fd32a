//! The result document (payload.md 5): what machines read. No field ever holds a secret or a log line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::Reason;
use crate::plan::Warning;
use crate::supervise::Method;

/// How a step ended. No field ever holds a secret or a log line.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepResult {
    /// The version of this contract.
    pub(super) api_version: ApiVersion,
    /// What this document is.
    pub(super) kind: Kind,
    /// Which step it was.
    pub(super) metadata: Metadata,
    /// Why it ended; it decides where an exit code has two meanings.
    pub(super) reason: Reason,
    /// What `kubestep run` exited with.
    pub(super) exit_code: u8,
    /// How the script ended; null where it did not run.
    pub(super) script: Option<ScriptEnd>,
    /// What happened, for people.
    pub(super) message: String,
    /// What to do about it.
    pub(super) hint: Option<String>,
    /// RFC 3339, UTC, with milliseconds.
    pub(super) started_at: String,
    /// RFC 3339, UTC, with milliseconds.
    pub(super) finished_at: String,
    /// Who ran it.
    pub(super) agent: Agent,
    /// Where it ran; null where the payload could not be read.
    pub(super) target: Option<TargetSummary>,
    /// The tools that the script found first on its PATH.
    pub(super) tools: Vec<ToolSummary>,
    /// How long each part took, in order.
    pub(super) phases: Vec<Phase>,
    /// What went through the log.
    pub(super) log: LogSummary,
    /// What was seen of the script's processes; null where it did not run.
    pub(super) tree: Option<TreeSummary>,
    /// What the user may have to act upon.
    pub(super) warnings: Vec<Warning>,
}

#[derive(JsonSchema, Serialize)]
pub(super) enum ApiVersion {
    #[serde(rename = "kubestep/v1")]
    V1,
}

#[derive(JsonSchema, Serialize)]
pub(super) enum Kind {
    StepResult,
}

#[derive(Clone, Default, JsonSchema, Serialize)]
pub(super) struct Metadata {
    /// Null where the payload could not be read.
    pub(super) name: Option<String>,
    /// The payload's own.
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScriptEnd {
    /// Null where a signal ended it.
    pub(super) exit_code: Option<i32>,
    /// The signal's number.
    pub(super) signal: Option<i32>,
}

#[derive(JsonSchema, Serialize)]
pub(super) struct Agent {
    /// kubestep's.
    pub(super) version: &'static str,
}

#[derive(Clone, JsonSchema, Serialize)]
pub(super) struct TargetSummary {
    /// The cluster's URL; null where nobody could tell.
    pub(super) server: Option<String>,
    /// The namespace.
    pub(super) namespace: String,
    /// The account's method, as the payload names it.
    pub(super) auth: &'static str,
    /// The program that logs in before the script; left out where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) plugin: Option<&'static str>,
}

#[derive(Clone, JsonSchema, Serialize)]
pub(super) struct ToolSummary {
    /// Such as kubectl.
    pub(super) name: &'static str,
    /// Absolute.
    pub(super) path: PathBuf,
    /// Null where it was not asked, or did not say.
    pub(super) version: Option<String>,
}

/// A part of the line that a step follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PhaseName {
    /// The payload is read, tools are found, decisions are made.
    Plan,
    /// The supervisor starts and makes the workspace.
    Workspace,
    /// Somebody logs in with the account, where that is to be done.
    Credential,
    /// The namespace is looked at, and made where it is missing.
    Namespace,
    /// The script runs.
    Script,
    /// What the script wrote last is handed over.
    Log,
}

impl PhaseName {
    /// Its name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Workspace => "workspace",
            Self::Credential => "credential",
            Self::Namespace => "namespace",
            Self::Script => "script",
            Self::Log => "log",
        }
    }
}

#[derive(Clone, JsonSchema, Serialize)]
pub(super) struct Phase {
    /// Which.
    pub(super) name: PhaseName,
    /// To a tenth.
    pub(super) milliseconds: f64,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogSummary {
    /// Written to stdout.
    pub(super) stdout_bytes: u64,
    /// Written to stderr, the agent's own lines left out.
    pub(super) stderr_bytes: u64,
    /// Masks that stand in both.
    pub(super) masked: u64,
    /// Bytes that nobody read, or that came after `limits.output`.
    pub(super) dropped: u64,
}

#[derive(Clone, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TreeSummary {
    /// What held the processes together; null where the supervisor did not live to say it.
    pub(super) method: Option<Method>,
    /// The first of those that lived on when the script ended; they were ended then.
    pub(super) leftovers: Vec<ProcessSummary>,
    /// All of those.
    pub(super) leftover_count: usize,
    /// The first of those that outlived KILL.
    pub(super) survivors: Vec<ProcessSummary>,
}

#[derive(Clone, JsonSchema, Serialize)]
pub(super) struct ProcessSummary {
    /// Its number.
    pub(super) pid: i32,
    /// What the kernel calls it, masked; never its arguments.
    pub(super) name: String,
}

impl StepResult {
    /// The JSON Schema of a result.
    #[must_use]
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Self)
    }

    /// Proves that [`Self::write`] can write there; nothing is left of the proof.
    ///
    /// # Errors
    /// What the operating system says, and anything there that is no regular file: the result would replace it.
    pub fn prove_writable(path: &Path) -> std::io::Result<()> {
        if std::fs::symlink_metadata(path).is_ok_and(|there| !there.is_file() && !there.is_symlink()) {
            return Err(std::io::Error::other("it is there already and is no regular file"));
        }
        beside(path).map(drop)
    }

    /// Writes the document as one file, complete or not at all, 0600.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        let mut file = beside(path)?;
        std::io::Write::write_all(&mut file, &text)?;
        file.persist(path)?;
        Ok(())
    }
}

/// A file in the same folder, 0600, which takes the other's place or goes.
fn beside(path: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new().prefix(".kubestep-result-").tempfile_in(folder)
}
