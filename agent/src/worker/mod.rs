//! The worker: it takes steps from a queue, runs each as a child of its own, and tells what came of it.
//!
//! `status` is what its loop reports; whoever looks from outside is answered from it: `ready` says what must hold, `metrics`
//! what is counted, `listen` is the address for both.

pub mod listen;
pub mod metrics;
pub mod ready;
pub mod status;
