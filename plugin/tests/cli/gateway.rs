//! `gateway create` with everything, `list`, `show`, `edit`, `delete` and `share`.

use super::api_server::{ApiServer, kubeconfig};
use super::world::{M1C1, M1C2, Run, World};
use serde_json::{Value, json};

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn refused(world: &World, line: &str, expected: &str) -> Run {
    let before = world.files();
    let run = world.run(&words(line));
    assert_eq!(run.code, Some(2), "{line}\n{run}");
    assert!(run.stderr.contains(expected), "{line}: expected `{expected}`\n{run}");
    assert_eq!(world.files(), before, "{line}");
    run
}

/// A gateway as a person wrote it: comments, quotes, an order of its own.
const EDGE: &str = "# 入口网关 of the shop.
apiVersion: istio.alibabacloud.com/v1beta1
kind: IstioGateway
metadata:
  name: edge
  namespace: istio-system
spec:
  gatewayType: ingress # not egress
  clusterIds: [c0123456789abcdef0123456789abcde1, c0123456789abcdef0123456789abcde2]
  # three were too many
  replicaCount: 2
  serviceType: LoadBalancer
  ports:
  - {name: http, port: 80, targetPort: 80}   # plain
  - {name: https, port: 443, targetPort: 8443, nodePort: 30443}
";

const ROUTES: &str = "apiVersion: networking.istio.io/v1beta1
kind: Gateway
metadata: {name: shop, namespace: default}
spec:
  selector: {istio: edge}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: ['*']
  gateways: [shop]
  http:
  - route: [{destination: {host: shop}}]
";

const SECOND: &str = "apiVersion: v1
kind: Service
metadata: {name: istio-edge-2, namespace: istio-system}
spec:
  type: LoadBalancer
  selector: {app: istio-edge, istio: edge, asm-system: 'true', provider: asm}
  ports: [{name: http, port: 80, targetPort: 80, nodePort: 30544}]
";

fn edge() -> World {
    let world = World::with_fleet();
    world.write("mesh/gateways/edge.yaml", EDGE);
    world.write("mesh/routes.yaml", ROUTES);
    world.write("clusters/m1c1/second.yaml", SECOND);
    world
}

#[test]
fn create_with_every_parameter_of_the_console() {
    let world = World::with_fleet();
    let fleet =
        world.read("fleet.yaml").replace("context: mesh", "context: mesh\n    edition: Ultimate\n    version: 1.26.0");
    world.write("fleet.yaml", &fleet);
    let run = world.ok(&words(
        "gateway create edge --cluster m1c1,m1c2 --address-type intranet --clb-spec slb.s2.small --port http=80 \
         --port https=443:8443 --limits cpu=4,memory=4G --requests cpu=500m --min-replicas 2 --max-replicas 5 --cpu-target 80 \
         --memory-target 70 --external-traffic-policy local --max-surge 1 --max-unavailable 50% --graceful-shutdown 60 --spread \
         --node-selector disk=ssd --toleration dedicated=edge:NoSchedule --pod-label team=edge --pod-annotation a/b=c \
         --service-annotation x/y=on --service-label l=1 --annotation asm.alibabacloud.com/enable-canary-deployment=true \
         --override m1c2:replicaCount=3 --set kernel.enabled=true --set kernel.parameters[net.core.somaxconn]=65535 \
         --set runAsRoot=false",
    ));
    assert!(!run.stderr.contains("warning"), "{run}");
    insta::assert_snapshot!("every_parameter", world.read("mesh/gateways/edge.yaml"));
}

#[test]
fn create_an_nlb_an_egress_gateway_and_from_a_file() {
    let world = World::with_fleet();
    let nlb = "gateway create nlb --cluster m1c1 --load-balancer nlb";
    refused(&world, nlb, "needs vSwitches in at least two zones");
    refused(&world, &format!("{nlb} --zone-map a=vsw-1"), "it needs at least two different ones");
    world.ok(&words(&format!("{nlb} --zone-map a=vsw-1 --zone-map b=vsw-2")));
    let text = world.read("mesh/gateways/nlb.yaml");
    assert!(text.contains("loadBalancerClass: alibabacloud.com/nlb\n"), "{text}");
    assert!(text.contains("loadbalancer-zone-maps: 'a:vsw-1,b:vsw-2'\n"), "{text}");

    world.ok(&words("gateway create out --cluster m1c1 --egress"));
    let text = world.read("mesh/gateways/out.yaml");
    assert!(text.contains("gatewayType: egress\n") && text.contains("serviceType: ClusterIP\n"), "{text}");
    assert!(!text.contains("externalTrafficPolicy"), "{text}");

    world.write("part.yaml", "replicaCount: 4\nresources: {limits: null}\nrollingMaxSurge: 50%\n");
    world.ok(&words("gateway create file --serverless --from part.yaml --replicas 5"));
    let text = world.read("mesh/gateways/file.yaml");
    assert!(text.contains("replicaCount: 5\n") && text.contains("rollingMaxSurge: 50%\n"), "{text}");
    assert!(!text.contains("limits") && text.contains("requests"), "{text}");
}

#[test]
fn editions_and_versions() {
    let world = World::with_fleet();
    let dry = |world: &World, more: &str| {
        world.ok(&words(&format!("gateway create x --cluster m1c1 --address-type intranet --dry-run {more}")))
    };
    let run = dry(&world, "--min-replicas 1 --max-replicas 3 --cpu-target 80");
    assert!(run.stderr.contains("needs the Enterprise or Ultimate edition of ASM; fleet.yaml does not say"), "{run}");
    let fleet =
        world.read("fleet.yaml").replace("context: mesh", "context: mesh\n    edition: Standard\n    version: '1.18'");
    world.write("fleet.yaml", &fleet);
    let run = dry(&world, "--graceful-shutdown 20");
    assert!(run.stderr.contains("and fleet.yaml says Standard"), "{run}");
    assert!(run.stdout.contains("loadbalancer-connection-drain: 'on'"), "before 1.26 the load balancer drains: {run}");
    assert!(run.stdout.contains("loadbalancer-connection-drain-timeout: '20'"), "{run}");
    refused(&world, "gateway create x --cluster m1c1 --graceful-shutdown 31", "before ASM 1.26 it is 10 to 30");
}

#[test]
fn create_refuses_what_cannot_work() {
    let world = World::with_fleet();
    world.write("clusters/m1c1/second.yaml", SECOND);
    for (more, expected) in [
        ("--pod-label istio=x", "the label istio is reserved"),
        ("--pod-label app=x", "the label app is reserved"),
        ("--set spec.podLabels.provider=x", "the label provider is reserved"),
        ("--pod-label a=b/c", "is not a label"),
        ("--port a=80 --port b=80", "the ports a=80 and b=80 have the same name or number"),
        ("--set ports[http].nodePort=29999", "the nodePort 29999 is out of range"),
        ("--set ports[http].nodePort=30544", "the nodePort 30544 is taken by Service istio-system/istio-edge-2"),
        ("--min-replicas 5 --max-replicas 2", "minReplicas 5 is more than maxReplicas 2"),
        ("--cpu-target 80", "a target without a range"),
        ("--max-surge lots", "has to be a number or a percentage"),
        ("--graceful-shutdown 5", "10 to 890 seconds"),
        ("--override m1c2:replicaCount=2", "in which the gateway does not run"),
        ("--override m1c9:replicaCount=2", "did you mean m1c1?"),
        ("--set replicaCount=two", "replicaCount is text, it has to be a whole number"),
        ("--set nope=1.5", "number with a fraction"),
        ("--set status.x=1", "not for people to set"),
        ("--set ports[nope].nodePort=30000", "spec.ports has no item named nope"),
        ("--service-type ClusterIP --external-traffic-policy Local", "externalTrafficPolicy needs a Service of type"),
        ("--service-type NodePort --load-balancer nlb", "has no load balancer"),
        ("--load-balancer nlb --clb-spec slb.s1.small", "an NLB has no specification"),
        ("--toleration a=b:Never", "no effect of a taint"),
        ("--from no-such-file", "cannot read no-such-file"),
    ] {
        refused(&world, &format!("gateway create x --cluster m1c1 {more}"), expected);
    }
    let run = world.ok(&words("gateway create x --cluster m1c1 --set replicaCont=2 --dry-run"));
    assert!(
        run.stderr.contains("replicaCont is not a field of IstioGateway that is known here")
            && run.stderr.contains("did you mean replicaCount?"),
        "{run}"
    );
}

#[test]
fn reusing_a_load_balancer() {
    let world = World::with_fleet();
    refused(
        &world,
        "gateway create x --cluster m1c1,m1c2 --reuse-load-balancer lb-1",
        "2 clusters would claim the load balancer lb-1",
    );
    let both = "gateway create x --cluster m1c1,m1c2 --reuse-load-balancer m1c1:lb-1 --reuse-load-balancer";
    refused(&world, &format!("{both} m1c2:lb-1"), "two clusters would claim the load balancer lb-1");
    let run = world.ok(&words(&format!("{both} m1c2:lb-2 --override-listeners --address-type intranet")));
    let risk = run.stderr.find("reusing a load balancer can overwrite its listeners").unwrap();
    assert!(risk < run.stderr.find("hint: keep it").unwrap(), "{run}");
    insta::assert_snapshot!("reused_load_balancers", world.read("mesh/gateways/x.yaml"));
    // Somebody else's.
    let run = world.ok(&words("gateway create y --cluster m1c1 --reuse-load-balancer lb-1 --dry-run"));
    assert!(
        run.stderr.contains("IstioGateway istio-system/x (mesh/gateways/x.yaml:3:1) uses the load balancer lb-1"),
        "{run}"
    );
    assert!(run.stderr.contains("makes no listeners on lb-1 without --override-listeners"), "{run}");
}

#[test]
fn list_and_show_from_the_files() {
    let world = World::with_fleet();
    assert!(world.ok(&["gateway", "list"]).stderr.starts_with("No gateways found in fleet shop."));
    let world = edge();
    world.ok(&words("gateway create door --serverless"));
    insta::assert_snapshot!("list", world.ok(&["gateway", "list"]));
    insta::assert_snapshot!("list_wide", world.ok(&words("gateway list -o wide")));
    assert_eq!(
        world.ok(&words("gateway ls -o name")).stdout,
        "istiogateway.istio.alibabacloud.com/door\nistiogateway.istio.alibabacloud.com/edge\n"
    );
    insta::assert_snapshot!("show", world.ok(&words("gateway show edge")));
    let page: Value = serde_json::from_str(&world.ok(&words("gateway show edge -o json")).stdout).unwrap();
    assert_eq!(page["kind"], "IngressGateway");
    assert_eq!(page["clusters"][0]["services"][0]["name"], "istio-edge-2");
    assert_eq!(page["routes"][0]["name"], "shop");
    refused(&world, "gateway show edg", "did you mean edge?");
}

/// The mesh and its clusters, with addresses and pods.
fn running(world: &mut World) -> [ApiServer; 3] {
    let servers = [ApiServer::start(), ApiServer::start(), ApiServer::start()];
    let [mesh, one, two] = &servers;
    mesh.put(
        "istiogateways",
        json!({"apiVersion": "istio.alibabacloud.com/v1beta1", "kind": "IstioGateway",
               "metadata": {"name": "edge", "namespace": "istio-system", "uid": "u-1"},
               "spec": {"clusterIds": [M1C1, M1C2]},
               "status": {"Status": "Running", "GatewayAddress": ["198.51.100.7", "198.51.100.8"],
                          "ClusterIdGatewayAddressMap": [{"clusterId": M1C1, "ipAddress": "198.51.100.7"},
                                                         {"clusterId": M1C2, "ipAddress": "198.51.100.8"}]}}),
    );
    for (server, ip) in [(one, "198.51.100.7"), (two, "198.51.100.8")] {
        let selector = json!({"app": "istio-edge", "istio": "edge", "asm-system": "true", "provider": "asm"});
        let service = |name: &str, ip: &str| {
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "istio-system"},
                   "spec": {"type": "LoadBalancer", "selector": selector, "ports": [{"name": "http", "port": 80, "nodePort": 30080}]},
                   "status": {"loadBalancer": {"ingress": [{"ip": ip}]}}})
        };
        server.put("services", service("istio-edge", ip));
        server.put("services", service("istio-edge-2", "203.0.113.9"));
        server.put(
            "pods",
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "istio-edge-abc", "namespace": "istio-system", "labels": {"app": "istio-edge", "istio": "edge", "asm-system": "true", "provider": "asm"}},
                   "spec": {"nodeName": "node-1"},
                   "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}),
        );
    }
    let urls = [mesh.url(), one.url(), two.url()];
    world.write("../config", &kubeconfig(&[("mesh", &urls[0]), ("m1c1", &urls[1]), ("m1c2", &urls[2])]));
    let path = world.root().join("../config").display().to_string();
    world.env.push(("KUBECONFIG".to_owned(), path));
    servers
}

#[test]
fn show_what_runs() {
    let mut world = edge();
    let servers = running(&mut world);
    insta::assert_snapshot!("show_live", world.ok(&words("gateway show edge --live")));
    let page: Value = serde_json::from_str(&world.ok(&words("gateway show edge --live -o json")).stdout).unwrap();
    assert_eq!(page["live"]["addresses"], json!(["198.51.100.7", "198.51.100.8"]));
    assert_eq!(page["live"]["clusters"][1]["pods"][0]["ready"], true);
    // One cluster in trouble: the rest is shown all the same.
    servers[2].forbid("/api/v1");
    let run = world.run(&words("gateway show edge --live"));
    assert_eq!(run.code, Some(3), "{run}");
    assert!(run.stdout.contains("198.51.100.7") && run.stderr.contains("not everything could be read"), "{run}");
    servers[0].forbid("/apis/istio");
    let run = world.run(&words("gateway show edge --live"));
    assert!(run.stdout.contains("not known: the mesh could not be read"), "{run}");
}

#[test]
fn edit_keeps_what_it_does_not_need() {
    let world = edge();
    let run = world.ok(&words("gateway edit edge --replicas 3 --external-traffic-policy Local --pod-label team=edge"));
    assert!(run.stderr.contains("rolling restart of the gateway's pods (podLabels)"), "{run}");
    let expected = EDGE.replace("replicaCount: 2", "replicaCount: 3");
    let text = world.read("mesh/gateways/edge.yaml");
    for line in expected.lines() {
        assert!(text.lines().any(|found| found == line), "`{line}` is gone:\n{text}");
    }
    assert!(text.contains("externalTrafficPolicy: Local\n") && text.contains("podLabels:\n    team: edge\n"), "{text}");
    // A second time it says so already.
    let run = world.ok(&words("gateway edit edge --replicas 3"));
    assert!(run.stderr.contains("unchanged"), "{run}");
    assert_eq!(world.read("mesh/gateways/edge.yaml"), text);

    world.ok(&words("gateway edit edge --set ports[https].targetPort=443 --unset podLabels.team --unset externalTrafficPolicy --replicas 2"));
    assert_eq!(world.read("mesh/gateways/edge.yaml"), EDGE.replace("targetPort: 8443", "targetPort: 443"));

    // Windows line ends stay.
    world.write("mesh/gateways/edge.yaml", &EDGE.replace('\n', "\r\n"));
    world.ok(&words("gateway edit edge --replicas 4"));
    assert_eq!(world.read("mesh/gateways/edge.yaml"), EDGE.replace("Count: 2", "Count: 4").replace('\n', "\r\n"));
}

#[test]
fn edit_refuses_with_the_place() {
    let world = edge();
    refused(&world, "gateway edit edg --replicas 2", "did you mean edge?");
    let run = refused(&world, "gateway edit edge --set ports[http].nodePort=30443", "the nodePort 30443 is used twice");
    assert!(run.stderr.starts_with("error: mesh/gateways/edge.yaml:15:"), "{run}");
    refused(&world, "gateway edit edge --cluster m1c3", "did you mean m1c1?");
    refused(&world, "gateway edit edge --unset podLabels.x", "spec.podLabels.x is not set");
    refused(&world, "gateway edit edge --pod-label provider=x", "the label provider is reserved");
    // Two of one name: neither is touched.
    world.write("mesh/twin.yaml", EDGE);
    let run = refused(&world, "gateway edit edge --replicas 3", "there is no gateway (IstioGateway) edge");
    assert!(run.stderr.contains("because of a problem: mesh/"), "{run}");
    refused(&world, "gateway delete edge --confirm edge", "because of a problem: mesh/");
}

#[test]
fn edit_loses_no_address_by_accident() {
    let mut world = edge();
    for change in [
        "--cluster m1c1",
        "--service-type ClusterIP",
        "--load-balancer nlb --zone-map a=v --zone-map b=w",
        "--address-type intranet",
    ] {
        refused(&world, &format!("gateway edit edge {change}"), "--allow-address-loss");
    }
    let run = world.ok(&words("gateway edit edge --cluster m1c1 --allow-address-loss --dry-run"));
    assert!(run.stderr.contains("the agent holds this back until an approval names the addresses"), "{run}");
    let _servers = running(&mut world);
    world.ok(&words("gateway edit edge --cluster m1c1 --allow-address-loss --live"));
    insta::assert_snapshot!("release_approval", world.read("approvals/release-mesh-istiogateway-edge.yaml"));
    assert!(world.read("mesh/gateways/edge.yaml").contains(&format!("clusterIds: [{M1C1}]")));
}

#[test]
fn delete_says_what_goes_and_wants_the_name() {
    let mut world = edge();
    let run = refused(&world, "gateway delete edge", "nothing was deleted: edge has to be confirmed");
    assert!(run.stderr.contains("left without a gateway: Gateway default/shop (mesh/routes.yaml:1:1)"), "{run}");
    assert!(
        run.stderr.contains("left without an entrance: VirtualService default/shop (mesh/routes.yaml:9:1)"),
        "{run}"
    );
    assert!(
        run.stderr
            .contains("left without pods: Service istio-system/istio-edge-2 (clusters/m1c1/second.yaml:1:1) on m1c1"),
        "{run}"
    );
    refused(&world, "gateway delete edge --confirm egde", "is not the name of the gateway");
    refused(&world, "gateway delete nope --confirm nope", "there is no gateway");
    let run = world.ok(&words("gateway delete edge --dry-run"));
    assert!(run.stdout.contains("-kind: IstioGateway"), "{run}");
    let _servers = running(&mut world);
    let run = world.ok(&words("gateway delete edge --live --confirm edge"));
    assert!(run.stderr.contains("its addresses 198.51.100.7, 198.51.100.8."), "{run}");
    insta::assert_snapshot!("delete_approval", world.read("approvals/delete-mesh-istiogateway-edge.yaml"));
    assert!(!world.root().join("mesh/gateways").exists());
    assert_eq!(world.run(&["diff", "--live", "--target", "m1c2"]).code, Some(0));
}

#[test]
fn delete_leaves_the_rest_of_the_file() {
    let world = World::with_fleet();
    world.write("mesh/all.yaml", &format!("{EDGE}---\n# The routes.\n{ROUTES}"));
    let run = world.ok(&words("gateway delete edge --confirm edge --address 198.51.100.7"));
    assert!(run.stdout.contains("configured mesh/all.yaml"), "{run}");
    assert_eq!(world.read("mesh/all.yaml"), format!("# The routes.\n{ROUTES}"));
    assert!(world.read("approvals/delete-mesh-istiogateway-edge.yaml").contains("- '198.51.100.7'\n"));
}

#[test]
fn several_gateways_share_one() {
    let world = World::with_fleet();
    for name in ["ingressgateway-1", "ingressgateway-2", "ingressgateway-3"] {
        world.ok(&["gateway", "create", name, "--cluster", "m1c1", "--address-type", "intranet"]);
    }
    world.ok(&words("gateway edit ingressgateway-3 --pod-label key1=value1"));
    world.write("mesh/routes.yaml", &ROUTES.replace("{istio: edge}", "{istio: ingressgateway-1} # 选择器"));
    let run = world.ok(&words("gateway share --label key1=value1 ingressgateway-1 ingressgateway-2"));
    assert_eq!(run.stderr.matches("rolling restart").count(), 2, "{run}");
    assert!(
        run.stderr
            .contains("ingressgateway-3 (mesh/gateways/ingressgateway-3.yaml:3:1) has the label key1=value1 as well"),
        "{run}"
    );
    assert_eq!(world.read("mesh/routes.yaml"), ROUTES.replace("{istio: edge}", "{key1: value1} # 选择器"));
    for name in ["ingressgateway-1", "ingressgateway-2"] {
        assert!(world.read(&format!("mesh/gateways/{name}.yaml")).contains("  podLabels:\n    key1: value1\n"));
    }
    let run = world.ok(&words("gateway share --label key1=value1 ingressgateway-1 ingressgateway-2 ingressgateway-3"));
    assert!(run.stderr.starts_with("unchanged"), "{run}");
    // Two of them leave.
    let run = world.ok(&words("gateway share --label key2=v ingressgateway-1 --gateway shop --dry-run"));
    assert_eq!(run.stderr.matches("will not be any more").count(), 2, "{run}");

    refused(&world, "gateway share --label app=x ingressgateway-1", "the label app is reserved");
    refused(&world, "gateway share --label key1=other ingressgateway-1", "have the label key1=value1 already");
    refused(&world, "gateway share --label a=b ingressgateway-4", "did you mean ingressgateway-1?");
    refused(&world, "gateway share --label a=b ingressgateway-1 --gateway shopp", "did you mean shop?");
    world.ok(&words(
        "gateway share --label a=b ingressgateway-1 ingressgateway-2 --gateway both --create-gateway --host *",
    ));
    insta::assert_snapshot!("shared_gateway", world.read("mesh/routes/both.yaml"));
}
