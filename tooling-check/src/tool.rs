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

    /// Variables that keep it from what nobody asked for: another's cluster, a file of defaults (a kuberc turns the
    /// answer into YAML), notes in its own folder, questions over the network.
    pub(crate) const fn quiet_environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Kubectl => &[("KUBECONFIG", "/dev/null"), ("KUBERC", "off")],
            Self::Aws => &[("PYTHONDONTWRITEBYTECODE", "1")],
            Self::Gcloud => &[
                ("PYTHONDONTWRITEBYTECODE", "1"),
                ("CLOUDSDK_CORE_DISABLE_PROMPTS", "1"),
                ("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "1"),
                ("CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "1"),
            ],
            Self::Az => &[
                ("PYTHONDONTWRITEBYTECODE", "1"),
                ("AZURE_CORE_COLLECT_TELEMETRY", "0"),
                ("AZURE_CORE_NO_COLOR", "1"),
            ],
            Self::Pwsh => {
                &[("POWERSHELL_UPDATECHECK", "Off"), ("POWERSHELL_TELEMETRY_OPTOUT", "1"), ("NO_COLOR", "1")]
            }
            _ => &[],
        }
    }

    /// Variables that name folders which it writes to though it is only asked.
    pub(crate) const fn own_folders(self) -> &'static [&'static str] {
        match self {
            Self::Kubectl => &["KUBECACHEDIR"],
            Self::Gcloud => &["CLOUDSDK_CONFIG"],
            Self::Az => &["AZURE_CONFIG_DIR"],
            Self::Pwsh => &["XDG_CACHE_HOME", "XDG_DATA_HOME"],
            _ => &[],
        }
    }

    /// Whether it takes about a second to answer.
    pub(crate) const fn is_slow(self) -> bool {
        matches!(self, Self::Gcloud | Self::Az | Self::Aws | Self::Pwsh)
    }

    /// Whether its makers ship a script, so that a script is nothing to wonder at.
    pub(crate) const fn is_script_by_nature(self) -> bool {
        matches!(self, Self::Gcloud | Self::Az | Self::Aws)
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
