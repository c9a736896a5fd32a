//! `target.auth.gke`.

use schemars::JsonSchema;

use super::SecretSource;

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Gke {
    /// The cluster's name in GKE. Needed, as the next two, without target.server.
    cluster_name: Option<String>,
    /// The project's id.
    project: Option<String>,
    /// A region such as europe-west4, or a zone such as europe-west4-a.
    location: Option<String>,
    /// A service account's key: JSON, or base64 of it. One of serviceAccountKey, externalAccount and vmServiceAccount.
    service_account_key: Option<SecretSource>,
    /// A configuration of workload identity federation (JSON of the type external_account).
    external_account: Option<SecretSource>,
    /// The worker's own.
    vm_service_account: Option<VmServiceAccount>,
    /// The e-mail address of the service account that is used instead.
    impersonate_service_account: Option<String>,
    /// Which of the cluster's endpoints is looked up, where target.server is not given. Default: public.
    endpoint: Option<Endpoint>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Endpoint {
    Public,
    Private,
    Dns,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct VmServiceAccount {}
