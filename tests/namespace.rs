//! The step's namespace: looked at, made where it is missing, and what is said when nobody can tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::Run;
use crate::harness::api_stand_in::{ApiStandIn, Reply, namespace, status};
use crate::harness::cluster::{Cluster, cluster};
use crate::harness::proxies::{AnyProxy, Kind};
use crate::harness::run::{Done, eventually};
use crate::harness::stand_in::{AUTHORITY, Pair, SERVER, Wish, listen};
use crate::harness::tools::kubectls;

const TOKEN: &str = "token-of-the-test";

/// A step of this account on the real cluster, for a namespace.
fn on(cluster: &Cluster, token: &str, name: &str, policy: &str) -> Run {
    let auth = json!({"token": token}).to_string();
    let fields = format!("  namespace: {name}\n  namespacePolicy: {policy}\n  auth: ");
    Run::new(cluster.step(&auth, "echo ran").replace("  auth: ", &fields))
}

/// A step on a stand-in.
fn at(server: &str, ca: Option<&str>, policy: &str) -> Run {
    let mut target = json!({
        "server": server, "namespace": "shop", "namespacePolicy": policy, "auth": {"token": TOKEN},
    });
    if let Some(ca) = ca {
        target["certificateAuthority"] = ca.into();
    }
    at_target(&target)
}

fn at_target(target: &Value) -> Run {
    let payload = json!({
        "apiVersion": "kubestep/v1", "kind": "Step", "metadata": {"name": "test"},
        "target": target, "script": {"body": "echo ran"},
    });
    Run::new(payload.to_string())
}

/// A stand-in with these answers, and the authority that vouches for it.
fn stand_in(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> (ApiStandIn, String, String) {
    let root = Pair::self_signed(&AUTHORITY);
    let stand_in = ApiStandIn::answering(root.sign(&SERVER).server(), reply);
    let server = format!("https://127.0.0.1:{}", stand_in.port);
    (stand_in, server, root.pem())
}

/// The warnings that are not about tools.
fn warnings(done: &Done) -> Vec<(String, String)> {
    let all = done.result["warnings"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = all.iter().map(|warning| (text(&warning["code"]), text(&warning["message"])));
    all.filter(|(code, _)| code != "ToolMissing").collect()
}

/// With `create` the script runs and there is this one warning, with `require` the step ends.
#[track_caller]
fn doubted(step: impl Fn(&str) -> Run, code: &str, words: &str) {
    let done = step("create").stdout("ran\n").check();
    let found = warnings(&done);
    assert!(matches!(&found[..], [(found, _)] if found == code), "{found:?}");
    assert!(found[0].1.contains(words) && found[0].1.contains("namespace "), "{found:?}");
    let done = step("require").code(69).any_output().check();
    assert_eq!((done.result["reason"].as_str(), done.stdout.as_str()), (Some("SetupFailed"), ""));
    assert!(
        done.result["message"].as_str().is_some_and(|message| message.contains(words)),
        "{}",
        done.result
    );
    assert!(done.result["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{}", done.result);
}

fn admin(cluster: &Cluster) -> String {
    cluster.read("adminToken").trim().to_owned()
}

#[test]
fn a_namespace_is_made_where_it_is_missing_and_only_then() {
    let Some(cluster) = cluster() else { return };
    let token = admin(cluster);
    let line = "namespace made-by-a-step was not there and has been made";
    let done = on(cluster, &token, "made-by-a-step", "create").loud().any_output().check();
    assert!(done.stderr.contains(line), "{}", done.stderr);
    assert_eq!(warnings(&done), []);
    let uid = || cluster.kubectl(&["get", "namespace", "made-by-a-step", "-o", "jsonpath={.metadata.uid}"]);
    let first = uid();
    let done = on(cluster, &token, "made-by-a-step", "create").loud().any_output().check();
    assert!(!done.stderr.contains(line), "{}", done.stderr);
    on(cluster, &token, "made-by-a-step", "require").stdout("ran\n").check();
    assert_eq!(uid(), first);
    let phases = done.result["phases"].as_array().expect("a list");
    assert!(phases.iter().any(|phase| phase["name"] == "namespace"), "{phases:?}");
}

#[test]
fn one_that_is_there_is_asked_for_once() {
    let (stand_in, server, ca) = stand_in(|_| Reply::Json(200, namespace("Active")));
    for policy in ["create", "require"] {
        assert_eq!(warnings(&at(&server, Some(&ca), policy).stdout("ran\n").check()), []);
    }
    assert_eq!(stand_in.requests(), ["GET /api/v1/namespaces/shop"; 2]);
}

#[test]
fn a_plugin_of_an_imported_kubeconfig_is_kubectls_to_run_for_it() {
    let Some(cluster) = cluster() else { return };
    let answer = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": admin(cluster)},
    });
    let exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", "command": "sh",
        "args": ["-c", "printenv ANSWER"], "env": [{"name": "ANSWER", "value": answer.to_string()}],
    });
    let place = json!({"server": cluster.fact("server"), "certificate-authority": cluster.fact("ca")});
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": place}],
        "users": [{"name": "u", "user": {"exec": exec}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "made-by-plugin"}}],
    });
    let auth = json!({"kubeconfig": {"content": {"fromFile": "kubeconfig"}}});
    let run = at_target(&json!({"auth": auth})).file("kubeconfig", kubeconfig.to_string());
    let done = run.loud().any_output().check();
    assert!(
        done.stderr.contains("namespace made-by-plugin was not there and has been made"),
        "{}",
        done.stderr
    );
    assert_eq!((warnings(&done), done.stdout.as_str()), (Vec::new(), "ran\n"));
}

#[test]
fn steps_that_make_it_at_the_same_time_are_all_right() {
    let Some(cluster) = cluster() else { return };
    let token = admin(cluster);
    let start = |_| on(cluster, &token, "made-by-many", "create").stdout("ran\n").start();
    let running: Vec<_> = (0..6).map(start).collect();
    for one in running {
        assert_eq!(warnings(&one.check()), []);
    }
    let (stand_in, server, ca) = stand_in(|line| {
        if line.starts_with("GET") { status(404, "NotFound") } else { status(409, "AlreadyExists") }
    });
    assert_eq!(warnings(&at(&server, Some(&ca), "create").stdout("ran\n").check()), []);
    assert_eq!(stand_in.requests(), ["GET /api/v1/namespaces/shop", "POST /api/v1/namespaces"]);
}

#[test]
fn one_that_is_required_and_missing_ends_the_step() {
    let Some(cluster) = cluster() else { return };
    let run = on(cluster, &admin(cluster), "not-there", "require").code(69).any_output();
    let done = run.check();
    let message = format!(
        "namespace not-there does not exist on {}, and namespacePolicy is require",
        cluster.fact("server")
    );
    assert_eq!(done.result["message"], message);
    assert_eq!((done.result["reason"].as_str(), done.stdout.as_str()), (Some("SetupFailed"), ""));
    assert!(!cluster.kubectl(&["get", "namespaces", "-o", "name"]).contains("not-there"));
}

#[test]
fn who_may_not_look_is_warned() {
    let Some(cluster) = cluster() else { return };
    let token = cluster.service_account("without-rights");
    let words = "cannot get resource";
    doubted(|policy| on(cluster, &token, "shop", policy), "NamespaceForbidden", words);
    let token = "token-that-nobody-gave";
    doubted(|policy| on(cluster, token, "shop", policy), "NamespaceUnauthorized", "Unauthorized");
}

#[test]
fn who_may_look_and_not_make_is_warned() {
    let Some(cluster) = cluster() else { return };
    let token = cluster.service_account("onlooker");
    cluster.kubectl(&["create", "clusterrole", "onlooker", "--verb=get", "--resource=namespaces"]);
    let who = "--serviceaccount=default:onlooker";
    cluster.kubectl(&["create", "clusterrolebinding", "onlooker", "--clusterrole=onlooker", who]);
    let done = on(cluster, &token, "never-made", "create").stdout("ran\n").check();
    let found = warnings(&done);
    assert!(matches!(&found[..], [(code, _)] if code == "NamespaceForbidden"), "{found:?}");
    assert!(found[0].1.contains("does not exist, and") && found[0].1.contains("cannot create"), "{found:?}");
}

#[test]
fn one_that_is_going_is_a_warning() {
    let Some(cluster) = cluster() else { return };
    cluster.kubectl(&["create", "namespace", "going"]);
    // Nobody removes its finalizer here, so it goes on going.
    cluster.kubectl(&["delete", "namespace", "going", "--wait=false"]);
    for policy in ["create", "require"] {
        let done = on(cluster, &admin(cluster), "going", policy).stdout("ran\n").check();
        let found = warnings(&done);
        assert!(matches!(&found[..], [(code, _)] if code == "NamespaceTerminating"), "{found:?}");
    }
}

#[test]
fn skip_asks_nobody() {
    let called = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&called);
    let port = listen(None, move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(()) })
    });
    let done = at(&format!("https://127.0.0.1:{port}"), None, "skip").stdout("ran\n").check();
    assert_eq!((warnings(&done), called.load(Ordering::SeqCst)), (Vec::new(), 0));
}

#[test]
fn a_server_that_is_not_there_is_told_in_kubectls_words() {
    let step = |policy: &str| at("https://127.0.0.1:1", None, policy);
    doubted(step, "ClusterUnreachable", "The connection to the server 127.0.0.1:1 was refused");
}

#[test]
fn a_proxy_that_refuses_is_told_and_its_password_is_not() {
    let proxy = AnyProxy::start(&Kind::Refusing, None);
    let target = |policy: &str| {
        let url = format!("http://porter:pass-of-the-proxy@127.0.0.1:{}", proxy.port);
        json!({
            "server": "https://k8s.example", "namespacePolicy": policy, "namespace": "shop",
            "auth": {"token": TOKEN}, "proxyUrl": url,
        })
    };
    doubted(|policy| at_target(&target(policy)), "ClusterUnreachable", "Forbidden");
    let done = at_target(&target("create")).loud().flags(&["-vv"]).any_output().check();
    assert!(!format!("{}{}", done.stderr, done.result).contains("pass-of-the-proxy"), "{}", done.stderr);
    assert_eq!(proxy.tunnels(), 0);
}

#[test]
fn what_is_no_api_server_is_told_and_kubectl_is_not_asked() {
    for (reply, words) in [
        (Reply::Html(200), "HTTP 200 with a page of HTML"),
        (Reply::Html(404), "HTTP 404 with a page of HTML"),
        (Reply::Html(302), "HTTP 302, which sends us elsewhere"),
        (Reply::Json(200, "{}".into()), "HTTP 200 with JSON of another kind"),
        (status(503, "ServiceUnavailable"), "ServiceUnavailable"),
        (Reply::Endless, "the answer is larger than 64 KiB"),
    ] {
        let (stand_in, server, ca) = stand_in(move |_| reply.clone());
        doubted(|policy| at(&server, Some(&ca), policy), "ClusterAnswer", words);
        assert_eq!(stand_in.requests(), ["GET /api/v1/namespaces/shop"; 2]);
    }
}

#[test]
fn what_speaks_no_http_is_left_to_kubectl() {
    let (_stand_in, server, ca) = stand_in(|_| Reply::Noise);
    doubted(|policy| at(&server, Some(&ca), policy), "ClusterUnreachable", "malformed HTTP");
    let port = listen(None, |_| Box::pin(async { Ok(()) }));
    let server = format!("https://127.0.0.1:{port}");
    doubted(|policy| at(&server, None, policy), "ClusterUnreachable", "Unable to connect to the server");
}

#[test]
fn whoever_repeats_the_credential_is_masked() {
    let (_stand_in, server, ca) = stand_in(|_| Reply::Echo);
    for (policy, code) in [("create", 0), ("require", 69)] {
        let run = at(&server, Some(&ca), policy).loud().flags(&["-vv"]).code(code).any_output();
        let done = run.check();
        let all = format!("{} {}", done.stderr, done.result);
        assert!(all.contains("Bearer ********") && !all.contains(TOKEN), "{all}");
    }
}

#[test]
fn every_kubectl_that_is_asked_finds_the_servers_own_path_and_may_make_the_namespace() {
    // A certificate that only kubectl accepts.
    let own = Pair::self_signed(&Wish { authority: true, ..SERVER });
    for (version, kubectl) in kubectls() {
        for path in ["", "/k8s/c-1"] {
            let made = format!("POST {path}/api/v1/namespaces");
            let asked = format!("GET {path}/api/v1/namespaces/shop");
            let known = asked.clone();
            let stand_in = ApiStandIn::answering(own.server(), move |line| match line {
                line if line == known => status(404, "NotFound"),
                line if line.starts_with(&made) => Reply::Json(201, namespace("Active")),
                _ => Reply::Html(404),
            });
            let server = format!("https://127.0.0.1:{}{path}/", stand_in.port);
            let run = at(&server, Some(&own.pem()), "create").kubectl(&kubectl).loud();
            let done = run.any_output().check();
            let requests = stand_in.requests();
            assert_eq!(warnings(&done), [], "{version}: {requests:?}");
            assert!(
                done.stderr.contains("namespace shop was not there and has been made"),
                "{}",
                done.stderr
            );
            assert!(matches!(&requests[..], [first, _] if *first == asked), "{version}: {requests:?}");
        }
    }
}

#[test]
fn nobody_waits_longer_than_ten_seconds() {
    // Each holds at another place: before TLS, and before the answer.
    let silent = listen(None, |stream| {
        Box::pin(async move {
            let _held = stream;
            std::future::pending().await
        })
    });
    let (_stand_in, server, ca) = stand_in(|_| Reply::Nothing);
    let began = Instant::now();
    let running = [
        at(&format!("https://127.0.0.1:{silent}"), None, "create").stdout("ran\n").start(),
        at(&server, Some(&ca), "create").stdout("ran\n").start(),
    ];
    for one in running {
        let found = warnings(&one.check());
        assert!(matches!(&found[..], [(code, _)] if code == "ClusterUnreachable"), "{found:?}");
        assert!(found[0].1.ends_with("no answer within 10 s"), "{found:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}

/// A kubectl that can say its version, and otherwise hangs; it notes its pid in `HOME`.
fn hanging(run: Run) -> Run {
    let text = "#!/bin/bash\n\
        if [ \"$1\" = version ]; then echo '{\"clientVersion\":{\"gitVersion\":\"v1.99.0\"}}'; exit; fi\n\
        trap '' TERM\nsleep 60 &\necho $$ $! >\"$HOME/pids.new\"\nmv \"$HOME/pids.new\" \"$HOME/pids\"\nwait\n";
    let run = run.file("hanging-kubectl", text);
    let path = run.folder().join("hanging-kubectl");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    run.kubectl(&path)
}

#[test]
fn a_stop_and_the_agents_death_end_the_kubectl_that_is_asked() {
    for signal in [Signal::TERM, Signal::KILL] {
        let running = hanging(at("https://127.0.0.1:1", None, "create")).code(143).any_output().start();
        let noted = running.folder().join("home/pids");
        eventually("kubectl is asked", Duration::from_secs(10), || noted.exists());
        let pids = std::fs::read_to_string(&noted).expect("text");
        let began = Instant::now();
        running.signal(signal);
        let done = if signal == Signal::TERM { running.check() } else { running.end().1 };
        assert_eq!(done.stdout, "");
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        let gone = |pid: &str| !crate::cleanup::alive(pid.parse().expect("a pid"));
        eventually("they are gone", Duration::from_secs(5), || pids.split_whitespace().all(gone));
    }
}
