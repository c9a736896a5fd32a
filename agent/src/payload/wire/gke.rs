//! `target.auth.gke`: an account of Google Cloud. Key files are opened and judged, since whoever reads them sends what
//! is in them to where they say.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::auth::{MAX_ACCOUNT_BYTES, Own, tell_fault};
use super::target::present;
use crate::payload::certificate;
use crate::payload::fields::{Field, Fields, Reader};
use crate::payload::gke::{Gke, GkeEndpoint, GoogleCredentials, KeyFile};
use crate::payload::problem::quoted;
use crate::payload::trust::Identity;
use crate::payload::{Auth, Part};
use crate::secret::Secret;

const FIELDS: [&str; 8] = [
    "clusterName",
    "project",
    "location",
    "serviceAccountKey",
    "externalAccount",
    "vmServiceAccount",
    "impersonateServiceAccount",
    "endpoint",
];

/// Who logs in, by name.
const CREDENTIALS: [&str; 3] = ["serviceAccountKey", "externalAccount", "vmServiceAccount"];

/// Fields of key files that say where a login is sent, and Google's own hosts for them.
const ADDRESSES: [(&str, &[&str]); 4] = [
    ("token_uri", &["oauth2.googleapis.com", "accounts.google.com", "www.googleapis.com"]),
    ("token_url", &["sts.googleapis.com"]),
    ("token_info_url", &["sts.googleapis.com"]),
    ("service_account_impersonation_url", &["iamcredentials.googleapis.com"]),
];

pub(super) fn read(reader: &Reader<'_>, field: &Field<'_>, server: Option<&str>) -> Option<Own> {
    let fields = reader.fields(field, &FIELDS)?;
    if server.is_none() {
        for name in ["clusterName", "project", "location"] {
            fields.required(name, reader);
        }
    }
    let cluster_name = fields.get("clusterName").map(|field| cluster_name(reader, field));
    let project = fields.get("project").map(|field| project(reader, field));
    let location = fields.get("location").map(|field| location(reader, field));
    let mut parts = Vec::new();
    let credentials = credentials(reader, &fields, server, &mut parts);
    let impersonate = fields.get("impersonateServiceAccount").map(|field| account(reader, field));
    let endpoint = fields
        .get("endpoint")
        .map_or(Some(GkeEndpoint::Public), |field| reader.choice(field, &GkeEndpoint::WORDS));
    let gke = Gke {
        cluster_name: present(cluster_name)?,
        project: present(project)?,
        location: present(location)?,
        credentials: credentials?,
        impersonate: present(impersonate)?,
        endpoint: endpoint?,
    };
    if let (GoogleCredentials::External(file), Some(field)) =
        (&gke.credentials, fields.get("impersonateServiceAccount"))
        && file.value().get("service_account_impersonation_url").is_some()
    {
        let hint = "leave one of them out";
        reader.tell_with_hint(field, "the external account names a service account already", hint);
        return None;
    }
    (server.is_some() || gke.cluster_name.is_some() && gke.project.is_some() && gke.location.is_some())
        .then(|| Own { auth: Auth::Gke(Box::new(gke)), parts })
}

fn credentials(
    reader: &Reader<'_>,
    fields: &Fields<'_>,
    server: Option<&str>,
    parts: &mut Vec<Part>,
) -> Option<GoogleCredentials> {
    let (name, field) = fields.exactly_one(&CREDENTIALS, reader)?;
    match name {
        "serviceAccountKey" => service_account_key(reader, field, parts).map(GoogleCredentials::Key),
        "externalAccount" => external_account(reader, field, parts).map(GoogleCredentials::External),
        _ => {
            reader.fields(field, &[])?;
            let allowed = reader.may_use_identity(field, Identity::GkeMachine, server);
            allowed.then_some(GoogleCredentials::VmServiceAccount)
        }
    }
}

fn service_account_key(reader: &Reader<'_>, field: &Field<'_>, parts: &mut Vec<Part>) -> Option<KeyFile> {
    let document = document(reader, field, "service_account", parts)?;
    let text = |name: &str| document.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let mut is_right = may_be_sent(reader, field, &document);
    for name in ["client_email", "private_key"] {
        if text(name).is_none() {
            reader.tell(field, format!("the key file has no {name}"));
            is_right = false;
        }
    }
    let key = text("private_key")?;
    match certificate::key(key.as_bytes()) {
        Ok(pem) if certificate::is_rsa(&pem) != Some(true) => {
            reader.tell(field, "the private_key in the key file is damaged, or no RSA key");
            is_right = false;
        }
        Ok(_) => {}
        Err(mut fault) => {
            fault.message = format!("the private_key in the key file: {}", fault.message);
            tell_fault(reader, field, fault);
            is_right = false;
        }
    }
    let leaf = Some(Secret::new(key.to_owned()));
    is_right.then(|| KeyFile { document: Secret::new(Value::Object(document).to_string()), leaf })
}

fn external_account(reader: &Reader<'_>, field: &Field<'_>, parts: &mut Vec<Part>) -> Option<KeyFile> {
    let mut document = document(reader, field, "external_account", parts)?;
    let mut is_right = may_be_sent(reader, field, &document);
    for name in ["audience", "subject_token_type"] {
        if document.get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
            reader.tell(field, format!("the external account has no {name}"));
            is_right = false;
        }
    }
    let Some(source) = document.get_mut("credential_source").and_then(Value::as_object_mut) else {
        reader.tell(field, "the external account has no credential_source");
        return None;
    };
    if !reader.is_local() {
        let told = "a remote payload must not have a credential_source: it names files and addresses of the worker's";
        reader.tell_with_hint(field, told, "use serviceAccountKey, or vmServiceAccount");
        return None;
    }
    if source.contains_key("executable") {
        reader.tell(field, "a credential_source with an executable is not run");
        return None;
    }
    let mut leaf = None;
    if let Some(Value::String(written)) = source.get("file") {
        // Whoever reads it does so from another working directory.
        let path = reader.absolute(written);
        leaf = Some(Secret::new(subject_token(reader, field, written)?));
        source.insert("file".into(), Value::from(path.to_string_lossy()));
    }
    is_right.then(|| KeyFile { document: Secret::new(Value::Object(document).to_string()), leaf })
}

/// The token of now: whoever renews it in its file does so while the script runs.
fn subject_token(reader: &Reader<'_>, field: &Field<'_>, written: &str) -> Option<String> {
    let bytes = reader.file(field, written, MAX_ACCOUNT_BYTES)?;
    let text = reader.utf8(field, bytes)?;
    let token = text.trim();
    if token.is_empty() {
        reader.tell(field, "the file of the credential_source is empty");
        return None;
    }
    Some(token.to_owned())
}

/// A key file: JSON, or base64 of it.
fn document(
    reader: &Reader<'_>,
    field: &Field<'_>,
    kind: &str,
    parts: &mut Vec<Part>,
) -> Option<Map<String, Value>> {
    let given = reader.secret(field)?;
    let text = given.expose().trim();
    let unpacked = || {
        let packed: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        String::from_utf8(STANDARD.decode(packed).ok()?).ok()
    };
    let json = if text.starts_with('{') { Some(text.to_owned()) } else { unpacked() };
    let read = json.and_then(|json| serde_json::from_str::<Map<String, Value>>(&json).ok());
    let Some(document) = read else {
        let hint = "give the file itself with fromFile";
        reader.tell_with_hint(
            field,
            "expected a key file (JSON, or base64 of it), found something else",
            hint,
        );
        return None;
    };
    let found = document.get("type").and_then(Value::as_str).unwrap_or_default();
    if found != kind {
        let told = match found {
            "" => format!("expected a key file of the type {kind}, found one without a type"),
            "service_account" => format!(
                "expected the type {kind}; one of the type service_account belongs in serviceAccountKey"
            ),
            "external_account" => format!(
                "expected the type {kind}; one of the type external_account belongs in externalAccount"
            ),
            found => format!("expected a key file of the type {kind}, found {}", quoted(found)),
        };
        reader.tell(field, told);
        return None;
    }
    // As it was given: in base64, or with other blanks than it is written with.
    parts.push(Part::new(&field.path, text));
    Some(document)
}

/// Whether a login may be sent to where a key file says; if not, that is told. A local payload speaks for its caller.
fn may_be_sent(reader: &Reader<'_>, field: &Field<'_>, document: &Map<String, Value>) -> bool {
    let mut allowed = true;
    if reader.is_local() {
        return allowed;
    }
    let text = |name: &str| document.get(name).map(|value| value.as_str().unwrap_or_default());
    for (name, hosts) in ADDRESSES {
        let is_own = |url: &str| {
            let rest = url.strip_prefix("https://").unwrap_or_default();
            hosts.iter().any(|host| {
                rest.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        if text(name).is_some_and(|url| !is_own(url)) {
            let told = format!("a remote payload's {name} must be Google's own (https://{}/…)", hosts[0]);
            reader.tell(field, told);
            allowed = false;
        }
    }
    if text("universe_domain").is_some_and(|domain| domain != "googleapis.com") {
        reader.tell(field, "a remote payload's universe_domain must be googleapis.com");
        allowed = false;
    }
    allowed
}

fn cluster_name(reader: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    named(
        reader,
        field,
        "name of a cluster in GKE",
        "at most 40 lower-case letters, digits and dashes",
        |name| {
            name.len() <= 40
                && name.starts_with(|first: char| first.is_ascii_lowercase())
                && name.bytes().all(letters)
        },
    )
}

fn project(reader: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    named(reader, field, "project's id", "one such as my-project-123", |name| {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:".contains(&byte);
        name.len() <= 100
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.bytes().all(letter)
    })
}

fn location(reader: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    named(
        reader,
        field,
        "location",
        "a region such as europe-west4, or a zone such as europe-west4-a",
        |name| {
            let words: Vec<&str> = name.split('-').collect();
            let is_area = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
            let is_place = |word: &str| {
                let letters = word.trim_end_matches(|last: char| last.is_ascii_digit());
                is_area(letters) && letters.len() < word.len()
            };
            match words.as_slice() {
                [area, place] => is_area(area) && is_place(place),
                [area, place, zone] => is_area(area) && is_place(place) && zone.len() <= 2 && is_area(zone),
                _ => false,
            }
        },
    )
}

fn account(reader: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    named(reader, field, "service account", "one such as deploy@project.iam.gserviceaccount.com", |name| {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._@".contains(&byte);
        name.bytes().all(letter)
            && matches!(name.split('@').collect::<Vec<_>>().as_slice(), [name, domain] if !name.is_empty() && domain.contains('.'))
    })
}

fn named(
    reader: &Reader<'_>,
    field: &Field<'_>,
    what: &str,
    expected: &str,
    is_one: impl Fn(&str) -> bool,
) -> Option<String> {
    let name = reader.filled_text(field)?;
    if !is_one(&name) {
        reader.tell(field, format!("{} is no {what}; expected {expected}", quoted(&name)));
        return None;
    }
    Some(name)
}
