//! The payload's shape as types, for its JSON Schema only: what an editor completes and a generator reads.
//!
//! `wire` is what reads payloads; a test compares the two field by field. The descriptions are the contract's.

#![expect(dead_code, reason = "these types are never made: they exist for what schemars derives from them")]

mod aks;
mod eks;
mod gke;
mod queueing;

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// The JSON Schema of a payload.
#[must_use]
pub fn schema() -> Schema {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Step>();
    RecursiveTransform(without_null).transform(&mut schema);
    schema
}

/// A field of a payload may be absent, but not empty, whereas `Option` says that it may be `null`.
fn without_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|one| one != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type") != Some(&Value::from("null")));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            // What the field says of itself stays; the type's own words are in its definition.
            for (name, value) in only {
                schema.ensure_object().entry(name).or_insert(value);
            }
        }
    }
}

/// A deployment step for kubestep.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Step {
    /// The version of this contract.
    api_version: ApiVersion,
    /// What this document is.
    kind: Kind,
    /// Which step it is.
    metadata: Metadata,
    /// The cluster, and the account to use there.
    target: Target,
    /// What is run.
    script: Script,
    /// Files that are written into the working directory first, 0600, by relative name.
    files: Option<BTreeMap<String, TextSource>>,
    /// Variables of the script. A value from fromEnv or fromFile is a secret.
    environment: Option<BTreeMap<String, TextSource>>,
    /// Names or globs of the agent's own variables that the script gets, on top of the default list.
    inherit_environment: Option<Vec<String>>,
    /// More values to mask.
    secrets: Option<Vec<SecretSource>>,
    /// Tools without which the step must not start. kubectl always is one.
    requires: Option<Vec<Tool>>,
    /// Tools at a path of the payload's choice; they stand first on the script's PATH.
    tools: Option<BTreeMap<Tool, String>>,
    /// true: shows the kubeconfig before the script, its secrets replaced by REDACTED.
    output_kube_config: Option<bool>,
    /// Who runs the plugin of a cloud's account: the agent, once, or kubectl at every call. Default: broker.
    credentials: Option<Credentials>,
    /// Bounds on the step.
    limits: Option<Limits>,
    /// For a queue: no worker gets the step earlier.
    not_before: Option<queueing::Time>,
    /// For a queue: no worker gets the step at this time or later.
    not_after: Option<queueing::Time>,
    /// For a queue: one running step a key; none allows any. Default: server and namespace.
    concurrency_key: Option<queueing::Key>,
    /// For a queue: whether the step may be run again. Default: never.
    retry: Option<queueing::Retry>,
}

#[derive(JsonSchema)]
enum ApiVersion {
    #[serde(rename = "kubestep/v1")]
    V1,
}

#[derive(JsonSchema)]
enum Kind {
    Step,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Metadata {
    /// The step's name.
    #[schemars(regex(pattern = "^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$"))]
    name: String,
    /// Echoed in the result.
    labels: Option<BTreeMap<String, String>>,
}

/// A text, or where it comes from.
#[derive(JsonSchema)]
#[schemars(inline)]
#[serde(untagged)]
enum TextSource {
    /// The text itself.
    Text(String),
    /// Where it comes from.
    From(Source),
}

/// A secret: a text, or where it comes from. It is masked from the start of the log on.
#[derive(JsonSchema)]
#[schemars(inline)]
#[serde(untagged)]
enum SecretSource {
    /// The secret itself; it stands in the payload in clear.
    Text(String),
    /// Where it comes from.
    From(Source),
}

/// Exactly one of these.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Source {
    /// The text itself.
    Value(String),
    /// The name of a variable of the agent.
    FromEnv(String),
    /// A file, relative to the payload's folder; one newline at its end is cut.
    FromFile(String),
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Target {
    /// The cluster's URL; https only. Absent with auth.inCluster and auth.kubeconfig. With auth.eks, aks and gke it may
    /// be absent: the account finds it.
    #[schemars(regex(pattern = "^[Hh][Tt][Tt][Pp][Ss]://[^?#@]+$"))]
    server: Option<String>,
    /// The cluster's CA: PEM, several certificates allowed, or base64 of PEM. Without it, the system's roots.
    certificate_authority: Option<TextSource>,
    /// Does not check the server's certificate; never together with certificateAuthority.
    insecure_skip_tls_verify: Option<bool>,
    /// The name in the server's certificate, where it is not the server's own.
    tls_server_name: Option<String>,
    /// An http, https or socks5 proxy.
    proxy_url: Option<SecretSource>,
    /// The namespace.
    #[schemars(regex(pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))]
    namespace: Option<String>,
    /// What the namespace has to be before the script begins. Default: create.
    namespace_policy: Option<NamespacePolicy>,
    /// The account; exactly one.
    auth: Auth,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
enum NamespacePolicy {
    /// It is made where it is not there, and only then.
    Create,
    /// It must be there.
    Require,
    /// Nobody is asked.
    Skip,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Auth {
    /// A bearer token.
    Token(SecretSource),
    /// Basic authentication.
    UsernamePassword(UsernamePassword),
    /// A client certificate.
    ClientCertificate(ClientCertificate),
    /// A token file that somebody else renews.
    ServiceAccount(ServiceAccount),
    /// The pod's own account.
    InCluster(InCluster),
    /// One context of somebody's kubeconfig.
    Kubeconfig(Kubeconfig),
    /// An account of AWS, at a cluster of EKS.
    Eks(eks::Eks),
    /// An account of Azure, at a cluster of AKS.
    Aks(aks::Aks),
    /// An account of Google Cloud, at a cluster of GKE.
    Gke(gke::Gke),
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Credentials {
    /// The agent asks the plugin before the script, and keeps the credential fresh.
    Broker,
    /// The kubeconfig names the plugin.
    Exec,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct UsernamePassword {
    /// The name; no colon.
    username: TextSource,
    /// The password.
    password: SecretSource,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClientCertificate {
    /// PEM or base64 of PEM; a chain is kept. With privateKey, instead of pfx.
    certificate: Option<TextSource>,
    /// PEM or base64 of PEM; not encrypted; it belongs to the certificate.
    private_key: Option<SecretSource>,
    /// A PFX (PKCS#12): base64, or fromFile with the binary file. Instead of certificate and privateKey.
    pfx: Option<SecretSource>,
    /// The PFX's password. Default: the empty one.
    password: Option<SecretSource>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ServiceAccount {
    /// The kubeconfig names this file itself, so that rotation works.
    token_file: String,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct InCluster {}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Kubeconfig {
    /// The kubeconfig, YAML or JSON; relative paths in it need fromFile, and go by that file's folder.
    content: SecretSource,
    /// The context that is used. Default: its current-context.
    context: Option<String>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Script {
    /// The script's language.
    syntax: Option<Syntax>,
    /// The script's text; body or file, not both.
    body: Option<String>,
    /// The script's file, relative to the payload's folder.
    file: Option<String>,
    /// Its arguments; one that holds a secret is refused.
    arguments: Option<Vec<String>>,
    /// A folder of your own; the default is a fresh one.
    working_directory: Option<String>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Syntax {
    Bash,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Limits {
    /// How long the script may run, such as 30s, 5m or 1h30m. Default: without end.
    timeout: Option<Duration>,
    /// The time between TERM and KILL. Default: 10s.
    grace: Option<Duration>,
    /// How long one login of a cloud's account may take. Default: 60s.
    login: Option<Duration>,
    /// How much the script may write to stdout and stderr together, such as 64MiB. Default: 1GiB.
    output: Option<Size>,
    /// What happens to a script that writes more: truncate drops the rest, fail ends it. Default: truncate.
    output_policy: Option<OutputPolicy>,
}

/// Such as 512KiB, 64MiB or 1GiB.
#[derive(JsonSchema)]
#[schemars(inline)]
struct Size(#[schemars(regex(pattern = "^[0-9]+([KMGT]i)?B$"))] String);

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
enum OutputPolicy {
    Truncate,
    Fail,
}

/// Such as 500ms, 30s, 5m, 2h or 1h30m.
#[derive(JsonSchema)]
#[schemars(inline)]
struct Duration(#[schemars(regex(pattern = "^(?=.)([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"))] String);

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Tool {
    Kubectl,
    Helm,
    Jq,
    Xargs,
    Base64,
    Bash,
    Aws,
    AwsIamAuthenticator,
    Kubelogin,
    GkeGcloudAuthPlugin,
}
