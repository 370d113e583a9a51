//! `doctor gateway` and `doctor route`: link by link, from the files and from what runs.

use crate::api_server::{ApiServer, NOBODY, kubeconfig};
use crate::world::World;
use serde_json::{Value, json};

/// A gateway in m1c1 with Bookinfo behind it, in both clusters.
fn world() -> World {
    let world = World::with_bookinfo();
    world.line("gateway create edge --cluster m1c1 --port http=80:80");
    world.line(
        "route add bookinfo --gateway shop --create-gateway --selector istio=edge --host shop.example.com \
         --match exact:/productpage --to productpage:9080",
    );
    world
}

fn pod(namespace: &str, name: &str, labels: Value, ready: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": "c"}]}, "status": {"conditions": [{"type": "Ready", "status": ready}]}
    })
}

/// The clusters while everything runs.
fn running() -> ApiServer {
    let server = ApiServer::start();
    server.put("services", json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "istio-edge", "namespace": "istio-system", "uid": "u"},
        "spec": {"type": "LoadBalancer", "selector": {"istio": "edge"}, "ports": [{"port": 80}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}}
    }));
    server.put(
        "services",
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "productpage", "namespace": "default"},
            "spec": {"selector": {"app": "productpage"}, "ports": [{"port": 9080}]}
        }),
    );
    server.put("pods", pod("istio-system", "edge-0", json!({"istio": "edge"}), "True"));
    server.put("pods", pod("default", "productpage-0", json!({"app": "productpage", "version": "v1"}), "True"));
    server
}

fn connected(world: &mut World, url: &str) {
    world.write("../config", &kubeconfig(&[("mesh", url), ("m1c1", url), ("m1c2", url)]));
    let config = world.root().join("../config").to_string_lossy().into_owned();
    world.env.push(("KUBECONFIG".to_owned(), config));
}

#[test]
fn the_files_alone() {
    let world = world();
    insta::assert_snapshot!("whole", world.run(&["doctor", "gateway", "edge"]));
    insta::assert_snapshot!("wrong_path", world.run(&["doctor", "route", "http://shop.example.com/cart"]));
    let text = world.read("mesh/routes/bookinfo.yaml");
    world.write("mesh/routes/bookinfo.yaml", &text.replace("host: productpage", "host: productpge"));
    insta::assert_snapshot!("wrong_host", world.run(&["doctor", "gateway", "edge"]));
}

#[test]
fn what_runs() {
    let (mut world, server) = (world(), running());
    connected(&mut world, &server.url());
    insta::assert_snapshot!("all_holds", world.run(&["doctor", "route", "shop.example.com/productpage", "--live"]));
    assert!(server.requests().iter().all(|request| request.starts_with("GET ")), "{:?}", server.requests());
    server.put("pods", pod("default", "productpage-0", json!({"app": "productpage", "version": "v1"}), "False"));
    insta::assert_snapshot!("no_ready_pod", world.run(&["doctor", "route", "shop.example.com/productpage", "--live"]));
    server.put("events", json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "istio-system"}, "type": "Warning",
        "involvedObject": {"kind": "Service", "name": "istio-edge", "uid": "u"}, "reason": "SyncLoadBalancerFailed",
        "message": "VSwitchAvailableIpNotExist", "lastTimestamp": "2026-03-01T10:00:00Z"
    }));
    insta::assert_snapshot!("complaint", world.run(&["doctor", "gateway", "edge", "--live"]));
}

#[test]
fn a_gateway_that_nobody_uses() {
    let world = World::with_fleet();
    world.line("gateway create idle --cluster m1c1,m1c2 --port http=80:80");
    insta::assert_snapshot!(world.run(&["doctor", "gateway", "idle", "--cluster", "m1c2"]));
}

#[test]
fn a_cluster_that_cannot_be_asked() {
    let mut world = world();
    connected(&mut world, NOBODY);
    let run = world.run(&["doctor", "gateway", "edge", "--live", "-o", "json"]);
    assert_eq!(run.code, Some(3), "{run}");
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["items"][0]["links"][0]["state"], "unknown", "{run}");
}

#[test]
fn wrong_words() {
    let world = world();
    for (args, told) in [
        (&["doctor", "gateway", "edg"][..], "did you mean"),
        (&["doctor", "route", "ftp://shop.example.com/"], "neither http nor https"),
        (&["doctor", "route", "shop.example.com", "--gateway", "edg"], "there is no gateway edg"),
        (&["doctor", "gateway", "edge", "--cluster", "m1c9"], "fleet.yaml has no cluster m1c9"),
        (&["doctor", "gateway", "edge", "--cluster", "m1c2"], "there is nothing to look at"),
    ] {
        let run = world.run(args);
        assert_eq!(run.code, Some(2), "{args:?} {run}");
        assert!(run.stderr.contains(told), "{run}");
    }
}
