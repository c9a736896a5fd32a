//! How the script's kubectl will log in, and why so.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use super::aks::AksWay;
use super::{Cloud, Login, Plugin, Warning, WarningCode};
use crate::payload::{Auth, Step, User};

/// A way to log in, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The payload's name for it, such as `token`.
    pub method: &'static str,
    /// What the kubeconfig will hold, and who gets it.
    pub how: String,
    /// Why it is this way and no other.
    pub reason: String,
    /// Whether it goes on when the credential of now has ended.
    pub is_renewed: bool,
    /// When the credential of now ends, where it says so itself.
    pub until: Option<Timestamp>,
}

impl Route {
    /// `reason` is why a cloud's plugin was chosen.
    pub(super) fn new(step: &Step, login: &Login, reason: Option<String>) -> Self {
        let auth = &step.target.auth;
        let given = |how: &str, reason: &str, is_renewed| (how.to_owned(), reason.to_owned(), is_renewed);
        let (how, reason, is_renewed) = match auth {
            Auth::Token(_) => given("the kubeconfig holds the token", "the payload gives a token", false),
            Auth::UsernamePassword { .. } => given(
                "the kubeconfig holds name and password",
                "the payload gives a name and a password",
                false,
            ),
            Auth::ClientCertificate { .. } => given(
                "the kubeconfig holds certificate and key",
                "the payload gives a certificate and its key",
                false,
            ),
            Auth::ServiceAccount { .. } => given(
                "the kubeconfig names the token file",
                "the payload names a token file: whoever renews it does so while the script runs",
                true,
            ),
            Auth::InCluster { .. } => given(
                "the kubeconfig names the pod's token file",
                "the pod's own account, which the kubelet renews",
                true,
            ),
            Auth::Kubeconfig(user) => {
                let (how, is_renewed) = imported(user);
                given(how, "the imported kubeconfig's context has this user", is_renewed)
            }
            Auth::Eks(eks) => (by_cloud(login), reason.unwrap_or_default(), eks.is_renewed()),
            Auth::Aks(aks) => (by_cloud(login), reason.unwrap_or_default(), aks.is_renewed()),
            // Keys stay, and what they bring is renewed; so is a token in a file, by whoever writes it.
            Auth::Gke(_) => (by_cloud(login), reason.unwrap_or_default(), true),
        };
        let until = match auth {
            Auth::Token(token) | Auth::ServiceAccount { token, .. } | Auth::InCluster { token, .. } => {
                end_of_token(token.expose())
            }
            Auth::UsernamePassword { .. } | Auth::ClientCertificate { .. } => None,
            Auth::Kubeconfig(user) => user.bearer().and_then(|token| end_of_token(token.expose())),
            Auth::Eks(eks) => eks.given_token().and_then(|token| end_of_token(token.expose())),
            Auth::Aks(aks) => aks.given_token().and_then(|token| end_of_token(token.expose())),
            Auth::Gke(_) => None,
        };
        Self { method: auth.method(), how, reason, is_renewed, until }
    }

    /// What the user should know of it before the script runs.
    pub(super) fn warnings(&self, login: &Login, now: Timestamp) -> Vec<Warning> {
        let mut warnings = Vec::new();
        match self.until {
            Some(until) if until <= now && !self.is_renewed => warnings.push(Warning {
                code: WarningCode::CredentialEnded,
                message: format!("the token of target.auth.{} ended at {until}", self.method),
                hint: Some(match login {
                    Login::Given => {
                        "make a new one, such as by kubectl create token ACCOUNT --duration 1h".into()
                    }
                    Login::Broker(_) | Login::Exec { .. } => "have a new one made for every step".into(),
                }),
            }),
            until if login.cloud().is_some() && !self.is_renewed => {
                let end = until.map_or_else(|| "some day".to_owned(), |until| format!("at {until}"));
                warnings.push(Warning {
                    code: WarningCode::CredentialNotRenewed,
                    message: format!(
                        "the login of target.auth.{} ends {end} and cannot be renewed",
                        self.method
                    ),
                    hint: Some("a script that runs longer loses the cluster then".into()),
                });
            }
            _ => {}
        }
        if let Login::Exec { .. } = login {
            warnings.push(Warning {
                code: WarningCode::UnknownCredential,
                message: "kubectl gets its credential itself, so that it is not masked in the log".into(),
                hint: Some(
                    "leave `credentials: exec` out, unless a tool needs the plugin in the kubeconfig".into(),
                ),
            });
        }
        warnings
    }
}

fn by_cloud(login: &Login) -> String {
    let asked = |plugin: &Plugin| {
        format!("{} is asked before the script, and again before its answer ends", plugin.words())
    };
    let handed_out = "Azure's management API hands out the cluster's own account before the script";
    match login {
        Login::Given => String::new(),
        Login::Exec { cloud, .. } => {
            let plugin = cloud.plugin().map(Plugin::words).unwrap_or_default();
            format!("kubectl asks {plugin} at every call")
        }
        Login::Broker(Cloud::Aks(login)) => match &login.way {
            AksWay::Entra(plugin) => asked(plugin),
            AksWay::Admin | AksWay::AsFound(None) => handed_out.to_owned(),
            AksWay::AsFound(Some(plugin)) => {
                format!("with Entra, {}; without it, {handed_out}", asked(plugin))
            }
        },
        Login::Broker(cloud) => cloud.plugin().map(asked).unwrap_or_default(),
    }
}

/// What kubectl will use of an imported user, in its own order: a static credential beats a plugin.
fn imported(user: &User) -> (&'static str, bool) {
    if user.token_file.is_some() {
        ("the kubeconfig names the token file", true)
    } else if user.token.is_some() {
        ("the kubeconfig holds the token", false)
    } else if user.login.is_some() {
        ("the kubeconfig holds name and password", false)
    } else if user.exec.is_some() {
        ("the kubeconfig names a plugin, which kubectl runs", true)
    } else {
        ("the kubeconfig holds certificate and key", false)
    }
}

/// What a JSON Web Token says of its own end; nothing is verified, since the cluster is who decides.
fn end_of_token(token: &str) -> Option<Timestamp> {
    let claims = token.split('.').nth(1)?;
    let claims: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Timestamp::from_second(claims.get("exp")?.as_i64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::end_of_token;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_says_of_itself_when_it_ends() {
        let end = end_of_token(&token(r#"{"exp":1763985600}"#)).expect("it says so");
        assert_eq!(end.to_string(), "2025-11-24T12:00:00Z");
        for other in ["plain-token", "a.b.c", &token("{}"), &token(r#"{"exp":"soon"}"#), &token("[]")] {
            assert_eq!(end_of_token(other), None, "{other}");
        }
    }
}
