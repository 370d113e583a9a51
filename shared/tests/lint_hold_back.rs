//! Objects that are not to be applied because lint finds an error in them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

use asm_shared::fleet::{FleetState, MemoryTree, Target};
use asm_shared::lint::{Assumptions, Finding, Severity, errors, hold_back, lint, rules_of};
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
    let applied = desired.objects.keys().filter(|id| !desired.held.contains_key(*id));
    (applied.map(|id| id.name.to_string()).collect(), desired.held.is_empty())
}

#[test]
fn only_the_object_with_the_error_is_held_back_and_nothing_is_removed_meanwhile() {
    let (mut state, found) = fleet();
    hold_back(&mut state, &found);
    assert_eq!(desired(&state, "mesh"), (vec!["good".to_owned()], false));
    assert_eq!(desired(&state, "m1c1"), (vec!["map".to_owned()], true));
    let told: Vec<String> =
        state.held.iter().map(|held| format!("{} {}: {} {}", held.target, held.id, held.position, held.rule)).collect();
    assert_eq!(told, ["mesh VirtualService shop/bad: mesh/routes.yaml:6:14 virtual-service-gateway"]);
}

#[test]
fn warnings_hold_nothing_back() {
    let (mut state, mut found) = fleet();
    found[0].severity = Severity::Warning;
    hold_back(&mut state, &found);
    assert!(state.held.is_empty());
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

const SPLIT: &str = "\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec:
  host: reviews
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v3, labels: {version: v3}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http:
    - route:
        - destination: {host: reviews, subset: v3}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: other, namespace: shop}
spec:
  hosts: [other.example.com]
  http: [{redirect: {uri: /}}]
";

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec:
  selector: {app: reviews}
  ports: [{name: http, port: 9080}]
";

fn workload(version: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: reviews-{version}, namespace: shop}}\nspec:\n  \
         selector: {{matchLabels: {{app: reviews, version: {version}}}}}\n  template:\n    metadata: {{labels: {{app: reviews, \
         version: {version}}}}}\n"
    )
}

/// What is held back and what leans on it, when errors are found in the object of this name.
fn held(name: &str) -> Vec<String> {
    let apps = format!("{SERVICE}{}{}", workload("v1"), workload("v3"));
    let tree: MemoryTree =
        [("fleet.yaml", FLEET), ("mesh/split.yaml", SPLIT), ("groups/all/apps.yaml", &apps)].into_iter().collect();
    let mut state = FleetState::read(&tree);
    let found = errors(&tree, &state, Assumptions::default());
    assert!(found.is_empty() && state.problems.is_empty(), "{found:?} {:?}", state.problems);
    let all = state.manifests.len();
    let mut faults = Vec::new();
    let (_, fault) = fleet();
    for manifest in state.manifests.iter().filter(|manifest| &*manifest.id.name == name) {
        let mut fault = fault[0].clone();
        fault.place.object = Some(manifest.id.clone());
        fault.place.position = manifest.position.clone();
        fault.targets = vec![manifest.target.clone()];
        faults.push(fault);
    }
    hold_back(&mut state, &faults);
    let leaning = state.held.iter().filter(|held| held.leans);
    let kept = |held: &asm_shared::fleet::HeldManifest| {
        assert!(state.manifests.iter().any(|manifest| manifest.target == held.target && manifest.id == held.id));
        format!("{} {} ({})", held.target, held.id, held.rule)
    };
    let told = leaning.map(kept).collect();
    assert_eq!(state.manifests.len(), all);
    assert!(state.manifests.is_sorted_by(|a, b| (&a.target, &a.id) < (&b.target, &b.id)));
    told
}

#[test]
fn what_would_fail_without_it_is_marked_and_nothing_else() {
    // Both clusters' Deployments of v3: the rule's subset has no pods, and the route needs that subset.
    assert_eq!(
        held("reviews-v3"),
        ["mesh DestinationRule shop/reviews (subset-pods)", "mesh VirtualService shop/reviews (destination-subset)"]
    );
    assert_eq!(held("other"), Vec::<String>::new());
}
