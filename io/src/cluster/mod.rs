//! What both binaries need to talk to API servers: which URL a kind has, how objects are read and changed, and errors
//! that people can read.

mod discovery;
mod error;

pub use discovery::{KindError, Resolver, Resource};
pub use error::{Cause, ClusterError, ErrorKind, FieldConflict};
