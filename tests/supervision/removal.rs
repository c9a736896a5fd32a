//! Workspaces that resist their removal.

use std::process::{Command, Stdio};

use crate::harness::{Run, skipped, step};

#[test]
fn ten_thousand_levels_are_removed() {
    let script = "perl -e 'for (1 .. 10000) { mkdir \"d\" or die; chdir \"d\" or die }'";
    Run::new(step(script)).check();
}

#[test]
#[ignore = "takes a minute; scripts/test --long runs it"]
fn a_million_files_are_removed() {
    let script = "perl -e 'for my $d (1 .. 10) { mkdir $d; for (1 .. 100000) { open my $f, \">\", \"$d/$_\" or die } }'";
    Run::new(step(script)).check();
}

#[test]
fn a_mount_inside_is_taken_off_and_what_it_shows_is_left_alone() {
    if !rustix::process::geteuid().is_root() {
        skipped("only root can mount");
        return;
    }
    let outside = tempfile::tempdir().expect("a folder");
    std::fs::write(outside.path().join("kept"), "x").expect("written");
    let place = outside.path().display();
    // A bind mount within the same file system has the same device: only the mount tells it.
    let script = format!(
        "mkdir a b c; mount --bind {place} a; mount -t tmpfs none b; touch b/x; mount --bind {place}/kept \"$TMPDIR/f\" 2>/dev/null || {{ touch \"$TMPDIR/f\"; mount --bind {place}/kept \"$TMPDIR/f\"; }}; exec 9<b/x; setsid sleep 300 &"
    );
    Run::new(step(&script)).by_way_of(&["unshare", "--mount"]).any_output().check();
    assert_eq!(std::fs::read_to_string(outside.path().join("kept")).expect("still there"), "x");
}

#[test]
fn files_that_are_immutable_or_anothers_are_removed() {
    if !rustix::process::geteuid().is_root() {
        skipped("only root can make files immutable, and another's");
        return;
    }
    if Command::new("chattr").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        skipped("chattr is not installed");
        return;
    }
    let script = "mkdir a b; touch a/x b/y; chown -R 65534:65534 a; chmod 0 a; chattr +i b/y b 2>/dev/null || echo unsupported >&2";
    Run::new(step(script)).any_output().check();
}
