//! The worker: it takes steps from a queue, runs each as a child of its own, and tells what came of it.
//!
//! `status` is what its loop reports; whoever looks from outside is answered from it.

pub mod metrics;
pub mod status;
