//! What the tools' own words mean, and what to do about it: a table, one row a known trouble.
//!
//! A row matches where all of its words stand in what was printed. The first one that matches is told; the tool's own
//! words always follow it. Each cloud's rows have a file of their own.

mod aws;
mod azure;
mod google;

use crate::payload::Auth;

pub(super) use aws::AWS;
pub(super) use azure::AZURE;
pub(super) use google::GOOGLE;

/// A trouble that is known.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// All of these stand in the tool's words.
    pub words: &'static [&'static str],
    /// What it means.
    pub cause: &'static str,
    /// What to do.
    pub fix: &'static str,
}

const fn row(words: &'static [&'static str], cause: &'static str, fix: &'static str) -> Row {
    Row { words, cause, fix }
}

/// What kubectl says when the cluster does not accept a login.
pub const KUBECTL: &[Row] = &[
    row(
        &["exec plugin: invalid apiVersion"],
        "this kubectl does not know the plugin's version of the credential",
        "install a newer plugin, or let kubestep ask it (credentials: broker)",
    ),
    row(
        &["exec plugin is configured to use API version"],
        "the plugin answers in another version than the kubeconfig says",
        "install a newer plugin, or let kubestep ask it (credentials: broker)",
    ),
    row(
        &["no kind \"ExecCredential\" is registered"],
        "this kubectl does not know the plugin's version of the credential",
        "install a newer plugin, or let kubestep ask it (credentials: broker)",
    ),
    row(
        &["gke-gcloud-auth-plugin", "not found"],
        "the plugin is not on the PATH",
        "install gke-gcloud-auth-plugin (gcloud components install gke-gcloud-auth-plugin, or Google's package)",
    ),
    row(
        &["kubelogin", "not found"],
        "the plugin is not on the PATH",
        "install kubelogin: https://azure.github.io/kubelogin/install.html",
    ),
];

/// What to do where the cluster does not know an account that has logged in.
#[must_use]
pub fn unauthorized(auth: &Auth) -> &'static str {
    match auth {
        Auth::Eks(_) => {
            "the login worked, but the cluster knows no such identity: give it an access entry (aws eks \
             create-access-entry) or a line in the ConfigMap aws-auth; check clusterName, which is part of the token"
        }
        Auth::Aks(_) => {
            "the login worked, but the cluster takes it for nobody: is Entra's integration on, with the account's own \
             directory (tenantId), and serverId the cluster's?"
        }
        Auth::Gke(_) => {
            "the login worked, but the cluster takes it for nobody: give the account the role Kubernetes Engine \
             Developer in the cluster's project; is target.server that very cluster?"
        }
        Auth::Token(_)
        | Auth::UsernamePassword { .. }
        | Auth::ClientCertificate { .. }
        | Auth::ServiceAccount { .. }
        | Auth::InCluster { .. }
        | Auth::Kubeconfig(_) => "is the credential expired, or one for another cluster?",
    }
}

/// The row that these words match.
#[must_use]
pub fn translate(table: &'static [Row], printed: &str) -> Option<&'static Row> {
    // Azure writes the names of rights as they were asked for, and in small letters.
    let printed = printed.to_lowercase();
    table.iter().find(|row| row.words.iter().all(|word| printed.contains(&word.to_lowercase())))
}

#[cfg(test)]
mod tests {
    use super::{AWS, AZURE, GOOGLE, KUBECTL, translate};

    #[test]
    fn no_row_hides_behind_one_above_it() {
        for table in [AWS, AZURE, GOOGLE, KUBECTL] {
            for row in table {
                let printed = row.words.join(" … ");
                assert_eq!(translate(table, &printed), Some(row), "{printed}");
            }
        }
    }

    #[test]
    fn every_row_says_what_to_do() {
        for row in [AWS, AZURE, GOOGLE, KUBECTL].into_iter().flatten() {
            assert!(!row.words.is_empty() && !row.cause.is_empty() && !row.fix.is_empty());
        }
    }
}
