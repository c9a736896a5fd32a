//! Sees to the step's namespace, as `target.namespacePolicy` wants it: looked at, and made only where the API server
//! says that it is not there. What goes wrong is a warning, as the script may be there to find out why; with
//! `require` it is the step's end.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use super::answer::{Doubt, Known, Question};
use super::kubectl::Kubectl;
use super::question::Asker;
use crate::credential::translation::{KUBECTL, translate, unauthorized};
use crate::payload::{Auth, NamespacePolicy};
use crate::plan::{Access, Plan, Warning, WarningCode};

/// How long a step waits for the answer, all attempts together.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How much of somebody else's words is told, in characters.
const LONGEST: usize = 400;

/// What came of it, where the step goes on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ensured {
    /// Whether it was made just now.
    pub created: bool,
    /// What the user should know.
    pub warning: Option<Warning>,
}

/// `require` is not met, or nobody can tell whether it is.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{message}")]
pub struct NamespaceError {
    message: String,
    /// What to do about it.
    pub hint: String,
}

/// Sees to it. `mask` hides secrets in the words of kubectl and of the server, which may repeat what they were sent.
/// Dropped half-way, it ends whatever runs for it.
///
/// # Errors
/// [`NamespaceError`], only with `require`.
pub async fn ensure(
    plan: &Plan,
    access: &Access,
    kubectl: &Kubectl<'_>,
    mask: impl Fn(&str) -> String,
) -> Result<Ensured, NamespaceError> {
    let policy = plan.step.target.namespace_policy;
    if policy == NamespacePolicy::Skip {
        return Ok(Ensured::default());
    }
    let target = &plan.step.target;
    let telling = Telling { server: &access.server, namespace: &target.namespace, auth: &target.auth, mask };
    let mut asker = Asker::new(&plan.step, access, kubectl, Instant::now() + PATIENCE);
    let known = asker.ask(Question::Get).await;
    let is_missing = known == Ok(Known::Missing);
    let warning = match (policy, known) {
        (NamespacePolicy::Require, Ok(Known::Missing)) => return Err(telling.missing()),
        (_, Ok(Known::Missing)) => match asker.ask(Question::Create).await {
            Ok(Known::Created) => return Ok(Ensured { created: true, warning: None }),
            Ok(_) => None,
            Err(doubt) => Some(telling.doubt(&doubt, is_missing)),
        },
        (_, Ok(Known::Terminating)) => Some(telling.terminating()),
        (_, Ok(Known::There | Known::Created)) => None,
        (NamespacePolicy::Require, Err(doubt)) => return Err(telling.doubt(&doubt, is_missing).into()),
        (_, Err(doubt)) => Some(telling.doubt(&doubt, is_missing)),
    };
    Ok(Ensured { created: false, warning })
}

impl From<Warning> for NamespaceError {
    fn from(warning: Warning) -> Self {
        Self { message: warning.message, hint: warning.hint.unwrap_or_default() }
    }
}

/// `61 minutes ahead of this machine's`.
fn clocks(ahead: SignedDuration) -> String {
    let side = if ahead.is_negative() { "behind" } else { "ahead of" };
    format!("{} minutes {side} this machine's", ahead.abs().as_mins())
}

/// The words.
struct Telling<'a, Mask> {
    server: &'a str,
    namespace: &'a str,
    auth: &'a Auth,
    mask: Mask,
}

impl<Mask: Fn(&str) -> String> Telling<'_, Mask> {
    fn missing(&self) -> NamespaceError {
        NamespaceError {
            message: format!(
                "namespace {} does not exist on {}, and namespacePolicy is require",
                self.namespace, self.server
            ),
            hint: "make it first, or have it made by the step (namespacePolicy: create)".into(),
        }
    }

    fn terminating(&self) -> Warning {
        Warning {
            code: WarningCode::NamespaceTerminating,
            message: format!("namespace {} on {} is being deleted", self.namespace, self.server),
            hint: Some("nothing can be made in it any more; wait until it is gone, or choose another".into()),
        }
    }

    fn doubt(&self, doubt: &Doubt, is_missing: bool) -> Warning {
        let (code, what, words, hint) = match doubt {
            Doubt::Unauthorized(words) => (
                WarningCode::NamespaceUnauthorized,
                "does not accept the account".to_owned(),
                words,
                unauthorized(self.auth),
            ),
            Doubt::Skewed(words, ahead) => (
                WarningCode::NamespaceUnauthorized,
                format!("does not accept the account, and its clock is {}", clocks(*ahead)),
                words,
                "set this machine's clock, or the cluster's (timedatectl set-ntp true)",
            ),
            Doubt::Forbidden(words) => (
                WarningCode::NamespaceForbidden,
                if is_missing { "forbids to make it" } else { "forbids to look at it" }.to_owned(),
                words,
                if is_missing {
                    "make it first, or let the account create namespaces"
                } else {
                    "let the account get it (a Role in the namespace will do), or set target.namespacePolicy: skip"
                },
            ),
            Doubt::Unreachable(words) => (
                WarningCode::ClusterUnreachable,
                "cannot be reached".to_owned(),
                words,
                "check target.server, the network, and the proxy if there is one",
            ),
            Doubt::Untrusted(words) => (
                WarningCode::ClusterUntrusted,
                "and the agent do not trust each other".to_owned(),
                words,
                "check target.certificateAuthority and target.tlsServerName; if the account is a certificate, check that, too",
            ),
            Doubt::Strange(words) => (
                WarningCode::ClusterAnswer,
                "does not answer as an API server does".to_owned(),
                words,
                "is target.server the API server's own address? A proxy or a login page may answer in its place",
            ),
        };
        let (what, hint) = match translate(KUBECTL, words) {
            Some(row) => (format!("cannot be asked, as {}", row.cause), row.fix),
            None => (what, hint),
        };
        let state = if is_missing { "does not exist, and" } else { "is not known to exist:" };
        let words = self.told(words);
        let message = format!("namespace {} {state} {} {what}: {words}", self.namespace, self.server);
        Warning { code, message, hint: Some(hint.into()) }
    }

    /// Somebody else's words: masked, and only then cut, in one line.
    fn told(&self, words: &str) -> String {
        let masked = (self.mask)(words);
        let mut line: String =
            masked.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
        if masked.chars().nth(LONGEST).is_some() {
            line.push('…');
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::{Auth, Doubt, LONGEST, Telling};
    use crate::secret::Secret;

    #[test]
    fn foreign_words_are_masked_before_they_are_cut_and_stay_on_one_line() {
        let mask = |text: &str| text.replace("hunter22", "***");
        let auth = Auth::Token(Secret::new("hunter22".into()));
        let telling = Telling { server: "https://a", namespace: "shop", auth: &auth, mask };
        let words = format!("{}hunter22\r\n\u{1b}[0m{}", "x".repeat(LONGEST - 5), "y".repeat(LONGEST));
        let warning = telling.doubt(&Doubt::Strange(words), false);
        assert!(warning.message.ends_with("x***  …"), "{}", warning.message);
        assert!(
            warning.message.starts_with("namespace shop is not known to exist: https://a does not answer")
        );
    }
}
