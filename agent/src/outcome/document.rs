//! The result document (payload.md 5): what machines read. No field ever holds a secret or a log line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Reason;
use crate::plan::Warning;

/// The document; its field names are the contract's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepResult {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
    pub(super) metadata: Metadata,
    pub(super) reason: Reason,
    pub(super) exit_code: u8,
    pub(super) script: Option<ScriptEnd>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
    pub(super) started_at: String,
    pub(super) finished_at: String,
    pub(super) agent: Agent,
    pub(super) target: Option<TargetSummary>,
    pub(super) tools: Vec<ToolSummary>,
    pub(super) phases: Vec<Phase>,
    pub(super) log: LogSummary,
    pub(super) warnings: Vec<Warning>,
}

/// `name` is `null` where the payload could not be read.
#[derive(Clone, Default, Serialize)]
pub(super) struct Metadata {
    pub(super) name: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScriptEnd {
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<i32>,
}

#[derive(Serialize)]
pub(super) struct Agent {
    pub(super) version: &'static str,
}

#[derive(Clone, Serialize)]
pub(super) struct TargetSummary {
    pub(super) server: String,
    pub(super) namespace: String,
    pub(super) auth: &'static str,
}

#[derive(Clone, Serialize)]
pub(super) struct ToolSummary {
    pub(super) name: &'static str,
    pub(super) path: PathBuf,
    pub(super) version: Option<String>,
}

#[derive(Clone, Serialize)]
pub(super) struct Phase {
    pub(super) name: &'static str,
    pub(super) milliseconds: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogSummary {
    pub(super) stdout_bytes: u64,
    pub(super) stderr_bytes: u64,
    pub(super) masked: u64,
    pub(super) dropped: u64,
}

impl StepResult {
    /// Writes the document as one file, complete or not at all, 0600.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".kubestep-result-").tempfile_in(folder)?;
        std::io::Write::write_all(&mut file, &text)?;
        file.persist(path)?;
        Ok(())
    }
}
