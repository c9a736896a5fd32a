//! Logs in with a cloud's account, before the script, and keeps the credential fresh while the script runs.
//!
//! One call of the right plugin, supervised, with a time limit and an environment of its own; its answer is judged,
//! its secrets are masked before anything of it is written or said. The order is always: `Masker::add`, file, word.
//!
//! `plugin` calls, `web` asks a cloud's own services, `answer` judges, `translation` knows their troubles, `renewal`
//! knows when; `eks` and `session` know AWS, `aks` and `entra` Azure, `gke` Google.

mod aks;
mod answer;
mod eks;
mod entra;
mod gke;
mod plugin;
mod renewal;
mod session;
pub mod translation;
mod web;

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::mask::Masker;
use crate::payload::Auth;
use crate::plan::{Access, Cloud, Credential, Login, Plan};
use crate::secret::Secret;
use crate::workspace::{Workspace, WorkspaceError};

use aks::AksAccount;
use answer::Proof;
use eks::EksAccount;
use gke::GkeAccount;
use plugin::{Caller, Heard};
use renewal::Life;

/// The file of a renewed token.
const TOKEN: &str = "token";

/// The files of a renewed certificate.
const CERTIFICATE: [&str; 2] = ["client.crt", "client.key"];

/// How long the renewal sleeps without a look at the clock, which may be set, or have stood still with the machine.
const LOOK: Duration = Duration::from_secs(60);

/// Why nobody is logged in.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{message}")]
pub struct CredentialError {
    /// Who could not do what, and why, with the tool's own words, masked.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Why the credential phase failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The login itself.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The workspace cannot take what came of it.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
}

/// Something to tell while the script runs.
pub enum News {
    /// What a plugin said beside its answer, masked, line by line.
    Heard(Vec<String>),
    /// A renewal failed; the credential of now ends then.
    Failed {
        /// Why.
        error: CredentialError,
        /// When the credential of now ends.
        until: Timestamp,
        /// How many renewals have failed in a row.
        failures: u32,
    },
}

/// What a login brought.
#[derive(Default)]
struct Grant {
    /// `None` where kubectl gets it itself.
    proof: Option<Proof>,
    /// When it was obtained and when it ends; `None` where nothing has to be renewed.
    life: Option<Life>,
    /// Further secrets.
    secrets: Vec<Secret>,
    /// Further files in the private folder.
    files: Vec<(&'static str, Vec<u8>)>,
    heard: Vec<Heard>,
}

/// Where a cluster was found.
struct Place {
    server: String,
    /// `None` where the system's roots are to be believed.
    certificate_authority: Option<String>,
}

/// A cloud's account, which logs in again and again.
enum Account<'a> {
    Eks(EksAccount<'a>),
    Aks(AksAccount<'a>),
    Gke(GkeAccount<'a>),
}

/// Whoever is logged in, and keeps it so.
pub struct Keeper<'a> {
    account: Option<Account<'a>>,
    plan: &'a Plan,
    workspace: &'a Workspace,
    /// This program, to be started as the supervisor.
    program: &'a Path,
    masker: Masker,
    life: Option<Life>,
}

impl<'a> Keeper<'a> {
    /// A keeper of the plan's account; nothing is done yet.
    #[must_use]
    pub fn new(plan: &'a Plan, workspace: &'a Workspace, program: &'a Path, masker: Masker) -> Self {
        let account = match (&plan.step.target.auth, plan.login.cloud()) {
            (Auth::Eks(eks), Some(Cloud::Eks(login))) => {
                Some(Account::Eks(EksAccount::new(eks, login, plan, workspace)))
            }
            (Auth::Aks(aks), Some(Cloud::Aks(login))) => {
                Some(Account::Aks(AksAccount::new(aks, login, plan, workspace)))
            }
            (Auth::Gke(gke), Some(Cloud::Gke(login))) => {
                Some(Account::Gke(GkeAccount::new(gke, login, plan, workspace)))
            }
            _ => None,
        };
        Self { account, plan, workspace, program, masker, life: None }
    }

    /// Logs in, where that is to be done. Dropped half-way, it ends whatever runs for it. The lines are what plugins
    /// said, masked.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn log_in(&mut self) -> Result<(Access, Vec<String>), LoginError> {
        let target = &self.plan.step.target;
        let caller = self.caller();
        let Some(account) = &mut self.account else {
            let access = Access::without_login(self.plan).ok_or_else(|| CredentialError {
                message: "nobody knows where the cluster is".into(),
                hint: Some("set target.server".into()),
            });
            return Ok((access?, Vec::new()));
        };
        for (name, content) in account.files() {
            self.workspace.replace(name, content.as_bytes())?;
        }
        let grant = account.obtain(&caller).await?;
        let place = match &target.server {
            Some(_) => None,
            None => Some(account.find(&caller).await?),
        };
        let (credential, heard) = self.take(grant)?;
        let mut target = target.clone();
        if let Some(Place { server, certificate_authority }) = place {
            target.server = Some(server);
            if !target.insecure_skip_tls_verify {
                target.certificate_authority = target.certificate_authority.or(certificate_authority);
            }
        }
        let access = Access::of_target(&target, credential).ok_or_else(|| CredentialError {
            message: "nobody knows where the cluster is".into(),
            hint: Some("set target.server".into()),
        });
        Ok((access?, heard))
    }

    /// Renews for as long as this is waited for, and tells what comes of it. To be raced against the script.
    pub async fn keep(&mut self, mut tell: impl FnMut(News)) -> Infallible {
        let mut failures = 0;
        let Some(mut due) = self.life.map(Life::due) else { return std::future::pending().await };
        loop {
            sleep_until(due).await;
            let caller = self.caller();
            let Some(account) = &mut self.account else { return std::future::pending().await };
            let renewed = match account.obtain(&caller).await {
                Ok(grant) => self.take(grant).map_err(|error| CredentialError {
                    message: crate::causes::with_causes(&error),
                    hint: None,
                }),
                Err(error) => Err(error),
            };
            match renewed {
                Ok((_, heard)) => {
                    failures = 0;
                    tell(News::Heard(heard));
                    let Some(life) = self.life else { return std::future::pending().await };
                    due = life.due();
                }
                Err(error) => {
                    failures += 1;
                    let until = self.life.map_or(Timestamp::MAX, |life| life.until);
                    tell(News::Failed { error, until, failures });
                    due = renewal::again(Timestamp::now(), failures, chance());
                }
            }
        }
    }

    fn caller(&self) -> Caller<'a> {
        let deadline = Instant::now() + self.plan.step.limits.login;
        Caller { supervisor: self.program, masker: self.masker.clone(), deadline }
    }

    /// Masks what came, writes it, and only then gives what may be said of it.
    fn take(&mut self, grant: Grant) -> Result<(Credential, Vec<String>), WorkspaceError> {
        let mut secrets = grant.secrets;
        match &grant.proof {
            Some(Proof::Token(token)) => {
                secrets.extend(answer::presigned(token.expose()));
                secrets.push(token.clone());
            }
            Some(Proof::Certificate { private_key, .. }) => secrets.push(private_key.clone()),
            None => {}
        }
        if !secrets.is_empty() {
            // None of them was given by somebody who could be told that it is short.
            drop(self.masker.add(&secrets));
        }
        for (name, content) in &grant.files {
            self.workspace.replace(name, content)?;
        }
        let credential = match grant.proof {
            Some(Proof::Token(token)) => {
                let file = self.workspace.replace(TOKEN, token.expose().as_bytes())?;
                Credential::Token { file, token }
            }
            Some(Proof::Certificate { certificate, private_key }) => {
                // A client that reads between the two finds a pair that does not fit, and reads again.
                let key_file = self.workspace.replace(CERTIFICATE[1], private_key.expose().as_bytes())?;
                let certificate_file = self.workspace.replace(CERTIFICATE[0], certificate.as_bytes())?;
                Credential::Certificate { certificate_file, key_file, certificate, private_key }
            }
            None => match &self.plan.login {
                Login::Exec { plugin, .. } => {
                    Credential::Plugin(plugin.exec(&self.workspace.folders().private))
                }
                Login::Given | Login::Broker(_) => Credential::Given,
            },
        };
        self.life = grant.life;
        let heard = grant.heard.iter().flat_map(|heard| heard.lines(&self.masker)).collect();
        Ok((credential, heard))
    }
}

impl Account<'_> {
    fn files(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Eks(account) => account.files(),
            Self::Aks(account) => account.files(),
            Self::Gke(account) => account.files(),
        }
    }

    async fn obtain(&mut self, caller: &Caller<'_>) -> Result<Grant, CredentialError> {
        match self {
            Self::Eks(account) => account.obtain(caller).await,
            Self::Aks(account) => account.obtain(caller).await,
            Self::Gke(account) => account.obtain(caller).await,
        }
    }

    async fn find(&mut self, caller: &Caller<'_>) -> Result<Place, CredentialError> {
        match self {
            Self::Eks(account) => account.find(caller).await,
            Self::Aks(account) => account.find(),
            Self::Gke(account) => account.find(caller).await,
        }
    }
}

/// Waits until the clock shows that time. Cancel-safe.
async fn sleep_until(due: Timestamp) {
    loop {
        let left = due.duration_since(Timestamp::now());
        match Duration::try_from(left) {
            Ok(left) if !left.is_zero() => tokio::time::sleep(left.min(LOOK)).await,
            _ => return,
        }
    }
}

/// Between 0 and 1, another one each time: so that a thousand workers do not ask at one moment.
fn chance() -> f64 {
    let random = RandomState::new().hash_one(0_u8);
    f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

/// Whether a provider's answer names a server that a credential may be sent to.
fn is_server(text: &str) -> bool {
    text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"@?#\\\"<>".contains(&byte))
}
