//! The forms in which a [`Report`](crate::check::Report) is told: for a person, for programs, for CI, for a page.
//! All of them tell the same verdict and the same exit code.

mod capabilities;
mod json;
mod junit;
mod markdown;
mod text;
#[cfg(test)]
mod tests;

pub use capabilities::capabilities;
pub use json::json;
pub use junit::junit;
pub use markdown::markdown;
pub use text::{Style, text};

/// A form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// JUnit's XML, as CI systems read it.
    Junit,
    /// A table for a page or an issue.
    Markdown,
}
