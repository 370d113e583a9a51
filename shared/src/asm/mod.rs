//! Read-only views of ASM's own objects and of the cloud's: what the IstioGateway means, which addresses an object holds,
//! what the annotations of a load balancer say.

pub mod addresses;
pub mod annotations;
pub mod features;
pub mod gateway;
pub mod overview;
pub mod usage;
