//! Tests of the comparison: what people see, and properties that hold for every object.

mod consequences;
mod fields;
mod fleets;
mod properties;
mod versions;
