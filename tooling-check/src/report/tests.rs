//! The forms of the report: the same verdict in each, and nothing that a tool prints breaks one.

use super::{Style, capabilities, json, junit, markdown, text};
use crate::check::tests::{finding, machine, usable, version};
use crate::check::wanted::{Profile, Wanted};
use crate::check::{Level, Report};
use crate::fault::Fault;
use crate::inventory::{Finding, Inventory, State};
use crate::rules::Rules;
use crate::tool::Tool;
use crate::version::Version;

const PLAIN: Style = Style { colour: false, width: 80, verbose: false };

fn report(given: Vec<Finding>, profiles: &[Profile]) -> (Report, Inventory) {
    let inventory = machine(given);
    let wanted = Wanted::machine(profiles, Vec::new(), None);
    (Report::new(&inventory, &[], wanted, Rules::embedded()), inventory)
}

/// Something of everything, with what no form may take literally.
fn rich() -> (Report, Inventory) {
    let fault = Fault::Exited { code: 1, said: Some("<b>&\"|\u{1b}[31m it's\u{7} bad".to_owned()) };
    let broken = finding(Tool::Jq, State::Unusable { path: "/opt/a b/<jq>|".into(), fault });
    let unknown = usable(Tool::Kubelogin, Version::Unknown { printed: Some("<&>".to_owned()) });
    report(vec![broken, unknown, usable(Tool::Aws, version("2.4.1"))], &[Profile::Eks, Profile::Helm])
}

#[test]
fn every_form_tells_the_same_verdict_and_exit_code() {
    for strict in [false, true] {
        let (report, inventory) = rich();
        let code = report.exit_code(strict);
        assert_eq!(code, 3);
        assert!(text(&report, strict, PLAIN).contains(&format!("(exit {code}, ")));
        assert!(markdown(&report, strict).starts_with(&format!("**{}** (exit {code}", report.verdict())));
        assert!(junit(&report, strict).contains(&format!("name=\"exitCode\" value=\"{code}\"")));
        let json: serde_json::Value =
            serde_json::from_str(&json(&report, &inventory, strict).unwrap()).unwrap();
        assert_eq!((json["exitCode"].as_u64(), json["good"].as_bool()), (Some(u64::from(code)), Some(false)));
        assert_eq!(json["verdict"], report.verdict());
    }
}

#[test]
fn the_text_has_a_line_for_each_tool_and_fits_its_width() {
    let (report, _) = rich();
    for width in [60, 80, 120] {
        let text = text(&report, false, Style { width, ..PLAIN });
        for line in text.lines().filter(|line| !line.trim_start().starts_with("fix: ")) {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
        for tool in Tool::ALL {
            let own =
                |line: &&str| line.split_whitespace().nth(1) == Some(tool.name()) && !line.contains(" + ");
            assert_eq!(text.lines().filter(own).count(), 1, "{tool} in\n{text}");
        }
    }
    assert!(!text(&report, false, PLAIN).contains('\u{1b}'));
}

#[test]
fn colours_are_only_added() {
    let (report, _) = rich();
    let coloured = text(&report, false, Style { colour: true, ..PLAIN });
    assert!(coloured.contains("\u{1b}[31m"));
    assert_eq!(crate::version::plain(coloured.as_bytes()), text(&report, false, PLAIN));
}

#[test]
fn junit_is_xml_whatever_a_tool_printed() {
    let (report, _) = rich();
    let xml = junit(&report, false);
    assert!(!xml.contains('\u{1b}') && !xml.contains("<b>") && !xml.contains("&\""));
    let failures = report.checks.iter().filter(|check| check.level >= Level::Lacking).count();
    assert_eq!(xml.matches("<failure ").count(), failures);
    assert_eq!(xml.matches("<testcase ").count(), report.checks.len());
    assert!(xml.contains(&format!("tests=\"{}\" failures=\"{failures}\"", report.checks.len())));
    let strict = junit(&report, true).matches("<failure ").count();
    assert_eq!(strict, failures + report.count(Level::Warning));
}

#[test]
fn a_markdown_row_keeps_its_cells() {
    let (report, _) = rich();
    for row in markdown(&report, false).lines().filter(|line| line.starts_with("| ")) {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 5, "{row}");
    }
}

#[test]
fn capabilities_are_what_works() {
    let can = |given: Vec<Finding>| -> Vec<String> {
        let (report, inventory) = report(given, &[]);
        let text = capabilities(&report, &inventory, Rules::embedded()).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["kubernetes"], serde_json::json!(["1.35", "1.37"]));
        serde_json::from_value(document["capabilities"].clone()).unwrap()
    };
    assert_eq!(can(vec![]), ["kubernetes", "bash", "jq"]);
    let old = can(vec![usable(Tool::Aws, version("2.4.1"))]);
    assert!(old.contains(&"eks".to_owned()) && !old.contains(&"eks-exec".to_owned()), "{old:?}");
    let useless = can(vec![usable(Tool::Aws, version("1.16.150")), usable(Tool::Helm, version("2.17.0"))]);
    assert!(!useless.iter().any(|word| word.starts_with("eks") || word.starts_with("helm")), "{useless:?}");
    let rich = can(vec![
        usable(Tool::Kubelogin, version("0.2.21")),
        usable(Tool::GkeGcloudAuthPlugin, version("1.30.0")),
        usable(Tool::Helm, version("4.3.1")),
        usable(Tool::Python3, version("3.11.7")),
    ]);
    for word in ["aks-entra", "aks-entra-exec", "gke", "gke-exec", "helm", "helm-4", "python"] {
        assert!(rich.contains(&word.to_owned()), "{word} in {rich:?}");
    }
}
