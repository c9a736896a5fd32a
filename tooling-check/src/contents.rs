//! Looks into a file that the kernel would not start, to say why.
//!
//! The kernel's error alone misleads: `No such file or directory` for a file that is there (its interpreter is
//! not), `Exec format error` for a wrong processor as well as for the web page of a failed download.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::fault::{Contents, Fault};

/// Headers and, in every build that is met, the loader's name lie within the first page.
const FIRST_PAGE: u64 = 4096;

/// Why `program` did not start, which the kernel refused with `error`.
pub(crate) fn why_refused(program: &Path, error: &io::Error) -> Fault {
    let Ok(head) = head(program) else { return Fault::system("started", error) };
    match Errno::from_io_error(error) {
        Some(Errno::NOENT) => Fault::MissingInterpreter { interpreter: interpreter(&head) },
        Some(Errno::NOEXEC) => match Elf::of(&head).and_then(|elf| elf.foreign_machine()) {
            Some(built_for) => Fault::WrongArchitecture { built_for },
            None => Fault::NotAProgram { contents: contents(&head) },
        },
        _ => Fault::system("started", error),
    }
}

/// What a loader (glibc's, then musl's) says where a library is missing.
pub(crate) fn missing_library(said: Option<&str>) -> Option<Fault> {
    let rest = ["error while loading shared libraries: ", "Error loading shared library "]
        .into_iter()
        .find_map(|words| said?.split_once(words).map(|(_, rest)| rest))?;
    let library = rest.split(':').next()?.trim();
    (!library.is_empty()).then(|| Fault::MissingLibrary { library: library.to_owned() })
}

/// Whether the file is a script, so that what it does may depend on other files.
pub(crate) fn is_script(program: &Path) -> bool {
    head(program).is_ok_and(|head| head.starts_with(b"#!"))
}

fn head(program: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(FIRST_PAGE as usize);
    File::open(program)?.take(FIRST_PAGE).read_to_end(&mut head)?;
    Ok(head)
}

fn contents(head: &[u8]) -> Contents {
    let start = head.trim_ascii_start();
    if start.is_empty() {
        Contents::Nothing
    } else if start.first() == Some(&b'<') {
        Contents::WebPage
    } else if !head.iter().any(is_binary) && !head.starts_with(b"#!") {
        Contents::Text
    } else {
        Contents::Unknown
    }
}

fn is_binary(byte: &u8) -> bool {
    byte.is_ascii_control() && !byte.is_ascii_whitespace()
}

fn interpreter(head: &[u8]) -> Option<PathBuf> {
    let path = if let Some(line) = head.strip_prefix(b"#!") {
        let end = line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len());
        // A script written on Windows names `/bin/sh\r`: the line is cut at blanks alone, so that it shows.
        line[..end].trim_ascii_start().split(|byte| matches!(byte, b' ' | b'\t')).next()?
    } else {
        Elf::of(head)?.loader()?
    };
    (!path.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(path)))
}

/// The first page of an ELF file, with the widths and byte order that its first bytes give.
struct Elf<'a> {
    head: &'a [u8],
    wide: bool,
    little: bool,
}

impl<'a> Elf<'a> {
    fn of(head: &'a [u8]) -> Option<Self> {
        let rest = head.strip_prefix(b"\x7fELF")?;
        Some(Self { head, wide: *rest.first()? == 2, little: *rest.get(1)? == 1 })
    }

    /// The unsigned number of `size` bytes at `at`.
    fn number(&self, at: usize, size: usize) -> Option<usize> {
        let bytes = self.head.get(at..at.checked_add(size)?)?;
        let add = |sum: usize, byte: &u8| (sum << 8) | usize::from(*byte);
        Some(if self.little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) })
    }

    /// The processor it was built for, where that is not this machine's (`e_machine`, elf.h).
    fn foreign_machine(&self) -> Option<String> {
        let name = match self.number(18, 2)? {
            3 => "x86",
            8 => "mips",
            21 => "powerpc64",
            22 => "s390x",
            40 => "arm",
            62 => "x86_64",
            183 => "aarch64",
            243 => "riscv64",
            258 => "loongarch64",
            other => return Some(format!("processor number {other}")),
        };
        (name != std::env::consts::ARCH).then(|| name.to_owned())
    }

    /// The loader (`PT_INTERP`) that a dynamically linked program names.
    fn loader(&self) -> Option<&'a [u8]> {
        const PT_INTERP: usize = 3;
        // Where the fields lie in the wide and in the narrow form (elf.h).
        let word = if self.wide { 8 } else { 4 };
        let [table, size, count, offset, length] =
            if self.wide { [32, 54, 56, 8, 32] } else { [28, 42, 44, 4, 16] };
        let (table, size) = (self.number(table, word)?, self.number(size, 2)?);
        (0..self.number(count, 2)?).find_map(|index| {
            let entry = table.checked_add(size.checked_mul(index)?)?;
            if self.number(entry, 4)? != PT_INTERP {
                return None;
            }
            let start = self.number(entry.checked_add(offset)?, word)?;
            let end = start.checked_add(self.number(entry.checked_add(length)?, word)?)?;
            self.head.get(start..end)?.split(|byte| *byte == 0).next()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::{Elf, contents, interpreter};
    use crate::fault::Contents;

    #[test]
    fn a_scripts_interpreter_is_read_with_its_carriage_return() {
        assert_eq!(interpreter(b"#! /opt/sh -e\nexit"), Some(PathBuf::from("/opt/sh")));
        assert_eq!(interpreter(b"#!/bin/sh\r\nexit"), Some(PathBuf::from("/bin/sh\r")));
        assert_eq!(interpreter(b"#!\n"), None);
        assert_eq!(interpreter(b"hello"), None);
    }

    #[test]
    fn a_real_programs_loader_and_machine_are_read() {
        let head = fs::read("/usr/bin/bash").unwrap();
        let loader = interpreter(&head[..4096]).unwrap();
        assert!(loader.is_absolute() && Path::new(&loader).exists(), "{}", loader.display());
        assert_eq!(Elf::of(&head).unwrap().foreign_machine(), None);
    }

    #[test]
    fn no_cut_of_a_header_makes_the_reader_fail() {
        let head = fs::read("/usr/bin/bash").unwrap();
        for length in 0..1024 {
            let _ = interpreter(&head[..length]);
            let _ = Elf::of(&head[..length]).and_then(|elf| elf.foreign_machine());
            let _ = interpreter(&[&head[..length], &[0xff; 64]].concat());
        }
    }

    #[test]
    fn what_is_no_program_is_named() {
        assert_eq!(contents(b" \n"), Contents::Nothing);
        assert_eq!(contents(b"\n<!DOCTYPE html>"), Contents::WebPage);
        assert_eq!(contents(b"exec kubectl-1.30 \"$@\"\n"), Contents::Text);
        assert_eq!(contents(b"\x7fELF\x02\x01\0\0"), Contents::Unknown);
    }
}
