//! One of several: of fields, of words.

use super::{Field, Fields, Reader};
use crate::payload::problem::{listed, quoted, suggestion};

impl<'n> Fields<'n> {
    /// The one of these fields that is there; that there are none or several is told.
    pub(in crate::payload) fn exactly_one(
        &self,
        names: &[&'static str],
        reader: &Reader<'_>,
    ) -> Option<(&'static str, &Field<'n>)> {
        let found = names.iter().filter_map(|name| Some((*name, self.get(name)?)));
        match found.collect::<Vec<_>>().as_slice() {
            [one] => Some(*one),
            found => {
                let there: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
                let there = if there.is_empty() { "none".to_owned() } else { there.join(" and ") };
                let told = format!("expected exactly one of {}; found {there}", listed(names));
                reader.tell(&self.mapping, told);
                None
            }
        }
    }
}

impl Reader<'_> {
    /// One of these words.
    pub(in crate::payload) fn choice<T: Copy>(
        &self,
        field: &Field<'_>,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let word = self.text(field)?;
        let found = words.iter().find(|(known, _)| *known == word);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
            let meant = suggestion(&word, &known).map(|meant| format!("; did you mean {}?", quoted(meant)));
            let meant = meant.unwrap_or_default();
            self.tell(field, format!("expected {}, found {}{meant}", listed(&known), quoted(&word)));
        }
        found.map(|(_, one)| *one)
    }
}
