//! Asking the addresses of gateways for real: what to ask ([`plan()`]), what an answer means ([`judge()`]), which version answered
//! ([`VersionFrom`]), and whether the answers are spread as the weights say ([`spread()`]).
//!
//! Nothing here opens a connection: the caller asks and brings back what it observed.

mod judge;
mod plan;
mod spread;
mod version;

pub use judge::{Answer, Failure, Outcome, TlsProblem, Verdict, judge};
pub use plan::{Ask, Expect, Layer, by_routes, of_url, plan, request_of};
pub use spread::{Share, Spread, Test, spread};
pub use version::{VersionFrom, belongs_to};
