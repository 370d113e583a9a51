//! Tests of the comparison: what people see, and properties that hold for every object.

mod apply;
mod fields;
mod fleets;
pub(crate) mod properties;
