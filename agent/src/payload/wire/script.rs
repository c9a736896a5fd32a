//! `script`, `files` and `environment`: what is run, and what it finds around it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::PathBuf;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use crate::payload::fields::{Field, Fields, NOT_YET, Reader};
use crate::payload::problem::{quoted, suggestion};
use crate::payload::source::Given;
use crate::payload::trust::PathList;
use crate::payload::{MAX_BYTES, Script, Step, Text};

const FIELDS: [&str; 5] = ["syntax", "body", "file", "arguments", "workingDirectory"];

/// Below this, a secret is a word that arguments hold by chance; the masker leaves it alone too (mask-forms.md).
const SHORTEST_SECRET: usize = 4;

/// Linux's MAX_ARG_STRLEN without its NUL: for one argument, and for one variable with its name and `=`.
const LONGEST_ARGUMENT: usize = 128 * 1024 - 1;

/// A script, and the places of its arguments.
pub(super) struct Read<'n> {
    pub(super) script: Script,
    pub(super) arguments: Vec<Field<'n>>,
}

pub(super) fn read<'n>(reader: &Reader<'_>, field: &Field<'n>) -> Option<Read<'n>> {
    let fields = reader.fields(field, &FIELDS)?;
    let syntax = fields.get("syntax").map_or(Some(()), |field| syntax(reader, field));
    let body = body(reader, field, &fields);
    let elements = fields.get("arguments").map_or(Some(Vec::new()), |field| reader.list(field));
    let texts = elements.as_ref().map(|elements| {
        let texts: Vec<_> = elements.iter().map(|field| argument(reader, field)).collect();
        texts.into_iter().collect::<Option<Vec<String>>>()
    });
    let folder = fields.get("workingDirectory").map(|field| working_directory(reader, field));
    syntax?;
    let working_directory = folder.map_or(Some(None), |folder| folder.map(Some))?;
    let script = Script { body: Text::Plain(body?), arguments: texts??, working_directory };
    Some(Read { script, arguments: elements? })
}

fn argument(reader: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    let text = reader.text(field)?;
    if text.len() > LONGEST_ARGUMENT {
        reader.tell_with_hint(field, "is longer than an argument can be (128 KiB)", "pass it by files");
        return None;
    }
    Some(text)
}

fn syntax(reader: &Reader<'_>, field: &Field<'_>) -> Option<()> {
    let word = reader.text(field)?;
    let told = format!("expected \"bash\", found {}", quoted(&word));
    match word.as_str() {
        "bash" => return Some(()),
        "python" | "powershell" => reader.tell_with_hint(field, told, NOT_YET),
        _ => match suggestion(&word, &["bash"]) {
            Some(meant) => reader.tell(field, format!("{told}; did you mean {}?", quoted(meant))),
            None => reader.tell(field, told),
        },
    }
    None
}

fn body(reader: &Reader<'_>, script: &Field<'_>, fields: &Fields<'_>) -> Option<String> {
    let (field, text) = match (fields.get("body"), fields.get("file")) {
        (Some(body), None) => (body, reader.text(body)?),
        (None, Some(file)) => {
            let written = reader.filled_text(file)?;
            let bytes = reader.file(file, &written, MAX_BYTES as u64)?;
            let text = reader.utf8(file, bytes)?;
            reader.send(file, Some("body"), text.as_bytes());
            (file, text)
        }
        (both, _) => {
            let found = if both.is_some() { "both" } else { "neither" };
            reader.tell(script, format!("expected exactly one of body and file, found {found}"));
            return None;
        }
    };
    if text.trim().is_empty() {
        reader.tell(field, "the script is empty");
        return None;
    }
    Some(text)
}

fn working_directory(reader: &Reader<'_>, field: &Field<'_>) -> Option<PathBuf> {
    let written = reader.filled_text(field)?;
    let path = reader.path_there(field, &written, PathList::Files)?;
    if reader.is_submitted() {
        return Some(path);
    }
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => return Some(path),
        Ok(_) => reader.tell(field, format!("{} is no folder", quoted(&written))),
        Err(error) => reader.unreadable(field, &written, &error),
    }
    None
}

pub(super) fn files(reader: &Reader<'_>, field: &Field<'_>) -> Option<BTreeMap<String, Text>> {
    let entries = reader.entries(field)?;
    let names: BTreeSet<&str> = entries.iter().map(|(name, _)| *name).collect();
    let read = entries.iter().map(|(name, field)| {
        let is_right = check_file_name(reader, field, name, &names);
        let text = reader.judged_text(field, &[Given::Variable]);
        is_right.then_some((String::from(*name), text?))
    });
    let read: Vec<_> = read.collect();
    read.into_iter().collect()
}

fn check_file_name(reader: &Reader<'_>, field: &Field<'_>, name: &str, all: &BTreeSet<&str>) -> bool {
    let told = if name.starts_with('/') {
        "expected a relative name: files are written into the working directory"
    } else if name.split('/').any(|part| part == "..") {
        "must not hold `..`: files stay in the working directory"
    } else if name.split('/').any(|part| matches!(part, "" | ".")) {
        "expected a file name without empty parts, `.` and a slash at its end"
    } else if name.contains(char::is_control) {
        "must not hold control characters"
    } else if name.len() > 1024 || name.split('/').any(|part| part.len() > 255) {
        "is longer than a file name can be (255 bytes a part)"
    } else if is_folder_of(name, all) {
        "is a file here, and the folder of another file"
    } else {
        return true;
    };
    reader.tell(field, told);
    false
}

/// Whether another name lies below this one.
fn is_folder_of(name: &str, all: &BTreeSet<&str>) -> bool {
    let folder = format!("{name}/");
    let next = all.range::<str, _>((Bound::Included(folder.as_str()), Bound::Unbounded)).next();
    next.is_some_and(|next| next.starts_with(&folder))
}

pub(super) fn environment(reader: &Reader<'_>, field: &Field<'_>) -> Option<BTreeMap<String, Text>> {
    let entries = reader.entries(field)?;
    let read = entries.iter().map(|(name, field)| {
        let is_right = check_variable_name(reader, field, name);
        let text = reader.judged_text(field, &[Given::Variable, Given::File])?;
        if name.len() + 1 + text.expose().len() > LONGEST_ARGUMENT {
            reader.tell_with_hint(field, "is longer than a variable can be (128 KiB)", "pass it by files");
            return None;
        }
        is_right.then_some((String::from(*name), text))
    });
    let read: Vec<_> = read.collect();
    read.into_iter().collect()
}

fn check_variable_name(reader: &Reader<'_>, field: &Field<'_>, name: &str) -> bool {
    let told = if name == "KUBECONFIG" {
        "must not be set: the step's KUBECONFIG is made from target"
    } else if name.starts_with("KUBESTEP_") {
        "must not be set: names with KUBESTEP_ are the agent's"
    } else if !is_variable_name(name) {
        "expected a variable name: letters, digits and underscores, not beginning with a digit"
    } else {
        return true;
    };
    reader.tell(field, told);
    false
}

fn is_variable_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Arguments are visible to every process of the machine. Judged last, when all secrets are known.
pub(super) fn refuse_secret_arguments(reader: &Reader<'_>, step: &Step, places: &[Field<'_>]) {
    let arguments = &step.script.arguments;
    let longest = arguments.iter().map(String::len).max().unwrap_or_default();
    let mut secrets = step.secrets();
    secrets.retain(|named| (SHORTEST_SECRET..=longest).contains(&named.secret.expose().len()));
    // One pass for all secrets: thousands of both would take minutes one by one.
    let search = AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(secrets.iter().map(|named| named.secret.expose()))
        .expect("secrets no longer than a 4 MiB payload's arguments fit into the automaton");
    for (argument, field) in arguments.iter().zip(places) {
        if let Some(found) = search.find(argument) {
            let held = &secrets[found.pattern().as_usize()].field;
            let told = format!("holds the secret of {held}; arguments are visible to every process");
            reader.tell_with_hint(field, told, "pass it by environment or files");
        }
    }
}
