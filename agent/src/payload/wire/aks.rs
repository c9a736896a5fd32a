//! `target.auth.aks`: an account of Azure. What Azure itself would refuse for its form is refused here, before
//! anything runs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::auth::{MAX_ACCOUNT_BYTES, Own, check_token, tell_fault, token_of_file};
use super::client_certificate::{Opened, open};
use super::target::present;
use crate::payload::aks::{
    Aks, AksCluster, AzureCertificate, AzureCredentials, AzureEnvironment, Pfx, SERVER_ID,
};
use crate::payload::certificate::{self, Fault};
use crate::payload::fields::{Field, Fields, Reader};
use crate::payload::problem::quoted;
use crate::payload::source::Given;
use crate::payload::trust::Identity;
use crate::payload::url::is_dns_name;
use crate::payload::{Auth, Part, WebToken};
use crate::secret::Secret;

const FIELDS: [&str; 14] = [
    "clusterName",
    "resourceGroup",
    "subscriptionId",
    "tenantId",
    "clientId",
    "environment",
    "clientSecret",
    "clientCertificate",
    "clientCertificatePassword",
    "federatedToken",
    "federatedTokenFile",
    "managedIdentity",
    "admin",
    "serverId",
];

/// Who logs in, by name.
const CREDENTIALS: [&str; 5] =
    ["clientSecret", "clientCertificate", "federatedToken", "federatedTokenFile", "managedIdentity"];

pub(super) fn read(reader: &Reader<'_>, field: &Field<'_>, server: Option<&str>) -> Option<Own> {
    let fields = reader.fields(field, &FIELDS)?;
    let admin = fields.get("admin").map_or(Some(false), |field| reader.truth(field));
    let cluster = cluster(reader, &fields, server.is_none() || admin == Some(true));
    let tenant_id = fields.get("tenantId").map(|field| tenant(reader, field));
    let client_id = fields.get("clientId").map(|field| id(reader, field));
    let environment = fields
        .get("environment")
        .map_or(Some(AzureEnvironment::Public), |field| reader.choice(field, &AzureEnvironment::WORDS));
    let mut parts = Vec::new();
    let credentials = credentials(reader, &fields, server, &mut parts);
    if let Some((name, _)) = &credentials
        && *name != "managedIdentity"
    {
        for name in ["tenantId", "clientId"] {
            fields.required(name, reader);
        }
    }
    let server_id = fields.get("serverId").map_or(Some(SERVER_ID.into()), |field| server_id(reader, field));
    let (cluster, subscription_id) = cluster?;
    let (_, credentials) = credentials?;
    let aks = Aks {
        cluster,
        subscription_id,
        tenant_id: present(tenant_id)?,
        client_id: present(client_id)?,
        environment: environment?,
        credentials: credentials?,
        admin: admin?,
        server_id: server_id?,
    };
    Some(Own { auth: Auth::Aks(Box::new(aks)), parts })
}

/// The cluster, where all of its place is given, and the subscription. Where the management API is asked, all of it
/// is needed.
fn cluster(
    reader: &Reader<'_>,
    fields: &Fields<'_>,
    is_asked: bool,
) -> Option<(Option<AksCluster>, Option<String>)> {
    if is_asked {
        for name in ["clusterName", "resourceGroup", "subscriptionId"] {
            fields.required(name, reader);
        }
    }
    let name = fields.get("clusterName").map(|field| cluster_name(reader, field));
    let resource_group = fields.get("resourceGroup").map(|field| resource_group(reader, field));
    let subscription_id = fields.get("subscriptionId").map(|field| id(reader, field));
    let (name, resource_group) = (present(name)?, present(resource_group)?);
    let subscription_id = present(subscription_id)?;
    let place = name.zip(resource_group).zip(subscription_id.clone());
    let cluster = place.map(|((name, resource_group), subscription_id)| AksCluster {
        subscription_id,
        resource_group,
        name,
    });
    (cluster.is_some() || !is_asked).then_some((cluster, subscription_id))
}

fn credentials(
    reader: &Reader<'_>,
    fields: &Fields<'_>,
    server: Option<&str>,
    parts: &mut Vec<Part>,
) -> Option<(&'static str, Option<AzureCredentials>)> {
    let (name, field) = fields.exactly_one(&CREDENTIALS, reader)?;
    let password = fields.get("clientCertificatePassword");
    if let Some(password) = password.filter(|_| name != "clientCertificate") {
        reader.tell(password, "belongs to clientCertificate, and there is none");
    }
    let read = match name {
        "clientSecret" => {
            let secret = reader.secret(field).and_then(|secret| client_secret(reader, field, secret));
            secret.map(AzureCredentials::Secret)
        }
        "clientCertificate" => certificate(reader, field, password, parts),
        "federatedToken" => {
            let token = reader.secret(field).and_then(|token| check_token(reader, field, token));
            token.map(|token| AzureCredentials::Federated(WebToken::Given(token)))
        }
        "federatedTokenFile" => token_file(reader, field),
        _ => {
            reader.fields(field, &[])?;
            let allowed = reader.may_use_identity(field, Identity::AksMachine, server);
            allowed.then_some(AzureCredentials::ManagedIdentity)
        }
    };
    Some((name, read))
}

fn client_secret(reader: &Reader<'_>, field: &Field<'_>, secret: Secret) -> Option<Secret> {
    if secret.expose().contains(char::is_control) {
        let hint = "YAML: write `|-` or quotes, as `|` adds a line break";
        reader.tell_with_hint(field, "must not hold a line break or another control character", hint);
        return None;
    }
    Some(secret)
}

fn token_file(reader: &Reader<'_>, field: &Field<'_>) -> Option<AzureCredentials> {
    let written = reader.filled_text(field)?;
    let bytes = reader.file(field, &written, MAX_ACCOUNT_BYTES)?;
    let token = token_of_file(reader, field, bytes)?;
    reader.send(field, Some("federatedToken"), token.expose().as_bytes());
    Some(AzureCredentials::Federated(WebToken::File { path: reader.absolute(&written), token }))
}

/// A PFX or PEM, each as it is or in base64.
fn certificate(
    reader: &Reader<'_>,
    field: &Field<'_>,
    password: Option<&Field<'_>>,
    parts: &mut Vec<Part>,
) -> Option<AzureCredentials> {
    let source = reader.uncut_source(field).inspect(|source| {
        if source.given == Given::Here {
            reader.note_in_clear(field);
        }
    });
    let password = password.map_or(Some(String::new()), |field| {
        let (password, given) = reader.source_text(field)?;
        if given == Given::Here && !password.is_empty() {
            reader.note_in_clear(field);
        }
        Some(password)
    });
    let (given, password) = (source?.bytes, password?);
    let judged = match is_pem(&given) {
        true if !password.is_empty() => Err(Fault::new(
            "is PEM, whose key must not be encrypted, so that clientCertificatePassword belongs to nothing",
        )
        .with_hint("decrypt it with: openssl pkey -in key.pem -out key-plain.pem")),
        true => of_pem(reader, &given),
        false => open(&given, &password, reader.surroundings.now).map(|opened| of_pfx(opened, &password)),
    };
    let judged = judged.and_then(|certificate| {
        let key = certificate::key(certificate.private_key.expose().as_bytes())?;
        match certificate::is_rsa(&key) {
            Some(false) => Err(Fault::new("the key is no RSA key, and Entra takes no other")),
            Some(true) | None => Ok(certificate),
        }
    });
    let certificate = judged.map_err(|fault| tell_fault(reader, field, fault)).ok()?;
    // Given in base64 or with line breaks, it is a secret in that writing too.
    if let Ok(given) = String::from_utf8(given) {
        parts.push(Part::new("target.auth.aks.clientCertificate", given.trim_end()));
    }
    Some(AzureCredentials::Certificate(Box::new(certificate)))
}

fn is_pem(given: &[u8]) -> bool {
    let marked = |text: &[u8]| memchr::memmem::find(text, b"-----BEGIN ").is_some();
    let packed: Vec<u8> = given.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    marked(given) || STANDARD.decode(packed).is_ok_and(|text| marked(&text))
}

fn of_pem(reader: &Reader<'_>, given: &[u8]) -> Result<AzureCertificate, Fault> {
    let key = certificate::key(given).map_err(|fault| match fault.message.as_str() {
        "expected a private key, found a certificate" => Fault::new("holds a certificate without its key")
            .with_hint("put both into one file: cat cert.pem key.pem"),
        _ => fault,
    })?;
    let chain = certificate::chain(&certificate::without_keys(given)?, reader.surroundings.now)?;
    certificate::pair(&chain, &key)?;
    let private_key = Secret::new(certificate::key_alone(&key));
    Ok(AzureCertificate { certificate: chain.text, private_key, pfx: None })
}

fn of_pfx(opened: Opened, password: &str) -> AzureCertificate {
    let Opened { binary, chain, key } = opened;
    let password = (!password.is_empty()).then(|| Secret::new(password.to_owned()));
    let pfx = Some(Pfx { packed: Secret::new(STANDARD.encode(binary)), password });
    AzureCertificate { certificate: chain.text, private_key: Secret::new(key.text), pfx }
}

fn tenant(reader: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    let tenant = reader.filled_text(field)?;
    if !is_guid(&tenant) && !is_dns_name(&tenant) {
        let told = format!(
            "{} is no directory; expected its id or its domain, such as contoso.onmicrosoft.com",
            quoted(&tenant)
        );
        reader.tell(field, told);
        return None;
    }
    Some(tenant)
}

fn id(reader: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    let id = reader.filled_text(field)?;
    if !is_guid(&id) {
        let told =
            format!("{} is no id; expected one such as 11111111-2222-3333-4444-555555555555", quoted(&id));
        reader.tell(field, told);
        return None;
    }
    Some(id)
}

fn is_guid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// AKS' own application, or one of an older kind of cluster (an id or `api://…`).
fn server_id(reader: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    let id = reader.filled_text(field)?;
    let is_id = is_guid(id.strip_prefix("api://").unwrap_or(&id));
    if !is_id {
        let told = format!("{} is no application's id", quoted(&id));
        reader.tell(field, told);
        return None;
    }
    reader.may_use_server_id(field, &id).then_some(id)
}

fn cluster_name(reader: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    let name = reader.filled_text(field)?;
    let bytes = name.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let is_name = bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !is_name {
        let told = format!(
            "{} is no name of a cluster in AKS; expected at most 63 letters, digits, dashes and underscores, \
             with a letter or digit at both ends",
            quoted(&name)
        );
        reader.tell(field, told);
    }
    is_name.then_some(name)
}

fn resource_group(reader: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    let name = reader.filled_text(field)?;
    let is_name = name.chars().count() <= 90
        && !name.ends_with('.')
        && name.chars().all(|letter| letter.is_alphanumeric() || "-_.()".contains(letter));
    if !is_name {
        let told = format!(
            "{} is no resource group; expected at most 90 letters, digits and any of - _ . ( ), no dot at the end",
            quoted(&name)
        );
        reader.tell(field, told);
    }
    is_name.then_some(name)
}
