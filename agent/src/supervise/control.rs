//! What agent and supervisor say to each other: one JSON object a line, over a socketpair.
//!
//! A message can hold the script's environment, so no message is ever formatted for people.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::method::{Choice, Method};
use crate::workspace::{Folders, Roots};

/// A program to run, completely stated. It has no `Debug`: the environment holds secrets.
#[derive(Serialize, Deserialize)]
pub struct Command {
    /// Absolute.
    pub program: PathBuf,
    /// Without the program's own name.
    pub arguments: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub environment: BTreeMap<String, String>,
    /// The working directory.
    pub directory: PathBuf,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

/// What a step needs before its script.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Preparation {
    /// Where the workspace may be.
    pub roots: Roots,
    /// The step's name, for `kubestep ps`.
    pub step: String,
    /// How the tree is to be held together.
    pub tree: Choice,
}

/// A process of a tree: never its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its number.
    pub pid: i32,
    /// What the kernel calls it; a script can choose that.
    pub name: String,
}

/// Processes of a tree that are there when none should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// All of them.
    pub count: usize,
    /// The first of them.
    pub named: Vec<Named>,
}

/// Agent to supervisor.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Order {
    /// Make the workspace; from now on its removal is the supervisor's.
    Prepare(Preparation),
    /// Run the script; once only.
    Spawn(Command),
    /// TERM to the tree.
    Terminate,
    /// KILL to the tree.
    Kill,
    /// Remove the workspace and end.
    Close,
}

/// Supervisor to agent.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Report {
    Prepared(Folders),
    NotPrepared(String),
    /// The script's pid, which is its process group's too.
    Spawned(i32),
    NotSpawned(String),
    /// The script is over; these of its tree are not.
    Exited(Exit, Left),
    /// The script and all that it started are gone.
    Empty(Method),
    /// These are still there, for as long after their KILL as the supervisor is patient.
    Survived(Method, Left),
    Closed,
    /// Something of the workspace is still there.
    NotRemoved(String),
}
