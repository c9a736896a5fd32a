//! Inventories of stand-ins (small scripts and headers in a temporary folder) and of this machine's real tools.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{StatVfsMountFlags, statvfs};
use tempfile::TempDir;

use super::{Finding, Inventory, Search, State, inventory};
use crate::fault::{Contents, Fault};
use crate::rules::Rules;
use crate::system::System;
use crate::tool::Tool;
use crate::version::Version;

/// What a kubectl answers, as a line of a shell script.
const ANSWERS: &str = r#"echo '{"clientVersion": {"gitVersion": "v1.31.9"}}'"#;

/// A folder with stand-ins, and a search that looks nowhere else.
#[must_use]
struct Bench {
    folder: TempDir,
    chosen: BTreeMap<Tool, PathBuf>,
    limit: Duration,
    remembers: bool,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["first", "second", "memory"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder, chosen: BTreeMap::new(), limit: super::DEFAULT_LIMIT, remembers: true }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn script(&self, name: &str, body: &str) -> PathBuf {
        self.file(name, format!("#!/bin/sh\n{body}\n"))
    }

    /// A script that answers and leaves a line for each run.
    fn counted(&self, name: &str) -> PathBuf {
        self.script(name, &format!("echo run >> {}\n{ANSWERS}", self.path("runs").display()))
    }

    fn runs(&self) -> usize {
        fs::read_to_string(self.path("runs")).map_or(0, |text| text.lines().count())
    }

    fn look(&self) -> Inventory {
        // The shells of the stand-ins need the system's folders; only `first` and `second` hold a kubectl of ours,
        // and no kubectl there is met before them.
        let path = std::env::join_paths([self.path("first"), self.path("second")]).unwrap();
        let memory = self.path("memory");
        let search = Search {
            limit: self.limit,
            memory: self.remembers.then_some(memory.as_path()),
            ..Search::new(&path, &self.chosen)
        };
        inventory(&[Tool::Kubectl], &search)
    }

    fn kubectl(&self) -> Finding {
        self.look().get(Tool::Kubectl).unwrap().clone()
    }

    #[track_caller]
    fn fault(&self) -> Fault {
        match self.kubectl().state {
            State::Unusable { fault, .. } => fault,
            other => panic!("expected a fault, found {other:?}"),
        }
    }

    #[track_caller]
    fn version(&self) -> Version {
        match self.kubectl().state {
            State::Usable { version, .. } => version,
            other => panic!("expected a usable kubectl, found {other:?}"),
        }
    }
}

fn v1_31_9() -> Version {
    Version::Known { printed: "v1.31.9".to_owned(), major: 1, minor: 31, patch: 9 }
}

/// Whether the process whose number stands in the file goes away within seconds.
fn is_gone(file: &Path) -> bool {
    let deadline = Instant::now() + Duration::from_secs(5);
    let pid = fs::read_to_string(file).unwrap();
    let status = format!("/proc/{}/status", pid.trim());
    while fs::read_to_string(&status).is_ok_and(|text| !text.contains("State:\tZ")) {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Says so past the test runner's capture, which hides what a passing test prints; `scripts/test` counts it.
fn skipped(why: &str) {
    let stderr = File::options().write(true).open("/dev/stderr");
    let _ = stderr.and_then(|mut stderr| stderr.write_all(format!("\nskipped: {why}\n").as_bytes()));
}

/// The same for what no registry has, so that CI cannot install it either.
fn not_to_be_had(what: &str) {
    let stderr = File::options().write(true).open("/dev/stderr");
    let _ =
        stderr.and_then(|mut stderr| stderr.write_all(format!("\nnot to be had here: {what}\n").as_bytes()));
}

// ----- where it lies -----

#[test]
fn a_tool_that_lies_nowhere_is_missing() {
    let bench = Bench::new();
    let finding = bench.kubectl();
    let install = Rules::embedded().install(Tool::Kubectl, &System::here());
    assert_eq!(finding.state, State::Missing);
    assert_eq!((finding.hits.len(), &finding.install), (0, &install));
    assert_eq!(finding.complaint().as_deref(), Some("kubectl is not on the PATH"));
    let hint = finding.hint().unwrap();
    assert!(hint.starts_with("install kubectl: ") && hint.contains("curl"), "{hint}");
    assert_eq!(bench.look().get(Tool::Helm), None, "helm was not sought");
}

#[test]
fn the_first_hit_counts_and_the_others_are_shadowed() {
    let bench = Bench::new();
    let first = bench.script("first/kubectl", ANSWERS);
    let second = bench.script("second/kubectl", "exit 9");
    let finding = bench.kubectl();
    assert_eq!(finding.hits, [first.clone(), second]);
    assert_eq!(finding.usable(), Some(first.as_path()));
    assert_eq!(finding.version(), Some(&v1_31_9()));
    assert_eq!(finding.hint(), None);
}

#[test]
fn a_broken_first_hit_is_not_replaced_by_the_next_but_the_hint_names_it() {
    let bench = Bench::new();
    let first = bench.script("first/kubectl", "exit 9");
    let second = bench.script("second/kubectl", ANSWERS);
    let finding = bench.kubectl();
    let fault = Fault::Exited { code: 9, said: None };
    assert_eq!(finding.state, State::Unusable { path: first, fault });
    let hint = finding.hint().unwrap();
    assert!(hint.contains(&format!("; {} comes next on the PATH", second.display())), "{hint}");
}

#[test]
fn a_chosen_path_beats_the_path() {
    let mut bench = Bench::new();
    let shadowed = bench.script("first/kubectl", "exit 9");
    let chosen = bench.script("my-kubectl", ANSWERS);
    bench.chosen.insert(Tool::Kubectl, chosen.clone());
    let finding = bench.kubectl();
    assert_eq!(finding.usable(), Some(chosen.as_path()));
    assert_eq!(finding.hits, [chosen, shadowed]);
}

#[test]
fn a_file_that_is_reached_in_two_ways_is_one_hit() {
    let mut bench = Bench::new();
    let real = bench.script("first/kubectl", ANSWERS);
    symlink("../first/kubectl", bench.path("second/kubectl")).unwrap();
    assert_eq!(bench.kubectl().hits, [real]);
    bench.chosen.insert(Tool::Kubectl, bench.path("second/kubectl"));
    assert_eq!(bench.kubectl().hits, [bench.path("second/kubectl")]);
}

#[test]
fn relative_and_empty_entries_of_the_path_are_not_searched() {
    let bench = Bench::new();
    // A way from the working directory to a kubectl that would be found through it.
    let here = std::env::current_dir().unwrap();
    let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
    let relative = up.join(bench.path("first").strip_prefix("/").unwrap());
    bench.script("first/kubectl", ANSWERS);
    assert!(relative.join("kubectl").exists());
    let path: OsString = [relative.as_os_str(), "::.".as_ref()].into_iter().collect();
    let found = inventory(&[Tool::Kubectl], &Search::new(&path, &BTreeMap::new()));
    assert_eq!(found.get(Tool::Kubectl).unwrap().state, State::Missing);
}

#[test]
fn a_tool_that_is_not_asked_is_not_run() {
    let bench = Bench::new();
    let helm = bench.script("first/helm", &format!("touch {}", bench.path("runs").display()));
    let path = bench.path("first").into_os_string();
    let found = inventory(&[Tool::Helm], &Search::new(&path, &BTreeMap::new()));
    let state = State::Usable { path: helm, version: Version::NotAsked };
    assert_eq!(found.get(Tool::Helm).unwrap().state, state);
    assert!(!bench.path("runs").exists());
}

// ----- what keeps it from starting -----

#[test]
fn a_file_without_the_executable_bit_is_named_on_the_path_and_when_chosen() {
    let mut bench = Bench::new();
    let file = bench.script("first/kubectl", ANSWERS);
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let finding = bench.kubectl();
    assert_eq!(finding.state, State::Unusable { path: file.clone(), fault: Fault::NotExecutable });
    assert_eq!(finding.hits, [] as [PathBuf; 0]);
    bench.chosen.insert(Tool::Kubectl, file);
    assert_eq!(bench.fault(), Fault::NotExecutable);
    // A shell passes such a file by.
    bench.chosen.clear();
    bench.script("second/kubectl", ANSWERS);
    assert_eq!(bench.version(), v1_31_9());
}

#[test]
fn a_dangling_link_is_named_with_its_target() {
    let mut bench = Bench::new();
    let link = bench.path("first/kubectl");
    symlink("/opt/gone/kubectl", &link).unwrap();
    let fault = Fault::DanglingLink { target: "/opt/gone/kubectl".into() };
    assert_eq!(bench.fault(), fault);
    assert_eq!(fault.to_string(), "is a link to /opt/gone/kubectl, which does not exist");
    bench.chosen.insert(Tool::Kubectl, link);
    assert_eq!(bench.fault(), fault);
}

#[test]
fn a_folder_is_passed_by_on_the_path_and_named_when_chosen() {
    let mut bench = Bench::new();
    let folder = bench.path("first/kubectl");
    fs::create_dir(&folder).unwrap();
    assert_eq!(bench.kubectl().state, State::Missing);
    bench.chosen.insert(Tool::Kubectl, folder);
    assert_eq!(bench.fault(), Fault::Folder);
}

#[test]
fn a_chosen_path_that_leads_nowhere_is_not_replaced_by_the_path() {
    let mut bench = Bench::new();
    let other = bench.script("first/kubectl", ANSWERS);
    bench.chosen.insert(Tool::Kubectl, "/nonexistent/kubectl".into());
    let finding = bench.kubectl();
    assert_eq!(
        finding.state,
        State::Unusable { path: "/nonexistent/kubectl".into(), fault: Fault::NotFound }
    );
    assert!(finding.hint().unwrap().contains(other.to_str().unwrap()));
}

#[test]
fn a_file_system_without_execution_is_named() {
    // Containers and most distributions mount it noexec.
    let Ok(folder) = tempfile::tempdir_in("/dev/shm") else { return skipped("no /dev/shm") };
    let noexec = statvfs(folder.path()).unwrap().f_flag.contains(StatVfsMountFlags::NOEXEC);
    if !noexec && rustix::process::geteuid().is_root() {
        return again_where_shm_is_noexec();
    }
    if !noexec {
        return skipped("/dev/shm is not mounted noexec, and only root can mount it so");
    }
    let mut bench = Bench::new();
    let file = folder.path().join("kubectl");
    fs::copy(bench.script("first/kubectl", ANSWERS), &file).unwrap();
    bench.chosen.insert(Tool::Kubectl, file);
    assert_eq!(bench.fault(), Fault::NoExecMount);
}

/// Runs the test above in a mount namespace of its own: nothing of this machine changes.
fn again_where_shm_is_noexec() {
    let test = "inventory::tests::a_file_system_without_execution_is_named";
    let status = Command::new("unshare")
        .args(["-m", "sh", "-c", "mount -o remount,noexec /dev/shm && exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn a_missing_interpreter_is_named() {
    let bench = Bench::new();
    bench.file("first/kubectl", "#!/opt/gone/python3 -E\n");
    let fault = bench.fault();
    assert_eq!(fault, Fault::MissingInterpreter { interpreter: Some("/opt/gone/python3".into()) });
    assert_eq!(fault.to_string(), "needs /opt/gone/python3, which is not on this machine");
}

#[test]
fn a_script_with_windows_line_ends_is_told_so() {
    let bench = Bench::new();
    bench.file("first/kubectl", "#!/bin/sh\r\nexit 0\r\n");
    let fault = bench.fault();
    assert_eq!(fault.to_string(), r"needs /bin/sh\r, which is not on this machine");
    assert!(fault.hint().unwrap().contains("Unix line ends"));
}

/// A 64-bit program for that machine, with a loader that does not exist.
fn elf(machine: u16) -> Vec<u8> {
    let loader = b"/lib/gone.so\0";
    let mut file = vec![0; 64 + 56];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    file[16..18].copy_from_slice(&2_u16.to_le_bytes());
    file[18..20].copy_from_slice(&machine.to_le_bytes());
    file[20] = 1;
    file[32] = 64;
    file[52] = 64;
    file[54] = 56;
    file[56] = 1;
    file[64] = 3;
    file[64 + 4] = 4;
    file[64 + 8] = 64 + 56;
    file[64 + 32] = u8::try_from(loader.len()).unwrap();
    file[64 + 40] = u8::try_from(loader.len()).unwrap();
    file.extend_from_slice(loader);
    file
}

#[test]
fn a_program_for_another_processor_is_told_so() {
    let bench = Bench::new();
    bench.file("first/kubectl", elf(258));
    let fault = bench.fault();
    assert_eq!(fault, Fault::WrongArchitecture { built_for: "loongarch64".to_owned() });
    assert_eq!(
        fault.to_string(),
        format!("was built for loongarch64, and this machine is {}", std::env::consts::ARCH)
    );
}

#[test]
fn a_missing_loader_is_named() {
    let machine = match std::env::consts::ARCH {
        "x86_64" => 62,
        "aarch64" => 183,
        other => return skipped(&format!("no header for {other}")),
    };
    let bench = Bench::new();
    bench.file("first/kubectl", elf(machine));
    assert_eq!(bench.fault(), Fault::MissingInterpreter { interpreter: Some("/lib/gone.so".into()) });
}

#[test]
fn a_file_that_is_no_program_is_told_what_it_is() {
    let bench = Bench::new();
    for (contents, expected) in [
        (&b""[..], Contents::Nothing),
        (b"<html>404</html>", Contents::WebPage),
        (b"exec kubectl-1.30 \"$@\"\n", Contents::Text),
        (b"\x7fELF\x02\x01", Contents::Unknown),
    ] {
        bench.file("first/kubectl", contents);
        assert_eq!(bench.fault(), Fault::NotAProgram { contents: expected });
    }
}

// ----- how it answers -----

#[test]
fn a_tool_that_fails_is_unusable_and_its_words_are_kept() {
    let bench = Bench::new();
    bench.script("first/kubectl", &format!("{ANSWERS}; echo 'no licence' >&2; exit 3"));
    let fault = bench.fault();
    assert_eq!(fault, Fault::Exited { code: 3, said: Some("no licence".to_owned()) });
    assert_eq!(fault.to_string(), "ended with exit code 3 when asked for its version: no licence");
}

#[test]
fn a_tool_that_is_killed_is_unusable() {
    let bench = Bench::new();
    bench.script("first/kubectl", "kill -SEGV $$");
    assert_eq!(bench.fault(), Fault::Killed { signal: 11 });
}

#[test]
fn garbage_and_silence_make_the_version_unknown_and_the_tool_stays_usable() {
    let bench = Bench::new();
    bench.script("first/kubectl", r"printf '\377\376 hello\n'");
    assert_eq!(bench.version(), Version::Unknown { printed: Some("\u{fffd}\u{fffd} hello".to_owned()) });
    bench.script("first/kubectl", ":");
    assert_eq!(bench.version(), Version::Unknown { printed: None });
}

#[test]
fn an_answer_on_standard_error_is_read() {
    let bench = Bench::new();
    bench.script("first/kubectl", &format!("{ANSWERS} >&2"));
    assert_eq!(bench.version(), v1_31_9());
}

#[test]
fn a_flood_is_stopped() {
    let bench = Bench::new();
    bench.script("first/kubectl", "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done");
    assert_eq!(bench.fault(), Fault::Flooded);
}

#[test]
fn a_tool_that_hangs_is_killed_with_its_group() {
    let mut bench = Bench::new();
    bench.limit = Duration::from_millis(200);
    let pids = [bench.path("shell"), bench.path("child")];
    let body = format!(
        "trap '' TERM INT HUP; echo $$ > {}; /bin/sleep 60 & echo $! > {}; wait",
        pids[0].display(),
        pids[1].display()
    );
    bench.script("first/kubectl", &body);
    let fault = bench.fault();
    assert_eq!(fault, Fault::TimedOut { limit: bench.limit });
    assert_eq!(fault.to_string(), "gave no answer within 200ms when asked for its version");
    assert!(pids.iter().all(|pid| is_gone(pid)));
}

#[test]
fn a_descendant_that_holds_the_pipe_is_not_waited_for_and_killed() {
    let bench = Bench::new();
    let pid = bench.path("pid");
    bench.script("first/kubectl", &format!("{ANSWERS}\n(/bin/sleep 60 & echo $! > {})", pid.display()));
    let start = Instant::now();
    assert_eq!(bench.version(), v1_31_9());
    assert!(start.elapsed() < bench.limit);
    assert!(is_gone(&pid));
}

#[test]
fn a_descendant_that_left_the_group_is_not_waited_for() {
    let setsid = Path::new("/usr/bin/setsid");
    if !setsid.exists() {
        return skipped("no /usr/bin/setsid");
    }
    let bench = Bench::new();
    let pid = bench.path("pid");
    let body = format!(
        "/usr/bin/setsid /bin/sh -c 'echo $$ > {0}; exec /bin/sleep 60' &\nwhile ! [ -s {0} ]; do :; done\n{ANSWERS}",
        pid.display()
    );
    bench.script("first/kubectl", &body);
    let start = Instant::now();
    assert_eq!(bench.version(), v1_31_9());
    assert!(start.elapsed() < bench.limit);
    let pid = fs::read_to_string(pid).unwrap();
    let killed = Command::new("/bin/sh").args(["-c", &format!("kill -9 {pid}")]).status().unwrap();
    assert!(killed.success());
}

#[test]
fn a_tool_is_asked_with_an_environment_of_four_variables_and_no_input() {
    let bench = Bench::new();
    let seen = bench.path("seen");
    bench.script(
        "first/kubectl",
        &format!("(/usr/bin/env; pwd; cat) > {} 2>/dev/null\n{ANSWERS}", seen.display()),
    );
    let path: OsString =
        [bench.path("first").as_os_str(), ":relative::/usr/bin:/bin".as_ref()].into_iter().collect();
    let home = bench.path("memory");
    let nothing = BTreeMap::new();
    let search = Search { home: Some(&home), ..Search::new(&path, &nothing) };
    let found = inventory(&[Tool::Kubectl], &search);
    assert_eq!(found.get(Tool::Kubectl).unwrap().version(), Some(&v1_31_9()));
    let seen = fs::read_to_string(seen).unwrap();
    // A shell adds PWD and the like itself.
    let mut seen: Vec<&str> = seen
        .lines()
        .filter(|line| !["PWD=/", "OLDPWD=/", "SHLVL=1", "_=/usr/bin/env"].contains(line))
        .collect();
    seen.sort_unstable();
    let mut expected = vec![
        "/".to_owned(),
        format!("HOME={}", home.display()),
        "KUBECONFIG=/dev/null".to_owned(),
        "KUBERC=off".to_owned(),
        format!("PATH={}:/usr/bin:/bin", bench.path("first").display()),
    ];
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

// ----- what is remembered -----

#[test]
fn an_unchanged_tool_is_asked_once() {
    let bench = Bench::new();
    bench.counted("first/kubectl");
    let cold = bench.kubectl();
    assert_eq!(bench.kubectl().state, cold.state);
    assert_eq!(bench.kubectl().state, cold.state);
    assert!(cold.took.is_some() && bench.kubectl().took.is_none());
    assert_eq!(bench.runs(), 1);
}

#[test]
fn without_a_memory_a_tool_is_asked_each_time() {
    let mut bench = Bench::new();
    bench.remembers = false;
    bench.counted("first/kubectl");
    assert_eq!(bench.kubectl().state, bench.kubectl().state);
    assert_eq!(bench.runs(), 2);
}

#[test]
fn a_change_of_the_files_time_size_or_inode_asks_again() {
    let bench = Bench::new();
    let file = bench.counted("first/kubectl");
    bench.version();
    let earlier = SystemTime::now() - Duration::from_secs(7200);
    File::options().write(true).open(&file).unwrap().set_modified(earlier).unwrap();
    bench.version();
    assert_eq!(bench.runs(), 2, "its time");

    let text = fs::read_to_string(&file).unwrap().replace("v1.31.9", "v1.31.10");
    fs::write(&file, &text).unwrap();
    File::options().write(true).open(&file).unwrap().set_modified(earlier).unwrap();
    assert_eq!(bench.version().numbers(), Some((1, 31, 10)), "its size");
    assert_eq!(bench.runs(), 3);

    let new = bench.file("first/new", &text);
    File::options().write(true).open(&new).unwrap().set_modified(earlier).unwrap();
    fs::rename(&new, &file).unwrap();
    bench.version();
    assert_eq!(bench.runs(), 4, "its inode");
    bench.version();
    assert_eq!(bench.runs(), 4, "nothing");
}

#[test]
fn a_link_that_leads_elsewhere_asks_again() {
    let bench = Bench::new();
    let link = bench.path("first/kubectl");
    for (name, version) in [("one", "v1.31.9"), ("two", "v1.32.0")] {
        bench.script(name, &ANSWERS.replace("v1.31.9", version));
        let _ = fs::remove_file(&link);
        symlink(bench.path(name), &link).unwrap();
        assert_eq!(bench.version().to_string(), version[1..]);
    }
}

#[test]
fn a_fault_is_not_remembered() {
    let bench = Bench::new();
    let ready = bench.path("ready");
    bench.script("first/kubectl", &format!("[ -e {} ] || exit 4\n{ANSWERS}", ready.display()));
    assert_eq!(bench.fault(), Fault::Exited { code: 4, said: None });
    File::create(ready).unwrap();
    assert_eq!(bench.version(), v1_31_9());
}

#[test]
fn a_launchers_answer_holds_for_a_minute_and_only_with_the_same_path() {
    let bench = Bench::new();
    bench.counted("first/kubectl");
    bench.version();
    let file = bench.path("memory/tools.json");
    let text = fs::read_to_string(&file).unwrap();
    for (from, to) in [(r#""at":1"#, r#""at":"#), (r#""surroundings":""#, r#""surroundings":"/elsewhere"#)] {
        assert!(text.contains(from), "{text}");
        fs::write(&file, text.replace(from, to)).unwrap();
        let before = bench.runs();
        assert_eq!(bench.version(), v1_31_9());
        assert_eq!(bench.runs(), before + 1, "{to}");
    }
}

#[test]
fn a_damaged_memory_is_ignored_and_rewritten() {
    let bench = Bench::new();
    bench.counted("first/kubectl");
    bench.version();
    let file = bench.path("memory/tools.json");
    let good = fs::read_to_string(&file).unwrap();
    let damages = [
        String::new(),
        good[..good.len() / 2].to_owned(),
        "[]".to_owned(),
        good.replace(r#""form":3"#, r#""form":1"#),
        " ".repeat(300_000) + &good,
    ];
    for (count, damaged) in damages.into_iter().enumerate() {
        fs::write(&file, damaged).unwrap();
        assert_eq!(bench.version(), v1_31_9());
        assert_eq!(bench.version(), v1_31_9());
        assert_eq!(bench.runs(), count + 2);
    }
}

#[test]
fn a_memory_that_others_may_write_is_not_believed() {
    let bench = Bench::new();
    bench.counted("first/kubectl");
    bench.version();
    let file = bench.path("memory/tools.json");
    fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
    bench.version();
    assert_eq!(bench.runs(), 2);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "it was rewritten");
    fs::remove_file(&file).unwrap();
    symlink("/etc/passwd", &file).unwrap();
    bench.version();
    assert!(fs::symlink_metadata(&file).unwrap().is_file(), "the link was replaced, not followed");
}

#[test]
fn the_memory_is_private_and_leaves_no_other_file() {
    let bench = Bench::new();
    bench.counted("first/kubectl");
    bench.version();
    let names: Vec<_> =
        fs::read_dir(bench.path("memory")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["tools.json"]);
    let mode = fs::metadata(bench.path("memory/tools.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_memory_that_cannot_be_written_is_no_failure() {
    let bench = Bench::new();
    bench.counted("first/kubectl");
    // Neither a missing folder nor a file in its place can be written, not even by root.
    fs::remove_dir(bench.path("memory")).unwrap();
    assert_eq!(bench.version(), v1_31_9());
    fs::write(bench.path("memory"), "").unwrap();
    assert_eq!(bench.version(), v1_31_9());
    assert_eq!(bench.runs(), 2);
}

// ----- this machine's tools -----

#[test]
fn the_real_kubectls_of_this_machine_tell_their_versions() {
    let sdk = Path::new("/usr/lib/google-cloud-sdk/bin");
    let mut expected: Vec<(PathBuf, u32)> =
        (27..=33).map(|minor| (sdk.join(format!("kubectl.1.{minor}")), minor)).collect();
    expected.retain(|(path, _)| path.exists());
    if expected.is_empty() {
        return not_to_be_had("kubectl 1.27 to 1.33, which only the Cloud SDK has");
    }
    for (path, minor) in expected {
        let mut bench = Bench::new();
        bench.chosen.insert(Tool::Kubectl, path);
        let version = bench.version();
        assert!(
            matches!(version, Version::Known { major: 1, minor: found, .. } if found == minor),
            "{version:?}"
        );
        assert_eq!(bench.version(), version, "remembered");
    }
}

#[test]
fn the_kubectl_of_this_machine_keeps_its_vendors_ending() {
    let path = Path::new("/usr/bin/kubectl");
    if !path.exists() {
        return not_to_be_had("/usr/bin/kubectl of the Cloud SDK");
    }
    let mut bench = Bench::new();
    bench.chosen.insert(Tool::Kubectl, path.to_path_buf());
    let Version::Known { printed, major: 1, minor, patch } = bench.version() else { panic!("no version") };
    assert!(printed.starts_with(&format!("v1.{minor}.{patch}")), "{printed}");
}

#[test]
fn the_bash_of_this_machine_tells_its_version() {
    let path = OsString::from("/usr/bin:/bin");
    let found = inventory(&[Tool::Bash, Tool::Xargs], &Search::new(&path, &BTreeMap::new()));
    let bash = found.get(Tool::Bash).unwrap();
    let Some(Version::Known { printed, major, .. }) = bash.version() else { panic!("{bash:?}") };
    assert!(printed.starts_with("GNU bash, version ") && *major >= 3, "{printed}");
    assert!(found.get(Tool::Xargs).unwrap().usable().is_some());
}

#[test]
#[ignore = "prints a figure: cargo test --release -p tooling-check warm -- --ignored --nocapture"]
#[expect(clippy::print_stderr, reason = "the figure is what this is for")]
fn the_time_of_a_warm_inventory() {
    let bench = Bench::new();
    let path = OsString::from("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let nothing = BTreeMap::new();
    let memory = bench.path("memory");
    let search = Search { memory: Some(&memory), ..Search::new(&path, &nothing) };
    let tools = [Tool::Kubectl, Tool::Helm, Tool::Jq, Tool::Xargs, Tool::Base64, Tool::Bash];
    let start = Instant::now();
    let cold = inventory(&tools, &search);
    eprintln!("cold: {:?}", start.elapsed());
    let mut times: Vec<Duration> = (0..500)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(inventory(&tools, &search), cold);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    eprintln!("warm: median {:?}, 99 % {:?}, most {:?}", times[250], times[495], times[499]);
}
