//! What a gateway says to the cloud: annotations of its Service, and those of ASM.

use serde_json::Value;

const PREFIX: &str = "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-";
const LEGACY_PREFIX: &str = "service.beta.kubernetes.io/alicloud-loadbalancer-";

/// `loadBalancerClass` of an NLB.
pub(super) const NLB_CLASS: &str = "alibabacloud.com/nlb";
/// Graceful shutdown since ASM 1.26.
pub(super) const DRAIN_SECONDS: &str = "asm.alibabacloud.com/gateway-drain-timeout-seconds";

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
    format!("{PREFIX}{suffix}")
}

/// A setting of the load balancer: the new prefix first, the legacy one only when the new key is absent.
pub(super) fn setting<'a>(annotations: Option<&'a Value>, suffix: &str) -> Option<&'a str> {
    let annotations = annotations?;
    [PREFIX, LEGACY_PREFIX]
        .iter()
        .find_map(|prefix| annotations.get(format!("{prefix}{suffix}")))
        .and_then(Value::as_str)
}

/// Is a version at least another one? `None` when it is no version.
pub(super) fn at_least(version: &str, wanted: &str) -> Option<bool> {
    let numbers = |text: &str| {
        let core = text.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
        core.split('.').map(|part| part.parse::<u32>().ok()).collect::<Option<Vec<_>>>()
    };
    let (have, want) = (numbers(version)?, numbers(wanted)?);
    // 1.26 is every 1.26.x.
    Some(have >= want)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        for (have, want, expected) in [
            ("1.26", "1.26", Some(true)),
            ("v1.26.1-aliyun.1", "1.26", Some(true)),
            ("1.9", "1.26", Some(false)),
            ("2.5.0", "2.5.0", Some(true)),
            ("new", "1.26", None),
        ] {
            assert_eq!(at_least(have, want), expected, "{have}");
        }
    }
}
