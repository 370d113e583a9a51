//! What changes from one state of a fleet to another: fields, objects, and what that means for addresses and traffic.
//!
//! * [`missing_from`]: what Git sets and the live object does not hold (drift).
//! * [`dropped`]: what the agent set and Git no longer has.
//! * [`between`]: every difference of two objects, in both directions (Git to Git).
//!
//! * [`diff`], [`diff_live`]: whole fleets, object by object, with what each change means.
//!
//! All compare meaning, not text; the tables behind that are in [`crate::object`].

mod align;
mod apply;
mod change;
mod dropped;
mod effects;
mod field;
mod literal;
mod object;
mod versions;

#[cfg(test)]
mod tests;

pub use apply::apply;
pub use change::{FleetDiff, LiveObject, LiveTarget, ObjectChange, Op, TargetCounts, UnknownObject};
pub use dropped::dropped;
pub use field::{FieldChange, between, missing_from};
use literal::literal;
pub use object::{diff, diff_literally, diff_live, diff_live_literally};
pub use versions::Version;
