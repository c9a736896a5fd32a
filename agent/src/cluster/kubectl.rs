//! The sure way to ask: the step's own kubectl with the step's own kubeconfig, in the script's environment.
//!
//! It runs below a supervisor of its own, so that it and all that it starts (a plugin that logs in) ends with the
//! deadline, with a stop, and with the agent's death.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::NAMESPACES;
use super::answer::{Doubt, Known, Question, of_kubectl};
use crate::limits::Limits;
use crate::supervise::{Command, Exit, Output, SuperviseError, Supervisor};

/// How much of either stream is kept, in bytes.
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
        let ran = self.run(arguments, deadline.saturating_duration_since(Instant::now())).await;
        match ran {
            Ok(Ran { exit: Some(exit), stdout, stderr }) => {
                let succeeded = exit == Exit::Code(0);
                let printed = if succeeded { stdout } else { stderr };
                let Some(printed) = printed else {
                    return Err(Doubt::Strange("kubectl printed more than 64 KiB".into()));
                };
                of_kubectl(question, succeeded, &printed)
            }
            Ok(Ran { exit: None, .. }) => Err(late()),
            Err(error) => Err(Doubt::Unreachable(format!("kubectl could not be asked: {error}"))),
        }
    }

    async fn run(&self, arguments: Vec<String>, timeout: Duration) -> Result<Ran, SuperviseError> {
        let command = Command {
            program: self.program.to_owned(),
            arguments,
            environment: self.environment.clone(),
            directory: self.directory.to_owned(),
        };
        let ((stdout, takes_stdout), (stderr, takes_stderr)) = (Capture::new(), Capture::new());
        let limits = Limits { timeout: Some(timeout), grace: Duration::ZERO, ..Limits::default() };
        // Nobody but the time-out stops it: a stop of the step drops this call.
        let (_stop, mut stops) = mpsc::unbounded_channel();
        let mut supervisor = Supervisor::start(self.supervisor).await?;
        let ran = supervisor.run(command, [stdout, stderr], &limits, &mut stops).await;
        let ran = match ran {
            Ok(mut ended) => ended.outputs_done().await.map(|()| ended.ending),
            Err(error) => Err(error),
        };
        // There is no workspace that could stay; that the supervisor is gone is not worth the answer.
        drop(supervisor.close().await);
        let ending = ran?;
        let exit = ending.exit().filter(|_| ending.stopped().is_none());
        let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let (stdout, stderr) = (takes_stdout.await.ok().flatten(), takes_stderr.await.ok().flatten());
        Ok(Ran { exit, stdout: text(stdout), stderr: text(stderr) })
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

/// A call that is over; `None` for a time-out, and for a stream that was too long.
struct Ran {
    exit: Option<Exit>,
    stdout: Option<String>,
    stderr: Option<String>,
}

/// Keeps what is printed, as long as there is room for all of it.
struct Capture {
    bytes: Option<Vec<u8>>,
    done: oneshot::Sender<Option<Vec<u8>>>,
}

impl Capture {
    fn new() -> (Self, oneshot::Receiver<Option<Vec<u8>>>) {
        let (done, takes) = oneshot::channel();
        (Self { bytes: Some(Vec::new()), done }, takes)
    }
}

impl Output for Capture {
    async fn write(&mut self, bytes: &[u8]) {
        if let Some(kept) = self.bytes.as_mut() {
            kept.extend(bytes);
        }
        // Half of it could end within a secret, which then nobody would know.
        self.bytes.take_if(|kept| kept.len() > ROOM);
    }

    async fn finish(self) {
        // Whoever asked may have been stopped.
        let _ = self.done.send(self.bytes);
    }
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
