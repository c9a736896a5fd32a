//! The programs that a step may need, by the names under which they lie on a PATH.

use std::fmt;

/// A program that a step may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tool {
    /// The Kubernetes command line.
    Kubectl,
    /// The package manager of charts.
    Helm,
    /// The JSON filter.
    Jq,
    /// Builds command lines from its input.
    Xargs,
    /// Writes and reads base64.
    Base64,
    /// The shell that runs bash scripts.
    Bash,
    /// The toolbox of keys and certificates.
    Openssl,
    /// The AWS command line, which logs in to EKS.
    Aws,
    /// The older way to log in to EKS.
    AwsIamAuthenticator,
    /// Azure's kubelogin, which logs in to AKS.
    Kubelogin,
    /// Google's plugin, which logs in to GKE.
    GkeGcloudAuthPlugin,
    /// The Google Cloud command line.
    Gcloud,
    /// The Azure command line.
    Az,
    /// The interpreter of Python scripts.
    Python3,
    /// The shell that runs PowerShell scripts.
    Pwsh,
}

impl Tool {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Kubectl,
        Self::Helm,
        Self::Jq,
        Self::Xargs,
        Self::Base64,
        Self::Bash,
        Self::Openssl,
        Self::Aws,
        Self::AwsIamAuthenticator,
        Self::Kubelogin,
        Self::GkeGcloudAuthPlugin,
        Self::Gcloud,
        Self::Az,
        Self::Python3,
        Self::Pwsh,
    ];

    /// The name of its file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kubectl => "kubectl",
            Self::Helm => "helm",
            Self::Jq => "jq",
            Self::Xargs => "xargs",
            Self::Base64 => "base64",
            Self::Bash => "bash",
            Self::Openssl => "openssl",
            Self::Aws => "aws",
            Self::AwsIamAuthenticator => "aws-iam-authenticator",
            Self::Kubelogin => "kubelogin",
            Self::GkeGcloudAuthPlugin => "gke-gcloud-auth-plugin",
            Self::Gcloud => "gcloud",
            Self::Az => "az",
            Self::Python3 => "python3",
            Self::Pwsh => "pwsh",
        }
    }

    /// What it is asked for its version with. `--version` is no flag of kubectl, and helm 4 has no `--client`.
    #[must_use]
    pub(crate) const fn version_arguments(self) -> &'static [&'static str] {
        match self {
            Self::Kubectl => &["version", "--client", "-o", "json"],
            Self::Helm | Self::AwsIamAuthenticator | Self::Openssl => &["version"],
            Self::Gcloud => &["version", "--format=json"],
            Self::Az => &["version", "-o", "json"],
            Self::Jq
            | Self::Xargs
            | Self::Base64
            | Self::Bash
            | Self::Aws
            | Self::Kubelogin
            | Self::GkeGcloudAuthPlugin
            | Self::Python3
            | Self::Pwsh => &["--version"],
        }
    }

    /// The tool of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Tool;

    #[test]
    fn every_tool_is_found_by_its_name_and_nothing_else_is() {
        for tool in Tool::ALL {
            assert_eq!(Tool::named(tool.name()), Some(tool));
        }
        assert_eq!(Tool::named("Kubectl"), None);
        assert_eq!(Tool::named(""), None);
    }
}
