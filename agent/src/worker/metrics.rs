//! What a worker counts, under the names by which it is scraped. docs/worker.md has the list.
//!
//! Promise: the values of each label are a closed list, the worker's own pool aside, so that nothing a payload says can make a
//! series.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::status::Status;
use crate::outcome::Reason;
use crate::queue::{Depth, Ending};

/// Seconds from a step's submission (or its `notBefore`) to its claim: a queue that is idle, one that is behind, one
/// that is stuck.
const CLAIM_BUCKETS: [f64; 12] =
    [0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 28_800.0];

/// Seconds of a login: plugins take 0.3 to 3, and `limits.login` is 60 by default.
const LOGIN_BUCKETS: [f64; 9] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The programs that log in.
const PLUGINS: [&str; 4] = ["aws", "aws-iam-authenticator", "kubelogin", "gke-gcloud-auth-plugin"];

/// Every reason with its word.
const REASONS: [(Reason, &str); 12] = [
    (Reason::Completed, "Completed"),
    (Reason::ScriptFailed, "ScriptFailed"),
    (Reason::Refused, "Refused"),
    (Reason::SetupFailed, "SetupFailed"),
    (Reason::AgentFailed, "AgentFailed"),
    (Reason::TimedOut, "TimedOut"),
    (Reason::Cancelled, "Cancelled"),
    (Reason::LogClosed, "LogClosed"),
    (Reason::OutputLimit, "OutputLimit"),
    (Reason::Lost, "Lost"),
    (Reason::Rejected, "Rejected"),
    (Reason::Expired, "Expired"),
];

type Labels<const N: usize> = [(&'static str, String); N];
type Count = Counter<u64, AtomicU64>;

/// A worker's counters.
pub(super) struct Counters {
    pool: Arc<str>,
    steps: Family<Labels<2>, Count>,
    claim_latency: Histogram,
    login: Family<Labels<1>, Histogram, fn() -> Histogram>,
    masks: Count,
    missed_heartbeats: Count,
    lost_leases: Count,
    queue_errors: Count,
    running: Gauge,
    slots: Gauge,
}

impl Counters {
    /// All at zero. Every series is there from the start, so that the first ending of a kind is seen as a rise.
    pub(super) fn new(pool: Arc<str>) -> Self {
        let login: fn() -> Histogram = || Histogram::new(LOGIN_BUCKETS);
        let counters = Self {
            pool,
            steps: Family::default(),
            claim_latency: Histogram::new(CLAIM_BUCKETS),
            login: Family::new_with_constructor(login),
            masks: Count::default(),
            missed_heartbeats: Count::default(),
            lost_leases: Count::default(),
            queue_errors: Count::default(),
            running: Gauge::default(),
            slots: Gauge::default(),
        };
        for (reason, _) in REASONS {
            drop(counters.steps.get_or_create(&counters.ended_by(reason)));
        }
        for plugin in PLUGINS {
            drop(counters.login.get_or_create(&[("plugin", plugin.to_owned())]));
        }
        counters
    }

    fn ended_by(&self, reason: Reason) -> Labels<2> {
        let word = REASONS.iter().find(|(known, _)| *known == reason).map_or("", |(_, word)| word);
        [("pool", self.pool.to_string()), ("reason", word.to_owned())]
    }

    /// What a step that was claimed has waited.
    pub(super) fn claimed(&self, waited: Duration) {
        self.claim_latency.observe(waited.as_secs_f64());
    }

    /// A step that ended. Its result document, where there is one, tells the masks in its log and how long its login
    /// took; it comes from a child, so what is not there or unknown is left out.
    pub(super) fn ended(&self, ending: &Ending) {
        self.steps.get_or_create(&self.ended_by(ending.reason)).inc();
        let Some(result) = &ending.result else { return };
        self.masks.inc_by(result["log"]["masked"].as_u64().unwrap_or(0));
        let plugin = result["target"]["plugin"].as_str().filter(|plugin| PLUGINS.contains(plugin));
        let phases = result["phases"].as_array().map_or(&[][..], Vec::as_slice);
        let credential = phases.iter().find(|phase| phase["name"] == "credential");
        let milliseconds = credential.and_then(|phase| phase["milliseconds"].as_f64());
        if let (Some(plugin), Some(milliseconds)) = (plugin, milliseconds) {
            self.login.get_or_create(&[("plugin", plugin.to_owned())]).observe(milliseconds / 1000.0);
        }
    }

    pub(super) fn heartbeat_missed(&self) {
        self.missed_heartbeats.inc();
    }

    pub(super) fn lease_lost(&self) {
        self.lost_leases.inc();
    }

    pub(super) fn queue_failed(&self) {
        self.queue_errors.inc();
    }

    /// How many slots are in use, and how many there are.
    pub(super) fn slots(&self, running: usize, slots: usize) {
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.running.set(number(running));
        self.slots.set(number(slots));
    }

    /// Names them. What is registered is the same that counts on.
    pub(super) fn register(&self, registry: &mut Registry) {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("kubestep_build", "The program that runs", Info::new(version));
        registry.register(
            "kubestep_steps",
            "Steps that ended here, by the reason of the result",
            self.steps.clone(),
        );
        let text = "From a step's submission, or its notBefore, to its first claim";
        registry.register_with_unit(
            "kubestep_claim_latency",
            text,
            Unit::Seconds,
            self.claim_latency.clone(),
        );
        let text = "How long logins took, by the plugin that was asked";
        registry.register_with_unit("kubestep_login", text, Unit::Seconds, self.login.clone());
        registry.register("kubestep_running_steps", "Steps that run now", self.running.clone());
        registry.register("kubestep_slots", "How many steps may run at once", self.slots.clone());
        registry.register("kubestep_masks", "Masks in the logs of steps that ended", self.masks.clone());
        let text = "Heartbeats that the queue did not confirm";
        registry.register("kubestep_missed_heartbeats", text, self.missed_heartbeats.clone());
        let text = "Steps that were ended here since their lease was over";
        registry.register("kubestep_lost_leases", text, self.lost_leases.clone());
        let text = "Acts of the queue that failed";
        registry.register("kubestep_queue_errors", text, self.queue_errors.clone());
    }
}

/// The metrics' media type.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics as OpenMetrics text. Where the queue could not tell its depth, its series are missing, so that nobody takes
/// an old number for a new one.
#[must_use]
pub fn text(status: &Status, depth: Option<&Depth>) -> String {
    let mut registry = Registry::default();
    status.counters().register(&mut registry);
    if let Some(depth) = depth {
        register_depth(&mut registry, status.pool(), depth);
    }
    let mut text = String::new();
    // A String takes whatever is written.
    let _ = encode(&mut text, &registry);
    text
}

fn register_depth(registry: &mut Registry, pool: &str, depth: &Depth) {
    let steps = Family::<Labels<2>, Gauge>::default();
    for (state, count) in &depth.steps {
        let labels = [("pool", pool.to_owned()), ("state", state.word().to_owned())];
        steps.get_or_create(&labels).set(i64::try_from(*count).unwrap_or(i64::MAX));
    }
    registry.register("kubestep_queue_depth", "Steps of the pool that have not ended, by their state", steps);
    let oldest = Family::<Labels<1>, Gauge<f64, AtomicU64>>::default();
    let age = depth.oldest.map_or(0.0, |age| age.as_secs_f64());
    oldest.get_or_create(&[("pool", pool.to_owned())]).set(age);
    let text = "For how long the oldest step that is queued has waited; 0 where none is";
    registry.register_with_unit("kubestep_queue_oldest", text, Unit::Seconds, oldest);
}

#[cfg(test)]
mod tests {
    use super::{REASONS, text};
    use crate::outcome::Reason;
    use crate::queue::{Claimed, Depth, Ending, Lease, StepId};
    use crate::secret::Secret;
    use crate::worker::status::Status;
    use std::time::Duration;

    fn ending(reason: Reason, result: serde_json::Value) -> Ending {
        Ending { reason, exit_code: 0, message: "it ended".into(), result: Some(result) }
    }

    fn claimed(epoch: u64) -> Claimed {
        let id = StepId::try_from("a".to_owned()).expect("an id");
        let (until, waited) = (Duration::ZERO, Duration::from_millis(20));
        Claimed {
            lease: Lease { id, epoch },
            until,
            waited,
            name: "a".into(),
            payload: Secret::new("".into()),
        }
    }

    /// The lines with values, but for those of empty buckets.
    fn lines(status: &Status) -> Vec<String> {
        let text = text(status, None);
        assert!(text.ends_with("# EOF\n"), "{text}");
        let told = text.lines().filter(|line| !line.starts_with('#') && !line.ends_with(" 0"));
        told.map(str::to_owned).collect()
    }

    #[test]
    fn every_reason_is_told_by_its_word_in_the_result() {
        for (reason, word) in REASONS {
            assert_eq!(serde_json::to_value(reason).expect("a word"), word);
        }
        let schema = serde_json::to_value(schemars::schema_for!(Reason)).expect("a schema");
        let words = schema["oneOf"].as_array().expect("a list").iter();
        let words: Vec<&str> = words.filter_map(|word| word["const"].as_str()).collect();
        assert_eq!(words, REASONS.map(|(_, word)| word));
    }

    #[test]
    fn every_series_is_there_before_anything_is_counted() {
        let text = text(&Status::new("p", 2), None);
        for series in [
            r#"kubestep_steps_total{pool="p",reason="TimedOut"} 0"#,
            r#"kubestep_login_seconds_count{plugin="kubelogin"} 0"#,
            "kubestep_claim_latency_seconds_count 0",
            "kubestep_missed_heartbeats_total 0",
            "kubestep_masks_total 0",
            "kubestep_running_steps 0",
            "kubestep_slots 2",
            "# UNIT kubestep_claim_latency_seconds seconds",
            concat!("kubestep_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(text.lines().any(|line| line == series), "{series} is not in\n{text}");
        }
    }

    #[test]
    fn an_ending_is_counted_by_its_reason_with_its_masks_and_its_login() {
        let status = Status::new("p", 2);
        let phases = serde_json::json!([{"name": "plan", "milliseconds": 1.0},
            {"name": "credential", "milliseconds": 400.0}]);
        status.ended(&ending(
            Reason::Completed,
            serde_json::json!({"log": {"masked": 3}, "target": {"plugin": "aws"}, "phases": phases}),
        ));
        status.ended(&Ending { result: None, ..ending(Reason::AgentFailed, serde_json::Value::Null) });
        let running = status.started();
        let lines = lines(&status);
        for line in [
            r#"kubestep_steps_total{pool="p",reason="Completed"} 1"#,
            r#"kubestep_steps_total{pool="p",reason="AgentFailed"} 1"#,
            "kubestep_masks_total 3",
            r#"kubestep_login_seconds_sum{plugin="aws"} 0.4"#,
            r#"kubestep_login_seconds_bucket{le="0.5",plugin="aws"} 1"#,
            "kubestep_running_steps 1",
        ] {
            assert!(lines.iter().any(|found| found == line), "{line} is not in\n{}", lines.join("\n"));
        }
        drop(running);
    }

    #[test]
    fn the_queue_s_depth_is_told_by_state_and_left_out_where_nobody_knows_it() {
        let status = Status::new("p", 1);
        assert!(!text(&status, None).contains("kubestep_queue_depth"));
        let steps = Depth::STATES.into_iter().zip([1, 0, 100_000, 0, 2]).collect();
        let mut depth = Depth { steps, oldest: Some(Duration::from_millis(2500)) };
        let told = text(&status, Some(&depth));
        for line in [
            r#"kubestep_queue_depth{pool="p",state="waiting"} 1"#,
            r#"kubestep_queue_depth{pool="p",state="held"} 0"#,
            r#"kubestep_queue_depth{pool="p",state="queued"} 100000"#,
            r#"kubestep_queue_depth{pool="p",state="running"} 2"#,
            r#"kubestep_queue_oldest_seconds{pool="p"} 2.5"#,
        ] {
            assert!(told.lines().any(|found| found == line), "{line} is not in\n{told}");
        }
        depth.oldest = None;
        assert!(text(&status, Some(&depth)).contains("kubestep_queue_oldest_seconds{pool=\"p\"} 0.0\n"));
    }

    #[test]
    fn what_a_child_makes_up_makes_no_series() {
        let status = Status::new("p", 1);
        let before = text(&status, None);
        let phases = serde_json::json!([{"name": "credential", "milliseconds": "many"}, 7]);
        for result in [
            serde_json::json!({"log": {"masked": -1}, "target": {"plugin": "rm"}, "phases": phases}),
            serde_json::json!({"log": [], "target": 3, "phases": {}}),
            serde_json::json!([]),
        ] {
            status.ended(&ending(Reason::Completed, result));
        }
        let counted = r#"kubestep_steps_total{pool="p",reason="Completed"} "#;
        let expected = before.replace(&format!("{counted}0"), &format!("{counted}3"));
        assert_eq!(sorted(&text(&status, None)), sorted(&expected));
    }

    fn sorted(text: &str) -> Vec<&str> {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines
    }

    #[test]
    fn a_first_claim_tells_how_long_its_step_has_waited() {
        let status = Status::new("p", 1);
        status.claimed(&claimed(1));
        status.claimed(&claimed(2));
        let lines = lines(&status);
        assert!(lines.iter().any(|line| line == "kubestep_claim_latency_seconds_count 1"), "{lines:?}");
        assert!(lines.iter().any(|line| line == "kubestep_claim_latency_seconds_sum 0.02"), "{lines:?}");
    }
}
