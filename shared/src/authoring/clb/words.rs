//! The words that a load balancer's settings have.

/// Network of a load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressType {
    /// Public.
    Internet,
    /// Inside the VPC.
    Intranet,
}

/// What the nodes do with traffic that arrives for pods elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternalTrafficPolicy {
    /// Pass it on; the client's address is lost.
    Cluster,
    /// Only nodes with a pod take traffic; the client's address is kept.
    Local,
}
