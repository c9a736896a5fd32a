//! The real tools, as `scripts/tools` lists them in its `tools.json`.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::skipped;

/// What ends the line of a skip that no set-up could have spared: `scripts/test` does not count it as a failure in CI.
const NOT_TO_BE_HAD: &str = "not to be had here";

/// Every tool of this name that is there, as (version, path), the newest first.
pub(crate) fn tools(name: &str) -> Vec<(String, PathBuf)> {
    let mut found = listed(name);
    found.sort_by_key(|(version, _)| std::cmp::Reverse(numbers(version)));
    found
}

/// The newest tool of this name whose version is `version` or begins with it (`2` for `2.9.19`, an empty one for any);
/// where there is none, the test is skipped.
pub(crate) fn tool(name: &str, version: &str) -> Option<PathBuf> {
    let fits =
        |found: &str| found == version || version.is_empty() || found.starts_with(&format!("{version}."));
    let found = tools(name).into_iter().find(|(found, _)| fits(found)).map(|(_, path)| path);
    if found.is_none() {
        // Google hands it out with its Cloud SDK only, which no registry has.
        let way = if name == "gke-gcloud-auth-plugin" { NOT_TO_BE_HAD } else { "run scripts/tools" };
        skipped(&format!("no {name} {version} in tools.json: {way}"));
    }
    found
}

/// Every kubectl that is there, as (version, path), the newest first.
pub(crate) fn kubectls() -> Vec<(String, PathBuf)> {
    tools("kubectl")
}

/// The two ends of [`kubectls`]; one where there is only one.
pub(crate) fn newest_and_oldest() -> Vec<(String, PathBuf)> {
    let mut found = kubectls();
    let oldest = found.split_off(found.len().min(1)).pop();
    found.into_iter().chain(oldest).collect()
}

/// The newest kubectl; where there is none, the test is skipped.
pub(crate) fn kubectl() -> Option<PathBuf> {
    let newest = kubectls().into_iter().next().map(|(_, path)| path);
    if newest.is_none() {
        skipped("no kubectl in tools.json: run scripts/tools");
    }
    newest
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').filter_map(|part| part.parse().ok()).collect()
}

fn listed(name: &str) -> Vec<(String, PathBuf)> {
    static LIST: OnceLock<serde_json::Value> = OnceLock::new();
    let list = LIST.get_or_init(|| {
        let text = cache().and_then(|cache| std::fs::read_to_string(cache.join("tools.json")).ok());
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    });
    let entries = list["tools"].as_array().into_iter().flatten().filter(|tool| tool["name"] == name);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    entries.map(|tool| (text(&tool["version"]), PathBuf::from(text(&tool["path"])))).collect()
}

#[expect(clippy::disallowed_methods, reason = "the tests' own settings come from the environment")]
fn cache() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    folder("KUBESTEP_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("kubestep")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/kubestep")))
}

/// The repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
