//! How a worker ends: what each signal leads to, and in which order.
//!
//! ```text
//! Open ── TERM, INT ──▶ Finish ── TERM, INT, time-out ──▶ Cancel ── TERM, INT ──▶ Kill
//!   └──────── QUIT ───────┴──────────── QUIT ──────────────▶ ┘
//! ```

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// How far a worker is on its way to its end. Each includes those before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drain {
    /// Steps are claimed and run.
    #[default]
    Open,
    /// None is claimed any more; those that run go on.
    Finish,
    /// Those that run are ended, each with its grace.
    Cancel,
    /// Those that run are killed.
    Kill,
}

/// What somebody wants of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// TERM or INT, or that there is nothing more to do.
    End,
    /// QUIT, or the end of the patience with running steps.
    EndNow,
}

impl Drain {
    /// What follows from a wish.
    #[must_use]
    pub fn after(self, wish: Wish) -> Self {
        match (self, wish) {
            (Self::Open, Wish::End) => Self::Finish,
            (Self::Finish, Wish::End) | (Self::Open | Self::Finish, Wish::EndNow) => Self::Cancel,
            (Self::Cancel | Self::Kill, Wish::End) => Self::Kill,
            (Self::Cancel | Self::Kill, Wish::EndNow) => self,
        }
    }

    /// What a person is told.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Open => "claiming steps",
            Self::Finish => "no new steps; those that run may end by themselves",
            Self::Cancel => "the steps that run are cancelled",
            Self::Kill => "the steps that run are killed",
        }
    }
}

/// Turns signals into wishes. HUP is told apart: it asks for the config to be read again.
///
/// # Errors
/// Where signals cannot be listened to.
pub fn listen(
    wishes: &mpsc::UnboundedSender<Wish>,
    reload: &mpsc::UnboundedSender<()>,
) -> std::io::Result<()> {
    for (kind, wish) in [
        (SignalKind::terminate(), Wish::End),
        (SignalKind::interrupt(), Wish::End),
        (SignalKind::quit(), Wish::EndNow),
    ] {
        let (mut signal, wishes) = (signal(kind)?, wishes.clone());
        tokio::spawn(async move { while signal.recv().await.is_some() && wishes.send(wish).is_ok() {} });
    }
    let (mut hangup, reload) = (signal(SignalKind::hangup())?, reload.clone());
    tokio::spawn(async move { while hangup.recv().await.is_some() && reload.send(()).is_ok() {} });
    Ok(())
}

/// Carries wishes out as they come, and the end of the patience with running steps, `timeout` after the first. Ends when
/// nobody can wish anything any more.
pub(super) async fn follow(
    mut wishes: mpsc::UnboundedReceiver<Wish>,
    drain: watch::Sender<Drain>,
    timeout: Option<Duration>,
) {
    let mut patience = None;
    loop {
        let wish = tokio::select! {
            wish = wishes.recv() => wish,
            () = super::until(patience) => {
                patience = None;
                Some(Wish::EndNow)
            }
        };
        let Some(wish) = wish else { return };
        let (before, after) = (*drain.borrow(), drain.borrow().after(wish));
        if before == Drain::Open && after == Drain::Finish {
            patience = timeout.map(|timeout| tokio::time::Instant::now() + timeout);
        }
        drain.send_if_modified(|drain| std::mem::replace(drain, after) != after);
    }
}

#[cfg(test)]
mod tests {
    use super::{Drain, Wish, follow};
    use std::time::Duration;
    use tokio::sync::{mpsc, watch};

    #[test]
    fn each_wish_leads_on_and_none_leads_back() {
        let walk = |wishes: &[Wish]| wishes.iter().fold(Drain::Open, |drain, wish| drain.after(*wish));
        assert_eq!(walk(&[Wish::End]), Drain::Finish);
        assert_eq!(walk(&[Wish::End, Wish::End]), Drain::Cancel);
        assert_eq!(walk(&[Wish::End, Wish::End, Wish::End]), Drain::Kill);
        assert_eq!(walk(&[Wish::EndNow]), Drain::Cancel);
        assert_eq!(walk(&[Wish::EndNow, Wish::EndNow]), Drain::Cancel);
        assert_eq!(walk(&[Wish::EndNow, Wish::End]), Drain::Kill);
        assert_eq!(walk(&[Wish::End, Wish::EndNow, Wish::End, Wish::EndNow]), Drain::Kill);
    }

    #[tokio::test]
    async fn the_patience_with_running_steps_has_an_end() {
        let (wishes, received) = mpsc::unbounded_channel();
        let (drain, mut seen) = watch::channel(Drain::Open);
        tokio::spawn(follow(received, drain, Some(Duration::from_millis(50))));
        tokio::time::sleep(Duration::from_millis(80)).await;
        assert_eq!(*seen.borrow(), Drain::Open, "it begins with the first wish");
        wishes.send(Wish::End).expect("heard");
        let mut next = async || {
            tokio::time::timeout(Duration::from_secs(5), seen.changed())
                .await
                .expect("soon")
                .expect("it lives");
            *seen.borrow_and_update()
        };
        assert_eq!(next().await, Drain::Finish);
        assert_eq!(next().await, Drain::Cancel);
        wishes.send(Wish::End).expect("heard");
        assert_eq!(next().await, Drain::Kill);
    }
}
