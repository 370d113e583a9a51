//! Who gets the requests of a gateway in one cluster, by what a DestinationRule or the Service asks for: the rows are those of
//! istiod's `ApplyLocalityLoadBalancer`.

use crate::fleet::{FleetState, MemoryTree, Target};
use crate::route::{Answer, Front, NoEndpoint, Options, Request, State, compile_all, compile_each, gateways};

const MESH: &str = "\
apiVersion: istio.alibabacloud.com/v1beta1
kind: IstioGateway
metadata: {name: edge, namespace: istio-system}
spec:
  clusterIds: [c00000000000000000000000000000001, c00000000000000000000000000000002, c00000000000000000000000000000003]
  podLabels: {tier: gold}
  ports: [{name: http, port: 80, targetPort: 80}]
---
apiVersion: istio.alibabacloud.com/v1beta1
kind: IstioGateway
metadata: {name: far, namespace: istio-system}
spec: {clusterIds: [c00000000000000000000000000000003], ports: [{name: http, port: 80, targetPort: 80}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: shop}
spec: {servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec: {hosts: ['*'], gateways: [web], http: [{route: [{destination: {host: cart, subset: all}}]}]}
";

/// Clusters a1 and a2 in region a, b1 in region b; 1, 2 and 3 pods. `policy` is the DestinationRule's, `own` the subset's.
fn fleet(policy: &str, own: &str, service: &str) -> FleetState {
    let clusters = [("a1", 1, "a"), ("a2", 2, "a"), ("b1", 3, "b")];
    let list = clusters.iter().map(|(name, id, region)| format!("{{name: {name}, id: c{id:032}, region: {region}}}"));
    let fleet = format!(
        "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {{name: f}}\nspec:\n  mesh: {{}}\n  clusters: [{}]\n",
        list.collect::<Vec<_>>().join(", ")
    );
    let rule = format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: cart, namespace: shop}}\n\
         spec: {{host: cart, trafficPolicy: {policy}, subsets: [{{name: all, labels: {{app: cart}}, trafficPolicy: {own}}}]}}\n"
    );
    let mut tree: MemoryTree =
        [("fleet.yaml", fleet.as_str()), ("mesh/mesh.yaml", MESH), ("mesh/rule.yaml", rule.as_str())]
            .into_iter()
            .collect();
    for (name, replicas, _) in clusters {
        let tier = if name == "a2" { "gold" } else { "plain" };
        tree.insert(
            &format!("clusters/{name}/cart.yaml"),
            format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: cart, namespace: shop{service}}}\n\
                 spec: {{selector: {{app: cart}}, ports: [{{name: http, port: 80}}]}}\n---\n\
                 apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: cart, namespace: shop}}\n\
                 spec:\n  replicas: {replicas}\n  selector: {{matchLabels: {{app: cart}}}}\n  \
                 template: {{metadata: {{labels: {{app: cart, tier: {tier}}}}}, spec: {{containers: [{{name: c, image: c}}]}}}}\n"
            ),
        );
    }
    let state = FleetState::read(&tree);
    assert!(state.problems.is_empty(), "{:?}", state.problems);
    state
}

/// `a1 33, a2 67`, as a gateway in this cluster shares requests out.
fn shares(state: &FleetState, home: &str) -> String {
    let fronts = gateways(state);
    let front = fronts.iter().find(|front| front.name == "edge").unwrap();
    let home = Some(Target::Cluster(home.into()));
    let tables = compile_each(state, &[(front, home)], &Options::default());
    told(&tables[0])
}

fn told(table: &crate::route::Table<'_>) -> String {
    let request = Request::from_url("http://a.test/", None, &[]).unwrap();
    let outcome = table.lookup(&request);
    let to = &outcome.answer.forward().unwrap().destinations[0];
    if let State::NoEndpoint(why) = &to.state {
        assert_eq!(*why, NoEndpoint::NoRegion);
        assert!(matches!(outcome.answer, Answer::NoEndpoint(_)));
        return "nowhere".to_owned();
    }
    if to.locality.is_empty() {
        return "by pods".to_owned();
    }
    let shares = to.locality.iter().filter(|(_, share)| *share > 0.0);
    shares.map(|(name, share)| format!("{name} {:.0}", share * 100.0)).collect::<Vec<_>>().join(", ")
}

const DETECTS: &str = "outlierDetection: {}";

#[test]
fn settings_and_regions_decide() {
    let balancer = |setting: &str| format!("{{{DETECTS}, loadBalancer: {{localityLbSetting: {setting}}}}}");
    let distribute = "{loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {a: 80, b: 20}}]}}}";
    for (policy, own, from_a1, from_b1) in [
        // Nothing asks for it.
        ("null", "null", "by pods", "by pods"),
        ("{loadBalancer: {localityLbSetting: {enabled: true}}}", "null", "by pods", "by pods"),
        // Outlier detection alone turns failing over on.
        (&format!("{{{DETECTS}}}"), "null", "a1 33, a2 67", "b1 100"),
        ("null", &format!("{{{DETECTS}}}"), "a1 33, a2 67", "b1 100"),
        (&balancer("{enabled: false}"), "null", "by pods", "by pods"),
        // What a port says takes nothing over.
        (
            &format!("{{{DETECTS}, portLevelSettings: [{{port: {{number: 80}}, tls: {{mode: DISABLE}}}}]}}"),
            "null",
            "by pods",
            "by pods",
        ),
        (
            &format!("{{portLevelSettings: [{{port: {{number: 80}}, {DETECTS}}}, {{port: {{number: 81}}}}]}}"),
            "null",
            "a1 33, a2 67",
            "b1 100",
        ),
        // A subset's field goes before that of all.
        (&format!("{{{DETECTS}}}"), "{loadBalancer: {localityLbSetting: {enabled: false}}}", "by pods", "by pods"),
        // Shares of regions; no item is for region b.
        (distribute, "null", "a1 27, a2 53, b1 20", "by pods"),
        (
            "{loadBalancer: {localityLbSetting: {distribute: [{from: '*', to: {'b/*': 100}}]}}}",
            "null",
            "b1 100",
            "b1 100",
        ),
        (
            "{loadBalancer: {localityLbSetting: {distribute: [{from: a/z1/*, to: {a/z1: 10, a/z2: 30, '*': 60}}]}}}",
            "null",
            "a1 13, a2 27, b1 60",
            "by pods",
        ),
        ("{loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {c: 100}}]}}}", "null", "nowhere", "by pods"),
        // Labels of the gateway's pods, the first one counting most.
        (&balancer("{failoverPriority: [topology.istio.io/cluster]}"), "null", "a1 100", "b1 100"),
        (&balancer("{failoverPriority: [tier]}"), "null", "a2 100", "a2 100"),
        (&balancer("{failoverPriority: ['tier=plain', topology.kubernetes.io/region]}"), "null", "a1 100", "b1 100"),
        (&balancer("{failoverPriority: [topology.kubernetes.io/region, tier]}"), "null", "a2 100", "b1 100"),
        (
            &balancer("{failoverPriority: [topology.kubernetes.io/zone]}"),
            "null",
            "a1 17, a2 33, b1 50",
            "a1 17, a2 33, b1 50",
        ),
    ] {
        let state = fleet(policy, own, "");
        assert_eq!(
            (shares(&state, "a1"), shares(&state, "b1")),
            (from_a1.to_owned(), from_b1.to_owned()),
            "{policy} {own}"
        );
    }
}

#[test]
fn what_is_not_in_our_region_fails_over() {
    let policy = "{outlierDetection: {}, loadBalancer: {localityLbSetting: {failover: [{from: b, to: a}]}}}";
    let state = fleet(policy, "{outlierDetection: {}}", "");
    assert_eq!(shares(&state, "b1"), "b1 100");
    // Nobody is left in b.
    let mut state = state;
    state.manifests.retain(|it| it.group_kind().kind.as_ref() != "Deployment" || it.target.name() != "b1");
    assert_eq!(shares(&state, "b1"), "a1 33, a2 67");
}

#[test]
fn a_service_can_ask_that_requests_stay_near() {
    let annotated = ", annotations: {networking.istio.io/traffic-distribution: PreferClose}";
    let state = fleet("null", "null", annotated);
    assert_eq!((shares(&state, "a2"), shares(&state, "b1")), ("a1 33, a2 67".to_owned(), "b1 100".to_owned()));
    // What a DestinationRule says goes before.
    let state = fleet("{loadBalancer: {localityLbSetting: {enabled: false}}}", "null", annotated);
    assert_eq!(shares(&state, "a2"), "by pods");
}

/// Gateways of other clusters share nothing with each other; of one gateway in two regions, both are told.
#[test]
fn each_gateway_is_asked_where_it_runs() {
    let state = fleet("{outlierDetection: {}}", "null", "");
    let fronts: Vec<Front<'_>> = gateways(&state);
    for order in [[0, 1], [1, 0]] {
        let both: Vec<Front<'_>> = order.iter().map(|at| fronts[*at].clone()).collect();
        let tables = compile_all(&state, &both, &Options::default());
        let mut all: Vec<String> =
            tables.iter().map(|table| format!("{}: {}", table.front().name, told(table))).collect();
        all.sort();
        assert_eq!(all, ["edge: a1 33, a2 67", "far: b1 100"]);
    }
    let table = crate::route::compile(&state, fronts.iter().find(|it| it.name == "edge").unwrap(), &Options::default());
    let request = Request::from_url("http://a.test/", None, &[]).unwrap();
    let outcome = table.lookup(&request);
    let names =
        |entries: &[crate::route::Entry<'_>]| entries.iter().map(|it| it.cluster.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&outcome.through), ["a1", "a2"]);
    assert_eq!(outcome.elsewhere.len(), 1);
    assert_eq!(names(outcome.elsewhere[0].0), ["b1"]);
}
