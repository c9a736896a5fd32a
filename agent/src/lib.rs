//! kubestep: runs one deployment step against Kubernetes. The modules, in the order in which a step meets them.

pub mod limits;
pub mod payload;
pub mod secret;
