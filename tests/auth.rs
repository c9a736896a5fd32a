//! Each way to log in, on the real control plane, which says itself who it sees (payload.md 1, auth).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::Run;
use crate::harness::basic_stand_in::{BasicStandIn, GROUP};
use crate::harness::certificates::{Pair, base64_lines};
use crate::harness::cluster::{Cluster, cluster};
use crate::harness::tools::{kubectls, newest_and_oldest};
use crate::harness::whoami::{User, expected, user, users, whoami};

/// A service account of the namespace `default`.
fn account(name: &str) -> User {
    let groups = ["system:serviceaccounts", "system:serviceaccounts:default"];
    expected(&format!("system:serviceaccount:default:{name}"), &groups)
}

fn certificate_of(pair: &Pair) -> Value {
    json!({"clientCertificate": {"certificate": pair.certificate(), "privateKey": pair.key()}})
}

#[test]
fn a_token_logs_its_account_in_with_every_kubectl() {
    let Some(cluster) = cluster() else { return };
    let auth = json!({"token": cluster.service_account("by-token")});
    for (version, path) in kubectls() {
        let run = Run::new(cluster.step(&auth.to_string(), whoami(&version))).kubectl(&path);
        assert_eq!(user(run), account("by-token"), "kubectl {version}");
    }
}

#[test]
fn a_certificate_logs_its_subject_in_with_every_kubectl() {
    let Some(cluster) = cluster() else { return };
    let (certificate, key) = (cluster.fact("adminCertificate"), cluster.fact("adminKey"));
    let pair = json!({"certificate": {"fromFile": certificate}, "privateKey": {"fromFile": key}});
    let auth = json!({"clientCertificate": pair});
    for (version, path) in kubectls() {
        let run = Run::new(cluster.step(&auth.to_string(), whoami(&version))).kubectl(&path);
        assert_eq!(user(run), expected("kubestep-admin", &["system:masters"]), "kubectl {version}");
    }
}

#[test]
fn keys_of_every_kind_and_writing_log_in() {
    let Some(cluster) = cluster() else { return };
    let authority = Pair::authority(cluster);
    // The agent cannot compare a key of P-521 with its certificate; kubectl can use it all the same.
    let kinds: [(&[&str], bool); 4] = [
        (&["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], true),
        (&["ec", "-pkeyopt", "ec_paramgen_curve:P-521"], false),
        (&["rsa:2048"], true),
        (&["ed25519"], false),
    ];
    for (kind, has_traditional) in kinds {
        let pair = authority.client("/O=team/O=more/CN=developer", kind);
        let keys = [Some(pair.key()), has_traditional.then(|| pair.traditional_key())];
        for key in keys.into_iter().flatten() {
            let auth = json!({"clientCertificate": {"certificate": pair.certificate(), "privateKey": key}});
            for (version, path) in newest_and_oldest() {
                let run = Run::new(cluster.step(&auth.to_string(), whoami(&version))).kubectl(&path);
                let developer = expected("developer", &["team", "more"]);
                assert_eq!(user(run), developer, "kubectl {version}, {kind:?}, {}", &key[..30]);
            }
        }
    }
}

#[test]
fn base64_of_pem_is_a_certificate_and_key_as_well() {
    let Some(cluster) = cluster() else { return };
    let pair = Pair::authority(cluster).client("/CN=packed", &["ed25519"]);
    let auth = json!({"clientCertificate": {
        "certificate": base64_lines(pair.certificate().as_bytes(), 76),
        "privateKey": STANDARD.encode(pair.key()),
    }});
    for (version, path) in newest_and_oldest() {
        let run = Run::new(cluster.step(&auth.to_string(), whoami(&version))).kubectl(&path);
        assert_eq!(user(run), expected("packed", &[]), "kubectl {version}");
    }
}

#[test]
fn a_chain_of_certificates_reaches_the_server_whole() {
    let Some(cluster) = cluster() else { return };
    let middle = Pair::authority(cluster).below("/CN=middle");
    let pair = middle.client("/CN=chained", &["ed25519"]);
    for (version, path) in newest_and_oldest() {
        let chain = pair.certificate() + &middle.certificate();
        let auth = json!({"clientCertificate": {"certificate": chain, "privateKey": pair.key()}});
        let run = Run::new(cluster.step(&auth.to_string(), whoami(&version))).kubectl(&path);
        assert_eq!(user(run), expected("chained", &[]), "kubectl {version}");
        // Without its middle the server cannot follow it.
        let run = Run::new(cluster.step(&certificate_of(&pair).to_string(), "kubectl get namespaces"));
        let done = run.kubectl(&path).code(1).any_output().check();
        assert!(done.stderr.contains("You must be logged in to the server"), "{}", done.stderr);
    }
}

/// A step that logs in at the stand-in.
fn at_stand_in(cluster: &Cluster, stand_in: &BasicStandIn, password: &str, script: &str) -> Run {
    let auth = json!({"usernamePassword": {"username": "operator", "password": password}});
    let payload = cluster.step(&auth.to_string(), script);
    let payload = payload.replace(cluster.fact("server"), &stand_in.server);
    Run::new(payload.replace(cluster.fact("ca"), "stand-in.pem")).file("stand-in.pem", &stand_in.authority)
}

#[test]
fn a_name_and_a_password_log_in() {
    let Some(cluster) = cluster() else { return };
    for password in ["correct-horse", "  größer: \"€\" \\ "] {
        let stand_in = BasicStandIn::start(cluster, "operator", password);
        for (version, path) in newest_and_oldest() {
            let run = at_stand_in(cluster, &stand_in, password, whoami(&version)).kubectl(&path);
            assert_eq!(user(run), expected("operator", &[GROUP]), "kubectl {version}, {password}");
        }
    }
}

#[test]
fn a_wrong_password_is_told_in_kubectls_words() {
    let Some(cluster) = cluster() else { return };
    let stand_in = BasicStandIn::start(cluster, "operator", "correct-horse");
    for (_, path) in newest_and_oldest() {
        let run = at_stand_in(cluster, &stand_in, "battery-staple", "kubectl get namespaces");
        let done = run.kubectl(&path).code(1).any_output().check();
        assert!(done.stderr.contains("You must be logged in to the server"), "{}", done.stderr);
        assert_eq!(done.result["reason"], "ScriptFailed");
    }
}

#[test]
fn a_token_file_is_read_again_by_the_next_kubectl() {
    let Some(cluster) = cluster() else { return };
    let (first, second) = (cluster.service_account("of-file"), cluster.service_account("of-renewed-file"));
    let auth = json!({"serviceAccount": {"tokenFile": "token"}}).to_string();
    for (version, path) in newest_and_oldest() {
        // As a kubelet does: the new file takes the old one's place. HOME is beside the payload.
        let renew = "cp ~/../second ~/../new && mv ~/../new ~/../token\n";
        let script = [whoami(&version), renew, whoami(&version)].concat();
        let run = Run::new(cluster.step(&auth, &script)).kubectl(&path);
        let run = run.file("token", format!("{first}\n")).file("second", &second);
        assert_eq!(users(run), [account("of-file"), account("of-renewed-file")], "kubectl {version}");
    }
}

#[test]
fn the_kubeconfig_names_the_token_file_and_the_token_is_masked() {
    let Some(cluster) = cluster() else { return };
    let token = cluster.service_account("of-named-file");
    let auth = json!({"serviceAccount": {"tokenFile": "token"}}).to_string();
    let script = "file=$(kubectl config view --raw -o jsonpath='{.users[0].user.tokenFile}'); echo $file; cat $file; \
        grep -c '\"token\":' \"$KUBECONFIG\" || true";
    let run = Run::new(cluster.step(&auth, script)).file("token", &token);
    let file = run.folder().join("token").display().to_string();
    run.stdout(&format!("{file}\n********0\n")).check();
}

/// A step as the pod's own account; `folder` is where the pod finds it.
fn in_pod(cluster: &Cluster, token: &str, namespace: &str, script: &str) -> Run {
    let body = json!(script);
    let payload = format!(
        "apiVersion: kubestep/v1\nkind: Step\nmetadata: {{name: test}}\n\
         target: {{auth: {{inCluster: {{}}}}}}\nscript: {{body: {body}}}\n"
    );
    let run = Run::new(payload);
    let folder = run.folder().join("account");
    std::fs::create_dir(&folder).expect("made");
    let (host, port) = place(cluster);
    run.file("account/token", token)
        .file("account/ca.crt", cluster.read("ca"))
        .file("account/namespace", namespace)
        .file("config.toml", format!("serviceAccountDir = '{}'\n", folder.display()))
        .env("KUBERNETES_SERVICE_HOST", host)
        .env("KUBERNETES_SERVICE_PORT", port)
}

fn place(cluster: &Cluster) -> (&str, &str) {
    cluster.fact("server").trim_start_matches("https://").split_once(':').expect("a port")
}

fn with_config(run: Run) -> Run {
    let config = run.folder().join("config.toml").display().to_string();
    run.flags(&["--config", &config])
}

#[test]
fn a_pods_own_account_logs_in_and_its_namespace_holds() {
    let Some(cluster) = cluster() else { return };
    let (first, second) = (cluster.service_account("of-pod"), cluster.service_account("of-renewed-pod"));
    for (version, path) in newest_and_oldest() {
        let renew = "cp ~/../second ~/../account/token\n";
        let script = [whoami(&version), renew, whoami(&version)].concat();
        let run = in_pod(cluster, &first, "pods-own", &script).file("second", &second);
        let answers = users(with_config(run).kubectl(&path));
        assert_eq!(answers, [account("of-pod"), account("of-renewed-pod")], "kubectl {version}");
        let script = "kubectl config view --minify -o jsonpath='{..namespace}'; echo \" $KUBESTEP_NAMESPACE\"; \
            env | grep ^KUBERNETES; cat ~/../account/token";
        let run = with_config(in_pod(cluster, &first, "pods-own", script)).kubectl(&path);
        let done = run.stdout("pods-own pods-own\n********").check();
        assert_eq!(done.result["target"]["server"], cluster.fact("server"));
    }
}

#[test]
fn a_workers_own_account_is_sent_to_servers_of_the_operators_list_only() {
    let Some(cluster) = cluster() else { return };
    let token = cluster.service_account("of-worker");
    let remote = |servers: &str| {
        let run = in_pod(cluster, &token, "default", "kubectl auth whoami -o json");
        let config = run.folder().join("config.toml");
        crate::harness::run::append(&config, &format!("[remote]\ninCluster = ['{servers}']\n"));
        with_config(run).flags(&["--origin", "remote"])
    };
    let done = remote("https://10.0.0.1:443").code(65).any_output().check();
    assert!(done.stderr.contains("must not use the worker's own account at this server"), "{}", done.stderr);
    assert_eq!(done.stdout, "");
    assert_eq!(user(remote(cluster.fact("server"))), account("of-worker"));
}

#[test]
fn a_wrong_token_is_told_in_kubectls_words_and_ends_with_its_code() {
    let Some(cluster) = cluster() else { return };
    for (version, path) in newest_and_oldest() {
        let auth = json!({"token": "not-a-token-of-this-cluster"}).to_string();
        let script = "kubectl get namespaces; code=$?; echo \"kubectl ended with $code\"; exit $code";
        let run = Run::new(cluster.step(&auth, script)).kubectl(&path).code(1).any_output();
        let done = run.stdout("kubectl ended with 1\n").check();
        let words = "error: You must be logged in to the server (";
        assert!(done.stderr.contains(words), "kubectl {version}: {}", done.stderr);
        assert_eq!(done.result["reason"], "ScriptFailed");
        assert_eq!(done.result["script"]["exitCode"], 1);
        assert_eq!(done.result["target"]["auth"], "token");
    }
}

#[test]
fn a_token_that_has_ended_is_told_before_the_cluster_refuses_it() {
    let Some(cluster) = cluster() else { return };
    // Signed by nobody, which the cluster would say too: its end is what the agent reads.
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"exp":1763985600}"#);
    let token = format!("eyJhbGciOiJSUzI1NiJ9.{claims}.c2lnbmF0dXJl");
    let payload = cluster.step(&json!({"token": token}).to_string(), "kubectl get namespaces; true");
    let payload = payload.replace("  namespacePolicy: skip\n", "");
    let done = Run::new(payload).any_output().check();
    let warnings = done.result["warnings"].as_array().expect("a list");
    let code = |code: &str| warnings.iter().find(|warning| warning["code"] == code);
    let ended = code("CredentialEnded").expect("it has ended");
    assert_eq!(ended["message"], "the token of target.auth.token ended at 2025-11-24T12:00:00Z");
    assert!(code("NamespaceUnauthorized").is_some(), "{warnings:?}");
    assert_eq!(done.result["reason"], "Completed", "the script runs: it may be there to debug just this");
}

#[test]
fn what_the_account_may_do_is_the_clusters_decision() {
    let Some(cluster) = cluster() else { return };
    let auth = json!({"token": cluster.service_account("of-shop")}).to_string();
    cluster.kubectl(&["create", "namespace", "rights"]);
    let rights = ["create", "role", "writer", "-n", "rights", "--resource=configmaps"];
    cluster.kubectl(&[&rights[..], &["--verb=get,list,create"]].concat());
    let binding = ["create", "rolebinding", "writer", "-n", "rights", "--role=writer"];
    cluster.kubectl(&[&binding[..], &["--serviceaccount=default:of-shop"]].concat());
    for (version, path) in newest_and_oldest() {
        let forbidden = |verb_and_kind: &str, scope: &str| {
            format!(
                "Error from server (Forbidden): {verb_and_kind} is forbidden: User \"system:serviceaccount:default:of-shop\" \
                 cannot list resource \"{verb_and_kind}\" in API group \"\" {scope}\n\
                 kubestep: error: the script exited with code 1\n"
            )
        };
        let in_namespace = |namespace: &str, script: &str| {
            let payload = cluster.step(&auth, script);
            Run::new(payload.replace("  auth:", &format!("  namespace: {namespace}\n  auth:"))).kubectl(&path)
        };
        let refused = forbidden("namespaces", "at the cluster scope");
        in_namespace("rights", "kubectl get namespaces").code(1).stderr(&refused).check();
        let refused = forbidden("configmaps", "in the namespace \"default\"");
        in_namespace("default", "kubectl get configmaps").code(1).stderr(&refused).check();
        let name = format!("made-by-{version}");
        let script = format!("kubectl create configmap {name} -o name; kubectl get configmap {name} -o name");
        let answer = format!("configmap/{name}\n");
        in_namespace("rights", &script).stdout(&answer.repeat(2)).check();
        assert_eq!(cluster.kubectl(&["get", "-n", "rights", "configmap", &name, "-o", "name"]), answer);
    }
}

#[test]
fn the_token_and_the_password_are_masked_where_the_kubeconfig_is_printed() {
    let Some(cluster) = cluster() else { return };
    let token = cluster.service_account("of-printed");
    let auth = json!({"token": token}).to_string();
    let script = format!("cat \"$KUBECONFIG\"; kubectl config view --raw >&2; echo {token}");
    let done = Run::new(cluster.step(&auth, &script)).any_output().check();
    assert!(!done.stdout.contains(&token) && !done.stderr.contains(&token));
    assert!(done.stdout.contains("\"token\":\"********\""), "{}", done.stdout);
    assert!(done.stdout.ends_with("********\n"), "{}", done.stdout);
    assert!(
        done.stderr.contains("token: '********'") || done.stderr.contains("token: ********"),
        "{}",
        done.stderr
    );

    let auth = json!({"usernamePassword": {"username": "operator", "password": "correct-horse"}});
    let script = "cat \"$KUBECONFIG\"; echo correct-horse >&2";
    let done = Run::new(cluster.step(&auth.to_string(), script)).any_output().stderr("********\n").check();
    assert!(done.stdout.contains("\"username\":\"operator\",\"password\":\"********\""), "{}", done.stdout);
}

/// Raw only: the kubeconfig's own writing of a key is base64, which belongs to the forms of a later version.
#[test]
fn a_clients_key_is_masked_as_it_was_given_and_as_pem() {
    let Some(cluster) = cluster() else { return };
    let pair = Pair::authority(cluster).client("/CN=seen", &["ed25519"]);
    let key = pair.key();
    let print = "kubectl config view --raw -o jsonpath='{..client-key-data}' | base64 -d";
    for (_, path) in newest_and_oldest() {
        let run = Run::new(cluster.step(&certificate_of(&pair).to_string(), print));
        run.kubectl(&path).stdout("********").check();
    }
    let packed = STANDARD.encode(&key);
    let auth = json!({"clientCertificate": {"certificate": pair.certificate(), "privateKey": packed}});
    let run = Run::new(cluster.step(&auth.to_string(), &format!("echo {packed}; cat ~/../key.pem")));
    let run = run.file("key.pem", &key);
    run.stdout("********\n********").check();
}
