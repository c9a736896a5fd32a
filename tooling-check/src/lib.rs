//! Finds the tools that a Kubernetes deployment step needs, and says of each whether it can be used.

pub mod tool;
pub mod version;

pub use tool::Tool;
pub use version::Version;
