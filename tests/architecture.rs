//! The import table of ARCHITECTURE.md holds, and so do the rules that no lint knows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::harness::tools::repository;

/// Each module and those that it may import. Whatever is not in this table does not exist yet.
const TABLE: [(&str, &[&str]); 26] = [
    ("causes", &[]),
    ("secret", &[]),
    ("limits", &[]),
    ("message", &[]),
    ("cli", &[]),
    ("mask", &["secret"]),
    ("log", &["mask"]),
    ("settings", &["cli", "limits"]),
    ("payload", &["secret", "limits"]),
    ("plan", &["payload", "secret", "limits"]),
    ("workspace", &[]),
    ("supervise", &["causes", "limits", "workspace"]),
    ("https", &["secret"]),
    ("credential", &["causes", "plan", "payload", "secret", "https", "workspace", "supervise", "mask"]),
    ("cluster", &["causes", "plan", "payload", "secret", "https", "credential", "supervise", "limits"]),
    ("kubeconfig", &["plan", "payload", "secret", "workspace"]),
    ("script", &["plan", "payload", "kubeconfig", "workspace", "secret", "supervise"]),
    (
        "outcome",
        &[
            "causes",
            "payload",
            "plan",
            "workspace",
            "credential",
            "kubeconfig",
            "cluster",
            "script",
            "supervise",
            "log",
        ],
    ),
    (
        "step",
        &[
            "credential",
            "payload",
            "plan",
            "workspace",
            "kubeconfig",
            "cluster",
            "script",
            "supervise",
            "outcome",
            "mask",
            "log",
            "message",
            "limits",
        ],
    ),
    (
        "commands",
        &[
            "causes",
            "step",
            "explain",
            "settings",
            "cli",
            "log",
            "mask",
            "outcome",
            "payload",
            "plan",
            "supervise",
            "workspace",
            "limits",
            "place",
            "queue",
            "worker",
        ],
    ),
    ("explain", &["payload", "plan", "kubeconfig", "script", "supervise", "limits"]),
    ("init", &["supervise"]),
    ("queue", &["outcome", "secret"]),
    ("place", &["queue", "settings"]),
    ("worker", &["causes", "limits", "queue", "settings", "secret", "log", "outcome", "supervise"]),
    ("lib", &[]),
];

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The source without its tests, which may import what they like.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("text");
    let tests = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..tests].to_owned()
}

fn sources() -> Vec<(String, PathBuf)> {
    let root = repository().join("agent/src");
    let module = |path: &Path| {
        let inside = path.strip_prefix(&root).expect("inside");
        let first = inside.components().next().expect("a file").as_os_str().to_string_lossy().into_owned();
        first.trim_end_matches(".rs").to_owned()
    };
    let files = rust_files(&root).into_iter().filter(|path| !path.ends_with("tests.rs"));
    files
        .filter(|path| !path.components().any(|part| part.as_os_str() == "tests"))
        .map(|path| (module(&path), path))
        .collect()
}

fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let names = rest.strip_prefix('{').map_or_else(
            || vec![rest],
            |group| group.split('}').next().unwrap_or_default().split(',').map(str::trim).collect(),
        );
        for name in names {
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
            found.insert(name[..end].to_owned());
        }
    }
    found
}

#[test]
fn a_module_imports_only_what_the_table_allows() {
    let mut faults = Vec::new();
    for (module, path) in sources().iter().filter(|(module, _)| module != "main") {
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| name == module) else {
            faults.push(format!("{module} is not in the table"));
            continue;
        };
        for import in imports(&code(path)) {
            if import != *module && !allowed.contains(&import.as_str()) {
                faults.push(format!("{module} imports {import} ({})", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_table_finds_an_import_that_is_not_allowed() {
    let found =
        imports("use crate::payload::Step;\nuse crate::{plan, limits::Limits};\nlet x = crate::log::Level;");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["limits", "log", "payload", "plan"]);
}

#[test]
fn tooling_check_knows_no_module_of_kubestep_and_none_of_its_weight() {
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--package", "tooling-check", "--edges", "normal,build"])
        .args(["--prefix", "none", "--format", "{p} {f}"])
        .current_dir(repository())
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).expect("text");
    let crates: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(crates.contains("tooling-check") && crates.contains("rustix"), "{tree}");
    for heavy in ["kubestep", "tokio", "rustls", "ring", "hyper", "regex", "regex-automata"] {
        assert!(!crates.contains(heavy), "tooling-check depends on {heavy}");
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (_, path) in sources() {
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(text.starts_with("//!"), "{} has no module documentation", path.display());
    }
}

#[test]
fn secrets_are_exposed_only_where_the_table_of_architecture_md_says() {
    let allowed = [
        "secret",
        "payload",
        "mask",
        "kubeconfig",
        "script",
        "plan",
        "step",
        "https",
        "credential",
        "queue",
        "worker",
    ];
    for (module, path) in sources() {
        let exposes = code(&path).contains(".expose()");
        assert!(!exposes || allowed.contains(&module.as_str()), "{} exposes a secret", path.display());
    }
}

#[test]
fn the_line_is_one_function_of_at_most_forty_lines_and_main_is_as_short() {
    let step = std::fs::read_to_string(repository().join("agent/src/step/mod.rs")).expect("text");
    let line =
        step.split("async fn line(").nth(1).and_then(|rest| rest.split("\n}").next()).expect("the line");
    assert!(line.lines().count() <= 40, "the line has {} lines", line.lines().count());
    let main = std::fs::read_to_string(repository().join("agent/src/main.rs")).expect("text");
    assert!(main.lines().count() <= 40, "main has {} lines", main.lines().count());
}
