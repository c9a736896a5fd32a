//! A session of AWS' STS: what `aws sts` answers, and the files by which the script's own aws tools find the session
//! of now.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::renewal::Life;
use crate::secret::Secret;

/// Keys that end.
pub(super) struct Session {
    pub(super) id: String,
    pub(super) secret: Secret,
    pub(super) token: Secret,
    pub(super) life: Life,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    credentials: Keys,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: String,
}

impl Session {
    /// Reads what `aws sts assume-role…` printed; `None` where that is no session.
    pub(super) fn read(printed: &[u8], now: Timestamp) -> Option<Self> {
        let Answer { credentials: keys } = serde_json::from_slice(printed).ok()?;
        let until: Timestamp = keys.expiration.parse().ok()?;
        let (secret, token) = (Secret::new(keys.secret_access_key), Secret::new(keys.session_token));
        Some(Self { id: keys.access_key_id, secret, token, life: Life { since: now, until } })
    }

    /// What a `credential_process` prints (AWS' own format, version 1).
    pub(super) fn for_process(&self) -> Vec<u8> {
        let document = json!({
            "Version": 1,
            "AccessKeyId": self.id,
            "SecretAccessKey": self.secret.expose(),
            "SessionToken": self.token.expose(),
            "Expiration": self.life.until.to_string(),
        });
        document.to_string().into_bytes()
    }

    pub(super) fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("AWS_ACCESS_KEY_ID", self.id.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret.expose().to_owned()),
            ("AWS_SESSION_TOKEN", self.token.expose().to_owned()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::Session;
    use jiff::Timestamp;

    #[test]
    fn both_aws_clis_answers_are_read() {
        for expiration in ["2026-11-24T11:00:00Z", "2026-11-24T11:00:00+00:00"] {
            let printed = format!(
                r#"{{"Credentials":{{"AccessKeyId":"ASIA","SecretAccessKey":"hunter22","SessionToken":"hunter23",
                "Expiration":"{expiration}"}},"AssumedRoleUser":{{"Arn":"arn"}}}}"#
            );
            let now = Timestamp::UNIX_EPOCH;
            let session = Session::read(printed.as_bytes(), now).expect("a session");
            assert_eq!(session.life.until.to_string(), "2026-11-24T11:00:00Z");
            let document: serde_json::Value = serde_json::from_slice(&session.for_process()).expect("JSON");
            assert_eq!(document["SecretAccessKey"], "hunter22");
            assert_eq!(document["Expiration"], "2026-11-24T11:00:00Z");
        }
        assert!(Session::read(b"{}", Timestamp::UNIX_EPOCH).is_none());
    }
}
