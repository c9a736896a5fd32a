//! A login to EKS: roles first, then the plugin, and where it is asked for, the cluster's own place.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::plugin::{Caller, EXEC_INFO, Printed, Task, environment, useless};
use super::renewal::Life;
use super::session::Session;
use super::translation::AWS;
use super::{CredentialError, Grant, Place, answer};
use crate::payload::eks::{AwsCredentials, Eks, Role};
use crate::payload::{Step, WebToken};
use crate::plan::eks::{
    BASE_PROFILE, CONFIG_FILE, EksLogin, EksTool, PROFILE, Session as Who, TOKEN_LIFE, arguments, ca_bundle,
    settings, worker_web_identity,
};
use crate::plan::{Login, Plan};
use crate::workspace::Workspace;

/// The session of now, as a `credential_process` prints it.
const SESSION_FILE: &str = "aws/session.json";

/// A web identity token that the payload gives.
const TOKEN_FILE: &str = "aws/web-identity-token";

/// What has to be left of a session when a token is made with it: the token's whole life and some time.
const SESSION_MARGIN: jiff::SignedDuration = jiff::SignedDuration::from_mins(16);

/// Somebody who logs in to EKS, again and again.
pub(super) struct EksAccount<'a> {
    eks: &'a Eks,
    login: &'a EksLogin,
    step: &'a Step,
    workspace: &'a Workspace,
    /// Whether the agent asks the plugin itself.
    is_brokered: bool,
    session: Option<Session>,
}

impl<'a> EksAccount<'a> {
    pub(super) fn new(eks: &'a Eks, login: &'a EksLogin, plan: &'a Plan, workspace: &'a Workspace) -> Self {
        let is_brokered = matches!(plan.login, Login::Broker(_));
        Self { eks, login, step: &plan.step, workspace, is_brokered, session: None }
    }

    /// The files that last as long as the step.
    pub(super) fn files(&self) -> Vec<(&'static str, String)> {
        let mut files = Vec::new();
        if let AwsCredentials::WebIdentity { token: WebToken::Given(token), .. } = &self.eks.credentials {
            files.push((TOKEN_FILE, token.expose().to_owned()));
        }
        match self.login.session {
            Who::None => {}
            Who::Sts => files.push((CONFIG_FILE, self.config_of_session())),
            Who::Plugin => files.extend(self.config_of_roles().map(|config| (CONFIG_FILE, config))),
        }
        files
    }

    /// Logs in.
    pub(super) async fn obtain(&mut self, caller: &Caller<'_>) -> Result<Grant, CredentialError> {
        let mut grant = Grant::default();
        if self.login.session == Who::Sts {
            self.refresh_session(caller, &mut grant).await?;
        }
        if self.is_brokered {
            let printed = caller.run(self.get_token()).await?;
            let now = Timestamp::now();
            let answer =
                answer::read(&printed.stdout, now).map_err(|fault| useless(&self.login.program, fault))?;
            grant.heard.push(printed.heard);
            let until = answer.until.or_else(|| now.checked_add(TOKEN_LIFE).ok());
            // The plugin knows nothing of the end of the session that it signs with.
            let session = self.session.as_ref().map(|session| session.life.until);
            let until = until.into_iter().chain(session).min().unwrap_or(now);
            (grant.proof, grant.life) = (Some(answer.proof), Some(Life { since: now, until }));
        } else {
            grant.life = self.session.as_ref().map(|session| session.life);
        }
        Ok(grant)
    }

    /// Finds the cluster.
    pub(super) async fn find(&self, caller: &Caller<'_>) -> Result<Place, CredentialError> {
        let eks = self.eks;
        let words = ["eks", "describe-cluster", "--name", &eks.cluster_name, "--query", "cluster"];
        let task = self.aws("look at the cluster", &words, self.session.as_ref(), "AWS_ENDPOINT_URL_EKS");
        let Printed { stdout, .. } = caller.run(task).await?;
        let cluster: serde_json::Value = serde_json::from_slice(&stdout).unwrap_or_default();
        let text = |pointer: &str| cluster.pointer(pointer).and_then(serde_json::Value::as_str);
        let pem = text("/certificateAuthority/data").and_then(|data| STANDARD.decode(data).ok());
        let pem =
            pem.and_then(|pem| String::from_utf8(pem).ok()).filter(|pem| pem.contains("BEGIN CERTIFICATE"));
        match (text("/endpoint").filter(|server| super::is_server(server)), pem) {
            (Some(server), Some(pem)) => {
                Ok(Place { server: server.to_owned(), certificate_authority: Some(pem) })
            }
            _ => {
                let state = text("/status").filter(|state| *state != "ACTIVE");
                let state = state.map(|state| format!(" (it is {state})")).unwrap_or_default();
                Err(CredentialError {
                    message: format!("EKS names no endpoint of the cluster {}{state}", eks.cluster_name),
                    hint: Some("wait until the cluster is active, or set target.server".into()),
                })
            }
        }
    }

    async fn refresh_session(
        &mut self,
        caller: &Caller<'_>,
        grant: &mut Grant,
    ) -> Result<(), CredentialError> {
        let lasts = |session: &Session| session.life.until.duration_since(Timestamp::now()) > SESSION_MARGIN;
        if self.is_brokered && self.session.as_ref().is_some_and(lasts) {
            return Ok(());
        }
        let mut session = None;
        if let Some((role, file)) = self.web_identity() {
            let file = format!("file://{file}");
            let words = ["sts", "assume-role-with-web-identity", "--web-identity-token", &file];
            session = Some(self.take(role, &words, None, (caller, &mut *grant)).await?);
        }
        if let Some(role) = self.eks.assume_role.clone() {
            session =
                Some(self.take(role, &["sts", "assume-role"], session.as_ref(), (caller, grant)).await?);
        }
        if let Some(session) = &session {
            grant.secrets.extend([session.secret.clone(), session.token.clone()]);
            grant.files.push((SESSION_FILE, session.for_process()));
        }
        self.session = session;
        Ok(())
    }

    /// The role that is taken by a token, and the token's file.
    fn web_identity(&self) -> Option<(Role, String)> {
        match &self.eks.credentials {
            AwsCredentials::AccessKey { .. } => None,
            AwsCredentials::WebIdentity { role, token } => Some((role.clone(), self.token_path(token))),
            AwsCredentials::Worker => {
                worker_web_identity(self.step).map(|(role, file)| (role, file.to_owned()))
            }
        }
    }

    fn token_path(&self, token: &WebToken) -> String {
        match token {
            WebToken::Given(_) => self.workspace.path(TOKEN_FILE).display().to_string(),
            WebToken::File { path, .. } => path.display().to_string(),
        }
    }

    async fn take(
        &self,
        role: Role,
        words: &[&str],
        by: Option<&Session>,
        (caller, grant): (&Caller<'_>, &mut Grant),
    ) -> Result<Session, CredentialError> {
        let name = role.session_name.unwrap_or_else(|| session_name(&self.step.name));
        let duration = role.duration.map(|duration| duration.as_secs().to_string());
        let mut words = words.to_vec();
        words.extend(["--role-arn", &role.arn, "--role-session-name", &name]);
        if let Some(id) = &role.external_id {
            words.extend(["--external-id", id]);
        }
        if let Some(seconds) = &duration {
            words.extend(["--duration-seconds", seconds]);
        }
        let printed = caller.run(self.aws("take the role", &words, by, "AWS_ENDPOINT_URL_STS")).await?;
        grant.heard.push(printed.heard);
        Session::read(&printed.stdout, Timestamp::now()).ok_or_else(|| CredentialError {
            message: format!("{} gave no session of {}", self.login.program.words(), role.arn),
            hint: Some("is it a wrapper that prints more than aws? Run it by hand".into()),
        })
    }

    /// A call of the aws cli that goes to AWS.
    fn aws(&self, aim: &'static str, words: &[&str], session: Option<&Session>, endpoint: &str) -> Task<'a> {
        let mut arguments = vec!["--region", &self.eks.region.name];
        if let Some(url) = self.step.operator.get(endpoint) {
            arguments.extend(["--endpoint-url", url.expose()]);
        }
        let words = arguments.into_iter().chain(words.iter().copied()).chain(["--output", "json"]);
        let arguments = words.map(str::to_owned).collect();
        Task {
            plugin: &self.login.program,
            aim,
            arguments,
            environment: self.environment(session),
            troubles: AWS,
        }
    }

    fn get_token(&self) -> Task<'a> {
        let mut environment = self.environment(self.session.as_ref());
        environment.insert("KUBERNETES_EXEC_INFO".into(), EXEC_INFO.into());
        let arguments = arguments(self.eks, self.login);
        Task { plugin: &self.login.program, aim: "log in", arguments, environment, troubles: AWS }
    }

    /// What a call gets: the account's own, or a session's.
    fn environment(&self, session: Option<&Session>) -> BTreeMap<String, String> {
        const NEVER: [&str; 5] = [
            // These would get into the token, which EKS then refuses; the agent's own calls name them as a flag.
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_STS",
            "AWS_ENDPOINT_URL_EKS",
            // This breaks the answer's form.
            "AWS_DEFAULT_OUTPUT",
            "AWS_PAGER",
        ];
        let mut environment = environment(self.step, &self.workspace.folders().temporary());
        let mut put = |name: &str, value: &str| environment.insert(name.to_owned(), value.to_owned());
        let is_workers = matches!(self.eks.credentials, AwsCredentials::Worker) && session.is_none();
        if is_workers {
            let own = self.step.operator.iter().filter(|(name, _)| !NEVER.contains(&name.as_str()));
            own.for_each(|(name, text)| drop(put(name, text.expose())));
        } else {
            // Nobody's profile changes whose account this is.
            put("AWS_CONFIG_FILE", "/dev/null");
            put("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        }
        for (name, value) in settings(self.eks) {
            put(name, &value);
        }
        match (session, &self.eks.credentials) {
            (Some(session), _) => {
                session.variables().into_iter().for_each(|(name, value)| drop(put(name, &value)));
            }
            (None, AwsCredentials::AccessKey { id, secret, session_token }) => {
                put("AWS_ACCESS_KEY_ID", id);
                put("AWS_SECRET_ACCESS_KEY", secret.expose());
                if let Some(token) = session_token {
                    put("AWS_SESSION_TOKEN", token.expose());
                }
            }
            (None, AwsCredentials::WebIdentity { role, token }) => {
                if self.login.plugin == EksTool::Authenticator {
                    put("AWS_ROLE_ARN", &role.arn);
                    put("AWS_WEB_IDENTITY_TOKEN_FILE", &self.token_path(token));
                    let name = role.session_name.clone().unwrap_or_else(|| session_name(&self.step.name));
                    put("AWS_ROLE_SESSION_NAME", &name);
                }
            }
            (None, AwsCredentials::Worker) => {}
        }
        put("AWS_PAGER", "");
        if let Some(bundle) = ca_bundle(self.step) {
            put("AWS_CA_BUNDLE", bundle.expose());
        }
        environment
    }

    /// The script's profile: each aws tool that reads it gets the session of now, and asks again before it ends.
    fn config_of_session(&self) -> String {
        let session = self.workspace.path(SESSION_FILE);
        format!(
            "[profile {PROFILE}]\nregion = {}\ncredential_process = /bin/cat \"{}\"\n",
            self.eks.region.name,
            session.display()
        )
    }

    /// The script's profile where there is no aws cli to take roles: each tool that reads it takes them itself. `None`
    /// for the worker's own account, which the script's tools find as the agent's do.
    fn config_of_roles(&self) -> Option<String> {
        let region = format!("region = {}", self.eks.region.name);
        let mut base = vec![region.clone()];
        match &self.eks.credentials {
            AwsCredentials::Worker => return None,
            AwsCredentials::AccessKey { id, secret, session_token } => {
                base.push(format!("aws_access_key_id = {id}"));
                base.push(format!("aws_secret_access_key = {}", secret.expose()));
                base.extend(
                    session_token.iter().map(|token| format!("aws_session_token = {}", token.expose())),
                );
            }
            AwsCredentials::WebIdentity { role, token } => {
                base.push(format!("web_identity_token_file = {}", self.token_path(token)));
                base.extend(role_lines(role, &self.step.name));
            }
        }
        let profile = |name: &str, lines: &[String]| format!("[profile {name}]\n{}\n", lines.join("\n"));
        let Some(role) = &self.eks.assume_role else { return Some(profile(PROFILE, &base)) };
        let mut lines = vec![region, format!("source_profile = {BASE_PROFILE}")];
        lines.extend(role_lines(role, &self.step.name));
        Some(profile(BASE_PROFILE, &base) + &profile(PROFILE, &lines))
    }
}

fn role_lines(role: &Role, step: &str) -> Vec<String> {
    let name = role.session_name.clone().unwrap_or_else(|| session_name(step));
    let mut lines = vec![format!("role_arn = {}", role.arn), format!("role_session_name = {name}")];
    lines.extend(role.external_id.iter().map(|id| format!("external_id = {id}")));
    lines.extend(role.duration.iter().map(|duration| format!("duration_seconds = {}", duration.as_secs())));
    lines
}

/// A session's name where the payload gives none: CloudTrail shows it. A step's name has no character that STS refuses.
fn session_name(step: &str) -> String {
    format!("kubestep-{step}").chars().take(64).collect()
}
