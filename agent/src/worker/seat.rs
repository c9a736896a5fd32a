//! What a slot has of its own: with a step user its folders, which nobody else can read, and the surroundings that its
//! steps get.
//!
//! ```text
//! STATE/          the worker's; 0711, so that a step user can reach its own folder and list nothing
//! STATE/users/UID 0700, the step user's: state (what was learned of tools), tmp, home (made anew for each step)
//! ```

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use super::job::Job;
use super::users::StepUser;
use crate::settings::{Environment, Settings};

/// What the steps of a worker have in common; HUP may replace it.
#[derive(Clone)]
pub struct Template {
    /// The operator's word.
    pub settings: Settings,
    /// The worker's environment.
    pub environment: Environment,
}

/// A slot's own place.
#[derive(Clone, Debug)]
pub struct Seat {
    own: Option<(StepUser, PathBuf)>,
}

/// Why a step user cannot have its folders.
#[derive(Debug, thiserror::Error)]
pub enum SeatError {
    /// Without a state folder there is nowhere to make them.
    #[error("step users need a state folder for what is theirs: --state-dir")]
    NoState,
    /// The operating system refused.
    #[error("the step user's folder {path} cannot be made")]
    Make {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A folder above is closed.
    #[error("{path} is closed to other users, so no step user can reach its own folder in it: chmod o+x it")]
    Closed {
        /// Which.
        path: PathBuf,
    },
}

impl Seat {
    /// A place among the worker's own.
    #[must_use]
    pub fn shared() -> Self {
        Self { own: None }
    }

    /// Makes the place of a step user in the worker's state folder.
    ///
    /// # Errors
    /// [`SeatError`].
    pub fn of(user: StepUser, state: Option<&Path>) -> Result<Self, SeatError> {
        let state = std::path::absolute(state.ok_or(SeatError::NoState)?);
        let state = state.map_err(|source| SeatError::Make { path: PathBuf::new(), source })?;
        let users = state.join("users");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| SeatError::Make { path, source }
        };
        for folder in [&state, &users] {
            made(folder, 0o711).map_err(failed(folder))?;
        }
        let folder = users.join(user.uid.to_string());
        made(&folder, 0o700).map_err(failed(&folder))?;
        lchown(&folder, Some(user.uid), Some(user.gid)).map_err(failed(&folder))?;
        for name in ["state", "tmp"] {
            let inner = folder.join(name);
            given(&inner, &user).map_err(failed(&inner))?;
        }
        let closed =
            state.ancestors().find(|above| fs::metadata(above).is_ok_and(|there| there.mode() & 1 == 0));
        match closed {
            Some(path) => Err(SeatError::Closed { path: path.to_owned() }),
            None => Ok(Self { own: Some((user, folder)) }),
        }
    }

    /// Whom its steps run as.
    #[must_use]
    pub fn user(&self) -> Option<&StepUser> {
        self.own.as_ref().map(|(user, _)| user)
    }

    /// Where the workspaces of its steps may be.
    pub(super) fn roots(&self, template: &Template) -> Vec<PathBuf> {
        self.settings(template).private_roots
    }

    /// What the process of its next step is told.
    ///
    /// # Errors
    /// Where the step user's home cannot be made anew.
    pub(super) fn job(&self, template: &Template) -> io::Result<Vec<u8>> {
        let mut job = Job::new(self.settings(template), &template.environment);
        if let Some((user, folder)) = &self.own {
            let home = folder.join("home");
            match fs::remove_dir_all(&home) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => given(&home, user)?,
            }
            job.set("HOME", Some(home.into()));
            job.set("USER", Some(user.name.clone().into()));
            job.set("LOGNAME", Some(user.name.clone().into()));
            for name in
                ["XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"]
            {
                job.set(name, None);
            }
        }
        Ok(serde_json::to_vec(&job)?)
    }

    fn settings(&self, template: &Template) -> Settings {
        let mut settings = template.settings.clone();
        let Some((_, folder)) = &self.own else { return settings };
        let temporary = folder.join("tmp");
        settings.state_dir = Some(folder.join("state"));
        settings.private_roots.retain(|root| is_open(root));
        settings.private_roots.push(temporary.clone());
        if !is_open(&settings.work_root) {
            settings.work_root = temporary;
        }
        settings
    }
}

/// A folder in which everybody may make what nobody else can remove.
fn is_open(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|there| there.is_dir() && there.mode() & 0o1007 == 0o1007)
}

/// A folder with this mode; one that is there gets it.
fn made(folder: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(folder)?;
    let there = fs::symlink_metadata(folder)?;
    if !there.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    fs::set_permissions(folder, Permissions::from_mode(mode))
}

/// A folder that is the step user's.
fn given(folder: &Path, user: &StepUser) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        // Whatever it is, the user who owns the folder around it has made it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    lchown(folder, Some(user.uid), Some(user.gid))
}
