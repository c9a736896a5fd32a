//! How wide the terminal is.

use std::io::{self, IsTerminal};

/// The columns of the terminal that standard output is; `None` where it is none or does not know.
#[must_use]
pub fn columns() -> Option<usize> {
    let size = io::stdout().is_terminal().then(|| rustix::termios::tcgetwinsize(io::stdout()).ok())??;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
