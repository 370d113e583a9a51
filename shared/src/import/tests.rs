//! A whole import, from live objects to files.

use super::*;
use crate::diff::{LiveObject, LiveTarget, diff_live};
use crate::fleet::{FleetState, MemoryTree, Target, Tree};
use crate::object::At as _;
use crate::object::{GroupKind, ObjectId};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn cluster(name: &str) -> Target {
    Target::Cluster(name.into())
}

fn member(name: &str) -> Member {
    Member { name: name.to_owned(), context: format!("ack-{name}") }
}

fn intent(members: &[&str]) -> ImportFleet {
    ImportFleet {
        name: "shop".to_owned(),
        mesh_context: None,
        members: members.iter().map(|name| member(name)).collect(),
    }
}

fn workload(kind: &str, name: &str, app: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "selector": {"matchLabels": {"app": app}},
            "template": {"metadata": {"labels": {"app": app}}, "spec": {
                "serviceAccountName": "sa", "containers": [{"name": "c", "image": "i:1"}]
            }}
        }
    })
}

fn service(name: &str, port: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"type": "LoadBalancer", "selector": {"app": name}, "ports": [{"port": port}]}
    })
}

fn rule(name: &str) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService",
        "metadata": {"name": name, "namespace": "shop"}, "spec": {"hosts": [name]}
    })
}

/// One API server, its objects read in this order.
fn harvest(target: Target, objects: &[Value]) -> Harvest {
    let mut harvest = Harvest::new(target);
    let generated = Generated::by(Some(Vec::new()));
    let is_workload = |object: &&Value| object["apiVersion"] == "apps/v1";
    if harvest.target == Target::Mesh {
        objects.iter().for_each(|object| harvest.mesh_object(object));
        return harvest;
    }
    objects.iter().filter(is_workload).for_each(|object| harvest.workload(object, &generated));
    let chosen = ChosenPods::of([&harvest]);
    objects.iter().filter(|o| !is_workload(o)).for_each(|object| harvest.service(object, &generated, &chosen));
    for id in harvest.companions(false) {
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": &*id.name, "namespace": "shop"}
        });
        harvest.companion(&account, &generated);
    }
    harvest
}

fn apply(tree: &mut MemoryTree, import: &Import) {
    for edit in &import.edits {
        tree.insert(&edit.path, edit.after.as_deref().unwrap_or_default());
    }
}

fn paths(import: &Import) -> Vec<&str> {
    import.edits.iter().map(|edit| edit.path.as_str()).collect()
}

/// The files of an import into nothing, and the fleet that they make.
fn fresh(members: &[&str], mesh: &Harvest, found: &[Harvest]) -> (MemoryTree, FleetState, Import) {
    let mut tree = MemoryTree::default();
    let import = intent(members).plan(&tree, &FleetState::read(&tree), mesh, found).unwrap();
    apply(&mut tree, &import);
    let state = FleetState::read(&tree);
    assert_eq!(state.problems, []);
    (tree, state, import)
}

fn two_clusters() -> (Harvest, [Harvest; 2]) {
    let mesh = harvest(Target::Mesh, &[rule("web")]);
    let one =
        harvest(cluster("a"), &[workload("Deployment", "web-v1", "web"), service("web", 80), service("door", 80)]);
    let two =
        harvest(cluster("b"), &[workload("Deployment", "web-v2", "web"), service("web", 80), service("door", 81)]);
    (mesh, [one, two])
}

#[test]
fn what_is_the_same_everywhere_goes_to_a_group() {
    let (mesh, members) = two_clusters();
    let (_, state, import) = fresh(&["a", "b"], &mesh, &members);
    assert_eq!(
        paths(&import),
        [
            "fleet.yaml",
            "README.md",
            "clusters/a/apps/shop/door.yaml",
            "clusters/a/apps/shop/web.yaml",
            "clusters/b/apps/shop/door.yaml",
            "clusters/b/apps/shop/web.yaml",
            "groups/all/apps/shop/web.yaml",
            "mesh/routes/shop/web.yaml",
        ]
    );
    let fleet = state.fleet.as_ref().unwrap();
    assert_eq!(fleet.spec.groups[0].clusters, ["a", "b"]);
    assert_eq!(fleet.spec.clusters[0].context.as_deref(), Some("ack-a"));
    for target in state.targets().iter().skip(1) {
        assert_eq!(state.manifests_of(target).count(), 4, "{target}");
    }
}

#[test]
fn the_second_time_nothing_is_written() {
    let (mesh, members) = two_clusters();
    let (tree, state, _) = fresh(&["a", "b"], &mesh, &members);
    let again = intent(&["a", "b"]).plan(&tree, &state, &mesh, &members).unwrap();
    assert_eq!((again.edits.len(), again.report.imported.len()), (0, 0));
    assert_eq!(again.report.targets[1].in_git, 4);
}

#[test]
fn the_order_of_reading_does_not_matter() {
    let (mesh, [one, two]) = two_clusters();
    let (_, _, import) = fresh(&["a", "b"], &mesh, &[one.clone(), two.clone()]);
    let mut objects = vec![service("door", 80), service("web", 80), workload("Deployment", "web-v1", "web")];
    objects.rotate_left(1);
    let (_, _, turned) = fresh(&["a", "b"], &mesh, &[harvest(cluster("a"), &objects), two]);
    assert_eq!(import.edits, turned.edits);
}

#[test]
fn what_is_new_comes_to_what_is_there() {
    let (mesh, [one, two]) = two_clusters();
    let (mut tree, _, _) = fresh(&["a"], &mesh, std::slice::from_ref(&one));
    // Somebody has put a comment there, and named a file in his own way.
    let text = String::from_utf8(tree.read("clusters/a/apps/shop/web.yaml").unwrap()).unwrap();
    tree.insert("clusters/a/apps/shop/web.yaml", format!("# ours\n{text}"));
    tree.insert("mesh/routes/shop/Basket.yaml", "# nothing yet\n");
    let mesh = harvest(Target::Mesh, &[rule("web"), rule("basket")]);
    let more = harvest(
        cluster("a"),
        &[
            workload("Deployment", "web-v1", "web"),
            workload("StatefulSet", "web-db", "web"),
            service("web", 80),
            service("door", 80),
        ],
    );
    let state = FleetState::read(&tree);
    assert_eq!(state.problems, []);
    let import = intent(&["a", "b"]).plan(&tree, &state, &mesh, &[more, two]).unwrap();
    apply(&mut tree, &import);
    let after = FleetState::read(&tree);
    assert_eq!(after.problems, []);
    let file = String::from_utf8(tree.read("clusters/a/apps/shop/web.yaml").unwrap()).unwrap();
    assert!(file.starts_with(&format!("# ours\n{text}---\n")) && file.contains("kind: StatefulSet"), "{file}");
    assert!(paths(&import).contains(&"mesh/routes/shop/Basket.yaml"), "{:?}", paths(&import));
    // What one cluster has in Git already is no business of a group.
    assert!(!paths(&import).iter().any(|path| path.starts_with("groups/")));
    assert!(after.fleet.unwrap().spec.groups.is_empty());
}

#[test]
fn a_group_of_all_members_is_used_and_another_of_that_name_is_not() {
    let (mesh, members) = two_clusters();
    for (group, expected) in [("fleet: [a, b]", "groups/fleet/"), ("all: [a]", "groups/all-2/")] {
        let (name, clusters) = group.split_once(": ").unwrap();
        let tree: MemoryTree = [(
            "fleet.yaml",
            format!(
                "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata:\n  name: shop\nspec:\n  mesh: {{}}\n  \
                 clusters:\n    - name: a\n    - name: b\n  groups:\n    - name: {name}\n      clusters: {clusters}\n"
            ),
        )]
        .into_iter()
        .collect();
        let state = FleetState::read(&tree);
        let import = intent(&["a", "b"]).plan(&tree, &state, &mesh, &members).unwrap();
        assert!(paths(&import).iter().any(|path| path.starts_with(expected)), "{:?}", paths(&import));
    }
}

#[test]
fn every_mesh_kind_comes_back_as_it_was_and_differs_in_nothing() {
    let mut objects = Vec::new();
    for row in crate::object::kinds::KINDS.iter().filter(|row| row.place == crate::object::kinds::Place::Mesh) {
        let text = "第一行\n  'x' \"y\": - #z\n\n\ttab\n";
        objects.push(json!({
            "apiVersion": format!("{}/v1beta1", row.group), "kind": row.kind,
            "metadata": {"name": "thing", "namespace": "shop", "uid": "u", "annotations": {"说明": "yes", "n": "0644"}},
            "spec": {"text": text, "number": 1.5, "empty": {}, "list": [], "nothing": "", "on": "off"},
            "status": {"x": 1}
        }));
    }
    let mesh = harvest(Target::Mesh, &objects);
    let (_, state, _) = fresh(&[], &mesh, &[]);
    assert_eq!(state.manifests.len(), objects.len());
    let live: BTreeMap<ObjectId, LiveObject> = objects
        .iter()
        .map(|object| (ObjectId::of(object).unwrap(), LiveObject { object: object.clone().into(), is_managed: false }))
        .collect();
    for manifest in &state.manifests {
        let original = &live[&manifest.id].object;
        assert_eq!(manifest.object["spec"], original["spec"], "{}", manifest.id);
        assert_eq!(manifest.object["metadata"]["annotations"], original["metadata"]["annotations"]);
    }
    let side = LiveTarget { target: Target::Mesh, objects: live, unknown: BTreeSet::new() };
    assert_eq!(diff_live(&[side], &state).changes, []);
}

#[test]
fn replicas_are_left_to_an_autoscaler_that_has_not_scaled_yet() {
    let mut web = workload("Deployment", "web", "web");
    web["spec"]["replicas"] = json!(2);
    let mut members = [harvest(cluster("a"), &[web])];
    members[0].autoscaler(&json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}
    }));
    let (_, state, import) = fresh(&["a"], &harvest(Target::Mesh, &[]), &members);
    let web = state.manifests.iter().find(|manifest| *manifest.id.group_kind.kind == *"Deployment").unwrap();
    assert_eq!(web.object.at("/spec/replicas"), None);
    let told = "Deployment shop/web in a: replicas are left out, an autoscaler sets them";
    assert!(import.report.warnings.iter().any(|warning| warning == told), "{:?}", import.report.warnings);
}

#[test]
fn an_owner_a_tool_and_a_fleet_are_respected() {
    let mut owned = rule("owned");
    owned["metadata"]["ownerReferences"] = json!([{"kind": "Rollout", "name": "web", "uid": "1"}]);
    let labelled = |name: &str, key: &str| {
        let mut object = rule(name);
        object["metadata"]["labels"] = json!({key: "x"});
        object
    };
    let mut going = rule("going");
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let mesh = harvest(
        Target::Mesh,
        &[
            owned,
            labelled("argo", "argocd.argoproj.io/instance"),
            labelled("flux", "kustomize.toolkit.fluxcd.io/name"),
            labelled("agent", crate::api::labels::PART_OF),
            going,
            rule("free"),
        ],
    );
    let (_, state, import) = fresh(&[], &mesh, &[]);
    assert_eq!(state.manifests.iter().map(|m| &*m.id.name).collect::<Vec<_>>(), ["free"]);
    let told: Vec<_> =
        import.report.left_out.iter().map(|left| format!("{}: {}", left.id.name, left.message)).collect();
    insta::assert_snapshot!(told.join("\n"), @"
    owned: the Rollout web owns it
    agent: an ApplySet has it already: an agent, or kubectl apply --prune (label applyset.kubernetes.io/part-of)
    argo: Argo CD keeps it (argocd.argoproj.io/instance): take it out there first
    flux: Flux keeps it (kustomize.toolkit.fluxcd.io/name): take it out there first
    going: it is being deleted
    ");
}

#[test]
fn an_address_tells_the_id_of_a_cluster_only_without_doubt() {
    let gateway = |addresses: &[(&str, &str)]| {
        let map: Vec<_> = addresses.iter().map(|(ip, id)| json!({"ipAddress": ip, "clusterId": id})).collect();
        json!({
            "apiVersion": "istio.alibabacloud.com/v1beta1", "kind": "IstioGateway",
            "metadata": {"name": "edge", "namespace": "istio-system"},
            "status": {"ClusterIdGatewayAddressMap": map}
        })
    };
    let generated = Generated::by(Some(vec!["edge".to_owned()]));
    let mut one = Harvest::new(cluster("a"));
    let mut service = service("istio-edge", 80);
    service["metadata"]["namespace"] = "istio-system".into();
    service["status"] = json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}});
    one.service(&service, &generated, &ChosenPods::default());
    for (addresses, id) in [
        (&[("198.51.100.1", "c1"), ("198.51.100.2", "c2")][..], Some("c1")),
        (&[("198.51.100.1", "c1"), ("198.51.100.1", "c2")], None),
        (&[("198.51.100.3", "c1")], None),
    ] {
        let mesh = harvest(Target::Mesh, &[gateway(addresses)]);
        assert_eq!(one.cluster_id(&mesh).as_deref(), id);
    }
    assert_eq!(one.left_out.values().next().map(|why| why.0), Some(Reason::Generated));
    assert!(one.kept.keys().all(|id| id.group_kind != GroupKind::new("", "Service")));
}

#[test]
fn what_the_agent_has_taken_over_is_in_git_and_not_left_out() {
    let (mesh, members) = two_clusters();
    let (tree, state, _) = fresh(&["a", "b"], &mesh, &members);
    let labelled = |mut object: Value| {
        object["metadata"]["labels"] = json!({crate::api::labels::PART_OF: "x"});
        object
    };
    // A new Deployment of an application that the agent has already still brings its Service along.
    let more = harvest(
        cluster("a"),
        &[
            labelled(workload("Deployment", "web-v1", "web")),
            labelled(service("web", 80)),
            labelled(workload("Deployment", "stranger", "cart")),
            service("cart", 80),
            service("door", 80),
        ],
    );
    let import = intent(&["a"]).plan(&tree, &state, &mesh, &[more]).unwrap();
    let new: Vec<_> = import.report.imported.iter().map(|object| object.id.to_string()).collect();
    assert_eq!(new, ["Service shop/cart"]);
    let left: Vec<_> = import.report.left_out.iter().map(|object| object.id.to_string()).collect();
    assert_eq!(left, ["Deployment shop/stranger"]);
    assert_eq!((import.report.targets[1].in_git, import.report.targets[1].left_out), (4, 1));
}
