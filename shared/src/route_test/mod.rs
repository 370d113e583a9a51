//! Requests and what comes of them: the route tests of a fleet, requests from elsewhere, and what a change does to both.
//!
//! * [`Case`] – a request, perhaps with what must come of it. From `RouteTest` files ([`cases`]), from the command line, or
//!   from the test files of others (`foreign/`) and access logs ([`access_log`]).
//! * [`Simulator`] – the route tables of a fleet's gateways, asked together.
//! * [`Seen`] – what came of a request, in values that can be compared, shown and written as JSON.
//! * [`mismatches`] – what differs from what must come of it.
//! * [`compare`] – requests whose outcome differs between two states of a fleet.

pub mod access_log;
mod case;
mod check;
mod effects;
mod foreign;
mod seen;
mod simulator;

pub use case::{Case, CaseError, cases, told};
pub use check::{Mismatch, mismatches};
pub use effects::{Change, Changed, compare, of_both};
pub use foreign::{Foreign, read as read_foreign};
pub use seen::{Alternative, Effect, Elsewhere, Entry, Injected, Rule, Seen, To};
pub use simulator::{Answered, Simulator, Step};

#[cfg(test)]
mod tests;
