//! How waits end: a file that is touched whenever a step may have become free or has ended, the log files, and inotify on
//! them; and a file of its own for cancellations, so that the others' comings and goings wake no holder.
//!
//! A touch that is lost with its process costs time, never a step: the wait has an end of its own.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::fs::inotify::{CreateFlags, ReadFlags, WatchFlags, add_watch, init};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;

/// What is told: each has a file.
#[derive(Clone, Copy)]
pub(super) enum Bell {
    /// A step may have become free.
    Free,
    /// A step that somebody holds was cancelled.
    Cancelled,
}

impl Bell {
    fn file(self) -> &'static str {
        match self {
            Self::Free => "wake",
            Self::Cancelled => "cancel",
        }
    }
}

/// The fixed part of inotify's event: watch, mask, cookie, length; 32 bits each, as the machine writes numbers.
const HEAD: usize = 16;

/// A bell that is rung by whoever changes something.
pub(super) struct Rope(File);

impl Rope {
    /// Makes the bell where it is not there.
    pub(super) fn open(folder: &Path, bell: Bell) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).open(folder.join(bell.file())).map(Self)
    }

    /// Tells all that wait. One byte is written over itself.
    pub(super) fn pull(&self) -> io::Result<()> {
        self.0.write_all_at(b".", 0)
    }
}

/// A bell as all in this process hear it. They share one watch, since the kernel takes milliseconds to close one.
#[derive(Default)]
pub(super) struct Ring(Mutex<Option<watch::Receiver<()>>>);

impl Ring {
    /// Hears every ring from now on. Where it closes, the watch has ended: listen anew.
    pub(super) fn listen(&self, folder: &Path, bell: Bell) -> io::Result<watch::Receiver<()>> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = shared.as_ref().filter(|told| told.has_changed().is_ok()) {
            let mut told = open.clone();
            told.mark_unchanged();
            return Ok(told);
        }
        let watch = Watch::new(folder, bell, None)?;
        let (tell, told) = watch::channel(());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    touched = watch.touched() => match touched {
                        Ok(()) => tell.send_replace(()),
                        Err(_) => return,
                    },
                    () = tell.closed() => return,
                }
            }
        });
        *shared = Some(told.clone());
        Ok(told)
    }
}

/// Somebody who waits; it hears every touch since it was made.
///
/// inotify's descriptor is read like a pipe's, and tokio's pipes are its one safe way to wait for a descriptor (`AsyncFd`
/// is `unsafe`, or deprecated as unsound).
pub(super) struct Watch {
    events: Receiver,
    /// The beginning of the names of a step's log files; the logs of others are none of its business.
    log: Option<Vec<u8>>,
}

impl Watch {
    /// Hears a bell; with a step's number, what is appended to its logs, too.
    pub(super) fn new(folder: &Path, bell: Bell, log_of: Option<i64>) -> io::Result<Self> {
        let events = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        // The file is made with the store. Should it be removed, that is heard, too, and the next look tells why.
        add_watch(&events, folder.join(bell.file()), WatchFlags::MODIFY | WatchFlags::DELETE_SELF)?;
        if log_of.is_some() {
            // The folder, as the next claim's file is not there yet.
            add_watch(&events, folder.join(super::store::LOGS), WatchFlags::MODIFY)?;
        }
        let log = log_of.map(|number| format!("{number}-").into_bytes());
        Ok(Self { events: Receiver::from_owned_fd_unchecked(events)?, log })
    }

    /// Waits for a touch; several become one.
    ///
    /// # Errors
    /// Also where what is watched was removed: nothing will be heard any more.
    pub(super) async fn touched(&self) -> io::Result<()> {
        let mut bytes = [0_u8; 4096];
        loop {
            self.events.readable().await?;
            match self.events.try_read(&mut bytes) {
                Ok(size) if has_ended(&bytes[..size]) => return Err(io::ErrorKind::NotFound.into()),
                Ok(size) if self.concerns(&bytes[..size]) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether one of these events is about the wake file, which comes without a name, or about the step's log. Each is
    /// 16 bytes, of which the last four are the length of the name behind them.
    fn concerns(&self, mut events: &[u8]) -> bool {
        let Some(log) = &self.log else { return true };
        while let Some((head, rest)) = events.split_at_checked(HEAD) {
            let length = head.last_chunk().map_or(0, |length| u32::from_ne_bytes(*length)) as usize;
            let Some((name, rest)) = rest.split_at_checked(length) else { return true };
            if name.is_empty() || name.starts_with(log) {
                return true;
            }
            events = rest;
        }
        false
    }
}

/// Whether one of these events is the end of a watch.
fn has_ended(mut events: &[u8]) -> bool {
    while let Some((head, rest)) = events.split_at_checked(HEAD) {
        let number = |at: usize| head[at..].first_chunk().map_or(0, |number| u32::from_ne_bytes(*number));
        if number(4) & ReadFlags::IGNORED.bits() != 0 {
            return true;
        }
        events = rest.get(number(12) as usize..).unwrap_or_default();
    }
    false
}
