//! How long things may take, and how these times are written (payload.md 1: `500ms`, `30s`, `5m`, `1h30m`).

use std::time::Duration;

/// The time between TERM and KILL where the payload gives none.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// How long the agent waits, after a stop, for a reader of its log that does not read.
pub const READER_PATIENCE: Duration = Duration::from_secs(5);

/// How long a tree may take to go after KILL before its survivors are given up.
pub const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// What stands in a log instead of a secret, where nobody says otherwise (payload.md 3).
pub const DEFAULT_MASK: &str = "********";

/// A payload's bounds on its script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long the script may run; `None` is without end.
    pub timeout: Option<Duration>,
    /// The time between TERM and KILL.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: None, grace: DEFAULT_GRACE }
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

#[cfg(test)]
mod tests {
    use super::{NotADuration, parse_duration};
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
}
