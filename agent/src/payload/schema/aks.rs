//! `target.auth.aks`.

use schemars::JsonSchema;

use super::SecretSource;

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Aks {
    /// The cluster's name in AKS. Needed, as the next two, without target.server and with admin.
    cluster_name: Option<String>,
    /// Its resource group.
    resource_group: Option<String>,
    /// Its subscription's id.
    subscription_id: Option<String>,
    /// The directory: its id or domain. Needed for all but managedIdentity.
    tenant_id: Option<String>,
    /// The application's id. Needed for all but managedIdentity, where it names one of several.
    client_id: Option<String>,
    /// Which of Azure's clouds. Default: AzureCloud.
    environment: Option<Environment>,
    /// The application's secret. One of clientSecret, clientCertificate, federatedToken, federatedTokenFile and
    /// managedIdentity.
    client_secret: Option<SecretSource>,
    /// The application's certificate and RSA key: a PFX (base64, or fromFile with the binary file), or PEM.
    client_certificate: Option<SecretSource>,
    /// The PFX's password. Default: the empty one.
    client_certificate_password: Option<SecretSource>,
    /// A token of OpenID Connect that the application's federated identity believes; nobody can renew it.
    federated_token: Option<SecretSource>,
    /// A file with such a token, which somebody renews.
    federated_token_file: Option<String>,
    /// The worker's own.
    managed_identity: Option<ManagedIdentity>,
    /// true: the cluster's own administrator instead of the account, where local accounts are not disabled.
    admin: Option<bool>,
    /// The application of Entra that tokens are made for. Default: AKS' own.
    server_id: Option<String>,
}

#[derive(JsonSchema)]
enum Environment {
    #[serde(rename = "AzureCloud")]
    Public,
    #[serde(rename = "AzureChinaCloud")]
    China,
    #[serde(rename = "AzureUSGovernment")]
    UsGovernment,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct ManagedIdentity {}
