//! A kubeconfig that a cloud's own API hands out: one cluster, one user. Read with the payload's own document reader,
//! and by far not as a user's would be: what is not expected makes it useless.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::document::{self, Node};
use crate::secret::Secret;

/// What such a kubeconfig holds.
pub struct Handout {
    /// The cluster's URL, unjudged.
    pub server: String,
    /// PEM.
    pub certificate_authority: Option<String>,
    /// The user.
    pub user: HandoutUser,
    /// Every secret in it.
    pub secrets: Vec<Secret>,
}

/// How its user logs in.
pub enum HandoutUser {
    /// By a client certificate, PEM.
    Certificate {
        /// The certificate.
        certificate: String,
        /// Its key.
        private_key: Secret,
    },
    /// By a token.
    Token(Secret),
    /// By this plugin, as it is written there.
    Plugin(String),
    /// By nothing that is known.
    Unknown,
}

impl Handout {
    /// Reads one; `None` where it is none, or has no cluster.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        let root = document::read(text, &document::KUBECONFIG).ok()?;
        let first = |list: &str, item: &str| root.get(list)?.elements().first()?.get(item);
        let cluster = first("clusters", "cluster")?;
        let data =
            |node: &Node, name: &str| String::from_utf8(STANDARD.decode(node.get(name)?.text()?).ok()?).ok();
        let server = cluster.get("server")?.text()?.to_owned();
        let certificate_authority =
            data(cluster, "certificate-authority-data").filter(|pem| pem.contains("BEGIN CERTIFICATE"));
        let Some(user) = first("users", "user") else {
            let (user, secrets) = (HandoutUser::Unknown, Vec::new());
            return Some(Self { server, certificate_authority, user, secrets });
        };
        let text = |name: &str| user.get(name).and_then(Node::text).map(|text| Secret::new(text.to_owned()));
        let key = data(user, "client-key-data").map(Secret::new);
        let secrets: Vec<Secret> =
            [text("token"), text("client-key-data"), key.clone()].into_iter().flatten().collect();
        let plugin = user
            .get("exec")
            .map(|exec| exec.get("command").and_then(Node::text).unwrap_or_default())
            .or_else(|| user.get("auth-provider")?.get("name")?.text());
        let user = match (plugin, data(user, "client-certificate-data").zip(key), text("token")) {
            (Some(command), ..) => HandoutUser::Plugin(command.to_owned()),
            (None, Some((certificate, private_key)), _) => {
                HandoutUser::Certificate { certificate, private_key }
            }
            (None, None, Some(token)) => HandoutUser::Token(token),
            (None, None, None) => HandoutUser::Unknown,
        };
        Some(Self { server, certificate_authority, user, secrets })
    }
}

#[cfg(test)]
mod tests {
    use super::{Handout, HandoutUser};

    fn read(user: &str) -> Handout {
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster:\n    server: https://c:443\n    \
             certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t\nusers:\n- name: u\n  user: {user}\n"
        );
        Handout::read(text.as_bytes()).expect("a kubeconfig")
    }

    #[test]
    fn a_user_logs_in_by_what_it_has() {
        let both = read("{client-certificate-data: Qw==, client-key-data: aHVudGVyMjI=, token: hunter23}");
        assert!(matches!(&both.user, HandoutUser::Certificate { certificate, private_key }
            if certificate == "C" && private_key.expose() == "hunter22"));
        let secrets: Vec<&str> = both.secrets.iter().map(|secret| secret.expose()).collect();
        assert_eq!(secrets, ["hunter23", "aHVudGVyMjI=", "hunter22"]);
        assert_eq!(both.certificate_authority.as_deref(), Some("-----BEGIN CERTIFICATE-----"));
        assert!(matches!(read("{token: hunter23}").user, HandoutUser::Token(_)));
        assert!(
            matches!(read("{exec: {command: kubelogin}}").user, HandoutUser::Plugin(name) if name == "kubelogin")
        );
        assert!(
            matches!(read("{auth-provider: {name: azure}}").user, HandoutUser::Plugin(name) if name == "azure")
        );
        assert!(matches!(read("{}").user, HandoutUser::Unknown));
    }

    #[test]
    fn what_is_no_kubeconfig_is_none() {
        for text in ["", "<html>", "{}", "clusters: []", "a: [", "clusters: [{cluster: {}}]"] {
            assert!(Handout::read(text.as_bytes()).is_none(), "{text}");
        }
    }
}
