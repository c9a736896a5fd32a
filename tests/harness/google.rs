//! Google, as the clouds' stand-in plays it: service accounts, workload identity pools, machines, GKE clusters. Every
//! test has a project of its own.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::clouds::{Clouds, text};

/// A project.
pub(crate) struct Google {
    clouds: &'static Clouds,
    pub(crate) project: String,
}

/// A service account.
pub(crate) struct Account {
    /// The name by which the cluster knows it.
    pub(crate) email: String,
    /// Its key, as the JSON that Google gives.
    pub(crate) key: String,
}

impl Google {
    pub(super) fn new(clouds: &'static Clouds) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Self { clouds, project: format!("project-{}", NEXT.fetch_add(1, Ordering::Relaxed)) }
    }

    /// A service account with a key.
    pub(crate) fn account(&self, name: &str) -> Account {
        self.account_with(name, json!({}))
    }

    /// A service account with something about it: `impersonators` (e-mail addresses, principals), `lifetime` of its
    /// tokens in seconds, `token_uri` in its key, `trouble` (html, empty, huge, slow, unavailable).
    pub(crate) fn account_with(&self, name: &str, mut about: Value) -> Account {
        about["project"] = json!(self.project);
        about["name"] = json!(name);
        let answer = self.clouds.act("google.account", about);
        Account { email: text(&answer["email"]).to_owned(), key: text(&answer["key"]).to_owned() }
    }

    /// A pool that takes this subject of workloads' tokens: the audience of an `external_account`, and the principal
    /// that the subject is. The workload's token is for `https:` and the audience.
    pub(crate) fn pool(&self, subject: &str) -> (String, String) {
        let answer = self.clouds.act("google.pool", json!({"project": self.project, "subjects": [subject]}));
        (text(&answer["audience"]).to_owned(), text(&answer["principals"][subject]).to_owned())
    }

    /// A machine that runs as this account: its `GCE_METADATA_HOST`.
    pub(crate) fn machine(&self, account: &Account) -> String {
        let arguments = json!({"email": account.email, "project": self.project});
        text(&self.clouds.act("google.machine", arguments)["host"]).to_owned()
    }

    /// A cluster at a zone or a region: `endpoint` (a host, with a port where it is not 443), `authority` (base64 of
    /// PEM); and, if wished, `private` and `dns` (hosts), `status`, `denied` (principals), `disabled` (the API is not
    /// enabled), `trouble`.
    pub(crate) fn cluster(&self, location: &str, name: &str, mut about: Value) {
        for (key, value) in [("project", self.project.as_str()), ("location", location), ("name", name)] {
            about[key] = json!(value);
        }
        self.clouds.act("google.cluster", about);
    }

    /// From now on the cluster refuses what was issued before `time` (seconds since 1970) to this principal.
    pub(crate) fn refuse_before(&self, principal: &str, time: i64) {
        self.clouds.act("google.refuse_before", json!({"subject": principal, "time": time}));
    }
}

/// The URL by which a token of this account is asked for.
pub(crate) fn impersonation_url(account: &Account) -> String {
    let host = "https://iamcredentials.googleapis.com";
    format!("{host}/v1/projects/-/serviceAccounts/{}:generateAccessToken", account.email)
}
