//! What the supervisor's loop waits for: orders, the ends of processes, a moment. As long as a script is short and alone,
//! one thread does it all; then another one reaps, so that a tree that multiplies is reaped while it is killed.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, WaitStatus};
use signal_hook::consts::SIGCHLD;

use super::cgroup::Cgroup;
use super::control::{Exit, Order};

/// What the loop hears.
pub(super) enum Event {
    Order(Order),
    AgentGone,
    /// Processes have ended, and wait to be reaped.
    Ends,
    /// The script itself is over; `alone` where nobody of its tree is left.
    ScriptEnded {
        exit: Exit,
        alone: bool,
    },
    /// Nobody of the tree is left.
    Empty,
}

/// Where it is heard.
pub(super) struct Events {
    /// `None` once the agent is gone.
    orders: Option<BufReader<UnixStream>>,
    /// A byte for each SIGCHLD, and for each word.
    ends: UnixStream,
    /// What the thread that reaps says.
    words: Receiver<Event>,
    /// Given to that thread.
    teller: Option<Teller>,
}

/// The way from the thread to the loop.
struct Teller {
    words: Sender<Event>,
    wakes: UnixStream,
}

impl Teller {
    fn tell(&self, word: Event) {
        // A loop that is over needs no news; one that is full of wakes is awake.
        let _ = self.words.send(word);
        let _ = (&self.wakes).write(&[0]);
    }
}

impl Events {
    /// # Errors
    /// What the operating system says.
    pub(super) fn new(orders: UnixStream) -> io::Result<Self> {
        let (ends, wakes) = UnixStream::pair()?;
        ends.set_nonblocking(true)?;
        wakes.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGCHLD, wakes.try_clone()?)?;
        let (sender, words) = mpsc::channel();
        let teller = Some(Teller { words: sender, wakes });
        Ok(Self { orders: Some(BufReader::new(orders)), ends, words, teller })
    }

    /// What happens next; `None` when `until` is there. An order is waited for until it is complete: the agent writes it
    /// at once.
    pub(super) fn next(&mut self, until: Option<Instant>) -> Option<Event> {
        loop {
            // First, so that processes that end without pause hold up no kill.
            if until.is_some_and(|until| until <= Instant::now()) {
                return None;
            }
            if let Ok(word) = self.words.try_recv() {
                return Some(word);
            }
            if self.orders.as_ref().is_some_and(|orders| !orders.buffer().is_empty()) {
                return Some(self.order());
            }
            let [ends, orders] = self.wait(until);
            if ends {
                self.forget_ends();
                if self.teller.is_some() {
                    return Some(Event::Ends);
                }
            } else if orders {
                return Some(self.order());
            }
        }
    }

    /// Which of them has news; none of them when it is time, or a signal came between.
    fn wait(&self, until: Option<Instant>) -> [bool; 2] {
        let orders = self.orders.as_ref().map(|orders| orders.get_ref().as_fd());
        let sources = [Some(self.ends.as_fd()), orders];
        let mut fds: Vec<PollFd<'_>> = sources.into_iter().flatten().map(polled).collect();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        if poll(&mut fds, left.as_ref()).is_err() {
            return [false; 2];
        }
        let mut fds = fds.iter();
        sources.map(|source| source.is_some() && fds.next().is_some_and(|fd| !fd.revents().is_empty()))
    }

    fn order(&mut self) -> Event {
        let mut line = String::new();
        let read = self.orders.as_mut().map(|orders| orders.read_line(&mut line));
        if let Some(Ok(1..)) = read
            && let Ok(order) = serde_json::from_str(&line)
        {
            return Event::Order(order);
        }
        self.orders = None;
        Event::AgentGone
    }

    fn forget_ends(&mut self) {
        let mut bytes = [0; 64];
        while matches!(io::Read::read(&mut self.ends, &mut bytes), Ok(1..)) {}
    }

    /// From here on a thread reaps, and tells when the script has ended and when nobody is left.
    pub(super) fn reap_beside(&mut self, script: Pid, cgroup: Option<Cgroup>) {
        if let Some(teller) = self.teller.take() {
            std::thread::spawn(move || reap_all(script, cgroup.as_ref(), &teller));
        }
    }
}

fn polled(source: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(source, PollFlags::IN)
}

/// What was reaped.
pub(super) struct Reaped {
    /// How the script ended, if it did now.
    pub(super) script: Option<Exit>,
    /// No child is left: the kernel says so, and no look at /proc could be as sure.
    pub(super) all: bool,
}

/// Reaps whoever has ended.
pub(super) fn reap(script: Pid) -> Reaped {
    let mut reaped = Reaped { script: None, all: false };
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == script => reaped.script = exit(status),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return reaped,
            Err(_) => return Reaped { all: true, ..reaped },
        }
    }
}

/// Reaps every process of the tree, which is empty when there is none left to wait for.
fn reap_all(script: Pid, cgroup: Option<&Cgroup>, teller: &Teller) {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == script => {
                let Some(exit) = exit(status) else { continue };
                let alone = !has_children() && !cgroup.is_some_and(Cgroup::is_populated);
                teller.tell(Event::ScriptEnded { exit, alone });
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => break,
        }
    }
    // A process that was given to another parent, such as the init of a pid namespace, is in the cgroup still.
    if let Some(cgroup) = cgroup {
        cgroup.wait_until_empty();
    }
    teller.tell(Event::Empty);
}

/// Looks, and reaps nobody.
fn has_children() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(rustix::process::waitid(WaitId::All, look), Err(Errno::CHILD))
}

fn exit(status: WaitStatus) -> Option<Exit> {
    status.exit_status().map(Exit::Code).or_else(|| status.terminating_signal().map(Exit::Signal))
}
