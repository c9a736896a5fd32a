//! Those outside of a worker while it works: whoever asks at its address, and systemd, which is told.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::listen::{ListenError, Listener};
use super::notify::Notify;
use super::ready::Health;
use super::status::Status;
use crate::settings::Environment;

/// The address, where there is one, and systemd, where it is there.
pub struct Outside {
    listener: Option<Listener>,
    notify: Arc<Notify>,
}

impl Outside {
    /// Opens the address: what cannot be listened at is told before any step is claimed.
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn open(listen: Option<SocketAddr>, environment: &Environment) -> Result<Self, ListenError> {
        let listener = match listen {
            Some(address) => Some(Listener::bind(address).await?),
            None => None,
        };
        Ok(Self { listener, notify: Arc::new(Notify::new(environment)) })
    }

    /// To tell systemd of what is done elsewhere.
    #[must_use]
    pub fn notify(&self) -> Arc<Notify> {
        Arc::clone(&self.notify)
    }

    /// Begins: says where it listens, answers, tells systemd that the worker is ready and how it is. All of it ends when
    /// what is returned is dropped.
    pub fn begin(self, status: Status, health: Health) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        if let Some(listener) = self.listener {
            let address = listener.address();
            if listener.is_open() {
                tracing::warn!(
                    "listening at http://{address}, where other machines can ask, too, whoever they are"
                );
            } else {
                tracing::info!("listening at http://{address}");
            }
            tasks.spawn(listener.serve(health));
        }
        self.notify.ready();
        tasks.spawn(async move { self.notify.watch(&status).await });
        tasks
    }
}
