//! Tokens of Entra for Azure's management API, which the agent asks for itself: the cluster's administrator and a
//! cluster without Entra are had without kubelogin. Tokens for clusters are kubelogin's to get.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{RSA_PSS_SHA256, RsaKeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use super::CredentialError;
use super::plugin::Caller;
use super::translation::AZURE;
use super::web::{About, Service, encoded, form};
use crate::https::{Content, Login, Request};
use crate::payload::aks::{Aks, AzureCertificate, AzureCredentials, AzureEnvironment};
use crate::payload::{Step, Text, WebToken};
use crate::plan::aks::authority;
use crate::secret::Secret;

const AIM: &str = "log in to Azure";

/// Where a machine finds its managed identity, unless `IDENTITY_ENDPOINT` says otherwise.
const METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

/// How long an assertion holds, in seconds.
const ASSERTION_LIFE: i64 = 600;

/// The management API in each of Azure's clouds; tokens for it are for this very URL.
pub(super) fn management(environment: AzureEnvironment) -> &'static str {
    match environment {
        AzureEnvironment::Public => "https://management.azure.com",
        AzureEnvironment::China => "https://management.chinacloudapi.cn",
        AzureEnvironment::UsGovernment => "https://management.usgovcloudapi.net",
    }
}

/// A token for the management API; it is masked from here on.
pub(super) async fn management_token(
    aks: &Aks,
    step: &Step,
    caller: &Caller<'_>,
) -> Result<Secret, CredentialError> {
    let answer = match &aks.credentials {
        AzureCredentials::ManagedIdentity => by_identity(aks, step, caller).await?,
        AzureCredentials::Secret(_) | AzureCredentials::Certificate(_) | AzureCredentials::Federated(_) => {
            by_application(aks, step, caller).await?
        }
    };
    let token = answer.get("access_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    let token = token.map(|token| Secret::new(token.to_owned())).ok_or_else(|| CredentialError {
        message: format!("could not {AIM}: its answer holds no token"),
        hint: Some("is there a proxy in between? Check the agent's HTTPS_PROXY and NO_PROXY".into()),
    })?;
    drop(caller.masker.add([&token]));
    Ok(token)
}

/// The OAuth 2.0 client credentials flow.
async fn by_application(aks: &Aks, step: &Step, caller: &Caller<'_>) -> Result<Value, CredentialError> {
    let (tenant, client) = (aks.tenant_id.as_deref().unwrap_or_default(), aks.client_id.as_deref());
    let (client, authority) = (client.unwrap_or_default(), authority(aks, step));
    let path = format!("/{}/oauth2/v2.0/token", encoded(tenant));
    let scope = format!("{}/.default", management(aks.environment));
    let mut fields = vec![("grant_type", "client_credentials"), ("client_id", client), ("scope", &scope)];
    let proof = match &aks.credentials {
        AzureCredentials::Certificate(certificate) => {
            let audience = format!("{}{path}", authority.trim_end_matches('/'));
            assertion(certificate, client, &audience, Timestamp::now()).ok_or_else(|| CredentialError {
                message: format!("could not {AIM}: the certificate's key cannot sign"),
                hint: Some("it has to be an RSA key of 2048 to 4096 bits".into()),
            })?
        }
        AzureCredentials::Federated(token) => current(token)?,
        AzureCredentials::Secret(secret) => secret.clone(),
        AzureCredentials::ManagedIdentity => Secret::new(String::new()),
    };
    if let AzureCredentials::Secret(_) = &aks.credentials {
        fields.push(("client_secret", proof.expose()));
    } else {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        fields.extend([("client_assertion_type", kind), ("client_assertion", proof.expose())]);
    }
    let request = Request::post(path, Content::Form(Secret::new(form(&fields))));
    let variable = "AZURE_AUTHORITY_HOST";
    let about =
        About { name: "Entra", url: &authority, variable, troubles: AZURE, is_link: false, absent: None };
    Service::new(step, about, &Login::None)?.ask(caller, AIM, &request).await
}

/// The machine's metadata service, or what `IDENTITY_ENDPOINT` names (App Service, Container Apps).
async fn by_identity(aks: &Aks, step: &Step, caller: &Caller<'_>) -> Result<Value, CredentialError> {
    let value = |name: &str| step.operator.get(name).map(Text::expose);
    // As in Azure's own libraries, the one counts only together with the other.
    let own = value("IDENTITY_ENDPOINT").zip(value("IDENTITY_HEADER"));
    let (url, version, header) = match own {
        Some((url, header)) => (url, "2019-08-01", ("x-identity-header", header)),
        None => (METADATA, "2018-02-01", ("metadata", "true")),
    };
    let mut query = vec![("api-version", version), ("resource", management(aks.environment))];
    query.extend(aks.client_id.as_deref().map(|client| ("client_id", client)));
    let mut request = Request::get(format!("?{}", form(&query)));
    request.headers.push((header.0, Secret::new(header.1.to_owned())));
    let variable = "IDENTITY_ENDPOINT";
    let name = "the machine's managed identity";
    let about = About { name, url, variable, troubles: AZURE, is_link: true, absent: None };
    Service::new(step, about, &Login::None)?.ask(caller, AIM, &request).await
}

/// The token of now.
fn current(token: &WebToken) -> Result<Secret, CredentialError> {
    match token {
        WebToken::Given(token) => Ok(token.clone()),
        WebToken::File { path, .. } => match std::fs::read_to_string(path) {
            Ok(text) if !text.trim().is_empty() => Ok(Secret::new(text.trim().to_owned())),
            _ => Err(CredentialError {
                message: format!(
                    "could not {AIM}: the token file {} cannot be read, or is empty",
                    path.display()
                ),
                hint: Some("whoever renews it has to replace it at once, by renaming".into()),
            }),
        },
    }
}

/// What shows that one has a certificate's key (RFC 7523), as Entra wants it; `None` where the key cannot sign.
fn assertion(certificate: &AzureCertificate, client: &str, audience: &str, now: Timestamp) -> Option<Secret> {
    let random = SystemRandom::new();
    let mut id = [0; 16];
    random.fill(&mut id).ok()?;
    let leaf = CertificateDer::from_pem_slice(certificate.certificate.as_bytes()).ok()?;
    let print = URL_SAFE_NO_PAD.encode(digest(&SHA256, &leaf));
    let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": print});
    let now = now.as_second();
    let claims = json!({
        "aud": audience, "iss": client, "sub": client, "jti": URL_SAFE_NO_PAD.encode(id),
        "nbf": now, "iat": now, "exp": now + ASSERTION_LIFE,
    });
    let packed = |document: Value| URL_SAFE_NO_PAD.encode(document.to_string());
    let signed = format!("{}.{}", packed(header), packed(claims));
    let key = match PrivateKeyDer::from_pem_slice(certificate.private_key.expose().as_bytes()).ok()? {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok()?,
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok()?,
        _ => return None,
    };
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PSS_SHA256, &random, signed.as_bytes(), &mut signature).ok()?;
    Some(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}
