//! How one logs in to EKS: which plugin, who takes the roles, what the script gets. Pure.

use std::time::Duration;

use tooling_check::rules::{Enough, Pair, Rules};
use tooling_check::{Inventory, Tool, Version};

use super::login::{AccountValue, Plugin, PluginEntry};
use super::tools::{Candidate, candidate};
use super::{Chosen, Cloud, Login, ToolFault};
use crate::payload::eks::{AwsCredentials, Eks, EksPlugin, Role};
use crate::payload::{Credentials, Step, Text};
use crate::secret::Secret;

/// How long a token of EKS lives where the plugin does not say (before aws 1.16.192): the aws cli's own figure.
pub const TOKEN_LIFE: Duration = Duration::from_secs(14 * 60);

/// The file from which the script's aws tools take the session of now.
pub const CONFIG_FILE: &str = "aws/config";

/// The profile in it.
pub const PROFILE: &str = "kubestep";

/// The profile of the account without its role, where the plugin takes the role.
pub const BASE_PROFILE: &str = "kubestep-base";

/// A login to EKS.
#[derive(Clone, Debug)]
pub struct EksLogin {
    /// Which plugin.
    pub plugin: EksTool,
    /// Where it lies.
    pub program: Plugin,
    /// Who takes the roles.
    pub session: Session,
}

/// The two plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EksTool {
    /// The aws cli.
    Aws,
    /// aws-iam-authenticator.
    Authenticator,
}

impl EksTool {
    /// The tool that it is.
    #[must_use]
    pub fn tool(self) -> Tool {
        match self {
            Self::Aws => Tool::Aws,
            Self::Authenticator => Tool::AwsIamAuthenticator,
        }
    }
}

/// Who takes the roles that the account asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// There is none to take.
    None,
    /// The agent, by `aws sts`: the aws cli itself would keep sessions in HOME, where they cross identities.
    Sts,
    /// The authenticator, for itself; it keeps nothing.
    Plugin,
}

/// The plugins that may be used, the better one first.
#[must_use]
pub fn candidates(eks: &Eks) -> &'static [EksTool] {
    match eks.plugin {
        EksPlugin::Auto => &[EksTool::Aws, EksTool::Authenticator],
        EksPlugin::Aws => &[EksTool::Aws],
        EksPlugin::Authenticator => &[EksTool::Authenticator],
    }
}

/// Chooses.
///
/// # Errors
/// Each plugin that could have done it, and what keeps it from that.
pub(super) fn choose(
    eks: &Eks,
    step: &Step,
    inventory: &Inventory,
    kubectl: &Version,
) -> Result<Chosen, Vec<ToolFault>> {
    let (mut notes, mut faults) = (Vec::new(), Vec::new());
    for tool in candidates(eks) {
        match judge(*tool, step, inventory, kubectl) {
            Ok(usable) => {
                if usable.version.numbers().is_none() {
                    notes.push(format!("the version of {} is unknown; it is tried", tool.tool()));
                }
                let reason = Some(reason(eks, *tool, &notes));
                let (login, made) = login(eks, step, *tool, usable);
                let account = variables(eks, &made, step);
                return Ok(Chosen { login, account, reason, notes });
            }
            Err(fault) => {
                notes.push(format!("{}: {}", tool.tool(), fault.message));
                faults.push(fault);
            }
        }
    }
    Err(faults)
}

/// A plugin that can be used.
struct Usable {
    plugin: Plugin,
    version: Version,
    /// What the kubeconfig's entry has to say, where kubectl runs the plugin.
    api_version: Option<String>,
}

fn judge(tool: EksTool, step: &Step, inventory: &Inventory, kubectl: &Version) -> Result<Usable, ToolFault> {
    let Candidate { path, version } = candidate(tool.tool(), inventory)?;
    let rules = Rules::embedded();
    let plugin = Plugin { name: tool.tool().name(), program: path, version: super::known(&version) };
    if let Enough::TooOld(least) = rules.is_enough(tool.tool(), &version) {
        let message = format!("{} {}: {least} or later is needed", plugin.words(), least.why);
        return Err(ToolFault { message, hint: format!("install a newer {}", tool.tool()) });
    }
    if tool == EksTool::Authenticator && step.target.server.is_none() {
        let message = format!("{} cannot find the cluster: target.server is not given", plugin.words());
        return Err(ToolFault { message, hint: "set target.server, or install the aws cli".into() });
    }
    let api_version = match step.credentials {
        Credentials::Broker => None,
        Credentials::Exec => match rules.pair(kubectl, tool.tool(), &version) {
            Pair::Works(api) | Pair::Unknown(api) => Some(api.full_name().to_owned()),
            Pair::Never { why, hint } => return Err(ToolFault { message: why, hint }),
        },
    };
    Ok(Usable { plugin, version, api_version })
}

fn reason(eks: &Eks, tool: EksTool, notes: &[String]) -> String {
    match (eks.plugin, tool) {
        (EksPlugin::Auto, EksTool::Aws) => {
            "the aws cli is there, and goes before aws-iam-authenticator".into()
        }
        (EksPlugin::Auto, EksTool::Authenticator) => {
            format!("the aws cli cannot be used ({})", notes.first().map_or("", String::as_str))
        }
        (EksPlugin::Aws | EksPlugin::Authenticator, _) => {
            format!("the payload names {} (auth.eks.plugin)", tool.tool())
        }
    }
}

fn login(eks: &Eks, step: &Step, tool: EksTool, usable: Usable) -> (Login, EksLogin) {
    let session = match (needs_session(eks, step), tool) {
        (false, _) => Session::None,
        (true, EksTool::Aws) => Session::Sts,
        (true, EksTool::Authenticator) => Session::Plugin,
    };
    let login = EksLogin { plugin: tool, program: usable.plugin, session };
    match usable.api_version {
        None => (Login::Broker(Cloud::Eks(login.clone())), login),
        Some(api_version) => {
            let plugin = exec(eks, &login, api_version);
            (Login::Exec { cloud: Cloud::Eks(login.clone()), plugin }, login)
        }
    }
}

fn needs_session(eks: &Eks, step: &Step) -> bool {
    let by_token = match &eks.credentials {
        AwsCredentials::AccessKey { .. } => false,
        AwsCredentials::WebIdentity { .. } => true,
        AwsCredentials::Worker => worker_web_identity(step).is_some(),
    };
    by_token || eks.assume_role.is_some()
}

fn is_workers(eks: &Eks) -> bool {
    matches!(eks.credentials, AwsCredentials::Worker)
}

/// The worker's own role by web identity (a pod's, in EKS), with the token's file: keys in the environment go
/// before it.
#[must_use]
pub fn worker_web_identity(step: &Step) -> Option<(Role, &str)> {
    let value = |name: &str| step.operator.get(name).map(Text::expose);
    if value("AWS_ACCESS_KEY_ID").is_some() {
        return None;
    }
    let (arn, file) = (value("AWS_ROLE_ARN")?, value("AWS_WEB_IDENTITY_TOKEN_FILE")?);
    let session_name = value("AWS_ROLE_SESSION_NAME").map(str::to_owned);
    Some((Role { arn: arn.to_owned(), session_name, external_id: None, duration: None }, file))
}

/// The plugin's own arguments.
#[must_use]
pub fn arguments(eks: &Eks, login: &EksLogin) -> Vec<String> {
    let (region, cluster) = (eks.region.name.as_str(), eks.cluster_name.as_str());
    let mut arguments: Vec<&str> = match login.plugin {
        EksTool::Aws => {
            vec!["--region", region, "eks", "get-token", "--cluster-name", cluster, "--output", "json"]
        }
        EksTool::Authenticator => vec!["token", "-i", cluster, "--region", region],
    };
    // A role by web identity comes from the environment; one on top of it is the plugin's to take.
    if let (Session::Plugin, Some(role)) = (login.session, &eks.assume_role) {
        arguments.extend(["-r", role.arn.as_str()]);
        if let Some(id) = &role.external_id {
            arguments.extend(["-e", id.as_str()]);
        }
        if let Some(name) = &role.session_name {
            arguments.extend(["-s", name.as_str()]);
        }
    }
    arguments.into_iter().map(str::to_owned).collect()
}

/// What every call of a plugin gets, whoever makes it; plugins-measured.md 2 says what each is for.
#[must_use]
pub fn settings(eks: &Eks) -> Vec<(&'static str, String)> {
    let region = || eks.region.name.clone();
    let mut settings = vec![
        // The aws cli 1 reads the second one only, the authenticator 0.7 needs one of them.
        ("AWS_REGION", region()),
        ("AWS_DEFAULT_REGION", region()),
        ("AWS_STS_REGIONAL_ENDPOINTS", "regional".into()),
        // An endpoint of a profile would get into the token, which EKS then refuses.
        ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true".into()),
    ];
    if !is_workers(eks) {
        // Else the machine's own role takes the place of an account that does not work. The authenticator 0.7
        // does not read the first one.
        settings.push(("AWS_EC2_METADATA_DISABLED", "true".into()));
        settings.push(("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9".into()));
    }
    settings
}

fn exec(eks: &Eks, login: &EksLogin, api_version: String) -> PluginEntry {
    let mut settings = settings(eks);
    if login.session == Session::Plugin && eks.assume_role.is_some() && !is_workers(eks) {
        // The plugin takes the role itself, so it must not begin with the profile that takes it, too.
        settings.push(("AWS_PROFILE", BASE_PROFILE.to_owned()));
    }
    let settings = settings.into_iter();
    PluginEntry {
        api_version,
        command: login.program.program.display().to_string(),
        arguments: arguments(eks, login).iter().map(|text| AccountValue::plain(text)).collect(),
        environment: settings.map(|(name, value)| (name, AccountValue::plain(&value))).collect(),
    }
}

/// What the aws cli is to trust, which does not read `SSL_CERT_FILE`: the operator's own word for it, else that.
#[must_use]
pub fn ca_bundle(step: &Step) -> Option<&Text> {
    step.operator.get("AWS_CA_BUNDLE").or_else(|| step.inherited.get("SSL_CERT_FILE"))
}

/// What the script gets of its account, for `aws` and everything else that knows these variables.
fn variables(eks: &Eks, login: &EksLogin, step: &Step) -> Vec<(String, AccountValue)> {
    let text = |name: &str, text: &str| (name.to_owned(), AccountValue::Text(Text::Plain(text.to_owned())));
    let region = ["AWS_REGION", "AWS_DEFAULT_REGION"].map(|name| text(name, &eks.region.name));
    let mut variables: Vec<(String, AccountValue)> = Vec::new();
    match (&eks.credentials, login.session) {
        // The worker's own: without the aws cli nobody but the plugin takes its role.
        (AwsCredentials::Worker, Session::None | Session::Plugin) => {
            let own = step.operator.iter();
            variables.extend(own.map(|(name, text)| (name.clone(), AccountValue::Text(text.clone()))));
        }
        // One that is renewed cannot stand in a variable: a program reads those once.
        (_, Session::Sts | Session::Plugin) => {
            variables.push(("AWS_CONFIG_FILE".into(), AccountValue::Private(CONFIG_FILE)));
            variables.push(text("AWS_PROFILE", PROFILE));
            variables.push(text("AWS_SDK_LOAD_CONFIG", "1"));
        }
        (AwsCredentials::AccessKey { id, secret, session_token }, Session::None) => {
            let hidden = |name: &str, secret: &Secret| {
                (name.to_owned(), AccountValue::Text(Text::Secret(secret.clone())))
            };
            variables.push(text("AWS_ACCESS_KEY_ID", id));
            variables.push(hidden("AWS_SECRET_ACCESS_KEY", secret));
            variables.extend(session_token.iter().map(|token| hidden("AWS_SESSION_TOKEN", token)));
        }
        (AwsCredentials::WebIdentity { .. }, Session::None) => {}
    }
    variables.extend(region);
    variables
        .extend(ca_bundle(step).map(|file| ("AWS_CA_BUNDLE".to_owned(), AccountValue::Text(file.clone()))));
    variables
}
