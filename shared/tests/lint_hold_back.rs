//! Objects that are not to be applied because lint finds an error in them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

use asm_shared::fleet::{FleetState, MemoryTree, Target};
use asm_shared::lint::{Assumptions, Finding, Severity, hold_back, lint, rules_of};
use asm_shared::plan::Desired;

const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: shop}\nspec:\n  mesh: {}\n  \
                     clusters: [{name: m1c1}, {name: m1c2}]\n  groups: [{name: all, clusters: [m1c1, m1c2]}]\n";

const ROUTES: &str = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bad, namespace: shop}
spec:
  hosts: [bad.example.com]
  gateways: [nowhere]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: good, namespace: shop}
spec:
  hosts: [good.example.com]
";

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map, namespace: shop}\n";

fn fleet() -> (FleetState, Vec<Finding>) {
    let tree: MemoryTree =
        [("fleet.yaml", FLEET), ("mesh/routes.yaml", ROUTES), ("groups/all/map.yaml", MAP)].into_iter().collect();
    let state = FleetState::read(&tree);
    assert!(state.problems.is_empty(), "{:?}", state.problems);
    let rules = rules_of(&["virtual-service-gateway".to_owned()], &[]).unwrap();
    let found = lint(&tree, &state, None, &rules, Assumptions::default()).found;
    assert_eq!(found.len(), 1);
    (state, found)
}

/// What a target gets, and whether anything may be removed there.
fn desired(state: &FleetState, target: &str) -> (Vec<String>, bool) {
    let target = if target == "mesh" { Target::Mesh } else { Target::Cluster(target.into()) };
    let desired = Desired::of(state, &target, &"r".into(), "set");
    (desired.objects.keys().map(|id| id.name.to_string()).collect(), desired.complete)
}

#[test]
fn only_the_object_with_the_error_is_held_back_and_nothing_is_removed_meanwhile() {
    let (mut state, found) = fleet();
    hold_back(&mut state, &found);
    assert_eq!(desired(&state, "mesh"), (vec!["good".to_owned()], false));
    assert_eq!(desired(&state, "m1c1"), (vec!["map".to_owned()], true));
    let told: Vec<String> = state.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "mesh/routes.yaml:6:14: VirtualService shop/bad is held back: there is no Gateway `nowhere` in the namespace shop: \
          the routes are not bound to it (virtual-service-gateway)"
        ]
    );
}

#[test]
fn warnings_hold_nothing_back() {
    let (mut state, mut found) = fleet();
    found[0].severity = Severity::Warning;
    hold_back(&mut state, &found);
    assert!(state.problems.is_empty());
    assert_eq!(desired(&state, "mesh").0.len(), 2);
}

#[test]
fn of_several_clusters_only_those_that_the_finding_names() {
    let (mut state, mut found) = fleet();
    let map = state.manifests.iter().find(|manifest| &*manifest.id.name == "map").unwrap();
    found[0].place.object = Some(map.id.clone());
    found[0].place.position = map.position.clone();
    found[0].targets = vec![Target::Cluster("m1c2".into())];
    hold_back(&mut state, &found);
    assert_eq!(desired(&state, "m1c1"), (vec!["map".to_owned()], true));
    assert_eq!(desired(&state, "m1c2"), (vec![], false));
    assert_eq!(desired(&state, "mesh"), (vec!["bad".to_owned(), "good".to_owned()], true));
}

#[test]
fn an_object_of_the_mesh_is_held_back_whatever_clusters_it_is_about() {
    let (mut state, mut found) = fleet();
    found[0].targets = vec![Target::Cluster("m1c1".into())];
    hold_back(&mut state, &found);
    assert_eq!(desired(&state, "mesh"), (vec!["good".to_owned()], false));
    assert_eq!(desired(&state, "m1c1"), (vec!["map".to_owned()], true));
}
