//! What a real fleet has around the API servers and one machine has not: simulated by the documented rules.

pub(crate) mod asm;
pub(crate) mod ccm;
pub(crate) mod cloud;
pub(crate) mod follow;
pub mod kube_proxy;
pub(crate) mod kubelet;

pub use cloud::{Cloud, CloudSync, DeletedLoadBalancer, LoadBalancer, LoadBalancerKind, Owner, SyncKind};
