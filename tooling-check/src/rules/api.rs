//! The versions of the API by which kubectl and its plugins talk: `client.authentication.k8s.io`.

use std::fmt;

use serde::Deserialize;

/// A version of that API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApiVersion {
    /// Refused from kubectl 1.24 on.
    V1Alpha1,
    /// The one that works with nearly every pair, and therefore preferred.
    V1Beta1,
    /// The newest.
    V1,
}

impl ApiVersion {
    /// All of them, in the order in which they are tried.
    pub const PREFERRED: [Self; 3] = [Self::V1Beta1, Self::V1, Self::V1Alpha1];

    /// The short name, such as `v1beta1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1Alpha1 => "v1alpha1",
            Self::V1Beta1 => "v1beta1",
            Self::V1 => "v1",
        }
    }

    /// The name as a kubeconfig and a plugin's answer have it.
    #[must_use]
    pub const fn full_name(self) -> &'static str {
        match self {
            Self::V1Alpha1 => "client.authentication.k8s.io/v1alpha1",
            Self::V1Beta1 => "client.authentication.k8s.io/v1beta1",
            Self::V1 => "client.authentication.k8s.io/v1",
        }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of [`ApiVersion`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApiVersions([bool; 3]);

impl ApiVersions {
    /// Whether the version is among them.
    #[must_use]
    pub const fn contains(self, version: ApiVersion) -> bool {
        self.0[version as usize]
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Those of the set, the preferred one first.
    pub fn iter(self) -> impl Iterator<Item = ApiVersion> {
        ApiVersion::PREFERRED.into_iter().filter(move |version| self.contains(*version))
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.iter().filter(|version| other.contains(*version)).collect()
    }
}

impl FromIterator<ApiVersion> for ApiVersions {
    fn from_iter<I: IntoIterator<Item = ApiVersion>>(versions: I) -> Self {
        let mut set = Self::default();
        versions.into_iter().for_each(|version| set.0[version as usize] = true);
        set
    }
}

/// `v1alpha1, v1beta1 and v1`.
impl fmt::Display for ApiVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [ApiVersion::V1Alpha1, ApiVersion::V1Beta1, ApiVersion::V1];
        let names: Vec<&str> =
            all.into_iter().filter(|version| self.contains(*version)).map(ApiVersion::name).collect();
        match names.split_last() {
            None => f.write_str("none"),
            Some((last, [])) => f.write_str(last),
            Some((last, rest)) => write!(f, "{} and {last}", rest.join(", ")),
        }
    }
}
