//! kubestep: runs one deployment step against Kubernetes. A map of the modules; ARCHITECTURE.md says more.

// The line, in the order in which a step meets it.
pub mod payload;
pub mod plan;
pub mod workspace;
pub mod credential;
pub mod kubeconfig;
pub mod cluster;
pub mod script;
pub mod supervise;
pub mod outcome;
pub mod step;

// What the line rests on.
pub mod causes;
pub mod https;
pub mod init;
pub mod limits;
pub mod log;
pub mod mask;
pub mod message;
pub mod secret;

// What surrounds it.
pub mod cli;
pub mod commands;
pub mod explain;
pub mod place;
pub mod queue;
pub mod settings;
pub mod worker;
