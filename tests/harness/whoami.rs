//! A step that asks the real cluster who it is.

use serde_json::Value;

use super::Run;

/// Who the cluster says that the script is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
}

/// The command that prints it. kubectl 1.20 has no `whoami`, and that of 1.27 knows alpha and beta of the API only.
/// Without validation, as 1.27 lists custom resources for it, which an account without rights may not.
pub(crate) fn whoami(version: &str) -> &'static str {
    let minor: u32 = version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or_default();
    if minor >= 28 {
        "kubectl auth whoami -o json\n"
    } else {
        "kubectl create --validate=false -o json -f - \
         <<<'{\"apiVersion\": \"authentication.k8s.io/v1\", \"kind\": \"SelfSubjectReview\"}'\n"
    }
}

/// The answers of a step that asks who it is, and prints nothing else.
#[track_caller]
pub(crate) fn users(run: Run) -> Vec<User> {
    let done = run.any_output().stderr("").check();
    assert_eq!(done.result["reason"], "Completed");
    let answers = serde_json::Deserializer::from_str(&done.stdout).into_iter::<Value>();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let user = |answer: Value| {
        let user = &answer["status"]["userInfo"];
        let groups = user["groups"].as_array().expect("a list").iter().map(text).collect();
        User { name: text(&user["username"]), groups }
    };
    answers.map(|answer| user(answer.expect("JSON"))).collect()
}

#[track_caller]
pub(crate) fn user(run: Run) -> User {
    let mut users = users(run);
    assert_eq!(users.len(), 1, "{users:?}");
    users.remove(0)
}

/// The names in this order, the groups in any.
pub(crate) fn expected(name: &str, groups: &[&str]) -> User {
    let groups = groups.iter().chain(&["system:authenticated"]).map(|group| (*group).to_owned()).collect();
    User { name: name.to_owned(), groups }
}
