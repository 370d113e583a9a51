//! The I/O that both binaries need: trees from disk and Git, clients of clusters.

pub mod cluster;
pub mod loose;
pub mod revisions;
pub mod tree;
