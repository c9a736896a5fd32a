//! What an inventory means for what is wanted: made-up findings, the embedded rules.

use std::time::Duration;

use super::wanted::{Profile, Wanted};
use super::{Level, Refusal, Report};
use crate::fault::Fault;
use crate::inventory::{Finding, Inventory, State};
use crate::kind::Kind;
use crate::prove::{Outcome, Proof};
use crate::rules::{ApiVersion, Rules};
use crate::tool::Tool;
use crate::version::Version;

pub(crate) fn version(text: &str) -> Version {
    let mut parts = text.split('.').map(|part| part.parse().unwrap());
    let mut next = || parts.next().unwrap_or(0);
    Version::Known { printed: format!("v{text}"), major: next(), minor: next(), patch: next() }
}

pub(crate) fn finding(tool: Tool, state: State) -> Finding {
    let hits = match &state {
        State::Missing => Vec::new(),
        State::Usable { path, .. } | State::Unusable { path, .. } => vec![path.clone()],
    };
    let install = matches!(state, State::Missing).then(|| format!("get {tool}"));
    Finding { tool, hits, state, kind: None, lacks: Vec::new(), kubernetes: None, took: None, install }
}

pub(crate) fn usable(tool: Tool, at: Version) -> Finding {
    finding(tool, State::Usable { path: format!("/usr/bin/{tool}").into(), version: at })
}

/// A machine with all that every step needs and kubectl 1.36.3, and what is given besides or instead.
pub(crate) fn machine(given: Vec<Finding>) -> Inventory {
    let base =
        [("jq", "1.7"), ("xargs", "4.9"), ("base64", "9.1"), ("bash", "5.2.15"), ("kubectl", "1.36.3")];
    let base = base.map(|(name, at)| usable(Tool::named(name).unwrap(), version(at)));
    let missing = Tool::ALL.map(|tool| finding(tool, State::Missing));
    // Of two about one tool the later one counts.
    missing.into_iter().chain(base).chain(given).collect()
}

fn wanted(profiles: &[Profile], requirements: &[&str], server: Option<(u32, u32)>) -> Wanted {
    Wanted::machine(profiles, requirements.iter().map(|text| text.parse().unwrap()).collect(), server)
}

fn report(given: Vec<Finding>, wanted: Wanted) -> Report {
    Report::new(&machine(given), &[], wanted, Rules::embedded())
}

/// What stands about that check: its level, and all that it says.
fn told(report: &Report, id: &str) -> (Level, String) {
    let check = report.checks.iter().find(|check| check.id == id).unwrap_or_else(|| panic!("no {id}"));
    let says = check
        .remarks
        .iter()
        .map(|remark| format!("{} [{}]", remark.says, remark.fix.clone().unwrap_or_default()));
    (check.level, says.collect::<Vec<_>>().join("; "))
}

#[test]
fn a_bare_machine_is_good_for_any_step_and_a_missing_tool_is_a_note() {
    let report = report(vec![], wanted(&[], &[], None));
    assert_eq!((report.worst(), report.exit_code(true)), (Level::Note, 0));
    assert_eq!(told(&report, "tool/helm"), (Level::Note, "helm is not on the PATH [get helm]".to_owned()));
    assert_eq!(report.verdict(), "Good: this machine has what it needs.");
}

#[test]
fn what_every_step_needs_has_to_be_there() {
    for name in ["kubectl", "jq", "xargs", "base64", "bash"] {
        let tool = Tool::named(name).unwrap();
        let report = report(vec![finding(tool, State::Missing)], wanted(&[], &[], None));
        assert_eq!(report.exit_code(false), 2, "{name}");
        assert_eq!(report.verdict(), format!("Not good: {name} is not on the PATH (needed by every step)."));
    }
}

#[test]
fn what_is_needed_and_broken_is_3_and_what_is_not_needed_a_warning() {
    let broken = |tool| finding(tool, State::Unusable { path: "/opt/x".into(), fault: Fault::NotExecutable });
    let needed = report(vec![broken(Tool::Jq), finding(Tool::Bash, State::Missing)], wanted(&[], &[], None));
    assert_eq!(needed.exit_code(false), 3, "broken beats missing");
    let unneeded = report(vec![broken(Tool::Pwsh)], wanted(&[], &[], None));
    assert_eq!((unneeded.exit_code(false), unneeded.exit_code(true)), (0, 1));
    assert_eq!(unneeded.verdict(), "Good: this machine has what it needs, with 1 warning.");
}

#[test]
fn profiles_and_requirements_say_what_is_needed() {
    for (profile, tool) in
        [(Profile::Aks, "kubelogin"), (Profile::Gke, "gke-gcloud-auth-plugin"), (Profile::Helm, "helm")]
    {
        let report = report(vec![], wanted(&[profile], &[], None));
        let (level, says) = told(&report, &format!("tool/{tool}"));
        assert_eq!(level, Level::Lacking, "{tool}");
        assert!(says.contains(&format!("(needed by --for {}", profile.name())), "{says}");
        assert_eq!(report.exit_code(false), 2);
    }
    assert_eq!(report(vec![], wanted(&[Profile::Generic], &[], None)).exit_code(true), 0);
    let bounded = |text: &str| report(vec![], wanted(&[], &[text], None)).exit_code(false);
    assert_eq!(bounded("kubectl>=1.36.3"), 0);
    assert_eq!(bounded("kubectl<1.36"), 2);
    assert_eq!(bounded("openssl"), 2);
    let unknown = usable(Tool::Kubectl, Version::Unknown { printed: None });
    let report = report(vec![unknown], wanted(&[], &["kubectl>=1.30"], None));
    assert_eq!((report.exit_code(false), report.exit_code(true)), (0, 1), "what is unknown is no refusal");
}

#[test]
fn one_way_into_eks_is_enough() {
    let eks = || wanted(&[Profile::Eks], &[], None);
    let none = report(vec![], eks());
    let (level, says) = told(&none, "tool/aws");
    assert_eq!(level, Level::Lacking);
    assert!(says.starts_with("aws is not on the PATH (aws-iam-authenticator would do, too)"), "{says}");
    assert_eq!(told(&none, "tool/aws-iam-authenticator").0, Level::Note);
    let aws = report(vec![usable(Tool::Aws, version("2.9.19"))], eks());
    assert_eq!(aws.exit_code(true), 0);
    let both =
        vec![usable(Tool::Aws, version("1.16.150")), usable(Tool::AwsIamAuthenticator, version("0.7.18"))];
    assert_eq!(report(both, eks()).exit_code(true), 0, "an aws that is too old stands in nobody's way");
    let old = report(vec![usable(Tool::Aws, version("1.16.150"))], eks());
    assert_eq!(old.exit_code(false), 2);
    assert!(
        told(&old, "tool/aws").1.starts_with("aws 1.16.150 has no `eks get-token`: 1.16.156 is the least")
    );
}

#[test]
fn a_pair_that_kubectl_cannot_run_is_a_warning_where_it_matters_since_brokered_it_works() {
    let old = || vec![usable(Tool::Aws, version("2.4.1"))];
    let eks = report(old(), wanted(&[Profile::Eks], &[], None));
    let (level, says) = told(&eks, "pair/kubectl+aws");
    assert_eq!((level, eks.exit_code(false), eks.exit_code(true)), (Level::Warning, 0, 1));
    assert!(
        says.starts_with("kubectl cannot run it: kubectl 1.36.3 reads v1beta1 and v1, and aws 2.4.1 answers"),
        "{says}"
    );
    assert!(says.contains("brokered by kubestep it works [install aws 2.6.3 or newer"), "{says}");
    assert_eq!(told(&report(old(), wanted(&[], &[], None)), "pair/kubectl+aws").0, Level::Note);
}

#[test]
fn a_server_too_far_from_kubectl_or_helm_is_a_warning() {
    let skew = |given: Vec<Finding>, server| report(given, wanted(&[], &[], Some(server)));
    for (minor, level) in
        [(34, Level::Warning), (35, Level::Good), (36, Level::Good), (37, Level::Good), (38, Level::Warning)]
    {
        assert_eq!(told(&skew(vec![], (1, minor)), "server/kubectl").0, level, "1.{minor}");
    }
    let helm = |at: &str, minor| {
        let given = vec![usable(Tool::Helm, version(at))];
        told(&report(given, wanted(&[Profile::Helm], &[], Some((1, minor)))), "server/helm").0
    };
    assert_eq!((helm("3.18.4", 33), helm("3.18.4", 30)), (Level::Good, Level::Good));
    assert_eq!((helm("3.18.4", 34), helm("3.18.4", 29)), (Level::Warning, Level::Warning));
    assert_eq!(helm("9.0.0", 36), Level::Good, "a helm that nobody knows is not judged");
    // helm 4 says itself what it was built for, and is believed.
    let mut said = usable(Tool::Helm, version("9.0.0"));
    said.kubernetes = Some((1, 40));
    let report = report(vec![said], wanted(&[Profile::Helm], &[], Some((1, 36))));
    assert_eq!(told(&report, "server/helm").0, Level::Warning);
}

#[test]
fn a_dispatcher_is_judged_by_the_kubectls_beside_it() {
    let dispatcher = || {
        let mut found = usable(Tool::Kubectl, version("1.32.4"));
        found.kind = Some(Kind::Dispatcher { siblings: vec![(1, 27), (1, 28), (1, 33)] });
        found
    };
    let level =
        |minor| told(&report(vec![dispatcher()], wanted(&[], &[], Some((1, minor)))), "server/kubectl").0;
    assert_eq!([27, 28, 31, 33].map(level), [Level::Good; 4]);
    assert_eq!([24, 29, 36].map(level), [Level::Warning; 3], "without a sibling it runs its own, 1.32");
}

#[test]
fn helm_has_to_read_what_kubectl_reads() {
    let given = vec![
        usable(Tool::Kubectl, version("1.23.17")),
        usable(Tool::Helm, version("3.21.0")),
        usable(Tool::Aws, version("2.4.1")),
    ];
    let report = report(given, wanted(&[], &[], None));
    let (level, says) = told(&report, "pair/kubectl+helm");
    assert_eq!(level, Level::Note);
    assert!(says.contains("does not read v1alpha1, which kubectl 1.23.17 needs of aws 2.4.1"), "{says}");
}

fn proof(plugin: Tool, outcome: Outcome) -> Proof {
    Proof { plugin, api: ApiVersion::V1Beta1, outcome, took: Some(Duration::from_millis(5)) }
}

#[test]
fn what_happened_beats_what_the_rules_foretell() {
    let judge = |at: &str, outcome| {
        let inventory = machine(vec![usable(Tool::Aws, version(at))]);
        let proofs = [proof(Tool::Aws, outcome)];
        Report::new(&inventory, &proofs, wanted(&[Profile::Eks], &[], None), Rules::embedded())
    };
    let accepted = judge("2.4.1", Outcome::Accepted);
    assert_eq!(accepted.exit_code(true), 0, "the rules said never, and it worked");
    assert!(!accepted.checks.iter().any(|check| check.id == "pair/kubectl+aws"));
    let failed = |makes_tokens| Outcome::Failed { said: "boom".to_owned(), makes_tokens };
    assert_eq!(judge("2.9.19", failed(false)).exit_code(false), 3, "nobody knows why");
    assert_eq!(judge("2.9.19", failed(true)).exit_code(true), 1);
    assert_eq!(judge("1.16.150", failed(false)).exit_code(false), 2, "it is too old");
}

#[test]
fn only_an_excuse_is_no_warning() {
    let inventory = machine(vec![usable(Tool::Kubelogin, version("0.0.34"))]);
    let proofs = [proof(Tool::Kubelogin, Outcome::Excused { why: "it needs Azure".to_owned() })];
    let report = Report::new(&inventory, &proofs, wanted(&[Profile::Aks], &[], None), Rules::embedded());
    assert_eq!(report.exit_code(true), 0);
    assert_eq!(told(&report, "prove/kubectl+kubelogin").0, Level::Note);
}

#[test]
fn a_plans_refusal_is_added_unless_it_was_told_in_the_same_words() {
    let mut wanted = wanted(&[], &[], None);
    wanted.step = Some("deploy".to_owned());
    wanted.useful.insert(Tool::Helm);
    let mut report = report(vec![finding(Tool::Bash, State::Missing)], wanted);
    let refusal = |says: &str| Refusal { says: says.to_owned(), fix: None };
    let checks = report.checks.len();
    report.refuse(vec![refusal("bash is not on the PATH")]);
    assert_eq!((report.checks.len(), report.exit_code(false)), (checks, 2));
    assert_eq!(told(&report, "tool/helm").0, Level::Warning);
    report.refuse(vec![refusal("the stars stand wrong")]);
    assert_eq!(told(&report, "step/plan"), (Level::Lacking, "the stars stand wrong []".to_owned()));
}
