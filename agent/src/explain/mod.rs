//! What `run` would do, and why: a plan in words, for people or for machines. No secret is in it.
//!
//! It decides nothing: what is told comes from the plan and from the functions by which `script` and `kubeconfig`
//! do their work.

mod text;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use crate::kubeconfig::{self, Purpose};
use crate::limits::OutputPolicy;
use crate::payload::{Step, Text, is_inherited_by_default};
use crate::plan::{Access, AccountValue, Plan, Route, Warning};
use crate::script::{self, Own, Variable};
use crate::supervise::{self, Choice, Method};

/// The explanation of one step.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    api_version: &'static str,
    kind: &'static str,
    name: String,
    target: Target,
    login: Login,
    script: Script,
    tools: Vec<Tool>,
    environment: Vec<Named>,
    files: Vec<File>,
    limits: Limits,
    tree: Tree,
    kubeconfig: Value,
    warnings: Vec<Warning>,
    notes: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    /// `null` where the account's provider is asked for it.
    server: Option<String>,
    namespace: String,
    namespace_policy: &'static str,
    auth: &'static str,
    trust: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Login {
    how: String,
    reason: String,
    is_renewed: bool,
    until: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Script {
    syntax: &'static str,
    interpreter: PathBuf,
    bytes: usize,
    arguments: Vec<String>,
    /// `null` is a fresh folder.
    working_directory: Option<PathBuf>,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    path: PathBuf,
    version: Option<String>,
}

/// A variable, never its value.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    name: String,
    from: &'static str,
    is_secret: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File {
    name: String,
    bytes: usize,
    is_secret: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    /// In seconds; `null` is without end.
    timeout: Option<f64>,
    /// In seconds.
    grace: f64,
    /// In bytes.
    output: u64,
    output_policy: &'static str,
}

/// What holds the script's processes together.
#[derive(Serialize)]
struct Tree {
    method: Method,
    reason: String,
}

impl Explanation {
    /// Tells a plan.
    #[must_use]
    pub fn new(plan: &Plan, tree: Choice) -> Self {
        let step = &plan.step;
        let (method, reason) = supervise::method(tree);
        Self {
            api_version: "kubestep/v1",
            kind: "StepExplanation",
            name: step.name.clone(),
            target: target(step),
            login: login(&plan.route),
            script: script(plan),
            tools: plan.tools.iter().map(tool).collect(),
            environment: script::variables(plan)
                .into_iter()
                .map(|(name, variable)| named(name, &variable))
                .collect(),
            files: step.files.iter().map(|(name, text)| file(name, text)).collect(),
            limits: Limits {
                timeout: step.limits.timeout.map(|timeout| timeout.as_secs_f64()),
                grace: step.limits.grace.as_secs_f64(),
                output: step.limits.output,
                output_policy: match step.limits.output_policy {
                    OutputPolicy::Truncate => "truncate",
                    OutputPolicy::Fail => "fail",
                },
            },
            tree: Tree { method, reason },
            kubeconfig: kubeconfig::document(plan, &Access::foreseen(plan), Purpose::Show),
            warnings: plan.warnings.clone(),
            notes: notes(plan),
        }
    }

    /// For machines: one JSON document.
    ///
    /// # Errors
    /// None that this type can have.
    pub fn json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// For people: at most 80 columns, unless a single word is longer.
    #[must_use]
    pub fn text(&self) -> String {
        text::render(self)
    }
}

fn target(step: &Step) -> Target {
    let target = &step.target;
    let trust = if target.insecure_skip_tls_verify {
        "none: insecureSkipTlsVerify takes any certificate".to_owned()
    } else if let Some(pem) = &target.certificate_authority {
        match pem.matches("-----BEGIN CERTIFICATE-----").count() {
            1 => "one certificate of the payload's own".to_owned(),
            count => format!("{count} certificates of the payload's own"),
        }
    } else if target.server.is_none() {
        "what the account's provider says of its cluster".to_owned()
    } else {
        "the system's roots".to_owned()
    };
    let (server, namespace) = (target.server.clone(), target.namespace.clone());
    let namespace_policy = target.namespace_policy.word();
    Target { server, namespace, namespace_policy, auth: target.auth.method(), trust }
}

fn login(route: &Route) -> Login {
    let Route { how, reason, is_renewed, until, .. } = route;
    let (how, reason) = (how.clone(), reason.clone());
    Login { how, reason, is_renewed: *is_renewed, until: until.map(|until| until.to_string()) }
}

fn script(plan: &Plan) -> Script {
    let script = &plan.step.script;
    Script {
        syntax: "bash",
        interpreter: plan.bash.clone(),
        bytes: script.body.size(),
        arguments: script.arguments.clone(),
        working_directory: script.working_directory.clone(),
    }
}

fn tool(tool: &crate::plan::ChosenTool) -> Tool {
    Tool { name: tool.name, path: tool.path.clone(), version: tool.version.clone() }
}

fn named(name: &str, variable: &Variable<'_>) -> Named {
    let from = match variable {
        Variable::Payload(_) => "the payload",
        Variable::Account(_) => "the account",
        Variable::Inherited(_) if is_inherited_by_default(name) => "the agent, by default",
        Variable::Inherited(_) => "the agent, by inheritEnvironment",
        Variable::Own(Own::Path) => "kubestep: the chosen tools, then the PATH",
        Variable::Own(Own::Tmpdir | Own::Kubeconfig | Own::Step | Own::Namespace | Own::Kuberc) => "kubestep",
    };
    let is_secret = matches!(
        variable,
        Variable::Payload(Text::Secret(_))
            | Variable::Inherited(Text::Secret(_))
            | Variable::Account(AccountValue::Text(Text::Secret(_)))
    );
    Named { name: name.to_owned(), from, is_secret }
}

fn file(name: &str, text: &Text) -> File {
    File { name: name.to_owned(), bytes: text.size(), is_secret: matches!(text, Text::Secret(_)) }
}

fn notes(plan: &Plan) -> Vec<String> {
    let step = &plan.step;
    let mut notes: Vec<String> = plan.notes.clone();
    for field in &step.in_clear {
        notes.push(format!("the secret of {field} stands in the payload in clear"));
    }
    if !plan.route.is_renewed && plan.login.cloud().is_none() {
        notes.push(match plan.route.until {
            Some(until) => format!("the login ends at {until} and cannot be renewed"),
            None => "the login cannot be renewed: it has to last as long as the script".to_owned(),
        });
    }
    if step.limits.timeout.is_none() {
        notes.push("the script may run without end: limits.timeout is not set".to_owned());
    }
    notes.extend(overrides(&step.inherited));
    notes.extend(step.operator.keys().map(|name| format!("{name} of the agent is in force for the login")));
    notes
}

/// What the operator's environment changes for this step.
fn overrides(inherited: &BTreeMap<String, Text>) -> impl Iterator<Item = String> {
    const KNOWN: [(&str, &str); 3] = [
        ("SSL_CERT_FILE", "takes the place of the system's roots"),
        ("SSL_CERT_DIR", "takes the place of the system's roots"),
        ("https_proxy", "is the way to the cluster, where target.proxyUrl and no_proxy do not say otherwise"),
    ];
    let set = KNOWN.into_iter().filter(|(name, _)| inherited.contains_key(*name));
    set.map(|(name, effect)| format!("{name} of the agent is in force: it {effect}"))
}
