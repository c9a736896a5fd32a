//! Processes that wait for steps to come: while the queue is told how a step ended, the process of the next one starts.
//! They have been told nothing, and end with the worker as every step's process does.
//!
//! Not for step users: whoever is left of a user's processes is killed after a step that failed badly.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::child::Blank;
use super::users::StepUser;

/// The processes that wait.
pub(super) struct Standby {
    program: PathBuf,
    most: usize,
    waiting: Mutex<Vec<Blank>>,
    wanted: AtomicBool,
}

impl Standby {
    /// None yet, and never more than `most`.
    pub(super) fn new(program: PathBuf, most: usize) -> Self {
        Self { program, most, waiting: Mutex::default(), wanted: AtomicBool::new(false) }
    }

    /// Whether another step is to come; if none is, those that wait are ended.
    pub(super) fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
        if !wanted {
            self.clear();
        }
    }

    /// Starts one for the next step, where there is one to come.
    pub(super) fn prepare(&self, user: Option<&StepUser>) {
        let mut waiting = self.waiting();
        if user.is_none() && self.wanted.load(Ordering::Relaxed) && waiting.len() < self.most {
            // Should it fail, the next step tries again, and tells.
            waiting.extend(Blank::start(&self.program, None));
        }
    }

    /// One that waits, or a new one.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn take(&self, user: Option<&StepUser>) -> io::Result<Blank> {
        while user.is_none() {
            let Some(mut blank) = self.waiting().pop() else { break };
            if blank.is_alive() {
                return Ok(blank);
            }
        }
        Blank::start(&self.program, user)
    }

    /// Ends those that wait.
    pub(super) fn clear(&self) {
        self.waiting().clear();
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Blank>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
