//! Workers that are killed, and two that take themselves for one.

use std::time::Duration;

use kubestep::outcome::Reason;
use kubestep::queue::State;
use rustix::process::Signal;

use super::{Dice, LEASE_OVER, Load, tell};

const KILLS: usize = 100;

#[test]
#[ignore = "takes minutes; scripts/test --long runs it"]
fn a_hundred_kills_under_load_lose_no_step_and_run_none_twice() {
    let test = "a hundred kills";
    let (mut dice, mut load) = (Dice::new(test), Load::new());
    for _ in 0..KILLS {
        while load.in_state(State::Queued) < 12 {
            let name = format!("s{}", load.steps.len());
            load.submit(&name, dice.below(2) == 0, ["0", "0.005", "0.02"][dice.below(3) as usize]);
        }
        // Most rounds have one worker; in some, another one sees the first one's end.
        let beside = (dice.below(4) == 0).then(|| load.place.worker(&["--slots", "2"]));
        let worker = load.place.worker(&["--slots", "4"]);
        std::thread::sleep(Duration::from_millis(50 + dice.below(1200)));
        worker.signal(Signal::KILL);
        if let Some(beside) = beside {
            std::thread::sleep(Duration::from_millis(dice.below(300)));
            beside.signal(Signal::KILL);
        }
    }
    let last = load.place.worker(&["--slots", "4"]);
    load.wait_for_all(2 * LEASE_OVER, &last);
    let endings = load.check();
    tell(test, &endings);
    let count = |reason: Reason| endings.get(&format!("{reason:?}")).copied().unwrap_or_default();
    assert!(count(Reason::Lost) >= 10, "they were killed while steps ran: {endings:?}");
    assert!(count(Reason::Completed) >= 50, "{endings:?}");
}

#[test]
#[ignore = "takes minutes; scripts/test --long runs it"]
fn two_workers_of_one_name_are_two_workers() {
    let mut load = Load::new();
    for number in 0..60 {
        load.submit(&format!("s{number}"), false, "0.005");
    }
    let twins = ["1", "2"].map(|_| load.place.worker(&["--slots", "2", "--name", "twin"]));
    load.wait_for_all(LEASE_OVER, &twins[0]);
    let endings = load.check();
    assert_eq!(endings.get("Completed"), Some(&60), "{endings:?}");
    let done = twins.each_ref().map(|twin| twin.lines().matches(": Completed after ").count());
    assert!(done[0] > 0 && done[1] > 0 && done[0] + done[1] == 60, "both of them worked: {done:?}");
}
