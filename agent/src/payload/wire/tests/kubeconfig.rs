//! `kubeconfig`: what is cut out of somebody's document, and the words for what cannot be used.

use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::account::certificate;
use super::{Place, exchanged};
use crate::payload::{Auth, Policy, Step, Text, User};

/// A right document; the tests exchange parts of it.
const DOCUMENT: &str = "\
apiVersion: v1
kind: Config
clusters:
- name: blue
  cluster: {server: https://blue:6443}
- name: green
  cluster: {server: https://green:6443}
users:
- name: admin
  user: {token: hunter22-admin}
- name: other
  user: {token: hunter22-other}
contexts:
- name: blue-admin
  context: {cluster: blue, user: admin, namespace: shop}
- name: green-other
  context: {cluster: green, user: other}
current-context: blue-admin
";

const CLUSTER: &str = "{server: https://blue:6443}";
const USER: &str = "{token: hunter22-admin}";

fn document(old: &str, new: &str) -> String {
    assert!(DOCUMENT.contains(old), "{old}");
    DOCUMENT.replacen(old, new, 1)
}

/// A payload with a method that brings its own server.
fn payload(auth: &str) -> String {
    exchanged(
        "  server: https://k8s.example:6443\n  auth:\n    token: hunter22-token\n",
        &format!("  auth:\n    kubeconfig: {auth}\n"),
    )
}

fn content(text: &str) -> String {
    payload(&format!("{{content: {}}}", serde_json::json!(text)))
}

fn user(step: &Step) -> &User {
    let Auth::Kubeconfig(user) = &step.target.auth else { panic!("another method") };
    user
}

/// Each case is a document, and the problem's words after the payload's field.
fn refuses(place: &Place, cases: &[(String, &str)]) {
    let mut wrong = Vec::new();
    for (text, words) in cases {
        let found = place.problems(content(text));
        let found = found.replace("deploy.yaml:7:27: target.auth.kubeconfig.content: ", "");
        if found != *words {
            wrong.push(format!("{text}\n  expected {words}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_context_is_cut_out() {
    let place = Place::new().file("config", DOCUMENT);
    let step = place.step(payload("{content: {fromFile: config}}"));
    assert_eq!(
        (step.target.server.as_deref().unwrap_or_default(), step.target.namespace.as_str()),
        ("https://blue:6443", "shop")
    );
    assert_eq!(user(&step).token.as_ref().unwrap().expose(), "hunter22-admin");
    assert_eq!(step.target.auth.method(), "kubeconfig");
    let step = place.step(payload("{content: {fromFile: config}, context: green-other}"));
    assert_eq!(
        (step.target.server.as_deref().unwrap_or_default(), step.target.namespace.as_str()),
        ("https://green:6443", "default")
    );
    let other = payload("{content: {fromFile: config}}").replace("target:\n", "target:\n  namespace: own\n");
    assert_eq!(place.step(other).target.namespace, "own");
}

#[test]
fn json_is_read_too() {
    let json = serde_json::json!({
        "clusters": [{"name": "c", "cluster": {"server": "https://c"}}],
        "users": [{"name": "u", "user": {"username": "exp", "password": "some-password"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x", "preferences": {}, "unknown": 1,
    });
    let step = Place::new().step(content(&json.to_string()));
    let login = user(&step).login.as_ref().unwrap();
    assert_eq!((login.username.as_str(), login.password.expose()), ("exp", "some-password"));
    let told = "in the kubeconfig: clusters[0].cluster.server: must be https; kubectl sends no credentials over http";
    refuses(&Place::new(), &[(json.to_string().replace("https://c", "http://c"), told)]);
}

#[test]
fn what_the_connection_needs_is_the_kubeconfigs_own() {
    let place = Place::new().file("config", DOCUMENT);
    let words = "must be absent: auth.kubeconfig brings its own";
    let text = payload("{content: {fromFile: config}}")
        .replace("target:\n", "target:\n  server: https://x\n  tlsServerName: x\n");
    assert_eq!(
        place.problems(text),
        format!("deploy.yaml:6:11: target.server: {words}\ndeploy.yaml:7:18: target.tlsServerName: {words}")
    );
}

#[test]
fn tls_and_proxy_come_from_the_cluster() {
    let (pem, _) = certificate("ca", 2030);
    let cluster = format!(
        "{{server: https://blue:6443, certificate-authority-data: {}, tls-server-name: k8s.internal, \
         proxy-url: \"http://user:p%40ss@proxy:3128\", disable-compression: true}}",
        STANDARD.encode(&pem)
    );
    let step = Place::new().step(content(&document(CLUSTER, &cluster)));
    assert_eq!(step.target.certificate_authority.as_deref(), Some(pem.as_str()));
    assert_eq!(step.target.tls_server_name.as_deref(), Some("k8s.internal"));
    let proxy = step.target.proxy.as_ref().unwrap();
    assert_eq!(proxy.url.expose(), "http://user:p%40ss@proxy:3128");
    assert_eq!(proxy.leaves.len(), 3);
    let skip = document(CLUSTER, "{server: https://blue:6443, insecure-skip-tls-verify: true}");
    assert!(Place::new().step(content(&skip)).target.insecure_skip_tls_verify);
    refuses(
        &Place::new(),
        &[
            (
                document(
                    CLUSTER,
                    &cluster.replace("tls-server", "insecure-skip-tls-verify: true, tls-server"),
                ),
                &{
                    let column =
                        12 + cluster.find("tls-server-name").unwrap() + "insecure-skip-tls-verify: ".len();
                    format!(
                        "at 5:{column} of the kubeconfig: clusters[0].cluster.insecure-skip-tls-verify: must not be true together with certificate-authority; kubectl refuses both"
                    )
                },
            ),
            (
                document(
                    CLUSTER,
                    "{server: https://b, certificate-authority: /a, certificate-authority-data: hunter22}",
                ),
                "at 5:55 of the kubeconfig: clusters[0].cluster.certificate-authority: must not stand beside certificate-authority-data; kubectl refuses both",
            ),
            (
                document(CLUSTER, "{server: https://b, certificate-authority-data: 'hunter22!'}"),
                "at 5:60 of the kubeconfig: clusters[0].cluster.certificate-authority-data: expected base64 of PEM, found something else",
            ),
            (document(CLUSTER, "{}"), "at 5:12 of the kubeconfig: clusters[0].cluster.server: missing"),
            (
                document(CLUSTER, "{server: 'http://b', proxy-url: 'hunter22'}"),
                "at 5:21 of the kubeconfig: clusters[0].cluster.server: must be https; kubectl sends no credentials over http\nat 5:44 of the kubeconfig: clusters[0].cluster.proxy-url: expected a URL with a scheme and a host; hint: such as http://proxy:3128",
            ),
            (
                document(CLUSTER, "{server: 'https://b', tls-servername: x}"),
                "at 5:34 of the kubeconfig: clusters[0].cluster.tls-servername: unknown field; did you mean \"tls-server-name\"?",
            ),
        ],
    );
}

#[test]
fn a_context_that_is_not_there_is_answered_with_those_that_are() {
    let place = Place::new().file("config", DOCUMENT);
    let there = "the contexts are \"blue-admin\", \"green-other\"";
    let name = "hint: name one with auth.kubeconfig.context";
    refuses(
        &place,
        &[
            (
                document("current-context: blue-admin", "current-context: blue"),
                &format!(
                    "at 18:18 of the kubeconfig: current-context: there is no context \"blue\", which is the name of a cluster; {there}; {name}"
                ),
            ),
            (
                document("current-context: blue-admin", "current-context: admin"),
                &format!(
                    "at 18:18 of the kubeconfig: current-context: there is no context \"admin\", which is the name of a user; {there}; {name}"
                ),
            ),
            (
                document("current-context: blue-admin", "current-context: ''"),
                &format!("in the kubeconfig: there is no current-context; {there}; {name}"),
            ),
            (
                document("cluster: blue,", "cluster: red,"),
                "at 15:22 of the kubeconfig: contexts[0].context.cluster: there is no cluster \"red\"; the clusters are \"blue\", \"green\"",
            ),
            (
                document("user: admin,", "user: root,"),
                "at 15:34 of the kubeconfig: contexts[0].context.user: there is no user \"root\"; the users are \"admin\", \"other\"",
            ),
            (document("user: admin,", ""), "at 15:12 of the kubeconfig: contexts[0].context.user: missing"),
            (
                document("namespace: shop", "namespace: Shop"),
                "at 15:52 of the kubeconfig: contexts[0].context.namespace: \"Shop\" is no namespace; expected at most 63 lower-case letters, digits and dashes, with a letter or digit at both ends",
            ),
            (
                document("name: green-other", "name: blue-admin"),
                "at 17:12 of the kubeconfig: contexts[1].context: the name \"blue-admin\" stands here for the second time",
            ),
            (
                "current-context: x".into(),
                "at 1:18 of the kubeconfig: current-context: there is no context \"x\"; it has no contexts; hint: name one with auth.kubeconfig.context",
            ),
        ],
    );
    assert_eq!(
        place.problems(payload("{content: {fromFile: config}, context: blue}")),
        format!(
            "deploy.yaml:7:56: target.auth.kubeconfig.context: in the kubeconfig there is no context \"blue\", which is the name of a cluster; {there}"
        )
    );
}

#[test]
fn the_sources_own_sample_is_answered_with_its_context() {
    let sample = "\
apiVersion: v1
clusters:
- cluster: {certificate-authority-data: XXXXXXXXXXXXXXXX..., server: https://kubernetes.example.org:443}
  name: k8s-cluster
contexts:
- context: {cluster: k8s-cluster, user: k8s_user}
  name: k8s_user
current-context: k8s-cluster
kind: Config
preferences: {}
users:
- name: k8s_user
  user: {client-certificate-data: XXXXXXXXXXXXXXXX..., client-key-data: XXXXXXXXXXXXXXXX..., token: 1234567890xxxxxxxxxxxxx}
";
    refuses(
        &Place::new(),
        &[(
            sample.into(),
            "at 8:18 of the kubeconfig: current-context: there is no context \"k8s-cluster\", which is the name of a cluster; the contexts are \"k8s_user\"; hint: name one with auth.kubeconfig.context",
        )],
    );
}

#[test]
fn what_is_no_kubeconfig_says_so() {
    let place = Place::new();
    refuses(
        &place,
        &[
            (String::new(), "must not be empty"),
            (" \n".into(), "must not be empty"),
            (
                "# nothing\n".into(),
                "in the kubeconfig: the document is empty; expected clusters, contexts, users and current-context",
            ),
            (
                "- a\n".into(),
                "in the kubeconfig: expected a mapping (clusters, contexts, users, current-context)",
            ),
            ("a: b\n---\nc: d\n".into(), "at 2:1 of the kubeconfig: a second document; kubectl reads one"),
            (
                "a: b\n a: hunter22: x\n".into(),
                "at 2:3 of the kubeconfig: not valid YAML: mapping values are not allowed in this context",
            ),
            ("a: 1\na: 2\n".into(), "at 2:1 of the kubeconfig: a: stands here for the second time"),
            (
                "{\"a\": ".into(),
                "at 1:6 of the kubeconfig: the JSON ends before its last bracket or quote is closed; hint: what begins with { is read as JSON",
            ),
            (
                document("kind: Config", "kind: Pod"),
                "at 2:7 of the kubeconfig: kind: expected Config, found \"Pod\"",
            ),
            (
                document("apiVersion: v1", "apiVersion: v2"),
                "at 1:13 of the kubeconfig: apiVersion: expected v1, found \"v2\"",
            ),
        ],
    );
    assert_eq!(
        place.problems(payload("{context: x}")),
        "deploy.yaml:7:17: target.auth.kubeconfig.content: missing"
    );
}

#[test]
fn ways_to_log_in_that_kubectl_refuses_are_refused() {
    let at = "of the kubeconfig: users[0].user";
    let place = Place::new();
    let cases: Vec<(String, String)> = [
        ("{token: a, username: b, password: hunter22}", format!("at 10:30 {at}.username: must not stand beside token: kubectl refuses two ways to log in")),
        ("{username: b}", format!("at 10:9 {at}.password: missing")),
        ("{}", format!("at 10:9 {at}: has no credential; kubectl would ask for a user name; hint: is it the right context?")),
        ("{token: ''}", format!("at 10:9 {at}: has no credential; kubectl would ask for a user name; hint: is it the right context?")),
        ("{token: \"hunter22\\nx\"}", format!("at 10:17 {at}.token: must not hold a line break; hint: YAML: write `|-` or quotes, as `|` adds one")),
        ("{token: {fromEnv: HOME}}", format!("at 10:17 {at}.token: expected a text, found a mapping")),
        ("{auth-provider: {name: gcp}}", format!("at 10:25 {at}.auth-provider: auth-provider left kubectl with version 1.26; hint: use exec with gke-gcloud-auth-plugin; `gcloud container clusters get-credentials` writes that")),
        ("{auth-provider: {name: azure}}", format!("at 10:25 {at}.auth-provider: auth-provider left kubectl with version 1.26; hint: use exec with kubelogin; `kubelogin convert-kubeconfig` writes that")),
        ("{auth-provider: {name: oidc}}", format!("at 10:25 {at}.auth-provider: auth-provider oidc is not supported: it writes renewed tokens into the kubeconfig, and that is removed; hint: use exec with the plugin kubectl-oidc_login")),
        ("{auth-provider: {name: x}, token: a}", format!("at 10:25 {at}.auth-provider: auth-provider is not supported; hint: use exec with the plugin of your provider")),
        ("{client-certificate-data: aHVudGVyMjI=}", format!("at 10:9 {at}.client-key-data: missing\nat 10:35 {at}.client-certificate-data: expected a certificate in PEM or base64 of PEM, found base64 of something else")),
        ("{token: a, as-groups: [b]}", format!("at 10:31 {at}.as-groups: needs as: kubectl impersonates no groups without a user")),
        ("{token: a, tokenfile: b}", format!("at 10:20 {at}.tokenfile: unknown field; did you mean \"tokenFile\"?")),
    ].map(|(text, words)| (document(USER, text), words)).to_vec();
    let cases: Vec<(String, &str)> =
        cases.iter().map(|(text, words)| (text.clone(), words.as_str())).collect();
    refuses(&place, &cases);
}

/// A folder with a kubeconfig that names files beside it.
fn folder(user: &str) -> Place {
    let (pem, key) = certificate("client", 2030);
    let place = Place::new()
        .file(
            "deep/config",
            document(USER, user).replace("blue:6443}", "blue:6443, certificate-authority: ca.pem}"),
        )
        .file("deep/ca.pem", certificate("ca", 2030).0)
        .file("deep/client.pem", &pem)
        .file("deep/client.key", &key)
        .file("deep/both.pem", format!("{pem}{key}"))
        .file("deep/token", "hunter22-file\n")
        .file("deep/plugin", "#!/bin/sh\n")
        .file("deep/data", "");
    let plugin = place.path().join("deep/plugin");
    std::fs::set_permissions(plugin, PermissionsExt::from_mode(0o755)).unwrap();
    place
}

const FROM_FILE: &str = "{content: {fromFile: deep/config}}";

#[test]
fn files_go_by_the_kubeconfigs_own_folder() {
    let place = folder("{client-certificate: client.pem, client-key: ./client.key, tokenFile: token}");
    let step = place.step(payload(FROM_FILE));
    let (pair, file) = (user(&step).certificate.as_ref().unwrap(), user(&step).token_file.as_ref().unwrap());
    assert!(pair.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(pair.private_key.expose().starts_with("-----BEGIN PRIVATE KEY-----"));
    assert_eq!((file.path.clone(), file.token.expose()), (place.path().join("deep/token"), "hunter22-file"));
    assert!(step.target.certificate_authority.is_some());
    assert_eq!(user(&step).bearer().unwrap().expose(), "hunter22-file");
    let place = folder("{client-certificate: both.pem, client-key: both.pem}");
    let step = place.step(payload(FROM_FILE));
    let pair = user(&step).certificate.as_ref().unwrap();
    assert!(!pair.certificate.contains("PRIVATE KEY"), "a kubelet's file has both");
}

#[test]
fn a_file_that_is_not_there_is_told_with_its_field_and_path() {
    let place = folder("{client-certificate: none.pem, client-key: /none.key, tokenFile: data}");
    std::fs::remove_file(place.path().join("deep/ca.pem")).unwrap();
    let at = "deploy.yaml:7:27: target.auth.kubeconfig.content: at";
    let start = "hint: relative paths start at the kubeconfig's folder";
    assert_eq!(
        place.problems(payload(FROM_FILE)),
        format!(
            "{at} 5:63 of the kubeconfig: clusters[0].cluster.certificate-authority: cannot read \"ca.pem\": no such file; {start}\n\
             {at} 10:30 of the kubeconfig: users[0].user.client-certificate: cannot read \"none.pem\": no such file; {start}\n\
             {at} 10:52 of the kubeconfig: users[0].user.client-key: cannot read \"/none.key\": no such file\n\
             {at} 10:74 of the kubeconfig: users[0].user.tokenFile: the token file is empty"
        )
    );
}

#[test]
fn without_a_file_of_its_own_a_kubeconfig_has_no_relative_paths() {
    let told = "a relative path, and the kubeconfig comes from no file; hint: give the kubeconfig with fromFile, or write the path from / on";
    refuses(
        &Place::new(),
        &[
            (
                document(USER, "{tokenFile: token}"),
                &format!("at 10:21 of the kubeconfig: users[0].user.tokenFile: {told}"),
            ),
            (
                document(
                    USER,
                    "{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: ./plugin}}",
                ),
                &format!("at 10:76 of the kubeconfig: users[0].user.exec.command: {told}"),
            ),
        ],
    );
}

#[test]
fn an_exec_plugin_is_kept_as_it_is() {
    let place = folder(
        "{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, args: [get, 1.20, --client-secret, hunter22-arg], \
         env: [{name: PROFILE, value: hunter22-env}, {name: EMPTY}], interactiveMode: Never, provideClusterInfo: true, installHint: get it}}",
    );
    let step = place.step(payload(FROM_FILE));
    let exec = user(&step).exec.as_ref().unwrap();
    assert_eq!(exec.command, place.path().join("deep/plugin").to_str().unwrap());
    let arguments: Vec<&str> = exec.arguments.iter().map(|argument| argument.expose()).collect();
    assert_eq!(arguments, ["get", "1.20", "--client-secret", "hunter22-arg"]);
    assert_eq!(exec.environment[0].1.expose(), "hunter22-env");
    assert_eq!((exec.provide_cluster_info, exec.install_hint.as_deref()), (Some(true), Some("get it")));
    let masked: Vec<String> = step.secrets().iter().map(|named| named.secret.expose().to_owned()).collect();
    assert_eq!(masked[..2], ["hunter22-env", "hunter22-arg"].map(str::to_owned));
    assert!(!format!("{step:?}").contains("hunter22"));
    let shown: Vec<bool> = exec.arguments.iter().map(|one| matches!(one, Text::Plain(_))).collect();
    assert_eq!(shown, [true, true, true, false]);
}

#[test]
fn a_plugins_own_configuration_stays_with_it() {
    let cluster = "{server: https://blue, extensions: [{name: client.authentication.k8s.io/exec, extension: {audience: '1', tries: 2, on: true}}]}";
    let user_text = "{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: plugin}}";
    let step = Place::new().step(content(&document(CLUSTER, cluster).replace(USER, user_text)));
    let config = user(&step).exec.as_ref().unwrap().cluster_config.as_ref().unwrap();
    assert_eq!(config.expose(), r#"{"audience":"1","tries":2,"on":true}"#);
}

#[test]
fn a_plugin_that_kubectl_would_not_run_is_refused() {
    let at = "of the kubeconfig: users[0].user.exec";
    let api = "apiVersion: client.authentication.k8s.io/v1beta1";
    let exec = |text: &str| document(USER, &format!("{{exec: {{{text}}}}}"));
    refuses(
        &Place::new(),
        &[
            (
                exec("apiVersion: client.authentication.k8s.io/v1, command: a"),
                &format!(
                    "at 10:16 {at}: needs interactiveMode under client.authentication.k8s.io/v1; without it kubectl does not run the plugin; hint: add interactiveMode: Never"
                ),
            ),
            (
                exec(&format!("{api}, command: a, interactiveMode: Always")),
                &format!(
                    "at 10:96 {at}.interactiveMode: must not be Always: a step has no terminal, and kubectl would not run the plugin; hint: write interactiveMode: Never, if the plugin can do without a terminal"
                ),
            ),
            (
                exec(&format!("{api}, command: a, interactiveMode: never")),
                &format!(
                    "at 10:96 {at}.interactiveMode: expected Never or IfAvailable, found \"never\"; hint: a step has no terminal: Never is right"
                ),
            ),
            (exec(api), &format!("at 10:16 {at}.command: missing")),
            (exec("command: a"), &format!("at 10:16 {at}.apiVersion: missing")),
            (
                exec("apiVersion: v1, command: a"),
                &format!(
                    "at 10:29 {at}.apiVersion: expected client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1, found \"v1\""
                ),
            ),
            (
                exec(&format!("{api}, command: /none/plugin")),
                &format!("at 10:76 {at}.command: cannot read \"/none/plugin\": no such file"),
            ),
            (
                exec(&format!("{api}, command: /etc/passwd")),
                &format!("at 10:76 {at}.command: \"/etc/passwd\" is no program that can be run"),
            ),
            (
                exec(&format!("{api}, command: a, env: [{{value: hunter22}}]")),
                &format!("at 10:85 {at}.env[0].name: missing"),
            ),
        ],
    );
}

#[test]
fn every_secret_of_the_document_is_masked_and_so_is_the_whole() {
    let (_, key) = certificate("client", 2030);
    let packed = STANDARD.encode(&key);
    let text = document(
        "{token: hunter22-other}",
        &format!(
            "{{password: hunter22-password, client-key-data: {packed}, exec: {{env: [{{name: A, value: hunter22-env}}], args: [--token=hunter22-arg]}}, \
             auth-provider: {{config: {{access-token: hunter22-access, client-id: public}}}}}}"
        ),
    )
    .replace("{server: https://green:6443}", "{proxy-url: 'http://user:hunter22-proxy@p:1'}");
    let step = Place::new().step(content(&text));
    let masked: Vec<String> = step.secrets().iter().map(|named| named.secret.expose().to_owned()).collect();
    let expected = [
        "hunter22-admin",
        "hunter22-password",
        &packed,
        &key,
        "hunter22-env",
        "hunter22-arg",
        "hunter22-access",
        "user:hunter22-proxy",
        "hunter22-proxy",
        &text,
    ];
    assert_eq!(masked, expected);
}

#[test]
fn a_remote_payload_imports_what_the_operator_allows() {
    const FILES: &str = "a remote payload must not name files and folders of the worker; hint: the operator's config allows it with [remote] files = […]";
    const TOOLS: &str = "hint: the operator's config allows";
    let api = "apiVersion: client.authentication.k8s.io/v1beta1";
    let place = folder("{token: a}").remote(Policy::default());
    let here = place.path().join("deep").display().to_string();
    refuses(
        &place,
        &[
            (
                document(USER, &format!("{{tokenFile: {here}/token}}")),
                &format!("at 10:21 of the kubeconfig: users[0].user.tokenFile: {FILES}"),
            ),
            (
                document(CLUSTER, &format!("{{server: https://b, certificate-authority: {here}/ca.pem}}")),
                &format!("at 5:55 of the kubeconfig: clusters[0].cluster.certificate-authority: {FILES}"),
            ),
            (
                document(USER, &format!("{{exec: {{{api}, command: {here}/plugin}}}}")),
                &format!(
                    "at 10:76 of the kubeconfig: users[0].user.exec.command: a remote payload must not choose tools of the worker; {TOOLS} it with [remote] tools = […]"
                ),
            ),
            (
                document(USER, &format!("{{exec: {{{api}, command: aws}}}}")),
                &format!(
                    "at 10:76 of the kubeconfig: users[0].user.exec.command: a remote payload must name a program of the worker by its absolute path; {TOOLS} folders of programs with [remote] tools = […]"
                ),
            ),
        ],
    );
    let deep = place.path().join("deep");
    let policy = Policy { files: vec![deep.clone()], tools: vec![deep], ..Policy::default() };
    let place = place.remote(policy);
    place.step(content(&document(USER, &format!("{{tokenFile: {here}/token}}"))));
    place.step(content(&document(USER, &format!("{{exec: {{{api}, command: {here}/plugin}}}}"))));
}
