//! What a plugin answers: an ExecCredential of any version (client.authentication.k8s.io), judged before anybody
//! uses it. No part of an answer gets into a message.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;

use crate::secret::Secret;

/// A credential that a plugin gave.
pub(super) struct Answer {
    pub(super) proof: Proof,
    /// When it ends, where the plugin says so.
    pub(super) until: Option<Timestamp>,
}

/// What shows who one is.
pub(super) enum Proof {
    /// A bearer token.
    Token(Secret),
    /// A client certificate and its key, PEM.
    Certificate { certificate: String, private_key: Secret },
}

/// Why an answer is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("it printed nothing")]
    Empty,
    #[error("it printed something other than one JSON document")]
    NotJson,
    #[error("it printed a JSON document that is no ExecCredential")]
    NotCredential,
    #[error("its answer holds neither a token nor a certificate with a key")]
    NothingUsable,
    #[error(
        "the token that it gave holds a line break, a blank or another character that no request can carry"
    )]
    BadToken,
    #[error("its answer says until when it holds in a form that is no RFC 3339 time")]
    BadTime,
    #[error("the credential that it gave has ended already")]
    Ended,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential {
    kind: Option<String>,
    api_version: Option<String>,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<String>,
}

/// Reads what was printed to stdout.
pub(super) fn read(printed: &[u8], now: Timestamp) -> Result<Answer, Fault> {
    if printed.trim_ascii().is_empty() {
        return Err(Fault::Empty);
    }
    let value: serde_json::Value = serde_json::from_slice(printed).map_err(|_| Fault::NotJson)?;
    let document: ExecCredential = serde_json::from_value(value).map_err(|_| Fault::NotCredential)?;
    let version = document.api_version.as_deref().unwrap_or_default();
    if document.kind.as_deref() != Some("ExecCredential")
        || !version.starts_with("client.authentication.k8s.io/")
    {
        return Err(Fault::NotCredential);
    }
    let status = document.status.ok_or(Fault::NothingUsable)?;
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let token = filled(status.token);
    let pair = filled(status.client_certificate_data).zip(filled(status.client_key_data));
    let proof = match (token, pair) {
        (Some(token), _) if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            return Err(Fault::BadToken);
        }
        (Some(token), _) => Proof::Token(Secret::new(token)),
        (None, Some((certificate, key))) => Proof::Certificate { certificate, private_key: Secret::new(key) },
        (None, None) => return Err(Fault::NothingUsable),
    };
    let until = match filled(status.expiration_timestamp) {
        Some(text) => Some(text.parse::<Timestamp>().map_err(|_| Fault::BadTime)?),
        None => None,
    };
    if until.is_some_and(|until| until <= now) {
        return Err(Fault::Ended);
    }
    Ok(Answer { proof, until })
}

/// The parts of a token of EKS that are secrets by themselves: the presigned URL within it, decoded.
pub(super) fn presigned(token: &str) -> Option<Secret> {
    let url = URL_SAFE_NO_PAD.decode(token.strip_prefix("k8s-aws-v1.")?).ok()?;
    String::from_utf8(url).ok().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::{Fault, Proof, presigned, read};
    use jiff::Timestamp;

    fn now() -> Timestamp {
        "2026-11-24T10:00:00Z".parse().expect("a time")
    }

    fn fault(text: &str) -> Fault {
        read(text.as_bytes(), now()).map(drop).expect_err(text)
    }

    fn credential(status: &str) -> String {
        format!(
            r#"{{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{status}}}"#
        )
    }

    #[test]
    fn every_version_is_read_with_its_end() {
        for version in ["v1alpha1", "v1beta1", "v1"] {
            let text = credential(r#"{"token":"hunter22","expirationTimestamp":"2026-11-24T10:14:00Z"}"#)
                .replace("/v1", &format!("/{version}"));
            let answer = read(format!("\n{text}\n").as_bytes(), now()).expect(version);
            assert!(matches!(&answer.proof, Proof::Token(token) if token.expose() == "hunter22"));
            assert_eq!(answer.until.expect("it says so").to_string(), "2026-11-24T10:14:00Z");
        }
        let pair = read(credential(r#"{"clientCertificateData":"C","clientKeyData":"K"}"#).as_bytes(), now());
        assert!(matches!(pair.expect("a pair").proof, Proof::Certificate { .. }));
    }

    #[test]
    fn an_answer_that_is_of_no_use_is_told_without_a_word_of_it() {
        let token = |token: &str| credential(&format!(r#"{{"token":"{token}"}}"#));
        for (text, expected) in [
            ("", Fault::Empty),
            (" \n", Fault::Empty),
            ("hunter22", Fault::NotJson),
            (&format!("loading…\n{}", token("hunter22")), Fault::NotJson),
            (&format!("{}\ndone", token("hunter22")), Fault::NotJson),
            ("[]", Fault::NotCredential),
            ("{}", Fault::NotCredential),
            (&token("hunter22").replace("ExecCredential", "TokenReview"), Fault::NotCredential),
            (&token("hunter22").replace("client.authentication", "authentication"), Fault::NotCredential),
            (&credential("null"), Fault::NothingUsable),
            (&token(""), Fault::NothingUsable),
            (&credential(r#"{"clientCertificateData":"C"}"#), Fault::NothingUsable),
            (&token(r"hunter\n22"), Fault::BadToken),
            (&credential(r#"{"token":"hunter22","expirationTimestamp":"soon"}"#), Fault::BadTime),
            (
                &credential(r#"{"token":"hunter22","expirationTimestamp":"2026-11-24T10:00:00Z"}"#),
                Fault::Ended,
            ),
        ] {
            assert_eq!(fault(text), expected, "{text}");
            assert!(!expected.to_string().contains("hunter22"));
        }
    }

    #[test]
    fn a_token_of_eks_holds_its_url() {
        let url = presigned("k8s-aws-v1.aHR0cHM6Ly9zdHM").expect("one of EKS");
        assert_eq!(url.expose(), "https://sts");
        assert!(presigned("aHR0cHM6Ly9zdHM").is_none());
    }
}
