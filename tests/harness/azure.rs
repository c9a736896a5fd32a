//! Azure, as the clouds' stand-in plays it: applications of Entra, managed identities, AKS clusters in the management
//! API. Every test has a tenant and a subscription of its own.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::clouds::{Clouds, text};

/// The server application of every AKS cluster with Entra.
pub(crate) const SERVER_ID: &str = "6dae42f8-4368-4678-94ff-3960e28e3630";
/// The audience of a workload's token that Entra takes.
pub(crate) const FEDERATION: &str = "api://AzureADTokenExchange";

/// A tenant.
pub(crate) struct Azure {
    clouds: &'static Clouds,
    pub(crate) tenant: String,
    pub(crate) subscription: String,
}

/// An application.
pub(crate) struct App {
    pub(crate) client: String,
    /// Its service principal's object: the name by which the cluster knows it.
    pub(crate) object: String,
    pub(crate) secret: String,
    /// Certificate and key; empty without them.
    pub(crate) pem: String,
    /// The same as PFX, base64, as OpenSSL 3 writes it by default.
    pub(crate) pfx: String,
    pub(crate) pfx_password: String,
}

impl Azure {
    pub(super) fn new(clouds: &'static Clouds) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = |kind: &str| format!("{kind}-0000-4000-8000-{number:012}");
        Self { clouds, tenant: id("7e4a4700"), subscription: id("50b50000") }
    }

    /// An application that logs in by its secret.
    pub(crate) fn app(&self) -> App {
        self.app_with(json!({}))
    }

    /// An application with something about it: `certificate` (true), `subjects` of workloads' tokens, `lifetime` in
    /// seconds, `secret_ended` (true), `trouble` (html, empty, huge, slow, unavailable).
    pub(crate) fn app_with(&self, mut about: Value) -> App {
        about["tenant"] = json!(self.tenant);
        let answer = self.clouds.act("azure.app", about);
        let value = |name: &str| text(&answer[name]).to_owned();
        let maybe = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        App {
            client: value("clientId"),
            object: value("objectId"),
            secret: value("clientSecret"),
            pem: maybe("pem"),
            pfx: maybe("pfx"),
            pfx_password: maybe("pfxPassword"),
        }
    }

    /// A machine with this application as its managed identity: its environment.
    pub(crate) fn identity(&self, app: &App) -> [(&'static str, String); 2] {
        let answer = self.clouds.act("azure.identity", json!({"client": app.client}));
        let value = |name: &str| text(&answer[name]).to_owned();
        [("IDENTITY_ENDPOINT", value("endpoint")), ("IDENTITY_HEADER", value("header"))]
    }

    /// A cluster in the resource group `group`: `server`, `authority` (base64 of PEM); and, if wished, `admin_user` (a
    /// kubeconfig's user), `entra` and `local_accounts` (true), `denied` (ids of clients), `trouble`, `power`,
    /// `user_kubeconfig`.
    pub(crate) fn cluster(&self, name: &str, mut about: Value) {
        let place = [("subscription", self.subscription.as_str()), ("group", "group"), ("name", name)];
        for (key, value) in place.into_iter().chain([("tenant", self.tenant.as_str())]) {
            about[key] = json!(value);
        }
        self.clouds.act("azure.cluster", about);
    }

    /// From now on the cluster refuses what was issued before `time` (seconds since 1970) to this application.
    pub(crate) fn refuse_before(&self, app: &App, time: i64) {
        self.clouds.act("azure.refuse_before", json!({"subject": app.client, "time": time}));
    }
}
