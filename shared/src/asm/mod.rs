//! Read-only views of ASM's own objects: what the IstioGateway means, which addresses an object holds.

pub mod addresses;
pub mod gateway;
pub mod overview;
pub mod usage;
