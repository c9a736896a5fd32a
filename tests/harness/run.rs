//! The strict builder. What a test does not say must not happen: without [`Run::stdout`] the program must print
//! nothing, without [`Run::code`] it must succeed, and whatever it did, nothing may be left in its folders.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::tools::kubectl;

/// No step of these tests takes longer; one that does is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// A run of `kubestep run`.
#[must_use = "call check() or start()"]
pub(crate) struct Run {
    payload: Vec<u8>,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    folder: TempDir,
    code: i32,
    stdout: Expected,
    stderr: Expected,
    result: bool,
    prefix: Vec<String>,
}

enum Expected {
    Text(String),
    /// Whoever takes the output looks at it.
    Anything,
}

/// A run that is over.
pub(crate) struct Done {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The result document; `null` where none was asked for.
    pub(crate) result: serde_json::Value,
    /// The folder that holds `step.yaml`, `home`, `tmp` and `run`.
    pub(crate) folder: TempDir,
}

impl Run {
    /// A run of this payload, quiet, with a result.
    pub(crate) fn new(payload: impl Into<Vec<u8>>) -> Self {
        let folder = tempfile::Builder::new().prefix("kubestep-test-").tempdir().expect("a folder");
        for name in ["home", "tmp", "run", "bin", "state"] {
            std::fs::create_dir(folder.path().join(name)).expect("made");
        }
        if let Some(kubectl) = kubectl() {
            std::os::unix::fs::symlink(kubectl, folder.path().join("bin/kubectl")).expect("linked");
        }
        Self {
            payload: payload.into(),
            flags: vec!["-q".into()],
            environment: Vec::new(),
            folder,
            code: 0,
            stdout: Expected::Text(String::new()),
            stderr: Expected::Text(String::new()),
            result: true,
            prefix: Vec::new(),
        }
    }

    /// Another payload in the same folder.
    pub(crate) fn payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload = payload.into();
        self
    }

    /// Takes `-q` away.
    pub(crate) fn loud(mut self) -> Self {
        self.flags.retain(|flag| flag != "-q");
        self
    }

    pub(crate) fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// No `--result` of the builder's own.
    pub(crate) fn without_result(mut self) -> Self {
        self.result = false;
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Runs the program by way of another one, such as `setpriv`.
    pub(crate) fn by_way_of(mut self, prefix: &[&str]) -> Self {
        self.prefix = prefix.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Writes a file beside the payload.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.folder.path().join(name), content).expect("written");
        self
    }

    /// This kubectl instead of the newest.
    pub(crate) fn kubectl(self, path: &Path) -> Self {
        self.tool("kubectl", path)
    }

    /// Puts a program on the run's PATH, by this name.
    pub(crate) fn tool(self, name: &str, path: &Path) -> Self {
        let link = self.folder.path().join("bin").join(name);
        drop(std::fs::remove_file(&link));
        std::os::unix::fs::symlink(path, link).expect("linked");
        self
    }

    pub(crate) fn code(mut self, code: i32) -> Self {
        self.code = code;
        self
    }

    pub(crate) fn stdout(mut self, text: &str) -> Self {
        self.stdout = Expected::Text(text.to_owned());
        self
    }

    pub(crate) fn stderr(mut self, text: &str) -> Self {
        self.stderr = Expected::Text(text.to_owned());
        self
    }

    /// The test looks at both streams itself.
    pub(crate) fn any_output(mut self) -> Self {
        self.stdout = Expected::Anything;
        self.stderr = Expected::Anything;
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The payload's path, as it will be given.
    pub(crate) fn payload_path(&self) -> PathBuf {
        self.folder.path().join("step.yaml")
    }

    /// The run's command, with its payload written and its surroundings set.
    pub(crate) fn command(&self) -> Command {
        std::fs::write(self.payload_path(), &self.payload).expect("written");
        let program = env!("CARGO_BIN_EXE_kubestep").to_owned();
        let mut words = self.prefix.iter().cloned().chain([program, "run".to_owned()]);
        let mut command = Command::new(words.next().expect("the program at least"));
        command.args(words).arg(self.payload_path()).args(&self.flags);
        if self.result {
            command.arg("--result").arg(self.folder.path().join("result.json"));
        }
        self.surround(&mut command);
        command
    }

    /// Gives a command of the program the environment of this run and no other.
    pub(crate) fn surround(&self, command: &mut Command) {
        let place = |name: &str| self.folder.path().join(name);
        command
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", place("bin").display()))
            .env("HOME", place("home"))
            .env("TMPDIR", place("tmp"))
            .env("XDG_RUNTIME_DIR", place("run"))
            .env("KUBESTEP_STATE_DIR", place("state"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
    }

    /// Starts it, for tests that look at it while it runs.
    pub(crate) fn start(self) -> Running {
        let child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        Running::new(child, self)
    }

    /// Runs it to its end, and compares everything.
    #[track_caller]
    pub(crate) fn check(self) -> Done {
        self.start().check()
    }
}

/// A run that goes on.
pub(crate) struct Running {
    child: Owned,
    run: Run,
    stdout: Option<Reader>,
    stderr: Option<Reader>,
}

/// A stream, read on a thread of its own.
struct Reader {
    pieces: Receiver<Vec<u8>>,
    seen: Vec<u8>,
}

impl Reader {
    fn new(mut stream: impl Read + Send + 'static) -> Self {
        let (sender, pieces) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { pieces, seen: Vec::new() }
    }

    #[track_caller]
    fn wait_for(&mut self, text: &str, limit: Duration) {
        let end = Instant::now() + limit;
        while !self.seen.windows(text.len()).any(|window| window == text.as_bytes()) {
            match self.pieces.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.seen.extend(piece),
                Err(error) => {
                    panic!("{text:?} did not come ({error}), but {:?}", String::from_utf8_lossy(&self.seen))
                }
            }
        }
    }

    fn rest(mut self) -> String {
        self.seen.extend(self.pieces.iter().flatten());
        String::from_utf8_lossy(&self.seen).into_owned()
    }
}

/// The children of a process' first thread.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

pub(crate) fn first_child(pid: i32) -> i32 {
    *children(pid).first().expect("it has a child")
}

impl Running {
    fn new(mut child: Child, run: Run) -> Self {
        let stdout = child.stdout.take().map(Reader::new);
        let stderr = child.stderr.take().map(Reader::new);
        Self { child: Owned(child), run, stdout, stderr }
    }

    /// The agent's process.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.0.id()).expect("a pid")
    }

    /// The supervisor's process.
    pub(crate) fn supervisor(&self) -> i32 {
        first_child(self.pid())
    }

    pub(crate) fn folder(&self) -> &Path {
        self.run.folder.path()
    }

    /// Waits until this has been printed.
    #[track_caller]
    pub(crate) fn wait_for_stdout(&mut self, text: &str) {
        self.wait_for_stdout_within(text, STUCK);
    }

    /// The same for a step that takes long.
    #[track_caller]
    pub(crate) fn wait_for_stdout_within(&mut self, text: &str, limit: Duration) {
        self.stdout.as_mut().expect("piped").wait_for(text, limit);
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        signal_pid(self.pid(), signal);
    }

    /// Waits for its end, and gives what there is to see, unjudged.
    #[track_caller]
    pub(crate) fn end(mut self) -> (ExitStatus, Done) {
        let stdout = self.stdout.take().map(Reader::rest).unwrap_or_default();
        let stderr = self.stderr.take().map(Reader::rest).unwrap_or_default();
        let status = self.child.0.wait().expect("it was ours");
        let result = std::fs::read(self.run.folder.path().join("result.json")).ok();
        let result =
            result.map_or(serde_json::Value::Null, |text| serde_json::from_slice(&text).expect("JSON"));
        (status, Done { stdout, stderr, result, folder: self.run.folder })
    }

    /// Waits for its end, and compares everything.
    #[track_caller]
    pub(crate) fn check(self) -> Done {
        let (code, result) = (self.run.code, self.run.result);
        let expected = |one: &Expected| match one {
            Expected::Text(text) => Some(text.clone()),
            Expected::Anything => None,
        };
        let (stdout, stderr) = (expected(&self.run.stdout), expected(&self.run.stderr));
        let (status, done) = self.end();
        let mut faults = Vec::new();
        let mut compare = |what: &str, found: &str, expected: &str| {
            if found != expected {
                faults.push(format!("{what}:\n  expected {expected:?}\n  found    {found:?}"));
            }
        };
        let seen =
            status.code().map_or_else(|| format!("signal {:?}", status.signal()), |code| code.to_string());
        compare("exit code", &seen, &code.to_string());
        if let Some(expected) = &stdout {
            compare("stdout", &done.stdout, expected);
        }
        if let Some(expected) = &stderr {
            compare("stderr", &done.stderr, expected);
        }
        if result && code != 64 {
            compare("result's exit code", &done.result["exitCode"].to_string(), &code.to_string());
        }
        for name in ["tmp", "run"] {
            compare(name, &names_in(&done.folder.path().join(name)).join(" "), "");
        }
        assert!(
            faults.is_empty(),
            "\n{}\nstdout: {}\nstderr: {}",
            faults.join("\n"),
            done.stdout,
            done.stderr
        );
        done
    }
}

/// A child that does not outlive a test which fails half-way; one that has been waited for is not signalled.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        drop(self.0.kill());
    }
}

/// The names in a folder, sorted.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Sends a signal to a process that the test has started.
pub(crate) fn signal_pid(pid: i32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, signal).expect("it lives");
}

/// Waits for something that the kernel tells nobody about.
#[track_caller]
pub(crate) fn eventually(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Writes to a file that is there.
pub(crate) fn append(path: &Path, text: &str) {
    let mut file = std::fs::OpenOptions::new().append(true).open(path).expect("opened");
    file.write_all(text.as_bytes()).expect("written");
}
