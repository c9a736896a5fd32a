//! kubestep: runs one deployment step against Kubernetes. The modules, in the order in which a step meets them.

pub mod limits;
pub mod mask;
pub mod message;
pub mod secret;
pub mod supervise;
pub mod workspace;
