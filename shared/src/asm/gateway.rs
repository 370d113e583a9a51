//! The IstioGateway (`istio.alibabacloud.com`).

use crate::object::At as _;
use serde_json::{Map, Value};

/// Annotation that makes a gateway serverless: its pods are ASM's, not a member cluster's.
pub const MANAGED_BY_ASM: &str = "asm.alibabacloud.com/managed-by-asm";

/// The only namespace in which a gateway can read its configuration.
pub const NAMESPACE: &str = "istio-system";
/// Labels that ASM gives the pods itself.
pub const RESERVED_LABELS: [&str; 4] = ["app", "istio", "asm-system", "provider"];
/// Fields that only an ordinary gateway can use: they name things of a cluster that the user has.
pub const OF_A_CLUSTER: [&str; 6] =
    ["secretVolumes", "configVolumes", "nodeSelector", "tolerations", "affinity", "hostNetwork"];

/// Does ASM run the data plane of this gateway?
pub fn is_serverless(gateway: &Value) -> bool {
    gateway.at("/metadata/annotations").and_then(|annotations| annotations.get(MANAGED_BY_ASM)).and_then(Value::as_str)
        == Some("true")
}

/// `spec.clusterIds`.
pub fn cluster_ids(gateway: &Value) -> Vec<&str> {
    gateway
        .at("/spec/clusterIds")
        .and_then(Value::as_array)
        .map(|ids| ids.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

/// Is its Service of type LoadBalancer (also the documented default)?
pub fn wants_load_balancer(gateway: &Value) -> bool {
    gateway.at("/spec/serviceType").and_then(Value::as_str).is_none_or(|kind| kind == "LoadBalancer")
}

/// Name of the generated Service and Deployment in the member clusters.
pub fn generated_name(gateway: &str) -> String {
    format!("istio-{gateway}")
}

/// The labels of its pods: those that ASM sets, and `spec.podLabels`.
pub fn pod_labels(name: &str, gateway: &Value) -> Map<String, Value> {
    let own = gateway.at("/spec/podLabels").and_then(Value::as_object);
    let mut labels = own.cloned().unwrap_or_default();
    for (key, value) in [
        ("app", generated_name(name)),
        ("istio", name.to_owned()),
        ("asm-system", "true".to_owned()),
        ("provider", "asm".to_owned()),
    ] {
        labels.insert(key.to_owned(), value.into());
    }
    labels
}

/// The numbers at which a Gateway's server can be reached: ports of its Service, and of its pods.
pub fn ports(gateway: &Value) -> Vec<u64> {
    let ports = gateway.at("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    ports
        .flat_map(|port| ["port", "targetPort"].map(|field| port.get(field).and_then(Value::as_u64)))
        .flatten()
        .collect()
}
