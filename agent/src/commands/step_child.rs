//! `kubestep __step`: one step of a worker's queue in a process of its own, so that one step cannot harm another.
//!
//! It is `kubestep run` for a payload that speaks for somebody else. What it reads comes from the worker, over the
//! socket on descriptor 0; its log goes up there, masked before it leaves this process; the result is the last frame.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Mutex, mpsc};

use super::{SOFTWARE, request, run};
use crate::log::{Carried, Carrier, Format, Level, Log, Voice, Whose};
use crate::mask::{Masked, Masker};
use crate::outcome::Record;
use crate::queue::clock::boot_time;
use crate::queue::{Ending, LogFrame, LogStream};
use crate::step::{self, Context, Outcome, Stop};
use crate::supervise::{self, SplitOff, StopReason, Supervisor};
use crate::worker::frames::{Cancel, Down, Up};

/// The longest that the end of the lease goes unnoticed when the machine was suspended, since timers stood still.
const LOOK: Duration = Duration::from_secs(1);

/// Runs the step to its end. Where nothing could be told to the worker, the exit code says so.
#[must_use]
pub fn main() -> ExitCode {
    serve().map_or(SOFTWARE.into(), |()| ExitCode::SUCCESS)
}

fn serve() -> io::Result<()> {
    supervise::tree::seal()?;
    // Before there is a thread, before anything is read, and while the worker's socket is nowhere but on descriptor 0.
    let supervisor = supervise::split_off()?;
    // It was started by way of /proc/self/exe, and would be called `exe` in every list of processes.
    rustix::thread::set_name(c"kubestep-step")?;
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    std::env::set_current_dir("/")?;
    socket.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run_step(socket, supervisor))?;
    // A tool that was being tried must not hold the end.
    runtime.shutdown_background();
    Ok(())
}

async fn run_step(socket: UnixStream, supervisor: SplitOff) -> io::Result<()> {
    let supervisor = Supervisor::take(supervisor).map_err(io::Error::other)?;
    let (down, up) = tokio::net::UnixStream::from_std(socket)?.into_split();
    let (mut down, up) = (BufReader::new(down), Arc::new(Upstream(Mutex::new(up))));
    let (job, payload, until) = Down::begin(&mut down).await?;
    let tells_phases = job.phases;
    let (settings, environment) = job.into_parts();
    let request = request::queued(payload, &settings, environment);
    let (sender, orders) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok(Some(order)) = Down::read(&mut down).await {
            if sender.send(order).is_err() {
                break;
            }
        }
    });
    let orders = Orders { orders, until };
    let (stop, stops) = mpsc::unbounded_channel();
    run::listen(&stop)?;
    let masker = Masker::new(&settings.mask);
    let carrier: Arc<dyn Carrier> = Arc::clone(&up) as Arc<dyn Carrier>;
    let closed = stop.clone();
    let voice = Voice { format: Format::Text, least: Level::Info };
    let log = Log::carried(masker.clone(), voice, &carrier, move || {
        // A step that is over needs no news.
        let _ = closed.send(StopReason::WorkerGone);
    });
    run::diagnose(&log);
    tokio::spawn(orders.obey(stop.clone()));
    let mut record = Record::begin(request.surroundings.now);
    let mut phases = None;
    if tells_phases {
        let (sender, begun) = mpsc::unbounded_channel();
        // They are taken until the record is gone.
        record = record.watched(move |phase| drop(sender.send(phase.name().to_owned())));
        phases = Some(tokio::spawn(tell_phases(begun, Arc::clone(&up))));
    }
    let context = Context::new(&log, masker.clone(), (stop, stops), record).with_supervisor(supervisor);
    let Outcome { verdict, result } = step::run(&request, context).await;
    let message = masker.text(&verdict.message);
    let result = serde_json::to_value(&result).ok().map(|result| masked(result, &masker));
    let ending = Ending { reason: verdict.reason, exit_code: verdict.exit_code, message, result };
    if let Some(phases) = phases {
        // A panic in there loses phases, which are for people.
        drop(phases.await);
    }
    up.send(&[Up::Result(Box::new(ending))]).await
}

async fn tell_phases(mut phases: mpsc::UnboundedReceiver<String>, up: Arc<Upstream>) {
    while let Some(phase) = phases.recv().await {
        // A worker that is gone is noticed by its socket's end.
        drop(up.send(&[Up::Phase(phase)]).await);
    }
}

/// The result with its sentences masked; everything else in it is a number, a name or a word of a closed list.
fn masked(mut result: serde_json::Value, masker: &Masker) -> serde_json::Value {
    let mask = |object: &mut serde_json::Value| {
        for name in ["message", "hint"] {
            if let Some(serde_json::Value::String(text)) = object.get_mut(name) {
                *text = masker.text(text);
            }
        }
    };
    mask(&mut result);
    result["warnings"].as_array_mut().into_iter().flatten().for_each(mask);
    result
}

/// What the worker says while the step runs.
struct Orders {
    orders: mpsc::UnboundedReceiver<Down>,
    /// When the tree must have ended, by CLOCK_BOOTTIME.
    until: Duration,
}

impl Orders {
    /// Turns what the worker says, its silence and its end into reasons to stop.
    async fn obey(mut self, stop: Stop) {
        let mut over = false;
        loop {
            let left = self.until.saturating_sub(boot_time());
            if left.is_zero() && !over {
                over = true;
                // A step that is over needs no news; so below.
                let _ = stop.send(StopReason::LeaseOver);
            }
            let order = tokio::select! {
                order = self.orders.recv() => order,
                () = tokio::time::sleep(left.min(LOOK)), if !over => continue,
            };
            match order {
                Some(Down::Lease(until)) => self.until = until,
                Some(Down::Cancel(cancel)) => drop(stop.send(reason(cancel))),
                Some(Down::Job(_) | Down::Payload(_)) => {}
                None => break,
            }
        }
        let _ = stop.send(StopReason::WorkerGone);
        // Nobody renews the lease any more, and a long grace does not outlast it.
        while !over {
            let left = self.until.saturating_sub(boot_time());
            over = left.is_zero();
            tokio::time::sleep(left.min(LOOK)).await;
        }
        let _ = stop.send(StopReason::LeaseOver);
    }
}

fn reason(cancel: Cancel) -> StopReason {
    match cancel {
        Cancel::Queue => StopReason::Queue,
        Cancel::Drain => StopReason::Drain,
        Cancel::DrainAtOnce => StopReason::DrainAtOnce,
        Cancel::LeaseOver => StopReason::LeaseOver,
    }
}

/// The way to the worker, shared by whoever writes.
struct Upstream(Mutex<OwnedWriteHalf>);

impl Upstream {
    /// Frames that follow each other, at once: each write wakes the worker.
    async fn send(&self, frames: &[Up]) -> io::Result<()> {
        let bytes: io::Result<Vec<_>> = frames.iter().map(Up::bytes).collect();
        let bytes = bytes?.concat();
        self.0.lock().await.write_all(&bytes).await
    }
}

impl Carrier for Upstream {
    fn carry<'a>(&'a self, pieces: &'a [(Whose, &'a Masked)]) -> Carried<'a> {
        let milliseconds = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
        let frame = |(whose, masked): &(Whose, &Masked)| {
            let stream = match whose {
                Whose::Stdout => LogStream::Stdout,
                Whose::Stderr => LogStream::Stderr,
                Whose::Agent => LogStream::Agent,
            };
            Up::Log(LogFrame { stream, milliseconds, bytes: masked.bytes().to_vec() })
        };
        let frames: Vec<Up> = pieces.iter().map(frame).collect();
        Box::pin(async move { self.send(&frames).await })
    }
}
