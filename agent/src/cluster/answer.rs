//! What an answer of the API server, or of whatever stands in its place, says about a namespace. Pure.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// What is asked about a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Is it there?
    Get,
    /// Make it.
    Create,
}

/// What is known then.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is there; also where somebody else has just made it.
    There,
    /// It is there, and is going.
    Terminating,
    /// It is not there.
    Missing,
    /// It was made.
    Created,
}

/// Why nothing is known; each with the words of whoever said so.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// 401.
    Unauthorized(String),
    /// 401, and the server's clock is so far ahead of ours; behind it, where that is negative.
    Skewed(String, SignedDuration),
    /// 403.
    Forbidden(String),
    /// No answer.
    Unreachable(String),
    /// The certificate is not believed, on one side or the other.
    Untrusted(String),
    /// An answer that no API server gives, or gives only in distress.
    Strange(String),
}

/// Reads an HTTP answer.
pub(super) fn of_http(question: Question, status: u16, body: &[u8]) -> Result<Known, Doubt> {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let kind = document["kind"].as_str();
    let words = || match document["message"].as_str() {
        Some(message) if kind == Some("Status") => message.to_owned(),
        _ => format!("HTTP {status} with {}", shape(body, &document)),
    };
    match (question, status) {
        (Question::Get, 200) if kind == Some("Namespace") => Ok(phase(&document)),
        (Question::Create, 200..=202) if kind == Some("Namespace") => Ok(Known::Created),
        // Any web server says 404, and nothing must be made there.
        (Question::Get, 404) if kind == Some("Status") && document["reason"] == "NotFound" => {
            Ok(Known::Missing)
        }
        (Question::Create, 409) => Ok(Known::There),
        (_, 401) => Err(Doubt::Unauthorized(words())),
        (_, 403) => Err(Doubt::Forbidden(words())),
        (_, 300..=399) => Err(Doubt::Strange(format!("HTTP {status}, which sends us elsewhere"))),
        (Question::Get | Question::Create, _) => Err(Doubt::Strange(words())),
    }
}

fn phase(namespace: &Value) -> Known {
    if namespace["status"]["phase"] == "Terminating" { Known::Terminating } else { Known::There }
}

/// What a body looks like, without a word of it.
fn shape(body: &[u8], document: &Value) -> &'static str {
    match body.trim_ascii_start() {
        [] => "an empty answer",
        [b'<', ..] => "a page of HTML",
        _ if document.is_object() => "JSON of another kind",
        _ => "something that is no JSON",
    }
}

/// From which difference of clocks on credentials are refused for it: the shortest-lived are those of EKS, 15 minutes.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What a refusal means where the server's clock shows another time than ours.
pub(super) fn with_clocks(doubt: Doubt, server: Option<Timestamp>, now: Timestamp) -> Doubt {
    let ahead = server.map_or(SignedDuration::ZERO, |server| server.duration_since(now));
    match doubt {
        Doubt::Unauthorized(words) if ahead.abs() > SKEW => Doubt::Skewed(words, ahead),
        other => other,
    }
}

/// Reads what kubectl printed: `stdout` where it succeeded, else `stderr`.
pub(super) fn of_kubectl(question: Question, succeeded: bool, printed: &str) -> Result<Known, Doubt> {
    if succeeded {
        return match question {
            Question::Get => of_http(question, 200, printed.as_bytes()),
            Question::Create => Ok(Known::Created),
        };
    }
    let words = last_line(printed);
    let says = |marks: &[&str]| marks.iter().any(|mark| words.contains(mark));
    if says(&["(NotFound): namespaces "]) && question == Question::Get {
        Ok(Known::Missing)
    } else if says(&["(AlreadyExists)"]) && question == Question::Create {
        Ok(Known::There)
    } else if says(&["(Unauthorized)", "must be logged in to the server"]) {
        Err(Doubt::Unauthorized(words))
    } else if says(&["(Forbidden)"]) {
        Err(Doubt::Forbidden(words))
    } else if says(&["x509: ", "tls: "]) {
        Err(Doubt::Untrusted(words))
    } else if says(&["Error from server", "server gave HTTP response", "doesn't have a resource type"]) {
        Err(Doubt::Strange(words))
    } else {
        Err(Doubt::Unreachable(words))
    }
}

/// The line that says why: what comes before it are attempts.
fn last_line(printed: &str) -> String {
    let line = printed.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let line = line.unwrap_or("it said nothing");
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Doubt, Known, Question, of_http, of_kubectl};

    const STATUS: &str = r#"{"kind":"Status","reason":"NotFound","message":"namespaces \"x\" not found"}"#;

    #[test]
    fn a_namespace_is_there_only_where_an_api_server_says_so() {
        let get = |status, body: &str| of_http(Question::Get, status, body.as_bytes());
        assert_eq!(get(200, r#"{"kind":"Namespace","status":{"phase":"Active"}}"#), Ok(Known::There));
        assert_eq!(get(200, r#"{"kind":"Namespace"}"#), Ok(Known::There));
        let going = r#"{"kind":"Namespace","status":{"phase":"Terminating"}}"#;
        assert_eq!(get(200, going), Ok(Known::Terminating));
        assert_eq!(get(404, STATUS), Ok(Known::Missing));
        let strange = |words: &str| Err(Doubt::Strange(words.to_owned()));
        assert_eq!(get(200, "<html>log in"), strange("HTTP 200 with a page of HTML"));
        assert_eq!(get(200, ""), strange("HTTP 200 with an empty answer"));
        assert_eq!(get(200, "{}"), strange("HTTP 200 with JSON of another kind"));
        assert_eq!(get(404, "404 page not found"), strange("HTTP 404 with something that is no JSON"));
        assert_eq!(get(302, "<html>"), strange("HTTP 302, which sends us elsewhere"));
        let distress = r#"{"kind":"Status","message":"etcd is gone"}"#;
        assert_eq!(get(500, distress), strange("etcd is gone"));
        assert_eq!(get(401, distress), Err(Doubt::Unauthorized("etcd is gone".into())));
        assert_eq!(get(403, "<html>"), Err(Doubt::Forbidden("HTTP 403 with a page of HTML".into())));
    }

    #[test]
    fn one_that_somebody_else_made_is_there() {
        let create = |status, body: &str| of_http(Question::Create, status, body.as_bytes());
        assert_eq!(create(201, r#"{"kind":"Namespace"}"#), Ok(Known::Created));
        assert_eq!(create(409, r#"{"kind":"Status","reason":"AlreadyExists"}"#), Ok(Known::There));
        assert!(matches!(create(404, STATUS), Err(Doubt::Strange(_))));
        assert!(matches!(create(201, "<html>"), Err(Doubt::Strange(_))));
    }

    #[test]
    fn the_words_of_kubectl_have_a_meaning() {
        let get = |stderr: &str| of_kubectl(Question::Get, false, stderr);
        let not_found = "Error from server (NotFound): namespaces \"x\" not found\n";
        assert_eq!(get(not_found), Ok(Known::Missing));
        let exists = "Error from server (AlreadyExists): namespaces \"x\" already exists";
        assert_eq!(of_kubectl(Question::Create, false, exists), Ok(Known::There));
        assert_eq!(of_kubectl(Question::Create, true, "namespace/x created"), Ok(Known::Created));
        let page = "Error from server (NotFound): the server could not find the requested resource";
        assert!(matches!(get(page), Err(Doubt::Strange(_))));
        let untrusted = "E1124 11:00:00 memcache.go:1] x\nUnable to connect to the server: x509: no\n\n";
        let words = "Unable to connect to the server: x509: no".to_owned();
        assert_eq!(get(untrusted), Err(Doubt::Untrusted(words)));
        let login = "error: You must be logged in to the server (Unauthorized)";
        let words = "You must be logged in to the server (Unauthorized)".to_owned();
        assert_eq!(get(login), Err(Doubt::Unauthorized(words)));
        assert!(matches!(get("Error from server (Forbidden): x"), Err(Doubt::Forbidden(_))));
        assert!(matches!(get("dial tcp: connection refused"), Err(Doubt::Unreachable(_))));
        assert_eq!(get(""), Err(Doubt::Unreachable("it said nothing".into())));
    }
}
