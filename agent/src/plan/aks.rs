//! How one logs in to AKS: kubelogin, the cluster's own administrator, or what the management API says of the cluster.
//! Pure.

use tooling_check::rules::{Pair, Rules};
use tooling_check::{Inventory, Tool, Version};

use super::login::{AccountValue, Plugin, PluginEntry};
use super::tools::{Candidate, candidate};
use super::{Chosen, Cloud, Login, ToolFault};
use crate::payload::aks::{Aks, AzureCredentials, AzureEnvironment};
use crate::payload::{Credentials, Step, Text, WebToken};
use crate::secret::Secret;

/// The application's key and certificate, PEM: kubelogin cannot read a PFX as OpenSSL 3 writes it.
pub const CERTIFICATE_FILE: &str = "azure/client.pem";

/// A federated token that the payload gives.
pub const TOKEN_FILE: &str = "azure/federated-token";

/// Where kubelogin keeps its tokens when kubectl runs it.
const HOME: &str = "azure/home";

/// From here on kubelogin knows an authority of one's own for every login, `IDENTITY_ENDPOINT`, and certificates in PEM.
const NEW: (u32, u32, u32) = (0, 2, 0);

/// From here on kubelogin knows `--timeout` (plugins-measured.md 3).
const TIMEOUT: (u32, u32, u32) = (0, 0, 34);

/// A login to AKS.
#[derive(Clone, Debug)]
pub struct AksLogin {
    /// Who says who we are.
    pub way: AksWay,
    /// Whether kubelogin knows `--timeout`.
    has_timeout: bool,
    /// Whether it knows `--disable-instance-discovery`.
    is_new: bool,
}

/// Who says who we are.
#[derive(Clone, Debug)]
pub enum AksWay {
    /// The management API hands out the cluster's own administrator.
    Admin,
    /// kubelogin.
    Entra(Plugin),
    /// The management API says which of the two; kubelogin, where it is there.
    AsFound(Option<Plugin>),
}

impl AksLogin {
    /// kubelogin.
    #[must_use]
    pub fn plugin(&self) -> Option<&Plugin> {
        match &self.way {
            AksWay::Entra(plugin) | AksWay::AsFound(Some(plugin)) => Some(plugin),
            AksWay::Admin | AksWay::AsFound(None) => None,
        }
    }
}

/// Chooses.
///
/// # Errors
/// What keeps kubelogin from logging in, where it is needed.
pub(super) fn choose(
    aks: &Aks,
    step: &Step,
    inventory: &Inventory,
    kubectl: &Version,
) -> Result<Chosen, Vec<ToolFault>> {
    let account = variables(aks, step);
    let chosen = |way, version: &Version, reason: &str, notes| {
        let is_from = |least| version.numbers().map(|numbers| numbers >= least);
        // An unknown version is mostly a new one; what only keeps time is then left out.
        let (has_timeout, is_new) = (is_from(TIMEOUT) == Some(true), is_from(NEW) != Some(false));
        let login = Login::Broker(Cloud::Aks(AksLogin { way, has_timeout, is_new }));
        Chosen { login, account: account.clone(), reason: Some(reason.to_owned()), notes }
    };
    if aks.admin {
        let reason = "the payload asks for the cluster's own administrator (auth.aks.admin)";
        return Ok(chosen(AksWay::Admin, &Version::NotAsked, reason, Vec::new()));
    }
    let is_found = step.target.server.is_none();
    let usable = match judge(aks, step, inventory, kubectl) {
        Ok(usable) => usable,
        Err(fault) if is_found && step.credentials == Credentials::Broker => {
            let note = format!("{}: only a cluster without Entra can be logged in to", fault.message);
            let reason = "target.server is not given, and kubelogin cannot be used";
            return Ok(chosen(AksWay::AsFound(None), &Version::NotAsked, reason, vec![note]));
        }
        Err(fault) => return Err(vec![fault]),
    };
    let Usable { plugin, version, api_version } = usable;
    let notes = match version.numbers() {
        Some(_) => Vec::new(),
        None => vec!["the version of kubelogin is unknown; it is tried".to_owned()],
    };
    let (way, reason) = match is_found {
        true => {
            (AksWay::AsFound(Some(plugin)), "target.server is not given: AKS says how its cluster is used")
        }
        false => (AksWay::Entra(plugin), "kubelogin logs in to clusters with Entra"),
    };
    let mut chosen = chosen(way, &version, reason, notes);
    if let (Some(api_version), Login::Broker(cloud)) = (api_version, &chosen.login) {
        let Cloud::Aks(login) = cloud else { return Ok(chosen) };
        let plugin = entry(aks, login, step, api_version);
        chosen.login = Login::Exec { cloud: cloud.clone(), plugin };
    }
    Ok(chosen)
}

/// kubelogin, where it can be used.
struct Usable {
    plugin: Plugin,
    version: Version,
    /// What the kubeconfig's entry has to say, where kubectl runs it.
    api_version: Option<String>,
}

fn judge(aks: &Aks, step: &Step, inventory: &Inventory, kubectl: &Version) -> Result<Usable, ToolFault> {
    let tool = Tool::Kubelogin;
    let Candidate { path, version } = candidate(tool, inventory)?;
    let plugin = Plugin { name: tool.name(), program: path, version: super::known(&version) };
    let is_old = version.numbers().is_some_and(|numbers| numbers < NEW);
    let lack = match &aks.credentials {
        AzureCredentials::Certificate(_) => Some("does not read a certificate in PEM"),
        AzureCredentials::Secret(_) if step.operator.contains_key("AZURE_AUTHORITY_HOST") => {
            Some("ignores the agent's AZURE_AUTHORITY_HOST")
        }
        AzureCredentials::ManagedIdentity if step.operator.contains_key("IDENTITY_ENDPOINT") => {
            Some("ignores the agent's IDENTITY_ENDPOINT")
        }
        AzureCredentials::Secret(_) | AzureCredentials::ManagedIdentity | AzureCredentials::Federated(_) => {
            None
        }
    };
    if let Some(lack) = lack.filter(|_| is_old) {
        let message = format!("{} {lack}: 0.2.0 or later is needed", plugin.words());
        return Err(ToolFault { message, hint: "install a newer kubelogin".into() });
    }
    let api_version = match step.credentials {
        Credentials::Broker => None,
        Credentials::Exec => match Rules::embedded().pair(kubectl, tool, &version) {
            Pair::Works(api) | Pair::Unknown(api) => Some(api.full_name().to_owned()),
            Pair::Never { why, hint } => return Err(ToolFault { message: why, hint }),
        },
    };
    Ok(Usable { plugin, version, api_version })
}

/// Entra's own host in each of Azure's clouds, with the slash that kubelogin wants.
#[must_use]
pub fn authority(aks: &Aks, step: &Step) -> String {
    let own = match aks.environment {
        AzureEnvironment::Public => "https://login.microsoftonline.com/",
        AzureEnvironment::China => "https://login.chinacloudapi.cn/",
        AzureEnvironment::UsGovernment => "https://login.microsoftonline.us/",
    };
    let given = step.operator.get("AZURE_AUTHORITY_HOST").map(Text::expose).unwrap_or(own);
    format!("{}/", given.trim_end_matches('/'))
}

/// kubelogin's own arguments; none is secret.
#[must_use]
pub fn arguments(aks: &Aks, login: &AksLogin, step: &Step) -> Vec<AccountValue> {
    let mut arguments: Vec<AccountValue> = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|word| AccountValue::plain(word)));
    let environment = match aks.environment {
        AzureEnvironment::Public => "AzurePublicCloud",
        AzureEnvironment::China => "AzureChinaCloud",
        AzureEnvironment::UsGovernment => "AzureUSGovernmentCloud",
    };
    add(&["get-token", "--login", mode(aks), "--server-id", &aks.server_id, "--environment", environment]);
    if let Some(tenant) = &aks.tenant_id {
        add(&["--tenant-id", tenant]);
    }
    if let Some(client) = &aks.client_id {
        add(&["--client-id", client]);
    }
    let is_given = step.operator.contains_key("AZURE_AUTHORITY_HOST");
    let (is_federated, is_identity) = (
        matches!(aks.credentials, AzureCredentials::Federated(_)),
        matches!(aks.credentials, AzureCredentials::ManagedIdentity),
    );
    if is_federated || is_given && !is_identity {
        // 0.1.4 and older need one for a federated token.
        add(&["--authority-host", &authority(aks, step)]);
    }
    if is_given && login.is_new && !is_identity {
        // Else it asks Microsoft's own host whether it knows this one.
        add(&["--disable-instance-discovery"]);
    }
    if login.has_timeout {
        // Before our own patience ends, so that its words are heard.
        add(&["--timeout", &format!("{}ms", step.limits.login.as_millis() * 3 / 4)]);
    }
    match &aks.credentials {
        AzureCredentials::Certificate(_) => {
            arguments.push(AccountValue::plain("--client-certificate"));
            arguments.push(AccountValue::Private(CERTIFICATE_FILE));
        }
        AzureCredentials::Federated(token) => {
            arguments.push(AccountValue::plain("--federated-token-file"));
            arguments.push(token_file(token));
        }
        AzureCredentials::Secret(_) | AzureCredentials::ManagedIdentity => {}
    }
    arguments
}

fn mode(aks: &Aks) -> &'static str {
    match aks.credentials {
        AzureCredentials::Secret(_) | AzureCredentials::Certificate(_) => "spn",
        AzureCredentials::Federated(_) => "workloadidentity",
        AzureCredentials::ManagedIdentity => "msi",
    }
}

fn token_file(token: &WebToken) -> AccountValue {
    match token {
        WebToken::Given(_) => AccountValue::Private(TOKEN_FILE),
        WebToken::File { path, .. } => AccountValue::plain(&path.display().to_string()),
    }
}

/// What kubelogin gets beside its arguments, whoever runs it. Its environment overrules them.
#[must_use]
pub fn settings(aks: &Aks, step: &Step) -> Vec<(&'static str, AccountValue)> {
    let mut settings: Vec<(&'static str, AccountValue)> = Vec::new();
    if let AzureCredentials::Secret(secret) = &aks.credentials {
        settings.push(("AZURE_CLIENT_SECRET", AccountValue::secret(secret)));
        // The name that 0.0.20 knows.
        settings.push(("AAD_SERVICE_PRINCIPAL_CLIENT_SECRET", AccountValue::secret(secret)));
    }
    settings.extend(identity(aks, step));
    if step.operator.contains_key("AZURE_AUTHORITY_HOST") {
        settings.push(("AZURE_AUTHORITY_HOST", AccountValue::plain(&authority(aks, step))));
    }
    settings
}

/// The place of the machine's managed identity, where it is not the usual one.
fn identity(aks: &Aks, step: &Step) -> Vec<(&'static str, AccountValue)> {
    if !matches!(aks.credentials, AzureCredentials::ManagedIdentity) {
        return Vec::new();
    }
    let own = ["IDENTITY_ENDPOINT", "IDENTITY_HEADER"].into_iter();
    own.filter_map(|name| Some((name, AccountValue::Text(step.operator.get(name)?.clone())))).collect()
}

/// The kubeconfig's entry. What the script's environment could say against it is said anew.
fn entry(aks: &Aks, login: &AksLogin, step: &Step, api_version: String) -> PluginEntry {
    let mut environment = settings(aks, step);
    environment.push(("AAD_LOGIN_METHOD", AccountValue::plain(mode(aks))));
    for (name, value) in [("AZURE_TENANT_ID", &aks.tenant_id), ("AZURE_CLIENT_ID", &aks.client_id)] {
        environment.extend(value.iter().map(|value| (name, AccountValue::plain(value))));
    }
    for name in ["ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL"] {
        environment.push((name, AccountValue::plain("")));
    }
    for name in ["HOME", "XDG_CACHE_HOME"] {
        environment.push((name, AccountValue::Private(HOME)));
    }
    let command = login.plugin().map(|plugin| plugin.program.display().to_string()).unwrap_or_default();
    PluginEntry { api_version, command, arguments: arguments(aks, login, step), environment }
}

/// What the script gets of its account: for Azure's libraries (`AZURE_*`) and terraform (`ARM_*`). The az command
/// line has a folder of its own, so that nobody else's login is found.
fn variables(aks: &Aks, step: &Step) -> Vec<(String, AccountValue)> {
    let mut variables: Vec<(&str, AccountValue)> =
        vec![("AZURE_CONFIG_DIR", AccountValue::Private("azure/cli"))];
    let mut both = |azure: &'static str, arm: &'static str, value: AccountValue| {
        variables.extend([(azure, value.clone()), (arm, value)]);
    };
    let ids = [
        ("AZURE_TENANT_ID", "ARM_TENANT_ID", &aks.tenant_id),
        ("AZURE_CLIENT_ID", "ARM_CLIENT_ID", &aks.client_id),
        ("AZURE_SUBSCRIPTION_ID", "ARM_SUBSCRIPTION_ID", &aks.subscription_id),
    ];
    for (azure, arm, id) in ids {
        if let Some(id) = id {
            both(azure, arm, AccountValue::plain(id));
        }
    }
    match &aks.credentials {
        AzureCredentials::Secret(secret) => {
            both("AZURE_CLIENT_SECRET", "ARM_CLIENT_SECRET", AccountValue::secret(secret));
        }
        AzureCredentials::Federated(token) => {
            both("AZURE_FEDERATED_TOKEN_FILE", "ARM_OIDC_TOKEN_FILE_PATH", token_file(token));
            variables.push(("ARM_USE_OIDC", AccountValue::plain("true")));
        }
        AzureCredentials::Certificate(certificate) => {
            variables.push(("AZURE_CLIENT_CERTIFICATE_PATH", AccountValue::Private(CERTIFICATE_FILE)));
            // terraform reads a PFX only.
            if let Some(pfx) = &certificate.pfx {
                variables.push(("ARM_CLIENT_CERTIFICATE", AccountValue::secret(&pfx.packed)));
                let password = pfx.password.clone().unwrap_or_else(|| Secret::new(String::new()));
                variables.push(("ARM_CLIENT_CERTIFICATE_PASSWORD", AccountValue::secret(&password)));
            }
        }
        AzureCredentials::ManagedIdentity => variables.push(("ARM_USE_MSI", AccountValue::plain("true"))),
    }
    let environment = match aks.environment {
        AzureEnvironment::Public => "public",
        AzureEnvironment::China => "china",
        AzureEnvironment::UsGovernment => "usgovernment",
    };
    variables.push(("ARM_ENVIRONMENT", AccountValue::plain(environment)));
    variables.push(("AZURE_AUTHORITY_HOST", AccountValue::plain(&authority(aks, step))));
    variables.extend(identity(aks, step));
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
