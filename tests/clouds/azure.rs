//! AKS: tokens of every kubelogin, and the management API.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{ask, ask_json, bearer, is_nobody, plugin, seen, token};
use crate::harness::azure::{App, Azure, FEDERATION, SERVER_ID};
use crate::harness::clouds::{Clouds, clouds};
use crate::harness::cluster::cluster;
use crate::harness::tools::{tool, tools};
use crate::harness::whoami::expected;

/// kubelogin's `get-token`.
struct Login<'a> {
    clouds: &'a Clouds,
    azure: &'a Azure,
    kubelogin: &'a Path,
}

impl Login<'_> {
    fn with(
        &self,
        app: &App,
        more: &[&str],
        environment: &[(&'static str, String)],
    ) -> Result<Value, String> {
        let (tenant, client) = (self.azure.tenant.as_str(), app.client.as_str());
        let ids = ["--server-id", SERVER_ID, "--tenant-id", tenant, "--client-id", client];
        let mut all = self.clouds.environment();
        all.extend(environment.iter().cloned());
        plugin(self.kubelogin, &[&["get-token"][..], &ids, more].concat(), &all)
    }

    fn by_secret(&self, app: &App, secret: &str) -> Result<Value, String> {
        // The oldest knows the second name only.
        let names = ["AZURE_CLIENT_SECRET", "AAD_SERVICE_PRINCIPAL_CLIENT_SECRET"];
        self.with(app, &["-l", "spn"], &names.map(|name| (name, secret.to_owned())))
    }

    fn by_workload(&self, app: &App, file: &Path, token: &str) -> Result<Value, String> {
        std::fs::write(file, token).expect("written");
        let file = file.to_string_lossy();
        let authority = ["--authority-host", "https://login.microsoftonline.com/"];
        let more = [&["-l", "workloadidentity", "--federated-token-file", &file][..], &authority].concat();
        self.with(app, &more, &[])
    }

    fn by_certificate(&self, app: &App, file: &Path) -> Result<Value, String> {
        self.with(app, &["-l", "spn", "--client-certificate", &file.to_string_lossy()], &[])
    }
}

/// From 0.2 on: PEM certificates and App Service's managed identity.
fn newer() -> Vec<(String, PathBuf)> {
    tools("kubelogin").into_iter().filter(|(version, _)| version.starts_with("0.2.")).collect()
}

#[test]
fn every_kubelogin_s_token_is_its_application() {
    let (Some(cluster), Some(clouds)) = (cluster(), clouds()) else { return };
    let azure = clouds.azure();
    let app = azure.app_with(json!({"subjects": ["repo:shop"]}));
    let folder = tempfile::tempdir().expect("a folder");
    let found = tools("kubelogin");
    assert!(found.len() >= 5, "run scripts/tools: {found:?}");
    for (version, path) in &found {
        let login = Login { clouds, azure: &azure, kubelogin: path };
        let workload = clouds.workload_token("repo:shop", FEDERATION, 600);
        let answers = [
            login.by_secret(&app, &app.secret),
            login.by_workload(&app, &folder.path().join("t"), &workload),
        ];
        for answer in answers {
            let answer = answer.unwrap_or_else(|words| panic!("kubelogin {version}: {words}"));
            assert_eq!(seen(cluster, &token(&answer)), expected(&app.object, &["entra-users"]), "{version}");
        }
    }
}

#[test]
fn a_certificate_and_a_managed_identity_are_their_application() {
    let Some(clouds) = clouds() else { return };
    let azure = clouds.azure();
    let (app, other) =
        (azure.app_with(json!({"certificate": true})), azure.app_with(json!({"certificate": true})));
    let folder = tempfile::tempdir().expect("a folder");
    let (mine, theirs) = (folder.path().join("mine.pem"), folder.path().join("theirs.pem"));
    std::fs::write(&mine, &app.pem).expect("written");
    std::fs::write(&theirs, &other.pem).expect("written");
    assert!(STANDARD.decode(&app.pfx).is_ok_and(|pfx| pfx[0] == 0x30) && !app.pfx_password.is_empty());
    for (version, path) in newer() {
        let login = Login { clouds, azure: &azure, kubelogin: &path };
        let name = |answer: Result<Value, String>| {
            clouds.judge(&token(&answer.unwrap_or_else(|words| panic!("{version}: {words}"))))["user"]["username"].clone()
        };
        assert_eq!(name(login.by_certificate(&app, &mine)), app.object.as_str());
        assert!(login.by_certificate(&app, &theirs).expect_err("refused").contains("AADSTS700027"));
        let identity = login.with(&app, &["-l", "msi"], &azure.identity(&app));
        assert_eq!(name(identity), app.object.as_str());
    }
}

#[test]
fn entra_refuses_in_its_own_words() {
    let Some(clouds) = clouds() else { return };
    let Some(path) = tool("kubelogin", "0.2") else { return };
    let (azure, elsewhere) = (clouds.azure(), clouds.azure());
    let app = azure.app_with(json!({"subjects": ["repo:shop"]}));
    let ended = azure.app_with(json!({"secret_ended": true}));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let login = Login { clouds, azure: &azure, kubelogin: &path };
    let other = Login { clouds, azure: &elsewhere, kubelogin: &path };
    let workload = |subject: &str, lifetime| {
        login.by_workload(&app, &file, &clouds.workload_token(subject, FEDERATION, lifetime))
    };
    let stranger = elsewhere.app();
    let cases = [
        (login.by_secret(&app, "wrong"), "AADSTS7000215"),
        (login.by_secret(&ended, &ended.secret), "AADSTS7000222"),
        (login.by_secret(&stranger, &stranger.secret), "AADSTS700016"),
        (Login { azure: &clouds.azure(), ..other }.by_secret(&app, &app.secret), "AADSTS90002"),
        (workload("repo:shop", -10), "AADSTS700024"),
        (workload("repo:other", 600), "AADSTS700213"),
        (login.by_workload(&app, &file, "eyJhbGciOiJub25lIn0.e30."), "AADSTS700027"),
    ];
    for (answer, code) in cases {
        let words = answer.expect_err("refused");
        assert!(words.contains(code), "{words} is not {code}");
    }
}

#[test]
fn a_token_for_another_server_or_one_that_died_is_nobody_s() {
    let (Some(cluster), Some(clouds)) = (cluster(), clouds()) else { return };
    let Some(path) = tool("kubelogin", "0.2") else { return };
    let azure = clouds.azure();
    let (app, short) = (azure.app(), azure.app_with(json!({"lifetime": -10})));
    let login = Login { clouds, azure: &azure, kubelogin: &path };
    is_nobody(cluster, &management(clouds, &azure, &app));
    is_nobody(cluster, &token(&login.by_secret(&short, &short.secret).expect("a token")));
    let good = token(&login.by_secret(&app, &app.secret).expect("a token"));
    assert_eq!(clouds.judge(&good)["user"]["username"], app.object.as_str());
    let (claims, signature) = good.rsplit_once('.').expect("a token of three parts");
    // The signature's first character: the last one's low bits are padding, and may say nothing.
    let (first, rest) = signature.split_at(1);
    let forged = format!("{claims}.{}{rest}", if first == "A" { "B" } else { "A" });
    assert_eq!(clouds.judge(&forged)["why"], "no cloud knows this token");
    azure.refuse_before(&app, jiff::Timestamp::now().as_second() + 60);
    is_nobody(cluster, &good);
}

/// A token for the management API, by the machine's identity.
fn management(clouds: &Clouds, azure: &Azure, app: &App) -> String {
    let [(_, endpoint), (_, header)] = azure.identity(app);
    let (place, path) = endpoint.split_once("/msi").expect("a path");
    let path = format!("/msi{path}?api-version=2019-08-01&resource=https://management.azure.com/");
    let (status, answer) = ask_json(place, "GET", &path, &format!("X-IDENTITY-HEADER: {header}"));
    assert_eq!((status, clouds.requests(&app.client, "managed-identity").len()), (200, 1));
    answer["access_token"].as_str().expect("a token").to_owned()
}

#[test]
fn the_management_api_tells_of_clusters_and_refuses_as_azure_does() {
    let Some(clouds) = clouds() else { return };
    let azure = clouds.azure();
    let app = azure.app();
    let bearer = bearer(&management(clouds, &azure, &app));
    let base = |name: &str| {
        format!(
            "/subscriptions/{}/resourceGroups/group/providers/Microsoft.ContainerService/managedClusters/{name}",
            azure.subscription
        )
    };
    let call = |name: &str, act: &str, method: &str| {
        ask_json(clouds.http("arm"), method, &format!("{}{act}?api-version=2024-05-01", base(name)), &bearer)
    };
    let about = |more: Value| {
        let mut about = json!({"server": "https://shop.example:443", "authority": "QUFB"});
        about.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        about
    };
    azure.cluster("shop", about(json!({"admin_user": {"token": "admin"}})));
    azure.cluster("locked", about(json!({"local_accounts": false, "power": "Stopped"})));
    azure.cluster("denied", about(json!({"denied": [app.client]})));
    let kubeconfig = |answer: &Value| {
        let value = answer["kubeconfigs"][0]["value"].as_str().expect("a kubeconfig");
        serde_json::from_slice::<Value>(&STANDARD.decode(value).expect("base64")).expect("JSON")
    };
    let (_, user) = call("shop", "/listClusterUserCredential", "POST");
    assert_eq!(kubeconfig(&user)["users"][0]["user"]["exec"]["command"], "kubelogin");
    let (_, admin) = call("shop", "/listClusterAdminCredential", "POST");
    assert_eq!(kubeconfig(&admin)["users"][0]["user"]["token"], "admin");
    let (_, locked) = call("locked", "", "GET");
    assert_eq!(locked["properties"]["powerState"]["code"], "Stopped");
    let (status, refused) = call("locked", "/listClusterAdminCredential", "POST");
    assert!(
        status == 400 && refused["error"]["message"].to_string().contains("disable local accounts"),
        "{refused}"
    );
    let (status, refused) = call("denied", "/listClusterUserCredential", "POST");
    assert_eq!((status, &refused["error"]["code"]), (403, &json!("AuthorizationFailed")));
    let (status, refused) = call("nowhere", "/listClusterUserCredential", "POST");
    assert_eq!((status, &refused["error"]["code"]), (404, &json!("ResourceNotFound")));
    let (status, _) = ask(clouds.http("arm"), "GET", &base("shop"), "X-Token: none");
    assert_eq!(status, 401);
    for (trouble, length) in [("html", 39), ("empty", 0), ("huge", 200_000_000)] {
        azure.cluster(trouble, about(json!({"trouble": trouble})));
        let path = format!("{}/listClusterUserCredential?api-version=2024-05-01", base(trouble));
        let (_, body) = ask(clouds.http("arm"), "POST", &path, &bearer);
        assert_eq!(body.len(), length, "{trouble}");
    }
}
