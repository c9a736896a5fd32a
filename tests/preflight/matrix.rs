//! Every kubectl with every plugin that can be had: the rules' word and the proof's, each against steps that really
//! run.
//!
//! The truth is a step with an imported kubeconfig, whose exec entry asks for one version of the API: it works where
//! the API server (a stand-in with a real TLS handshake) was asked for its version. What the rules call impossible is
//! tried with all three versions. The clouds' endpoints are played on loopback.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::io::{AsyncWriteExt, BufReader};
use tooling_check::prove::{Outcome, prove};
use tooling_check::rules::{ApiVersion, Pair, Rules};
use tooling_check::{Finding, Inventory, Search, State, Tool, Version};

use super::{check, report};
use crate::harness::api_stand_in::{ApiStandIn, Reply};
use crate::harness::stand_in::{Pair as Certificate, SERVER, head, listen};
use crate::harness::tools::{kubectls, newest_and_oldest, tools};
use crate::harness::{Run, skipped, step};

/// The plugins that can be had here; kubelogin below 0.2 has no login that can be played on loopback.
pub(super) fn plugins() -> Vec<(Tool, String, PathBuf)> {
    let mut all = Vec::new();
    for tool in [Tool::Aws, Tool::AwsIamAuthenticator, Tool::Kubelogin, Tool::GkeGcloudAuthPlugin] {
        let found = tools(tool.name());
        if found.is_empty() {
            skipped(&format!("no {tool} in tools.json: run scripts/tools"));
        }
        let playable = |version: &str| {
            tool != Tool::Kubelogin || !version.starts_with("0.0") && !version.starts_with("0.1")
        };
        all.extend(found.into_iter().filter(|(at, _)| playable(at)).map(|(at, path)| (tool, at, path)));
    }
    all
}

/// The newest and the oldest of each.
pub(super) fn ends(plugins: Vec<(Tool, String, PathBuf)>) -> Vec<(Tool, String, PathBuf)> {
    // `tools` gives the newest first.
    let is_end = |index: usize| {
        let tool = plugins[index].0;
        let before = index.checked_sub(1).map(|before| plugins[before].0);
        before != Some(tool) || plugins.get(index + 1).map(|(next, ..)| *next) != Some(tool)
    };
    (0..plugins.len()).filter(|index| is_end(*index)).map(|index| plugins[index].clone()).collect()
}

#[test]
fn the_newest_and_the_oldest_kubectl_do_with_both_ends_of_each_plugin_what_the_check_says() {
    compare(&newest_and_oldest(), &ends(plugins()));
}

#[test]
#[ignore = "two minutes: every kubectl and every plugin; scripts/test --long"]
fn every_kubectl_does_with_every_plugin_what_the_check_says() {
    compare(&kubectls(), &plugins());
}

fn compare(kubectls: &[(String, PathBuf)], plugins: &[(Tool, String, PathBuf)]) {
    let server = ApiStandIn::answering(Certificate::self_signed(&SERVER).server(), |_| {
        Reply::Json(200, json!({"major": "1", "minor": "36", "gitVersion": "v1.36.0"}).to_string())
    });
    let tokens = token_endpoints();
    let pairs: Vec<(PathBuf, Tool, PathBuf)> = kubectls
        .iter()
        .flat_map(|(_, kubectl)| {
            plugins.iter().map(|(tool, _, plugin)| (kubectl.clone(), *tool, plugin.clone()))
        })
        .collect();
    let judge = |(kubectl, tool, plugin): &(PathBuf, Tool, PathBuf)| {
        judge(kubectl, *tool, plugin, Ports { server: server.port, tokens })
    };
    // Two at a time: most of the time is a plugin's own.
    let (left, right) = pairs.split_at(pairs.len() / 2);
    let disagreements: Vec<String> = std::thread::scope(|scope| {
        let other = scope.spawn(|| right.iter().filter_map(judge).collect::<Vec<_>>());
        left.iter().filter_map(judge).chain(other.join().expect("no panic")).collect()
    });
    assert!(disagreements.is_empty(), "of {} pairs:\n{}", pairs.len(), disagreements.join("\n"));
}

/// Where the stand-ins listen.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    pub(super) server: u16,
    pub(super) tokens: u16,
}

/// Where rules, proof and truth do not say the same; `None` where they do.
fn judge(kubectl: &Path, tool: Tool, plugin: &Path, ports: Ports) -> Option<String> {
    let chosen = BTreeMap::from([(Tool::Kubectl, kubectl.to_owned()), (tool, plugin.to_owned())]);
    let asked = [Tool::Kubectl, tool];
    let search = search(&asked, &chosen);
    let found = tooling_check::inventory(&asked, &search);
    let (client, version) = (version(found.get(Tool::Kubectl)?), version(found.get(tool)?));
    let foretold = Rules::embedded().pair(&client, tool, &version);
    let works = |api: ApiVersion| runs(kubectl, tool, plugin, api, ports);
    let any = |all: &[ApiVersion]| all.iter().any(|api| works(*api));
    let truth = match &foretold {
        Pair::Works(api) => works(*api),
        Pair::Never { .. } => any(&ApiVersion::PREFERRED),
        // Nothing was foretold, but what it is tried with.
        Pair::Unknown(api) => works(*api),
    };
    let proved = proved(&found, &search);
    let agrees = match foretold {
        Pair::Works(_) => truth,
        Pair::Never { .. } => !truth,
        Pair::Unknown(_) => true,
    };
    (!agrees || proved.is_ok() != truth).then(|| {
        format!(
            "kubectl {client} with {tool} {version}: foretold {foretold:?}, proved {proved:?}, true {truth}"
        )
    })
}

/// A search for these tools, where they are chosen.
pub(super) fn search<'a>(asked: &'a [Tool], chosen: &'a BTreeMap<Tool, PathBuf>) -> Search<'a> {
    // Nothing here hangs, and the machine may be busy.
    let limit = std::time::Duration::from_secs(120);
    Search { asked, limit, ..Search::new("/usr/bin:/bin".as_ref(), chosen) }
}

pub(super) fn version(finding: &Finding) -> Version {
    match &finding.state {
        State::Usable { version, .. } => version.clone(),
        other => panic!("{} cannot be used: {other:?}", finding.tool),
    }
}

/// Whether the proof succeeds; else its words.
fn proved(found: &Inventory, search: &Search<'_>) -> Result<(), String> {
    let scratch = tempfile::tempdir().expect("a folder");
    let proofs = prove(found, search, scratch.path()).expect("loopback");
    let [proof] = &proofs[..] else { panic!("one plugin, one proof: {proofs:?}") };
    match &proof.outcome {
        Outcome::Accepted => Ok(()),
        Outcome::Failed { .. } => Err(format!("{:?}", proof.outcome)),
        Outcome::Excused { why } => panic!("only kubelogin below 0.2 is excused: {why}"),
    }
}

/// Whether a step with that exec entry reaches the server.
fn runs(kubectl: &Path, tool: Tool, plugin: &Path, api: ApiVersion, ports: Ports) -> bool {
    reaches(kubectl, ("kubectl get --raw /version", None), (tool, plugin, api), ports)
}

/// Whether this command of a step does; a helm is given the kubeconfig of that step, too.
pub(super) fn reaches(
    kubectl: &Path,
    (client, helm): (&str, Option<&Path>),
    (tool, plugin, api): (Tool, &Path, ApiVersion),
    ports: Ports,
) -> bool {
    let (arguments, environment) = login(tool, ports.tokens);
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {
            "server": format!("https://127.0.0.1:{}", ports.server), "insecure-skip-tls-verify": true}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"exec": {
            "apiVersion": api.full_name(), "command": plugin, "args": arguments, "interactiveMode": "Never"}}}],
    });
    let target = "target:\n  server: https://127.0.0.1:1\n  auth: {token: token-of-the-test}\n";
    let import = "target:\n  auth: {kubeconfig: {content: {fromFile: me.kubeconfig}}}\n";
    let payload = step(&format!(
        "{client} >/dev/null 2>client.log && echo reached || {{ cat client.log >&2; echo failed; }}"
    ));
    assert!(payload.contains(target), "{payload}");
    let payload = payload.replace(target, import) + &format!("environment: {}\n", json!(environment));
    let run = Run::new(payload).kubectl(kubectl).file("me.kubeconfig", kubeconfig.to_string());
    let run = helm.into_iter().fold(run, |run, helm| run.tool("helm", helm));
    let done = run.any_output().check();
    match done.stdout.trim_end() {
        "reached" => true,
        // Any other failure would be one of the test's own.
        "failed" if helm.is_none() || done.stderr.contains("client.authentication.k8s.io") => false,
        other => panic!("{other}\n{}", done.stderr),
    }
}

/// How each plugin logs in here.
fn login(tool: Tool, tokens: u16) -> (Vec<&'static str>, BTreeMap<&'static str, String>) {
    let aws = || {
        BTreeMap::from([
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY".to_owned()),
            ("AWS_DEFAULT_REGION", "eu-west-1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ])
    };
    match tool {
        Tool::Aws => (
            vec!["--region", "eu-west-1", "eks", "get-token", "--cluster-name", "c", "--output", "json"],
            aws(),
        ),
        Tool::AwsIamAuthenticator => (vec!["token", "-i", "c", "--region", "eu-west-1"], aws()),
        Tool::Kubelogin => (
            vec!["get-token", "--login", "msi", "--server-id", "6dae42f8-4368-4678-94ff-3960e28e3630"],
            BTreeMap::from([
                ("IDENTITY_ENDPOINT", format!("http://127.0.0.1:{tokens}/msi")),
                ("IDENTITY_HEADER", "header-of-the-test".to_owned()),
            ]),
        ),
        // gcloud hands this one over without asking anybody.
        _ => (vec![], BTreeMap::from([("CLOUDSDK_AUTH_ACCESS_TOKEN", "token-of-the-test-too".to_owned())])),
    }
}

/// A stand-in for the managed identity of Azure's App Service.
pub(super) fn token_endpoints() -> u16 {
    listen(None, |stream| {
        Box::pin(async move {
            let mut stream = BufReader::new(stream);
            head(&mut stream).await?;
            let body = json!({
                "access_token": "token-of-the-test-three", "token_type": "Bearer", "resource": "r",
                "expires_on": (jiff::Timestamp::now().as_second() + 3600).to_string(),
            })
            .to_string();
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length:";
            stream.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await?;
            stream.shutdown().await
        })
    })
}

#[test]
fn an_eks_step_ends_as_the_check_says_with_every_plugin_and_in_both_modes() {
    let server = ApiStandIn::answering(Certificate::self_signed(&SERVER).server(), |_| {
        Reply::Json(200, json!({"major": "1", "minor": "36", "gitVersion": "v1.36.0"}).to_string())
    });
    let plugins =
        plugins().into_iter().filter(|(tool, ..)| matches!(tool, Tool::Aws | Tool::AwsIamAuthenticator));
    for (tool, at, plugin) in plugins {
        for mode in ["broker", "exec"] {
            let auth = json!({"eks": {
                "clusterName": "c", "region": "eu-west-1",
                "plugin": if tool == Tool::Aws { "aws" } else { "aws-iam-authenticator" },
                "credentials": {"accessKey": {
                    "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "secretAccessKey": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"}},
            }});
            let payload = step("kubectl get --raw /version >/dev/null && echo reached")
                .replace("https://127.0.0.1:1", &format!("https://127.0.0.1:{}", server.port))
                .replace("{token: token-of-the-test}", &format!("{auth}\n  insecureSkipTlsVerify: true"))
                + &format!("credentials: {mode}\n");
            let run = Run::new(payload.clone()).tool(tool.name(), &plugin).any_output();
            std::fs::write(run.payload_path(), &payload).expect("written");
            let place = run.payload_path();
            let checked = check(&run, &["-o", "json", place.to_str().expect("text")]);
            let code = checked.status.code().expect("it ended");
            let (status, done) = run.start().end();
            let told = format!(
                "{tool} {at} {mode}: check {code}, run {status}\n{}\n{}",
                report(&checked),
                done.stderr
            );
            match code {
                0 => assert!(status.success() && done.stdout == "reached\n", "{told}"),
                2 => assert_eq!(status.code(), Some(69), "{told}"),
                _ => panic!("{told}"),
            }
        }
    }
}
