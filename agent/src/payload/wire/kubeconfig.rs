//! `target.auth.kubeconfig`: somebody's kubeconfig, of which one context is cut out.
//!
//! Promise: only that context, its cluster and its user are taken; what kubectl would refuse, or would ask a
//! question about, is refused here; relative paths go by the folder of the file. In those three parts unknown fields
//! are refused, as the agent writes what it knows and would lose them; the rest of the document is not judged.
//! Places are those in the kubeconfig, which its problems say (`fields::Reader::inside`).

mod cluster;
mod exec;
mod leaves;
mod sent;
mod user;

use std::path::Path;

use super::target::{self, Connection, present};
use crate::payload::fields::{Field, Fields, Reader};
use crate::payload::problem::{Place, Problem, below, quoted};
use crate::payload::source::Given;
use crate::payload::{Part, User, document};

/// The payload's field that all of it came from.
const CONTENT: &str = "target.auth.kubeconfig.content";

const NAME_ONE: &str = "name one with auth.kubeconfig.context";

/// How many names a message lists.
const LISTED: usize = 10;

/// One context of a kubeconfig.
pub(super) struct Imported {
    pub(super) cluster: Connection,
    pub(super) namespace: String,
    pub(super) user: User,
    pub(super) parts: Vec<Part>,
}

pub(super) fn read(reader: &Reader<'_>, field: &Field<'_>) -> Option<Imported> {
    let fields = reader.fields(field, &["content", "context"])?;
    let wanted = fields.get("context").map(|field| Some((field, reader.filled_text(field)?)));
    let content_field = fields.required("content", reader)?;
    let source = reader.source(content_field)?;
    if source.given == Given::Here {
        reader.note_in_clear(content_field);
    }
    let text = reader.utf8(content_field, source.bytes)?;
    if text.trim().is_empty() {
        reader.tell(content_field, "must not be empty");
        return None;
    }
    let root = match document::read(text.as_bytes(), &document::KUBECONFIG) {
        Ok(root) => root,
        Err(problem) => {
            reader.tell_inside(content_field, *problem);
            return None;
        }
    };
    let wanted = present(wanted)?;
    let inner = reader.inside(source.path.as_deref().and_then(Path::parent));
    let root_field = Field { path: String::new(), key: root.place, node: &root };
    let chosen = Document::read(&inner, &root_field).and_then(|document| {
        let context = document.context(&inner, reader, wanted)?;
        let cut = document.cut_out(&inner, &context)?;
        if let Some(alone) = sent::alone(&inner, &document, &context).filter(|_| inner.is_submitted()) {
            reader.send(content_field, None, alone.as_bytes());
        }
        Some(cut)
    });
    reader.absorb(&inner, content_field);
    let (cluster, namespace, user) = chosen?;
    let known = user.secrets();
    let mut parts = leaves::of(&root);
    parts.retain(|part| !known.iter().any(|(_, secret)| secret.expose() == part.secret.expose()));
    parts.push(Part::new(CONTENT, &text));
    Some(Imported { cluster, namespace, user, parts })
}

/// The document's lists, and what it says of itself.
struct Document<'n> {
    clusters: Vec<Named<'n>>,
    contexts: Vec<Named<'n>>,
    users: Vec<Named<'n>>,
    current: Option<Field<'n>>,
}

/// An entry of a list: its name, and what stands under it.
struct Named<'n> {
    name: &'n str,
    field: Field<'n>,
}

impl<'n> Document<'n> {
    fn read(inner: &Reader<'_>, root: &Field<'n>) -> Option<Self> {
        let fields = inner.all_fields(root)?;
        for (name, expected) in [("apiVersion", "v1"), ("kind", "Config")] {
            if let Some(field) = fields.filled(name) {
                let found = inner.text(field)?;
                if found != expected {
                    inner.tell(field, format!("expected {expected}, found {}", quoted(&found)));
                    return None;
                }
            }
        }
        let clusters = named(inner, &fields, "clusters", "cluster");
        let contexts = named(inner, &fields, "contexts", "context");
        let users = named(inner, &fields, "users", "user");
        let current = fields.filled("current-context").cloned();
        Some(Self { clusters: clusters?, contexts: contexts?, users: users?, current })
    }

    /// The context that the payload names, else the document's own.
    fn context(
        &self,
        inner: &Reader<'_>,
        outer: &Reader<'_>,
        wanted: Option<(&Field<'_>, String)>,
    ) -> Option<Field<'n>> {
        let there = self.there();
        let told = |name: &str| {
            let is_cluster = self.clusters.iter().any(|cluster| cluster.name == name);
            let is_user = self.users.iter().any(|user| user.name == name);
            let other = match (is_cluster, is_user) {
                (true, _) => ", which is the name of a cluster",
                (_, true) => ", which is the name of a user",
                (false, false) => "",
            };
            format!("there is no context {}{other}; {there}", quoted(name))
        };
        match (wanted, &self.current) {
            (Some((field, name)), _) => match find(&self.contexts, &name) {
                Found::One(context) => Some(context.clone()),
                Found::None => {
                    outer.tell(field, format!("in the kubeconfig {}", told(&name)));
                    None
                }
                Found::More(second) => twice(inner, second, &name),
            },
            (None, Some(field)) => {
                let name = inner.text(field)?;
                match find(&self.contexts, &name) {
                    Found::One(context) => Some(context.clone()),
                    Found::None => {
                        inner.tell_with_hint(field, told(&name), NAME_ONE);
                        None
                    }
                    Found::More(second) => twice(inner, second, &name),
                }
            }
            (None, None) => {
                let problem =
                    Problem::new(Place::DOCUMENT, "", format!("there is no current-context; {there}"));
                inner.push(problem.with_hint(NAME_ONE));
                None
            }
        }
    }

    fn there(&self) -> String {
        match names(&self.contexts) {
            names if names.is_empty() => "it has no contexts".into(),
            names => format!("the contexts are {names}"),
        }
    }

    fn cut_out(&self, inner: &Reader<'_>, context: &Field<'n>) -> Option<(Connection, String, User)> {
        let fields = inner.fields(context, &["cluster", "user", "namespace", "extensions"])?;
        let cluster = one(inner, &fields, "cluster", &self.clusters);
        let user = one(inner, &fields, "user", &self.users);
        let namespace = fields.filled("namespace").map(|field| target::namespace(inner, field));
        let cluster = cluster.and_then(|field| cluster::read(inner, field));
        let user = user.and_then(|field| user::read(inner, field));
        let (cluster, mut user) = (cluster?, user?);
        if let Some(exec) = &mut user.exec {
            exec.cluster_config = cluster.exec_config;
        }
        Some((cluster.connection, namespace.unwrap_or(Some("default".into()))?, user))
    }
}

enum Found<'a, 'n> {
    None,
    One(&'a Field<'n>),
    /// The second one of that name.
    More(&'a Field<'n>),
}

fn find<'a, 'n>(list: &'a [Named<'n>], name: &str) -> Found<'a, 'n> {
    let mut found = list.iter().filter(|named| named.name == name).map(|named| &named.field);
    match (found.next(), found.next()) {
        (None, _) => Found::None,
        (Some(one), None) => Found::One(one),
        (Some(_), Some(second)) => Found::More(second),
    }
}

fn twice<T>(inner: &Reader<'_>, second: &Field<'_>, name: &str) -> Option<T> {
    inner.tell(second, format!("the name {} stands here for the second time", quoted(name)));
    None
}

/// The entry that a context names.
fn one<'a, 'n>(
    inner: &Reader<'_>,
    context: &Fields<'n>,
    kind: &str,
    list: &'a [Named<'n>],
) -> Option<&'a Field<'n>> {
    let field = context.filled(kind).or_else(|| context.missing(kind, inner))?;
    let name = inner.text(field)?;
    match find(list, &name) {
        Found::One(field) => Some(field),
        Found::More(second) => twice(inner, second, &name),
        Found::None => {
            let there = match names(list) {
                names if names.is_empty() => format!("the kubeconfig has no {kind}s"),
                names => format!("the {kind}s are {names}"),
            };
            inner.tell(field, format!("there is no {kind} {}; {there}", quoted(&name)));
            None
        }
    }
}

fn names(list: &[Named<'_>]) -> String {
    let shown: Vec<String> = list.iter().take(LISTED).map(|named| quoted(named.name)).collect();
    let more = if list.len() > LISTED { " and more" } else { "" };
    shown.join(", ") + more
}

/// The entries of a list that have a name. Others are nobody's, as contexts go by names.
fn named<'n>(inner: &Reader<'_>, root: &Fields<'n>, list: &str, item: &str) -> Option<Vec<Named<'n>>> {
    let Some(field) = root.filled(list) else { return Some(Vec::new()) };
    let entries = inner.list(field)?;
    let named = entries.iter().filter_map(|entry| {
        let path = below(&entry.path, item);
        let node = entry.node.get(item)?;
        Some(Named { name: entry.node.get("name")?.text()?, field: Field { path, key: node.place, node } })
    });
    Some(named.collect())
}
