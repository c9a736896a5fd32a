//! What is seen of a worker from outside while it works: its address, its metrics, and what systemd hears.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Instant;

use kubestep::outcome::Reason;
use kubestep::queue::{LogStream, State};
use rustix::process::Signal;

use super::{Place, SOON, Worker, envelope};
use crate::eks;
use crate::harness::run::eventually;
use crate::harness::tools::{repository, tool};
use crate::harness::{Run, skipped, step};

/// Ends when a file is there.
const UNTIL: &str = "echo ready; until [ -e \"$GO\" ]; do sleep 0.02; done; echo $WORD";

/// What is answered: status, media type, body.
struct Told {
    status: u16,
    kind: String,
    body: String,
}

impl Worker {
    /// Where it says that it listens.
    #[track_caller]
    fn address(&self) -> String {
        self.wait_for("listening at http://");
        let lines = self.lines();
        let rest = lines.split("listening at http://").nth(1).expect("it is said");
        rest.split([',', '\n', ' ']).next().expect("an address").to_owned()
    }

    #[track_caller]
    fn ask(&self, path: &str) -> Told {
        let mut stream = TcpStream::connect(self.address()).expect("connected");
        stream.set_read_timeout(Some(SOON)).expect("a bound");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: worker\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).expect("a type");
        Told { status, kind: kind.to_owned(), body: body.to_owned() }
    }

    #[track_caller]
    fn wait_for_metric(&self, line: &str) {
        let mut body = String::new();
        eventually(&format!("{line} is told"), SOON, || {
            body = self.ask("/metrics").body;
            body.lines().any(|told| told == line)
        });
    }
}

/// A worker with an address that runs the step `a`, which says `ready` and ends with the file that is returned; `b` waits
/// behind it.
fn busy() -> (Place, Worker, std::path::PathBuf) {
    let place = Place::new();
    let go = place.folder().join("go");
    let more = format!(
        "environment: {{GO: {}, WORD: hunter22-hunter22}}\nsecrets: [hunter22-hunter22]\n",
        go.display()
    );
    place.submit("a", &(step(UNTIL) + &more));
    place.submit("b", &step("exit 3"));
    let worker = place.worker(&["--listen", "127.0.0.1:0"]);
    place.wait_for("a", "ready\n");
    (place, worker, go)
}

#[test]
fn a_worker_tells_how_it_is_while_a_step_runs_and_what_came_of_it() {
    let (place, worker, go) = busy();
    let live = worker.ask("/livez");
    assert_eq!(
        (live.status, live.kind.as_str(), live.body.as_str()),
        (200, "text/plain; charset=utf-8", "ok\n")
    );
    let ready = worker.ask("/readyz?verbose");
    assert_eq!(
        (ready.status, ready.body.as_str()),
        (200, "loop: ok\npreflight: ok\nqueue: ok\ndisk: ok\ndrain: ok\n")
    );
    let metrics = worker.ask("/metrics");
    assert_eq!(metrics.kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    for line in [
        "kubestep_running_steps 1",
        "kubestep_slots 1",
        "kubestep_queue_depth{pool=\"default\",state=\"running\"} 1",
        "kubestep_queue_depth{pool=\"default\",state=\"queued\"} 1",
        "kubestep_claim_latency_seconds_count 1",
        "kubestep_masks_total 0",
    ] {
        assert!(metrics.body.lines().any(|told| told == line), "{line} is not in\n{}", metrics.body);
    }
    assert_eq!(worker.ask("/other").status, 404);
    std::fs::write(&go, "").expect("written");
    assert_eq!(place.ended("b").reason, Reason::ScriptFailed);
    assert_eq!(place.text("a", LogStream::Stdout), "ready\n********\n");
    worker.wait_for_metric("kubestep_steps_total{pool=\"default\",reason=\"ScriptFailed\"} 1");
    for line in [
        "kubestep_steps_total{pool=\"default\",reason=\"Completed\"} 1",
        "kubestep_masks_total 1",
        "kubestep_claim_latency_seconds_count 2",
        "kubestep_queue_depth{pool=\"default\",state=\"queued\"} 0",
        "kubestep_queue_oldest_seconds{pool=\"default\"} 0.0",
        "kubestep_running_steps 0",
    ] {
        worker.wait_for_metric(line);
    }
}

#[test]
fn a_worker_that_drains_is_not_ready_and_lives_until_its_step_has_ended() {
    let (place, mut worker, go) = busy();
    worker.signal(Signal::TERM);
    worker.wait_for("no new steps");
    let ready = worker.ask("/readyz");
    assert_eq!((ready.status, ready.body.as_str()), (503, "drain: the worker takes no more steps\n"));
    assert_eq!(worker.ask("/livez").status, 200);
    std::fs::write(&go, "").expect("written");
    assert_eq!(worker.code(), Some(0), "{}", worker.lines());
    assert_eq!((place.ended("a").reason, place.show("b").state), (Reason::Completed, State::Queued));
}

#[test]
fn a_worker_whose_queue_was_removed_is_not_ready() {
    let place = Place::new();
    let worker = place.worker(&["--listen", "127.0.0.1:0"]);
    assert_eq!(worker.ask("/readyz").status, 200);
    std::fs::remove_dir_all(place.folder().join("state/queue")).expect("removed");
    let ready = worker.ask("/readyz");
    assert_eq!(ready.status, 503);
    let queue = ready.body.lines().find(|line| line.starts_with("queue: ")).expect("the queue is named");
    assert!(queue.ends_with("was removed, or another one stands in its place"), "{queue}");
    assert_eq!(worker.ask("/livez").status, 200);
    assert!(!worker.ask("/metrics").body.contains("kubestep_queue_depth"), "nobody knows it");
    // Its claim finds it out, too, and is repeated.
    worker.wait_for("was removed, or another one stands in its place; next try in");
    worker.wait_for_metric_above_zero("kubestep_queue_errors_total");
}

impl Worker {
    #[track_caller]
    fn wait_for_metric_above_zero(&self, name: &str) {
        eventually(&format!("{name} rises"), SOON, || {
            let body = self.ask("/metrics").body;
            let value = body.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
            value.is_some_and(|value| value > 0)
        });
    }
}

#[test]
fn a_parser_of_openmetrics_reads_what_a_worker_tells() {
    let Some(python) = tool("openmetrics", "") else { return };
    let (place, worker, go) = busy();
    std::fs::write(&go, "").expect("written");
    place.ended("b");
    worker.wait_for_metric("kubestep_running_steps 0");
    // It raises for a wrong order, a wrong name, a missing end; a pool's name has to come back as it is.
    let program = "import sys; from prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
        for family in read(sys.stdin.read()):\n print(family.name, family.type, len(family.samples))";
    let mut parser = Command::new(python)
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let text = worker.ask("/metrics").body;
    parser.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    let output = parser.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
    let families = String::from_utf8(output.stdout).expect("text");
    for family in [
        "kubestep_build info 1",
        "kubestep_steps counter 12",
        "kubestep_claim_latency_seconds histogram 15",
        "kubestep_login_seconds histogram 48",
        "kubestep_running_steps gauge 1",
        "kubestep_queue_depth gauge 5",
        "kubestep_queue_oldest_seconds gauge 1",
    ] {
        assert!(families.lines().any(|line| line == family), "{family} is not in\n{families}");
    }
}

#[test]
fn an_address_that_cannot_be_had_is_told_before_anything_is_claimed() {
    let place = Place::new();
    place.put(envelope("a", &step("echo no")));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("an address");
    let address = taken.local_addr().expect("one").to_string();
    let mut worker = place.worker(&["--listen", &address]);
    assert_eq!(worker.code(), Some(70));
    assert!(
        worker.lines().contains(&format!("cannot listen at {address}: Address already in use")),
        "{}",
        worker.lines()
    );
    let mut worker = place.worker(&["--listen", "nowhere"]);
    assert_eq!(worker.code(), Some(64));
    assert_eq!(place.show("a").state, State::Queued);
    let open = place.worker(&["--listen", "0.0.0.0:0"]);
    open.wait_for("where other machines can ask, too");
}

#[test]
fn systemd_hears_when_a_worker_is_ready_reloads_stops_and_lives_and_no_script_can_say_it() {
    let place = Place::new();
    let socket = place.folder().join("notify");
    let systemd = UnixDatagram::bind(&socket).expect("a socket");
    systemd.set_read_timeout(Some(SOON)).expect("a bound");
    let heard = RefCell::new(Vec::<String>::new());
    // What was said before the word that is waited for is not lost: a step may begin before the first WATCHDOG=1.
    let hear = |wanted: &str| {
        let (mut heard, until) = (heard.borrow_mut(), Instant::now() + SOON);
        loop {
            if let Some(at) = heard.iter().position(|word| word.starts_with(wanted)) {
                return heard.remove(at);
            }
            assert!(Instant::now() < until, "{wanted} was not said, but {heard:?}");
            let mut bytes = [0; 1024];
            let size =
                systemd.recv(&mut bytes).unwrap_or_else(|error| panic!("{wanted} was not said: {error}"));
            heard.push(String::from_utf8_lossy(&bytes[..size]).into_owned());
        }
    };
    let go = place.folder().join("go");
    let script = format!("env | grep -c -e NOTIFY -e WATCHDOG; {UNTIL}");
    let more = format!("environment: {{GO: {}, WORD: end}}\n", go.display());
    place.submit("a", &(step(&script) + &more));
    let mut command = place.command(&["--quiet"]);
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "400000");
    let child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut worker = Worker { child, lines: place.folder().join("none") };
    assert_eq!(hear("READY=1"), "READY=1");
    hear("WATCHDOG=1");
    hear("STATUS=1 of 1 slots in use");
    worker.signal(Signal::HUP);
    let reloading = hear("RELOADING=1");
    assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    hear("READY=1");
    place.wait_for("a", "ready\n");
    worker.signal(Signal::TERM);
    hear("STOPPING=1");
    heard.borrow_mut().clear();
    hear("WATCHDOG=1");
    std::fs::write(&go, "").expect("written");
    assert_eq!(worker.code(), Some(0));
    assert_eq!(place.text("a", LogStream::Stdout), "0\nready\nend\n");
}

#[test]
fn a_worker_shows_the_phases_of_its_steps_where_it_is_to_say_more() {
    for (name, flags, shown) in [("a", &["--once", "-v"][..], true), ("b", &["--once"], false)] {
        let place = Place::of(Run::new(""));
        place.submit(name, &step("echo said"));
        let output = place.command(flags).output().expect("it ran");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("Completed"), "{said}");
        for phase in ["plan", "workspace", "script", "log"] {
            let line = format!("debug: {name}: {phase}\n");
            assert_eq!(said.contains(&line), shown, "{line} in {said}");
        }
    }
}

#[test]
fn the_example_config_of_the_unit_is_one() {
    let config = repository().join("packaging/worker.toml");
    let place = Place::of(Run::new(""));
    let output = place.command(&["--print-config", "--config", config.to_str().expect("text")]).output();
    let output = output.expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("drainTimeout = \"1h\"  # the config\n"), "{told}");
}

#[test]
fn how_long_a_login_took_is_told_by_its_plugin() {
    let Some(aws) = eks::Place::new() else { return };
    let keys = aws.aws.user("deployer");
    let authority = format!("{{fromFile: {}}}", aws.cluster.fact("ca"));
    let payload =
        aws.step(&eks::access_key(&keys), &serde_json::json!({}), "kubectl auth whoami -o name || true");
    let payload = payload.replace(&authority, &serde_json::json!(aws.cluster.read("ca")).to_string());
    let Some(run) = eks::with(aws.run(""), "aws@2") else { return };
    let place = Place::of(run);
    place.submit("a", &payload);
    let worker = place.worker(&["--listen", "127.0.0.1:0"]);
    let ending = place.ended("a");
    assert_eq!(ending.reason, Reason::Completed, "{}: {}", ending.message, place.text("a", LogStream::Agent));
    worker.wait_for_metric("kubestep_login_seconds_count{plugin=\"aws\"} 1");
    worker.wait_for_metric("kubestep_login_seconds_count{plugin=\"kubelogin\"} 0");
}

#[test]
fn the_rights_that_the_unit_gives_are_enough_for_step_users() {
    if !rustix::process::geteuid().is_root() {
        return skipped("only root can run steps as other users");
    }
    let unit = std::fs::read_to_string(repository().join("packaging/step-user.conf")).expect("text");
    let given = unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).expect("rights");
    let rights: Vec<String> =
        given.split(' ').map(|right| right.replace("CAP_", "+").to_lowercase()).collect();
    let place = Place::new();
    for folder in [place.folder(), &place.folder().join("state")] {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o711)).expect("ours");
    }
    // The second step finds the first one's home gone, whatever its mode was.
    let script = "id -u; grep CapEff /proc/self/status; ls $HOME; mkdir -p $HOME/d; touch $HOME/d/f; chmod 0 $HOME/d; \
        setsid sleep 300 &";
    for name in ["a", "b"] {
        place.submit(name, &step(script));
    }
    for name in ["a", "b"] {
        // A worker for each, so that the second one finds the folders of the first.
        let mut command = Command::new("setpriv");
        command.args(["--no-new-privs", "--bounding-set", &format!("-all,{}", rights.join(","))]);
        command.args([env!("CARGO_BIN_EXE_kubestep"), "worker", "--once", "--step-user", "61009"]);
        place.run.surround(&mut command);
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(place.ended(name).reason, Reason::Completed);
        assert_eq!(place.text(name, LogStream::Stdout), "61009\nCapEff:\t0000000000000000\n");
    }
}
