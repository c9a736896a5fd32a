//! The life of a script's tree as a pure state machine: an event in, what to do out.
//!
//! ```text
//! Running ── exited, stop ──▶ Ending ── grace over, second stop ──▶ Killing ── empty, survived ──▶ Over
//!    └─────────── lost ──────────┴───────── empty, lost ────────────────┴────── lost, silent ─────▶ Over
//! ```
//! A stop leads to an exit or, when its grace is over, to a kill; a second INT or TERM kills now, and so does the end of
//! a lease; the first reason is the one told; nothing is signalled after the end.

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
    /// More than `limits.output` was written, and `limits.outputPolicy` is `fail`.
    OutputLimit,
    /// Somebody cancelled the step on its queue.
    Queue,
    /// The step's worker ends.
    Drain,
    /// The step's worker ends now.
    DrainAtOnce,
    /// The step's worker is gone.
    WorkerGone,
    /// The step's lease was not renewed: soon somebody else may have the step.
    LeaseOver,
}

impl StopReason {
    /// Whether there is no time for a grace.
    fn is_at_once(self) -> bool {
        matches!(self, Self::DrainAtOnce | Self::LeaseOver)
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Stop(StopReason),
    /// The script itself ended; others of its tree may live.
    Exited(Exit),
    /// No process of the tree is left.
    Empty,
    /// The supervisor has killed as long as it is patient, and processes are left.
    Survived,
    GraceOver,
    /// The supervisor has said nothing for longer than it is patient.
    Silent,
    /// The supervisor is gone, and nobody can tell about the tree any more.
    Lost,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    /// TERM to the tree; the grace begins.
    Terminate,
    /// KILL to the tree; the patience with the supervisor begins.
    Kill,
    /// There is nothing to wait for any more.
    Finish(Ending),
}

/// What became of the processes of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All ended by themselves or by TERM.
    Ended,
    /// KILL was needed, and did it.
    Killed,
    /// Some outlived their KILL.
    Survived,
}

/// How a tree ended: everything that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The script ran to its end.
    Script {
        /// How it ended.
        exit: Exit,
        /// What became of what it left behind.
        tree: Fate,
    },
    /// It was stopped.
    Stopped {
        /// The first reason.
        reason: StopReason,
        /// How the script ended; `None` where it did not, as it outlived its KILL.
        exit: Option<Exit>,
        /// What became of the tree.
        tree: Fate,
    },
    /// The supervisor died or fell silent, and the agent did its work.
    Lost {
        /// How the script had ended, if it had.
        exit: Option<Exit>,
        /// Why it had been stopped, if it had.
        reason: Option<StopReason>,
    },
}

impl Ending {
    /// How the script itself ended, where somebody saw it.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        match self {
            Self::Script { exit, .. } => Some(*exit),
            Self::Stopped { exit, .. } | Self::Lost { exit, .. } => *exit,
        }
    }

    /// Why it was stopped, where it was.
    #[must_use]
    pub fn stopped(&self) -> Option<StopReason> {
        match self {
            Self::Script { .. } => None,
            Self::Stopped { reason, .. } => Some(*reason),
            Self::Lost { reason, .. } => *reason,
        }
    }
}

/// What started the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Script(Exit),
    Stop { reason: StopReason, exit: Option<Exit> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Ending(Cause),
    Killing(Cause),
    Over,
}

/// One tree's life.
pub(super) struct Life {
    phase: Phase,
    /// An INT or TERM has been counted.
    signalled: bool,
}

impl Life {
    pub(super) fn new() -> Self {
        Self { phase: Phase::Running, signalled: false }
    }

    pub(super) fn on(&mut self, event: Event) -> Action {
        match (event, self.phase) {
            (_, Phase::Over) => Action::Nothing,
            (Event::Stop(reason), _) => self.stop(reason),
            (Event::Exited(exit), _) => self.exited(exit),
            (Event::GraceOver, Phase::Ending(cause)) => self.kill(cause),
            (Event::Empty, Phase::Ending(cause)) => self.finish(cause, Fate::Ended),
            (Event::Empty, Phase::Killing(cause)) => self.finish(cause, Fate::Killed),
            (Event::Survived, Phase::Killing(cause)) => self.finish(cause, Fate::Survived),
            (Event::Silent, Phase::Killing(_)) | (Event::Lost, _) => self.lose(),
            // A tree without its script's exit, or survivors without a KILL: no supervisor of ours says that.
            (Event::Empty | Event::Survived, _) => self.lose(),
            (Event::GraceOver | Event::Silent, _) => Action::Nothing,
        }
    }

    fn stop(&mut self, reason: StopReason) -> Action {
        let by_hand = matches!(reason, StopReason::Interrupt | StopReason::Terminate);
        let again = by_hand && self.signalled;
        self.signalled |= by_hand;
        match self.phase {
            Phase::Running if reason.is_at_once() => self.kill(Cause::Stop { reason, exit: None }),
            Phase::Running => {
                self.phase = Phase::Ending(Cause::Stop { reason, exit: None });
                Action::Terminate
            }
            Phase::Ending(cause) if again || reason.is_at_once() => self.kill(cause),
            Phase::Ending(_) | Phase::Killing(_) | Phase::Over => Action::Nothing,
        }
    }

    fn exited(&mut self, exit: Exit) -> Action {
        let with_exit = |cause| match cause {
            Cause::Script(exit) => Cause::Script(exit),
            Cause::Stop { reason, .. } => Cause::Stop { reason, exit: Some(exit) },
        };
        match self.phase {
            Phase::Running => {
                self.phase = Phase::Ending(Cause::Script(exit));
                return Action::Terminate;
            }
            Phase::Ending(cause) => self.phase = Phase::Ending(with_exit(cause)),
            Phase::Killing(cause) => self.phase = Phase::Killing(with_exit(cause)),
            Phase::Over => {}
        }
        Action::Nothing
    }

    fn kill(&mut self, cause: Cause) -> Action {
        self.phase = Phase::Killing(cause);
        Action::Kill
    }

    fn finish(&mut self, cause: Cause, tree: Fate) -> Action {
        self.phase = Phase::Over;
        Action::Finish(match cause {
            Cause::Script(exit) => Ending::Script { exit, tree },
            Cause::Stop { reason, exit } => Ending::Stopped { reason, exit, tree },
        })
    }

    fn lose(&mut self) -> Action {
        let (exit, reason) = match self.phase {
            Phase::Ending(cause) | Phase::Killing(cause) => match cause {
                Cause::Script(exit) => (Some(exit), None),
                Cause::Stop { reason, exit } => (exit, Some(reason)),
            },
            Phase::Running | Phase::Over => (None, None),
        };
        self.phase = Phase::Over;
        Action::Finish(Ending::Lost { exit, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Ending, Event, Exit, Fate, Life, StopReason};

    const EXIT: Exit = Exit::Code(3);

    /// Every event; of the reasons to stop, one for each way in which they differ.
    const EVENTS: [Event; 11] = [
        Event::Stop(StopReason::TimedOut),
        Event::Stop(StopReason::OutputLimit),
        Event::Stop(StopReason::LeaseOver),
        Event::Stop(StopReason::Interrupt),
        Event::Stop(StopReason::Terminate),
        Event::Exited(EXIT),
        Event::Empty,
        Event::Survived,
        Event::GraceOver,
        Event::Silent,
        Event::Lost,
    ];

    fn play(events: &[Event]) -> Vec<Action> {
        let mut life = Life::new();
        events.iter().map(|event| life.on(*event)).collect()
    }

    fn every_sequence(length: usize, visit: &mut impl FnMut(&[Event])) {
        let mut indices = vec![0; length];
        let mut events = vec![EVENTS[0]; length];
        loop {
            visit(&events);
            let Some(place) = indices.iter().rposition(|&index: &usize| index + 1 < EVENTS.len()) else {
                return;
            };
            indices[place] += 1;
            indices[place + 1..].fill(0);
            for (event, index) in events.iter_mut().zip(&indices) {
                *event = EVENTS[*index];
            }
        }
    }

    /// What the promises say, said anew: by looking at the sequence as a whole.
    fn judge(events: &[Event], actions: &[Action]) {
        let of = |wanted: fn(&Action) -> bool| actions.iter().position(wanted);
        let terminate = of(|action| *action == Action::Terminate);
        let kill = of(|action| *action == Action::Kill);
        let finish = of(|action| matches!(action, Action::Finish(_)));
        let quiet = actions.iter().filter(|action| **action == Action::Nothing).count();
        let acts = [terminate, kill, finish].iter().flatten().count();
        assert_eq!(quiet + acts, actions.len(), "each act once: {events:?}");
        assert!(finish.is_none_or(|end| terminate.max(kill).is_none_or(|at| at < end)), "{events:?}");
        // TERM goes with the first stop or exit, unless the end came first.
        let first = events.iter().position(|event| matches!(event, Event::Stop(_) | Event::Exited(_)));
        let before = |at: &usize| finish.is_none_or(|end| *at < end);
        let first = first.filter(before);
        let at_once =
            events.iter().position(|event| *event == Event::Stop(StopReason::LeaseOver)).filter(before);
        if let Some(at) = at_once {
            assert!(kill.is_some_and(|kill| kill <= at), "an end of the lease kills: {events:?}");
        }
        if first.is_some() && first == at_once {
            assert_eq!((terminate, kill), (None, at_once), "{events:?}");
        } else {
            assert_eq!(terminate, first, "{events:?}");
            assert!(
                kill.is_none_or(|kill| terminate.is_some_and(|at| at < kill)),
                "TERM before KILL: {events:?}"
            );
        }
        let Some(Action::Finish(ending)) = finish.map(|end| actions[end]) else {
            assert!(
                events.iter().all(|event| *event != Event::Lost),
                "the supervisor's death ends it: {events:?}"
            );
            return;
        };
        let seen = &events[..finish.unwrap_or_default()];
        let exited = seen.iter().any(|event| matches!(event, Event::Exited(_))).then_some(EXIT);
        let reason = match first.map(|at| events[at]) {
            Some(Event::Stop(reason)) => Some(reason),
            _ => None,
        };
        let tree = match (events[seen.len()], kill.is_some()) {
            (Event::Empty, false) => Some(Fate::Ended),
            (Event::Empty, true) => Some(Fate::Killed),
            (Event::Survived, true) => Some(Fate::Survived),
            _ => None,
        };
        let expected = match (tree, reason, exited) {
            (Some(tree), Some(reason), exit) => Ending::Stopped { reason, exit, tree },
            (Some(tree), None, Some(exit)) => Ending::Script { exit, tree },
            _ => Ending::Lost { exit: exited, reason },
        };
        assert_eq!(ending, expected, "{events:?}");
    }

    #[test]
    fn every_sequence_of_up_to_six_events_keeps_the_promises() {
        let mut sequences = 0;
        for length in 1..=6 {
            every_sequence(length, &mut |events| {
                judge(events, &play(events));
                sequences += 1;
            });
        }
        assert_eq!(sequences, 1_948_716);
    }

    #[test]
    fn a_second_int_or_term_kills_now_and_nothing_else_does() {
        use Action::{Kill, Nothing, Terminate as Term};
        use StopReason::{Hangup, Interrupt, LogClosed, OutputLimit, Terminate, TimedOut};
        let stops =
            |reasons: &[StopReason]| play(&reasons.iter().map(|one| Event::Stop(*one)).collect::<Vec<_>>());
        assert_eq!(stops(&[Interrupt, Terminate]), [Term, Kill]);
        assert_eq!(
            stops(&[Interrupt, LogClosed, TimedOut, Hangup, OutputLimit]),
            [Term, Nothing, Nothing, Nothing, Nothing]
        );
        assert_eq!(stops(&[TimedOut, Terminate, Terminate]), [Term, Nothing, Kill]);
        assert_eq!(stops(&[Hangup, Hangup, Hangup]), [Term, Nothing, Nothing]);
    }

    #[test]
    fn leftovers_of_a_normal_end_get_term_grace_and_kill() {
        let actions = play(&[Event::Exited(EXIT), Event::GraceOver, Event::Silent, Event::Empty]);
        let lost = Action::Finish(Ending::Lost { exit: Some(EXIT), reason: None });
        assert_eq!(actions, [Action::Terminate, Action::Kill, lost, Action::Nothing]);
        let actions = play(&[Event::Exited(EXIT), Event::GraceOver, Event::Survived]);
        let survived = Action::Finish(Ending::Script { exit: EXIT, tree: Fate::Survived });
        assert_eq!(actions, [Action::Terminate, Action::Kill, survived]);
    }
}
