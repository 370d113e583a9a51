//! The eight links that must hold for a request to arrive, from the name of a host to the pods of the application: which one
//! is the first that does not, where that is written, and what to do.
//!
//! | link | holds when |
//! |---|---|
//! | 1 | the host leads to an address, and the load balancer has one |
//! | 2 | the load balancer listens on the port and has back ends |
//! | 3 | the Service of the load balancer leads to ready gateway pods |
//! | 4 | a Gateway selects those pods |
//! | 5 | a server of it opens the port, and takes the connection |
//! | 6 | a VirtualService bound to it has a rule for the request |
//! | 7 | the rule leads to a Service, and a subset, that exist |
//! | 8 | there are pods behind it |
//!
//! The files answer 4 to 7 and what they can of the others ([`crate::route`]); what runs answers the rest ([`Live`]).

mod live;
#[cfg(test)]
mod tests;
mod walk;

pub use live::{Live, LiveBackend, LiveDoor};
pub use walk::{Chain, Link, LinkState, backends, key, walk};
