//! A login to AKS: by kubelogin, or with what the management API hands out.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::answer::Proof;
use super::entra::{management, management_token};
use super::plugin::{Caller, EXEC_INFO, Task, environment, useless};
use super::renewal::Life;
use super::translation::AZURE;
use super::web::{About, ROOM, Service, encoded};
use super::{CredentialError, Grant, Place, answer};
use crate::https::{Content, Login as Bearer, Request};
use crate::payload::aks::{Aks, AksCluster, AzureCredentials};
use crate::payload::{Handout, HandoutUser, Step, Text, WebToken};
use crate::plan::aks::{AksLogin, AksWay, CERTIFICATE_FILE, TOKEN_FILE, arguments, settings};
use crate::plan::{Login, Plan, Plugin};
use crate::workspace::Workspace;

/// How long a token lives where kubelogin does not say; Entra's own figure is an hour and more.
const TOKEN_LIFE: jiff::SignedDuration = jiff::SignedDuration::from_mins(30);

/// How long a look at the cluster's state is waited for: only its words depend on it.
const LOOK_PATIENCE: Duration = Duration::from_secs(5);

/// The version of the management API that is spoken.
const API: &str = "api-version=2024-02-01";

/// Somebody who logs in to AKS, again and again.
pub(super) struct AksAccount<'a> {
    aks: &'a Aks,
    login: &'a AksLogin,
    step: &'a Step,
    workspace: &'a Workspace,
    /// Whether the agent asks kubelogin itself.
    is_brokered: bool,
    /// What the management API said of the cluster.
    found: Option<Found>,
}

/// A cluster, as the management API tells of it.
struct Found {
    server: String,
    certificate_authority: Option<String>,
    /// Whether it wants a login of Entra.
    is_entra: bool,
}

/// Whose kubeconfig is handed out.
#[derive(Clone, Copy)]
enum Whose {
    Admin,
    User,
}

impl<'a> AksAccount<'a> {
    pub(super) fn new(aks: &'a Aks, login: &'a AksLogin, plan: &'a Plan, workspace: &'a Workspace) -> Self {
        let is_brokered = matches!(plan.login, Login::Broker(_));
        Self { aks, login, step: &plan.step, workspace, is_brokered, found: None }
    }

    /// The files that last as long as the step.
    pub(super) fn files(&self) -> Vec<(&'static str, String)> {
        match &self.aks.credentials {
            AzureCredentials::Certificate(one) => {
                let key = one.private_key.expose().trim_end();
                vec![(CERTIFICATE_FILE, format!("{key}\n{}", one.certificate))]
            }
            AzureCredentials::Federated(WebToken::Given(token)) => {
                vec![(TOKEN_FILE, token.expose().to_owned())]
            }
            AzureCredentials::Secret(_)
            | AzureCredentials::Federated(WebToken::File { .. })
            | AzureCredentials::ManagedIdentity => Vec::new(),
        }
    }

    /// Logs in.
    pub(super) async fn obtain(&mut self, caller: &Caller<'_>) -> Result<Grant, CredentialError> {
        if let AzureCredentials::Federated(WebToken::File { path, .. }) = &self.aks.credentials {
            caller.mask_file(path);
        }
        match &self.login.way {
            AksWay::Admin => self.with_handout(caller, Whose::Admin).await,
            AksWay::Entra(plugin) => self.with_kubelogin(plugin, caller).await,
            AksWay::AsFound(plugin) => {
                if !self.found.as_ref().is_some_and(|found| found.is_entra) {
                    let grant = self.with_handout(caller, Whose::User).await?;
                    if grant.proof.is_some() {
                        return Ok(grant);
                    }
                }
                let Some(plugin) = plugin else {
                    return Err(CredentialError {
                        message: "the cluster wants a login of Entra, and kubelogin cannot be used".into(),
                        hint: Some(
                            "install kubelogin: https://azure.github.io/kubelogin/install.html".into(),
                        ),
                    });
                };
                self.with_kubelogin(plugin, caller).await
            }
        }
    }

    /// Where the cluster is.
    pub(super) fn find(&self) -> Result<Place, CredentialError> {
        let found = self.found.as_ref().map(|found| Place {
            server: found.server.clone(),
            certificate_authority: found.certificate_authority.clone(),
        });
        found.ok_or_else(|| CredentialError {
            message: "nobody knows where the cluster is".into(),
            hint: Some("set target.server".into()),
        })
    }

    async fn with_kubelogin(&self, plugin: &Plugin, caller: &Caller<'_>) -> Result<Grant, CredentialError> {
        if !self.is_brokered {
            return Ok(Grant::default());
        }
        let printed = caller.run(self.get_token(plugin)).await?;
        let now = Timestamp::now();
        let answer = answer::read(&printed.stdout, now).map_err(|fault| useless(plugin, fault))?;
        let until = answer.until.or_else(|| now.checked_add(TOKEN_LIFE).ok()).unwrap_or(now);
        let life = Some(Life { since: now, until });
        Ok(Grant { proof: Some(answer.proof), life, heard: vec![printed.heard], ..Grant::default() })
    }

    fn get_token(&self, plugin: &'a Plugin) -> Task<'a> {
        let private = &self.workspace.folders().private;
        let mut environment: BTreeMap<String, String> =
            environment(self.step, &self.workspace.folders().temporary());
        for (name, value) in settings(self.aks, self.step) {
            environment.insert(name.to_owned(), value.resolved(private));
        }
        environment.insert("KUBERNETES_EXEC_INFO".into(), EXEC_INFO.into());
        // Its cache goes by directory and application and not by their proof: there must be no place for one.
        for name in ["HOME", "XDG_CACHE_HOME"] {
            environment.insert(name.into(), "/dev/null".into());
        }
        let arguments = arguments(self.aks, self.login, self.step);
        let arguments = arguments.iter().map(|argument| argument.resolved(private)).collect();
        Task { plugin, aim: "log in", arguments, environment, troubles: AZURE }
    }

    /// Has the management API hand a kubeconfig out, and takes what is in it; no proof is in one that names kubelogin.
    async fn with_handout(&mut self, caller: &Caller<'_>, whose: Whose) -> Result<Grant, CredentialError> {
        let Handout { server, certificate_authority, user, secrets } = self.handout(caller, whose).await?;
        let is_entra = matches!(user, HandoutUser::Plugin(_));
        let mut grant = Grant { secrets, ..Grant::default() };
        let odd = |message: String| CredentialError {
            message,
            hint: Some("set target.server and target.certificateAuthority".into()),
        };
        match user {
            HandoutUser::Certificate { certificate, private_key } => {
                let now = Timestamp::now();
                grant.life = end_of(&certificate).map(|until| Life { since: now, until });
                if grant.life.is_some_and(|life| life.until <= now) {
                    let hint = "rotate them: az aks rotate-certs";
                    let message = "the certificate that AKS hands out has ended".into();
                    return Err(CredentialError { message, hint: Some(hint.into()) });
                }
                grant.proof = Some(Proof::Certificate { certificate, private_key });
            }
            HandoutUser::Token(token) => grant.proof = Some(Proof::Token(token)),
            HandoutUser::Plugin(command) => {
                let name = command.rsplit('/').next().unwrap_or_default();
                // `azure` is the provider that kubelogin has taken the place of.
                if !["kubelogin", "azure"].contains(&name) || matches!(whose, Whose::Admin) {
                    return Err(odd(
                        "the kubeconfig that AKS hands out names another plugin than kubelogin, which is not run".into(),
                    ));
                }
            }
            HandoutUser::Unknown => {
                return Err(odd("the kubeconfig that AKS hands out has no login that is known".into()));
            }
        }
        self.found = Some(Found { server, certificate_authority, is_entra });
        Ok(grant)
    }

    async fn handout(&self, caller: &Caller<'_>, whose: Whose) -> Result<Handout, CredentialError> {
        let Some(cluster) = &self.aks.cluster else {
            let message = "nobody knows which cluster of AKS is meant".into();
            return Err(CredentialError { message, hint: Some("set clusterName and resourceGroup".into()) });
        };
        let token = management_token(self.aks, self.step, caller).await?;
        let variable = "AZURE_RESOURCE_MANAGER_ENDPOINT";
        let given = self.step.operator.get(variable).map(Text::expose);
        let url = given.unwrap_or_else(|| management(self.aks.environment));
        let name = "Azure's management API";
        let about = About { name, url, variable, troubles: AZURE, is_link: false, absent: None };
        let service = Service::new(self.step, about, &Bearer::Bearer(token))?;
        let path = path_of(cluster);
        let (aim, act) = match whose {
            Whose::Admin => ("have the cluster's administrator", "listClusterAdminCredential"),
            Whose::User => ("look at the cluster", "listClusterUserCredential"),
        };
        let list = Request::post(format!("{path}/{act}?{API}"), Content::Empty).with_room(ROOM);
        let look = Request::get(format!("{path}?{API}")).with_room(ROOM);
        // The one does not say that a cluster is stopped, and the other may be forbidden.
        let look = tokio::time::timeout(LOOK_PATIENCE, service.ask(caller, "look at the cluster", &look));
        let (listed, looked) = tokio::join!(service.ask(caller, aim, &list), look);
        let power = looked.ok().and_then(Result::ok).and_then(|about| {
            Some(about.pointer("/properties/powerState/code").and_then(Value::as_str)?.to_owned())
        });
        if power.as_deref() == Some("Stopped") {
            return Err(CredentialError {
                message: format!("the cluster {} is stopped", cluster.name),
                hint: Some(format!(
                    "start it: az aks start -g {} -n {}",
                    cluster.resource_group, cluster.name
                )),
            });
        }
        let listed = listed?;
        let text = listed.pointer("/kubeconfigs/0/value").and_then(Value::as_str);
        let text = text.and_then(|text| STANDARD.decode(text).ok());
        let handout = text.and_then(|text| Handout::read(&text)).filter(|one| super::is_server(&one.server));
        handout.ok_or_else(|| CredentialError {
            message: format!("could not {aim} at {name}: its answer holds no kubeconfig that can be used"),
            hint: Some("set target.server and target.certificateAuthority".into()),
        })
    }
}

fn path_of(cluster: &AksCluster) -> String {
    format!(
        "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.ContainerService/managedClusters/{}",
        encoded(&cluster.subscription_id),
        encoded(&cluster.resource_group),
        encoded(&cluster.name)
    )
}

/// When a certificate ends.
fn end_of(pem: &str) -> Option<Timestamp> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}
