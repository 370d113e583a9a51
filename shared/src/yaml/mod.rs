//! YAML as kubectl reads it: the only module that names a YAML crate.
//!
//! * [`read`] gives every document of a file with the values kubectl gives and the place of every field.
//! * [`write()`] gives text that kubectl reads back as the same values.
//! * [`edit`] changes a file in place and keeps every byte that the change does not need.
//!
//! serde-saphyr's own resolution differs from kubectl's (unquoted keys, `0644`, whole floats, tags), so only its parser is
//! used: it gives scalars with their style and place, and `scalar.rs` says what they mean.

pub mod edit;
mod error;
mod order;
mod place;
mod read;
mod scalar;
mod write;

pub use error::{Limit, Limits, YamlError};
pub use place::{Extent, Span};
pub use read::read;
pub use write::{write, write_all};

use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// One document of a file: its value and the places of its fields.
pub struct Document {
    /// The value as kubectl reads it.
    pub value: Arc<Value>,
    /// Which document of the file it is, from 0. Empty documents do not count.
    pub index: usize,
    /// Where in that document the value stands: empty, or `/items/<n>` for an item of a `List` ([`Document::unfold`]).
    pub pointer: String,
    places: place::Places,
}

impl fmt::Debug for Document {
    /// Without the value: it may hold secrets, and debug output ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.start();
        f.debug_struct("Document").field("index", &self.index).field("line", &line).field("column", &column).finish()
    }
}
