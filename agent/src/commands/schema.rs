//! `kubestep schema`: what payloads and results look like, for editors and generators.

use std::io::{self, Write};

use super::SOFTWARE;
use crate::cli::{Document, SchemaArguments};
use crate::outcome::StepResult;
use crate::payload;

/// Prints the schema, and gives the exit code.
#[must_use]
pub fn run(arguments: &SchemaArguments) -> u8 {
    let schema = match arguments.document {
        Document::Payload => payload::schema::schema(),
        Document::Result => StepResult::schema(),
    };
    let printed = serde_json::to_string_pretty(&schema).map_err(io::Error::from);
    let printed = printed.and_then(|text| writeln!(io::stdout(), "{text}"));
    if printed.is_ok() { 0 } else { SOFTWARE }
}
