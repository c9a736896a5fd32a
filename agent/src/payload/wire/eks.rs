//! `target.auth.eks`: an account of AWS. What AWS itself would refuse for its form is refused here, before anything
//! runs.

use std::time::Duration;

use super::auth::{MAX_ACCOUNT_BYTES, check_token, token_of_file};
use super::target::present;
use crate::limits::parse_duration;
use crate::payload::WebToken;
use crate::payload::eks::{AwsCredentials, Eks, EksPlugin, Region, Role, is_region, region_of};
use crate::payload::fields::{Field, Fields, Reader};
use crate::payload::problem::{listed, quoted};
use crate::payload::trust::Identity;

const FIELDS: [&str; 5] = ["clusterName", "region", "credentials", "assumeRole", "plugin"];

/// The credentials by name.
const CREDENTIALS: [&str; 3] = ["accessKey", "webIdentity", "worker"];

/// How long STS lets a session last.
const DURATIONS: std::ops::RangeInclusive<Duration> = Duration::from_secs(900)..=Duration::from_secs(43_200);

pub(super) fn read(reader: &Reader<'_>, field: &Field<'_>, server: Option<&str>) -> Option<Eks> {
    let fields = reader.fields(field, &FIELDS)?;
    let cluster_name = fields.required("clusterName", reader).and_then(|field| cluster_name(reader, field));
    let region = region(reader, field, &fields, server);
    let credentials =
        fields.required("credentials", reader).and_then(|field| credentials(reader, field, server));
    let assume_role = fields.get("assumeRole").map(|field| assume_role(reader, field));
    let plugin =
        fields.get("plugin").map_or(Some(EksPlugin::Auto), |field| reader.choice(field, &EksPlugin::WORDS));
    Some(Eks {
        cluster_name: cluster_name?,
        region: region?,
        credentials: credentials?,
        assume_role: present(assume_role)?,
        plugin: plugin?,
    })
}

fn cluster_name(reader: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    let name = reader.filled_text(field)?;
    let is_name = name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.len() <= 100
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !is_name {
        let told = format!(
            "{} is no name of a cluster in EKS; expected at most 100 letters, digits, dashes and underscores",
            quoted(&name)
        );
        reader.tell(field, told);
    }
    is_name.then_some(name)
}

fn region(reader: &Reader<'_>, eks: &Field<'_>, fields: &Fields<'_>, server: Option<&str>) -> Option<Region> {
    if let Some(field) = fields.get("region") {
        let name = reader.filled_text(field)?;
        if !is_region(&name) {
            let told = format!("{} is no region; expected one such as eu-central-1", quoted(&name));
            reader.tell(field, told);
            return None;
        }
        return Some(Region { name, is_given: true });
    }
    let found = server.and_then(region_of).map(|name| Region { name: name.to_owned(), is_given: false });
    if found.is_none() {
        let told = match server {
            Some(_) => "the region is not given, and cannot be read from target.server",
            None => "the region is not given, and there is no target.server to read it from",
        };
        reader.tell_with_hint(eks, told, "set target.auth.eks.region, such as eu-central-1");
    }
    found
}

fn credentials(reader: &Reader<'_>, field: &Field<'_>, server: Option<&str>) -> Option<AwsCredentials> {
    let fields = reader.fields(field, &CREDENTIALS)?;
    let read: Vec<Option<AwsCredentials>> = fields
        .found()
        .iter()
        .map(|(name, field)| match *name {
            "accessKey" => access_key(reader, field),
            "webIdentity" => web_identity(reader, field),
            _ => worker(reader, field, server),
        })
        .collect();
    let names: Vec<&str> = fields.found().iter().map(|(name, _)| *name).collect();
    match (read.into_iter().next(), names.as_slice()) {
        (Some(read), [_]) => read,
        (None, _) if reader.entries_count(field) > 0 => None,
        (found, _) => {
            let found = if found.is_none() { "none".into() } else { names.join(" and ") };
            reader.tell(field, format!("expected exactly one of {}; found {found}", listed(&CREDENTIALS)));
            None
        }
    }
}

fn access_key(reader: &Reader<'_>, field: &Field<'_>) -> Option<AwsCredentials> {
    let fields = reader.fields(field, &["accessKeyId", "secretAccessKey", "sessionToken"])?;
    let id = fields.required("accessKeyId", reader).and_then(|field| {
        let (id, _) = reader.source_text(field)?;
        let is_id = (16..=128).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_id {
            reader.tell(field, "expected 16 to 128 letters and digits, such as AKIAIOSFODNN7EXAMPLE");
        }
        is_id.then_some(id)
    });
    let key = |field: &Field<'_>| check_token(reader, field, reader.secret(field)?);
    let secret = fields.required("secretAccessKey", reader).and_then(key);
    let session_token = fields.get("sessionToken").map(key);
    Some(AwsCredentials::AccessKey { id: id?, secret: secret?, session_token: present(session_token)? })
}

fn web_identity(reader: &Reader<'_>, field: &Field<'_>) -> Option<AwsCredentials> {
    let fields = reader.fields(field, &["roleArn", "token", "tokenFile", "sessionName", "duration"])?;
    let role = role(reader, &fields);
    let token = match (fields.get("token"), fields.get("tokenFile")) {
        (Some(field), None) => {
            let token = reader.secret(field).and_then(|token| check_token(reader, field, token));
            token.map(WebToken::Given)
        }
        (None, Some(field)) => token_file(reader, field),
        (found, _) => {
            let found = if found.is_some() { "both" } else { "neither" };
            reader.tell(field, format!("expected token or tokenFile; found {found}"));
            None
        }
    };
    Some(AwsCredentials::WebIdentity { role: role?, token: token? })
}

fn token_file(reader: &Reader<'_>, field: &Field<'_>) -> Option<WebToken> {
    let written = reader.filled_text(field)?;
    let bytes = reader.file(field, &written, MAX_ACCOUNT_BYTES)?;
    let token = token_of_file(reader, field, bytes)?;
    reader.send(field, Some("token"), token.expose().as_bytes());
    Some(WebToken::File { path: reader.absolute(&written), token })
}

fn worker(reader: &Reader<'_>, field: &Field<'_>, server: Option<&str>) -> Option<AwsCredentials> {
    reader.fields(field, &[])?;
    reader.may_use_identity(field, Identity::EksWorker, server).then_some(AwsCredentials::Worker)
}

fn assume_role(reader: &Reader<'_>, field: &Field<'_>) -> Option<Role> {
    let fields = reader.fields(field, &["roleArn", "sessionName", "externalId", "duration"])?;
    role(reader, &fields)
}

/// A role, by the fields that both ways to take one have.
fn role(reader: &Reader<'_>, fields: &Fields<'_>) -> Option<Role> {
    let arn = fields.required("roleArn", reader).and_then(|field| role_arn(reader, field));
    let session_name = fields.get("sessionName").map(|field| session_name(reader, field));
    let external_id = fields.get("externalId").map(|field| external_id(reader, field));
    let duration = fields.get("duration").map(|field| duration(reader, field));
    Some(Role {
        arn: arn?,
        session_name: present(session_name)?,
        external_id: present(external_id)?,
        duration: present(duration)?,
    })
}

/// `arn:aws:iam::123456789012:role/path/name`, in any partition.
fn role_arn(reader: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    let arn = reader.filled_text(field)?;
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let is_role = matches!(parts.as_slice(), ["arn", partition, "iam", "", account, name]
        if partition.starts_with("aws")
            && account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && name.strip_prefix("role/").is_some_and(|name| !name.is_empty()))
        && arn.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_role {
        let told = format!(
            "{} is no role; expected one such as arn:aws:iam::123456789012:role/deploy",
            quoted(&arn)
        );
        reader.tell(field, told);
    }
    is_role.then_some(arn)
}

fn session_name(reader: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    let name = reader.filled_text(field)?;
    let is_name = (2..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
    if !is_name {
        let told = format!(
            "{} is no name of a session; expected 2 to 64 letters, digits and any of _ + = , . @ -",
            quoted(&name)
        );
        reader.tell(field, told);
    }
    is_name.then_some(name)
}

fn external_id(reader: &Reader<'_>, field: &Field<'_>) -> Option<String> {
    let id = reader.filled_text(field)?;
    let is_id = (2..=1224).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte));
    if !is_id {
        reader.tell(field, "expected 2 to 1224 letters, digits and any of _ + = , . @ : / -");
    }
    is_id.then_some(id)
}

fn duration(reader: &Reader<'_>, field: &Field<'_>) -> Option<Duration> {
    let duration =
        parse_duration(&reader.text(field)?).map_err(|error| reader.tell(field, error.to_string()));
    let duration = duration.ok()?;
    if !DURATIONS.contains(&duration) || duration.subsec_nanos() != 0 {
        reader.tell(field, "expected whole seconds from 15m to 12h, which is what STS allows");
        return None;
    }
    Some(duration)
}
