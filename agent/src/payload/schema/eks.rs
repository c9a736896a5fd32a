//! `target.auth.eks`.

use schemars::JsonSchema;

use super::{Duration, SecretSource, TextSource};

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Eks {
    /// The cluster's name in EKS.
    cluster_name: String,
    /// Such as eu-central-1. Default: read from the server's URL.
    region: Option<String>,
    /// Who logs in; exactly one.
    credentials: Credentials,
    /// The role that is taken on top of that.
    assume_role: Option<Role>,
    /// Which plugin. Default: the aws cli where it can, else aws-iam-authenticator.
    plugin: Option<Plugin>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Credentials {
    /// Keys of a user, or of a session.
    AccessKey(AccessKey),
    /// A role that is taken by a token of OpenID Connect.
    WebIdentity(WebIdentity),
    /// The worker's own: environment, profile, container or instance role.
    Worker(Worker),
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AccessKey {
    /// Such as AKIAIOSFODNN7EXAMPLE.
    access_key_id: TextSource,
    /// The key.
    secret_access_key: SecretSource,
    /// Of keys that end; nobody can renew them.
    session_token: Option<SecretSource>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WebIdentity {
    /// The role.
    role_arn: String,
    /// The token; or tokenFile.
    token: Option<SecretSource>,
    /// A file that somebody renews; or token.
    token_file: Option<String>,
    /// The session's name in CloudTrail. Default: kubestep- and the step's name.
    session_name: Option<String>,
    /// How long the session lasts, 15m to 12h. Default: STS' own, 1h.
    duration: Option<Duration>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Worker {}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Role {
    /// The role.
    role_arn: String,
    /// The session's name in CloudTrail. Default: kubestep- and the step's name.
    session_name: Option<String>,
    /// What the role's owner asks for.
    external_id: Option<String>,
    /// How long the session lasts, 15m to 12h. Default: STS' own, 1h.
    duration: Option<Duration>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Plugin {
    Auto,
    Aws,
    AwsIamAuthenticator,
}
