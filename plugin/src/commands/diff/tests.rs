//! Whole pages, as people see them.

use super::super::comparison::Unreached;
use super::super::document;
use super::super::sides::Right;
use super::*;
use crate::error::CommandError;
use crate::live::LiveTargetName;
use asm_shared::diff::{FleetDiff, diff};
use asm_shared::fleet::{FleetState, MemoryTree};

const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  mesh: {}
  clusters: [{name: m1c1}, {name: m1c2}, {name: m1c3}]
  groups: [{name: west, clusters: [m1c1, m1c2]}]
";

const GATEWAY: &str = "apiVersion: v1
kind: Service
metadata:
  name: istio-ingressgateway-2
  namespace: istio-system
  annotations:
    service.beta.kubernetes.io/alicloud-loadbalancer-address-type: ADDRESS
spec:
  type: LoadBalancer
  externalTrafficPolicy: POLICY
  ports: [{name: http, port: 80}]
";

const ROUTE: &str = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bookinfo, namespace: default}
spec:
  hosts: [shop.example.com]
  http:
  - route:
    - {destination: {host: reviews, subset: v1}, weight: 90}
    - {destination: {host: reviews, subset: v2}, weight: 10}
";

fn service(address: &str, policy: &str) -> String {
    GATEWAY.replace("ADDRESS", address).replace("POLICY", policy)
}

fn state(files: &[(&str, &str)]) -> FleetState {
    let mut tree: MemoryTree = files.iter().copied().collect();
    tree.insert("fleet.yaml", FLEET);
    let state = FleetState::read(&tree);
    assert_eq!(state.problems, vec![]);
    state
}

fn comparison(diff: FleetDiff) -> Comparison {
    Comparison {
        before: "main (4f1c2aa)".to_owned(),
        after: "working tree".to_owned(),
        right: Right::Files,
        is_live: false,
        is_literal: false,
        diff,
        unreached: Vec::new(),
        lint: None,
        traffic: None,
        standing: Default::default(),
    }
}

fn example() -> Comparison {
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, namespace: default}\ndata:\n  app.conf: |\n    a = 1\n    b = 2\n    c = 3\n";
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: login, namespace: default}\nstringData: {password: hunter2}\n";
    let before = state(&[
        ("mesh/route.yaml", ROUTE),
        ("groups/west/gateway.yaml", &service("internet", "Local")),
        ("clusters/m1c1/config.yaml", config),
        ("clusters/m1c1/secret.yaml", secret),
    ]);
    let route = ROUTE.replace("weight: 90", "weight: 80").replace("weight: 10", "weight: 20").replace(
        "  http:\n",
        "  http:\n  - match: [{uri: {exact: /login}}]\n    route:\n    - {destination: {host: login, port: {number: 9080}}}\n",
    );
    let after = state(&[
        ("mesh/route.yaml", &route),
        ("groups/west/gateway.yaml", &service("intranet", "Cluster")),
        ("clusters/m1c1/config.yaml", &config.replace("b = 2", "b = 3")),
        ("clusters/m1c1/secret.yaml", &secret.replace("hunter2", "hunter3")),
        ("clusters/m1c2/extra.yaml", "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a, namespace: default}\n"),
    ]);
    comparison(diff(&before, &after))
}

#[test]
fn a_page() {
    insta::assert_snapshot!(page(&example(), false, false));
}

#[test]
fn a_summary() {
    insta::assert_snapshot!(page(&example(), true, false));
}

#[test]
fn names_of_objects() {
    insta::assert_snapshot!(names(&example()), @"
    mesh/default/virtualservice.networking.istio.io/bookinfo
    m1c1/default/configmap/app
    m1c1/default/secret/login
    m1c1/istio-system/service/istio-ingressgateway-2
    m1c2/istio-system/service/istio-ingressgateway-2
    m1c2/default/serviceaccount/a
    ");
}

#[test]
fn a_document() {
    let text = serde_json::to_string_pretty(&document::of(&example()).unwrap()).unwrap();
    assert!(!text.contains("hunter"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn removal_and_a_cluster_out_of_reach() {
    let (before, after) = (state(&[("clusters/m1c1/gateway.yaml", &service("internet", "Local"))]), state(&[]));
    let mut comparison = comparison(diff(&before, &after));
    comparison.diff.targets.retain(|counts| counts.target.name() != "m1c3");
    comparison.unreached.push(Unreached {
        name: LiveTargetName { target: Target::Cluster("m1c3".into()), kube_context: "m1c3".to_owned() },
        error: CommandError::unreachable("cannot read m1c3 (context m1c3)"),
    });
    insta::assert_snapshot!(page(&comparison, false, false));
}

#[test]
fn nothing_differs() {
    let state = state(&[("mesh/route.yaml", ROUTE)]);
    insta::assert_snapshot!(page(&comparison(diff(&state, &state)), false, false), @"
    Comparing main (4f1c2aa) → working tree · mesh and 3 clusters
                       add  change  replace  destroy
    mesh                 –       –        –        –   no change
    m1c1, m1c2, m1c3     –       –        –        –   no change

    No differences.
    ");
}

#[test]
fn colours_do_not_change_the_text() {
    let example = example();
    let colored = page(&example, false, true);
    assert_ne!(colored, page(&example, false, false));
    assert_eq!(anstream::adapter::strip_str(&colored).to_string(), page(&example, false, false));
}

/// Maps of the standard library are seeded anew each time: what depends on their order shows here.
#[test]
fn the_same_files_give_the_same_bytes() {
    let printed = || {
        let example = example();
        let document = document::of(&example).unwrap();
        let json = serde_json::to_string_pretty(&document).unwrap();
        [
            json,
            asm_shared::yaml::write(&document),
            names(&example),
            page(&example, false, true),
            page(&example, true, false),
        ]
    };
    let first = printed();
    for _ in 1..100 {
        assert_eq!(printed(), first);
    }
}
