//! Supervisors whose handle was dropped: each ends its tree, and then itself, and a step waits for that.

use std::sync::{Mutex, PoisonError};

use tokio::time::{Instant, timeout_at};

use super::SILENCE;
use super::running::Running;
use crate::limits::KILL_PATIENCE;

static LEAVING: Mutex<Vec<Running>> = Mutex::new(Vec::new());

/// Notes one, whose socket is about to be closed.
pub(super) fn leaves(supervisor: Option<Running>) {
    LEAVING.lock().unwrap_or_else(PoisonError::into_inner).extend(supervisor);
}

/// Waits until every supervisor whose handle was dropped has ended its tree, such as that of a plugin which was being
/// asked when the step was stopped. As patient as with a kill that is ordered.
pub async fn all_left() {
    let leaving = std::mem::take(&mut *LEAVING.lock().unwrap_or_else(PoisonError::into_inner));
    let end = Instant::now() + KILL_PATIENCE + SILENCE;
    for mut supervisor in leaving {
        drop(timeout_at(end, supervisor.wait()).await);
    }
}
