//! `notBefore`, `notAfter`, `concurrencyKey` and `retry`: what the queue has to know.

use jiff::Timestamp;

use super::super::fields::{Field, Fields, Reader};
use super::super::problem::quoted;
use super::optional;
use crate::payload::{ConcurrencyKey, Queueing};

/// The longest key, in bytes.
const LONGEST_KEY: usize = 128;

/// More often than this is no retry but a loop.
const MOST_RETRIES: u8 = 3;

pub(super) fn read(reader: &Reader<'_>, fields: &Fields<'_>) -> Option<Queueing> {
    let not_before = optional(fields, "notBefore", |field| time(reader, field).map(Some));
    let not_after = optional(fields, "notAfter", |field| time(reader, field).map(Some));
    let key = optional(fields, "concurrencyKey", |field| key(reader, field));
    let retry = optional(fields, "retry", |field| retry(reader, field));
    let (not_before, not_after) = (not_before?, not_after?);
    if let (Some(before), Some(after), Some(field)) = (not_before, not_after, fields.get("notAfter"))
        && after <= before
    {
        reader.tell(field, "must be later than notBefore");
        return None;
    }
    let (retry_on_lost, retry_on_failure) = retry?;
    let queued = reader.surroundings.queued;
    Some(Queueing { queued, not_before, not_after, concurrency_key: key?, retry_on_lost, retry_on_failure })
}

fn time(reader: &Reader<'_>, field: &Field<'_>) -> Option<Timestamp> {
    let time = reader.text(field)?.parse();
    time.map_err(|_| reader.tell(field, "expected a time such as 2026-11-24T10:00:00Z")).ok()
}

fn key(reader: &Reader<'_>, field: &Field<'_>) -> Option<ConcurrencyKey> {
    let key = reader.filled_text(field)?;
    if key.len() > LONGEST_KEY || key.chars().any(char::is_control) {
        reader.tell(field, format!("expected at most {LONGEST_KEY} bytes without control characters"));
        return None;
    }
    Some(if key == "none" { ConcurrencyKey::Free } else { ConcurrencyKey::Named(key) })
}

fn retry(reader: &Reader<'_>, field: &Field<'_>) -> Option<(bool, u8)> {
    let fields = reader.fields(field, &["onLost", "onFailure"])?;
    let on_lost = optional(&fields, "onLost", |field| reader.truth(field));
    let on_failure = optional(&fields, "onFailure", |field| {
        let text = reader.text(field)?;
        let count = text.parse().ok().filter(|count| *count <= MOST_RETRIES);
        if count.is_none() {
            let told = format!("expected a number from 0 to {MOST_RETRIES}, found {}", quoted(&text));
            reader.tell(field, told);
        }
        count
    });
    Some((on_lost?, on_failure?))
}
