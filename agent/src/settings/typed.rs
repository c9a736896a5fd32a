//! What was typed of the settings, whatever the command.

use std::path::PathBuf;

use crate::cli::{CheckStepArguments, QueueChoice, StepArguments, WorkerArguments};

/// The flags that settings depend on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Typed<'a> {
    pub(super) config: Option<&'a PathBuf>,
    pub(super) state_dir: Option<&'a PathBuf>,
    pub(super) mask: Option<&'a String>,
}

impl<'a> From<&'a StepArguments> for Typed<'a> {
    fn from(arguments: &'a StepArguments) -> Self {
        let StepArguments { config, state_dir, mask, .. } = arguments;
        Self { config: config.as_ref(), state_dir: state_dir.as_ref(), mask: mask.as_ref() }
    }
}

impl<'a> From<&'a WorkerArguments> for Typed<'a> {
    fn from(arguments: &'a WorkerArguments) -> Self {
        let WorkerArguments { config, state_dir, mask, .. } = arguments;
        Self { config: config.as_ref(), state_dir: state_dir.as_ref(), mask: mask.as_ref() }
    }
}

impl<'a> From<&'a CheckStepArguments> for Typed<'a> {
    fn from(arguments: &'a CheckStepArguments) -> Self {
        let CheckStepArguments { config, state_dir, .. } = arguments;
        Self { config: config.as_ref(), state_dir: state_dir.as_ref(), mask: None }
    }
}

impl<'a> From<&'a QueueChoice> for Typed<'a> {
    fn from(choice: &'a QueueChoice) -> Self {
        let QueueChoice { config, state_dir, .. } = choice;
        Self { config: config.as_ref(), state_dir: state_dir.as_ref(), mask: None }
    }
}
