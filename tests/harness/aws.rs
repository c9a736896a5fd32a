//! AWS, as the clouds' stand-in plays it: accounts, users, roles, clusters, instances. Every test has an account of
//! its own, so that names do not meet.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::clouds::{Clouds, text};

/// The region of everything that a test does not say otherwise.
pub(crate) const REGION: &str = "eu-west-1";

/// An account of AWS.
pub(crate) struct Aws {
    clouds: &'static Clouds,
    /// Its number.
    pub(crate) account: String,
}

/// Keys of a user or a session, and whom they stand for.
pub(crate) struct Keys {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    /// Of a session only.
    pub(crate) session_token: Option<String>,
    /// The name by which the cluster knows them.
    pub(crate) arn: String,
}

/// Who may assume a role.
#[derive(Default)]
pub(crate) struct Trust<'a> {
    /// ARNs of users and roles.
    pub(crate) principals: &'a [&'a str],
    pub(crate) external_id: Option<&'a str>,
    /// Subjects of web identity tokens, whose audience is `sts.amazonaws.com`.
    pub(crate) subjects: &'a [&'a str],
}

impl Aws {
    pub(super) fn new(clouds: &'static Clouds) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(111_100_000_000);
        Self { clouds, account: NEXT.fetch_add(1, Ordering::Relaxed).to_string() }
    }

    /// A user with a new access key; the cluster knows it.
    pub(crate) fn user(&self, name: &str) -> Keys {
        Keys::from(&self.clouds.act("aws.user", json!({"account": self.account, "name": name})))
    }

    /// A user that AWS knows, and the cluster does not.
    pub(crate) fn unmapped_user(&self, name: &str) -> Keys {
        let arguments = json!({"account": self.account, "name": name, "mapped": false});
        Keys::from(&self.clouds.act("aws.user", arguments))
    }

    /// A role, by its ARN; sessions last up to an hour.
    pub(crate) fn role(&self, name: &str, trust: &Trust<'_>) -> String {
        let answer = self.clouds.act(
            "aws.role",
            json!({
                "account": self.account, "name": name, "trusts": trust.principals,
                "external_id": trust.external_id, "subjects": trust.subjects,
            }),
        );
        text(&answer["arn"]).to_owned()
    }

    /// A session of a role; a negative `duration`, in seconds, has ended.
    pub(crate) fn session(&self, role: &str, duration: i32) -> Keys {
        Keys::from(&self.clouds.act("aws.session", json!({"role": role, "duration": duration})))
    }

    /// A cluster of this account. Its tokens are taken by the control plane of the tests; describing it tells
    /// `endpoint`, and `authority` (base64 of PEM).
    pub(crate) fn cluster(&self, name: &str, endpoint: &str, authority: &str) {
        self.cluster_with(name, json!({"endpoint": endpoint, "certificate_authority": authority}));
    }

    /// A cluster with something about it: `status`, `denied` (ARNs), `trouble` (html, empty, huge, slow, unavailable).
    pub(crate) fn cluster_with(&self, name: &str, mut about: Value) {
        about["account"] = json!(self.account);
        about["region"] = json!(REGION);
        about["name"] = json!(name);
        self.clouds.act("aws.cluster", about);
    }

    /// An instance with this role (an empty one: none): its `AWS_EC2_METADATA_SERVICE_ENDPOINT`.
    pub(crate) fn instance(&self, role: &str) -> String {
        text(&self.clouds.act("aws.instance", json!({"role": role, "region": REGION}))["endpoint"]).to_owned()
    }

    /// A container with this role: its environment.
    pub(crate) fn container(&self, role: &str) -> [(&'static str, String); 2] {
        let answer = self.clouds.act("aws.container", json!({"role": role}));
        let value = |name: &str| text(&answer[name]).to_owned();
        [
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", value("uri")),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", value("authorization")),
        ]
    }

    /// From now on the cluster refuses what was issued before `time` (seconds since 1970) to this key's id or ARN.
    pub(crate) fn refuse_before(&self, subject: &str, time: i64) {
        self.clouds.act("aws.refuse_before", json!({"subject": subject, "time": time}));
    }
}

impl Keys {
    fn from(answer: &Value) -> Self {
        let value = |name: &str| text(&answer[name]).to_owned();
        Self {
            access_key_id: value("accessKeyId"),
            secret_access_key: value("secretAccessKey"),
            session_token: answer["sessionToken"].as_str().map(str::to_owned),
            arn: value("arn"),
        }
    }

    /// As a program's environment has them.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![
            ("AWS_ACCESS_KEY_ID", self.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_access_key.clone()),
        ];
        all.extend(self.session_token.clone().map(|token| ("AWS_SESSION_TOKEN", token)));
        all
    }
}
