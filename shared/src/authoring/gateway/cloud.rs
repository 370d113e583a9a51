//! What a gateway says to the cloud: annotations of its Service, and those of ASM.

use crate::asm::annotations;
use serde_json::Value;

/// `loadBalancerClass` of an NLB.
pub(super) const NLB_CLASS: &str = "alibabacloud.com/nlb";
pub(super) use crate::asm::features::DRAIN_SECONDS;

/// What sharing a load balancer means; said before it is written.
pub const SHARING_RISKS: [&str; 5] = [
    "reusing a load balancer can overwrite its listeners and cut off what it serves now; a load balancer of its own is the recommended set-up",
    "only a load balancer made in the console or by API can be reused: one that Kubernetes made (tagged kubernetes.do.not.delete or ack.aliyun.com) is refused",
    "Services that share a load balancer need different ports",
    "the names of its listeners and vServer groups (k8s/…) belong to the cloud controller: renaming them breaks the Service",
    "sharing over clusters or regions is not supported, and the load balancer of a Service cannot be swapped later",
];

/// The key of a setting of the load balancer.
pub(super) fn key(suffix: &str) -> String {
    annotations::key(&format!("loadbalancer-{suffix}"))
}

/// A setting of the load balancer, as the cloud controller looks it up.
pub(super) fn setting<'a>(annotations: Option<&'a Value>, suffix: &str) -> Option<&'a str> {
    annotations::setting(annotations, &format!("loadbalancer-{suffix}"))
}
