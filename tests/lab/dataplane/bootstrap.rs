//! What a stock Envoy is started with so that istiod takes it for one of its own.

use std::{collections::BTreeMap, net::Ipv4Addr};

use serde_json::{Value, json};

/// Port of the admin interface on the pod's address.
pub(super) const ADMIN: u16 = 15000;

/// Gateway or sidecar, in istiod's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Router,
    Sidecar,
}

/// Who an Envoy is.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) role: Role,
    /// Must be the pod's: istiod finds the Service by it, whose `targetPort` decides the gateway's ports.
    pub(super) ip: Ipv4Addr,
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) cluster: String,
    pub(super) service_account: String,
    pub(super) labels: BTreeMap<String, String>,
}

/// Envoy's configuration. `xds` is istiod.
pub(super) fn bootstrap(node: &Node, xds: (Ipv4Addr, u16)) -> Value {
    let Node { ip, name, namespace, .. } = node;
    let role = match node.role {
        Role::Router => "router",
        Role::Sidecar => "sidecar",
    };
    let app = node.labels.get("app").unwrap_or(name);
    // Plaintext xDS: istiod believes this header of a caller in its `TRUSTED_GATEWAY_CIDR`. Without an identity it hands out
    // no secrets.
    let identity = format!("URI=spiffe://cluster.local/ns/{namespace}/sa/{}", node.service_account);
    let http2 = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    json!({
        "node": {
            "id": format!("{role}~{ip}~{name}.{namespace}~{namespace}.svc.cluster.local"),
            "cluster": format!("{app}.{namespace}"),
            "metadata": {
                "NAME": name, "NAMESPACE": namespace, "CLUSTER_ID": node.cluster, "LABELS": node.labels,
                "INSTANCE_IPS": ip, "ISTIO_VERSION": "1.31.0",
                // Otherwise ports below 1024 get no listener.
                "UNPRIVILEGED_POD": "false",
            },
        },
        "dynamic_resources": {
            "ads_config": {
                "api_type": "GRPC", "transport_api_version": "V3",
                "grpc_services": [{
                    "envoy_grpc": {"cluster_name": "xds"},
                    "initial_metadata": [{"key": "x-forwarded-client-cert", "value": identity}],
                }],
            },
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
        },
        "static_resources": {"clusters": [{
            "name": "xds", "type": "STATIC", "connect_timeout": "2s",
            "typed_extension_protocol_options": {http2: {
                "@type": format!("type.googleapis.com/{http2}"),
                "explicit_http_config": {"http2_protocol_options": {}},
            }},
            "load_assignment": {"cluster_name": "xds", "endpoints": [{"lb_endpoints": [{"endpoint": address(xds)}]}]},
        }]},
        "admin": address((*ip, ADMIN)),
    })
}

fn address((ip, port): (Ipv4Addr, u16)) -> Value {
    json!({"address": {"socket_address": {"address": ip, "port_value": port}}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_says_who_and_where_it_is() {
        let node = Node {
            role: Role::Router,
            ip: Ipv4Addr::new(10, 244, 1, 2),
            name: "istio-edge-1".into(),
            namespace: "istio-system".into(),
            cluster: "m1c1".into(),
            service_account: "istio-edge".into(),
            labels: BTreeMap::from([("app".into(), "istio-edge".into())]),
        };
        let made = bootstrap(&node, (Ipv4Addr::new(10, 244, 0, 1), 15010));
        assert_eq!(made["node"]["id"], "router~10.244.1.2~istio-edge-1.istio-system~istio-system.svc.cluster.local");
        assert_eq!(made["node"]["cluster"], "istio-edge.istio-system");
        assert_eq!(made["node"]["metadata"]["CLUSTER_ID"], "m1c1");
        assert_eq!(made["admin"]["address"]["socket_address"], json!({"address": "10.244.1.2", "port_value": 15000}));
        assert!(made.to_string().contains("spiffe://cluster.local/ns/istio-system/sa/istio-edge"));
    }
}
