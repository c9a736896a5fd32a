//! Tools that mislead: stand-ins for what is met in the wild, for every tool that is asked, side by side.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Finding, Search, State, inventory};
use crate::fault::Fault;
use crate::kind::Kind;
use crate::tool::Tool;
use crate::version::Version;

/// A folder that comes first on the PATH; the system's own follow, for the stand-ins' shells.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn find(&self, tool: Tool) -> Finding {
        self.find_within(tool, Duration::from_secs(10))
    }

    fn find_within(&self, tool: Tool, limit: Duration) -> Finding {
        let path = format!("{}:/usr/bin:/bin", self.0.path().display());
        let (nothing, asked) = (BTreeMap::new(), [tool]);
        let search = Search { asked: &asked, limit, ..Search::new(path.as_ref(), &nothing) };
        inventory(&[tool], &search).get(tool).unwrap().clone()
    }
}

#[track_caller]
fn fault(finding: Finding) -> Fault {
    match finding.state {
        State::Unusable { fault, .. } => fault,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn told(finding: &Finding) -> String {
    match &finding.state {
        State::Usable { version, .. } => version.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_version_is_found_among_colours_and_bytes_that_are_no_text() {
    let folder = Folder::new();
    folder
        .script("helm", r#"printf '\033[1;32mversion.BuildInfo{Version:"v3.12.3", GitCommit:"x"}\033[0m\n'"#);
    assert_eq!(told(&folder.find(Tool::Helm)), "3.12.3");
    folder.script("pwsh", r"printf '\377\376\nPowerShell 7.6.1\n'");
    assert_eq!(told(&folder.find(Tool::Pwsh)), "7.6.1");
    folder.script("aws", "echo 'aws-cli/1.16.217 Python/2.7.16 Darwin/18.7.0' >&2");
    assert_eq!(told(&folder.find(Tool::Aws)), "1.16.217");
}

#[test]
fn silence_is_an_unknown_version_for_every_tool_that_is_not_tried() {
    for tool in Tool::ALL {
        let folder = Folder::new();
        folder.script(tool.name(), ":");
        let finding = folder.find(tool);
        match tool {
            Tool::Jq | Tool::Xargs | Tool::Base64 => {
                assert!(matches!(fault(finding), Fault::Lacks { .. }), "{tool} does nothing");
            }
            _ => assert_eq!(told(&finding), "version unknown", "{tool}"),
        }
    }
}

#[test]
fn exit_code_1_is_broken_however_good_the_version_looks() {
    for (tool, prints) in [
        (Tool::Helm, "v3.12.3"),
        (Tool::Aws, "aws-cli/2.15.0"),
        (Tool::Kubelogin, "git hash: v0.2.8/d7f1"),
        (Tool::Openssl, "OpenSSL 3.0.19"),
    ] {
        let folder = Folder::new();
        folder.script(tool.name(), &format!("echo '{prints}'; exit 1"));
        let said = Some(prints.to_owned());
        assert_eq!(fault(folder.find(tool)), Fault::Exited { code: 1, said }, "{tool}");
    }
}

#[test]
fn a_prompt_on_standard_input_ends_and_one_on_the_terminal_is_seen_at_once() {
    let folder = Folder::new();
    folder.script("az", "read -r answer; echo \"{\\\"azure-cli\\\": \\\"2.77.0\\\"}$answer\"");
    assert_eq!(told(&folder.find(Tool::Az)), "2.77.0");
    // What the kernel sends to a group in the background that reads its terminal: a pager, a password's prompt.
    folder.script("az", "kill -TTIN $$; sleep 60");
    let start = Instant::now();
    assert_eq!(fault(folder.find(Tool::Az)), Fault::WaitsForTerminal);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_gigabyte_of_output_is_not_read() {
    let folder = Folder::new();
    folder.script("gcloud", "exec head -c 1073741824 /dev/zero");
    let start = Instant::now();
    assert_eq!(fault(folder.find(Tool::Gcloud)), Fault::Flooded);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn tools_that_hang_cost_one_limit_together() {
    let folder = Folder::new();
    let tools = [Tool::Aws, Tool::Az, Tool::Gcloud, Tool::Helm, Tool::Pwsh];
    for tool in tools {
        folder.script(tool.name(), "sleep 60");
    }
    let path = format!("{}:/usr/bin:/bin", folder.0.path().display());
    let (nothing, limit) = (BTreeMap::new(), Duration::from_millis(500));
    let told = std::sync::Mutex::new(Vec::new());
    let progress = |waiting: &[Tool]| told.lock().unwrap().push(waiting.len());
    let search =
        Search { asked: &tools, limit, progress: Some(&progress), ..Search::new(path.as_ref(), &nothing) };
    let start = Instant::now();
    let found = inventory(&tools, &search);
    assert!(start.elapsed() < limit * 4, "{:?}", start.elapsed());
    assert!(found.iter().all(|one| fault(one.clone()) == Fault::TimedOut { limit }));
    assert_eq!(*told.lock().unwrap(), [5, 4, 3, 2, 1, 0]);
}

#[test]
fn a_missing_library_is_named() {
    let folder = Folder::new();
    let says =
        "echo 'aws: error while loading shared libraries: libz.so.1: cannot open shared object file' >&2";
    folder.script("aws", &format!("{says}; exit 127"));
    let library = "libz.so.1".to_owned();
    assert_eq!(fault(folder.find(Tool::Aws)), Fault::MissingLibrary { library });
}

#[test]
fn the_other_kubelogin_is_refused() {
    let folder = Folder::new();
    folder.script("kubelogin", "echo 'kubelogin version v1.28.1'");
    let fault = fault(folder.find(Tool::Kubelogin));
    assert_eq!(fault.to_string(), "is int128's kubelogin (OpenID Connect), not Azure's");
}

/// busybox' xargs as it is: it knows no --version and no -d, and says so with its name.
const BUSYBOX_XARGS: &str = r#"case $1 in
-0) tr '\0' '\n' ;;
-r) : ;;
*) echo "xargs: unrecognized option: ${1#--}" >&2; echo "BusyBox v1.36.1 (2023-07-27) multi-call binary." >&2; exit 1 ;;
esac"#;

#[test]
fn a_tool_that_does_what_scripts_use_needs_no_version() {
    let folder = Folder::new();
    folder.script("xargs", BUSYBOX_XARGS);
    let finding = folder.find(Tool::Xargs);
    assert_eq!(told(&finding), "1.36.1", "busybox says who it is where it complains");
    assert_eq!(finding.lacks, ["xargs -d (GNU)"]);
    folder.script("base64", "[ \"$1\" = -d ] && exec /usr/bin/base64 -d; exit 1");
    let finding = folder.find(Tool::Base64);
    assert_eq!(finding.lacks, ["base64 --decode", "base64 -w0"]);
    folder.script("jq", "echo jq-1.7");
    assert_eq!(fault(folder.find(Tool::Jq)), Fault::Lacks { feature: "jq -r .key".to_owned() });
}

#[test]
fn launchers_are_told_by_their_names() {
    let folder = Folder::new();
    folder.script("kubectl", r#"echo '{"clientVersion": {"gitVersion": "v1.32.4-dispatcher"}}'"#);
    for sibling in ["kubectl.1.27", "kubectl.1.33", "kubectl.old"] {
        folder.script(sibling, ":");
    }
    let siblings = vec![(1, 27), (1, 33)];
    assert_eq!(folder.find(Tool::Kubectl).kind, Some(Kind::Dispatcher { siblings }));
    let busybox = folder.script("real/busybox", "echo 'BusyBox v1.36.1'");
    symlink(&busybox, folder.0.path().join("helm")).unwrap();
    assert_eq!(folder.find(Tool::Helm).kind, Some(Kind::Applet { of: "busybox" }));
    folder.script("openssl", "echo 'OpenSSL 3.0.19'");
    assert_eq!(folder.find(Tool::Openssl).kind, Some(Kind::Wrapper));
    folder.script("aws", "echo aws-cli/2.9.19");
    assert_eq!(folder.find(Tool::Aws).kind, None, "aws is a script by nature");
    let shim = folder.script(".asdf/shims/helm", "echo v3.12.3");
    let chosen = BTreeMap::from([(Tool::Helm, shim)]);
    let search = Search { asked: &[Tool::Helm], ..Search::new("/usr/bin:/bin".as_ref(), &chosen) };
    let found = inventory(&[Tool::Helm], &search);
    assert_eq!(found.get(Tool::Helm).unwrap().kind, Some(Kind::Shim { of: "asdf" }));
}

#[test]
fn what_was_remembered_with_other_rules_is_asked_again() {
    let folder = Folder::new();
    let count = folder.0.path().join("count");
    folder.script("helm", &format!("echo >> {}; echo v3.12.3", count.display()));
    let memory = tempfile::tempdir().unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.0.path().display());
    let nothing = BTreeMap::new();
    let other = crate::Rules::read("form = 1\ndate = \"2026-01-01\"\n").unwrap();
    let ask = |rules: Option<&crate::Rules>| {
        let memory = Some(memory.path());
        let search = Search { asked: &[Tool::Helm], memory, rules, ..Search::new(path.as_ref(), &nothing) };
        let found = inventory(&[Tool::Helm], &search);
        assert_eq!(
            found.get(Tool::Helm).unwrap().version().map(Version::to_string).as_deref(),
            Some("3.12.3")
        );
        fs::read_to_string(&count).unwrap().lines().count()
    };
    assert_eq!((ask(None), ask(Some(crate::Rules::embedded()))), (1, 1), "they are the same");
    assert_eq!(ask(Some(&other)), 2);
}
