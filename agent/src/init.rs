//! Process 1 of a container, to which the kernel gives every orphan, and no signal that it does not ask for.
//!
//! It starts kubestep once more and is nothing but its parent: what is sent to it is passed on, whoever dies is
//! reaped, and its exit code is kubestep's. So the agent is the same process in a container as anywhere else, and
//! every other command ends at a TERM there, too.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, wait};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::time::{sleep, timeout};

use crate::supervise::tree;

/// What is passed on.
const PASSED_ON: [Signal; 7] =
    [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::USR1, Signal::USR2, Signal::WINCH];

/// How long the supervisor of an agent that was killed has for its own end: after this process the kernel kills all.
const CLEAN_UP: Duration = Duration::from_secs(5);

/// Where this is process 1: kubestep's exit code, after it has run as a child. Elsewhere, and where no child can be
/// started, `None`.
#[must_use]
pub fn stand_in() -> Option<ExitCode> {
    if !getpid().is_init() {
        return None;
    }
    // It has the environment of the agent, and with it what may be secret there.
    tree::seal().ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        let mut signals = Signals::new().ok()?;
        let child = start().ok()?;
        Some(serve(child, &mut signals).await.into())
    })
}

/// Starts kubestep with the same arguments, in a group of its own, which a terminal's keys then reach by themselves.
fn start() -> io::Result<Pid> {
    let mut command = Command::new("/proc/self/exe");
    command.args(std::env::args_os().skip(1)).process_group(0);
    if let Some(name) = std::env::args_os().next() {
        command.arg0(name);
    }
    let child = Pid::from_child(&command.spawn()?);
    if rustix::termios::tcsetpgrp(rustix::stdio::stdin(), child).is_ok() {
        // It may have been stopped for reading a moment too early. It runs, so nothing here may be an error any more:
        // the step would be run twice.
        let _ = kill_process(child, Signal::CONT);
    }
    Ok(child)
}

async fn serve(child: Pid, signals: &mut Signals) -> u8 {
    loop {
        // First, since it may have died before the signal's stream was there.
        if let Some(status) = reap(child) {
            if let Some(number) = status.terminating_signal() {
                let others = async {
                    while wait(WaitOptions::NOHANG).is_ok() {
                        sleep(Duration::from_millis(2)).await;
                    }
                };
                let _ = timeout(CLEAN_UP, others).await;
                return u8::try_from(128 + number).unwrap_or(u8::MAX);
            }
            return status.exit_status().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX);
        }
        if let Some(signal) = signals.next().await {
            // It may just have died, which the next round sees.
            let _ = kill_process(child, signal);
        }
    }
}

/// Reaps all that are dead; gives how the child ended, if it is one of them.
fn reap(child: Pid) -> Option<WaitStatus> {
    let mut ended = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == child {
            ended = Some(status);
        }
    }
    ended
}

struct Signals {
    died: Stream,
    passed_on: Vec<(Signal, Stream)>,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let stream = |one: Signal| Ok((one, signal(SignalKind::from_raw(one.as_raw()))?));
        let passed_on = PASSED_ON.into_iter().map(stream).collect::<io::Result<_>>()?;
        Ok(Self { died: signal(SignalKind::child())?, passed_on })
    }

    /// A signal to pass on, or `None` where somebody has died.
    async fn next(&mut self) -> Option<Signal> {
        std::future::poll_fn(|context| {
            for (one, stream) in &mut self.passed_on {
                if stream.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(Some(*one));
                }
            }
            self.died.poll_recv(context).map(|_| None)
        })
        .await
    }
}
