//! The IstioGateway (`istio.alibabacloud.com`).

use serde_json::Value;

/// Annotation that makes a gateway serverless: its pods are ASM's, not a member cluster's.
pub const MANAGED_BY_ASM: &str = "asm.alibabacloud.com/managed-by-asm";

/// Does ASM run the data plane of this gateway?
pub fn is_serverless(gateway: &Value) -> bool {
    gateway
        .pointer("/metadata/annotations")
        .and_then(|annotations| annotations.get(MANAGED_BY_ASM))
        .and_then(Value::as_str)
        == Some("true")
}

/// `spec.clusterIds`.
pub fn cluster_ids(gateway: &Value) -> Vec<&str> {
    gateway
        .pointer("/spec/clusterIds")
        .and_then(Value::as_array)
        .map(|ids| ids.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

/// Is its Service of type LoadBalancer (also the documented default)?
pub fn wants_load_balancer(gateway: &Value) -> bool {
    gateway.pointer("/spec/serviceType").and_then(Value::as_str).is_none_or(|kind| kind == "LoadBalancer")
}

/// Name of the generated Service and Deployment in the member clusters.
pub fn generated_name(gateway: &str) -> String {
    format!("istio-{gateway}")
}
