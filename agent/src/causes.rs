//! An error in one line: itself and its causes, each once. What shows an error to a person calls this.

use std::error::Error;

/// The error and its causes, from the outermost to the innermost.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        line = format!("{line}: {next}");
        cause = next.source();
    }
    line
}
