//! How a step reaches its cluster: trust in the server, the name it is known by, a proxy, the namespace.

use rcgen::generate_simple_self_signed;
use serde_json::json;

use crate::harness::Run;
use crate::harness::certificates::pem;
use crate::harness::cluster::{Cluster, cluster};
use crate::harness::proxy_stand_in::ProxyStandIn;
use crate::harness::tools::newest_and_oldest;

const LIST: &str = "kubectl get namespace default -o name";
const LISTED: &str = "namespace/default\n";

/// A step as the administrator, with these fields in place of `certificateAuthority`, at this host.
fn target(cluster: &Cluster, host: &str, fields: &str, script: &str) -> String {
    let auth = json!({"token": {"fromFile": cluster.fact("adminToken")}});
    let authority = format!("  certificateAuthority: {{fromFile: {}}}\n", cluster.fact("ca"));
    let payload = cluster.step(&auth.to_string(), script);
    assert!(payload.contains(&authority));
    let fields = fields.replace("TRUSTED", authority.trim());
    payload
        .replace(&authority, &format!("{fields}\n"))
        .replace("https://127.0.0.1:", &format!("https://{host}:"))
}

/// A host that leads to the cluster, but is not in its certificate: Linux takes 0.0.0.0 for itself.
const NAMELESS: &str = "0.0.0.0";

#[test]
fn a_server_that_the_authority_does_not_vouch_for_is_told_in_kubectls_words() {
    let Some(cluster) = cluster() else { return };
    let other = generate_simple_self_signed(["other".to_owned()]).expect("a certificate");
    let other = pem(&other.cert);
    for (version, path) in newest_and_oldest() {
        for fields in ["  certificateAuthority: {fromFile: other.pem}", ""] {
            let run = Run::new(target(cluster, "127.0.0.1", fields, LIST)).file("other.pem", &other);
            let done = run.kubectl(&path).code(1).any_output().check();
            let words = "x509: certificate signed by unknown authority";
            assert!(done.stderr.contains(words), "kubectl {version}: {}", done.stderr);
            assert_eq!(done.result["reason"], "ScriptFailed");
            assert_eq!(done.stdout, "");
        }
    }
}

#[test]
fn the_servers_name_in_tls_is_the_payloads() {
    let Some(cluster) = cluster() else { return };
    let named = |name: &str| format!("  TRUSTED\n  tlsServerName: {name}");
    for (_, path) in newest_and_oldest() {
        let run = |fields: &str| Run::new(target(cluster, NAMELESS, fields, LIST)).kubectl(&path);
        run(&named("localhost")).stdout(LISTED).check();
        let done = run(&named("k8s.internal")).code(1).any_output().check();
        let words = "certificate is valid for localhost, not k8s.internal";
        assert!(done.stderr.contains(words), "{}", done.stderr);
        let done = run("  TRUSTED").code(1).any_output().check();
        assert!(done.stderr.contains("certificate is valid for 127.0.0.1, not 0.0.0.0"), "{}", done.stderr);
    }
}

#[test]
fn a_server_need_not_be_known_where_the_payload_says_so() {
    let Some(cluster) = cluster() else { return };
    for (_, path) in newest_and_oldest() {
        let payload = target(cluster, NAMELESS, "  insecureSkipTlsVerify: true", LIST);
        Run::new(payload).kubectl(&path).stdout(LISTED).check();
    }
}

#[test]
fn the_payloads_namespace_is_the_one_that_kubectl_uses() {
    let Some(cluster) = cluster() else { return };
    let script = "kubectl config view --minify -o jsonpath='{..namespace}'; echo \" $KUBESTEP_NAMESPACE\"";
    for (_, path) in newest_and_oldest() {
        // The last two are no text to a YAML reader, unless they are quoted.
        for namespace in ["shop", "on", "1e3"] {
            let fields = format!("  TRUSTED\n  namespace: \"{namespace}\"");
            let run = Run::new(target(cluster, "127.0.0.1", &fields, script)).kubectl(&path);
            run.stdout(&format!("{namespace} {namespace}\n")).check();
        }
        let run = Run::new(target(cluster, "127.0.0.1", "  TRUSTED", script)).kubectl(&path);
        run.stdout("default default\n").check();
    }
}

/// The proxy's user and password as a URL writes them; the password itself is `p@ss/word`.
const USERINFO: &str = "porter:p%40ss%2Fword";
const PASSWORD: &str = "p@ss/word";

fn by_proxy(cluster: &Cluster, proxy: &ProxyStandIn, userinfo: &str, script: &str) -> Run {
    let fields = format!("  TRUSTED\n  proxyUrl: \"http://{userinfo}@{}\"", proxy.place);
    Run::new(target(cluster, "127.0.0.1", &fields, script))
}

#[test]
fn the_cluster_is_reached_through_the_payloads_proxy() {
    let Some(cluster) = cluster() else { return };
    let proxy = ProxyStandIn::start("porter", PASSWORD);
    for (version, path) in newest_and_oldest() {
        let before = proxy.tunnels();
        by_proxy(cluster, &proxy, USERINFO, LIST).kubectl(&path).stdout(LISTED).check();
        assert!(proxy.tunnels() > before, "kubectl {version} went another way");
        let before = proxy.tunnels();
        let done = by_proxy(cluster, &proxy, "porter:guessed-wrong", LIST).kubectl(&path);
        let done = done.code(1).any_output().check();
        assert!(done.stderr.contains("Proxy Authentication Required"), "kubectl {version}: {}", done.stderr);
        assert!(!done.stderr.contains("guessed-wrong"), "{}", done.stderr);
        assert_eq!(proxy.tunnels(), before);
    }
}

#[test]
fn a_proxys_user_and_password_are_masked_in_every_part() {
    let Some(cluster) = cluster() else { return };
    let proxy = ProxyStandIn::start("porter", PASSWORD);
    let script = format!(
        "echo 'http://{USERINFO}@{place}'; echo 'user {USERINFO}'; echo 'password p%40ss%2Fword'; \
         echo 'decoded {PASSWORD}'; cat \"$KUBECONFIG\"; kubectl config view --raw -o jsonpath='{{..proxy-url}}' >&2",
        place = proxy.place
    );
    let run = by_proxy(cluster, &proxy, USERINFO, &script);
    let done = run.any_output().stderr("********").check();
    let parts = "********\nuser ********\npassword ********\ndecoded ********\n";
    assert!(done.stdout.starts_with(parts), "{}", done.stdout);
    assert!(done.stdout.contains("\"proxy-url\":\"********\""), "{}", done.stdout);
    for secret in [USERINFO, PASSWORD, "p%40ss%2Fword"] {
        assert!(!done.stdout.contains(secret), "{secret}: {}", done.stdout);
    }
}
