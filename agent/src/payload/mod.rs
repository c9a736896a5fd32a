//! The payload: one YAML or JSON document in, a checked [`Step`] or all of its [`Problems`] out.
//!
//! `document` turns text into placed nodes, `fields` walks them, `source` reads text sources, `trust` says what a
//! remote payload may name, `wire` turns fields into checked values; `certificate` judges PEM, `pfx` opens PKCS#12,
//! `url` judges URLs. `account` has the ways to log in: `user` is an imported kubeconfig's, `eks`, `aks`
//! and `gke` the clouds'; `handout` reads what a cloud hands out.
//! `queueing` is what a step says to its queue, `by_value` what is sent there.
//! What stands in a [`Step`] holds: every text source is read, every name is legal, a pair matches.
//! What the machine can do about it (tools, decisions) is left to `plan`.

mod account;
pub mod aks;
mod by_value;
mod certificate;
mod document;
pub mod eks;
mod fields;
pub mod gke;
mod handout;
mod pfx;
mod problem;
mod queueing;
pub mod schema;
mod source;
mod trust;
mod url;
mod user;
mod wire;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::limits::Limits;
use crate::secret::Secret;

pub use account::{Auth, WebToken};
pub use aks::Aks;
pub use by_value::ByValue;
pub use eks::Eks;
pub use gke::Gke;
pub use handout::{Handout, HandoutUser};
pub use problem::{Problem, Problems};
pub use queueing::{ConcurrencyKey, Queueing};
pub use user::{Exec, Impersonation, KeyPair, Login, TokenFile, User};
pub use wire::{is_inherited_by_default, load, load_by_value};

/// The largest payload that is read, in bytes.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The tools that a payload can name, in `requires` and `tools`.
pub const TOOL_NAMES: [&str; 10] = [
    "kubectl",
    "helm",
    "jq",
    "xargs",
    "base64",
    "bash",
    "aws",
    "aws-iam-authenticator",
    "kubelogin",
    "gke-gcloud-auth-plugin",
];

/// Who speaks through the payload (payload.md 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The caller of `kubestep run`: it may name its own files, variables and identities.
    Local,
    /// Somebody else, through a queue: it may name only what the operator's [`Policy`] allows.
    Remote,
    /// Somebody who puts it on a queue: it may name its own files and variables; what it names of the worker is judged
    /// there.
    Submitted,
}

/// What the operator allows to remote payloads, and the largest limits for all of them.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Names or globs for `fromEnv` and `inheritEnvironment`.
    pub environment: Vec<String>,
    /// Folders from which files may be read; compared after symlinks are resolved.
    pub files: Vec<PathBuf>,
    /// Folders in which `tools` may lie; compared after symlinks are resolved.
    pub tools: Vec<PathBuf>,
    /// Servers that the worker's own in-cluster identity may be sent to; empty: the identity is refused.
    pub in_cluster_servers: Vec<String>,
    /// Servers that the worker's own AWS identity may be sent to; empty: the identity is refused.
    pub eks_worker_servers: Vec<String>,
    /// Servers that the worker's own Azure identity may be sent to; empty: the identity is refused.
    pub aks_managed_identity_servers: Vec<String>,
    /// Applications of Entra that tokens may be made for, beside AKS' own.
    pub aks_server_ids: Vec<String>,
    /// Servers that the worker's own Google account may be sent to; empty: the account is refused.
    pub gke_vm_service_account_servers: Vec<String>,
    /// `limits.timeout` where the payload does not say; `None` is without end.
    pub default_timeout: Option<std::time::Duration>,
    /// The largest `limits.timeout`; `None` has no bound.
    pub max_timeout: Option<std::time::Duration>,
    /// The largest `limits.grace`; `None` has no bound.
    pub max_grace: Option<std::time::Duration>,
    /// The largest `limits.login`; `None` has no bound.
    pub max_login: Option<std::time::Duration>,
    /// The largest `limits.output`, in bytes; `None` has no bound.
    pub max_output: Option<u64>,
}

/// Everything outside the payload that its meaning depends on.
pub struct Surroundings {
    /// The agent's own environment.
    pub environment: BTreeMap<OsString, OsString>,
    /// Relative paths are read from here: the payload's folder, or the working directory with `-`.
    pub folder: PathBuf,
    /// Where a pod finds its own account: `token`, `ca.crt`, `namespace`.
    pub service_account_folder: PathBuf,
    /// The time by which certificates are judged.
    pub now: jiff::Timestamp,
    /// Who speaks.
    pub origin: Origin,
    /// What the operator allows.
    pub policy: Policy,
    /// Whether a queue does what the payload says to one.
    pub queued: bool,
}

/// A checked step.
#[derive(Clone, Debug)]
pub struct Step {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.labels`, echoed in the result.
    pub labels: BTreeMap<String, String>,
    /// The cluster, and how to log in to it.
    pub target: Target,
    /// What is run.
    pub script: Script,
    /// Files that are written into the working directory first, by relative name.
    pub files: BTreeMap<String, Text>,
    /// Variables of the payload's own, by name.
    pub environment: BTreeMap<String, Text>,
    /// Variables taken over from the agent (the default list and `inheritEnvironment`), by name.
    pub inherited: BTreeMap<String, Text>,
    /// Further values to mask.
    pub secrets: Vec<Secret>,
    /// Tools without which the step must not start; names of [`TOOL_NAMES`].
    pub requires: Vec<&'static str>,
    /// Tools at a path of the payload's choice.
    pub tools: BTreeMap<&'static str, PathBuf>,
    /// Who runs the plugin of a cloud's account.
    pub credentials: Credentials,
    /// Variables of the operator's that say where a login is sent, or are the worker's own account, by name.
    pub operator: BTreeMap<String, Text>,
    /// Whether the kubeconfig is shown before the script, its secrets replaced.
    pub output_kubeconfig: bool,
    /// Bounds on the script.
    pub limits: Limits,
    /// What it says to a queue.
    pub queueing: Queueing,
    /// Parts of other secrets that are masked by themselves: a proxy variable's userinfo, a key's base64.
    pub parts: Vec<Part>,
    /// The fields whose secret stands in the payload itself.
    pub in_clear: Vec<String>,
}

/// Who runs the plugin of a cloud's account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// The agent, before the script; it keeps the credential fresh.
    #[default]
    Broker,
    /// kubectl, at every call.
    Exec,
}

/// A part of a secret, or another writing of it.
#[derive(Clone, Debug)]
pub struct Part {
    /// The field that it came from.
    pub field: String,
    /// The part.
    pub secret: Secret,
}

impl Part {
    fn new(field: &str, text: &str) -> Self {
        Self { field: field.into(), secret: Secret::new(text.into()) }
    }
}

/// A text, and whether it is a secret.
#[derive(Clone, Debug)]
pub enum Text {
    /// May be shown.
    Plain(String),
    /// Is masked.
    Secret(Secret),
}

impl Text {
    /// The text itself. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }

    /// Its length in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.expose().len()
    }
}

/// A cluster, and the account to use there.
#[derive(Clone, Debug)]
pub struct Target {
    /// An https URL without userinfo, query and fragment; `None` where the account's provider is asked for it.
    pub server: Option<String>,
    /// PEM of one or more certificates.
    pub certificate_authority: Option<String>,
    /// Never together with a certificate authority.
    pub insecure_skip_tls_verify: bool,
    /// The name in SNI and in the certificate, where it is not the server's.
    pub tls_server_name: Option<String>,
    /// The proxy's whole URL.
    pub proxy: Option<Proxy>,
    /// A DNS label.
    pub namespace: String,
    /// What the namespace has to be before the script begins.
    pub namespace_policy: NamespacePolicy,
    /// The account.
    pub auth: Auth,
}

/// What is done about the namespace before the script begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamespacePolicy {
    /// It is made where it is not there, and only then.
    #[default]
    Create,
    /// It must be there.
    Require,
    /// Nobody is asked.
    Skip,
}

impl NamespacePolicy {
    /// Each with its word in the payload.
    pub const WORDS: [(&'static str, Self); 3] =
        [("create", Self::Create), ("require", Self::Require), ("skip", Self::Skip)];

    /// Its word in the payload.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Require => "require",
            Self::Skip => "skip",
        }
    }
}

/// A proxy URL; the userinfo in it and the decoded password are secrets of their own.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// The URL as kubectl is to use it.
    pub url: Secret,
    /// The userinfo as written (`user:pass`), and the password decoded; each only where there is one.
    pub leaves: Vec<Secret>,
}

/// What is run.
#[derive(Clone, Debug)]
pub struct Script {
    /// The script's text.
    pub body: Text,
    /// Its arguments; none holds a secret.
    pub arguments: Vec<String>,
    /// A folder of the caller's own, absolute; `None` is a fresh one.
    pub working_directory: Option<PathBuf>,
}

/// A secret and the payload's field that it stands in, for warnings.
pub struct NamedSecret<'a> {
    /// Such as `target.auth.token`.
    pub field: String,
    /// The value.
    pub secret: &'a Secret,
}

impl Step {
    /// Every secret of the step, with the field that it stands in.
    #[must_use]
    pub fn secrets(&self) -> Vec<NamedSecret<'_>> {
        let mut all = self.target.secrets();
        let texts = [
            ("files", &self.files),
            ("environment", &self.environment),
            ("inherited", &self.inherited),
            ("operator", &self.operator),
        ];
        for (place, texts) in texts {
            for (name, text) in texts {
                if let Text::Secret(secret) = text {
                    all.push(NamedSecret { field: format!("{place}.{name}"), secret });
                }
            }
        }
        if let Text::Secret(secret) = &self.script.body {
            all.push(NamedSecret { field: "script.body".into(), secret });
        }
        for (index, secret) in self.secrets.iter().enumerate() {
            all.push(NamedSecret { field: format!("secrets[{index}]"), secret });
        }
        all.extend(
            self.parts.iter().map(|part| NamedSecret { field: part.field.clone(), secret: &part.secret }),
        );
        all
    }
}

impl Target {
    fn secrets(&self) -> Vec<NamedSecret<'_>> {
        let mut all = Vec::new();
        let mut add =
            |field: &str, secret| all.push(NamedSecret { field: format!("target.{field}"), secret });
        for (name, secret) in self.auth.secrets() {
            add(&format!("auth.{name}"), secret);
        }
        for secret in self.proxy.iter().flat_map(|proxy| std::iter::once(&proxy.url).chain(&proxy.leaves)) {
            add("proxyUrl", secret);
        }
        all
    }
}
