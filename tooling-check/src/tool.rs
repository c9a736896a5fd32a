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
    /// The AWS command line, which logs in to EKS.
    Aws,
    /// The older way to log in to EKS.
    AwsIamAuthenticator,
    /// Azure's kubelogin, which logs in to AKS.
    Kubelogin,
    /// Google's plugin, which logs in to GKE.
    GkeGcloudAuthPlugin,
}

impl Tool {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Kubectl,
        Self::Helm,
        Self::Jq,
        Self::Xargs,
        Self::Base64,
        Self::Bash,
        Self::Aws,
        Self::AwsIamAuthenticator,
        Self::Kubelogin,
        Self::GkeGcloudAuthPlugin,
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
            Self::Aws => "aws",
            Self::AwsIamAuthenticator => "aws-iam-authenticator",
            Self::Kubelogin => "kubelogin",
            Self::GkeGcloudAuthPlugin => "gke-gcloud-auth-plugin",
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
