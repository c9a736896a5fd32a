//! One stream's way out: a queue, and a thread that writes it, which is started with the first item: many a step says
//! nothing on its stdout.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, Semaphore, mpsc};

use super::{Carrier, Whose, write_all};
use crate::mask::Masked;

/// How many bytes of script output may wait for the reader. Beyond it, the script waits.
const ROOM: usize = 256 * 1024;

enum Item {
    /// From the script, and how much room it took.
    Output(Masked, u32),
    /// From the agent, to stand on a line of its own.
    Line(Masked),
}

/// A way out. A clone is the same one.
#[derive(Clone)]
pub struct Sink {
    queue: mpsc::UnboundedSender<Item>,
    shared: Arc<Shared>,
    /// Starts the thread; `None` once it was.
    start: Arc<Mutex<Option<Start>>>,
}

type Start = Box<dyn FnOnce() + Send>;

struct Shared {
    room: Semaphore,
    abandoned: AtomicBool,
    /// Items that were queued and not yet dealt with.
    waiting: AtomicU64,
    dealt_with: Notify,
    queued: AtomicU64,
    written: AtomicU64,
    masked: AtomicU64,
}

/// Where a sink's bytes go.
pub(super) enum Way {
    /// A file of this process; what it has seen last is kept in `at_line_start`.
    File { file: File, at_line_start: Arc<AtomicBool> },
    /// Somebody who takes them.
    Carrier { carrier: Arc<dyn Carrier>, whose: Whose },
}

/// What went through a sink: bytes of script output, and masks in them.
pub(super) struct SinkTotals {
    pub(super) written: u64,
    pub(super) masked: u64,
    pub(super) dropped: u64,
}

impl Sink {
    /// A sink whose items go there. `closed` is called once, when a write fails.
    pub(super) fn new(way: Way, closed: impl FnOnce() + Send + 'static) -> Self {
        let (queue, items) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            room: Semaphore::new(ROOM),
            abandoned: AtomicBool::new(false),
            waiting: AtomicU64::new(0),
            dealt_with: Notify::new(),
            queued: AtomicU64::new(0),
            written: AtomicU64::new(0),
            masked: AtomicU64::new(0),
        });
        let writer = Writer { way: Some(way), shared: Arc::clone(&shared) };
        let start: Start = Box::new(move || drop(std::thread::spawn(move || writer.run(items, closed))));
        Self { queue, shared, start: Arc::new(Mutex::new(Some(start))) }
    }

    /// Queues script output, as soon as there is room for it.
    pub async fn output(&self, masked: Masked) {
        let length = masked.bytes().len();
        if length == 0 {
            return;
        }
        self.shared.queued.fetch_add(length as u64, Ordering::Relaxed);
        // A piece larger than all the room takes all of it: nothing else waits beside it then.
        let room = u32::try_from(length.min(ROOM)).expect("the room fits");
        match self.shared.room.acquire_many(room).await {
            Ok(permit) => permit.forget(),
            // Abandoned: the bytes are counted as queued, and will never be as written.
            Err(_) => return,
        }
        self.shared.masked.fetch_add(masked.masks(), Ordering::Relaxed);
        self.queue(Item::Output(masked, room));
    }

    /// Queues a line of the agent's own; it takes no room.
    pub(super) fn line(&self, masked: Masked) {
        self.queue(Item::Line(masked));
    }

    fn queue(&self, item: Item) {
        self.shared.waiting.fetch_add(1, Ordering::AcqRel);
        if let Some(start) = self.start.lock().unwrap_or_else(PoisonError::into_inner).take() {
            start();
        }
        // The thread lives as long as there is a sender.
        let _ = self.queue.send(item);
    }

    /// Waits until nothing is queued. Cancel-safe.
    pub(super) async fn flush(&self) {
        loop {
            let dealt_with = self.shared.dealt_with.notified();
            if self.shared.waiting.load(Ordering::Acquire) == 0
                || self.shared.abandoned.load(Ordering::Acquire)
            {
                return;
            }
            dealt_with.await;
        }
    }

    pub(super) fn abandon(&self) {
        self.shared.abandoned.store(true, Ordering::Release);
        self.shared.room.close();
        self.shared.dealt_with.notify_waiters();
    }

    pub(super) fn totals(&self) -> SinkTotals {
        let queued = self.shared.queued.load(Ordering::Relaxed);
        let written = self.shared.written.load(Ordering::Relaxed);
        let masked = self.shared.masked.load(Ordering::Relaxed);
        SinkTotals { written, masked, dropped: queued.saturating_sub(written) }
    }
}

impl Way {
    fn take(&mut self, item: &Item) -> io::Result<()> {
        match (self, item) {
            (Self::Carrier { carrier, whose }, Item::Output(masked, _)) => carrier.carry(*whose, masked),
            (Self::Carrier { carrier, .. }, Item::Line(masked)) => carrier.carry(Whose::Agent, masked),
            (Self::File { file, at_line_start }, Item::Output(masked, _)) => {
                write_lines(file, masked.bytes(), at_line_start)
            }
            (Self::File { file, at_line_start }, Item::Line(masked)) => {
                let fresh = at_line_start.load(Ordering::Relaxed);
                let before: &[u8] = if fresh { b"" } else { b"\n" };
                // In one write, so that no byte of the other stream comes between.
                write_lines(file, &[before, masked.bytes()].concat(), at_line_start)
            }
        }
    }
}

fn write_lines(file: &mut File, bytes: &[u8], at_line_start: &AtomicBool) -> io::Result<()> {
    let will_end_a_line = bytes.last() == Some(&b'\n');
    write_all(file, bytes, |rest| {
        at_line_start.store(rest.is_empty() && will_end_a_line, Ordering::Relaxed);
    })
}

struct Writer {
    /// `None` once a write has failed: everything after it is dropped.
    way: Option<Way>,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(mut self, mut items: mpsc::UnboundedReceiver<Item>, closed: impl FnOnce()) {
        let mut closed = Some(closed);
        while let Some(item) = items.blocking_recv() {
            if self.write(&item).is_none()
                && let Some(closed) = closed.take()
            {
                closed();
            }
            if let Item::Output(_, room) = item {
                self.shared.room.add_permits(room as usize);
            }
            self.shared.waiting.fetch_sub(1, Ordering::AcqRel);
            self.shared.dealt_with.notify_waiters();
        }
    }

    /// `None` where nobody reads.
    fn write(&mut self, item: &Item) -> Option<()> {
        if self.way.as_mut()?.take(item).is_err() {
            self.way = None;
            return None;
        }
        if let Item::Output(masked, _) = item {
            self.shared.written.fetch_add(masked.bytes().len() as u64, Ordering::Relaxed);
        }
        Some(())
    }
}
