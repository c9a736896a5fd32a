//! The worker: takes steps from a queue, runs each in a process of its own, and tells the queue how it ended.
//!
//! `frames` is what a worker and a step's process say to each other, `job` how a step is to be run there. `status` is
//! what its loop reports; whoever looks from outside is answered from it: `ready` says what must hold, `metrics` what is
//! counted, `listen` is the address for both.

pub mod frames;
pub mod job;
pub mod listen;
pub mod metrics;
pub mod ready;
pub mod status;
