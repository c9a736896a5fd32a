//! The clouds' own endpoints, played on loopback by `tests/stand_ins/cloud_stand_in.py`: one for all tests, started
//! with the first control plane, whose token webhook it is.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use serde_json::{Value, json};

use super::aws::Aws;
use super::azure::Azure;
use super::google::Google;
use super::skipped;
use super::tools::{repository, tools};

/// The stand-in. It ends with its standard input, and so with the tests.
pub(crate) struct Clouds {
    facts: Value,
    lines: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    _child: Child,
}

/// The stand-in; where there can be none, the test is skipped.
pub(crate) fn clouds() -> Option<&'static Clouds> {
    match started() {
        Ok(clouds) => Some(clouds),
        Err(why) => {
            skipped(why);
            None
        }
    }
}

/// The stand-in, or why there is none.
pub(super) fn started() -> Result<&'static Clouds, &'static str> {
    static CLOUDS: OnceLock<Result<Clouds, String>> = OnceLock::new();
    CLOUDS.get_or_init(start).as_ref().map_err(String::as_str)
}

fn start() -> Result<Clouds, String> {
    let Some((_, python)) = tools("moto").into_iter().next() else {
        return Err("no moto for the clouds' stand-in: run scripts/tools".into());
    };
    let mut command = Command::new(python);
    command.arg(repository().join("tests/stand_ins/cloud_stand_in.py"));
    if let Some(log) = log() {
        command.arg("--log").arg(log);
    }
    let mut child = command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("the clouds' stand-in cannot be started: {error}"))?;
    let input = child.stdin.take().expect("piped");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut ready = String::new();
    output.read_line(&mut ready).map_err(|error| error.to_string())?;
    let facts = serde_json::from_str(&ready).map_err(|_| "the clouds' stand-in does not start".to_owned())?;
    Ok(Clouds { facts, lines: Mutex::new((input, output)), _child: child })
}

#[expect(clippy::disallowed_methods, reason = "the tests' own settings come from the environment")]
fn log() -> Option<std::ffi::OsString> {
    std::env::var_os("KUBESTEP_CLOUDS_LOG")
}

impl Clouds {
    /// Tells the stand-in something, such as `aws.user`, and gives its answer (`do_…` in its files).
    #[track_caller]
    pub(crate) fn act(&self, act: &str, mut arguments: Value) -> Value {
        arguments["do"] = json!(act);
        let mut answer = String::new();
        {
            let mut lines = self.lines.lock().expect("no panic");
            writeln!(lines.0, "{arguments}").expect("it lives");
            lines.1.read_line(&mut answer).expect("it lives");
        }
        let mut answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert!(answer["error"].is_null(), "{act}: {}", answer["error"]);
        answer["ok"].take()
    }

    /// AWS, as one account that this test alone has.
    pub(crate) fn aws(&'static self) -> Aws {
        Aws::new(self)
    }

    /// Azure, as one tenant that this test alone has.
    pub(crate) fn azure(&'static self) -> Azure {
        Azure::new(self)
    }

    /// Google, as one project that this test alone has.
    pub(crate) fn google(&'static self) -> Google {
        Google::new(self)
    }

    /// A service's URL in the clear, such as that of `sts`.
    pub(crate) fn http(&self, service: &str) -> &str {
        text(&self.facts["http"][service])
    }

    /// A service's URL over TLS.
    pub(crate) fn https(&self, service: &str) -> &str {
        text(&self.facts["https"][service])
    }

    /// The authority of everything that speaks TLS here: a PEM file.
    pub(crate) fn authority(&self) -> &str {
        text(&self.facts["ca"])
    }

    /// What a program's environment needs so that the clouds' own host names lead to the stand-in.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let (proxy, authority) = (text(&self.facts["proxy"]).to_owned(), self.authority().to_owned());
        let trust = [("SSL_CERT_FILE", authority.clone()), ("AWS_CA_BUNDLE", authority)];
        // Unlike Go, Python sends even loopback to a proxy.
        let proxy = [("HTTPS_PROXY", proxy), ("NO_PROXY", "127.0.0.1".to_owned())];
        proxy.into_iter().chain(trust).collect()
    }

    /// Where kube-apiserver asks about tokens: a kubeconfig's path.
    pub(super) fn webhook(&self) -> &str {
        text(&self.facts["webhook"])
    }

    /// What was asked by `who` (a key's id, a client's id, an account) of `service`; an empty one stands for any.
    pub(crate) fn requests(&self, who: &str, service: &str) -> Vec<Value> {
        let answer = self.act("requests", json!({"who": who, "service": service}));
        answer["requests"].as_array().expect("a list").clone()
    }

    /// What the webhook says of a token, and why not.
    pub(crate) fn judge(&self, token: &str) -> Value {
        self.act("webhook.judge", json!({"token": token}))
    }

    /// A token of what vouches for workloads (a CI system); a negative `lifetime`, in seconds, has ended.
    pub(crate) fn workload_token(&self, subject: &str, audience: &str, lifetime: i32) -> String {
        let arguments = json!({"subject": subject, "audience": audience, "lifetime": lifetime});
        text(&self.act("workloads.token", arguments)["token"]).to_owned()
    }
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}
