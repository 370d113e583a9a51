//! The addresses that an object holds: what clients and DNS know, and what is lost with it.

use crate::object::At as _;
use crate::object::{GroupKind, kinds};
use serde_json::Value;

/// Of a Service or an IstioGateway as the API server returned it; other kinds hold none.
pub fn of(kind: &GroupKind, live: &Value) -> Vec<String> {
    match (&*kind.group, &*kind.kind) {
        ("", "Service") => of_service(live),
        (kinds::ASM, "IstioGateway") => of_istio_gateway(live),
        _ => Vec::new(),
    }
}

/// IPs and host names in the status of a Service.
pub fn of_service(service: &Value) -> Vec<String> {
    let ingress = service.at("/status/loadBalancer/ingress").and_then(Value::as_array);
    ingress
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.get("ip").or_else(|| entry.get("hostname")))
        .filter_map(Value::as_str)
        .filter(|address| !address.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Addresses in the status of an IstioGateway, over all clusters, each once.
pub fn of_istio_gateway(gateway: &Value) -> Vec<String> {
    let plain = gateway.at("/status/GatewayAddress").and_then(Value::as_array);
    let mapped = gateway.at("/status/ClusterIdGatewayAddressMap").and_then(Value::as_array);
    let mut addresses: Vec<String> = plain
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .chain(mapped.into_iter().flatten().filter_map(|entry| entry.get("ipAddress")).filter_map(Value::as_str))
        .filter(|address| !address.is_empty())
        .map(str::to_owned)
        .collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

/// Addresses in the status of an IstioGateway in one cluster.
pub fn of_istio_gateway_in(gateway: &Value, cluster_id: &str) -> Vec<String> {
    let mapped = gateway.at("/status/ClusterIdGatewayAddressMap").and_then(Value::as_array);
    mapped
        .into_iter()
        .flatten()
        .filter(|entry| entry.get("clusterId").and_then(Value::as_str) == Some(cluster_id))
        .filter_map(|entry| entry.get("ipAddress").and_then(Value::as_str))
        .map(str::to_owned)
        .collect()
}
