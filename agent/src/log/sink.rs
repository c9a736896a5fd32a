//! One stream's way out: a queue, and who writes it, who is started with the first item: many a step says nothing on its
//! stdout. A file is written by a thread, since that may block; a carrier waits without one.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, mpsc};

use super::{Carrier, Whose, write_all};
use crate::mask::Masked;

/// How many bytes of script output may wait for the reader. Beyond it, the script waits.
const ROOM: usize = 256 * 1024;

/// How many items a carrier gets at once.
const AT_ONCE: usize = 16;

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
    /// Starts whoever writes; `None` once that was done.
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

/// A file of this process; what it has seen last is kept in `at_line_start`.
pub(super) struct Way {
    pub(super) file: File,
    pub(super) at_line_start: Arc<AtomicBool>,
}

/// What went through a sink: bytes of script output, and masks in them.
pub(super) struct SinkTotals {
    pub(super) written: u64,
    pub(super) masked: u64,
    pub(super) dropped: u64,
}

impl Sink {
    /// A sink whose items go to a file. `closed` is called once, when a write fails.
    pub(super) fn to_file(way: Way, closed: impl FnOnce() + Send + 'static) -> Self {
        Self::new(|items, shared| {
            let writer = Writer { way: Some((way, closed)), shared };
            Box::new(move || drop(std::thread::spawn(move || writer.run(items))))
        })
    }

    /// A sink whose items somebody takes. To be called on a runtime, on which he does.
    pub(super) fn carried(
        carrier: Arc<dyn Carrier>,
        whose: Whose,
        closed: impl FnOnce() + Send + 'static,
    ) -> Self {
        let runtime = Handle::current();
        Self::new(|items, shared| {
            let carrying = Carrying { carrier: Some((carrier, closed)), whose, shared };
            Box::new(move || drop(runtime.spawn(carrying.run(items))))
        })
    }

    fn new(start: impl FnOnce(mpsc::UnboundedReceiver<Item>, Arc<Shared>) -> Start) -> Self {
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
        let start = start(items, Arc::clone(&shared));
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
        // It is taken as long as there is a sender.
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

impl Shared {
    /// Counts items as written or dropped; `room` is what they took.
    fn deal_with(&self, items: u64, room: usize) {
        self.room.add_permits(room);
        self.waiting.fetch_sub(items, Ordering::AcqRel);
        self.dealt_with.notify_waiters();
    }

    fn count(&self, output: &Masked) {
        self.written.fetch_add(output.bytes().len() as u64, Ordering::Relaxed);
    }
}

impl Item {
    fn room(&self) -> usize {
        match self {
            Self::Output(_, room) => *room as usize,
            Self::Line(_) => 0,
        }
    }
}

impl Way {
    fn take(&mut self, item: &Item) -> io::Result<()> {
        let Self { file, at_line_start } = self;
        match item {
            Item::Output(masked, _) => write_all(file, masked.bytes(), at_line_start),
            Item::Line(masked) => {
                let fresh = at_line_start.load(Ordering::Relaxed);
                let before: &[u8] = if fresh { b"" } else { b"\n" };
                // In one write, so that no byte of the other stream comes between.
                write_all(file, &[before, masked.bytes()].concat(), at_line_start)
            }
        }
    }
}

struct Writer<C> {
    /// With whom to tell when a write fails; `None` once that was so: everything after it is dropped.
    way: Option<(Way, C)>,
    shared: Arc<Shared>,
}

impl<C: FnOnce()> Writer<C> {
    fn run(mut self, mut items: mpsc::UnboundedReceiver<Item>) {
        while let Some(item) = items.blocking_recv() {
            if let Some((mut way, closed)) = self.way.take() {
                if way.take(&item).is_ok() {
                    if let Item::Output(masked, _) = &item {
                        self.shared.count(masked);
                    }
                    self.way = Some((way, closed));
                } else {
                    closed();
                }
            }
            self.shared.deal_with(1, item.room());
        }
    }
}

struct Carrying<C> {
    /// With whom to tell when he takes no more; `None` once that was so: everything after it is dropped.
    carrier: Option<(Arc<dyn Carrier>, C)>,
    whose: Whose,
    shared: Arc<Shared>,
}

impl<C: FnOnce()> Carrying<C> {
    async fn run(mut self, mut items: mpsc::UnboundedReceiver<Item>) {
        let mut items_at_once = Vec::new();
        while items.recv_many(&mut items_at_once, AT_ONCE).await > 0 {
            let pieces: Vec<(Whose, &Masked)> = items_at_once.iter().map(|item| self.piece(item)).collect();
            if let Some((carrier, closed)) = self.carrier.take() {
                if carrier.carry(&pieces).await.is_ok() {
                    let outputs = pieces.iter().filter(|(whose, _)| *whose != Whose::Agent);
                    outputs.for_each(|(_, masked)| self.shared.count(masked));
                    self.carrier = Some((carrier, closed));
                } else {
                    closed();
                }
            }
            let room = items_at_once.iter().map(Item::room).sum();
            self.shared.deal_with(items_at_once.len() as u64, room);
            items_at_once.clear();
        }
    }

    fn piece<'a>(&self, item: &'a Item) -> (Whose, &'a Masked) {
        match item {
            Item::Output(masked, _) => (self.whose, masked),
            Item::Line(masked) => (Whose::Agent, masked),
        }
    }
}
