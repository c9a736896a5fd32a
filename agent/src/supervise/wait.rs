//! The supervisor's two threads: one waits for processes, one reads orders. Each only tells the loop.

use std::io::BufRead;
use std::sync::mpsc::Sender;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, WaitStatus};

use super::cgroup::Cgroup;
use super::control::{Exit, Order};

/// What the loop hears.
pub(super) enum Event {
    Order(Order),
    AgentGone,
    /// The script itself is over; `alone` where nobody of its tree is left.
    ScriptEnded {
        exit: Exit,
        alone: bool,
    },
    /// Nobody of the tree is left.
    Empty,
}

pub(super) fn read_orders(orders: impl BufRead, to_loop: &Sender<Event>) {
    for line in orders.lines() {
        let Ok(order) = line.map_err(drop).and_then(|line| serde_json::from_str(&line).map_err(drop)) else {
            break;
        };
        if to_loop.send(Event::Order(order)).is_err() {
            return;
        }
    }
    // A loop that is over needs no news.
    drop(to_loop.send(Event::AgentGone));
}

/// Reaps every process of the tree, which is empty when there is none left to wait for. The kernel tells: no look
/// at /proc could be as sure.
pub(super) fn wait_for_processes(script: Pid, cgroup: Option<&Cgroup>, to_loop: &Sender<Event>) {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == script => {
                let Some(exit) = exit(status) else { continue };
                let alone = !has_children() && !cgroup.is_some_and(Cgroup::is_populated);
                if to_loop.send(Event::ScriptEnded { exit, alone }).is_err() {
                    return;
                }
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => break,
        }
    }
    // A process that was given to another parent, such as the init of a pid namespace, is in the cgroup still.
    if let Some(cgroup) = cgroup {
        cgroup.wait_until_empty();
    }
    drop(to_loop.send(Event::Empty));
}

fn exit(status: WaitStatus) -> Option<Exit> {
    status.exit_status().map(Exit::Code).or_else(|| status.terminating_signal().map(Exit::Signal))
}

/// Looks, and reaps nobody.
fn has_children() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(rustix::process::waitid(WaitId::All, look), Err(Errno::CHILD))
}
