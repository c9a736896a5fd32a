//! The user of somebody's kubeconfig, with what the files in it hold; only a token file is somebody's to renew.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Purpose, REDACTED};
use crate::payload::{Exec, Text, User};
use crate::secret::Secret;

pub(super) fn user(user: &User, purpose: Purpose) -> Value {
    let mut written = Map::new();
    let mut put = |name: &str, value: Value| written.insert(name.into(), value);
    if let Some(token) = &user.token {
        put("token", json!(purpose.text(token)));
    }
    if let Some(file) = &user.token_file {
        put("tokenFile", json!(file.path));
    }
    if let Some(login) = &user.login {
        put("username", json!(login.username));
        put("password", json!(purpose.text(&login.password)));
    }
    if let Some(pair) = &user.certificate {
        put("client-certificate-data", json!(STANDARD.encode(&pair.certificate)));
        put("client-key-data", json!(purpose.base64(&pair.private_key)));
    }
    if let Some(exec) = &user.exec {
        put("exec", plugin(exec, purpose));
    }
    if let Some(other) = &user.impersonation {
        put("as", json!(other.user));
        if let Some(uid) = &other.uid {
            put("as-uid", json!(uid));
        }
        put("as-groups", json!(other.groups));
        put("as-user-extra", json!(other.extra.iter().cloned().collect::<BTreeMap<_, _>>()));
    }
    Value::Object(written)
}

pub(super) fn plugin(exec: &Exec, purpose: Purpose) -> Value {
    let argument = |argument: &Text| match argument {
        Text::Plain(text) => text.clone(),
        Text::Secret(secret) => purpose.text(secret),
    };
    let variable = |(name, value): &(String, Secret)| json!({"name": name, "value": purpose.text(value)});
    let mut written = json!({
        "apiVersion": exec.api_version,
        "command": exec.command,
        "args": exec.arguments.iter().map(argument).collect::<Vec<_>>(),
        "env": exec.environment.iter().map(variable).collect::<Vec<_>>(),
    });
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            written[name] = value;
        }
    };
    put("installHint", exec.install_hint.as_ref().map(|hint| json!(hint)));
    put("interactiveMode", exec.interactive_mode.as_ref().map(|mode| json!(mode)));
    put("provideClusterInfo", exec.provide_cluster_info.map(Value::from));
    written
}

/// The cluster's extension that is the plugin's own configuration.
pub(super) fn extensions(user: &User, purpose: Purpose) -> Option<Value> {
    let config = user.exec.as_ref()?.cluster_config.as_ref()?;
    let config = match purpose {
        Purpose::Use => serde_json::from_str(config.expose()).unwrap_or_default(),
        Purpose::Show => Value::from(REDACTED),
    };
    Some(json!([{"name": "client.authentication.k8s.io/exec", "extension": config}]))
}

#[cfg(test)]
mod tests {
    use super::{Purpose, extensions, user};
    use crate::payload::{Exec, KeyPair, Login, Text, User};
    use crate::secret::Secret;

    fn secret(text: &str) -> Secret {
        Secret::new(format!("hunter22-{text}"))
    }

    #[test]
    fn what_is_shown_holds_no_secret_and_has_the_same_shape() {
        let exec = Exec {
            api_version: "client.authentication.k8s.io/v1".into(),
            command: "plugin".into(),
            arguments: vec![Text::Plain("--token".into()), Text::Secret(secret("argument"))],
            environment: vec![("NAME".into(), secret("variable"))],
            interactive_mode: Some("Never".into()),
            provide_cluster_info: Some(true),
            install_hint: None,
            cluster_config: Some(Secret::new(r#"{"audience":"hunter22"}"#.into())),
        };
        let whole = User {
            token: Some(secret("token")),
            login: Some(Login { username: "me".into(), password: secret("password") }),
            certificate: Some(KeyPair { certificate: "PEM".into(), private_key: secret("key") }),
            exec: Some(exec),
            ..User::default()
        };
        let shown = user(&whole, Purpose::Show);
        assert!(!format!("{shown} {:?}", extensions(&whole, Purpose::Show)).contains("hunter22"));
        assert_eq!(shown["exec"]["args"], serde_json::json!(["--token", "REDACTED"]));
        assert_eq!(shown["client-key-data"], "REDACTED");
        let used = user(&whole, Purpose::Use);
        assert_eq!(used["exec"]["args"][1], "hunter22-argument");
        assert_eq!(used["exec"]["env"][0]["value"], "hunter22-variable");
        let configured = extensions(&whole, Purpose::Use).expect("it has one");
        assert_eq!(configured[0]["extension"]["audience"], "hunter22");
        let (shown, used) = (shown.as_object().expect("a mapping"), used.as_object().expect("a mapping"));
        assert_eq!(shown.keys().collect::<Vec<_>>(), used.keys().collect::<Vec<_>>());
    }
}
