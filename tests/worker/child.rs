//! The process of one step, spoken to as a worker does.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use clap::Parser;
use kubestep::cli::Arguments;
use kubestep::outcome::Reason;
use kubestep::queue::clock::boot_time;
use kubestep::queue::{Ending, LogStream};
use kubestep::secret::Secret;
use kubestep::settings::{Environment, Settings};
use kubestep::worker::frames::{Cancel, Down, Up};
use kubestep::worker::job::Job;

use crate::harness::run::{eventually, names_in};
use crate::harness::{Run, step};

/// A step's process; the test is its worker.
struct Step {
    child: Child,
    socket: UnixStream,
    reader: tokio::runtime::Runtime,
    frames: tokio::net::UnixStream,
    run: Run,
    phases: Vec<String>,
    log: Vec<(LogStream, String)>,
    ending: Option<Ending>,
}

impl Step {
    /// Starts a payload, which may run until that much later.
    fn start(payload: &str, lease: Duration) -> Self {
        let run = Run::new(payload);
        let place = |name: &str| run.folder().join(name).into_os_string();
        let path = format!("{}:/usr/bin:/bin", run.folder().join("bin").display());
        let environment: Environment = [
            ("PATH", path.into()),
            ("HOME", place("home")),
            ("TMPDIR", place("tmp")),
            ("XDG_RUNTIME_DIR", place("run")),
            ("KUBESTEP_STATE_DIR", place("state")),
            ("A_SECRET_OF_THE_WORKER", "not for steps".into()),
        ]
        .map(|(name, value)| (name.into(), value))
        .into();
        let arguments = Arguments::parse_from(["kubestep", "run", "-"]);
        let kubestep::cli::Command::Run(typed) = arguments.command else { unreachable!("a run") };
        let settings = Settings::resolve(&typed.step, None, &environment).expect("valid");
        let mut job = Job::new(settings, &environment);
        job.phases = true;
        let job = serde_json::to_vec(&job).expect("JSON");

        let (mut socket, theirs) = UnixStream::pair().expect("a pair");
        let child = Command::new(env!("CARGO_BIN_EXE_kubestep"))
            .arg("__step")
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .spawn()
            .expect("it starts");
        for frame in
            [Down::Job(job), Down::Payload(Secret::new(payload.to_owned())), Down::Lease(boot_time() + lease)]
        {
            socket.write_all(&frame.bytes().expect("short")).expect("sent");
        }
        let reader = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let ours = socket.try_clone().expect("copied");
        ours.set_nonblocking(true).expect("set");
        let frames = {
            let _inside = reader.enter();
            tokio::net::UnixStream::from_std(ours).expect("ours")
        };
        let (phases, log, ending) = (Vec::new(), Vec::new(), None);
        Self { child, socket, reader, frames, run, phases, log, ending }
    }

    fn send(&mut self, frame: &Down) {
        self.socket.write_all(&frame.bytes().expect("short")).expect("sent");
    }

    /// Takes the next frame; `false` where there is none any more.
    fn next(&mut self) -> bool {
        let read = async { tokio::time::timeout(Duration::from_secs(60), Up::read(&mut self.frames)).await };
        match self.reader.block_on(read).expect("in time").expect("frames") {
            None => return false,
            Some(Up::Phase(name)) => self.phases.push(name),
            Some(Up::Log(frame)) => {
                assert!(frame.milliseconds > 1_700_000_000_000, "it has no time");
                self.log.push((frame.stream, String::from_utf8(frame.bytes).expect("text")));
            }
            Some(Up::Result(ending)) => {
                assert!(self.ending.is_none(), "two results");
                self.ending = Some(*ending);
            }
        }
        true
    }

    fn text(&self, stream: LogStream) -> String {
        self.log.iter().filter(|(whose, _)| *whose == stream).map(|(_, text)| text.as_str()).collect()
    }

    fn wait_for(&mut self, stream: LogStream, text: &str) {
        while !self.text(stream).contains(text) {
            assert!(self.next(), "{text} did not come, but {:?}", self.log);
        }
    }

    /// Waits for its end; whatever happened, nothing of it may be left.
    fn end(mut self) -> (Self, Ending) {
        while self.next() {}
        let status = self.wait();
        assert!(status.success(), "{status}");
        let ending = self.ending.take().expect("a result");
        assert_empty(self.run.folder());
        (self, ending)
    }

    fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the process ends", Duration::from_secs(30), || {
            status = self.child.try_wait().expect("ours");
            status.is_some()
        });
        status.expect("it has ended")
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
        }
    }
}

fn assert_empty(folder: &Path) {
    for name in ["tmp", "run"] {
        assert_eq!(names_in(&folder.join(name)), Vec::<String>::new(), "left in {name}");
    }
}

const LONG: Duration = Duration::from_secs(300);

#[test]
fn a_step_tells_its_phases_its_masked_log_and_its_result_last() {
    let payload = step("echo out $TOKEN_OF_MINE; echo err >&2; env; exit 3")
        + "environment: {TOKEN_OF_MINE: hunter22-of-the-test}\nsecrets: [hunter22-of-the-test]\n\
           retry: {onLost: true}\n";
    let (step, ending) = Step::start(&payload, LONG).end();
    assert_eq!((ending.reason, ending.exit_code), (Reason::ScriptFailed, 3));
    assert_eq!(ending.message, "the script exited with code 3");
    let result = ending.result.expect("a document");
    assert_eq!((&result["kind"], &result["exitCode"]), (&"StepResult".into(), &3.into()));
    assert_eq!(step.phases, ["plan", "workspace", "credential", "namespace", "script", "log"]);
    let (out, all) = (step.text(LogStream::Stdout), format!("{:?}", step.log));
    assert!(out.starts_with("out ********\n"), "{out}");
    assert_eq!(step.text(LogStream::Stderr), "err\n");
    assert!(!all.contains("hunter22") && !result.to_string().contains("hunter22"), "{all}");
    assert!(!all.contains("A_SECRET_OF_THE_WORKER"), "{all}");
    let said = step.text(LogStream::Agent);
    assert!(said.contains("kubestep: step test on "), "{said}");
    assert!(said.ends_with("kubestep: error: the script exited with code 3\n"), "{said}");
    assert!(!said.contains("for a queue"), "the plan thinks that there is no queue: {said}");
}

#[test]
fn a_cancelled_step_gets_term_and_its_grace() {
    let payload = step("trap 'echo got TERM; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
    for (cancel, message) in
        [(Cancel::Queue, "cancelled on its queue"), (Cancel::Drain, "cancelled, since its worker ends")]
    {
        let mut step = Step::start(&payload, LONG);
        step.wait_for(LogStream::Stdout, "ready\n");
        step.send(&Down::Cancel(cancel));
        let (step, ending) = step.end();
        assert_eq!(
            (ending.reason, ending.exit_code, ending.message.as_str()),
            (Reason::Cancelled, 143, message)
        );
        assert_eq!(step.text(LogStream::Stdout), "ready\ngot TERM\n");
    }
}

#[test]
fn a_step_whose_lease_is_not_renewed_ends_its_tree_at_once_whatever_its_grace() {
    let payload = step("trap '' TERM; echo ready; while :; do sleep 0.01; done") + "limits: {grace: 1h}\n";
    let mut step = Step::start(&payload, Duration::from_secs(3));
    let begun = Instant::now();
    step.wait_for(LogStream::Stdout, "ready\n");
    let (_, ending) = step.end();
    let took = begun.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(6)).contains(&took), "{took:?}");
    assert_eq!((ending.reason, ending.exit_code), (Reason::AgentFailed, 70));
    let result = ending.result.expect("a document");
    assert_eq!(result["script"], serde_json::json!({"exitCode": null, "signal": 9}));
}

#[test]
fn a_renewed_lease_lets_the_step_go_on() {
    let mut step = Step::start(&step("echo ready; sleep 2; echo done"), Duration::from_secs(1));
    step.send(&Down::Lease(boot_time() + LONG));
    let (step, ending) = step.end();
    assert_eq!(ending.reason, Reason::Completed);
    assert_eq!(step.text(LogStream::Stdout), "ready\ndone\n");
}

#[test]
fn a_step_whose_worker_is_gone_ends_its_tree_and_leaves_nothing() {
    let payload = step("trap 'exit 0' TERM; echo $$; while :; do sleep 0.01; done");
    let mut step = Step::start(&payload, LONG);
    step.wait_for(LogStream::Stdout, "\n");
    let script: i32 = step.text(LogStream::Stdout).trim().parse().expect("a pid");
    assert!(crate::cleanup::alive(script));
    // Both copies: the end of file comes when the last one is gone.
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    drop(std::mem::replace(&mut step.socket, ours));
    theirs.set_nonblocking(true).expect("set");
    {
        let _inside = step.reader.enter();
        step.frames = tokio::net::UnixStream::from_std(theirs).expect("ours");
    }
    let status = step.wait();
    assert!(!status.success(), "its result reached nobody, and it says so");
    assert!(!crate::cleanup::alive(script));
    assert_empty(step.run.folder());
}

#[test]
fn a_payload_that_names_what_is_the_workers_is_refused() {
    let payload = step("echo started") + "inheritEnvironment: [HOME]\nscript2: {}\n";
    let (step, ending) = Step::start(&payload, LONG).end();
    assert_eq!((ending.reason, ending.exit_code), (Reason::Refused, 65));
    assert_eq!(step.text(LogStream::Stdout), "");
    let payload = step_from_env();
    let (step, ending) = Step::start(&payload, LONG).end();
    assert_eq!((ending.reason, ending.exit_code), (Reason::Refused, 65));
    assert!(ending.message.contains("fromEnv"), "{}", ending.message);
    assert_eq!(step.phases, ["plan"]);
}

fn step_from_env() -> String {
    step("echo started").replace("token: token-of-the-test", "token: {fromEnv: A_SECRET_OF_THE_WORKER}")
}
