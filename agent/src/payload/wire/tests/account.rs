//! The target: server, trust, proxy, and every way to log in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::{Place, exchanged};
use crate::payload::certificate::tests::{certificate_pem, key_pem};
use crate::payload::{Auth, NamespacePolicy, Step};

/// A self-signed certificate that ends with that year, and its key.
pub(super) fn certificate(name: &str, last_year: i32) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.into()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(last_year, 12, 31);
    (certificate_pem(&params.self_signed(&key).unwrap()), key_pem(&key))
}

const TOKEN: &str = "token: hunter22-token";
const SERVER: &str = "https://k8s.example:6443";

#[test]
fn servers_are_https_and_nothing_else() {
    let such = "; hint: such as https://k8s.example:6443";
    Place::new().refuses(&[
        (SERVER, "http://k8s", "6:11: target.server: must be https; kubectl sends no credentials over http"),
        (SERVER, "ftp://k8s", "6:11: target.server: must be https"),
        (SERVER, "https://hunter22@k8s", "6:11: target.server: must not hold a user or password; they belong in target.auth"),
        (SERVER, "https://k8s?a=hunter22", "6:11: target.server: must not hold a query (?…)"),
        (SERVER, "https://k8s#hunter22", "6:11: target.server: must not hold a fragment (#…)"),
        (SERVER, "k8s:6443", &format!("6:11: target.server: expected a URL with a scheme and a host{such}")),
        (SERVER, "https://", &format!("6:11: target.server: has no host{such}")),
        (SERVER, "https://k8s:99999", &format!("6:11: target.server: has no valid port (1 to 65535){such}")),
        (SERVER, "https://k8 s", &format!("6:11: target.server: holds a character that a URL cannot have (spaces, line breaks, other than ASCII){such}")),
        (SERVER, "''", "6:11: target.server: must not be empty"),
        (SERVER, "", "6:9: target.server: expected a text, found nothing"),
        ("  server: https://k8s.example:6443\n", "", "6:3: target.server: missing"),
    ]);
}

#[test]
fn a_namespace_policy_is_one_of_three_words() {
    let policy = |word: &str| {
        let text = if word.is_empty() { String::new() } else { format!("namespacePolicy: {word}\n  ") };
        Place::new().step(exchanged("auth:", &format!("{text}auth:"))).target.namespace_policy
    };
    assert_eq!(policy(""), NamespacePolicy::Create);
    assert_eq!(policy("create"), NamespacePolicy::Create);
    assert_eq!(policy("require"), NamespacePolicy::Require);
    assert_eq!(policy("skip"), NamespacePolicy::Skip);
    Place::new().refuses(&[
        (
            "auth:",
            "namespacePolicy: Create\n  auth:",
            &format!("7:20: {}", told("\"Create\"; did you mean \"create\"?")),
        ),
        ("auth:", "namespacePolicy: none\n  auth:", &format!("7:20: {}", told("\"none\""))),
        (
            "auth:",
            "namespacePolicy: [skip]\n  auth:",
            "7:20: target.namespacePolicy: expected a text, found a list",
        ),
    ]);
    fn told(found: &str) -> String {
        format!("target.namespacePolicy: expected create, require or skip, found {found}")
    }
}

#[test]
fn trust_and_names_of_a_target_are_judged() {
    let (pem, _) = certificate("ca", 2030);
    let place = Place::new().file("ca.pem", &pem);
    place.refuses(&[
        (
            "auth:",
            "certificateAuthority: {fromFile: ca.pem}\n  insecureSkipTlsVerify: true\n  auth:",
            "8:26: target.insecureSkipTlsVerify: must not be true together with certificateAuthority; kubectl refuses both",
        ),
        ("auth:", "insecureSkipTlsVerify: yes\n  auth:", "7:26: target.insecureSkipTlsVerify: expected true or false, without quotes"),
        ("auth:", "insecureSkipTlsVerify: 'true'\n  auth:", "7:26: target.insecureSkipTlsVerify: expected true or false, without quotes"),
        ("auth:", "tlsServerName: a/b\n  auth:", "7:18: target.tlsServerName: expected a DNS name such as k8s.internal, found \"a/b\""),
        ("auth:", "proxyUrl: ftp://hunter22@p\n  auth:", "7:13: target.proxyUrl: expected a URL with http, https or socks5; hint: such as http://proxy:3128"),
        ("auth:", "proxyUrl: proxy:3128\n  auth:", "7:13: target.proxyUrl: expected a URL with a scheme and a host; hint: such as http://proxy:3128"),
        ("auth:", "namespace: ''\n  auth:", "7:14: target.namespace: \"\" is no namespace; expected at most 63 lower-case letters, digits and dashes, with a letter or digit at both ends"),
    ]);
    let text = "certificateAuthority: {fromFile: ca.pem}\n  tlsServerName: k8s.internal\n  namespace: shop\n  \
                proxyUrl: http://user:p%40ss@proxy:3128\n  auth:";
    let target = place.step(exchanged("auth:", text)).target;
    assert_eq!(target.certificate_authority.as_deref(), Some(pem.trim_end()));
    assert_eq!(
        (target.tls_server_name.as_deref(), target.namespace.as_str()),
        (Some("k8s.internal"), "shop")
    );
    let leaves: Vec<String> =
        target.proxy.unwrap().leaves.iter().map(|leaf| leaf.expose().to_owned()).collect();
    assert_eq!(leaves, ["user:p%40ss", "p%40ss", "p@ss"]);
}

#[test]
fn exactly_one_method_is_chosen() {
    let one_of = "expected exactly one of token, usernamePassword, clientCertificate, serviceAccount, inCluster, kubeconfig, eks, aks, gke";
    Place::new().refuses(&[
        (TOKEN, "token: a\n    inCluster: {}", &format!("8:5: target.auth: {one_of}; found token and inCluster\n9:16: target.auth.inCluster: the variable KUBERNETES_SERVICE_HOST is not set; hint: auth.inCluster works inside of a pod only\n9:16: target.auth.inCluster: the variable KUBERNETES_SERVICE_PORT is not set; hint: auth.inCluster works inside of a pod only")),
        ("auth:\n    token: hunter22-token", "auth: {}", &format!("7:9: target.auth: {one_of}; found none")),
        ("auth:\n    token: hunter22-token", "auth:", "7:7: target.auth: expected a mapping, found nothing"),
        ("  auth:\n    token: hunter22-token\n", "", "6:3: target.auth: missing"),
    ]);
}

#[test]
fn a_token_is_one_word() {
    let words =
        "target.auth.token: must not hold a line break; hint: YAML: write `|-` or quotes, as `|` adds one";
    Place::new().variable("EMPTY", "").refuses(&[
        (TOKEN, "token: ''", "8:12: target.auth.token: must not be empty"),
        (TOKEN, "token: {fromEnv: EMPTY}", "8:12: target.auth.token: must not be empty"),
        (TOKEN, "token: \"hunter22\\nx\"", &format!("8:12: {words}")),
        (TOKEN, "token: |\n      hunter22", &format!("9:7: {words}")),
        (TOKEN, "token: ' hunter22'", "8:12: target.auth.token: must not begin or end with a blank; hint: leave the blank out"),
        (TOKEN, "token: \"a\\x1b\"", "8:12: target.auth.token: must not hold blanks, control characters or anything but ASCII; hint: is this the token itself?"),
    ]);
}

#[test]
fn username_and_password_are_what_basic_authentication_can_carry() {
    Place::new().refuses(&[
        (TOKEN, "usernamePassword: {username: 'a:b', password: hunter22}", "8:34: target.auth.usernamePassword.username: must not hold a colon: basic authentication ends the name there"),
        (TOKEN, "usernamePassword: {username: '', password: ''}", "8:34: target.auth.usernamePassword.username: must not be empty\n8:48: target.auth.usernamePassword.password: must not be empty"),
        (TOKEN, "usernamePassword: {username: a}", "8:23: target.auth.usernamePassword.password: missing"),
        (TOKEN, "usernamePassword: {username: a, password: \"hunter22\\n\"}", "8:47: target.auth.usernamePassword.password: must not hold a line break or another control character; hint: YAML: write `|-` or quotes, as `|` adds a line break"),
    ]);
}

#[test]
fn a_service_account_names_its_token_file() {
    let place = Place::new().file("token", "hunter22\n").file("empty", "\n").file("words", "two words");
    let step = place.step(exchanged(TOKEN, "serviceAccount: {tokenFile: token}"));
    let Auth::ServiceAccount { token_file, token } = step.target.auth else { panic!("another method") };
    assert_eq!((token_file, token.expose()), (place.path().join("token"), "hunter22"));
    place.refuses(&[
        (TOKEN, "serviceAccount: {tokenFile: empty}", "8:33: target.auth.serviceAccount.tokenFile: the token file is empty"),
        (TOKEN, "serviceAccount: {tokenFile: words}", "8:33: target.auth.serviceAccount.tokenFile: the token file holds more than one word, or is no token"),
        (TOKEN, "serviceAccount: {}", "8:21: target.auth.serviceAccount.tokenFile: missing"),
        (TOKEN, "serviceAccount: {tokenFile: none}", "8:33: target.auth.serviceAccount.tokenFile: cannot read \"none\": no such file; hint: relative paths start at the payload's folder"),
    ]);
}

fn in_cluster(more: &str) -> String {
    let target = format!("  auth: {{inCluster: {{}}}}\n{more}");
    exchanged("  server: https://k8s.example:6443\n  auth:\n    token: hunter22-token\n", &target)
}

#[test]
fn in_cluster_takes_everything_from_the_pod() {
    let (pem, _) = certificate("ca", 2030);
    let place = Place::new()
        .variable("KUBERNETES_SERVICE_HOST", "fd00::1")
        .variable("KUBERNETES_SERVICE_PORT", "6443")
        .file("account/token", "hunter22-pod")
        .file("account/ca.crt", &pem)
        .file("account/namespace", "shop");
    let target = place.step(in_cluster("")).target;
    assert_eq!(
        (target.server.as_deref().unwrap_or_default(), target.namespace.as_str()),
        ("https://[fd00::1]:6443", "shop")
    );
    assert_eq!(target.certificate_authority.as_deref(), Some(pem.as_str()));
    assert!(matches!(&target.auth, Auth::InCluster { token, .. } if token.expose() == "hunter22-pod"));
    assert_eq!(place.step(in_cluster("  namespace: other\n")).target.namespace, "other");
    assert_eq!(
        place.problems(in_cluster("  server: https://x\n  proxyUrl: http://x\n")),
        "deploy.yaml:7:11: target.server: must be absent: auth.inCluster brings its own\n\
         deploy.yaml:8:13: target.proxyUrl: must be absent: auth.inCluster brings its own"
    );
    std::fs::remove_file(place.path().join("account/token")).unwrap();
    let told = place.problems(in_cluster(""));
    assert!(told.starts_with("deploy.yaml:6:21: target.auth.inCluster: cannot read \"/"), "{told}");
    assert!(told.ends_with(": no such file"), "{told}");
}

fn pair(certificate: &str, key: &str) -> String {
    let method = format!(
        "clientCertificate: {{certificate: {{fromFile: {certificate}}}, privateKey: {{fromFile: {key}}}}}"
    );
    exchanged(TOKEN, &method)
}

#[test]
fn a_client_certificate_and_its_key_belong_together() {
    let (pem, key) = certificate("client", 2030);
    let (other, other_key) = certificate("other", 2030);
    let (expired, expired_key) = certificate("expired", 2025);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let base64 = STANDARD.encode(&key);
    let place = Place::new()
        .file("cert.pem", &pem)
        .file("key.pem", &key)
        .file("key.b64", &base64)
        .file("other.pem", &other_key)
        .file("turned.pem", format!("{other}{pem}"))
        .file("chain.pem", format!("{pem}{other}"))
        .file("expired.pem", expired)
        .file("expired.key", expired_key)
        .file("encrypted.pem", encrypted);
    let step: Step = place.step(pair("chain.pem", "key.b64"));
    let Auth::ClientCertificate { certificate, private_key } = &step.target.auth else {
        panic!("another method")
    };
    assert_eq!(certificate.matches("BEGIN CERTIFICATE").count(), 2);
    assert_eq!(private_key.expose(), key);
    assert_eq!(step.parts[0].secret.expose(), base64, "both writings of a key are masked");
    let method = "target.auth.clientCertificate";
    for (certificate, key, told) in [
        ("cert.pem", "other.pem", "privateKey: the key does not belong to the certificate"),
        (
            "turned.pem",
            "key.pem",
            "privateKey: the key belongs to a later certificate of the chain; hint: the client's own certificate must come first",
        ),
        ("expired.pem", "expired.key", "certificate: the certificate expired on 2025-12-31T00:00:00Z"),
        (
            "cert.pem",
            "encrypted.pem",
            "privateKey: the key is encrypted, and nobody is there to ask for its password; hint: decrypt it with: openssl pkey -in key.pem -out key-plain.pem",
        ),
    ] {
        let found = place.problems(pair(certificate, key));
        assert!(found.ends_with(&format!(": {method}.{told}")), "{found}");
    }
}
