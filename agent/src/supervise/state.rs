//! The life of a script's tree as a pure state machine: an event in, what to do out.
//!
//! ```text
//! Running ── exited, stop ──▶ Ending ── grace over, second stop ──▶ Killing ── empty, patience over ──▶ Over
//!                               └────────────── empty ───────────────────────────────────────────────▶ Over
//! ```
//! A stop leads to an exit or, when its grace is over, to a kill; a second INT or TERM kills now; the first
//! reason is the one told; nothing is signalled after the end.

use super::control::Exit;

/// Why a step was ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// `limits.timeout` has passed.
    TimedOut,
    /// HUP to the agent.
    Hangup,
    /// INT to the agent.
    Interrupt,
    /// TERM to the agent.
    Terminate,
    /// Nobody reads the agent's stdout any more.
    LogClosed,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Stop(StopReason),
    /// The script itself ended; others of its tree may live.
    Exited(Exit),
    /// No process of the tree is left.
    Empty,
    GraceOver,
    /// The time that a killed tree may take is over.
    PatienceOver,
    /// The supervisor is gone, and nobody can tell about the tree any more.
    Lost,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    /// TERM to the tree; the grace begins.
    Terminate,
    /// KILL to the tree; the patience begins.
    Kill,
    /// There is nothing to wait for any more.
    Finish,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Ending,
    Killing,
    Over,
}

/// How the tree ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How the script itself ended; `None` where nobody saw it.
    pub exit: Option<Exit>,
    /// Why it was stopped; `None` where it ended by itself.
    pub stopped: Option<StopReason>,
    /// A process outlived its KILL.
    pub survived: bool,
    /// The supervisor died.
    pub lost: bool,
}

/// One tree's life.
pub(super) struct Life {
    phase: Phase,
    ending: Ending,
    /// An INT or TERM has been counted.
    signalled: bool,
}

impl Life {
    pub(super) fn new() -> Self {
        let ending = Ending { exit: None, stopped: None, survived: false, lost: false };
        Self { phase: Phase::Running, ending, signalled: false }
    }

    pub(super) fn ending(&self) -> Ending {
        self.ending
    }

    pub(super) fn on(&mut self, event: Event) -> Action {
        if self.phase == Phase::Over {
            return Action::Nothing;
        }
        match event {
            Event::Stop(reason) => self.stop(reason),
            Event::Exited(exit) => self.exited(exit),
            Event::GraceOver if self.phase == Phase::Ending => self.kill(),
            Event::GraceOver => Action::Nothing,
            Event::PatienceOver if self.phase == Phase::Killing => {
                self.ending.survived = true;
                self.finish()
            }
            Event::PatienceOver => Action::Nothing,
            Event::Empty => self.finish(),
            Event::Lost => {
                self.ending.lost = true;
                self.finish()
            }
        }
    }

    fn stop(&mut self, reason: StopReason) -> Action {
        let by_hand = matches!(reason, StopReason::Interrupt | StopReason::Terminate);
        let again = by_hand && self.signalled;
        self.signalled |= by_hand;
        match self.phase {
            Phase::Running => {
                self.ending.stopped = Some(reason);
                self.phase = Phase::Ending;
                Action::Terminate
            }
            Phase::Ending if again => self.kill(),
            Phase::Ending | Phase::Killing | Phase::Over => Action::Nothing,
        }
    }

    fn exited(&mut self, exit: Exit) -> Action {
        self.ending.exit = Some(exit);
        if self.phase != Phase::Running {
            return Action::Nothing;
        }
        self.phase = Phase::Ending;
        Action::Terminate
    }

    fn kill(&mut self) -> Action {
        self.phase = Phase::Killing;
        Action::Kill
    }

    fn finish(&mut self) -> Action {
        self.phase = Phase::Over;
        Action::Finish
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Ending, Event, Exit, Life, StopReason};

    const EVENTS: [Event; 10] = [
        Event::Stop(StopReason::TimedOut),
        Event::Stop(StopReason::Hangup),
        Event::Stop(StopReason::Interrupt),
        Event::Stop(StopReason::Terminate),
        Event::Stop(StopReason::LogClosed),
        Event::Exited(Exit::Code(3)),
        Event::Empty,
        Event::GraceOver,
        Event::PatienceOver,
        Event::Lost,
    ];

    fn play(events: &[Event]) -> (Vec<Action>, Ending) {
        let mut life = Life::new();
        let actions = events.iter().map(|event| life.on(*event)).collect();
        (actions, life.ending())
    }

    fn every_sequence(length: usize, visit: &mut impl FnMut(&[Event])) {
        let mut indices = vec![0; length];
        loop {
            let events: Vec<Event> = indices.iter().map(|&index: &usize| EVENTS[index]).collect();
            visit(&events);
            let Some(place) = indices.iter().rposition(|&index| index + 1 < EVENTS.len()) else { return };
            indices[place] += 1;
            indices[place + 1..].fill(0);
        }
    }

    #[test]
    fn every_sequence_of_five_events_keeps_the_promises() {
        every_sequence(5, &mut |events| {
            let (actions, ending) = play(events);
            let finish = actions.iter().position(|action| *action == Action::Finish);
            let count = |wanted: Action| actions.iter().filter(|action| **action == wanted).count();
            assert!(count(Action::Terminate) <= 1 && count(Action::Kill) <= 1 && count(Action::Finish) <= 1);
            if let Some(finish) = finish {
                assert!(actions[finish + 1..].iter().all(|action| *action == Action::Nothing), "{events:?}");
            }
            let alive = &events[..finish.map_or(events.len(), |finish| finish + 1)];
            let first = alive.iter().find(|event| matches!(event, Event::Stop(_) | Event::Exited(_)));
            match first {
                Some(Event::Stop(reason)) => assert_eq!(ending.stopped, Some(*reason), "{events:?}"),
                _ => assert_eq!(ending.stopped, None, "{events:?}"),
            }
            let kill = actions.iter().position(|action| *action == Action::Kill);
            let terminate = actions.iter().position(|action| *action == Action::Terminate);
            assert!(kill.is_none() || terminate < kill, "no KILL without a TERM before: {events:?}");
        });
    }

    #[test]
    fn a_second_int_or_term_kills_now_and_nothing_else_does() {
        use StopReason::{Interrupt, LogClosed, Terminate, TimedOut};
        let (actions, ending) = play(&[Event::Stop(Interrupt), Event::Stop(Terminate)]);
        assert_eq!(actions, [Action::Terminate, Action::Kill]);
        assert_eq!(ending.stopped, Some(Interrupt));
        let (actions, _) = play(&[Event::Stop(Interrupt), Event::Stop(LogClosed), Event::Stop(TimedOut)]);
        assert_eq!(actions, [Action::Terminate, Action::Nothing, Action::Nothing]);
        let (actions, _) = play(&[Event::Stop(TimedOut), Event::Stop(Terminate), Event::Stop(Terminate)]);
        assert_eq!(actions, [Action::Terminate, Action::Nothing, Action::Kill]);
    }

    #[test]
    fn leftovers_of_a_normal_end_get_term_grace_and_kill() {
        let (actions, ending) =
            play(&[Event::Exited(Exit::Code(0)), Event::GraceOver, Event::PatienceOver, Event::Empty]);
        assert_eq!(actions, [Action::Terminate, Action::Kill, Action::Finish, Action::Nothing]);
        assert_eq!(ending, Ending { exit: Some(Exit::Code(0)), stopped: None, survived: true, lost: false });
    }
}
