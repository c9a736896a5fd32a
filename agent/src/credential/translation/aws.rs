//! The known troubles of AWS.

use super::{Row, row};

/// What the aws cli 1 and 2 and aws-iam-authenticator say.
pub(in crate::credential) const AWS: &[Row] = &[
    row(
        &["InvalidClientTokenId"],
        "AWS does not know the access key",
        "check accessKeyId; is the key deleted, inactive, or one of another partition? A temporary key needs its sessionToken",
    ),
    row(
        &["UnrecognizedClientException"],
        "AWS does not know the access key",
        "check accessKeyId and, for a temporary key, sessionToken",
    ),
    row(
        &["Signature expired"],
        "the clock of this machine is wrong: AWS took the request for an old one",
        "set the clock (chronyc makestep, timedatectl set-ntp true)",
    ),
    row(
        &["Signature not yet current"],
        "the clock of this machine is wrong: AWS took the request for one of the future",
        "set the clock (chronyc makestep, timedatectl set-ntp true)",
    ),
    row(
        &["RequestExpired"],
        "the clock of this machine is wrong, or the session has ended",
        "set the clock (timedatectl set-ntp true), or give a new session",
    ),
    row(
        &["SignatureDoesNotMatch"],
        "the secret access key is not the one of this access key",
        "check secretAccessKey: a line break or a blank too many, or another account's",
    ),
    row(
        &["ExpiredTokenException", "WebIdentity"],
        "the web identity token has ended",
        "have a new token made for each step, or name a file that is renewed (tokenFile)",
    ),
    row(
        &["ExpiredToken"],
        "the session of these keys has ended",
        "give the keys of a new session, or keys of a user with assumeRole",
    ),
    row(
        &["InvalidIdentityToken"],
        "AWS does not accept the web identity token",
        "check that the role's account has this token's issuer as an OpenID Connect provider, and its audience",
    ),
    row(
        &["IDPCommunicationError"],
        "AWS could not reach the issuer of the web identity token",
        "try again; the issuer's keys have to be reachable from the internet",
    ),
    row(
        &["AccessDenied", "AssumeRoleWithWebIdentity"],
        "the role may not be taken with this token",
        "check the role's trust policy: the provider, and its conditions on sub and aud",
    ),
    row(
        &["AccessDenied", "AssumeRole"],
        "the role may not be taken by this account",
        "check the role's trust policy and the account's own sts:AssumeRole, and externalId if the policy asks for one",
    ),
    row(
        &["AccessDenied", "eks:DescribeCluster"],
        "the account may not look at the cluster",
        "allow eks:DescribeCluster, or set target.server and target.certificateAuthority",
    ),
    row(
        &["ResourceNotFoundException"],
        "there is no such cluster in this account and region",
        "check clusterName and region, and whether a role in another account has to be taken (assumeRole)",
    ),
    row(
        &["Unable to locate credentials"],
        "the worker has no AWS account of its own: no variables, no profile, no role",
        "give the agent AWS_PROFILE or keys, or the machine a role; or use accessKey or webIdentity",
    ),
    row(
        &["NoCredentialProviders"],
        "the worker has no AWS account of its own: no variables, no profile, no role",
        "give the agent AWS_PROFILE or keys, or the machine a role; or use accessKey or webIdentity",
    ),
    row(
        &["no EC2 IMDS role found"],
        "the worker has no AWS account of its own: no variables, no profile, no role",
        "give the agent AWS_PROFILE or keys, or the machine a role; or use accessKey or webIdentity",
    ),
    row(
        &["SSO session", "expired"],
        "the worker's SSO session has ended",
        "log in again as the agent's user: aws sso login",
    ),
    row(
        &["Token for", "does not exist"],
        "the worker's SSO session is not there",
        "log in as the agent's user: aws sso login",
    ),
    row(
        &["Error loading SSO Token"],
        "the worker's SSO session is not there",
        "log in as the agent's user: aws sso login",
    ),
    row(
        &["The config profile", "could not be found"],
        "there is no such profile in the agent's AWS config",
        "check AWS_PROFILE and AWS_CONFIG_FILE of the agent",
    ),
    row(
        &["failed to get shared config profile"],
        "there is no such profile in the agent's AWS config",
        "check AWS_PROFILE and AWS_CONFIG_FILE of the agent",
    ),
    row(&["Missing Region"], "no region is known", "set target.auth.eks.region"),
    row(
        &["Could not connect to the endpoint URL"],
        "AWS cannot be reached",
        "check the region, the network, and the agent's HTTPS_PROXY and NO_PROXY",
    ),
    row(
        &["Failed to connect to proxy URL"],
        "the agent's proxy does not let us through",
        "check the agent's HTTPS_PROXY and NO_PROXY",
    ),
    row(
        &["SSL validation failed"],
        "whoever answered for AWS has a certificate that is not trusted",
        "name the CA of your proxy in the agent's SSL_CERT_FILE or AWS_CA_BUNDLE",
    ),
];
