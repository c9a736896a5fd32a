//! A login to GKE: the plugin with credentials of the step's own; another account's token and the cluster's place are
//! asked of Google by the agent.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::Proof;
use super::plugin::{Caller, EXEC_INFO, Heard, Task, environment, useless};
use super::renewal::Life;
use super::translation::GOOGLE;
use super::web::{About, ROOM, Service, encoded};
use super::{CredentialError, Grant, Place, answer};
use crate::https::{Content, Login as Bearer, Request};
use crate::payload::gke::{Gke, GkeEndpoint, GoogleCredentials, KeyFile};
use crate::payload::{Step, Text};
use crate::plan::gke::{ARGUMENT, CREDENTIALS_FILE, GkeLogin, SOURCE_FILE, settings};
use crate::plan::{Login, Plan};
use crate::secret::Secret;
use crate::workspace::Workspace;

/// How long a token lives where nobody says; Google's own figure is an hour.
const TOKEN_LIFE: jiff::SignedDuration = jiff::SignedDuration::from_mins(30);

/// What the plugin asks for; an impersonated account's token has the same.
const SCOPES: [&str; 2] =
    ["https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/userinfo.email"];

const IAM_VARIABLE: &str = "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS";

/// Somebody who logs in to GKE, again and again.
pub(super) struct GkeAccount<'a> {
    gke: &'a Gke,
    login: &'a GkeLogin,
    step: &'a Step,
    workspace: &'a Workspace,
    /// Whether the agent asks the plugin itself.
    is_brokered: bool,
    /// The token of now, with which the cluster is looked up.
    token: Option<Secret>,
}

/// A token, and when it ends.
struct Token {
    secret: Secret,
    until: Option<Timestamp>,
}

impl<'a> GkeAccount<'a> {
    pub(super) fn new(gke: &'a Gke, login: &'a GkeLogin, plan: &'a Plan, workspace: &'a Workspace) -> Self {
        let is_brokered = matches!(plan.login, Login::Broker(_));
        Self { gke, login, step: &plan.step, workspace, is_brokered, token: None }
    }

    /// The files that last as long as the step.
    pub(super) fn files(&self) -> Vec<(&'static str, String)> {
        let file = match &self.gke.credentials {
            GoogleCredentials::Key(file) | GoogleCredentials::External(file) => file,
            GoogleCredentials::VmServiceAccount => return Vec::new(),
        };
        let source = file.document.expose().to_owned();
        match &self.gke.impersonate {
            None => vec![(CREDENTIALS_FILE, source)],
            Some(account) => {
                let external = matches!(self.gke.credentials, GoogleCredentials::External(_));
                let credentials = self.impersonating(file, account, external);
                vec![(SOURCE_FILE, source), (CREDENTIALS_FILE, credentials.to_string())]
            }
        }
    }

    /// Application default credentials of another account. An external account names it by itself.
    fn impersonating(&self, file: &KeyFile, account: &str, is_external: bool) -> Value {
        let url = format!("{}{}", self.iam(), path_of(account));
        if is_external {
            let mut document = file.value();
            document["service_account_impersonation_url"] = url.into();
            return document;
        }
        json!({
            "type": "impersonated_service_account",
            "service_account_impersonation_url": url,
            "delegates": [],
            "source_credentials": file.value(),
        })
    }

    fn iam(&self) -> &str {
        let given = self.step.operator.get(IAM_VARIABLE).map(Text::expose);
        given.unwrap_or("https://iamcredentials.googleapis.com").trim_end_matches('/')
    }

    /// Logs in. Where kubectl does so by itself, a token is needed for the cluster's place only.
    pub(super) async fn obtain(&mut self, caller: &Caller<'_>) -> Result<Grant, CredentialError> {
        let mut grant = Grant::default();
        if !self.is_brokered && self.step.target.server.is_some() {
            return Ok(grant);
        }
        let (mut token, heard) = self.of_plugin(caller).await?;
        drop(caller.masker.add([&token.secret]));
        grant.heard.push(heard);
        if let Some(account) = &self.login.impersonate {
            token = self.of_other(account, token, caller).await?;
            drop(caller.masker.add([&token.secret]));
        }
        self.token = Some(token.secret.clone());
        grant.secrets.push(token.secret.clone());
        if self.is_brokered {
            let now = Timestamp::now();
            let until = token.until.or_else(|| now.checked_add(TOKEN_LIFE).ok()).unwrap_or(now);
            grant.life = Some(Life { since: now, until });
            grant.proof = Some(Proof::Token(token.secret));
        }
        Ok(grant)
    }

    /// Whether the machine has an account, where that is the one: the plugin would ask for it without a word until
    /// its time is up.
    async fn look_at_machine(&self, caller: &Caller<'_>) -> Result<(), CredentialError> {
        let GoogleCredentials::VmServiceAccount = self.gke.credentials else { return Ok(()) };
        let variable = "GCE_METADATA_HOST";
        let host = self.step.operator.get(variable).map(Text::expose).unwrap_or("169.254.169.254");
        let (name, url) = ("the machine's metadata server", format!("http://{host}"));
        let absent = Some((
            "the machine has no service account",
            "attach one to the machine, or use serviceAccountKey",
        ));
        let about = About { name, url: &url, variable, troubles: GOOGLE, is_link: true, absent };
        let mut request =
            Request::get("/computeMetadata/v1/instance/service-accounts/default/?recursive=true");
        request.headers.push(("metadata-flavor", Secret::new("Google".into())));
        let service = Service::new(self.step, about, &Bearer::None)?;
        service.ask(caller, "find the machine's account", &request).await.map(drop)
    }

    async fn of_plugin(&self, caller: &Caller<'_>) -> Result<(Token, Heard), CredentialError> {
        self.look_at_machine(caller).await?;
        if let GoogleCredentials::External(file) = &self.gke.credentials
            && let Some(path) = file.value().pointer("/credential_source/file").and_then(Value::as_str)
        {
            caller.mask_file(Path::new(path));
        }
        let folders = self.workspace.folders();
        let mut environment: BTreeMap<String, String> = environment(self.step, &folders.temporary());
        for (name, value) in settings(self.gke, self.step) {
            environment.insert(name.to_owned(), value.resolved(&folders.private));
        }
        environment.insert("KUBERNETES_EXEC_INFO".into(), EXEC_INFO.into());
        let plugin = &self.login.program;
        let arguments = vec![ARGUMENT.to_owned()];
        let printed =
            caller.run(Task { plugin, aim: "log in", arguments, environment, troubles: GOOGLE }).await?;
        let answer =
            answer::read(&printed.stdout, Timestamp::now()).map_err(|fault| useless(plugin, fault))?;
        match answer.proof {
            Proof::Token(secret) => Ok((Token { secret, until: answer.until }, printed.heard)),
            Proof::Certificate { .. } => Err(useless(plugin, answer::Fault::NothingUsable)),
        }
    }

    /// Has Google change a token for another account's.
    async fn of_other(
        &self,
        account: &str,
        token: Token,
        caller: &Caller<'_>,
    ) -> Result<Token, CredentialError> {
        let aim = "impersonate the service account";
        let name = "Google's IAM Credentials API";
        let url = self.iam();
        let about =
            About { name, url, variable: IAM_VARIABLE, troubles: GOOGLE, is_link: false, absent: None };
        let service = Service::new(self.step, about, &Bearer::Bearer(token.secret))?;
        let order = json!({"scope": SCOPES, "lifetime": "3600s"});
        let request = Request::post(path_of(account), Content::Json(order.to_string()));
        let answer = service.ask(caller, aim, &request).await?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let until = text("expireTime").and_then(|time| time.parse().ok());
        match text("accessToken") {
            Some(token) if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Token { secret: Secret::new(token.to_owned()), until })
            }
            _ => Err(CredentialError {
                message: format!("could not {aim} at {name}: its answer holds no token"),
                hint: Some(format!("check the agent's HTTPS_PROXY and {IAM_VARIABLE}")),
            }),
        }
    }

    /// Finds the cluster.
    pub(super) async fn find(&self, caller: &Caller<'_>) -> Result<Place, CredentialError> {
        let part = |part: &Option<String>| encoded(part.as_deref().unwrap_or_default());
        let (project, location) = (part(&self.gke.project), part(&self.gke.location));
        let cluster = part(&self.gke.cluster_name);
        let path = format!("/v1/projects/{project}/locations/{location}/clusters/{cluster}");
        let variable = "CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER";
        let given = self.step.operator.get(variable).map(Text::expose);
        let url = given.unwrap_or("https://container.googleapis.com");
        let name = "Google's container API";
        let about = About { name, url, variable, troubles: GOOGLE, is_link: false, absent: None };
        let login = self.token.clone().map_or(Bearer::None, Bearer::Bearer);
        let request = Request::get(path).with_room(ROOM);
        let answer =
            Service::new(self.step, about, &login)?.ask(caller, "look at the cluster", &request).await?;
        place(&answer, self.gke.endpoint)
    }
}

fn path_of(account: &str) -> String {
    format!("/v1/projects/-/serviceAccounts/{account}:generateAccessToken")
}

/// The endpoint that was asked for, in what the container API says of a cluster.
fn place(cluster: &Value, endpoint: GkeEndpoint) -> Result<Place, CredentialError> {
    let text =
        |pointer: &str| cluster.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    let is_off = |pointer: &str| cluster.pointer(pointer).and_then(Value::as_bool) == Some(false);
    let state = text("/status").unwrap_or_default();
    let ips = "/controlPlaneEndpointsConfig/ipEndpointsConfig";
    let dns = "/controlPlaneEndpointsConfig/dnsEndpointConfig";
    let host = match endpoint {
        GkeEndpoint::Public if is_off(&format!("{ips}/enablePublicEndpoint")) => None,
        GkeEndpoint::Public => text(&format!("{ips}/publicEndpoint"))
            .or_else(|| text("/privateClusterConfig/publicEndpoint"))
            .or_else(|| text("/endpoint")),
        GkeEndpoint::Private => {
            text(&format!("{ips}/privateEndpoint")).or_else(|| text("/privateClusterConfig/privateEndpoint"))
        }
        GkeEndpoint::Dns if is_off(&format!("{dns}/allowExternalTraffic")) => None,
        GkeEndpoint::Dns => text(&format!("{dns}/endpoint")),
    };
    let server = host.map(|host| format!("https://{host}")).filter(|server| super::is_server(server));
    if let "PROVISIONING" | "STOPPING" = state {
        let what = if state == "STOPPING" { "being deleted" } else { "still being made" };
        return Err(CredentialError {
            message: format!("the cluster is {what} ({state})"),
            hint: Some("see gcloud container clusters list".into()),
        });
    }
    let pem = text("/masterAuth/clusterCaCertificate").and_then(|data| STANDARD.decode(data).ok());
    let pem = pem.and_then(|pem| String::from_utf8(pem).ok()).filter(|pem| pem.contains("BEGIN CERTIFICATE"));
    match (server, endpoint, pem) {
        // Everybody believes that one's certificate, which is not the cluster's own.
        (Some(server), GkeEndpoint::Dns, _) => Ok(Place { server, certificate_authority: None }),
        (Some(server), _, Some(pem)) => Ok(Place { server, certificate_authority: Some(pem) }),
        (None, ..) => Err(CredentialError {
            message: format!("the cluster has no {} endpoint that can be used", endpoint.word()),
            hint: Some(match endpoint {
                GkeEndpoint::Public => "set endpoint to private or dns, or give the cluster a public one",
                GkeEndpoint::Private => "set endpoint to public or dns",
                GkeEndpoint::Dns => {
                    "enable it: gcloud container clusters update CLUSTER --enable-dns-access, or set endpoint to public"
                }
            }.into()),
        }),
        (Some(_), _, None) => Err(CredentialError {
            message: "Google's container API names no certificate of the cluster".into(),
            hint: Some("set target.server and target.certificateAuthority".into()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::place;
    use crate::payload::gke::GkeEndpoint;
    use serde_json::{Value, json};

    fn cluster() -> Value {
        json!({
            "status": "RUNNING",
            "endpoint": "203.0.113.1",
            "masterAuth": {"clusterCaCertificate": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"},
            "privateClusterConfig": {"privateEndpoint": "10.0.0.2", "publicEndpoint": "203.0.113.1"},
            "controlPlaneEndpointsConfig": {
                "dnsEndpointConfig": {"endpoint": "gke-1.europe-west4.gke.goog", "allowExternalTraffic": true},
            },
        })
    }

    fn of(cluster: &Value, endpoint: GkeEndpoint) -> Result<(String, bool), String> {
        let found = place(cluster, endpoint);
        found
            .map(|found| (found.server, found.certificate_authority.is_some()))
            .map_err(|error| error.message)
    }

    #[test]
    fn each_endpoint_has_its_host_and_the_name_needs_no_authority() {
        for (endpoint, server, has_authority) in [
            (GkeEndpoint::Public, "https://203.0.113.1", true),
            (GkeEndpoint::Private, "https://10.0.0.2", true),
            (GkeEndpoint::Dns, "https://gke-1.europe-west4.gke.goog", false),
        ] {
            assert_eq!(of(&cluster(), endpoint), Ok((server.to_owned(), has_authority)));
        }
    }

    #[test]
    fn an_endpoint_that_is_off_is_not_there() {
        let mut cluster = cluster();
        cluster["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["allowExternalTraffic"] = json!(false);
        cluster["controlPlaneEndpointsConfig"]["ipEndpointsConfig"] =
            json!({"enablePublicEndpoint": false, "publicEndpoint": "203.0.113.1"});
        for (endpoint, name) in [(GkeEndpoint::Public, "public"), (GkeEndpoint::Dns, "dns")] {
            let told = format!("the cluster has no {name} endpoint that can be used");
            assert_eq!(of(&cluster, endpoint), Err(told));
        }
        cluster["endpoint"] = json!("evil@host");
        assert!(of(&json!({"endpoint": "evil@host"}), GkeEndpoint::Public).is_err());
        cluster["status"] = json!("STOPPING");
        assert_eq!(of(&cluster, GkeEndpoint::Private), Err("the cluster is being deleted (STOPPING)".into()));
    }
}
