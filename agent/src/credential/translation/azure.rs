//! The known troubles of Azure: Entra's codes (`AADSTS90002:`; the colon tells it from longer ones), and what kubelogin and the management API say.

use super::{Row, row};

/// What kubelogin, Entra and the management API say.
pub(in crate::credential) const AZURE: &[Row] = &[
    row(
        &["AADSTS7000215:"],
        "the client secret is wrong",
        "check clientSecret: its value is needed, not its id; it belongs to the application of clientId",
    ),
    row(
        &["AADSTS7000222:"],
        "the client secret has expired",
        "make a new one for the application: az ad app credential reset --id CLIENT-ID --append",
    ),
    row(
        &["AADSTS700016:"],
        "there is no such application in this directory",
        "check clientId and tenantId, and environment: each of Azure's clouds has directories of its own",
    ),
    row(
        &["AADSTS90002:"],
        "there is no such directory",
        "check tenantId, and environment: each of Azure's clouds has directories of its own",
    ),
    row(&["AADSTS900023:"], "tenantId is neither an id nor a domain of a directory", "check tenantId"),
    row(
        &["AADSTS700024:"],
        "the federated token, or this machine's clock, is not within its time",
        "have a new token made for each step, or name a file that is renewed (federatedTokenFile); is the clock right?",
    ),
    row(
        &["AADSTS700213:"],
        "the application has no federated identity for this token's subject",
        "add one with this very issuer, subject and audience: az ad app federated-credential create",
    ),
    row(
        &["AADSTS700211:"],
        "the application has no federated identity for this token's issuer",
        "add one with this very issuer, subject and audience: az ad app federated-credential create",
    ),
    row(
        &["AADSTS700212:"],
        "the federated token is for another audience",
        "have it made for the audience api://AzureADTokenExchange",
    ),
    row(
        &["AADSTS70021:"],
        "the application has no federated identity for this token",
        "add one with this very issuer, subject and audience: az ad app federated-credential create",
    ),
    row(
        &["AADSTS700027:"],
        "the certificate is not one of the application's",
        "upload it to the application of clientId (Certificates & secrets); is it the right one, and not ended?",
    ),
    row(
        &["AADSTS500011:"],
        "the directory does not know the application that the token is for",
        "check serverId and tenantId: the cluster and the account have to be in one directory",
    ),
    row(
        &["AADSTS65001:"],
        "the application is not allowed to ask for this token",
        "have an administrator of the directory consent to it",
    ),
    row(
        &["AADSTS53003:"],
        "a conditional access policy of the directory refuses this machine or application",
        "ask the directory's administrator, who finds the reason in the sign-in log",
    ),
    row(&["AADSTS50034:"], "the directory does not know the account", "check clientId and tenantId"),
    row(
        &["AADSTS50196:"],
        "Entra refuses the application for a while: it asked too often",
        "wait some minutes; do many steps log in at once?",
    ),
    row(
        &["is set to disable local accounts"],
        "the cluster's local accounts are disabled, so that it has no administrator to hand out",
        "leave admin out, and give the account a role in the cluster (kubelogin then logs in)",
    ),
    row(
        &["AuthorizationFailed", "listClusterAdminCredential"],
        "the account may not have the cluster's administrator",
        "give it the role Azure Kubernetes Service Cluster Admin Role, or leave admin out",
    ),
    row(
        &["AuthorizationFailed"],
        "the account may not look at the cluster",
        "give it the role Azure Kubernetes Service Cluster User Role, or set target.server and \
         target.certificateAuthority",
    ),
    row(
        &["SubscriptionNotFound"],
        "there is no such subscription, or the account has no part in it",
        "check subscriptionId and environment, and give the account a role in the subscription",
    ),
    row(
        &["ResourceGroupNotFound"],
        "there is no such resource group in the subscription",
        "check resourceGroup and subscriptionId",
    ),
    row(
        &["ResourceNotFound"],
        "there is no such cluster",
        "check clusterName, resourceGroup and subscriptionId",
    ),
    row(
        &["InvalidAuthenticationTokenTenant"],
        "the subscription belongs to another directory than the account",
        "check tenantId and subscriptionId",
    ),
    row(
        &["InvalidAuthenticationToken"],
        "the management API does not accept the account's token",
        "check environment, and the agent's AZURE_AUTHORITY_HOST and AZURE_RESOURCE_MANAGER_ENDPOINT",
    ),
    row(
        &["Identity not found"],
        "the machine has no such managed identity",
        "check clientId, and assign the identity to the machine",
    ),
    row(
        &["ManagedIdentityCredential"],
        "the machine's managed identity cannot be had",
        "assign an identity to the machine; is its metadata service (169.254.169.254) reachable, past any proxy?",
    ),
    row(
        &["should have a trailing slash"],
        "the agent's AZURE_AUTHORITY_HOST is none that kubelogin takes",
        "write it as https://HOST/",
    ),
    row(
        &["cannot use an authority host without https"],
        "the agent's AZURE_AUTHORITY_HOST is none that kubelogin takes",
        "write it as https://HOST/",
    ),
    row(
        &["x509: certificate signed by unknown authority"],
        "whoever answered for Entra has a certificate that is not trusted",
        "name the CA of your proxy in the agent's SSL_CERT_FILE",
    ),
    row(
        &["unknown flag"],
        "this kubelogin is too old, or another program of that name",
        "install Azure's kubelogin 0.2.0 or later: https://azure.github.io/kubelogin/install.html",
    ),
    row(
        &["unable to resolve an endpoint"],
        "Entra cannot be reached",
        "check the network, and the agent's HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE",
    ),
];
