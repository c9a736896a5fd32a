//! An account of AWS at a cluster of EKS, as the payload gives it.

use std::time::Duration;

use super::account::WebToken;
use crate::secret::Secret;

/// `target.auth.eks`.
#[derive(Clone, Debug)]
pub struct Eks {
    /// The cluster's name in EKS.
    pub cluster_name: String,
    /// Such as `eu-central-1`; given, or read from the server's URL.
    pub region: Region,
    /// Who logs in.
    pub credentials: AwsCredentials,
    /// The role that is taken on top of that.
    pub assume_role: Option<Role>,
    /// Which plugin.
    pub plugin: EksPlugin,
}

/// A region, and whose word it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Such as `eu-central-1`.
    pub name: String,
    /// Whether the payload says so, and not the server's URL.
    pub is_given: bool,
}

/// `credentials` of an EKS account.
#[derive(Clone, Debug)]
pub enum AwsCredentials {
    /// Keys; with a session token they end some day, and nobody can renew them.
    AccessKey {
        /// Not a secret.
        id: String,
        /// The key.
        secret: Secret,
        /// Of keys that STS made.
        session_token: Option<Secret>,
    },
    /// A role that is taken by a token of somebody else's (OpenID Connect).
    WebIdentity {
        /// The role, its session and how long it lasts; no external id.
        role: Role,
        /// The token.
        token: WebToken,
    },
    /// The worker's own: environment, profile, container or instance role.
    Worker,
}

/// A role to be taken.
#[derive(Clone, Debug)]
pub struct Role {
    /// `arn:…:iam::…:role/…`.
    pub arn: String,
    /// The session's name; `None` is one of ours.
    pub session_name: Option<String>,
    /// What the role's owner asks for, against the confused deputy; AWS does not count it as a secret.
    pub external_id: Option<String>,
    /// How long a session lasts; `None` is STS' own default, one hour.
    pub duration: Option<Duration>,
}

/// `plugin` of an EKS account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EksPlugin {
    /// The aws cli where it can, else the authenticator.
    #[default]
    Auto,
    /// The aws cli.
    Aws,
    /// aws-iam-authenticator.
    Authenticator,
}

impl EksPlugin {
    /// Each with its word in the payload.
    pub const WORDS: [(&'static str, Self); 3] =
        [("auto", Self::Auto), ("aws", Self::Aws), ("aws-iam-authenticator", Self::Authenticator)];
}

impl Eks {
    /// The token of somebody else's that is given once and for all.
    #[must_use]
    pub fn given_token(&self) -> Option<&Secret> {
        match &self.credentials {
            AwsCredentials::WebIdentity { token: WebToken::Given(token), .. } => Some(token),
            _ => None,
        }
    }

    /// Whether a login can be repeated as long as a script may run.
    #[must_use]
    pub fn is_renewed(&self) -> bool {
        match &self.credentials {
            AwsCredentials::AccessKey { session_token, .. } => session_token.is_none(),
            AwsCredentials::WebIdentity { token, .. } => matches!(token, WebToken::File { .. }),
            AwsCredentials::Worker => true,
        }
    }

    /// Every secret, with its name below `credentials`.
    pub(super) fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        match &self.credentials {
            AwsCredentials::AccessKey { secret, session_token, .. } => {
                let session = session_token.iter().map(|token| ("accessKey.sessionToken", token));
                std::iter::once(("accessKey.secretAccessKey", secret)).chain(session).collect()
            }
            AwsCredentials::WebIdentity { token: WebToken::Given(token), .. } => {
                vec![("webIdentity.token", token)]
            }
            AwsCredentials::WebIdentity { token: WebToken::File { token, .. }, .. } => {
                vec![("webIdentity.tokenFile", token)]
            }
            AwsCredentials::Worker => Vec::new(),
        }
    }
}

/// What a cluster's URL ends with, in each of AWS' partitions, with and without dual stack.
const SUFFIXES: [&str; 13] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "api.aws",
    "api.amazonwebservices.com.cn",
    "api.amazonwebservices.eu",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
    "api.aws.ic.gov",
    "api.aws.scloud",
    "api.aws.hci.ic.gov",
];

/// The region in a cluster's URL; `None` where the host is not one of AWS', such as a name of one's own.
///
/// `https://ID.gr7.eu-central-1.eks.amazonaws.com`, `https://ID.gr7.us-east-1.api.aws` (dual stack): the label that
/// looks like a region, in a host of AWS'.
#[must_use]
pub fn region_of(server: &str) -> Option<&str> {
    let (_, rest) = server.split_once("://")?;
    let place = rest.split('/').next()?;
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let is_aws = SUFFIXES.iter().any(|suffix| {
        let length = host.len().checked_sub(suffix.len() + 1);
        length.is_some_and(|at| host.as_bytes()[at] == b'.' && host[at + 1..].eq_ignore_ascii_case(suffix))
    });
    host.split('.').find(|label| is_region(label)).filter(|_| is_aws)
}

/// `eu-central-1`, `us-gov-west-1`, `us-isob-east-1`, `eusc-de-east-1`.
#[must_use]
pub fn is_region(text: &str) -> bool {
    let mut words = text.split('-');
    let area = words.next().unwrap_or_default();
    let number = words.next_back().unwrap_or_default();
    let words: Vec<&str> = words.collect();
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    (2..=4).contains(&area.len())
        && is_word(area)
        && (1..=2).contains(&words.len())
        && words.into_iter().all(is_word)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{is_region, region_of};

    #[test]
    fn the_region_is_read_from_the_urls_of_all_partitions() {
        for (server, region) in [
            ("https://ABC0123.gr7.eu-central-1.eks.amazonaws.com", "eu-central-1"),
            ("https://ABC0123.yl4.us-west-2.eks.amazonaws.com:443/", "us-west-2"),
            ("https://abc0123.sk1.us-gov-west-1.eks.amazonaws.com", "us-gov-west-1"),
            ("https://ABC0123.gr7.cn-north-1.eks.amazonaws.com.cn", "cn-north-1"),
            ("https://ABC0123.gr7.us-east-1.api.aws", "us-east-1"),
            ("https://eks-cluster.cn-northwest-1.api.amazonwebservices.com.cn", "cn-northwest-1"),
            ("https://fips.eks.us-east-2.amazonaws.com", "us-east-2"),
            ("https://x.gr7.us-iso-east-1.eks.c2s.ic.gov/", "us-iso-east-1"),
            ("https://x.gr7.us-isob-east-1.eks.sc2s.sgov.gov", "us-isob-east-1"),
            ("https://x.gr7.eusc-de-east-1.eks.amazonaws.eu", "eusc-de-east-1"),
            ("https://x.gr7.ap-southeast-7.eks.amazonaws.com", "ap-southeast-7"),
        ] {
            assert_eq!(region_of(server), Some(region), "{server}");
        }
    }

    #[test]
    fn a_name_of_ones_own_has_no_region() {
        for server in [
            "https://k8s.example.com",
            "https://k8s.eu-central-1.example.com",
            "https://eu-central-1.notamazonaws.com",
            "https://127.0.0.1:6443",
            "https://eks.amazonaws.com",
            "https://amazonaws.com",
        ] {
            assert_eq!(region_of(server), None, "{server}");
        }
    }

    #[test]
    fn a_region_has_an_area_a_place_and_a_number() {
        for no in ["", "eu", "eu-central", "eu--1", "EU-central-1", "eu-central-1a", "eu-central-123", "-a-1"]
        {
            assert!(!is_region(no), "{no}");
        }
    }
}
