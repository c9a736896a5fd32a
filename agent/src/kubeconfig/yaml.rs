//! A JSON document as block YAML, for reading: what is used is written as JSON.

use std::fmt::Write;

use serde_json::Value;

/// The document's text, two spaces a level.
#[must_use]
pub fn yaml(document: &Value) -> String {
    let mut text = String::new();
    block(&mut text, document, 0);
    text
}

fn block(text: &mut String, value: &Value, level: usize) {
    let indent = "  ".repeat(level);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                entry(text, &format!("{indent}{}:", plain(name)), value, level);
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            for element in elements {
                let mut inner = String::new();
                block(&mut inner, element, level + 1);
                // The first line's indentation makes room for the dash.
                let first = inner.trim_start();
                write!(text, "{indent}- {first}").expect("a string takes every write");
            }
        }
        scalar => writeln!(text, "{indent}{}", inline(scalar)).expect("a string takes every write"),
    }
}

fn entry(text: &mut String, name: &str, value: &Value, level: usize) {
    let is_block = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(elements) => !elements.is_empty(),
        _ => false,
    };
    if is_block {
        writeln!(text, "{name}").expect("a string takes every write");
        // kubectl's own style: a list stands under its name without further indentation.
        block(text, value, if value.is_array() { level } else { level + 1 });
    } else {
        writeln!(text, "{name} {}", inline(value)).expect("a string takes every write");
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text),
        other => other.to_string(),
    }
}

/// The text without quotes, where no YAML reader could take it for anything but a text.
fn plain(text: &str) -> String {
    const OTHER_THINGS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    let goes_on = text.chars().all(|one| one.is_ascii_alphanumeric() || "/._-".contains(one) || one == ':');
    let is_text = !OTHER_THINGS.iter().any(|other| text.eq_ignore_ascii_case(other)) && !text.ends_with(':');
    if begins && goes_on && is_text { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::yaml;
    use serde_json::json;

    #[test]
    fn a_kubeconfig_is_written_in_kubectls_style() {
        let document = json!({
            "kind": "Config",
            "users": [{"name": "on", "user": {"token": "REDACTED", "exec": {"args": [], "env": null}}}],
            "contexts": [{"context": {"namespace": "1e3"}}, {"context": {}}],
            "url": "https://[::1]:6443",
        });
        let expected = "kind: Config\n\
            users:\n- name: \"on\"\n  user:\n    token: REDACTED\n    exec:\n      args: []\n      env: null\n\
            contexts:\n- context:\n    namespace: \"1e3\"\n- context: {}\n\
            url: \"https://[::1]:6443\"\n";
        assert_eq!(yaml(&document), expected);
    }

    #[test]
    fn what_yaml_takes_for_something_else_is_quoted() {
        for text in ["no", "True", "1", "", "a b", "a:", "~", "-", "#a", "a\nb", "0x1F", ".5"] {
            assert!(yaml(&json!(text)).starts_with('"'), "{text:?}");
        }
    }
}
