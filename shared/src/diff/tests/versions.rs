//! Whole objects before and after: they differ in what is announced, and show no secret.

use super::properties::two_objects;
use crate::diff::{FieldChange, LiveObject, LiveTarget, apply};
use crate::diff::{Op, between, diff, diff_literally, diff_live, diff_live_literally};
use crate::fleet::{FleetState, MemoryTree, Target};
use crate::object::{FieldPath, ObjectId, kinds};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1
kind: Fleet
metadata: {name: shop}
spec: {mesh: {}, clusters: [{name: m1c1}, {name: m1c2}]}
";

fn state(objects: &[&Value]) -> FleetState {
    let mut tree: MemoryTree = [("fleet.yaml", FLEET)].into_iter().collect();
    for (number, object) in objects.iter().enumerate() {
        let id = ObjectId::of(object).unwrap();
        let folders: &[&str] = match kinds::place(&id.group_kind) {
            Some(kinds::Place::Mesh) => &["mesh"],
            _ => &["clusters/m1c1", "clusters/m1c2"],
        };
        for folder in folders {
            tree.insert(&format!("{folder}/{number}.yaml"), object.to_string());
        }
    }
    FleetState::read(&tree)
}

fn live(object: &Value) -> LiveTarget {
    let id = ObjectId::of(object).unwrap();
    let live = LiveObject { object: object.clone().into(), is_managed: true };
    LiveTarget {
        target: Target::Cluster("m1c1".into()),
        objects: [(id, live)].into_iter().collect(),
        unknown: BTreeSet::new(),
    }
}

/// One field of the JSON document.
fn field(change: &Value) -> FieldChange {
    FieldChange {
        path: FieldPath::parse(change["path"].as_str().unwrap()).unwrap(),
        before: change.get("before").cloned(),
        after: change.get("after").cloned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Who applies what the JSON document says to the left side gets the right side.
    #[test]
    fn the_json_document_announces_the_right_side((before, after) in two_objects()) {
        let sides = [state(&[&before]), state(&[&after])];
        prop_assume!(sides.iter().all(|side| side.problems.is_empty()));
        let document = serde_json::to_value(diff(&sides[0], &sides[1])).unwrap();
        let changes = document["changes"].as_array().unwrap();
        let kind = ObjectId::of(&before).unwrap().group_kind;
        let (before, after) = (&sides[0].manifests[0].object, &sides[1].manifests[0].object);
        match &changes[..] {
            [] => prop_assert_eq!(between(before, after), vec![]),
            [change] => {
                let fields: Vec<_> = change["fields"].as_array().unwrap().iter().map(field).collect();
                let applied = apply(&kind, before, &fields);
                let applied = apply(&kind, &applied, &between(&applied, after).into_iter().filter(is_order).collect::<Vec<_>>());
                prop_assert_eq!(between(&applied, after), vec![], "{}", document);
            }
            _ => prop_assert!(false, "{}", document),
        }
    }

    /// The sides of a patch are the left side and what the diff announces.
    #[test]
    fn versions_are_the_two_sides((before, after) in two_objects()) {
        let (old, new) = (state(&[&before]), state(&[&after]));
        prop_assume!(old.problems.is_empty() && new.problems.is_empty());
        for change in diff(&old, &new).changes {
            let versions = change.versions(false);
            prop_assert_eq!(versions.len(), 1);
            let (left, right) = (versions[0].before.as_ref().unwrap(), versions[0].after.as_ref().unwrap());
            prop_assert_eq!(&versions[0].targets, &change.targets);
            prop_assert_eq!(between(left, &old.manifests[0].object), vec![]);
            prop_assert!(between(right, &new.manifests[0].object).iter().all(is_order));
            prop_assert_ne!(left, right);
        }
    }
}

/// Another order of keyed elements is told when nothing else differs.
fn is_order(change: &FieldChange) -> bool {
    let names = |value: &Option<Value>| {
        value.as_ref().and_then(Value::as_array).is_some_and(|list| list.iter().all(Value::is_string))
    };
    names(&change.before) && names(&change.after)
}

fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "b"},
        "spec": {"selector": {"app": "x"}, "ports": [{"name": "http", "port": 80}]}
    })
}

fn running() -> Value {
    let mut live = service();
    live["metadata"]["uid"] = json!("u");
    live["spec"]["clusterIP"] = json!("10.0.0.1");
    live["spec"]["ports"] = json!([{"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP"}]);
    live["status"] = json!({"loadBalancer": {}});
    live
}

#[test]
fn a_literal_comparison_tells_what_means_nothing() {
    let wanted = state(&[&service()]);
    assert!(diff_live(&[live(&running())], &wanted).changes.is_empty());
    let told = diff_live_literally(&[live(&running())], &wanted);
    let [change] = &told.changes[..] else { panic!("{told:?}") };
    assert_eq!((change.op, change.fields.len(), change.consequences.len()), (Op::Same, 0, 0));
    let kept: Vec<String> = change.kept.iter().map(|field| field.path.to_string()).collect();
    assert_eq!(
        kept,
        [
            "metadata.uid",
            "spec.clusterIP",
            "spec.ports[port=80,protocol=TCP].protocol",
            "spec.ports[port=80,protocol=TCP].targetPort",
            "status"
        ]
    );
    assert!(told.is_empty() && told.targets.iter().all(|counts| counts.total() == 0));
    // Beside a change, too; and the change itself is told once.
    let mut moved = running();
    moved["spec"]["selector"]["app"] = json!("y");
    let told = diff_live_literally(&[live(&moved)], &wanted);
    assert_eq!((told.changes[0].op, told.changes[0].fields.len(), told.changes[0].kept.len()), (Op::Change, 1, 5));
    // In Git, texts that mean the same.
    let mut written = service();
    written["spec"]["ports"][0]["protocol"] = json!("TCP");
    let told = diff_literally(&wanted, &state(&[&written]));
    assert_eq!(told.changes[0].kept[0].path.to_string(), "spec.ports[port=80,protocol=TCP].protocol");
    assert_eq!(told.changes[0].targets.len(), 2, "the same text on both clusters is told once");
}

#[test]
fn no_version_shows_a_secret() {
    const CANARY: &str = "canary-4711";
    let secret = |value: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {
                "name": "a", "namespace": "b", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": value}
            },
            "stringData": {"password": value}
        })
    };
    let mut deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "b"},
        "spec": {"template": {"spec": {"containers": [{"name": "a", "token": CANARY, "args": [format!("https://me:{CANARY}@host")]}]}}}
    });
    let (old, new) = (secret(CANARY), secret("canary-4711-2"));
    let before = state(&[&old, &deployment]);
    deployment["spec"]["replicas"] = json!(2);
    let after = state(&[&new, &deployment]);
    let nothing = state(&[]);
    for (left, right) in [(&before, &after), (&nothing, &after), (&before, &nothing)] {
        for (diff, literally) in [(diff(left, right), false), (diff_literally(left, right), true)] {
            assert!(!diff.changes.is_empty());
            let told = format!("{:?} {}", diff, serde_json::to_string(&diff).unwrap());
            assert!(!told.contains("canary") && !told.contains("Y2FuYXJ5"), "{told}");
            for change in &diff.changes {
                let text = format!("{:?}", change.versions(literally));
                assert!(!text.contains("canary") && !text.contains("Y2FuYXJ5"), "{text}");
            }
        }
    }
    // The base64 of a live Secret neither.
    let mut live_secret = old.clone();
    live_secret["data"] = json!({"password": "Y2FuYXJ5LTQ3MTE="});
    live_secret.as_object_mut().unwrap().remove("stringData");
    for literally in [false, true] {
        let told = diff_live_literally(&[live(&live_secret)], &after);
        let text = format!("{:?}{:?}", told, told.changes.iter().map(|c| c.versions(literally)).collect::<Vec<_>>());
        assert!(!text.contains("canary") && !text.contains("Y2FuYXJ5"), "{text}");
    }
}
