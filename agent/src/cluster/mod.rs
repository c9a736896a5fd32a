//! What the agent asks a cluster itself, before the script: so far its namespace.
//!
//! Two ways to ask: `direct`, over HTTPS, in a millisecond or two; and `kubectl`, whose verdict is the verdict
//! wherever the first one got no answer. `answer` says what an answer means, `question` chooses the way.

mod answer;
mod direct;
mod kubectl;
pub mod namespace;
mod question;

pub use kubectl::Kubectl;

/// Where namespaces are, below a server's own path.
const NAMESPACES: &str = "/api/v1/namespaces";
