//! How one logs in to GKE: the plugin with application default credentials of the step's own, for every kubectl; and
//! the agent itself for what the plugin cannot. Pure.

use tooling_check::rules::{Pair, Rules};
use tooling_check::{Inventory, Tool, Version};

use super::login::{AccountValue, Plugin, PluginEntry};
use super::tools::{Candidate, candidate};
use super::{Chosen, Cloud, Login, ToolFault};
use crate::payload::gke::{Gke, GoogleCredentials};
use crate::payload::{Credentials, Step};

/// The application default credentials: what the plugin and Google's libraries read.
pub const CREDENTIALS_FILE: &str = "google/credentials.json";

/// The same without impersonation, where there is one: what gcloud reads, which impersonates by itself.
pub const SOURCE_FILE: &str = "google/source.json";

/// A folder without anybody's own credentials.
const HOME: &str = "google/home";

/// The plugin's only argument. Its flag for impersonation is ignored together with this one.
pub const ARGUMENT: &str = "--use_application_default_credentials";

/// A login to GKE.
#[derive(Clone, Debug)]
pub struct GkeLogin {
    /// Where it lies.
    pub program: Plugin,
    /// The service account that the agent impersonates with the plugin's token.
    pub impersonate: Option<String>,
}

/// Chooses.
///
/// # Errors
/// What keeps the plugin from logging in.
pub(super) fn choose(
    gke: &Gke,
    step: &Step,
    inventory: &Inventory,
    kubectl: &Version,
) -> Result<Chosen, Vec<ToolFault>> {
    let tool = Tool::GkeGcloudAuthPlugin;
    let Candidate { path, version } = candidate(tool, inventory).map_err(|fault| vec![fault])?;
    let program = Plugin { name: tool.name(), program: path, version: super::known(&version) };
    let is_vm = matches!(gke.credentials, GoogleCredentials::VmServiceAccount);
    let login = GkeLogin { program, impersonate: gke.impersonate.clone().filter(|_| is_vm) };
    let account = variables(gke, step);
    let login = match step.credentials {
        Credentials::Broker => Login::Broker(Cloud::Gke(login)),
        Credentials::Exec => match Rules::embedded().pair(kubectl, tool, &version) {
            Pair::Works(api) | Pair::Unknown(api) => {
                let plugin = entry(gke, &login, step, api.full_name().to_owned());
                Login::Exec { cloud: Cloud::Gke(login), plugin }
            }
            Pair::Never { why, hint } => return Err(vec![ToolFault { message: why, hint }]),
        },
    };
    let reason = match (is_vm, &gke.impersonate) {
        (true, Some(_)) => {
            "the plugin gives the machine's token, and the agent has Google change it for the other account's"
        }
        (true, None) => "the plugin gives the token of the machine's own account",
        (false, _) => "the plugin reads the account's key file from the step's private folder",
    };
    Ok(Chosen { login, account, reason: Some(reason.to_owned()), notes: Vec::new() })
}

/// What the plugin gets, whoever runs it.
#[must_use]
pub fn settings(gke: &Gke, step: &Step) -> Vec<(&'static str, AccountValue)> {
    let mut settings = match gke.credentials {
        GoogleCredentials::Key(_) | GoogleCredentials::External(_) => {
            vec![("GOOGLE_APPLICATION_CREDENTIALS", AccountValue::Private(CREDENTIALS_FILE))]
        }
        GoogleCredentials::VmServiceAccount => {
            vec![("GOOGLE_APPLICATION_CREDENTIALS", AccountValue::plain(""))]
        }
    };
    let host = step.operator.get("GCE_METADATA_HOST");
    settings.extend(host.map(|host| ("GCE_METADATA_HOST", AccountValue::Text(host.clone()))));
    // Else somebody's own credentials there would take the machine's place.
    settings.push(("HOME", AccountValue::Private(HOME)));
    settings
}

fn entry(gke: &Gke, login: &GkeLogin, step: &Step, api_version: String) -> PluginEntry {
    PluginEntry {
        api_version,
        command: login.program.program.display().to_string(),
        arguments: vec![AccountValue::plain(ARGUMENT)],
        environment: settings(gke, step),
    }
}

/// What the script gets of its account: for Google's libraries, gcloud and terraform. gcloud has a folder of its own, so
/// that nobody else's login is found.
fn variables(gke: &Gke, step: &Step) -> Vec<(String, AccountValue)> {
    let mut variables: Vec<(&str, AccountValue)> =
        vec![("CLOUDSDK_CONFIG", AccountValue::Private("google/gcloud"))];
    let mut add = |name: &'static str, value: AccountValue| variables.push((name, value));
    if !matches!(gke.credentials, GoogleCredentials::VmServiceAccount) {
        let source = if gke.impersonate.is_some() { SOURCE_FILE } else { CREDENTIALS_FILE };
        add("GOOGLE_APPLICATION_CREDENTIALS", AccountValue::Private(CREDENTIALS_FILE));
        add("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", AccountValue::Private(source));
    }
    if let Some(account) = &gke.impersonate {
        add("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", AccountValue::plain(account));
    }
    if let Some(project) = &gke.project {
        add("CLOUDSDK_CORE_PROJECT", AccountValue::plain(project));
        add("GOOGLE_CLOUD_PROJECT", AccountValue::plain(project));
    }
    if let Some(location) = &gke.location {
        let is_zone = location.split('-').count() == 3;
        let name = if is_zone { "CLOUDSDK_COMPUTE_ZONE" } else { "CLOUDSDK_COMPUTE_REGION" };
        add(name, AccountValue::plain(location));
    }
    for name in [
        "GCE_METADATA_HOST",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS",
    ] {
        if let Some(text) = step.operator.get(name) {
            add(name, AccountValue::Text(text.clone()));
        }
    }
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
