//! What is sent to a queue: read as a remote payload, it is the same step.

use std::collections::BTreeMap;

use super::{GOOD, Place, exchanged, pfx, with};
use crate::payload::{Auth, ByValue, Origin, Policy, Step, Text, load, load_by_value};

/// What the submitter sends.
fn submit(place: Place, payload: &str) -> ByValue {
    let place = submitter(place);
    match load_by_value(payload.as_bytes(), "deploy.yaml", &place.surroundings) {
        Ok(sent) => sent,
        Err(problems) => panic!("{problems}"),
    }
}

fn submitter(mut place: Place) -> Place {
    place.surroundings.origin = Origin::Submitted;
    place
}

fn problems(place: Place, payload: &str) -> String {
    let place = submitter(place);
    load_by_value(payload.as_bytes(), "deploy.yaml", &place.surroundings).err().expect("refused").to_string()
}

/// What a worker reads, which has nothing of the submitter's and whose operator allows nothing.
fn received(sent: &ByValue) -> Step {
    received_by(Place::new(), sent)
}

fn received_by(worker: Place, sent: &ByValue) -> Step {
    let worker = worker.remote(Policy::default());
    match load(sent.document.expose().as_bytes(), "queue", &worker.surroundings) {
        Ok(step) => step,
        Err(problems) => panic!("{problems}"),
    }
}

fn texts(texts: &BTreeMap<String, Text>) -> Vec<(&str, &str)> {
    texts.iter().map(|(name, text)| (name.as_str(), text.expose())).collect()
}

fn secrets(step: &Step) -> Vec<String> {
    let mut secrets: Vec<String> =
        step.secrets().iter().map(|named| named.secret.expose().to_owned()).collect();
    secrets.sort();
    secrets.dedup();
    secrets
}

#[test]
fn sources_are_sent_as_values_and_what_was_secret_stays_so() {
    let place = Place::new()
        .variable("TOKEN", "hunter22-token")
        .variable("API_KEY", "hunter22-key")
        .file("password", "hunter22-password\n")
        .file("app.yaml", "a: 1\n")
        .file("deploy.sh", "echo 'from a file'\n");
    let payload = GOOD
        .replace("hunter22-token", "{fromEnv: TOKEN}")
        .replace("body: echo hello", "file: deploy.sh")
        + "files: {app.yaml: {fromFile: app.yaml}, key: {fromEnv: API_KEY}, plain: {value: 'true'}}\n\
           environment: {PASSWORD: {fromFile: password}, STAGE: prod, ON: true, N: 7, M: 0644, V: 1.20, EMPTY: ''}\n\
           secrets: [hunter22-more]\n\
           limits: {timeout: 5m}\n";
    let sent = submit(place, &payload);
    assert!(sent.asked.is_empty());
    let step = received(&sent);
    assert_eq!(step.script.body.expose(), "echo 'from a file'\n");
    let files = [("app.yaml", "a: 1"), ("key", "hunter22-key"), ("plain", "true")];
    assert_eq!(texts(&step.files), files);
    let variables = [
        ("EMPTY", ""),
        ("M", "0644"),
        ("N", "7"),
        ("ON", "true"),
        ("PASSWORD", "hunter22-password"),
        ("STAGE", "prod"),
        ("V", "1.20"),
    ];
    assert_eq!(texts(&step.environment), variables);
    assert_eq!(secrets(&step), ["hunter22-key", "hunter22-more", "hunter22-password", "hunter22-token"]);
    assert_eq!(secrets(&step), secrets(&sent.step), "the submitter's own reading knows the same");
    assert_eq!(step.limits.timeout, sent.step.limits.timeout);
}

#[test]
fn the_same_step_is_sent_in_the_same_bytes() {
    let sent = || {
        submit(
            Place::new().file("token", "hunter22-token"),
            &GOOD.replace("hunter22-token", "{fromFile: token}"),
        )
    };
    assert_eq!(sent().document.expose(), sent().document.expose());
}

#[test]
fn files_with_tokens_are_read_where_they_are() {
    let place = || Place::new().file("token", "hunter22-token\n");
    let account = exchanged("token: hunter22-token", "serviceAccount: {tokenFile: token}");
    let step = received(&submit(place(), &account));
    assert!(matches!(step.target.auth, Auth::Token(token) if token.expose() == "hunter22-token"));
    let role = "roleArn: 'arn:aws:iam::123456789012:role/deploy'";
    let eks = format!(
        "eks: {{clusterName: c, region: eu-central-1, credentials: {{webIdentity: {{{role}, tokenFile: token}}}}}}"
    );
    let step = received(&submit(place(), &exchanged("token: hunter22-token", &eks)));
    assert_eq!(secrets(&step), ["hunter22-token"]);
    let id = "11111111-2222-3333-4444-555555555555";
    let aks = format!("aks: {{tenantId: {id}, clientId: {id}, federatedTokenFile: token}}");
    let step = received(&submit(place(), &exchanged("token: hunter22-token", &aks)));
    assert_eq!(secrets(&step), ["hunter22-token"]);
    assert!(
        problems(Place::new(), &account)
            .contains("target.auth.serviceAccount.tokenFile: cannot read \"token\"")
    );
}

#[test]
fn binary_files_and_pairs_are_sent_so_that_they_are_the_same_pairs() {
    let Some(rsa) = pfx::rsa() else { return };
    let place = || {
        let place =
            pfx::place().file("my.pfx", &rsa.pfx).file("cert", &rsa.certificate).file("key", &rsa.key);
        let both = format!("{}{}", rsa.certificate, rsa.key);
        let kubeconfig = "clusters: [{name: c, cluster: {server: 'https://c:6443', certificate-authority: cert}}]\n\
            users: [{name: u, user: {client-certificate: both, client-key: both}}]\n\
            contexts: [{name: c, context: {cluster: c, user: u}}]\ncurrent-context: c\n";
        place.file("both", both).file("config", kubeconfig)
    };
    let of = |payload: &str| {
        let sent = submit(place(), payload);
        let (there, here) = (received_by(pfx::place(), &sent), sent.step);
        (there, here)
    };
    let password = "password: hunter22-pw";
    for method in [
        format!("clientCertificate: {{pfx: {{fromFile: my.pfx}}, {password}}}"),
        "clientCertificate: {certificate: {fromFile: cert}, privateKey: {fromFile: key}}".to_owned(),
    ] {
        let (there, here) = of(&exchanged("token: hunter22-token", &method));
        let (
            Auth::ClientCertificate { certificate, private_key },
            Auth::ClientCertificate { certificate: own, .. },
        ) = (&there.target.auth, &here.target.auth)
        else {
            panic!("{method}")
        };
        assert_eq!(certificate, own, "{method}");
        assert!(secrets(&here).iter().any(|secret| secret == private_key.expose()), "{method}");
        let missing: Vec<String> =
            secrets(&here).into_iter().filter(|one| !secrets(&there).contains(one)).collect();
        assert!(missing.is_empty(), "{method}: the worker does not mask {} secrets", missing.len());
    }
    let id = "11111111-2222-3333-4444-555555555555";
    let aks = format!(
        "aks: {{tenantId: {id}, clientId: {id}, clientCertificate: {{fromFile: my.pfx}}, \
         clientCertificatePassword: hunter22-pw}}"
    );
    let (there, here) = of(&exchanged("token: hunter22-token", &aks));
    assert!(secrets(&here).iter().all(|secret| secrets(&there).contains(secret)), "{aks}");
    let (there, here) = of(&exchanged(
        "  server: https://k8s.example:6443\n  auth:\n    token: hunter22-token",
        "  auth: {kubeconfig: {content: {fromFile: config}}}",
    ));
    let pair = |step: &Step| {
        let Auth::Kubeconfig(user) = &step.target.auth else { panic!("a kubeconfig") };
        let pair = user.certificate.as_ref().expect("a pair");
        (pair.certificate.clone(), pair.private_key.expose().to_owned())
    };
    assert!(pair(&there) == pair(&here), "another pair");
    assert_eq!(there.target.certificate_authority, here.target.certificate_authority);
}

const KUBECONFIG: &str = "\
apiVersion: v1
kind: Config
current-context: other
clusters:
- {name: one, cluster: {server: 'https://one:6443', insecure-skip-tls-verify: true}}
- {name: two, cluster: {server: 'https://two:6443'}}
contexts:
- {name: main, context: {cluster: one, user: mine, namespace: shop}}
- {name: other, context: {cluster: two, user: theirs}}
users:
- {name: mine, user: {token: hunter22-old, tokenFile: ../token}}
- {name: theirs, user: {token: hunter22-theirs}}
";

#[test]
fn of_a_kubeconfig_one_context_is_sent_with_what_its_files_hold() {
    let place = Place::new().file("kube/config", KUBECONFIG).file("token", "hunter22-token");
    let payload = exchanged(
        "  server: https://k8s.example:6443\n  auth:\n    token: hunter22-token",
        "  auth: {kubeconfig: {content: {fromFile: kube/config}, context: main}}",
    );
    let sent = submit(place, &payload);
    assert!(!sent.document.expose().contains("theirs"), "nobody else's credentials leave the submitter");
    let step = received(&sent);
    assert_eq!(step.target.server.as_deref(), Some("https://one:6443"));
    assert_eq!((step.target.namespace.as_str(), step.target.insecure_skip_tls_verify), ("shop", true));
    let Auth::Kubeconfig(user) = &step.target.auth else { panic!("a kubeconfig") };
    assert_eq!(user.token.as_ref().map(|token| token.expose()), Some("hunter22-token"));
}

#[test]
fn what_only_the_workers_operator_can_allow_is_sent_and_told() {
    let payload = GOOD.replace("body: echo hello", "body: a\n  workingDirectory: /srv/app")
        + "inheritEnvironment: [CI]\ntools: {helm: /opt/helm}\n";
    let place =
        Place::new().variable("CI", "hunter22-of-the-submitter").variable("MY_SECRET", "hunter22-mine");
    let sent = submit(place, &payload);
    let asked = [
        "script.workingDirectory: the worker's operator must allow it with [remote] files = […]",
        "inheritEnvironment[0]: the worker's operator must allow it with [remote] environment = […]",
        "tools.helm: the worker's operator must allow it with [remote] tools = […]",
    ];
    assert_eq!(sent.asked, asked);
    assert!(sent.step.inherited.is_empty() && !sent.document.expose().contains("hunter22-of"));
    let pod = exchanged(
        "  server: https://k8s.example:6443\n  auth:\n    token: hunter22-token",
        "  auth: {inCluster: {}}",
    );
    let sent = submit(Place::new(), &pod);
    assert_eq!(sent.asked.len(), 1);
    let eks = "eks: {clusterName: c, region: eu-central-1, credentials: {worker: {}}}";
    assert_eq!(submit(Place::new(), &exchanged("token: hunter22-token", eks)).asked.len(), 1);
}

#[test]
fn what_no_operator_can_allow_is_refused_at_once_with_all_that_is_wrong() {
    let payload = GOOD.replace("body: echo hello", "body: a\n  workingDirectory: app")
        + "tools: {helm: bin/helm}\nenvironment: {A: {fromEnv: NOT_SET}}\nlimits: {timeout: soon}\n";
    let relative = "a relative path means nothing on a worker; \
                    hint: name it by its absolute path on the worker, or send it by files";
    assert_eq!(
        problems(Place::new(), &payload),
        format!(
            "deploy.yaml:11:21: script.workingDirectory: {relative}\n\
             deploy.yaml:12:15: tools.helm: {relative}\n\
             deploy.yaml:13:28: environment.A.fromEnv: the variable \"NOT_SET\" is not set\n\
             deploy.yaml:14:19: limits.timeout: expected a duration such as 500ms, 30s, 5m, 2h or 1h30m"
        )
    );
    let worker = exchanged(
        "  server: https://k8s.example:6443\n  auth:\n    token: hunter22-token",
        "  auth: {eks: {clusterName: c, region: eu-central-1, credentials: {worker: {}}}}",
    );
    assert!(
        problems(Place::new(), &worker).contains("a remote payload must not use the worker's own account")
    );
    let large = with("files: {a: {fromFile: a}, b: {fromFile: b}, c: {fromFile: c}, d: {fromFile: d}}\n");
    let mib = "x".repeat(1024 * 1024);
    let place = ["a", "b", "c", "d"].into_iter().fold(Place::new(), |place, name| place.file(name, &mib));
    assert!(problems(place, &large).contains("at most 4194304 (4 MiB) go on a queue"));
}
