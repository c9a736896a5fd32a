//! The known troubles of Google Cloud: what gke-gcloud-auth-plugin, Google's token services and its APIs say.

use super::{Row, row};

/// What the plugin, the token services and the APIs say.
pub(in crate::credential) const GOOGLE: &[Row] = &[
    row(
        &["Invalid JWT Signature"],
        "Google does not accept the service account's key",
        "is the key deleted or disabled? Make a new one: gcloud iam service-accounts keys create",
    ),
    row(
        &["account not found"],
        "there is no such service account",
        "check the key file: is its account deleted, or of another project?",
    ),
    row(
        &["Token must be a short-lived token"],
        "the clock of this machine is wrong: Google took the request for one of another time",
        "set the clock (chronyc makestep, timedatectl set-ntp true)",
    ),
    row(
        &["stale to sign-in"],
        "the external account's token has ended",
        "have it renewed in the file that credential_source names",
    ),
    row(
        &["audience in ID Token"],
        "the external account's token is for another audience",
        "have it made for the audience of the workload identity pool's provider",
    ),
    row(
        &["rejected by the attribute condition"],
        "the workload identity pool's provider does not take this token",
        "check the provider's attribute condition against the token's claims",
    ),
    row(
        &["Unable to verify the ID Token signature"],
        "Google does not know who signed the external account's token",
        "check the provider's issuer and its keys",
    ),
    row(
        &["invalid_target"],
        "there is no such workload identity pool or provider",
        "check the audience of the external account; is the pool or its provider disabled or deleted?",
    ),
    row(
        &["iam.serviceAccounts.getAccessToken"],
        "the account may not impersonate the other service account, or there is none",
        "give it the role Service Account Token Creator on the account of impersonateServiceAccount",
    ),
    row(
        &["IAM Service Account Credentials API"],
        "the IAM Service Account Credentials API is not enabled in the account's project",
        "enable it: gcloud services enable iamcredentials.googleapis.com",
    ),
    row(
        &["has not been used in project"],
        "the API is not enabled in the project",
        "check project, or enable it: gcloud services enable container.googleapis.com",
    ),
    row(
        &["SERVICE_DISABLED"],
        "the API is not enabled in the project",
        "check project, or enable it: gcloud services enable container.googleapis.com",
    ),
    row(
        &["container.clusters.get"],
        "the account may not look at the cluster",
        "give it the role Kubernetes Engine Cluster Viewer, or set target.server and target.certificateAuthority",
    ),
    row(&["PERMISSION_DENIED"], "the account has not the right to do that", "check its roles in the project"),
    row(
        &["NOT_FOUND"],
        "there is no such cluster in this project and location",
        "check clusterName, project and location: a zone's cluster is not found in its region",
    ),
    row(
        &["could not find default credentials"],
        "the machine has no Google account of its own, and its metadata server cannot be reached",
        "run the worker on Google Cloud, check the agent's GCE_METADATA_HOST, or use serviceAccountKey",
    ),
    row(
        &["computeMetadata", "404"],
        "the machine has no service account",
        "attach one to the machine, or use serviceAccountKey",
    ),
    row(
        &["metadata"],
        "the machine's metadata server does not answer as it should",
        "is this machine on Google Cloud? Check the agent's GCE_METADATA_HOST, and that no proxy stands before it",
    ),
    row(
        &["x509: certificate signed by unknown authority"],
        "whoever answered for Google has a certificate that is not trusted",
        "name the CA of your proxy in the agent's SSL_CERT_FILE",
    ),
    row(
        &["dial tcp"],
        "Google cannot be reached",
        "check the network, and the agent's HTTPS_PROXY and NO_PROXY",
    ),
    row(
        &["UNAUTHENTICATED"],
        "Google does not accept the account's token",
        "try again; does the key file's universe_domain fit?",
    ),
];
