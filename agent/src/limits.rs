//! How long things may take and how much they may write, and how that is written (payload.md 1: `500ms`, `30s`,
//! `5m`, `1h30m`; `64MiB`, `1GiB`).

use std::time::Duration;

/// The time between TERM and KILL where the payload gives none.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// How long one credential may take where the payload does not say.
pub const DEFAULT_LOGIN: Duration = Duration::from_secs(60);

/// How long the agent waits, after a stop, for a reader of its log that does not read.
pub const READER_PATIENCE: Duration = Duration::from_secs(5);

/// How long a tree may take to go after KILL before its survivors are given up.
pub const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// How much a script may write to both streams together where the payload does not say, in bytes.
pub const DEFAULT_OUTPUT: u64 = 1 << 30;

/// What stands in a log instead of a secret, where nobody says otherwise (payload.md 3).
pub const DEFAULT_MASK: &str = "********";

/// By these variables systemd speaks with the agent (sd_notify(3), sd_listen_fds(3)). They are nobody else's: whoever
/// had them could say in the agent's name that all is well.
pub const SYSTEMD_VARIABLES: [&str; 6] =
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// A payload's bounds on its script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long the script may run; `None` is without end.
    pub timeout: Option<Duration>,
    /// The time between TERM and KILL.
    pub grace: Duration,
    /// How long one credential may take, all calls for it together.
    pub login: Duration,
    /// How many bytes the script may write to stdout and stderr together.
    pub output: u64,
    /// What happens to a script that writes more.
    pub output_policy: OutputPolicy,
}

/// What happens to a script that writes more than `limits.output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputPolicy {
    /// It goes on, and what it writes is dropped.
    #[default]
    Truncate,
    /// It is ended.
    Fail,
}

impl Default for Limits {
    fn default() -> Self {
        let output_policy = OutputPolicy::default();
        Self {
            timeout: None,
            grace: DEFAULT_GRACE,
            login: DEFAULT_LOGIN,
            output: DEFAULT_OUTPUT,
            output_policy,
        }
    }
}

/// Why a text is no duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected a duration such as 500ms, 30s, 5m, 2h or 1h30m")]
pub struct NotADuration;

/// Reads a duration: whole numbers, each with one of `h`, `m`, `s`, `ms`, from the largest unit to the smallest.
///
/// # Errors
/// Anything else, an empty text and an overflow are [`NotADuration`].
pub fn parse_duration(text: &str) -> Result<Duration, NotADuration> {
    const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return Err(NotADuration);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(NotADuration)?;
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| NotADuration)?;
        let word_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (word, tail) = tail.split_at(word_end);
        // The iterator only moves on, so a unit cannot come twice or after a smaller one.
        let (_, factor) = units.find(|(unit, _)| *unit == word).ok_or(NotADuration)?;
        let part = number.checked_mul(*factor).ok_or(NotADuration)?;
        total = total.checked_add(part).ok_or(NotADuration)?;
        rest = tail;
    }
    Ok(Duration::from_millis(total))
}

/// Why a text is no size.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected a size such as 512KiB, 64MiB or 1GiB")]
pub struct NotASize;

/// Reads a size: a whole number with `B`, `KiB`, `MiB`, `GiB` or `TiB`; gives bytes.
///
/// # Errors
/// Anything else, an empty text and an overflow are [`NotASize`].
pub fn parse_size(text: &str) -> Result<u64, NotASize> {
    const UNITS: [(&str, u64); 5] =
        [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(NotASize)?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(NotASize)?;
    let number: u64 = number.parse().map_err(|_| NotASize)?;
    number.checked_mul(*factor).ok_or(NotASize)
}

/// A size as [`parse_size`] reads it, in the largest unit that says it exactly.
#[must_use]
pub fn size_words(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let exact = units.into_iter().find(|(_, shift)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    exact.map_or_else(|| format!("{bytes}B"), |(unit, shift)| format!("{}{unit}", bytes >> shift))
}

#[cfg(test)]
mod tests {
    use super::{NotADuration, NotASize, parse_duration, parse_size, size_words};
    use std::time::Duration;

    #[test]
    fn durations_of_the_contract_are_read() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("1h30m", 5_400_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "5", "s", "5 m", "1.5h", "-1s", "30m1h", "1s1s", "1d", "99999999999999999999h", "1M"]
        {
            assert_eq!(parse_duration(text), Err(NotADuration), "{text}");
        }
    }

    #[test]
    fn sizes_of_the_contract_are_read_and_written() {
        for (text, bytes) in
            [("64MiB", 64 << 20), ("1GiB", 1 << 30), ("3KiB", 3072), ("5B", 5), ("0B", 0), ("2TiB", 2 << 40)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
            assert_eq!(size_words(bytes), text);
        }
        for text in ["", "5", "GiB", "5 MiB", "1.5GiB", "-1B", "1MB", "1gib", "99999999999TiB"] {
            assert_eq!(parse_size(text), Err(NotASize), "{text}");
        }
    }
}
