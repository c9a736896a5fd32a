//! Calls a program that logs in: below a supervisor of its own, within the time that a credential may take, with
//! exactly the environment that it needs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::translation::{Row, translate};
use super::{CredentialError, answer};
use crate::causes::with_causes;
use crate::mask::Masker;
use crate::payload::{Step, is_inherited_by_default};
use crate::plan::Plugin;
use crate::secret::Secret;
use crate::supervise::call::{Call, CallEnd, Called, Ends};
use crate::supervise::{Command, Exit};

/// The largest answer that is read, in bytes: a token takes 1 KiB, a description of a cluster some.
const ROOM: usize = 1024 * 1024;

/// How much of a program's own words is told, in characters.
const LONGEST: usize = 600;

/// What kubectl tells a plugin: v1beta1, which every plugin answers, and that nobody is there to be asked.
pub(super) const EXEC_INFO: &str = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","spec":{"interactive":false}}"#;

/// What calls need, whatever they call.
pub(super) struct Caller<'a> {
    /// This program, to be started as the supervisor.
    pub(super) supervisor: &'a Path,
    pub(super) masker: Masker,
    /// When the credential has to be there.
    pub(super) deadline: Instant,
}

/// A call, completely stated. It has no `Debug`: the environment holds secrets.
pub(super) struct Task<'a> {
    pub(super) plugin: &'a Plugin,
    /// What it is to do, as in `could not log in`.
    pub(super) aim: &'static str,
    pub(super) arguments: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    /// The troubles that are known of it.
    pub(super) troubles: &'static [Row],
}

/// What a program printed that did its task. Nothing of it may be shown before its secrets are known.
pub(super) struct Printed {
    pub(super) stdout: Vec<u8>,
    pub(super) heard: Heard,
}

/// What a program said beside its answer.
pub(super) struct Heard {
    pub(super) name: &'static str,
    ends: Ends,
}

impl Heard {
    /// The lines, masked as one text: a secret may stand on several.
    pub(super) fn lines(&self, masker: &Masker) -> Vec<String> {
        let text = masker.text(&uncut(&self.ends));
        let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
        lines.map(|line| format!("{}: {line}", self.name)).collect()
    }
}

impl Caller<'_> {
    /// Masks what a file holds by now, where somebody else renews it.
    pub(super) fn mask_file(&self, path: &Path) {
        if let Ok(text) = std::fs::read_to_string(path) {
            drop(self.masker.add([&Secret::new(text.trim().to_owned())]));
        }
    }

    /// Runs a program that must succeed.
    ///
    /// # Errors
    /// [`CredentialError`], with the program's own words where it had some.
    pub(super) async fn run(&self, task: Task<'_>) -> Result<Printed, CredentialError> {
        let Task { plugin, aim, arguments, environment, troubles } = task;
        let command = Command {
            program: plugin.program.clone(),
            arguments,
            environment,
            // Version managers look for their files from the working directory upwards: here there are none.
            directory: PathBuf::from("/"),
        };
        let timeout = self.deadline.saturating_duration_since(Instant::now());
        let call = Call { supervisor: self.supervisor, command, timeout, room: ROOM };
        let failed = |why: String, hint: Option<String>| CredentialError {
            message: format!("{} could not {aim}: {why}", plugin.words()),
            hint,
        };
        let Called { end, stdout, stderr } =
            call.run().await.map_err(|error| failed(with_causes(&error), None))?;
        let said = self.masker.text(&uncut(&stderr));
        let why = match end {
            CallEnd::Exited(Exit::Code(0)) => {
                return Ok(Printed { stdout, heard: Heard { name: plugin.name, ends: stderr } });
            }
            CallEnd::Exited(Exit::Code(code)) => format!("it exited with code {code}"),
            CallEnd::Exited(Exit::Signal(signal)) => format!("signal {signal} ended it"),
            CallEnd::TimedOut => {
                let hint = "is there a proxy or an endpoint that does not answer? limits.login is the time that a login may take";
                return Err(failed(
                    with_words("it did not answer within limits.login", &said),
                    Some(hint.into()),
                ));
            }
            CallEnd::Flooded => return Err(failed("it printed more than 1 MiB".into(), None)),
            CallEnd::Lost => return Err(failed("its supervisor was ended".into(), None)),
        };
        Err(match translate(troubles, &said) {
            Some(row) => failed(with_words(row.cause, &said), Some(row.fix.to_owned())),
            None => failed(with_words(&why, &said), Some("run it by hand to see what is wrong".to_owned())),
        })
    }
}

/// What an answer that is of no use means.
pub(super) fn useless(plugin: &Plugin, fault: answer::Fault) -> CredentialError {
    let hint = match fault {
        answer::Fault::Ended => "is the clock of this machine right?",
        _ => "is it a wrapper that prints more than the plugin? Run it by hand, with its output to a file",
    };
    let message = format!("{} gave no credential: {fault}", plugin.words());
    CredentialError { message, hint: Some(hint.to_owned()) }
}

/// The environment of every program that logs in: of the agent's own what is inherited by default, but for what is
/// about a terminal. What the payload says is not in it.
pub(super) fn environment(step: &Step, temporary: &Path) -> BTreeMap<String, String> {
    const TERMINAL: [&str; 3] = ["TERM", "COLORTERM", "NO_COLOR"];
    let own = |name: &&String| is_inherited_by_default(name) && !TERMINAL.contains(&name.as_str());
    let inherited = step.inherited.iter().filter(|(name, _)| own(name));
    let mut environment: BTreeMap<String, String> =
        inherited.map(|(name, text)| (name.clone(), text.expose().to_owned())).collect();
    environment.insert("TMPDIR".into(), temporary.display().to_string());
    environment
}

/// Somebody else's words behind ours, on one line.
pub(super) fn with_words(ours: &str, said: &str) -> String {
    let words: Vec<&str> = said.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return ours.to_owned();
    }
    let mut cut: String = line.chars().take(LONGEST).collect();
    if line.chars().nth(LONGEST).is_some() {
        cut.push('…');
    }
    format!("{ours}; it said: {cut}")
}

/// Both ends as one text. Where something was left out between them, so are the lines that the cut goes through: half
/// a secret could not be masked.
fn uncut(ends: &Ends) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if ends.dropped == 0 {
        return text(&ends.head) + &text(&ends.tail);
    }
    let head_end = ends.head.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let tail_start = ends.tail.iter().position(|byte| *byte == b'\n').unwrap_or(ends.tail.len());
    format!(
        "{}\n… {} bytes or more were left out …{}",
        text(&ends.head[..head_end]),
        ends.dropped,
        text(&ends.tail[tail_start..])
    )
}

#[cfg(test)]
mod tests {
    use super::{Ends, uncut, with_words};

    #[test]
    fn lines_that_are_cut_are_left_out() {
        let short = Ends { head: b"one\ntwo".to_vec(), ..Ends::default() };
        assert_eq!(uncut(&short), "one\ntwo");
        let long = Ends { head: b"one\nhunt".to_vec(), tail: b"er22\nlast\n".to_vec(), dropped: 3 };
        assert_eq!(uncut(&long), "one\n… 3 bytes or more were left out …\nlast\n");
    }

    #[test]
    fn foreign_words_stay_on_one_line() {
        assert_eq!(with_words("no", "\n \n"), "no");
        assert_eq!(
            with_words("no", "\nAn error\r\noccurred\u{1b}[0m\n"),
            "no; it said: An error occurred [0m"
        );
        assert!(with_words("no", &"x".repeat(999)).ends_with("x…"));
    }
}
