//! Waiting between tries: longer each time, and never all at the same moment (full jitter).

use std::time::Duration;

use crate::queue::clock::boot_time;

/// The pause before the first repetition is anything up to this.
const FIRST: Duration = Duration::from_millis(500);

/// How long somebody who keeps failing waits at the most.
const LONGEST: Duration = Duration::from_secs(30);

/// The tries of one thing.
#[derive(Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause before the next try.
    pub(super) fn next(&mut self) -> Duration {
        let most = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        most.mul_f64(fastrand::f64())
    }

    /// Waits before the next try, and not past `until` (by CLOCK_BOOTTIME): a lease that is over makes it pointless.
    /// `false`: that time has come.
    pub(super) async fn pause(&mut self, until: Duration) -> bool {
        let left = until.saturating_sub(boot_time());
        tokio::time::sleep(self.next().min(left)).await;
        !left.is_zero()
    }

    /// How often it has failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// It worked.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, FIRST, LONGEST, boot_time};

    #[test]
    fn pauses_grow_to_a_bound_are_spread_and_begin_anew() {
        let mut longest = [Duration::ZERO; 12];
        let mut shortest = [LONGEST; 12];
        for _ in 0..500 {
            let mut backoff = Backoff::default();
            for (at, pause) in std::iter::repeat_with(|| backoff.next()).take(12).enumerate() {
                longest[at] = longest[at].max(pause);
                shortest[at] = shortest[at].min(pause);
            }
            backoff.reset();
            assert!(backoff.next() <= FIRST);
        }
        assert!(longest[0] <= FIRST && longest[0] > FIRST / 2);
        assert!(longest[3] > FIRST * 4 && longest[3] <= FIRST * 8);
        assert!(longest[11] <= LONGEST && longest[11] > LONGEST / 2);
        assert!(shortest[11] < LONGEST / 4, "all wait the same time");
    }

    #[tokio::test]
    async fn nothing_is_waited_for_past_the_time_at_which_it_is_pointless() {
        let mut backoff = Backoff { failures: 10 };
        let began = std::time::Instant::now();
        assert!(backoff.pause(boot_time() + Duration::from_millis(50)).await);
        assert!(!backoff.pause(boot_time()).await);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(backoff.failures(), 12);
    }
}
