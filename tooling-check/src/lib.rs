//! Finds the tools that a Kubernetes deployment step needs, and says of each whether it can be used.
//!
//! In the order in which [`inventory()`] works:
//! - [`tool`]: the programs that are known;
//! - `locate`: where each lies, on a PATH or at a path that was chosen;
//! - [`kind`]: what stands between a name and the program, such as a version manager;
//! - `memory`: what an earlier inventory learned about the same files;
//! - `ask`: runs a program within bounds, and `contents` says why the kernel would not;
//! - [`version`]: reads what it printed;
//! - [`fault`]: what is wrong with a program, and what to do about it;
//! - [`inventory`](mod@inventory): the line through all of these, and its findings;
//! - [`rules`]: what is known about versions and pairs of them, as data; [`system`]: how a tool is installed here.
//! - [`check`]: an inventory held against what is wanted; [`prove`]: kubectl and its plugins really run;
//! - [`report`]: how that is told; [`command`]: the whole, as `tooling-check` and `kubestep check` have it.
//!
//! The library reads no environment variable, and only [`command`] prints: everything comes in by [`Search`].

mod ask;
pub mod check;
pub mod command;
mod contents;
pub mod fault;
pub mod help;
pub mod inventory;
pub mod kind;
mod locate;
mod memory;
pub mod prove;
pub mod report;
pub mod rules;
pub mod system;
pub mod terminal;
pub mod tool;
pub mod version;

pub use fault::{Contents, Fault};
pub use inventory::{Finding, Inventory, Search, State, inventory};
pub use kind::Kind;
pub use rules::Rules;
pub use system::System;
pub use tool::Tool;
pub use version::Version;
