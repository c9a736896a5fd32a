//! How the script's kubectl will log in, and why so.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use crate::payload::{Auth, User};

/// A way to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The payload's name for it, such as `token`.
    pub method: &'static str,
    /// What the kubeconfig will hold.
    pub how: &'static str,
    /// Why it is this way and no other.
    pub reason: &'static str,
    /// Whether it goes on when the credential of now has ended.
    pub is_renewed: bool,
    /// When the credential of now ends, where it says so itself.
    pub until: Option<Timestamp>,
}

impl Route {
    pub(super) fn new(auth: &Auth) -> Self {
        let until = match auth {
            Auth::Token(token) | Auth::ServiceAccount { token, .. } | Auth::InCluster { token, .. } => {
                end_of_token(token.expose())
            }
            Auth::UsernamePassword { .. } | Auth::ClientCertificate { .. } => None,
            Auth::Kubeconfig(user) => user.bearer().and_then(|token| end_of_token(token.expose())),
        };
        let (how, reason, is_renewed) = match auth {
            Auth::Token(_) => ("the kubeconfig holds the token", "the payload gives a token", false),
            Auth::UsernamePassword { .. } => {
                ("the kubeconfig holds name and password", "the payload gives a name and a password", false)
            }
            Auth::ClientCertificate { .. } => (
                "the kubeconfig holds certificate and key",
                "the payload gives a certificate and its key",
                false,
            ),
            Auth::ServiceAccount { .. } => (
                "the kubeconfig names the token file",
                "the payload names a token file: whoever renews it does so while the script runs",
                true,
            ),
            Auth::InCluster { .. } => (
                "the kubeconfig names the pod's token file",
                "the pod's own account, which the kubelet renews",
                true,
            ),
            Auth::Kubeconfig(user) => imported(user),
        };
        Self { method: auth.method(), how, reason, is_renewed, until }
    }
}

/// What kubectl will use of an imported user, in its own order: a static credential beats a plugin.
fn imported(user: &User) -> (&'static str, &'static str, bool) {
    let reason = "the imported kubeconfig's context has this user";
    if user.token_file.is_some() {
        ("the kubeconfig names the token file", reason, true)
    } else if user.token.is_some() {
        ("the kubeconfig holds the token", reason, false)
    } else if user.login.is_some() {
        ("the kubeconfig holds name and password", reason, false)
    } else if user.exec.is_some() {
        ("the kubeconfig names a plugin, which kubectl runs", reason, true)
    } else {
        ("the kubeconfig holds certificate and key", reason, false)
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
    use super::{Route, end_of_token};
    use crate::payload::Auth;
    use crate::secret::Secret;
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

    #[test]
    fn a_given_token_is_not_renewed() {
        let route = Route::new(&Auth::Token(Secret::new("abcd".into())));
        assert_eq!((route.method, route.is_renewed, route.until), ("token", false, None));
    }
}
