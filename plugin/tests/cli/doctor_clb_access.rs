//! `doctor clb-access`: what member clusters say about the address of a load balancer, and what is written against it.

use crate::api_server::{ApiServer, NOBODY, kubeconfig};
use crate::world::World;
use serde_json::{Value, json};

const SYSTEM: &str = "/api/v1/namespaces/kube-system/configmaps";

/// Two clusters with a gateway that keeps source addresses.
fn world() -> World {
    let world = World::with_fleet();
    world.line("gateway create edge --cluster m1c1,m1c2 --external-traffic-policy Local --port http=80:80");
    world
}

fn connected(world: &mut World, m1c1: &str, m1c2: &str) {
    world.write("../config", &kubeconfig(&[("mesh", NOBODY), ("m1c1", m1c1), ("m1c2", m1c2)]));
    let config = world.root().join("../config").to_string_lossy().into_owned();
    world.env.push(("KUBECONFIG".to_owned(), config));
}

/// A cluster of three nodes with one gateway pod, kube-proxy in a mode, and the Service of the gateway.
fn member(mode: &str) -> ApiServer {
    let server = ApiServer::start();
    for name in ["node-1", "node-2", "node-3"] {
        server.put("nodes", json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
            "status": {"nodeInfo": node_info("v1.33.1-aliyun.1"), "conditions": [{"type": "Ready", "status": "True"}]}
        }));
    }
    server.put("pods", pod("istio-system", "istio-edge-0", "node-1", json!({})));
    server.put("pods", pod("shop", "client", "node-2", json!({})));
    server.put("pods", pod("shop", "agent", "node-2", json!({"hostNetwork": true})));
    let config = format!("kind: KubeProxyConfiguration\nmode: \"{mode}\"\nclusterCIDR: 10.0.0.0/8\n");
    server.put("configmaps", json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-proxy-worker", "namespace": "kube-system"},
        "data": {"config.conf": config}
    }));
    server.put(
        "services",
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "istio-edge", "namespace": "istio-system", "uid": "u"},
            "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "selector": {"app": "istio-edge"}},
            "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}}
        }),
    );
    server
}

fn node_info(version: &str) -> Value {
    json!({"architecture": "", "bootID": "", "containerRuntimeVersion": "", "kernelVersion": "", "kubeProxyVersion": "",
           "kubeletVersion": version, "machineID": "", "operatingSystem": "", "osImage": "", "systemUUID": ""})
}

fn pod(namespace: &str, name: &str, node: &str, more: Value) -> Value {
    let mut spec = json!({"nodeName": node, "containers": [{"name": "c"}]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name.trim_end_matches("-0")}},
        "spec": spec, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    })
}

#[test]
fn nodes_and_remedies() {
    let (mut world, ipvs, iptables) = (world(), member("ipvs"), member("iptables"));
    connected(&mut world, &ipvs.url(), &iptables.url());
    insta::assert_snapshot!(world.run(&["doctor", "clb-access"]));
    // Nothing but reading.
    for server in [&ipvs, &iptables] {
        assert!(server.requests().iter().all(|request| request.starts_with("GET ")), "{:?}", server.requests());
    }
}

#[test]
fn one_client() {
    let (mut world, ipvs, iptables) = (world(), member("ipvs"), member("iptables"));
    connected(&mut world, &ipvs.url(), &iptables.url());
    let ask = |args: &str| {
        world.run(
            &["doctor", "clb-access", "edge", "--cluster", "m1c1"]
                .into_iter()
                .chain(args.split(' '))
                .collect::<Vec<_>>(),
        )
    };
    let pod = ask("--from-pod shop/client");
    assert_eq!(pod.code, Some(0), "{pod}");
    insta::assert_snapshot!(ask("--from-pod shop/agent"));
    assert_eq!(ask("--from-node node-1").code, Some(0));
    assert_eq!(ask("--from-node node-3").code, Some(1));
    insta::assert_snapshot!("nobody", ask("--from-pod shop/nobody"));
}

#[test]
fn the_files_alone() {
    let world = world();
    insta::assert_snapshot!(world.run(&["doctor", "clb-access", "--offline"]));
    world.line("gateway create public --serverless");
    world.line("gateway edit edge --external-traffic-policy Cluster");
    insta::assert_snapshot!("reached", world.run(&["doctor", "clb-access", "--offline"]));
}

#[test]
fn a_cluster_that_cannot_be_asked() {
    let (mut world, ipvs) = (world(), member("ipvs"));
    connected(&mut world, &ipvs.url(), NOBODY);
    let run = world.run(&["doctor", "clb-access", "-o", "json"]);
    assert_eq!(run.code, Some(3), "{run}");
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["items"].as_array().unwrap().len(), 1);
    assert_eq!(document["items"][0]["cluster"], "m1c1");
    // Nothing is written on half of the knowledge.
    let run = world.run(&["doctor", "clb-access", "edge", "--fix", "policy-cluster"]);
    assert_eq!(run.code, Some(3), "{run}");
    assert!(world.read("mesh/gateways/edge.yaml").contains("externalTrafficPolicy: Local"));
}

#[test]
fn what_may_not_be_read_is_said() {
    let (mut world, ipvs, iptables) = (world(), member("ipvs"), member("iptables"));
    ipvs.forbid(SYSTEM);
    iptables.forbid("/api/v1/nodes");
    connected(&mut world, &ipvs.url(), &iptables.url());
    insta::assert_snapshot!(world.run(&["doctor", "clb-access"]));
}

#[test]
fn what_is_wrong_with_the_load_balancer_itself() {
    let (mut world, ipvs, iptables) = (world(), member("ipvs"), member("iptables"));
    ipvs.put("events", json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "istio-system"}, "type": "Warning",
        "involvedObject": {"kind": "Service", "name": "istio-edge", "uid": "u"}, "reason": "SyncLoadBalancerFailed",
        "message": "Error syncing load balancer []: ShareSlbHaltSales", "lastTimestamp": "2026-03-01T10:00:00Z"
    }));
    iptables.hide("/api/v1/namespaces/istio-system/services");
    connected(&mut world, &ipvs.url(), &iptables.url());
    insta::assert_snapshot!(world.run(&["doctor", "clb-access"]));
}

#[test]
fn remedies_are_written() {
    let (mut world, ipvs, iptables) = (world(), member("ipvs"), member("iptables"));
    connected(&mut world, &ipvs.url(), &iptables.url());
    let before = world.read("mesh/gateways/edge.yaml");
    insta::assert_snapshot!(world.run(&["doctor", "clb-access", "edge", "--fix", "eni", "--dry-run"]));
    assert_eq!(world.read("mesh/gateways/edge.yaml"), before);
    world.write("clusters/m1c1/client.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: shop}\ndata: {shop: 'http://198.51.100.7/'} # to the shop\n");
    insta::assert_snapshot!(
        "service_dns",
        world.run(&["doctor", "clb-access", "edge", "--cluster", "m1c1", "--fix", "service-dns"])
    );
    assert!(
        world
            .read("clusters/m1c1/client.yaml")
            .ends_with("data: {shop: 'http://istio-edge.istio-system/'} # to the shop\n")
    );
    insta::assert_snapshot!("policy_cluster", world.run(&["doctor", "clb-access", "edge", "--fix", "policy-cluster"]));
    assert_eq!(
        world.read("mesh/gateways/edge.yaml"),
        before.replace("externalTrafficPolicy: Local", "externalTrafficPolicy: Cluster")
    );
    // Git says Cluster now, and the cluster does not yet: a second time changes nothing.
    let again = world.run(&["doctor", "clb-access", "edge", "--fix", "policy-cluster"]);
    assert!(again.stderr.contains("unchanged"), "{again}");
    // Flannel gives pods no ENI.
    ipvs.put(
        "daemonsets",
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "kube-flannel-ds", "namespace": "kube-system"}}),
    );
    insta::assert_snapshot!("flannel", world.run(&["doctor", "clb-access", "edge", "--fix", "eni"]));
}

#[test]
fn wrong_words() {
    let world = world();
    for (args, told) in [
        (&["doctor", "clb-access", "edg", "--offline"][..], "did you mean"),
        (&["doctor", "clb-access", "--from-pod", "client"], "not NAMESPACE/POD"),
        (&["doctor", "clb-access", "--cluster", "m1c9", "--offline"], "fleet.yaml has no cluster m1c9"),
        (&["doctor", "clb-access", "edge", "--fix", "service-dns", "--offline"], "the address is not known"),
    ] {
        let run = world.run(args);
        assert_eq!(run.code, Some(2), "{run}");
        assert!(run.stderr.contains(told), "{run}");
    }
}
