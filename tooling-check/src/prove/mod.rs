//! The offline handshake: kubectl really runs each plugin, with made-up credentials, against a listener on loopback.
//!
//! kubectl runs a plugin and judges its answer *before* it connects. So no TLS and no cluster are needed: once kubectl
//! connects, it has taken the credential; if it never does, its last words say why. What happened is the verdict,
//! whatever the rules foretell.
//!
//! aws and aws-iam-authenticator sign without network. The GKE plugin and kubelogin exchange a token: the listener plays
//! the endpoint that they ask (a token URL of Google's external accounts, the managed identity of Azure's App
//! Service). kubelogin older than 0.2 knows no such endpoint, and is excused.

mod door;

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::ask::{End, Question, run};
use crate::check::{PLUGINS, api_to_try};
use crate::fault::Fault;
use crate::inventory::{Finding, Inventory, Search, State};
use crate::kind::Kind;
use crate::locate::absolute;
use crate::rules::ApiVersion;
use crate::tool::Tool;
use crate::version::{Version, last_line};
use door::Door;

/// What happened when kubectl ran a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The plugin.
    pub plugin: Tool,
    /// The API version that the kubeconfig asked for.
    pub api: ApiVersion,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took; `None` if it was not run.
    pub took: Option<Duration>,
}

/// What came of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// kubectl took the plugin's credential, and connected.
    Accepted,
    /// It did not.
    Failed {
        /// kubectl's last words.
        said: String,
        /// Whether the plugin by itself makes a token, so that kubestep can hand it over.
        makes_tokens: bool,
    },
    /// It cannot be tried here.
    Excused {
        /// Why not.
        why: String,
    },
}

/// Runs kubectl with each plugin that can be used, side by side. `scratch` is a private folder that exists.
///
/// # Errors
/// What kept the listener or the kubeconfigs from being made.
pub fn prove(inventory: &Inventory, search: &Search<'_>, scratch: &Path) -> io::Result<Vec<Proof>> {
    let Some(kubectl) = inventory.get(Tool::Kubectl).filter(|found| found.usable().is_some()) else {
        return Ok(Vec::new());
    };
    let plugins = PLUGINS.iter().filter_map(|(tool, _)| inventory.get(*tool));
    let tried: Vec<Handshake<'_>> = plugins
        .filter(|found| found.usable().is_some())
        .map(|plugin| Handshake { kubectl, plugin, search, folder: scratch.join(plugin.tool.name()) })
        .collect();
    let tell = |waiting: &[Tool]| search.progress.iter().for_each(|progress| progress(waiting));
    tell(&tried.iter().map(|one| one.plugin.tool).collect::<Vec<_>>());
    let proofs = thread::scope(|scope| {
        let running: Vec<_> = tried.iter().map(|one| scope.spawn(|| one.hold())).collect();
        // A panic of a thread is a fault of this program, and goes on.
        running.into_iter().map(|one| one.join().expect("a handshake does not panic")).collect()
    });
    tell(&[]);
    proofs
}

/// One kubectl and one plugin.
struct Handshake<'a> {
    kubectl: &'a Finding,
    plugin: &'a Finding,
    search: &'a Search<'a>,
    folder: PathBuf,
}

/// How a plugin is run with made-up credentials.
struct Recipe {
    arguments: Vec<String>,
    environment: Vec<(&'static str, OsString)>,
}

impl Handshake<'_> {
    fn hold(&self) -> io::Result<Proof> {
        let (plugin, version) = (self.plugin.tool, version_of(self.plugin));
        let api = api_to_try(self.search.rules(), version_of(self.kubectl), plugin, version);
        let start = Instant::now();
        let outcome = match unprovable(plugin, version) {
            Some(why) => return Ok(Proof { plugin, api, outcome: Outcome::Excused { why }, took: None }),
            None => self.outcome(api)?,
        };
        Ok(Proof { plugin, api, outcome, took: Some(start.elapsed()) })
    }

    fn outcome(&self, api: ApiVersion) -> io::Result<Outcome> {
        std::fs::DirBuilder::new().mode(0o700).create(&self.folder)?;
        let door = Door::open()?;
        let recipe = self.recipe(door.port())?;
        let kubeconfig = self.folder.join("kubeconfig");
        private(&kubeconfig, &self.kubeconfig(api, &recipe.arguments, door.port()))?;
        let mut environment = self.environment(&recipe);
        environment.push(("KUBECONFIG", kubeconfig.into_os_string()));
        let kubectl = self.kubectl.usable().unwrap_or(Path::new(""));
        // kubectl would wait for an answer that never comes.
        let question = ["get", "--raw", "/version", "--request-timeout=5s"];
        let end = self.run(kubectl, &question, &environment, &|| door.was_knocked());
        if door.was_knocked() {
            return Ok(Outcome::Accepted);
        }
        let said = match end {
            // kubectl's own word is its last one; a plugin's and Python's warnings come before it.
            Ok(end) => last_line(&end.stderr).unwrap_or_else(|| "it said nothing".to_owned()),
            Err(Fault::TimedOut { limit }) => format!("no answer within {limit:?}"),
            Err(fault) => format!("it {fault}"),
        };
        Ok(Outcome::Failed { said, makes_tokens: self.makes_token(api, &recipe) })
    }

    /// Whether the plugin by itself prints a token.
    fn makes_token(&self, api: ApiVersion, recipe: &Recipe) -> bool {
        let mut environment = self.environment(recipe);
        let asked = serde_json::json!({"kind": "ExecCredential", "apiVersion": api.full_name(), "spec": {"interactive": false}});
        environment.push(("KUBERNETES_EXEC_INFO", asked.to_string().into()));
        let arguments: Vec<&str> = recipe.arguments.iter().map(String::as_str).collect();
        let plugin = self.plugin.usable().unwrap_or(Path::new(""));
        let end = self.run(plugin, &arguments, &environment, &|| false);
        let answer = end.ok().and_then(|end| serde_json::from_slice::<serde_json::Value>(&end.stdout).ok());
        answer.is_some_and(|answer| answer["status"]["token"].as_str().is_some_and(|token| !token.is_empty()))
    }

    fn run(
        &self,
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, OsString)],
        enough: &dyn Fn() -> bool,
    ) -> Result<End, Fault> {
        let environment: Vec<(&str, &OsStr)> =
            environment.iter().map(|(name, value)| (*name, value.as_os_str())).collect();
        // Two programs, one after the other, and the Cloud SDK's dispatcher runs the plugin twice.
        let (environment, limit) = (&environment[..], self.search.limit * 3);
        run(&Question { program, arguments, input: b"", environment, limit, enough })
    }

    /// What the plugin is told, so that it makes a credential out of nothing that is real.
    fn recipe(&self, port: u16) -> io::Result<Recipe> {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect();
        let aws: Vec<(&str, OsString)> = [
            ("AWS_ACCESS_KEY_ID", "AKIAMADEUPFORPREFLIGHT"),
            ("AWS_SECRET_ACCESS_KEY", "made-up-for-the-preflight"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9"),
        ]
        .map(|(name, value)| (name, value.into()))
        .to_vec();
        Ok(match self.plugin.tool {
            Tool::Aws => Recipe {
                arguments: words("--region us-east-1 eks get-token --cluster-name preflight --output json"),
                environment: aws,
            },
            Tool::AwsIamAuthenticator => {
                Recipe { arguments: words("token -i preflight --region us-east-1"), environment: aws }
            }
            Tool::GkeGcloudAuthPlugin => {
                let account = self.folder.join("account.json");
                private(&account, &google_account(port, &self.folder.join("subject"))?)?;
                Recipe {
                    arguments: words("--use_application_default_credentials"),
                    environment: vec![("GOOGLE_APPLICATION_CREDENTIALS", account.into())],
                }
            }
            _ => Recipe {
                arguments: words("get-token --login msi --server-id 6dae42f8-4368-4678-94ff-3960e28e3630"),
                environment: vec![
                    ("IDENTITY_ENDPOINT", format!("http://127.0.0.1:{port}/identity").into()),
                    ("IDENTITY_HEADER", "made-up".into()),
                ],
            },
        })
    }

    /// The whole environment. Version managers keep their settings in the real HOME; everybody else gets an empty one,
    /// since kubelogin and the SDKs keep tokens there.
    fn environment(&self, recipe: &Recipe) -> Vec<(&'static str, OsString)> {
        let is_shim = matches!(self.plugin.kind, Some(Kind::Shim { .. }));
        let home = self.search.home.filter(|_| is_shim).unwrap_or(&self.folder);
        let mut environment = recipe.environment.clone();
        environment.extend(absolute(self.search.path).map(|path| ("PATH", path)));
        for name in ["XDG_CACHE_HOME", "KUBECACHEDIR", "CLOUDSDK_CONFIG"] {
            environment.push((name, self.folder.clone().into_os_string()));
        }
        environment.extend([
            ("HOME", home.into()),
            ("KUBERC", "off".into()),
            ("PYTHONDONTWRITEBYTECODE", "1".into()),
        ]);
        environment
    }

    fn kubeconfig(&self, api: ApiVersion, arguments: &[String], port: u16) -> String {
        serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "preflight", "cluster": {
                "server": format!("https://127.0.0.1:{port}"), "insecure-skip-tls-verify": true}}],
            "contexts": [{"name": "preflight", "context": {"cluster": "preflight", "user": "preflight"}}],
            "current-context": "preflight",
            "users": [{"name": "preflight", "user": {"exec": {
                "apiVersion": api.full_name(), "command": self.plugin.usable(), "args": arguments,
                "interactiveMode": "Never"}}}],
        })
        .to_string()
    }
}

fn version_of(finding: &Finding) -> &Version {
    const UNKNOWN: &Version = &Version::Unknown { printed: None };
    match &finding.state {
        State::Usable { version, .. } => version,
        State::Missing | State::Unusable { .. } => UNKNOWN,
    }
}

/// Why a plugin cannot be run without its cloud.
fn unprovable(plugin: Tool, version: &Version) -> Option<String> {
    let old = match version.numbers() {
        Some(numbers) => numbers < (0, 2, 0),
        None => true,
    };
    (plugin == Tool::Kubelogin && old)
        .then(|| format!("kubelogin below 0.2 makes no token without Azure, and this one's is {version}"))
}

/// An account of Google's that exchanges a made-up token at the listener.
fn google_account(port: u16, subject: &Path) -> io::Result<String> {
    private(subject, "made-up")?;
    let account = serde_json::json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/p",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("http://127.0.0.1:{port}/exchange"),
        "credential_source": {"file": subject},
    });
    Ok(account.to_string())
}

fn private(file: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?.write_all(text.as_bytes())
}
