//! What a step says to the queue that it waits in.

use schemars::JsonSchema;

/// An RFC 3339 time, such as 2026-11-24T10:00:00Z.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct Time(
    #[schemars(regex(
        pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
    ))]
    String,
);

/// A name, at most 128 bytes.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct Key(#[schemars(length(min = 1, max = 128))] String);

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Retry {
    /// After its worker was lost while it ran. Default: false.
    on_lost: Option<bool>,
    /// How often after a failure. Default: 0.
    #[schemars(range(min = 0, max = 3))]
    on_failure: Option<u8>,
}
