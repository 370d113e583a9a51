//! Gateways whose servers share ports, hosts and pods.

use super::world::{Maker, World};
use serde_json::{Value, json};

pub(super) fn gateways(maker: &mut Maker, world: &mut World) {
    for _ in 0..maker.rng.usize(1..4) {
        let namespace = maker.namespace();
        let name = maker.name(world, "Gateway", namespace);
        let metadata = maker.metadata(&name, namespace);
        let selector = match maker.rng.u32(0..24) {
            0 => json!({"istio": "other"}),
            1 => json!({"app": "inner"}),
            2 | 3 => json!({"app": "ingress"}),
            4 => json!({"tier": "edge"}),
            5 => json!({}),
            _ => json!({"istio": "ingressgateway"}),
        };
        let mut servers: Vec<Value> = (0..maker.rng.usize(1..5)).map(|number| server(maker, number)).collect();
        if maker.chance(25) {
            servers.extend(by_name(maker, servers.len()));
        }
        world.mesh.push(json!({"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": metadata,
            "spec": {"selector": selector, "servers": servers}}));
    }
}

fn server(maker: &mut Maker, number: usize) -> Value {
    let pool = maker.hosts.clone();
    let hosts: Vec<String> = maker.some(&pool, 4).into_iter().map(|host| server_host(maker, host)).collect();
    let (port, protocol, tls) = match maker.rng.u32(0..20) {
        0..=10 => (maker.one(&[&80_u16, &80, &80, &8080, &9000, &9000, &443]), "HTTP", redirect(maker)),
        11..=16 => (maker.one(&[&443_u16, &443, &443, &443, &8443, &8443, &8443, &9000]), "HTTPS", terminated(maker)),
        17 => (maker.one(&[&443_u16, &8443]), "TLS", json!({"mode": "PASSTHROUGH"})),
        18 => (maker.one(&[&3306_u16, &3306, &443]), "TCP", Value::Null),
        _ => (maker.one(&[&80_u16, &9000]), maker.one::<str>(&["HTTP2", "GRPC"]), Value::Null),
    };
    let mut server = json!({"port": {"number": port, "name": format!("{}-{number}", protocol.to_lowercase()),
        "protocol": protocol}, "hosts": hosts});
    if !tls.is_null() {
        server["tls"] = tls;
    }
    if maker.chance(5) {
        server["name"] = json!(format!("server-{number}"));
    }
    server
}

/// Servers for TLS on one port, a host each: the server name that a client asks for decides.
fn by_name(maker: &mut Maker, first: usize) -> Vec<Value> {
    let port = *maker.one(&[&443_u16, &8443]);
    let pool = maker.hosts.clone();
    let hosts = maker.some(&pool, 3).into_iter().enumerate();
    hosts
        .map(|(number, host)| {
            json!({"port": {"number": port, "name": format!("https-{}", first + number), "protocol": "HTTPS"},
                "hosts": [host], "tls": terminated(maker)})
        })
        .collect()
}

fn server_host(maker: &mut Maker, host: &str) -> String {
    match maker.rng.u32(0..20) {
        0 => format!("./{host}"),
        1 => format!("shop/{host}"),
        // istiod dies of `*/*` before another host with a namespace (sanitizeServerHostNamespace).
        2 if host != "*" => format!("*/{host}"),
        3 => format!("default/{host}"),
        _ => host.to_owned(),
    }
}

fn redirect(maker: &mut Maker) -> Value {
    if maker.chance(7) { json!({"httpsRedirect": true}) } else { Value::Null }
}

fn terminated(maker: &mut Maker) -> Value {
    let mode = maker.one::<str>(&["SIMPLE", "SIMPLE", "SIMPLE", "SIMPLE", "SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"]);
    let credential = maker.one::<str>(&["cert-a", "cert-b"]);
    json!({"mode": mode, "credentialName": credential})
}
