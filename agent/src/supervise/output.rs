//! A pipe's bytes to whoever takes them, until the pipe ends or the tree that wrote to it is gone.

use std::future::Future;
use std::io;
use std::os::fd::AsFd;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;

/// What a pipe is asked to hold, in bytes: the most that Linux gives to everybody. A script that writes much waits
/// seldom.
pub(super) const PIPE: usize = 1024 * 1024;

/// How much is read at once, in bytes: half of what waits in the sink, so that one piece is written while the next one
/// is masked.
const CHUNK: usize = 128 * 1024;

/// Takes what a script writes.
pub trait Output: Send + 'static {
    /// Takes the next bytes; as long as this waits, so does the script.
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = ()> + Send;
    /// No more bytes will come.
    fn finish(self) -> impl Future<Output = ()> + Send;
}

/// Reads until the end of the pipe, or, once `empty` says that the tree is gone, until nothing more is in it: a
/// process outside the tree that holds the pipe open cannot hold the step.
pub(super) async fn pump(mut pipe: Receiver, mut output: impl Output, mut empty: watch::Receiver<bool>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let over = *empty.borrow_and_update();
        let read = if over {
            // Straight from the descriptor: tokio's own readiness may not have heard of the last bytes yet.
            rustix::io::read(pipe.as_fd(), &mut buffer).map_err(io::Error::from)
        } else {
            tokio::select! {
                read = pipe.read(&mut buffer) => read,
                _ = empty.changed() => continue,
            }
        };
        match read {
            Ok(0) | Err(_) => break,
            Ok(count) => output.write(&buffer[..count]).await,
        }
    }
    output.finish().await;
}
