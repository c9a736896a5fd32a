//! The command `kubestep`.

fn main() {}
