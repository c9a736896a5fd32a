//! What the supervisor's loop waits for, all in one thread: orders, the ends of processes, an empty cgroup, a moment.

use std::io::{self, BufRead, BufReader, PipeReader};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus};
use signal_hook::consts::SIGCHLD;

use super::cgroup::Cgroup;
use super::control::{Exit, Order};

/// What the loop hears.
pub(super) enum Event {
    Order(Order),
    AgentGone,
    /// Processes have ended, and wait to be reaped.
    Ends,
    /// Nobody is left in the cgroup.
    CgroupEmpty,
}

/// Where it is heard.
pub(super) struct Events {
    /// `None` once the agent is gone.
    orders: Option<BufReader<UnixStream>>,
    /// A byte for each SIGCHLD.
    ends: UnixStream,
    /// Closed when the cgroup is empty.
    cgroup: Option<PipeReader>,
}

impl Events {
    /// # Errors
    /// What the operating system says.
    pub(super) fn new(orders: UnixStream) -> io::Result<Self> {
        let (ends, signalled) = UnixStream::pair()?;
        ends.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGCHLD, signalled)?;
        Ok(Self { orders: Some(BufReader::new(orders)), ends, cgroup: None })
    }

    /// What happens next; `None` when `until` is there. An order is waited for until it is complete: the agent writes it
    /// at once.
    pub(super) fn next(&mut self, until: Option<Instant>) -> Option<Event> {
        loop {
            // First, so that processes that end without pause hold up no kill.
            if until.is_some_and(|until| until <= Instant::now()) {
                return None;
            }
            if self.orders.as_ref().is_some_and(|orders| !orders.buffer().is_empty()) {
                return Some(self.order());
            }
            let [ends, cgroup, orders] = self.wait(until);
            if ends {
                self.forget_ends();
                return Some(Event::Ends);
            }
            if cgroup {
                self.cgroup = None;
                return Some(Event::CgroupEmpty);
            }
            if orders {
                return Some(self.order());
            }
        }
    }

    /// Which of them has news; none of them when it is time, or a signal came between.
    fn wait(&self, until: Option<Instant>) -> [bool; 3] {
        let cgroup = self.cgroup.as_ref().map(AsFd::as_fd);
        let orders = self.orders.as_ref().map(|orders| orders.get_ref().as_fd());
        let sources = [Some(self.ends.as_fd()), cgroup, orders];
        let mut fds: Vec<PollFd<'_>> = sources.into_iter().flatten().map(polled).collect();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        if poll(&mut fds, left.as_ref()).is_err() {
            return [false; 3];
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

    /// Has [`Event::CgroupEmpty`] told when nobody is left in it.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn expect_empty(&mut self, cgroup: Cgroup) -> io::Result<()> {
        if self.cgroup.is_none() {
            let (reader, writer) = io::pipe()?;
            self.cgroup = Some(reader);
            std::thread::spawn(move || {
                cgroup.wait_until_empty();
                drop(writer);
            });
        }
        Ok(())
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

fn exit(status: WaitStatus) -> Option<Exit> {
    status.exit_status().map(Exit::Code).or_else(|| status.terminating_signal().map(Exit::Signal))
}
