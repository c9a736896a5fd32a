//! The sure way to ask: the step's own kubectl with the step's own kubeconfig, in the script's environment.
//!
//! It runs below a supervisor of its own, so that it and all that it starts (a plugin that logs in) ends with the
//! deadline, with a stop, and with the agent's death.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::NAMESPACES;
use super::answer::{Doubt, Known, Question, of_kubectl};
use crate::supervise::call::{Call, CallEnd, Called};
use crate::supervise::{Command, Exit, SuperviseError};

/// How much it may print, in bytes.
const ROOM: usize = 64 * 1024;

/// What a call of kubectl needs.
pub struct Kubectl<'a> {
    /// kubectl.
    pub program: &'a Path,
    /// This program, to be started as the supervisor.
    pub supervisor: &'a Path,
    /// The script's, `KUBECONFIG` among it.
    pub environment: &'a BTreeMap<String, String>,
    /// The script's.
    pub directory: &'a Path,
}

impl Kubectl<'_> {
    /// Asks about the namespace `name` on `server`. Dropped half-way, it ends what runs.
    pub(super) async fn ask(
        &self,
        question: Question,
        (server, name): (&str, &str),
        deadline: Instant,
    ) -> Result<Known, Doubt> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let arguments: Vec<String> = match question {
            // One request (and one call of a plugin that fails), no discovery, no cache in HOME.
            Question::Get if !has_path(server) => words(&["get", &format!("--raw={NAMESPACES}/{name}")]),
            // Some kubectls put the server's own path before that one, and some do not (1.36.3, 1.33.1).
            Question::Get => words(&["get", "namespace", name, "-o", "json"]),
            Question::Create => words(&["create", "namespace", name]),
        };
        let called = self.run(arguments, deadline.saturating_duration_since(Instant::now())).await;
        let called =
            called.map_err(|error| Doubt::Unreachable(format!("kubectl could not be asked: {error}")))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match called.end {
            CallEnd::Exited(Exit::Code(0)) => of_kubectl(question, true, &text(&called.stdout)),
            // Half of it could end within a secret, which then nobody would know.
            CallEnd::Exited(_) if called.stderr.dropped == 0 => {
                of_kubectl(question, false, &text(&called.stderr.head))
            }
            CallEnd::Exited(_) | CallEnd::Flooded => {
                Err(Doubt::Strange("kubectl printed more than 64 KiB".into()))
            }
            CallEnd::TimedOut | CallEnd::Lost => Err(late()),
        }
    }

    async fn run(&self, arguments: Vec<String>, timeout: Duration) -> Result<Called, SuperviseError> {
        let command = Command {
            program: self.program.to_owned(),
            arguments,
            environment: self.environment.clone(),
            directory: self.directory.to_owned(),
        };
        Call { supervisor: self.supervisor, command, timeout, room: ROOM }.run().await
    }
}

fn has_path(server: &str) -> bool {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    !rest.split_once('/').map_or("", |(_, path)| path).trim_matches('/').is_empty()
}

/// What is said where the time is over.
pub(super) fn late() -> Doubt {
    Doubt::Unreachable(format!("no answer within {} s", super::namespace::PATIENCE.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::has_path;

    #[test]
    fn a_slash_is_no_path() {
        for (server, expected) in [
            ("https://a", false),
            ("https://a:6443/", false),
            ("https://a/k8s/clusters/c-1", true),
            ("https://[::1]:6443//", false),
        ] {
            assert_eq!(has_path(server), expected, "{server}");
        }
    }
}
