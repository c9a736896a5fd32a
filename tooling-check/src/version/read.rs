//! Where each tool's output tells its version. A number that stands elsewhere may be anything, and is not taken.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::tool::Tool;

/// The word (or the line, of tools that print a sentence) by which the tool tells its version.
pub(super) fn told(tool: Tool, text: &str) -> Option<String> {
    match tool {
        Tool::Kubectl => kubectl(text),
        Tool::Helm => helm(text),
        // Translated outputs keep the name but not the word `version`.
        Tool::Bash => line_with(text, &["GNU bash"]),
        Tool::Jq => text.lines().find(|line| line.starts_with("jq")).map(str::to_owned),
        Tool::Xargs | Tool::Base64 => line_with(text, &["findutils) ", "coreutils) ", "BusyBox v"]),
        Tool::Openssl => text
            .lines()
            .find(|line| ["OpenSSL ", "LibreSSL "].iter().any(|name| line.starts_with(name)))
            .map(str::to_owned),
        Tool::Aws => after(text, "aws-cli/").and_then(word),
        Tool::AwsIamAuthenticator => document::<Authenticator>(text).map(|answer| answer.version),
        Tool::Kubelogin => after(text, "git hash: ").and_then(word),
        Tool::GkeGcloudAuthPlugin => after(text, "Kubernetes ").and_then(word),
        Tool::Gcloud => document::<Gcloud>(text).map(|answer| answer.sdk),
        Tool::Az => document::<Az>(text).map(|answer| answer.cli),
        Tool::Python3 => after(text, "Python ").and_then(word),
        Tool::Pwsh => after(text, "PowerShell ").and_then(word),
    }
}

/// Another program that goes by the tool's name, where the output betrays it.
pub(super) fn stranger(tool: Tool, text: &str) -> Option<&'static str> {
    // Azure's kubelogin prints an empty first line after these words, int128's its version.
    let other = after(text, "kubelogin version ").and_then(word).is_some_and(|word| word.starts_with('v'));
    (tool == Tool::Kubelogin && other).then_some("int128's kubelogin (OpenID Connect), not Azure's")
}

#[derive(Deserialize)]
struct Kubectl {
    #[serde(rename = "clientVersion")]
    client: KubectlClient,
}

#[derive(Deserialize)]
struct KubectlClient {
    #[serde(rename = "gitVersion")]
    git: String,
}

#[derive(Deserialize)]
struct Authenticator {
    #[serde(rename = "Version")]
    version: String,
}

#[derive(Deserialize)]
struct Gcloud {
    #[serde(rename = "Google Cloud SDK")]
    sdk: String,
}

#[derive(Deserialize)]
struct Az {
    #[serde(rename = "azure-cli")]
    cli: String,
}

fn kubectl(text: &str) -> Option<String> {
    // The forms without `-o json`: `Client Version: v1.31.9`, `… GitVersion:"v1.27.16"`, and YAML where a
    // file of defaults (kuberc) asks for it.
    let labelled = || {
        let labels = ["GitVersion:\"", "gitVersion: ", "Client Version: "];
        labels.into_iter().find_map(|label| after(text, label).and_then(word))
    };
    document::<Kubectl>(text).map(|answer| answer.client.git).or_else(labelled)
}

fn helm(text: &str) -> Option<String> {
    // `{Version:"` and not `Version:"`: helm 4 prints a KubeClientVersion, too.
    let labels = ["SemVer:\"", "{Version:\"", "Client: "];
    let short = || text.lines().find(|line| line.starts_with('v')).and_then(word);
    labels
        .into_iter()
        .find_map(|label| after(text, label).and_then(word))
        .filter(|word| word.starts_with('v'))
        .or_else(short)
}

/// The first JSON document in a text, if it has that form. A wrapper may have written lines of its own before and
/// after it, with braces in them.
fn document<T: DeserializeOwned>(text: &str) -> Option<T> {
    text.match_indices('{').take(8).find_map(|(start, _)| {
        serde_json::Deserializer::from_str(&text[start..]).into_iter::<T>().next()?.ok()
    })
}

fn line_with(text: &str, words: &[&str]) -> Option<String> {
    text.lines().find(|line| words.iter().any(|word| line.contains(word))).map(str::to_owned)
}

fn after<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    text.find(label).map(|start| &text[start + label.len()..])
}

/// What stands before the next blank, quote or comma on the same line.
fn word(text: &str) -> Option<String> {
    let word = text.split(['"', ',', ' ', '\t', '\r', '\n']).next()?;
    (!word.is_empty()).then(|| word.to_owned())
}
