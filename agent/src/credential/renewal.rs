//! When a credential is renewed: pure arithmetic on times.
//!
//! A client-go program reads its token file again at most 50 s after its last look, and helm 3 `--wait` dies on the
//! first refusal (plugins-measured.md 1): so the new token has to be there long before the old one ends.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// What has to be left of an old credential when the new one comes.
const MARGIN: Duration = Duration::from_secs(120);

/// The least time between two tries.
const LEAST_PAUSE: Duration = Duration::from_secs(5);

/// The longest time between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A credential's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

impl Life {
    /// When it is to be renewed: at 80 % of its life or when 120 s are left, whichever is earlier, but not before
    /// half of it is over, and no sooner than 5 s from its beginning.
    pub(super) fn due(self) -> Timestamp {
        let whole = self.until.duration_since(self.since).max(SignedDuration::ZERO);
        let margin = signed(MARGIN);
        let before_end = whole.saturating_sub(margin).min(whole * 4 / 5);
        later(self.since, before_end.max(whole / 2).max(signed(LEAST_PAUSE)))
    }
}

/// When a renewal that has failed `failures` times in a row is tried again, `chance` between 0 and 1: from half of a
/// doubling pause to all of it, and no sooner than 5 s.
pub(super) fn again(last: Timestamp, failures: u32, chance: f64) -> Timestamp {
    let doubled = LEAST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.min(8))).min(LONGEST_PAUSE);
    later(last, signed(doubled.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0).max(LEAST_PAUSE)))
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Life, again};
    use jiff::{SignedDuration, Timestamp};

    fn due_after(seconds: i64) -> i64 {
        let since = Timestamp::UNIX_EPOCH;
        let until = since.checked_add(SignedDuration::from_secs(seconds)).expect("a time");
        Life { since, until }.due().as_second()
    }

    #[test]
    fn it_is_renewed_at_four_fifths_or_two_minutes_before_its_end() {
        // EKS' 14 minutes, an hour, a day; then lives that are shorter than the margin.
        for (life, due) in [
            (840, 672),
            (3600, 2880),
            (86_400, 69_120),
            (600, 480),
            (300, 180),
            (240, 120),
            (120, 60),
            (8, 5),
        ] {
            assert_eq!(due_after(life), due, "{life} s");
        }
        assert_eq!(due_after(0), 5, "an end that has passed is no reason to try without pause");
        assert_eq!(due_after(-60), 5);
    }

    #[test]
    fn failures_are_tried_again_after_longer_and_longer_pauses() {
        let pause = |failures, chance| again(Timestamp::UNIX_EPOCH, failures, chance).as_second();
        assert_eq!((pause(1, 0.0), pause(1, 1.0)), (5, 10));
        assert_eq!((pause(2, 0.0), pause(2, 1.0)), (10, 20));
        assert_eq!((pause(9, 0.0), pause(9, 1.0)), (30, 60));
        assert_eq!(pause(u32::MAX, 7.0), 60);
    }
}
