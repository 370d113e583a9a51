//! Where `istioctl analyze` says something wrong or nothing (its analyzers, read in the code): thirteen cases, a test each,
//! in which ours is right.

#![expect(clippy::panic, reason = "a test that cannot go on panics")]

use asm_shared::fleet::{FleetState, MemoryTree};
use asm_shared::lint::{Assumptions, find, run};
use std::fmt::Write as _;

const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: shop}\nspec:\n  mesh: {}\n  \
                     clusters: [{name: m1c1, id: c11111111111111111111111111111111}, {name: m1c2}]\n";

/// What a rule finds in these files: `FILE:OBJECT FIELD: message`.
#[track_caller]
fn found(rule: &str, files: &[(&str, &str)]) -> Vec<String> {
    let tree: MemoryTree = files.iter().copied().chain([("fleet.yaml", FLEET)]).collect();
    let state = FleetState::read(&tree);
    assert!(state.problems.is_empty(), "{:?}", state.problems);
    let Some(rule) = find(rule) else { panic!("there is no rule {rule}") };
    let told = run(&state, &[rule], Assumptions { complete: true, now: None }).into_iter().map(|finding| {
        let name = finding.place.object.map(|id| id.name.to_string()).unwrap_or_default();
        format!("{name} {}: {}", finding.place.path, finding.message)
    });
    told.collect()
}

/// A pod of a gateway, as a Deployment.
fn pod(name: &str, labels: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: istio-system}}\nspec:\n  selector: {{matchLabels: \
         {{{labels}}}}}\n  template:\n    metadata: {{labels: {{{labels}}}}}\n    spec: {{containers: [{{name: proxy, image: \
         proxy}}]}}\n---\n"
    )
}

/// A Gateway in istio-system whose servers are `PORT PROTOCOL HOST,HOST`.
fn gateway(name: &str, selector: &str, servers: &[&str]) -> String {
    let mut text = format!(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: {name}, namespace: istio-system}}\nspec:\n  selector: \
         {{{selector}}}\n  servers:\n"
    );
    for (index, server) in servers.iter().enumerate() {
        let mut parts = server.split(' ');
        let (port, protocol) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let hosts: Vec<String> = parts.next().unwrap_or_default().split(',').map(|host| format!("'{host}'")).collect();
        let tls = if protocol == "HTTPS" {
            format!(", tls: {{mode: SIMPLE, credentialName: {name}-{index}}}")
        } else {
            String::new()
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "    - {{port: {{number: {port}, name: s{index}, protocol: {protocol}}}, hosts: [{}]{tls}}}",
            hosts.join(", ")
        );
    }
    text + "---\n"
}

/// A VirtualService in the namespace shop; `rest` are the lines below `spec`.
fn route(name: &str, rest: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n{rest}---\n"
    )
}

fn rules(entries: &[&str]) -> String {
    let rules: String = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            format!("    - match: [{{{entry}}}]\n      route: [{{destination: {{host: h{index}}}}}]\n")
        })
        .collect();
    route("web", &format!("  hosts: [web]\n  http:\n{rules}"))
}

#[test]
fn conflicting_gateways_1_a_second_server_on_the_port_does_not_hide_the_first_ones_hosts() {
    let mesh = gateway("one", "istio: edge", &["443 HTTPS a.example.com", "443 HTTPS b.example.com"])
        + &gateway("two", "istio: edge", &["443 HTTPS a.example.com"]);
    let found =
        found("conflicting-gateways", &[("mesh/g.yaml", &mesh), ("clusters/m1c1/p.yaml", &pod("edge", "istio: edge"))]);
    assert!(found.iter().any(|told| told.contains("a.example.com")), "{found:?}");
    assert!(!found.iter().any(|told| told.contains("b.example.com")), "{found:?}");
}

#[test]
fn conflicting_gateways_2_the_gateway_that_is_named_has_the_host() {
    let mesh = gateway("one", "istio: edge", &["443 HTTPS a.example.com"])
        + &gateway("three", "istio: edge", &["443 HTTPS c.example.com,a.example.com"])
        + &gateway("two", "istio: edge", &["443 HTTPS c.example.com"]);
    let found =
        found("conflicting-gateways", &[("mesh/g.yaml", &mesh), ("clusters/m1c1/p.yaml", &pod("edge", "istio: edge"))]);
    // `one` and `two` have no host in common.
    let both = found.iter().filter(|told| {
        let named = |own: &str, other: &str| told.starts_with(own) && told.contains(&format!("istio-system/{other}"));
        named("one ", "two") || named("two ", "one")
    });
    assert_eq!(both.count(), 0, "{found:?}");
    assert!(
        found.iter().any(|told| told.contains("a.example.com"))
            && found.iter().any(|told| told.contains("c.example.com")),
        "{found:?}"
    );
}

#[test]
fn conflicting_gateways_3_selectors_meet_in_a_pod_though_neither_contains_the_other() {
    let mesh = gateway("one", "app: a, istio: b", &["443 HTTPS a.example.com"])
        + &gateway("two", "istio: b, zone: c", &["443 HTTPS a.example.com"]);
    let both = pod("edge", "app: a, istio: b, zone: c");
    assert_eq!(found("conflicting-gateways", &[("mesh/g.yaml", &mesh), ("clusters/m1c1/p.yaml", &both)]).len(), 2);
    // The same selectors, but no pod that has all of the labels.
    let apart = pod("edge", "app: a, istio: b") + &pod("other", "istio: b, zone: c");
    assert!(found("conflicting-gateways", &[("mesh/g.yaml", &mesh), ("clusters/m1c1/p.yaml", &apart)]).is_empty());
}

#[test]
fn conflicting_gateways_4_hosts_are_compared_by_what_they_mean() {
    let pods = pod("edge", "istio: edge");
    let against = |host: &str| {
        let mesh = gateway("one", "istio: edge", &["443 HTTPS shop/a.example.com"])
            + &gateway("two", "istio: edge", &[&format!("443 HTTPS {host}")]);
        found("conflicting-gateways", &[("mesh/g.yaml", &mesh), ("clusters/m1c1/p.yaml", &pods)]).len()
    };
    // Told at both.
    assert_eq!([against("A.Example.com"), against("*/a.example.com"), against("shop/a.example.com")], [2, 2, 2]);
    assert_eq!([against("other/a.example.com"), against("b.example.com")], [0, 0]);
}

#[test]
fn conflicting_gateways_5_plain_http_servers_are_joined() {
    let mesh = gateway("one", "istio: edge", &["80 HTTP a.example.com"])
        + &gateway("two", "istio: edge", &["80 HTTP a.example.com"]);
    let found =
        found("conflicting-gateways", &[("mesh/g.yaml", &mesh), ("clusters/m1c1/p.yaml", &pod("edge", "istio: edge"))]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn hosts_of_a_virtual_service_are_judged_one_by_one() {
    let mesh = gateway("edge", "istio: edge", &["80 HTTP a.example.com"])
        + &route(
            "web",
            "  hosts: [a.example.com, b.example.com]\n  gateways: [istio-system/edge]\n  http: [{route: [{destination: {host: web}}]}]\n",
        );
    let found = found("virtual-service-host", &[("mesh/g.yaml", &mesh)]);
    assert!(
        found.len() == 1 && found[0].starts_with("web spec.hosts[1]") && found[0].contains("b.example.com"),
        "{found:?}"
    );
}

#[test]
fn ineffective_matches_1_no_method_means_every_method() {
    // GET /a leaves other methods of /a/b through.
    let narrow = rules(&["uri: {prefix: /a}, method: {exact: GET}", "uri: {prefix: /a/b}"]);
    assert!(found("unreachable-rule", &[("mesh/r.yaml", &narrow)]).is_empty());
    assert!(found("ineffective-match", &[("mesh/r.yaml", &narrow)]).is_empty());
    let wide = rules(&["uri: {prefix: /a}", "uri: {prefix: /a/b}, method: {exact: POST}"]);
    assert_eq!(found("unreachable-rule", &[("mesh/r.yaml", &wide)]).len(), 1);
}

#[test]
fn ineffective_matches_2_a_prefix_hides_matches_with_headers_too() {
    let hidden = rules(&["uri: {prefix: /}", "uri: {prefix: /a}, headers: {end-user: {exact: jason}}"]);
    assert_eq!(found("unreachable-rule", &[("mesh/r.yaml", &hidden)]).len(), 1);
    let other = rules(&["uri: {prefix: /}, headers: {x: {exact: y}}", "uri: {prefix: /a}"]);
    assert!(found("unreachable-rule", &[("mesh/r.yaml", &other)]).is_empty());
}

#[test]
fn ineffective_matches_3_exact_paths_expressions_and_other_virtual_services_are_compared() {
    for hidden in ["uri: {exact: /a/b}", "uri: {regex: '/a/.*'}"] {
        let rules = rules(&["uri: {prefix: /a}", hidden]);
        assert_eq!(found("unreachable-rule", &[("mesh/r.yaml", &rules)]).len(), 1, "{hidden}");
    }
    let all = rules(&["uri: {regex: '.*'}", "uri: {exact: /a}"]);
    assert_eq!(found("unreachable-rule", &[("mesh/r.yaml", &all)]).len(), 1);
    // Two VirtualServices that istiod puts one behind the other, by their age.
    let of = |name: &str, path: &str| {
        route(
            name,
            &format!(
                "  hosts: [a.example.com]\n  gateways: [istio-system/edge]\n  http:\n    - match: [{{uri: {{{path}}}}}]\n      route: [{{destination: {{host: {name}}}}}]\n"
            ),
        )
    };
    let edge = gateway("edge", "istio: edge", &["80 HTTP a.example.com"]);
    let hazard = edge.clone() + &of("one", "prefix: /a") + &of("two", "exact: /a/b");
    assert_eq!(found("order-hazard", &[("mesh/r.yaml", &hazard)]).len(), 1);
    let apart = edge + &of("one", "prefix: /a") + &of("two", "prefix: /b");
    assert!(found("order-hazard", &[("mesh/r.yaml", &apart)]).is_empty());
}

/// An IstioGateway, and a second load balancer in front of its pods.
fn two_load_balancers(ports: &str) -> Vec<(&'static str, String)> {
    let asm = "apiVersion: istio.alibabacloud.com/v1beta1\nkind: IstioGateway\nmetadata: {name: edge, namespace: istio-system}\nspec:\n  \
               gatewayType: ingress\n  clusterIds: [c11111111111111111111111111111111]\n  ports: [{name: http, port: 80, targetPort: 80}, {name: https, port: 443, targetPort: 443}]\n";
    let gateway = gateway("edge", "istio: edge", &["80 HTTP a.example.com", "443 HTTPS a.example.com"]);
    let second = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: second, namespace: istio-system}}\nspec:\n  type: LoadBalancer\n  selector: \
         {{istio: edge}}\n  ports: [{ports}]\n"
    );
    vec![("mesh/asm.yaml", asm.to_owned()), ("mesh/g.yaml", gateway), ("clusters/m1c1/s.yaml", second)]
}

#[test]
fn gateway_ports_are_judged_for_every_load_balancer() {
    let judge = |ports: &str| {
        let files = two_load_balancers(ports);
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        found("gateway-port", &files)
    };
    let found = judge("{name: http, port: 80}");
    assert!(found.len() == 1 && found[0].contains("443") && found[0].contains("second"), "{found:?}");
    let both = judge("{name: http, port: 80}, {name: https, port: 443}");
    assert!(both.is_empty(), "{both:?}");
}

#[test]
fn node_ports_make_no_services_differ_and_the_order_is_always_the_same() {
    let service = |node: u32, port: u32| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: web, namespace: shop}}\nspec:\n  type: LoadBalancer\n  ports: [{{name: http, \
             port: {port}, nodePort: {node}}}]\n"
        )
    };
    let judge = |one: &str, two: &str| {
        found("service-differs", &[("clusters/m1c1/s.yaml", one), ("clusters/m1c2/s.yaml", two)])
    };
    assert!(judge(&service(30_001, 80), &service(30_002, 80)).is_empty());
    let (one, two) = (service(30_001, 80), service(30_001, 81));
    let first = judge(&one, &two);
    assert_eq!(first.len(), 1);
    assert!((0..20).all(|_| judge(&one, &two) == first));
}

#[test]
fn a_destination_rule_for_a_wildcard_defines_subsets() {
    let rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: all, namespace: shop}\nspec:\n  host: \
                '*.shop.svc.cluster.local'\n  subsets: [{name: v1, labels: {version: v1}}]\n---\n";
    let to = |subset: &str| {
        let route = route(
            "web",
            &format!("  hosts: [web]\n  http: [{{route: [{{destination: {{host: web, subset: {subset}}}}}]}}]\n"),
        );
        found("destination-subset", &[("mesh/r.yaml", &(rule.to_owned() + &route))])
    };
    assert!(to("v1").is_empty());
    assert_eq!(to("v2").len(), 1);
}

#[test]
fn pods_of_gateways_are_known_by_any_label() {
    let asm = "apiVersion: istio.alibabacloud.com/v1beta1\nkind: IstioGateway\nmetadata: {name: edge, namespace: istio-system}\nspec:\n  \
               gatewayType: ingress\n  clusterIds: [c11111111111111111111111111111111]\n  podLabels: {key1: value1}\n  ports: [{name: http, port: 80, targetPort: 80}]\n";
    let judge = |selector: &str| {
        let gateway = gateway("shared", selector, &["80 HTTP a.example.com", "8080 HTTP a.example.com"]);
        let files = [("mesh/asm.yaml", asm), ("mesh/g.yaml", gateway.as_str())];
        (found("gateway-selector", &files).len(), found("gateway-port", &files).len())
    };
    // Its pods are found, and so is that they have no port 8080.
    assert_eq!(judge("key1: value1"), (0, 1));
    assert_eq!(judge("key1: value2").0, 1);
}
