//! What a queue has to know of a step: which workers can run it, and beside which others.

use std::collections::{BTreeMap, BTreeSet};

use crate::commands::queue::Failure;
use crate::payload::eks::EksPlugin;
use crate::payload::{Auth, ByValue, ConcurrencyKey, Credentials, Step};
use crate::queue::{Envelope, Needs, Retry, StepId, checked_pool};

/// The pool that was typed.
pub(super) fn pool(text: &str) -> Result<String, Failure> {
    Ok(checked_pool(text)?.to_owned())
}

/// The labels that were typed.
pub(super) fn labels(typed: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let wrong = || Failure::Value { name: "--label", expected: "expected NAME=VALUE, each name once".into() };
    let mut labels = BTreeMap::new();
    for label in typed {
        let (name, value) = crate::cli::label(label).map_err(|_| wrong())?;
        if labels.insert(name, value).is_some() {
            return Err(wrong());
        }
    }
    Ok(labels)
}

pub(super) fn envelope(
    sent: ByValue,
    id: StepId,
    pool: String,
    labels: BTreeMap<String, String>,
) -> Envelope {
    let step = sent.step;
    let queueing = &step.queueing;
    Envelope {
        concurrency_key: key(&step, &pool),
        needs: Needs { capabilities: capabilities(&step), labels },
        not_before: queueing.not_before,
        not_after: queueing.not_after,
        retry: Retry { on_lost: queueing.retry_on_lost, on_failure: queueing.retry_on_failure },
        id,
        pool,
        name: step.name,
        payload: sent.document,
    }
}

/// Words of `tooling-check --capabilities`, and tools by their names; workers offer both.
fn capabilities(step: &Step) -> BTreeSet<String> {
    let mut needs: BTreeSet<String> = BTreeSet::new();
    // A tool that the payload names by its path is looked for there, and a worker need not have another one.
    let has_path = |name: &str| step.tools.contains_key(name);
    if !has_path("kubectl") && !has_path("bash") {
        needs.insert("kubernetes".into());
    }
    let tools = step.requires.iter().filter(|name| !has_path(name));
    needs.extend(tools.map(|name| (*name).to_owned()));
    let by_exec = step.credentials == Credentials::Exec;
    let word = |plain: &str, plugins: &[&str]| match plugins.iter().any(|plugin| has_path(plugin)) {
        true => None,
        false if by_exec => Some(format!("{plain}-exec")),
        false => Some(plain.to_owned()),
    };
    match &step.target.auth {
        Auth::Eks(eks) => {
            let plugin = match eks.plugin {
                EksPlugin::Auto => None,
                EksPlugin::Aws => Some("aws"),
                EksPlugin::Authenticator => Some("aws-iam-authenticator"),
            };
            needs.extend(word("eks", &["aws", "aws-iam-authenticator"]));
            needs.extend(plugin.filter(|plugin| !has_path(plugin)).map(str::to_owned));
        }
        // Its administrator needs no plugin, nor does a cluster without Entra, which only its provider knows.
        Auth::Aks(aks) if !aks.admin && step.target.server.is_some() => {
            needs.extend(word("aks-entra", &["kubelogin"]));
        }
        Auth::Gke(_) => needs.extend(word("gke", &["gke-gcloud-auth-plugin"])),
        Auth::Aks(_)
        | Auth::Token(_)
        | Auth::UsernamePassword { .. }
        | Auth::ClientCertificate { .. }
        | Auth::ServiceAccount { .. }
        | Auth::InCluster { .. }
        | Auth::Kubeconfig(_) => {}
    }
    needs
}

/// By default, steps for the same namespace of the same cluster come one after another.
fn key(step: &Step, pool: &str) -> Option<String> {
    match &step.queueing.concurrency_key {
        ConcurrencyKey::Free => None,
        ConcurrencyKey::Named(key) => Some(key.clone()),
        ConcurrencyKey::Target => Some(format!("{} {}", cluster(step, pool), step.target.namespace)),
    }
}

/// The cluster as all that is known of it here: its server, else its name at its provider.
fn cluster(step: &Step, pool: &str) -> String {
    let named = |parts: &[Option<&str>]| parts.iter().flatten().copied().collect::<Vec<_>>().join("/");
    match (&step.target.auth, &step.target.server) {
        (Auth::InCluster { .. }, _) => format!("inCluster/{pool}"),
        (_, Some(server)) => server.trim_end_matches('/').to_ascii_lowercase(),
        (Auth::Eks(eks), None) => named(&[Some("eks"), Some(&eks.region.name), Some(&eks.cluster_name)]),
        (Auth::Aks(aks), None) => {
            let cluster = aks.cluster.as_ref();
            let parts =
                cluster.map(|cluster| [&cluster.subscription_id, &cluster.resource_group, &cluster.name]);
            let parts = parts.into_iter().flatten().map(|part| Some(part.as_str()));
            named(&std::iter::once(Some("aks")).chain(parts).collect::<Vec<_>>())
        }
        (Auth::Gke(gke), None) => named(&[
            Some("gke"),
            gke.project.as_deref(),
            gke.location.as_deref(),
            gke.cluster_name.as_deref(),
        ]),
        (auth, None) => auth.method().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{envelope, labels, pool};
    use crate::payload::{Origin, Policy, Surroundings, load_by_value};
    use crate::queue::{Envelope, StepId};
    use std::collections::BTreeMap;

    fn of(target: &str, more: &str) -> Envelope {
        let payload = format!(
            "apiVersion: kubestep/v1\nkind: Step\nmetadata: {{name: deploy}}\nscript: {{body: a}}\n\
             target: {{{target}}}\n{more}"
        );
        let surroundings = Surroundings {
            environment: BTreeMap::new(),
            folder: "/".into(),
            service_account_folder: "/none".into(),
            now: "2026-11-24T10:00:00Z".parse().expect("a time"),
            origin: Origin::Submitted,
            policy: Policy::default(),
            queued: false,
        };
        let sent = load_by_value(payload.as_bytes(), "step", &surroundings);
        let sent = sent.unwrap_or_else(|problems| unreachable!("{problems}"));
        let id = StepId::try_from("one".to_owned()).expect("an id");
        envelope(sent, id, "p".into(), BTreeMap::new())
    }

    const EKS: &str = "eks: {clusterName: c, region: eu-central-1, credentials: {accessKey: \
        {accessKeyId: AKIAIOSFODNN7EXAMPLE, secretAccessKey: hunter22}}";

    #[test]
    fn a_step_needs_what_logs_it_in_and_what_it_requires() {
        let server = "server: 'https://c:6443', namespace: shop";
        let id = "11111111-2222-3333-4444-555555555555";
        let entra = format!("tenantId: {id}, clientId: {id}, clientSecret: hunter22");
        let token = format!("{server}, auth: {{token: hunter22}}");
        let whole = format!("clusterName: c, resourceGroup: g, subscriptionId: {id}");
        for (target, more, expected) in [
            (token.clone(), "", "kubernetes"),
            (token.clone(), "requires: [helm, jq]", "helm jq kubernetes"),
            (token.clone(), "requires: [helm]\ntools: {helm: /opt/helm}", "kubernetes"),
            (token, "tools: {kubectl: /opt/kubectl}", ""),
            (format!("{server}, auth: {{{EKS}}}}}"), "", "eks kubernetes"),
            (format!("{server}, auth: {{{EKS}, plugin: aws}}}}"), "", "aws eks kubernetes"),
            (format!("{server}, auth: {{{EKS}}}}}"), "credentials: exec", "eks-exec kubernetes"),
            (format!("{server}, auth: {{aks: {{{entra}}}}}"), "", "aks-entra kubernetes"),
            (format!("auth: {{aks: {{{whole}, {entra}}}}}"), "", "kubernetes"),
            (format!("{server}, auth: {{gke: {{vmServiceAccount: {{}}}}}}"), "", "gke kubernetes"),
        ] {
            let needs = of(&target, more).needs.capabilities;
            assert_eq!(needs.into_iter().collect::<Vec<_>>().join(" "), expected, "{target} {more}");
        }
    }

    #[test]
    fn one_step_of_a_namespace_at_a_time_unless_the_payload_says_otherwise() {
        let token = "auth: {token: hunter22}";
        let key = |target: &str, more: &str| of(target, more).concurrency_key;
        let server = |server: &str| format!("server: '{server}', {token}");
        assert_eq!(key(&server("https://C:6443/"), "").as_deref(), Some("https://c:6443 default"));
        assert_eq!(key(&server("https://c:6443"), "concurrencyKey: shop").as_deref(), Some("shop"));
        assert_eq!(key(&server("https://c:6443"), "concurrencyKey: none"), None);
        assert_eq!(key(&format!("auth: {{{EKS}}}}}"), "").as_deref(), Some("eks/eu-central-1/c default"));
        assert_eq!(key("namespace: shop, auth: {inCluster: {}}", "").as_deref(), Some("inCluster/p shop"));
    }

    #[test]
    fn a_pool_and_labels_are_names() {
        assert_eq!(pool("prod-1").expect("a pool"), "prod-1");
        assert!(["", "a.b", "*", &"p".repeat(65)].iter().all(|text| pool(text).is_err()));
        let read = labels(&["region=east".into(), "zone=a=b".into()]).expect("labels");
        assert_eq!(
            read.into_iter().collect::<Vec<_>>(),
            [("region".to_owned(), "east".to_owned()), ("zone".to_owned(), "a=b".to_owned())]
        );
        for wrong in [&["region"][..], &["=a"], &["a=1", "a=2"]] {
            let wrong: Vec<String> = wrong.iter().map(|text| (*text).to_owned()).collect();
            assert!(labels(&wrong).is_err(), "{wrong:?}");
        }
    }
}
