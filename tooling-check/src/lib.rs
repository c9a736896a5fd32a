//! Finds the tools that a Kubernetes deployment step needs, and says of each whether it can be used.

mod ask;
mod contents;
pub mod fault;
pub mod tool;
pub mod version;

pub use fault::{Contents, Fault};
pub use tool::Tool;
pub use version::Version;
