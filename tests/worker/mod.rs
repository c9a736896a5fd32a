//! The worker: steps of a queue, each in a process of its own.

mod child;
