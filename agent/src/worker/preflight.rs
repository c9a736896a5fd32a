//! What this machine can run: asked before the first claim, since a step that its worker cannot run should be left to
//! another one.

use std::collections::BTreeSet;

use tooling_check::command::{CheckArguments, Question, Surroundings, check};

/// What was found.
#[derive(Clone, Debug)]
pub struct Fitness {
    /// What steps can be sent here for: the words of `kubestep check --capabilities`, and the names of the tools.
    pub capabilities: BTreeSet<String>,
    /// Why no step can run here, as a report for people.
    pub unfit: Option<String>,
}

/// Why nothing could be found out.
#[derive(Debug, thiserror::Error)]
#[error("the preflight failed: {0}")]
pub struct PreflightError(String);

/// Looks at every tool. It blocks: a tool that was never seen here may take seconds to answer.
///
/// # Errors
/// [`PreflightError`].
pub fn preflight(surroundings: &Surroundings) -> Result<Fitness, PreflightError> {
    let told = |capabilities| {
        let arguments = CheckArguments { capabilities, ..CheckArguments::default() };
        let question = Question { wanted: arguments.wanted(), ..Question::default() };
        check(&arguments, question, surroundings).map_err(|failure| PreflightError(failure.says))
    };
    let found = told(true)?;
    let document: serde_json::Value =
        serde_json::from_str(&found.text).map_err(|error| PreflightError(error.to_string()))?;
    let capabilities = capabilities(&document);
    // 2 and above: something that every step needs is missing, too old, or does not work.
    let unfit = if found.code >= 2 { Some(told(false)?.text) } else { None };
    Ok(Fitness { capabilities, unfit })
}

fn capabilities(document: &serde_json::Value) -> BTreeSet<String> {
    let words = document["capabilities"].as_array().into_iter().flatten();
    let words = words.filter_map(|word| word.as_str().map(str::to_owned));
    let tools = document["tools"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    words.chain(tools).collect()
}

#[cfg(test)]
mod tests {
    use super::capabilities;

    #[test]
    fn a_machine_offers_its_capabilities_and_its_tools_by_name() {
        let document = serde_json::json!({
            "capabilities": ["kubernetes", "python"],
            "tools": {"jq": "1.7.1", "xargs": null},
        });
        let found: Vec<String> = capabilities(&document).into_iter().collect();
        assert_eq!(found, ["jq", "kubernetes", "python", "xargs"]);
    }
}
