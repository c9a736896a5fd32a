//! How a claim waits: a file that is touched whenever a step may have become free, and inotify on it.
//!
//! A touch that is lost with its process costs time, never a step: the wait has an end of its own.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use tokio::net::unix::pipe::Receiver;

const FILE: &str = "wake";

/// Tells all that wait.
pub(super) fn touch(folder: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // Never truncated: one byte is written over itself.
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(folder.join(FILE))?;
    file.write_all_at(b".", 0)
}

/// Somebody who waits; it hears every touch since it was made.
///
/// inotify's descriptor is read like a pipe's, and tokio's pipes are its one safe way to wait for a descriptor (`AsyncFd`
/// is `unsafe`, or deprecated as unsound).
pub(super) struct Watch(Receiver);

impl Watch {
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let events = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        // The file is made with the store. Should it be removed, that is heard, too, and the next look tells why.
        add_watch(&events, folder.join(FILE), WatchFlags::MODIFY | WatchFlags::DELETE_SELF)?;
        Ok(Self(Receiver::from_owned_fd_unchecked(events)?))
    }

    /// Waits for a touch; several become one.
    pub(super) async fn touched(&self) -> io::Result<()> {
        let mut bytes = [0_u8; 4096];
        loop {
            self.0.readable().await?;
            match self.0.try_read(&mut bytes) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}
