//! End to end: the built program, real tools, a real control plane. One binary; each file is one behaviour.
//!
//! `harness` holds the strict builder that all tests use: what a test does not expect must not happen.

mod aks;
mod architecture;
mod auth;
mod cleanup;
mod clouds;
mod connection;
mod containers;
mod eks;
mod ending;
mod explain;
mod gke;
mod harness;
mod image;
mod import;
mod input;
mod isolation;
mod masking;
mod namespace;
mod packaging;
mod preflight;
mod queue;
mod recipe;
mod schema;
mod secrets;
mod streams;
mod supervision;
mod surroundings;
mod tls;
mod worker;
