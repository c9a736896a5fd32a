//! What the help of both programs says at its end, and the words that are typed.

use std::path::{Path, PathBuf};

use crate::tool::Tool;

/// Examples and exit codes.
pub const AFTER: &str = "Examples:
  What is here, and is it enough for any step?
    $ tooling-check
  In an image build: EKS and charts, clusters of 1.36, and every pair is really run:
    RUN tooling-check --for eks --for helm --server 1.36 --prove --strict
  For a worker's registration:
    $ tooling-check --capabilities

Needed in any case: kubectl, jq, xargs, base64, bash. Another tool that is missing is a note, unless --for or --require
names it.

Exit codes:
  0   good (notes, and warnings without --strict)
  1   warnings, with --strict
  2   something needed is missing or too old
  3   something needed is there and does not work
  64  wrong usage, or the rules cannot be read
  70  a fault of the program or its machine
  141 nobody reads standard output any more
";

/// `NAME=PATH`.
///
/// # Errors
/// What was expected, for a person.
pub fn chosen(text: &str) -> Result<(Tool, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("expected NAME=PATH")?;
    let tool = Tool::named(name).ok_or_else(|| format!("there is no tool {name}"))?;
    if Path::new(path).is_absolute() {
        Ok((tool, path.into()))
    } else {
        Err(format!("{path} is no absolute path"))
    }
}
