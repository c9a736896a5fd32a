//! What is typed after `kubestep mask`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `kubestep mask`.
#[derive(Debug, Args)]
pub struct MaskArguments {
    /// The secrets: one a line; or a JSON array of strings, where the first byte is `[`
    #[arg(long, value_name = "FILE")]
    pub secrets: PathBuf,
    /// The secrets end in NUL bytes, so that they may hold newlines
    #[arg(short = '0', long)]
    pub null: bool,
    /// What stands in place of a secret [default: ********]
    #[arg(long, value_name = "TEXT")]
    pub mask: Option<String>,
    /// What is hidden: every form of a secret (base64, JSON, quoted, …), or the value itself
    #[arg(long, value_name = "WHICH", default_value = "all")]
    pub forms: MaskForms,
    /// At the end, print one line of JSON to standard error: bytes, masked, forms, buildMilliseconds
    #[arg(long)]
    pub stats: bool,
}

/// Which forms of a secret are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MaskForms {
    /// Each of them.
    All,
    /// The value itself.
    Raw,
    /// None: a copy, to measure against.
    #[value(hide = true)]
    None,
    /// Each of them, printed with its length instead of a stream: what other matchers are measured with.
    #[value(hide = true)]
    List,
}

pub(super) const MASK_ABOUT: &str = "Mask secrets in a stream: standard input to standard output.\n\n\
    Every form in which a tool may print a secret (base64, hex, JSON, percent, shell quotes, …) becomes one mask, \
    wherever the stream is cut. Only what could still begin a secret is held back, and never for a time.";

pub(super) const MASK_HELP: &str = r#"Examples:
  $ printf '%s\n' "$TOKEN" "$PASSWORD" > secrets
  $ deploy 2>&1 | kubestep mask --secrets secrets
  $ printf '%s\0' "$PRIVATE_KEY" > secrets
  $ deploy 2>&1 | kubestep mask -0 --secrets secrets --mask '[hidden]' --stats

A secret of fewer than 4 bytes is not masked, and a word that ordinary text is made of (true, default, password)
only as it is: both are told on standard error, by their number.

Exit codes:
  0    all of standard input went through
  64   wrong command line, or the secrets cannot be read
  65   the secrets are empty, too large, or not what was said
  70   a fault of the program or its machine: nothing unmasked was written
  141  nobody reads standard output any more
"#;
