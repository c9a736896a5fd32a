//! The embedded rules against what was read and run, and every pair around every boundary.

use super::{Answers, ApiVersion, ApiVersions, Enough, Pair, Rules};
use crate::system::System;
use crate::tool::Tool;
use crate::version::Version;

use ApiVersion::{V1, V1Alpha1, V1Beta1};

fn version(text: &str) -> Version {
    let mut parts = text.split('.').map(|part| part.parse().unwrap());
    let mut next = || parts.next().unwrap_or(0);
    Version::Known { printed: text.to_owned(), major: next(), minor: next(), patch: next() }
}

const UNKNOWN: Version = Version::Unknown { printed: None };

fn emits(tool: Tool, at: &str) -> &'static Answers {
    Rules::embedded().emits(tool, &version(at))
}

fn pair(kubectl: &str, tool: Tool, at: &str) -> Pair {
    Rules::embedded().pair(&version(kubectl), tool, &version(at))
}

fn follows(follows: &[ApiVersion], otherwise: ApiVersion) -> Answers {
    Answers::Follows { follows: follows.iter().copied().collect(), otherwise }
}

/// Both ends of every range of `emits.json`, which was made by reading 2,765 tags.
#[test]
fn plugins_answer_at_both_ends_of_every_range_that_was_read() {
    let all = [V1Alpha1, V1Beta1, V1];
    let nothing = Answers::Nothing { why: "it has no `eks get-token`".to_owned() };
    let ranges = [
        (Tool::Aws, "1.16.150", "1.16.155", nothing),
        (Tool::Aws, "1.16.156", "1.16.188", Answers::Always(V1Alpha1)),
        (Tool::Aws, "1.16.189", "1.20.8", Answers::Always(V1Alpha1)),
        (Tool::Aws, "1.20.9", "1.20.11", Answers::Always(V1Beta1)),
        (Tool::Aws, "1.20.12", "1.23.8", Answers::Always(V1Alpha1)),
        (Tool::Aws, "1.23.9", "1.23.13", follows(&all, V1Alpha1)),
        (Tool::Aws, "1.24.0", "1.45.55", follows(&all, V1Beta1)),
        (Tool::Aws, "2.0.0", "2.2.23", Answers::Always(V1Alpha1)),
        (Tool::Aws, "2.2.24", "2.2.24", Answers::Always(V1Beta1)),
        (Tool::Aws, "2.2.25", "2.6.2", Answers::Always(V1Alpha1)),
        (Tool::Aws, "2.6.3", "2.6.4", follows(&all, V1Alpha1)),
        (Tool::Aws, "2.7.0", "2.36.7", follows(&all, V1Beta1)),
        (Tool::AwsIamAuthenticator, "0.1.0", "0.1.0", Answers::Unknown),
        (Tool::AwsIamAuthenticator, "0.3.0", "0.5.3", Answers::Always(V1Alpha1)),
        (Tool::AwsIamAuthenticator, "0.5.4", "0.5.5", Answers::Always(V1Beta1)),
        (Tool::AwsIamAuthenticator, "0.5.6", "0.7.18", follows(&all, V1Beta1)),
        (Tool::Kubelogin, "0.0.1", "0.0.20", Answers::Always(V1Beta1)),
        (Tool::Kubelogin, "0.0.21", "0.2.22", follows(&[V1Beta1, V1], V1Beta1)),
    ];
    for (tool, from, to, answers) in ranges {
        assert_eq!(*emits(tool, from), answers, "{tool} {from}");
        assert_eq!(*emits(tool, to), answers, "{tool} {to}");
    }
    assert_eq!(*Rules::embedded().emits(Tool::GkeGcloudAuthPlugin, &UNKNOWN), Answers::Always(V1Beta1));
    assert_eq!(*Rules::embedded().emits(Tool::Aws, &UNKNOWN), Answers::Unknown);
    assert_eq!(*emits(Tool::Jq, "1.7"), Answers::Unknown, "jq is no plugin");
}

#[test]
fn every_kubectl_reads_what_was_measured() {
    let reads = |at| Rules::embedded().accepts(&version(at)).unwrap();
    let set = |versions: &[ApiVersion]| versions.iter().copied().collect::<ApiVersions>();
    for (kubectl, api) in [
        ("1.10.13", set(&[V1Alpha1])),
        ("1.11.0", set(&[V1Alpha1, V1Beta1])),
        ("1.20.2", set(&[V1Alpha1, V1Beta1])),
        ("1.21.14", set(&[V1Alpha1, V1Beta1])),
        ("1.22.0", set(&[V1Alpha1, V1Beta1, V1])),
        ("1.23.17", set(&[V1Alpha1, V1Beta1, V1])),
        ("1.24.0", set(&[V1Beta1, V1])),
        ("1.36.3", set(&[V1Beta1, V1])),
    ] {
        assert_eq!(reads(kubectl), api, "kubectl {kubectl} reads {}", reads(kubectl));
    }
    assert_eq!(Rules::embedded().accepts(&UNKNOWN), None);
}

#[test]
fn pairs_work_where_they_were_seen_to_work() {
    // plugins-measured.md 4: 108 combinations on a real API server, run end to end.
    for kubectl in ["1.20.2", "1.27.16", "1.33.1", "1.36.3"] {
        for (tool, at) in [
            (Tool::AwsIamAuthenticator, "0.5.5"),
            (Tool::AwsIamAuthenticator, "0.5.9"),
            (Tool::AwsIamAuthenticator, "0.7.18"),
            (Tool::Kubelogin, "0.0.20"),
            (Tool::Kubelogin, "0.2.21"),
            (Tool::Aws, "1.45.11"),
            (Tool::Aws, "2.9.19"),
            (Tool::GkeGcloudAuthPlugin, "1.30.0"),
        ] {
            assert_eq!(pair(kubectl, tool, at), Pair::Works(V1Beta1), "{kubectl} {tool} {at}");
        }
    }
    assert_eq!(pair("1.20.2", Tool::AwsIamAuthenticator, "0.5.3"), Pair::Works(V1Alpha1));
    assert_eq!(pair("1.23.17", Tool::Aws, "2.4.1"), Pair::Works(V1Alpha1));
    assert_eq!(pair("1.36.3", Tool::Aws, "2.2.24"), Pair::Works(V1Beta1));
    assert_eq!(pair("1.36.3", Tool::Aws, "2.6.3"), Pair::Works(V1Beta1));
    // Before 1.20 kubectl does not say that it wants v1beta1, and this aws then answers v1alpha1.
    assert_eq!(pair("1.19.16", Tool::Aws, "2.6.3"), Pair::Works(V1Alpha1));
    assert_eq!(pair("1.19.16", Tool::Aws, "2.7.0"), Pair::Works(V1Beta1));
}

#[track_caller]
fn never(pair: Pair) -> (String, String) {
    match pair {
        Pair::Never { why, hint } => (why, hint),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pair_that_never_works_is_told_with_both_versions_and_the_least_that_does() {
    let (why, hint) = never(pair("1.30.2", Tool::Aws, "2.4.1"));
    assert_eq!(why, "kubectl 1.30.2 reads v1beta1 and v1, and aws 2.4.1 answers with v1alpha1 only");
    assert_eq!(hint, "install aws 2.6.3 or newer");
    let (_, hint) = never(pair("1.27.16", Tool::Aws, "1.18.69"));
    assert_eq!(hint, "install aws 1.23.9 or newer, or 2.6.3 or newer", "1.20.9 was taken back");
    let (why, hint) = never(pair("1.36.3", Tool::AwsIamAuthenticator, "0.5.3"));
    assert_eq!(
        why,
        "kubectl 1.36.3 reads v1beta1 and v1, and aws-iam-authenticator 0.5.3 answers with v1alpha1 only"
    );
    assert_eq!(hint, "install aws-iam-authenticator 0.5.4 or newer");
    let (why, hint) = never(pair("1.20.2", Tool::Aws, "1.16.155"));
    assert_eq!(why, "aws 1.16.155 makes no credential for kubectl: it has no `eks get-token`");
    assert_eq!(hint, "install aws 1.16.156 or newer, or 2.0.0 or newer");
    let (why, hint) = never(pair("1.10.13", Tool::Kubelogin, "0.2.21"));
    assert_eq!(why, "kubectl 1.10.13 reads v1alpha1, and kubelogin 0.2.21 answers with v1beta1 and v1");
    assert_eq!(hint, "install kubectl 1.11.0 or newer");
}

#[test]
fn an_unknown_version_is_no_refusal() {
    let rules = Rules::embedded();
    assert_eq!(rules.pair(&UNKNOWN, Tool::Aws, &version("2.9.19")), Pair::Unknown(V1Beta1));
    assert_eq!(rules.pair(&version("1.36.3"), Tool::Kubelogin, &UNKNOWN), Pair::Unknown(V1Beta1));
    assert_eq!(rules.pair(&version("1.36.3"), Tool::GkeGcloudAuthPlugin, &UNKNOWN), Pair::Works(V1Beta1));
    assert_eq!(rules.is_enough(Tool::Aws, &UNKNOWN), Enough::Unknown);
}

#[test]
fn the_least_versions_are_inclusive() {
    let rules = Rules::embedded();
    assert_eq!(rules.is_enough(Tool::Aws, &version("1.16.156")), Enough::Yes);
    let Enough::TooOld(least) = rules.is_enough(Tool::Aws, &version("1.16.155")) else {
        panic!("it is too old")
    };
    assert_eq!((least.to_string().as_str(), least.why.as_str()), ("1.16.156", "has no `eks get-token`"));
    assert_eq!(
        rules.is_enough(Tool::Helm, &version("2.16.1")),
        Enough::TooOld(rules.least(Tool::Helm).unwrap().clone())
    );
    assert_eq!(rules.is_enough(Tool::Jq, &version("1.5")), Enough::Yes);
}

#[test]
fn what_is_newer_than_the_rules_is_told() {
    let rules = Rules::embedded();
    for (tool, at, news) in [
        (Tool::Aws, "1.45.55", false),
        (Tool::Aws, "1.45.56", true),
        (Tool::Aws, "2.9.19", false),
        (Tool::Aws, "2.37.0", true),
        (Tool::Aws, "3.0.0", true),
        (Tool::Kubectl, "1.99.0", true),
        (Tool::Jq, "9.0.0", false),
    ] {
        assert_eq!(rules.is_news(tool, &version(at)), news, "{tool} {at}");
    }
}

#[test]
fn every_tool_can_be_installed_everywhere() {
    let rules = Rules::embedded();
    let debian = System::of("ID=debian\n", true);
    for tool in Tool::ALL {
        assert!(rules.install(tool, &debian).is_some(), "{tool}");
    }
    assert_eq!(rules.install(Tool::Xargs, &debian).unwrap(), "apt-get install -y findutils");
    let alma = System::of("ID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\n", false);
    assert_eq!(rules.install(Tool::Base64, &alma).unwrap(), "sudo dnf install -y coreutils");
    assert_eq!(rules.install(Tool::Jq, &System::of("ID=plan9", true)), None);
    for tool in Tool::ALL {
        let how = rules.install(tool, &alma).unwrap();
        assert!(!how.contains(['{', '}']), "{how}");
    }
}

#[test]
fn wrong_rules_are_refused_with_what_is_wrong() {
    let head = "form = 1\ndate = \"2026-01-01\"\n";
    let wrong = |rules: &str| match Rules::read(&format!("{head}{rules}")) {
        Ok(_) => panic!("{rules} was accepted"),
        Err(error) => error.to_string(),
    };
    assert!(Rules::read(head).is_ok());
    assert!(
        wrong("[[emits]]\ntool = \"kubectx\"\nfrom = \"0\"\nunknown = true\nsource = \"\"")
            .contains("kubectx")
    );
    assert!(
        wrong("[[emits]]\ntool = \"aws\"\nfrom = \"x\"\nunknown = true\nsource = \"\"")
            .contains("x is no version")
    );
    assert!(wrong("[[emits]]\ntool = \"aws\"\nfrom = \"1\"\nsource = \"\"").contains("aws needs one of"));
    assert!(wrong("[[emits]]\ntool = \"aws\"\nfrom = \"1\"\nunknown = true").contains("source"));
    let two = "[[emits]]\ntool = \"aws\"\nfrom = \"2\"\nunknown = true\nsource = \"\"\n";
    assert!(wrong(&format!("{two}{two}")).contains("not in the order"));
    let other = Rules::read("form = 2\ndate = \"\"\n").err().map(|error| error.to_string());
    assert_eq!(other.as_deref(), Some("the rules have form 2, and this program reads form 1"));
}
