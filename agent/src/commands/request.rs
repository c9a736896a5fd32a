//! What `run`, `explain` and a worker's steps have in common: from a payload to everything that it depends on.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::{PayloadOrigin, TreeMethod};
use crate::payload::{MAX_BYTES, Origin, Policy, Surroundings};
use crate::settings::{Environment, Settings};
use crate::step::Request;
use crate::supervise::Choice;
use crate::workspace::Roots;

/// How long a script of a queue's step may run where neither its payload nor the operator says (payload.md 1).
const QUEUED_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// The payload cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the payload {path} cannot be read")]
pub(super) struct RequestError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Reads the payload's text, and gathers what its meaning depends on.
pub(super) fn read(
    step: &Path,
    origin: Origin,
    settings: &Settings,
    environment: Environment,
) -> Result<Request, RequestError> {
    let from_stdin = step == Path::new("-");
    let unreadable = |source| RequestError { path: step.to_owned(), source };
    let text = if from_stdin { bounded(io::stdin().lock()) } else { File::open(step).and_then(bounded) };
    let here = std::path::absolute(if from_stdin { Path::new(".") } else { step });
    let here = here.map_err(unreadable)?;
    let folder = if from_stdin { here } else { here.parent().map_or(here.clone(), Path::to_owned) };
    let surroundings = Surroundings {
        environment,
        folder,
        service_account_folder: settings.service_account_dir.clone(),
        now: jiff::Timestamp::now(),
        origin,
        policy: policy(settings),
        queued: false,
    };
    Ok(request(text.map_err(unreadable)?, step.display().to_string(), surroundings, settings))
}

/// Whom a payload speaks for, as it was typed.
pub(super) fn origin(typed: PayloadOrigin) -> Origin {
    match typed {
        PayloadOrigin::Local => Origin::Local,
        PayloadOrigin::Remote => Origin::Remote,
    }
}

/// What a step of a worker's queue depends on. Nothing is read from the machine.
pub(super) fn queued(text: Vec<u8>, settings: &Settings, environment: Environment) -> Request {
    let policy = Policy { default_timeout: Some(QUEUED_TIMEOUT), ..policy(settings) };
    let surroundings = Surroundings {
        environment,
        folder: PathBuf::from("/"),
        service_account_folder: settings.service_account_dir.clone(),
        now: jiff::Timestamp::now(),
        origin: Origin::Remote,
        policy,
        queued: true,
    };
    request(text, "-".to_owned(), surroundings, settings)
}

/// What the operator allows.
fn policy(settings: &Settings) -> Policy {
    let remote = &settings.remote;
    Policy {
        environment: remote.environment.clone(),
        files: remote.files.clone(),
        tools: remote.tools.clone(),
        in_cluster_servers: remote.in_cluster.clone(),
        eks_worker_servers: remote.eks_worker.clone(),
        aks_managed_identity_servers: remote.aks_managed_identity.clone(),
        aks_server_ids: remote.aks_server_id.clone(),
        gke_vm_service_account_servers: remote.gke_vm_service_account.clone(),
        default_timeout: None,
        max_timeout: settings.max_timeout,
        max_grace: settings.max_grace,
        max_login: settings.max_login,
        max_output: settings.max_output,
    }
}

fn request(text: Vec<u8>, source: String, surroundings: Surroundings, settings: &Settings) -> Request {
    Request {
        text,
        source,
        surroundings,
        program: settings.program.clone(),
        roots: Roots { private: settings.private_roots.clone(), work: settings.work_root.clone() },
        tree: match settings.tree {
            TreeMethod::Auto => Choice::Auto,
            TreeMethod::Cgroup => Choice::Cgroup,
            TreeMethod::Sweep => Choice::Sweep,
        },
        state: settings.state_dir.clone(),
    }
}

/// One byte more than a payload may have: the payload's reader says that it is too large.
fn bounded(source: impl Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    source.take(MAX_BYTES as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}
