//! Kubernetes objects as the fleet sees them: identity, kinds, and what makes two of them equal.

pub(crate) mod defaults;
mod duration;
pub mod equal;
mod id;
pub mod kinds;
pub mod list_keys;
mod packed;
mod path;
pub(crate) mod pattern;
mod pointer;
mod quantity;
mod redact;
mod regex;
mod secret;
pub mod server_owned;

pub use duration::parse_duration;
pub use id::{GroupKind, ObjectId, split_api_version};
pub use packed::Packed;
pub use path::{FieldPath, Segment};
pub use pointer::At;
pub use quantity::Quantity;
pub(crate) use redact::is_credential;
pub use redact::{redact, redact_text};
pub use regex::{Regex, RegexFault};
pub(crate) use secret::fold_in_place;
pub use secret::fold_string_data;
