//! Can a client inside of a cluster reach the address of a load balancer in front of a gateway of the same cluster?
//!
//! The data plane of a node takes the IP of a load balancer for an address of its own and never sends the packet out. With
//! `externalTrafficPolicy: Local` it then depends on the data plane, its version, the node and the network of the client
//! whether the packet finds a gateway pod. [`judge()`] is the table of that; [`diagnose()`] applies it to a cluster.

mod diagnose;
mod facts;
mod judge;
mod observe;
mod remedy;
#[cfg(test)]
mod tests;

pub use diagnose::{
    CallerVerdict, ConditionalVerdict, Diagnosis, EventMeaning, NodeVerdict, Overall, complaints, diagnose,
};
pub use facts::{Caller, CloudEvent, Facts, Mode, Network, Node, Policy, Proxy, ServiceFacts, Version};
pub use judge::{Case, Client, Judgement, Reach, Rule, judge};
pub use observe::{Objects, missing, observe, of_files};
pub use remedy::{Possible, Remedy, RemedyKind};
