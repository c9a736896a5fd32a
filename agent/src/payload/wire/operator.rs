//! The operator's variables that say where a cloud's login is sent, or are the worker's own account (payload.md 0).
//!
//! Promise: a payload can neither set nor change them; what is named like a secret is one.

use std::collections::BTreeMap;

use super::inherit::judged;
use crate::payload::aks::AzureCredentials;
use crate::payload::eks::AwsCredentials;
use crate::payload::fields::Reader;
use crate::payload::gke::GoogleCredentials;
use crate::payload::trust::glob_os;
use crate::payload::{Auth, Text};
use crate::secret::Secret;

/// For every account of AWS.
const AWS: [&str; 3] = ["AWS_ENDPOINT_URL_EKS", "AWS_ENDPOINT_URL_STS", "AWS_CA_BUNDLE"];

/// For the worker's own: its keys, profile, container's or instance's role.
const AWS_WORKER: [&str; 1] = ["AWS_*"];

/// For every account of Azure.
const AZURE: [&str; 2] = ["AZURE_AUTHORITY_HOST", "AZURE_RESOURCE_MANAGER_ENDPOINT"];

/// For the worker's own.
const AZURE_WORKER: [&str; 4] =
    ["AZURE_AUTHORITY_HOST", "AZURE_RESOURCE_MANAGER_ENDPOINT", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"];

/// For every account of Google Cloud.
const GOOGLE: [&str; 2] =
    ["CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER", "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS"];

/// For the worker's own.
const GOOGLE_WORKER: [&str; 3] = [
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS",
    "GCE_METADATA_HOST",
];

pub(super) fn read(reader: &Reader<'_>, auth: &Auth) -> BTreeMap<String, Text> {
    let patterns: &[&str] = match auth {
        Auth::Eks(eks) if matches!(eks.credentials, AwsCredentials::Worker) => &AWS_WORKER,
        Auth::Eks(_) => &AWS,
        Auth::Aks(aks) if matches!(aks.credentials, AzureCredentials::ManagedIdentity) => &AZURE_WORKER,
        Auth::Aks(_) => &AZURE,
        Auth::Gke(gke) if matches!(gke.credentials, GoogleCredentials::VmServiceAccount) => &GOOGLE_WORKER,
        Auth::Gke(_) => &GOOGLE,
        Auth::Token(_)
        | Auth::UsernamePassword { .. }
        | Auth::ClientCertificate { .. }
        | Auth::ServiceAccount { .. }
        | Auth::InCluster { .. }
        | Auth::Kubeconfig(_) => &[],
    };
    let named = |name: &std::ffi::OsStr| patterns.iter().any(|pattern| glob_os(pattern, name));
    let environment = reader.environment_there();
    let found = environment.iter().filter(|(name, value)| named(name) && !value.is_empty());
    let text = found.filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
    text.map(|(name, value)| (name.to_owned(), judged_operator(name, value))).collect()
}

/// A file's name is no secret, whatever the file holds; a managed identity's header is one, whatever it is called.
fn judged_operator(name: &str, value: &str) -> Text {
    match name {
        "IDENTITY_HEADER" => Text::Secret(Secret::new(value.to_owned())),
        name if name.ends_with("_FILE") => Text::Plain(value.to_owned()),
        name => judged(name, value),
    }
}
