//! Load balancers of gateways: one more CLB or NLB is one more Service with the gateway's selector.

mod access;
mod add;
mod annotate;
mod place;
mod ports;
mod remove;
mod replace;
mod view;
mod words;

pub use access::{FixClbAccess, UnreachedClb};
pub use add::{AddClb, ChargeType, ClbSettings};
pub use place::ClbPlace;
pub use ports::ClbPort;
pub use remove::{Addresses, RemoveClb};
pub use replace::{FinishClb, ReplaceClb, Replacement};
pub use view::{LoadBalancerPort, LoadBalancerService};
pub use words::{AddressType, ExternalTrafficPolicy};

/// Label on the Service that takes the place of another one, until that one is retired. A label: the cloud controller hashes
/// annotations and would sync the load balancer anew.
pub const REPLACES: &str = "kubectl-asm.io/replaces";

/// The namespace of gateways and their Services.
const NAMESPACE: &str = "istio-system";
