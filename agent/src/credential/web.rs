//! Asks a cloud's own services, where no plugin does: JSON comes back, or words that say why not.
//!
//! Promise: a service is named in every message, its own words are masked, and nothing of an answer that is not
//! expected is repeated.

use std::path::PathBuf;

use serde_json::Value;

use super::CredentialError;
use super::plugin::{Caller, with_words};
use super::translation::{Row, translate};
use crate::causes::with_causes;
use crate::https::{Client, HttpsError, Login, Peer, Proxies, Request, SystemRoots, Trust};
use crate::payload::{Step, Text};

/// The largest answer that is read, in bytes: a cluster with many node pools fills some hundred KiB.
pub(super) const ROOM: usize = 1024 * 1024;

/// What a service is called, where it is, and what is known of it.
pub(super) struct About<'a> {
    /// As in `NAME at HOST`.
    pub(super) name: &'static str,
    /// An https URL.
    pub(super) url: &'a str,
    /// The operator's variable that names another place.
    pub(super) variable: &'static str,
    /// The troubles that are known of it.
    pub(super) troubles: &'static [Row],
    /// Whether it is a metadata service, which speaks http on this machine's own link.
    pub(super) is_link: bool,
    /// What it means that something is not there, and what to do, where nobody says so in words.
    pub(super) absent: Option<(&'static str, &'static str)>,
}

/// A service that can be asked.
pub(super) struct Service<'a> {
    about: About<'a>,
    client: Client,
}

impl<'a> Service<'a> {
    /// Prepares to ask it, the way the agent's own environment says.
    ///
    /// # Errors
    /// [`CredentialError`]: the operator's URL or certificates cannot be used.
    pub(super) fn new(step: &Step, about: About<'a>, login: &Login) -> Result<Self, CredentialError> {
        let value = |name: &str| step.inherited.get(name).map(Text::expose).filter(|value| !value.is_empty());
        let folders = value("SSL_CERT_DIR").into_iter().flat_map(|folders| folders.split(':'));
        let folders = folders.map(PathBuf::from).collect();
        let roots = SystemRoots { file: value("SSL_CERT_FILE").map(PathBuf::from), folders };
        let trust = if about.is_link { Trust::Link } else { Trust::System(&roots) };
        let proxies = Proxies::Environment { https_proxy: value("HTTPS_PROXY"), no_proxy: value("NO_PROXY") };
        let peer = Peer { url: about.url, trust, identity: None, tls_server_name: None, proxies };
        match Client::new(&peer, login) {
            Ok(client) => Ok(Self { about, client }),
            Err(error) => Err(CredentialError {
                message: format!("{} cannot be asked: {}", about.name, with_causes(&error)),
                hint: Some(format!(
                    "check the agent's {}, SSL_CERT_FILE and HTTPS_PROXY; a service is asked over https only",
                    about.variable
                )),
            }),
        }
    }

    /// Asks for a JSON document.
    ///
    /// # Errors
    /// [`CredentialError`]: what could not be done (`aim`, as in `could not log in`), and why.
    pub(super) async fn ask(
        &self,
        caller: &Caller<'_>,
        aim: &str,
        request: &Request,
    ) -> Result<Value, CredentialError> {
        let host = self.about.url.split_once("://").map_or(self.about.url, |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or_default();
        let failed = |why: String, hint: &str| CredentialError {
            message: format!("could not {aim} at {} ({host}): {why}", self.about.name),
            hint: Some(hint.to_owned()),
        };
        let between = format!(
            "is there a proxy, or a page to log in, between us and it? Check the agent's HTTPS_PROXY, NO_PROXY and {}",
            self.about.variable
        );
        let answer = match self.client.send(request, caller.deadline).await {
            Ok(answer) => answer,
            Err(HttpsError::Late) => {
                let hint = format!("{between}; limits.login is the time that a login may take");
                return Err(failed("it did not answer in time".into(), &hint));
            }
            Err(error) => return Err(failed(caller.masker.text(&with_causes(&error)), &between)),
        };
        let document: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let document = document.filter(Value::is_object);
        match (answer.status, document) {
            (200..=299, Some(document)) => Ok(document),
            (200..=299, None) => Err(failed(format!("it answered with {}", shape(&answer.body)), &between)),
            (404, None) if self.about.absent.is_some() => {
                let (cause, fix) = self.about.absent.unwrap_or_default();
                Err(failed(cause.to_owned(), fix))
            }
            (status, document) => {
                let said = document.as_ref().map(words).unwrap_or_default();
                let said = caller.masker.text(&said);
                if let Some(row) = translate(self.about.troubles, &said) {
                    return Err(failed(with_words(row.cause, &said), row.fix));
                }
                let form =
                    if document.is_none() { format!(" and {}", shape(&answer.body)) } else { String::new() };
                let hint = match status {
                    401 | 403 => "check the account and its rights",
                    429 | 500..=599 => "try again in some minutes",
                    _ => between.as_str(),
                };
                Err(failed(with_words(&format!("it answered with HTTP {status}{form}"), &said), hint))
            }
        }
    }
}

/// What a body looks like, without a word of it.
fn shape(body: &[u8]) -> &'static str {
    match body.trim_ascii_start() {
        [] => "nothing",
        [b'<', ..] => "a page of HTML",
        _ => "something that is no JSON object",
    }
}

/// What a refusal says: ARM's and Google's `error` are objects, OAuth's is a word.
fn words(document: &Value) -> String {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
    let code = text("/error/code").or_else(|| text("/error/status")).or_else(|| text("/error"));
    let message = text("/error/message").or_else(|| text("/error_description")).or_else(|| text("/message"));
    let reasons = document.pointer("/error/details").and_then(Value::as_array).into_iter().flatten();
    let reason = reasons.filter_map(|detail| detail.get("reason")?.as_str()).next();
    [code, reason, message].into_iter().flatten().collect::<Vec<_>>().join(": ")
}

/// A form (`application/x-www-form-urlencoded`).
pub(super) fn form(fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    fields.collect::<Vec<_>>().join("&")
}

/// Percent-encodes everything that may mean something in a URL or form.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::{encoded, form, shape, words};
    use serde_json::json;

    #[test]
    fn the_words_of_every_service_are_found() {
        for (document, expected) in [
            (json!({"error": {"code": "ResourceNotFound", "message": "no"}}), "ResourceNotFound: no"),
            (
                json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "no",
                    "details": [{"reason": "SERVICE_DISABLED"}]}}),
                "PERMISSION_DENIED: SERVICE_DISABLED: no",
            ),
            (json!({"error": "invalid_client", "error_description": "no"}), "invalid_client: no"),
            (json!({"statusCode": 401, "message": "no"}), "no"),
            (json!({"other": 1}), ""),
        ] {
            assert_eq!(words(&document), expected);
        }
    }

    #[test]
    fn nothing_of_a_value_gets_out_of_its_field() {
        assert_eq!(form(&[("a", "x&b=c d"), ("é", "+")]), "a=x%26b%3Dc%20d&é=%2B");
        assert_eq!(encoded("a/(b)~é"), "a%2F%28b%29~%C3%A9");
    }

    #[test]
    fn a_body_is_told_by_its_shape() {
        assert_eq!([shape(b" \n"), shape(b" <html>")], ["nothing", "a page of HTML"]);
        assert_eq!(shape(b"hunter22"), "something that is no JSON object");
    }
}
