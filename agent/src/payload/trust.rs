//! What a payload may name on this machine (payload.md 0): everything for a local one, the operator's list else.
//!
//! Promise: for a remote payload no file is opened and no variable read that the [`Policy`](super::Policy) does not
//! name; symlinks are resolved before the comparison, and the open file is compared again, so that a link that is
//! swapped in between gains nothing. A refusal does not tell whether the thing exists.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use super::Origin;
use super::fields::{Field, Reader};
use super::problem::quoted;

type Environment = BTreeMap<OsString, OsString>;

/// Which of the operator's lists a path is looked up in.
#[derive(Clone, Copy)]
pub(super) enum PathList {
    Files,
    Tools,
}

/// An account of the worker's own.
#[derive(Clone, Copy)]
pub(super) enum Identity {
    /// The pod's.
    InCluster,
    /// AWS': environment, profile, container's or instance's role.
    EksWorker,
    /// Azure's: the machine's managed identity.
    AksMachine,
    /// Google's: the machine's service account.
    GkeMachine,
}

impl PathList {
    /// Its key in the operator's config.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Tools => "tools",
        }
    }
}

impl Reader<'_> {
    /// Whether the payload is somebody's who may name only what the operator here allows.
    fn is_remote(&self) -> bool {
        self.surroundings.origin == Origin::Remote
    }

    /// Whether the payload speaks for the caller; if not, what no operator can allow is refused.
    pub(super) fn is_local(&self) -> bool {
        self.surroundings.origin == Origin::Local
    }

    /// The variables of the machine that runs the step, where that is this one.
    pub(super) fn environment_there(&self) -> Cow<'_, Environment> {
        match self.is_submitted() {
            true => Cow::Owned(Environment::new()),
            false => Cow::Borrowed(&self.surroundings.environment),
        }
    }

    /// Whether a variable may be read; if not, that is told.
    pub(super) fn may_read_variable(&self, field: &Field<'_>, name: &str) -> bool {
        let allowed = !self.is_remote() || self.policy_names(name);
        if !allowed {
            let told = format!("a remote payload must not read the variable {}", quoted(name));
            self.tell_with_hint(
                field,
                told,
                "the operator's config allows it with [remote] environment = […]",
            );
        }
        allowed
    }

    /// Whether the operator's list covers a name, or a whole glob: a `*` of it is only covered by a `*`.
    fn policy_names(&self, name: &str) -> bool {
        self.surroundings.policy.environment.iter().any(|allowed| glob(allowed, name))
    }

    /// Whether an account of the worker's own may be sent to this server; if not, that is told. Where the server is
    /// still to be found, only a local payload may use it.
    pub(super) fn may_use_identity(
        &self,
        field: &Field<'_>,
        identity: Identity,
        server: Option<&str>,
    ) -> bool {
        let policy = &self.surroundings.policy;
        let (servers, key) = match identity {
            Identity::InCluster => (&policy.in_cluster_servers, "inCluster"),
            Identity::EksWorker => (&policy.eks_worker_servers, "eksWorker"),
            Identity::AksMachine => (&policy.aks_managed_identity_servers, "aksManagedIdentity"),
            Identity::GkeMachine => (&policy.gke_vm_service_account_servers, "gkeVmServiceAccount"),
        };
        let same = |allowed: &String, server: &str| {
            allowed.trim_end_matches('/').eq_ignore_ascii_case(server.trim_end_matches('/'))
        };
        let is_allowed = |server: &str| servers.iter().any(|allowed| same(allowed, server));
        let allowed = match self.surroundings.origin {
            Origin::Local => true,
            Origin::Remote => server.is_some_and(is_allowed),
            Origin::Submitted => server.is_some(),
        };
        if allowed && self.is_submitted() {
            self.ask(field, key);
        }
        if !allowed {
            let told = "a remote payload must not use the worker's own account at this server";
            let hint = format!("the operator's config allows it with [remote] {key} = […]");
            self.tell_with_hint(field, told, &hint);
        }
        allowed
    }

    /// Whether tokens may be made for this application of Entra; if not, that is told.
    pub(super) fn may_use_server_id(&self, field: &Field<'_>, id: &str) -> bool {
        let mut known = self.surroundings.policy.aks_server_ids.iter();
        let is_plain = id.eq_ignore_ascii_case(super::aks::SERVER_ID);
        if self.is_submitted() && !is_plain {
            self.ask(field, "aksServerId");
        }
        let allowed = !self.is_remote() || is_plain || known.any(|known| known.eq_ignore_ascii_case(id));
        if !allowed {
            let told = "a remote payload must not have tokens made for this application";
            self.tell_with_hint(
                field,
                told,
                "the operator's config allows it with [remote] aksServerId = […]",
            );
        }
        allowed
    }

    /// Whether a limit may be that large; if not, that is told, with the operator's own in words.
    pub(super) fn may_be<T: PartialOrd + Copy>(
        &self,
        field: &Field<'_>,
        asked: T,
        most: Option<T>,
        words: impl Fn(T) -> String,
    ) -> bool {
        let Some(most) = self.bound(most).filter(|most| asked > *most) else { return true };
        let name = field.path.rsplit('.').next().unwrap_or_default();
        let hint = format!("the operator's config sets it with [maxima] {name}");
        self.tell_with_hint(field, format!("more than the {} that the operator allows", words(most)), &hint);
        false
    }

    /// The operator's bound, where the payload is one that it binds.
    pub(super) fn bound<T>(&self, most: Option<T>) -> Option<T> {
        most.filter(|_| self.is_remote())
    }

    /// A path of the payload, made absolute. Whether it may be named, and is there, is not judged.
    pub(super) fn absolute(&self, written: &str) -> PathBuf {
        let path = self.folder().join(written);
        // Fails only for an empty path or without a working directory; the path then is reported as it is.
        std::path::absolute(&path).unwrap_or(path)
    }

    /// Whether a path may be named; if not, that is told.
    pub(super) fn may_name(&self, field: &Field<'_>, path: &Path, list: PathList) -> bool {
        let allowed = !self.is_remote() || within(path, self.folders(list));
        if !allowed {
            self.refuse_path(field, list);
        }
        allowed
    }

    /// Whether a program may be named without its path; if not, that is told.
    pub(super) fn may_name_program(&self, field: &Field<'_>) -> bool {
        if !self.is_local() {
            let told = "a remote payload must name a program of the worker by its absolute path";
            self.tell_with_hint(
                field,
                told,
                "the operator's config allows folders of programs with [remote] tools = […]",
            );
        }
        self.is_local()
    }

    fn folders(&self, list: PathList) -> &[PathBuf] {
        match list {
            PathList::Files => &self.surroundings.policy.files,
            PathList::Tools => &self.surroundings.policy.tools,
        }
    }

    fn refuse_path(&self, field: &Field<'_>, list: PathList) {
        let (told, hint) = match list {
            PathList::Files => (
                "a remote payload must not name files and folders of the worker",
                "the operator's config allows it with [remote] files = […]",
            ),
            PathList::Tools => (
                "a remote payload must not choose tools of the worker",
                "the operator's config allows it with [remote] tools = […]",
            ),
        };
        self.tell_with_hint(field, told, hint);
    }

    /// Opens a regular file that the payload may name.
    pub(super) fn open(&self, field: &Field<'_>, written: &str) -> Option<File> {
        let path = self.absolute(written);
        if !self.may_name(field, &path, PathList::Files) {
            return None;
        }
        // A FIFO without a writer would block the open itself.
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
        let checked = opened.and_then(|file| file.metadata().map(|metadata| (file, metadata)));
        let (file, metadata) = match checked {
            Ok(checked) => checked,
            Err(error) => {
                self.unreadable(field, written, &error);
                return None;
            }
        };
        // Between the check and the open somebody may have swapped a link: what counts is what was opened.
        if self.is_remote()
            && !within(
                Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())),
                self.folders(PathList::Files),
            )
        {
            self.refuse_path(field, PathList::Files);
            return None;
        }
        if !metadata.is_file() {
            let kind = if metadata.is_dir() { "it is a folder" } else { "it is no regular file" };
            self.tell(field, format!("cannot read {}: {kind}", quoted(written)));
            return None;
        }
        Some(file)
    }
}

/// Whether `path` lies in one of `folders`, both with their symlinks resolved.
fn within(path: &Path, folders: &[PathBuf]) -> bool {
    let path = path.canonicalize().unwrap_or_else(|_| lexical(path));
    // A folder that cannot be resolved allows nothing.
    folders.iter().filter_map(|folder| folder.canonicalize().ok()).any(|folder| path.starts_with(folder))
}

/// Resolves `.` and `..` by the letters, for a path that does not exist: a missing file in an allowed folder is
/// called missing, any other one is refused as if it were there.
fn lexical(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut path, component| {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                path.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => path.push(component),
        }
        path
    })
}

/// Whether `pattern`, in which `*` stands for any characters, matches the whole of `name`.
pub(super) fn glob(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    // The leftmost fit of each piece leaves the most for those after it.
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// The same for the agent's variables, whose names need not be UTF-8; such ones match nothing.
pub(super) fn glob_os(pattern: &str, name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| glob(pattern, name))
}

#[cfg(test)]
mod tests {
    use super::{glob, within};
    use std::path::PathBuf;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name) in
            [("AWS_*", "AWS_"), ("*", ""), ("*_KEY", "A_KEY"), ("A*B*C", "AxBxBC"), ("CI", "CI")]
        {
            assert!(glob(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("AWS_*", "AWS"), ("CI", "CIX"), ("A*A", "A"), ("*_KEY", "KEYS"), ("", "A")] {
            assert!(!glob(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_link_out_of_an_allowed_folder_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
        std::fs::create_dir(&inside).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("secret"), "x").unwrap();
        std::fs::write(inside.join("fine"), "x").unwrap();
        std::os::unix::fs::symlink(outside.join("secret"), inside.join("link")).unwrap();
        let allowed: Vec<PathBuf> = vec![inside.clone()];
        assert!(within(&inside.join("fine"), &allowed));
        assert!(within(&inside.join("missing"), &allowed));
        assert!(!within(&inside.join("link"), &allowed));
        assert!(!within(&inside.join("../out/secret"), &allowed));
        assert!(!within(&inside.join("../out/missing"), &allowed));
        assert!(!within(&folder.path().join("inside"), &allowed), "a prefix of letters is no folder");
    }
}
