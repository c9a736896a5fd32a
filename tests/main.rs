//! End to end: the built program, real tools, a real control plane. One binary; each file is one behaviour.
//!
//! `harness` holds the strict builder that all tests use: what a test does not expect must not happen.

mod architecture;
mod cleanup;
mod ending;
mod harness;
mod input;
mod masking;
mod secrets;
mod streams;
mod surroundings;
