//! `kubestep mask`: standard input to standard output, with the secrets of a file masked.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{CLOSED, DATA, SOFTWARE, USAGE, say};
use crate::cli::{MaskArguments, MaskForms};
use crate::mask::{Hidden, Masker, SHORTEST, Scope, Stream, TooShort, TransferError};
use crate::settings::{SettingsError, checked_mask};
use crate::supervise;

/// The most bytes of secrets that are taken: with all their forms they stay below a few hundred MiB.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// What the pipes on both sides are asked to hold, in bytes: the most that Linux gives to everybody.
const PIPE: usize = 1024 * 1024;

/// What ends the command before the end of its input.
#[derive(Debug, thiserror::Error)]
enum MaskError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("the secrets {path} cannot be read")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the secrets {path}: {fault}")]
    Secrets { path: PathBuf, fault: Fault },
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error("the masker failed; what it held is not written")]
    Failed,
}

/// Why a file holds no secrets. Nothing of what it holds is told.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("there is none in it")]
    None,
    #[error("number {0} is empty")]
    Empty(usize),
    #[error("more than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("expected a JSON array of strings (line {line}, column {column})")]
    NoJson { line: usize, column: usize },
}

/// What went through.
#[derive(Default)]
struct Totals {
    bytes: u64,
    masked: u64,
}

/// Masks a stream, and gives the exit code.
#[must_use]
pub fn run(arguments: &MaskArguments) -> u8 {
    let error = match mask(arguments) {
        Ok(()) => return 0,
        Err(error) => error,
    };
    let code = match &error {
        MaskError::Settings(_) | MaskError::Read { .. } => USAGE,
        MaskError::Secrets { .. } => DATA,
        MaskError::Transfer(TransferError::Write(source)) if source.kind() == io::ErrorKind::BrokenPipe => {
            return CLOSED;
        }
        MaskError::Transfer(_) | MaskError::Failed => SOFTWARE,
    };
    let cause = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
    say(&format!("error: {error}{cause}"));
    code
}

fn mask(arguments: &MaskArguments) -> Result<(), MaskError> {
    let unreadable = |source| MaskError::Read { path: arguments.secrets.clone(), source };
    supervise::tree::seal().map_err(unreadable)?;
    let mask = checked_mask(arguments.mask.clone())?;
    let text = read(&arguments.secrets).map_err(unreadable)?;
    let wrong = |fault| MaskError::Secrets { path: arguments.secrets.clone(), fault };
    let secrets = secrets(&text, arguments.null).map_err(wrong)?;
    let started = Instant::now();
    let masker =
        Masker::with_scope(&mask, if arguments.forms == MaskForms::Raw { Scope::Raw } else { Scope::All });
    if arguments.forms != MaskForms::None {
        let answers = masker.add_bytes(secrets.iter().map(Vec::as_slice));
        warn(&answers);
    }
    let building = started.elapsed();
    drop((secrets, text));
    if arguments.forms == MaskForms::List {
        return Ok(list(&masker).map_err(TransferError::Write)?);
    }
    let mut totals = Totals::default();
    let done = transfer(masker.stream(), &mut totals);
    if arguments.stats {
        stats(&totals, masker.forms(), building);
    }
    done
}

/// Each form after its length (32 bits, little-endian).
fn list(masker: &Masker) -> io::Result<()> {
    let mut listed = Vec::new();
    masker.each_form(|form| {
        // A form is shorter than 4 GiB, as all of them together are.
        listed.extend_from_slice(&u32::try_from(form.len()).unwrap_or(u32::MAX).to_le_bytes());
        listed.extend_from_slice(form);
    });
    io::stdout().write_all(&listed)
}

/// Copies until the end. A masker that fails ends it; its stream then writes nothing any more.
fn transfer(mut stream: Stream, totals: &mut Totals) -> Result<(), MaskError> {
    let open = |descriptor: io::Result<std::os::fd::OwnedFd>| descriptor.map(File::from);
    let mut source = open(io::stdin().as_fd().try_clone_to_owned()).map_err(TransferError::Read)?;
    let mut sink = open(io::stdout().as_fd().try_clone_to_owned()).map_err(TransferError::Write)?;
    for file in [&source, &sink] {
        // What is no pipe, or one that may not grow, stays as it is.
        let _ = rustix::pipe::fcntl_setpipe_size(file, PIPE);
    }
    loop {
        let once = AssertUnwindSafe(|| stream.transfer(&mut source, &mut sink));
        let done = catch_unwind(once).map_err(|_| MaskError::Failed)??;
        totals.bytes += done.read as u64;
        totals.masked += done.masks;
        if done.read == 0 {
            return Ok(());
        }
    }
}

/// One byte more than is allowed, at most.
fn read(path: &PathBuf) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(File::open(path)?, MAX_BYTES + 1), &mut text)?;
    Ok(text)
}

fn secrets(text: &[u8], null: bool) -> Result<Vec<Vec<u8>>, Fault> {
    if text.len() as u64 > MAX_BYTES {
        return Err(Fault::TooLarge);
    }
    let secrets: Vec<Vec<u8>> = match text.first() {
        None => return Err(Fault::None),
        Some(_) if null => split(text, 0).map(<[u8]>::to_vec).collect(),
        Some(b'[') => {
            let strings: Vec<String> = serde_json::from_slice(text)
                .map_err(|error| Fault::NoJson { line: error.line(), column: error.column() })?;
            strings.into_iter().map(String::into_bytes).collect()
        }
        Some(_) => split(text, b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec()).collect(),
    };
    match secrets.iter().position(Vec::is_empty) {
        Some(index) => Err(Fault::Empty(index + 1)),
        None if secrets.is_empty() => Err(Fault::None),
        None => Ok(secrets),
    }
}

/// What `end` ends; the last one may go without.
fn split(text: &[u8], end: u8) -> impl Iterator<Item = &[u8]> {
    text.strip_suffix(&[end]).unwrap_or(text).split(move |byte| *byte == end)
}

fn warn(answers: &[Result<Hidden, TooShort>]) {
    for (number, answer) in (1..).zip(answers) {
        match answer {
            Ok(Hidden::Everywhere) => {}
            Ok(Hidden::CommonWord) => {
                say(&format!(
                    "warning: secret {number} is an ordinary word: it is masked as it is, in no other form"
                ));
            }
            Err(TooShort) => {
                say(&format!("warning: secret {number} has fewer than {SHORTEST} bytes and is not masked"));
            }
        }
    }
}

fn stats(totals: &Totals, forms: usize, building: Duration) {
    let milliseconds = (building.as_secs_f64() * 1e6).round() / 1e3;
    let line = serde_json::json!({
        "bytes": totals.bytes,
        "masked": totals.masked,
        "forms": forms,
        "buildMilliseconds": milliseconds,
    });
    // Where nobody reads stderr the exit code has to do.
    let _ = writeln!(io::stderr(), "{line}");
}
