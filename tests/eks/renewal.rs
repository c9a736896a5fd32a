//! A credential is renewed while the script runs. The plugins are real ones; a stand-in around them says that their
//! tokens end sooner than they do, so that nobody has to wait.

use std::time::Duration;

use serde_json::json;

use super::faults::script;
use super::{Place, access_key, role_for};
use crate::harness::Run;
use crate::harness::aws::Keys;
use crate::harness::tools::tool;

/// Puts a stand-in around the real authenticator on the run's PATH: its tokens end after `life` seconds, and
/// `before` is done before each.
fn short_lived(run: Run, life: u32, before: &str) -> Option<Run> {
    let real = tool("aws-iam-authenticator", "")?;
    let path = run.folder().join("short-lived");
    let text = format!(
        "#!/bin/bash\n[[ $1 == token ]] || exec {real} \"$@\"\n{before}\nset -o pipefail\n\
         {real} \"$@\" | jq -c --arg until \"$(date -u -d '+{life} seconds' +%FT%TZ)\" '.status.expirationTimestamp = $until'\n",
        real = real.display()
    );
    script(&path, &text);
    Some(run.tool("aws-iam-authenticator", &path))
}

fn step(place: &Place, keys: &Keys, script: &str) -> String {
    place.step(&access_key(keys), &json!({"plugin": "aws-iam-authenticator"}), script)
}

/// Waits until the token's file holds another one, and says so.
pub(crate) const WAITS: &str = "file=$(dirname \"$KUBECONFIG\")/token; old=$(sha256sum <\"$file\")\n\
    for i in $(seq 300); do [[ $(sha256sum <\"$file\") == \"$old\" ]] || { echo renewed; break; }; sleep 0.1; done\n\
    stat -c '%a' \"$file\"; cat \"$file\"; kubectl get --raw /version | head -c 1\n";

#[test]
fn a_token_is_renewed_before_it_ends_and_the_new_one_is_masked() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    let Some(run) = short_lived(place.run(step(&place, &keys, WAITS)), 12, "") else { return };
    let done = run.any_output().check();
    assert_eq!(done.stdout, "renewed\n600\n********{");
    assert_eq!(done.stderr, "");
}

#[test]
fn a_renewal_that_fails_is_told_and_tried_again() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    let run = place.run(step(&place, &keys, WAITS));
    let calls = run.folder().join("state/calls");
    let fails_once = format!(
        "echo x >>{0}; [[ $(wc -l <{0}) == 2 ]] && {{ echo no luck with $AWS_SECRET_ACCESS_KEY >&2; exit 5; }}",
        calls.display()
    );
    let Some(run) = short_lived(run, 14, &fails_once) else { return };
    let done = run.any_output().loud().check();
    assert!(done.stdout.starts_with("renewed\n"), "{}", done.stdout);
    let told = "was not renewed: aws-iam-authenticator";
    assert!(
        done.stderr.contains(told) && done.stderr.contains("it said: no luck with ********"),
        "{}",
        done.stderr
    );
    let warnings = done.result["warnings"].as_array().expect("a list");
    assert_eq!(warnings.iter().filter(|one| one["code"] == "RenewalFailed").count(), 1, "{warnings:?}");
}

#[test]
fn a_renewal_that_runs_when_the_step_is_stopped_goes_with_it() {
    let Some(place) = Place::new() else { return };
    let keys = place.aws.user("deployer");
    let mark = crate::supervision::marker();
    let run = place.run(step(&place, &keys, "echo ready; sleep 300"));
    let calls = run.folder().join("state/calls");
    let hangs = format!(
        "echo x >>{0}; [[ $(wc -l <{0}) == 1 ]] || {{ export MARK_OF_A_TEST={mark}; setsid sleep 300; }}",
        calls.display()
    );
    let Some(run) = short_lived(run, 10, &hangs) else { return };
    let mut running = run.code(143).any_output().start();
    running.wait_for_stdout("ready\n");
    crate::harness::run::eventually("it is being renewed", Duration::from_secs(20), || {
        !crate::supervision::marked(&mark).is_empty()
    });
    running.signal(rustix::process::Signal::TERM);
    running.check();
    assert!(crate::supervision::marked(&mark).is_empty());
}

#[test]
fn a_session_that_ends_is_taken_anew_for_the_scripts_own_aws() {
    let Some(place) = Place::new() else { return };
    let (Some(real), keys) = (tool("aws", "1"), place.aws.user("deployer")) else { return };
    let role = role_for(&place.aws, "ci", &keys);
    let script_text = "file=$(dirname \"$KUBECONFIG\")/aws/session.json; old=$(sha256sum <\"$file\")\n\
        for i in $(seq 300); do [[ $(sha256sum <\"$file\") == \"$old\" ]] || { echo renewed; break; }; sleep 0.1; done\n\
        aws sts get-caller-identity --query Arn --output text\n";
    let run =
        place.run(place.step(&access_key(&keys), &json!({"assumeRole": {"roleArn": role}}), script_text));
    let path = run.folder().join("short-lived");
    let text = format!(
        "#!/bin/bash\nset -o pipefail\nend=$(date -u -d '+12 seconds' +%FT%TZ)\ncase $* in\n\
         *--query*) exec {real} \"$@\";;\n\
         *assume-role*) {real} \"$@\" | jq --arg until \"$end\" '.Credentials.Expiration = $until';;\n\
         *) exec {real} \"$@\";;\nesac\n",
        real = real.display()
    );
    script(&path, &text);
    let done = run.tool("aws", &path).any_output().check();
    assert!(done.stdout.starts_with("renewed\narn:aws:sts::"), "{} {}", done.stdout, done.stderr);
}

/// 15 minutes of a script with tokens of 5 minutes, which the cluster refuses from then on. Gives what refused it.
fn refusals(place: &Place, life: u32) -> Option<String> {
    let (helm, keys) = (tool("helm", "3")?, place.aws.user("long"));
    let chart = "mkdir -p chart/templates; printf 'apiVersion: v2\\nname: slow\\nversion: 0.1.0\\n' >chart/Chart.yaml\n\
        kubectl create deployment slow --image=none --dry-run=client -o yaml >chart/templates/slow.yaml\n";
    let script_text = format!(
        "{chart}kubectl proxy --port=0 >proxy.log 2>&1 & for i in $(seq 50); do grep -q Starting proxy.log && break; sleep 0.1; done\n\
         port=$(sed 's/.*:\\([0-9]*\\)$/\\1/' proxy.log | head -1)\n\
         (helm upgrade --install slow-$RANDOM chart --wait --timeout 14m >helm.log 2>&1; echo \"helm: $(tr '\\n' ' ' <helm.log)\") &\n\
         for i in $(seq 880); do curl -s -o /dev/null -w '%{{http_code}}\\n' http://127.0.0.1:$port/api >>codes; \
         (( i % 290 )) || kubectl get namespaces >/dev/null || echo 'kubectl: refused'; sleep 1; done\n\
         echo \"401: $(grep -c 401 codes)\"; kill %1; wait %2\n"
    );
    let step = step(place, &keys, &script_text) + "requires: [helm]\n";
    let run = short_lived(place.run(step).tool("helm", &helm), life, "")?;
    let mut running = run.any_output().start();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                place.aws.refuse_before(&keys.arn, jiff::Timestamp::now().as_second() - 300);
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        running.wait_for_stdout_within("401: ", Duration::from_secs(1000));
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    Some(running.check().stdout)
}

#[test]
#[ignore = "takes 15 minutes; scripts/test --long runs it"]
fn fifteen_minutes_with_tokens_of_five_see_no_refusal() {
    let Some(place) = Place::new() else { return };
    place.cluster.kubectl(&[
        "create",
        "clusterrolebinding",
        "long",
        "--clusterrole=cluster-admin",
        "--group=aws-users",
    ]);
    // Side by side: the renewed one sees no refusal, and the one that is not renewed shows that it could have.
    let (renewed, kept) = std::thread::scope(|scope| {
        let renewed = scope.spawn(|| refusals(&place, 300));
        let kept = scope.spawn(|| refusals(&place, 3600));
        (renewed.join().expect("no panic"), kept.join().expect("no panic"))
    });
    let (Some(renewed), Some(kept)) = (renewed, kept) else { return };
    assert!(renewed.contains("401: 0\n") && !renewed.contains("refused"), "{renewed}");
    assert!(!renewed.contains("Unauthorized"), "{renewed}");
    assert!(!kept.contains("401: 0\n") && kept.contains("refused"), "{kept}");
}
