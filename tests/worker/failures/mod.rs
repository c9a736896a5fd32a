//! What may go wrong around workers, for minutes: after each of it, every step has one ending, none was started twice
//! without leave, no two runs of one were alive at once, no ending but `Lost` disagrees with what ran, no log has a gap.

mod disk;
mod kills;
mod stops;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kubestep::outcome::Reason;
use kubestep::queue::{Entry, Filter, LogPosition, LogStream, Queue, State};

use super::{Place, Worker, envelope, id};
use crate::harness::run::eventually;
use crate::harness::step;

/// How many lines each script prints.
const LINES: usize = 20;

/// A lease, and time for whoever finds it over.
const LEASE_OVER: Duration = Duration::from_secs(100);

/// Numbers that can be had again.
struct Dice(u64);

impl Dice {
    /// By KUBESTEP_SEED, else by the clock; says which, past the test runner's capture.
    #[expect(clippy::disallowed_methods, reason = "the tests' own settings come from the environment")]
    fn new(test: &str) -> Self {
        use std::io::Write;
        let given = std::env::var("KUBESTEP_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| jiff::Timestamp::now().as_millisecond().unsigned_abs());
        let line = format!("\n{test}: KUBESTEP_SEED={seed} repeats it\n");
        let stderr = std::fs::OpenOptions::new().write(true).open("/dev/stderr");
        drop(stderr.and_then(|mut stderr| stderr.write_all(line.as_bytes())));
        Self(seed)
    }

    /// From 0 to below `end`: splitmix64, which needs no crate.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// A queue with steps that note what becomes of them.
struct Load {
    place: Place,
    /// A file for each step: a line when its script begins, one when it ends.
    notes: PathBuf,
    /// Each step, and whether it may be run again when it was lost.
    steps: BTreeMap<String, bool>,
}

impl Load {
    fn new() -> Self {
        Self::of(Place::new())
    }

    fn of(place: Place) -> Self {
        let notes = place.folder().join("notes");
        std::fs::create_dir(&notes).expect("made");
        // A worker that is killed while it tries the tools for the first time remembers none, and so does the next.
        let mut first = place.worker(&["--idle-exit", "10ms"]);
        eventually("the tools are known", LEASE_OVER, || matches!(first.child.try_wait(), Ok(Some(_))));
        assert_eq!(first.code(), Some(0), "{}", first.lines());
        Self { place, notes, steps: BTreeMap::new() }
    }

    /// A script that notes its beginning and its end, that nobody runs beside it, and prints `LINES` lines.
    fn script(&self, name: &str, pause: &str) -> String {
        let notes = self.notes.display();
        format!(
            "exec 9>>{notes}/{name}.lock; flock -n 9 || echo {name} >>{notes}/twice; echo start >>{notes}/{name}\n\
             for ((n = 1; n <= {LINES}; n++)); do echo \"line $n\"; sleep {pause}; done\n\
             echo end >>{notes}/{name}\n"
        )
    }

    fn submit(&mut self, name: &str, on_lost: bool, pause: &str) {
        let payload = step(&self.script(name, pause)) + "limits: {grace: 200ms}\n";
        let mut envelope = envelope(name, &payload);
        envelope.retry.on_lost = on_lost;
        self.place.put(envelope);
        self.steps.insert(name.to_owned(), on_lost);
    }

    fn entries(&self) -> Vec<Entry> {
        let listed = self.place.runtime.block_on(self.place.queue.list(Filter::default())).expect("a list");
        listed.into_iter().filter_map(|listed| listed.entry).collect()
    }

    fn left(&self) -> usize {
        self.entries().iter().filter(|entry| entry.state != State::Ended).count()
    }

    fn in_state(&self, state: State) -> usize {
        self.entries().iter().filter(|entry| entry.state == state).count()
    }

    #[track_caller]
    fn wait_for_all(&self, limit: Duration, worker: &Worker) {
        let end = Instant::now() + limit;
        while self.left() > 0 {
            assert!(Instant::now() < end, "{} steps have no ending: {}", self.left(), worker.lines());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn noted(&self, name: &str, what: &str) -> usize {
        let text = std::fs::read_to_string(self.notes.join(name)).unwrap_or_default();
        text.lines().filter(|line| *line == what).count()
    }

    /// The script's lines, by the claim that wrote them.
    fn lines(&self, name: &str) -> BTreeMap<u64, String> {
        let (mut lines, mut from): (BTreeMap<u64, String>, _) = (BTreeMap::new(), LogPosition::default());
        loop {
            let chunk =
                self.place.runtime.block_on(self.place.queue.log(&id(name), from, 1 << 20)).expect("a log");
            if chunk.frames.is_empty() {
                return lines;
            }
            let of_script = chunk.frames.iter().filter(|frame| frame.stream == LogStream::Stdout);
            let text: String = of_script.map(|frame| String::from_utf8_lossy(&frame.bytes)).collect();
            *lines.entry(chunk.next.epoch).or_default() += &text;
            from = chunk.next;
        }
    }

    /// Everything that must hold, whatever happened; gives the number of steps of each ending.
    #[track_caller]
    fn check(&self) -> BTreeMap<String, usize> {
        let whole: String = (1..=LINES).map(|number| format!("line {number}\n")).collect();
        let mut faults = Vec::new();
        let mut endings: BTreeMap<String, usize> = BTreeMap::new();
        let twice = std::fs::read_to_string(self.notes.join("twice")).unwrap_or_default();
        for name in twice.lines().collect::<BTreeSet<_>>() {
            faults.push(format!("{name} was live twice at once"));
        }
        for (name, on_lost) in &self.steps {
            let entry = self.place.show(name);
            let (starts, ends) = (self.noted(name, "start"), self.noted(name, "end"));
            let Some(ending) = entry.ending.filter(|_| entry.state == State::Ended) else {
                faults.push(format!("{name} has no ending, but is {}", entry.state));
                continue;
            };
            *endings.entry(format!("{:?}", ending.reason)).or_default() += 1;
            if starts > 1 && !on_lost || starts as u64 > entry.epoch {
                faults.push(format!("{name} was started {starts} times, and claimed {}", entry.epoch));
            }
            let lines = self.lines(name);
            for (epoch, text) in &lines {
                if !whole.starts_with(text.as_str()) {
                    faults.push(format!("the log of {name}, claim {epoch}, has a gap: {text:?}"));
                }
            }
            match ending.reason {
                Reason::Completed => {
                    if ends == 0 || lines.get(&entry.epoch).is_none_or(|text| *text != whole) {
                        faults.push(format!("{name} is Completed, but ended {ends} times: {lines:?}"));
                    }
                }
                Reason::Lost => {}
                reason => faults.push(format!("{name} is {reason:?}: {}", ending.message)),
            }
        }
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
        endings
    }
}

/// Says how a test went, past the test runner's capture: `scripts/test --long` shows it.
fn tell(test: &str, endings: &BTreeMap<String, usize>) {
    use std::io::Write;
    let told: Vec<String> = endings.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let stderr = std::fs::OpenOptions::new().write(true).open("/dev/stderr");
    drop(stderr.and_then(|mut stderr| writeln!(stderr, "{test}: {}", told.join(", "))));
}
