//! Several load balancers on one gateway: the Services that come out, and the ways that are refused.

use super::world::World;
use serde_json::{Value, json};

/// A fleet with the gateway `ingressgateway` in both clusters and the serverless gateway `front`.
pub(crate) fn with_gateways() -> World {
    let world = World::with_fleet();
    world.ok(&["gateway", "create", "ingressgateway", "--cluster", "m1c1,m1c2", "--address-type", "internet"]);
    world.ok(&["gateway", "create", "front", "--serverless"]);
    world
}

/// The documents of a file.
fn objects(text: &str) -> Vec<Value> {
    let read = asm_shared::yaml::read(text.as_bytes(), &asm_shared::yaml::Limits::default()).unwrap();
    read.iter().map(|document| Value::clone(&document.value)).collect()
}

#[test]
fn one_more_clb() {
    let world = with_gateways();
    let args =
        ["clb", "add", "--gateway", "ingressgateway", "--cluster", "m1c1", "--internal", "--spec", "slb.s1.small"];
    insta::assert_snapshot!(world.run(&args), @"");
    insta::assert_snapshot!(world.read("clusters/m1c1/gateways/istio-ingressgateway-2.yaml"), @"");
    // The next one gets the next name, in every cluster.
    let all = world.ok(&["clb", "add", "--gateway", "ingressgateway", "--all-clusters", "--internet", "-o", "name"]);
    assert_eq!(all.stdout, "service/istio-ingressgateway-3\nservice/istio-ingressgateway-3\n");
}

/// The YAML of ASM's documentation comes out, defaults of the API server aside.
#[test]
fn the_service_of_the_documentation() {
    let world = with_gateways();
    world.ok(&[
        "clb",
        "add",
        "istio-ingressgateway-2",
        "--gateway",
        "ingressgateway",
        "--cluster",
        "m1c1",
        "--spec",
        "slb.s1.small",
        "--annotation",
        "service.beta.kubernetes.io/alicloud-loadbalancer-address-type=internet",
        "--port",
        "http-0=80:80:30544",
        "--port",
        "https-2=443:443:30682",
    ]);
    let written = objects(&world.read("clusters/m1c1/gateways/istio-ingressgateway-2.yaml"));
    let documented = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "annotations": {
                "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-spec": "slb.s1.small",
                "service.beta.kubernetes.io/alicloud-loadbalancer-address-type": "internet",
            },
            "labels": {"app": "istio-ingressgateway", "asm-system": "true", "istio": "ingressgateway"},
            "name": "istio-ingressgateway-2",
            "namespace": "istio-system",
        },
        "spec": {
            "externalTrafficPolicy": "Cluster",
            "ports": [
                {"name": "http-0", "nodePort": 30544, "port": 80, "protocol": "TCP", "targetPort": 80},
                {"name": "https-2", "nodePort": 30682, "port": 443, "protocol": "TCP", "targetPort": 443},
            ],
            "selector": {"app": "istio-ingressgateway", "asm-system": "true", "istio": "ingressgateway", "provider": "asm"},
            "type": "LoadBalancer",
        },
    });
    assert_eq!(written, [documented]);
}

#[test]
fn an_nlb_and_free_node_ports() {
    let world = with_gateways();
    world.ok(&["clb", "add", "--gateway", "ingressgateway", "--all-clusters", "--internal", "--node-port"]);
    let run = world.ok(&[
        "clb",
        "add",
        "edge",
        "--gateway",
        "ingressgateway",
        "--cluster",
        "m1c1",
        "--internal",
        "--nlb",
        "--zone",
        "cn-hangzhou-h:vsw-1,cn-hangzhou-i:vsw-2",
        "--port",
        "https=8443:443",
        "--node-port",
        "--external-traffic-policy",
        "local",
    ]);
    insta::assert_snapshot!(run, @"");
    insta::assert_snapshot!(world.read("clusters/m1c1/gateways/edge.yaml"), @"");
    let first = objects(&world.read("clusters/m1c2/gateways/istio-ingressgateway-2.yaml"));
    assert_eq!(first[0]["spec"]["ports"][1]["nodePort"], 30001);
}

#[test]
fn one_file_for_a_group() {
    let world = with_gateways();
    let fleet = world.read("fleet.yaml");
    world.write("fleet.yaml", &format!("{fleet}  groups:\n    - name: edge\n      clusters: [m1c1, m1c2]\n"));
    let run = world.ok(&["clb", "add", "--gateway", "ingressgateway", "--group", "edge", "--internal"]);
    assert!(run.stdout.starts_with("created groups/edge/gateways/istio-ingressgateway-2.yaml\n"), "{run}");
    insta::assert_snapshot!(world.run(&["clb", "list", "-o", "wide"]), @"");
    // One document for both clusters: they part with it together, each with an approval of its own.
    let remove = ["clb", "remove", "istio-ingressgateway-2", "--confirm", "istio-ingressgateway-2", "--cluster"];
    let one = world.run(&[&remove[..], &["m1c1", "--address", "10.0.0.1"]].concat());
    assert!(one.stderr.contains("gives istio-ingressgateway-2 to m1c2 as well"), "{one}");
    let both = ["m1c1,m1c2", "--address", "m1c1=10.0.0.1", "--address", "m1c2=10.0.1.1"];
    insta::assert_snapshot!(world.run(&[&remove[..], &both].concat()), @"");
}

#[test]
fn what_is_refused_leaves_the_files_alone() {
    let world = with_gateways();
    world.ok(&[
        "clb",
        "add",
        "taken",
        "--gateway",
        "ingressgateway",
        "--cluster",
        "m1c1",
        "--internal",
        "--port",
        "http=80:80:30100",
    ]);
    world.ok(&[
        "clb",
        "add",
        "shared",
        "--gateway",
        "ingressgateway",
        "--cluster",
        "m1c1",
        "--port",
        "http=80",
        "--annotation",
        "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id=lb-1",
    ]);
    let before = world.files();
    let mut told = String::new();
    for args in [
        "--gateway front",
        "--gateway ingresgateway",
        "--gateway ingressgateway",
        "--gateway ingressgateway --cluster m1c3",
        "--gateway ingressgateway --group none",
        "istio-ingressgateway --gateway ingressgateway --cluster m1c1",
        "taken --gateway ingressgateway --cluster m1c1",
        "Taken --gateway ingressgateway --cluster m1c1",
        "--gateway ingressgateway --cluster m1c1 --port a=80 --port b=80",
        "--gateway ingressgateway --cluster m1c1 --port a=80 --port a=443",
        "--gateway ingressgateway --cluster m1c1 --port a=8080",
        "--gateway ingressgateway --cluster m1c1 --port a=80:80:80",
        "--gateway ingressgateway --cluster m1c1 --port a=80:80:30100",
        "--gateway ingressgateway --cluster m1c1 --spec slb.s1.smal",
        "--gateway ingressgateway --cluster m1c1 --nlb --zone cn-hangzhou-h:vsw-1",
        "--gateway ingressgateway --cluster m1c1 --zone cn-hangzhou-h:vsw-1",
        "--gateway ingressgateway --cluster m1c1 --nlb --zone a:vsw-1,b:vsw-2 --spec slb.s1.small",
        "--gateway ingressgateway --cluster m1c1 --internal --annotation service.beta.kubernetes.io/alicloud-loadbalancer-address-type=internet",
        "--gateway ingressgateway --all-clusters --annotation service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id=lb-2",
        "--gateway ingressgateway --cluster m1c1 --annotation service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id=lb-1",
        "--gateway ingressgateway --cluster m1c1 -n default",
    ] {
        let run = world.run(&[&["clb", "add"][..], &args.split(' ').collect::<Vec<_>>()].concat());
        assert_eq!(run.code, Some(2), "{args}\n{run}");
        told.push_str(&format!("{args}\n{}", run.stderr));
    }
    assert_eq!(world.files(), before);
    insta::assert_snapshot!(told, @"");
}

#[test]
fn warnings() {
    let world = with_gateways();
    let fleet = world.read("fleet.yaml");
    world.write("fleet.yaml", &fleet.replacen("m1c1\n", "m1c1\n      cloudControllerVersion: v2.9.1\n", 1));
    let add = |args: &str| {
        let args: Vec<_> = args.split(' ').collect();
        let base = ["clb", "add", "--gateway", "ingressgateway", "--dry-run", "-o", "name"];
        world.ok(&[&base[..], &args].concat()).stderr
    };
    // An old cloud controller makes a CLB of the specification; of an unknown one nobody can say.
    assert_eq!(add("--cluster m1c1 --internet --spec slb.s1.small"), "");
    insta::assert_snapshot!(add("--all-clusters --internal --spec slb.s1.small"), @"");
    let key = "service.beta.kubernetes.io/alibaba-cloud-loadbalancer";
    insta::assert_snapshot!(add(&format!("--cluster m1c1 --annotation {key}-specs=x --annotation {key}-preserve-lb-on-delete=true --annotation {key}-zone-maps=a")), @"");
    insta::assert_snapshot!(add(&format!("--cluster m1c1 --annotation {key}-id=lb-1")), @"");
}

#[test]
fn list_and_show() {
    let world = with_gateways();
    world.ok(&[
        "clb",
        "add",
        "--gateway",
        "ingressgateway",
        "--cluster",
        "m1c1",
        "--internal",
        "--port",
        "https=8443:443",
    ]);
    insta::assert_snapshot!(world.run(&["clb", "list"]), @"");
    insta::assert_snapshot!(world.run(&["clb", "show", "istio-ingressgateway-2"]), @"");
    assert_eq!(
        world.ok(&["clb", "list", "--cluster", "m1c1", "-o", "name"]).stdout,
        "service/istio-ingressgateway\nservice/istio-ingressgateway-2\n"
    );
    let list: Value =
        serde_json::from_str(&world.ok(&["clb", "ls", "--gateway", "ingressgateway", "-o", "json"]).stdout).unwrap();
    assert_eq!((&list["kind"], list["items"].as_array().map(Vec::len)), (&json!("LoadBalancerList"), Some(3)));
    assert_eq!(
        list["items"][1],
        json!({
            "cluster": "m1c1", "namespace": "istio-system", "name": "istio-ingressgateway-2", "gateways": ["ingressgateway"],
            "generated": false, "product": "CLB", "network": "intranet", "externalTrafficPolicy": "Cluster",
            "ports": [{"name": "https", "port": 8443, "targetPort": 443, "protocol": "TCP"}],
            "annotations": {"service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type": "intranet"},
            "file": "clusters/m1c1/gateways/istio-ingressgateway-2.yaml", "line": 4, "column": 1,
        })
    );
    insta::assert_snapshot!(world.run(&["clb", "show", "istio-ingressgatewy"]), @"");
    assert_eq!(world.run(&["clb", "list", "--cluster", "m1c9"]).code, Some(2));
    insta::assert_snapshot!(World::with_fleet().run(&["clb", "list"]), @"");
}
