//! What time it is: by the wall for what people say (`notBefore`), by CLOCK_BOOTTIME for leases, which a wall clock that
//! steps must neither prolong nor end.

use std::sync::Arc;
use std::time::Duration;

/// One reading of the clocks.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The wall's time.
    pub wall: jiff::Timestamp,
    /// Since the boot, suspensions included; it never goes back.
    pub boot: Duration,
    /// Which boot. After another one, `boot` means nothing.
    pub boot_id: Arc<str>,
}

/// A source of readings.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Moment + Send + Sync>);

impl Clock {
    /// The machine's clocks.
    ///
    /// # Errors
    /// Without a boot id (/proc is not there) no lease can be given.
    pub fn machine() -> std::io::Result<Self> {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let boot_id: Arc<str> = boot_id.trim().into();
        Ok(Self::new(move || Moment {
            wall: jiff::Timestamp::now(),
            boot: boot_time(),
            boot_id: Arc::clone(&boot_id),
        }))
    }

    /// Any other source.
    pub fn new(read: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Reads the clocks.
    #[must_use]
    pub fn now(&self) -> Moment {
        (self.0)()
    }
}

/// CLOCK_BOOTTIME.
#[must_use]
pub fn boot_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}
