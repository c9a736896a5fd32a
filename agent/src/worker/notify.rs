//! What systemd is told (sd_notify(3)): that the worker is ready, reads its config anew, stops, how it is, and that its
//! loop turns.
//!
//! One datagram each; that nobody hears it is no fault of a step's, so nothing fails. Not by the crate sd-notify: it
//! reads the environment itself, which `settings` alone does here.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{MissedTickBehavior, interval};

use super::status::{Snapshot, Status, TURN};
use crate::settings::Environment;

/// Who is told; nobody, where the worker was not started by systemd as a service of the type `notify`.
pub struct Notify {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// Within which time a sign of life is wanted.
    watchdog: Option<Duration>,
}

impl Notify {
    /// By `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`, which no script inherits.
    #[must_use]
    pub fn new(environment: &Environment) -> Self {
        let value = |name: &str| environment.get(OsStr::new(name)).map(|value| value.as_os_str());
        let number = |name| value(name).and_then(|value| value.to_str()?.parse::<u64>().ok());
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|microseconds| ours && *microseconds > 0);
        Self { to: value("NOTIFY_SOCKET").and_then(open), watchdog: watchdog.map(Duration::from_micros) }
    }

    /// It takes steps from now on.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// It reads its config anew; [`Notify::ready`] says that it has.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        // systemd compares it with when it asked.
        let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// It takes no more steps, and ends when those that run have.
    fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Tells how the worker is whenever that has changed (that it stops, at once), and that it lives, as long as its
    /// loop turns: where it stands, systemd hears nothing more and starts it anew. Never returns; ends when it is
    /// dropped.
    pub async fn watch(&self, status: &Status) {
        // Half of the time, as sd_watchdog_enabled(3) recommends.
        let every = self.watchdog.map_or(TURN, |watchdog| (watchdog / 2).min(TURN));
        let mut ticks = interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut told, mut stops) = (String::new(), false);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = status.drains(), if !stops => {
                    stops = true;
                    self.stopping();
                }
            }
            let now = status.snapshot();
            let line = words(&now);
            if line != told {
                self.tell(&format!("STATUS={line}"));
                told = line;
            }
            if self.watchdog.is_some() && now.is_turning() {
                self.tell("WATCHDOG=1");
            }
        }
    }

    fn tell(&self, state: &str) {
        if let Some((socket, to)) = &self.to {
            // Where systemd's buffer is full, the next sign of life will do.
            drop(socket.send_to_addr(state.as_bytes(), to));
        }
    }
}

/// A path, or a name of the abstract kind, which begins with `@`.
fn open(name: &OsStr) -> Option<(UnixDatagram, SocketAddr)> {
    let to = match name.as_bytes() {
        [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name),
        _ => SocketAddr::from_pathname(name),
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some((socket, to.ok()?))
}

/// What `systemctl status` shows.
fn words(now: &Snapshot) -> String {
    let steps = format!("{} of {} slots in use", now.running, now.slots);
    let trouble = now.preflight.as_ref().err().or(now.queue.as_ref().err());
    match trouble {
        _ if !now.is_turning() => format!("{steps}; the loop stands"),
        _ if now.draining => format!("{steps}; takes no more steps"),
        Some(trouble) => format!("{steps}; {trouble}"),
        None => steps,
    }
}

#[cfg(test)]
mod tests {
    use super::{Notify, words};
    use crate::settings::Environment;
    use crate::worker::status::{Snapshot, Status};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::time::Duration;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn heard(systemd: &UnixDatagram) -> String {
        let mut bytes = [0; 512];
        systemd.set_read_timeout(Some(Duration::from_secs(10))).expect("a bound");
        let size = systemd.recv(&mut bytes).expect("a word");
        String::from_utf8(bytes[..size].to_vec()).expect("text")
    }

    #[test]
    fn systemd_hears_by_a_path_and_by_an_abstract_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&path).expect("a socket");
        let notify = Notify::new(&environment(&[("NOTIFY_SOCKET", path.to_str().expect("text"))]));
        notify.ready();
        assert_eq!(heard(&systemd), "READY=1");
        notify.reloading();
        let reloading = heard(&systemd);
        let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("both lines");
        assert!(time.parse::<u64>().is_ok_and(|time| time > 0), "{reloading}");
        let name = format!("kubestep-test-{}", std::process::id());
        let systemd = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).expect("a name"));
        Notify::new(&environment(&[("NOTIFY_SOCKET", &format!("@{name}"))])).ready();
        assert_eq!(heard(&systemd.expect("a socket")), "READY=1");
    }

    #[test]
    fn without_systemd_and_after_it_nothing_happens() {
        Notify::new(&Environment::new()).ready();
        Notify::new(&environment(&[("NOTIFY_SOCKET", "/nonexistent/socket")])).ready();
        Notify::new(&environment(&[("NOTIFY_SOCKET", "")])).ready();
    }

    #[test]
    fn the_watchdog_is_another_s_where_the_process_is() {
        let watchdog = |variables: &[(&str, &str)]| Notify::new(&environment(variables)).watchdog;
        let own = std::process::id().to_string();
        assert_eq!(watchdog(&[("WATCHDOG_USEC", "500000")]), Some(Duration::from_millis(500)));
        assert_eq!(
            watchdog(&[("WATCHDOG_USEC", "7"), ("WATCHDOG_PID", &own)]),
            Some(Duration::from_micros(7))
        );
        assert_eq!(watchdog(&[("WATCHDOG_USEC", "7"), ("WATCHDOG_PID", "1")]), None);
        assert_eq!(watchdog(&[("WATCHDOG_USEC", "0")]), None);
        assert_eq!(watchdog(&[("WATCHDOG_USEC", "soon")]), None);
    }

    #[tokio::test]
    async fn signs_of_life_come_as_long_as_the_loop_turns() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&path).expect("a socket");
        systemd.set_nonblocking(true).expect("set");
        let variables = [("NOTIFY_SOCKET", path.to_str().expect("text")), ("WATCHDOG_USEC", "40000")];
        let (notify, status) = (Notify::new(&environment(&variables)), Status::new("p", 2));
        status.preflight(Ok(()));
        let all = || {
            let (mut words, mut bytes) = (Vec::new(), [0; 512]);
            while let Ok(size) = systemd.recv(&mut bytes) {
                words.push(String::from_utf8(bytes[..size].to_vec()).expect("text"));
            }
            words
        };
        let time = Duration::from_millis(200);
        let watch = async || drop(tokio::time::timeout(time, notify.watch(&status)).await);
        watch().await;
        let words = all();
        assert_eq!(words[0], "STATUS=0 of 2 slots in use");
        assert!(words[1..].iter().all(|word| word == "WATCHDOG=1"), "{words:?}");
        // One each 20 ms; a machine that is busy may be late.
        assert!((3..=12).contains(&words.len()), "{words:?}");
        status.stand_for(Duration::from_secs(31));
        watch().await;
        assert_eq!(all(), ["STATUS=0 of 2 slots in use; the loop stands"]);
        status.turn();
        status.draining();
        watch().await;
        let words = all();
        assert_eq!(words.iter().filter(|word| *word == "STOPPING=1").count(), 1, "{words:?}");
        assert!(words.contains(&"STATUS=0 of 2 slots in use; takes no more steps".to_owned()), "{words:?}");
        assert!(words.contains(&"WATCHDOG=1".to_owned()), "it lives until it has ended: {words:?}");
    }

    #[test]
    fn the_line_says_what_is_wrong() {
        let status = Status::new("p", 2);
        let now = || status.snapshot();
        assert_eq!(words(&now()), "0 of 2 slots in use; the preflight has not run yet");
        status.preflight(Ok(()));
        let running = status.started();
        assert_eq!(words(&now()), "1 of 2 slots in use");
        status.draining();
        assert_eq!(words(&now()), "1 of 2 slots in use; takes no more steps");
        let since_turn = Duration::from_secs(60);
        assert_eq!(words(&Snapshot { since_turn, ..now() }), "1 of 2 slots in use; the loop stands");
        drop(running);
    }
}
