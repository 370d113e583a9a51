//! The plan, driven with plain values.

use super::*;
use serde_json::json;

const LIMITS: PruneLimits =
    PruneLimits { enabled: true, max_count: 20, max_percent: 50, allow_empty: false, grace: Duration::ZERO };

fn id(name: &str) -> ObjectId {
    ObjectId::new("", "ConfigMap", Some("default"), name)
}

fn desired(names: &[&str]) -> Desired {
    let objects = names
        .iter()
        .map(|name| {
            let position = Position { file: "mesh/a.yaml".into(), line: 1, column: 1 };
            (
                id(name),
                DesiredObject {
                    hash: 7,
                    ..DesiredObject::new("v1".into(), &json!({"metadata": {"name": name}}), position)
                },
            )
        })
        .collect();
    Desired {
        target: Target::Mesh,
        set: "set".into(),
        revision: "r".into(),
        objects,
        complete: true,
        held: BTreeMap::new(),
        leaning: BTreeMap::new(),
        approvals: Arc::new([]),
        cloud_controller: None,
        generated: BTreeSet::new(),
        arrival: Arrival::default(),
    }
}

fn applied(uid: &str) -> Applied {
    Applied { api_version: "v1".into(), uid: uid.into(), hash: 7, fingerprint: Fingerprint { entry: 1, generation: 0 } }
}

fn observed(uid: &str) -> Observed {
    Observed { uid: uid.into(), fingerprint: Fingerprint { entry: 1, generation: 0 }, deleting: false }
}

fn all<T>(names: &[&str], make: impl Fn(&str) -> T) -> BTreeMap<ObjectId, T> {
    names.iter().map(|name| (id(name), make(&format!("uid-{name}")))).collect()
}

fn make(
    desired: &Desired,
    inventory: &Inventory,
    observed: &BTreeMap<ObjectId, Observed>,
    limits: PruneLimits,
) -> TargetPlan {
    TargetPlan::make(desired, inventory, observed, &BTreeSet::new(), limits)
}

#[test]
fn of_a_kind_that_could_not_be_listed_nothing_is_planned_and_nothing_is_forgotten() {
    let unlisted = [id("a").group_kind].into();
    let nothing = BTreeMap::new();
    let plan = TargetPlan::make(&desired(&["new", "b"]), &all(&["a", "b"], applied), &nothing, &unlisted, LIMITS);
    assert!(plan.is_empty() && plan.suspects.is_empty() && plan.strangers.is_empty(), "{plan:?}");
}

#[test]
fn what_was_applied_and_not_touched_costs_nothing() {
    let plan = make(&desired(&["a", "b"]), &all(&["a", "b"], applied), &all(&["a", "b"], observed), LIMITS);
    assert!(plan.is_empty() && plan.suspects.is_empty());
}

#[test]
fn touched_objects_are_suspects_and_not_applied() {
    let mut live = all(&["a", "b", "c", "d"], observed);
    live.insert(id("a"), Observed { fingerprint: Fingerprint { entry: 2, generation: 0 }, ..observed("uid-a") });
    live.insert(id("b"), observed("another"));
    live.remove(&id("c"));
    let plan = make(&desired(&["a", "b", "c", "d"]), &all(&["a", "b", "c", "d"], applied), &live, LIMITS);
    assert_eq!(plan.suspects, [id("a"), id("b"), id("c")]);
    assert!(plan.is_empty());
}

#[test]
fn removal_needs_the_uid_that_was_applied() {
    let mut live = all(&["a", "b", "c"], observed);
    live.insert(id("b"), observed("another"));
    let plan = make(&desired(&["c"]), &all(&["a", "b", "c", "gone"], applied), &live, LIMITS);
    assert_eq!(plan.prune.iter().map(|prune| &prune.id).collect::<Vec<_>>(), [&id("a")]);
    assert_eq!((plan.strangers, plan.forget, plan.hold), (vec![id("b")], vec![id("gone")], None));
}

#[test]
fn an_object_whose_creation_was_not_answered_is_removed_only_when_we_own_fields_of_it() {
    let mut inventory = all(&["a", "b", "c", "d", "e"], applied);
    inventory.insert(id("a"), Applied { uid: "".into(), ..applied("") });
    inventory.insert(id("b"), Applied { uid: "".into(), ..applied("") });
    let mut live = all(&["a", "b", "c", "d", "e"], observed);
    live.insert(id("b"), Observed { fingerprint: Fingerprint { entry: 0, generation: 0 }, ..observed("theirs") });
    let plan = make(&desired(&["c", "d", "e"]), &inventory, &live, LIMITS);
    assert_eq!(plan.prune.iter().map(|prune| &prune.id).collect::<Vec<_>>(), [&id("a")]);
    assert_eq!(plan.strangers, [id("b")]);
}

#[test]
fn removals_wait_when_files_are_broken_or_the_target_would_be_emptied_or_the_budget_is_spent() {
    let (inventory, live) = (all(&["a", "b", "c", "d"], applied), all(&["a", "b", "c", "d"], observed));
    let hold = |desired: &Desired, limits| make(desired, &inventory, &live, limits).hold;
    assert_eq!(hold(&Desired { complete: false, ..desired(&["a", "b", "c"]) }, LIMITS), Some(Hold::Incomplete));
    assert_eq!(hold(&desired(&[]), LIMITS), Some(Hold::Empty));
    assert_eq!(hold(&desired(&[]), PruneLimits { allow_empty: true, ..LIMITS }), None);
    assert_eq!(hold(&desired(&["a"]), LIMITS), Some(Hold::Budget { count: 3, allowed: 2 }));
    assert_eq!(hold(&desired(&["a", "b"]), LIMITS), None);
    let tight = PruneLimits { max_count: 1, ..LIMITS };
    assert_eq!(hold(&desired(&["a", "b"]), tight), Some(Hold::Budget { count: 2, allowed: 1 }));
    let off = PruneLimits { enabled: false, ..LIMITS };
    assert!(make(&desired(&["a"]), &inventory, &live, off).prune.is_empty());
}

#[test]
fn what_is_held_back_is_neither_applied_nor_removed_nor_forgotten_and_nothing_else_is_removed() {
    let mut desired = desired(&["a", "held", "gone", "new", "same"]);
    for name in ["held", "gone", "new", "same"] {
        desired.held.insert(id(name), Vec::new());
    }
    for name in ["held", "gone"] {
        desired.objects.get_mut(&id(name)).unwrap().hash = 8;
    }
    let inventory = all(&["a", "held", "gone", "same", "left"], applied);
    let plan = make(&desired, &inventory, &all(&["a", "held", "same", "left"], observed), LIMITS);
    assert!(plan.apply.is_empty() && plan.forget.is_empty(), "{plan:?}");
    assert_eq!(plan.withheld, [id("gone"), id("held"), id("new")].into());
    assert_eq!(plan.prune.iter().map(|prune| &prune.id).collect::<Vec<_>>(), [&id("left")]);
    assert_eq!(plan.hold, Some(Hold::Lint));
    // Somebody deleted it: to be told.
    assert_eq!(plan.suspects, [id("gone")]);
}

#[test]
fn istio_kinds_are_the_meshs_whatever_a_member_shows() {
    let route = ObjectId::new("networking.istio.io", "VirtualService", Some("default"), "a");
    let mut desired = desired(&["a"]);
    let inventory: Inventory = [(route.clone(), applied("u"))].into();
    let live = [(route.clone(), observed("u"))].into();
    let allow_all = PruneLimits { max_percent: 100, ..LIMITS };
    assert_eq!(make(&desired, &inventory, &live, allow_all).prune.len(), 1, "the mesh's own");
    desired.target = Target::Cluster("m1c1".into());
    let plan = make(&desired, &inventory, &live, allow_all);
    assert!(plan.prune.is_empty() && plan.forget.is_empty() && plan.strangers.is_empty(), "{plan:?}");
    // Nor is it applied there, should it ever get into a member's folder.
    let object = desired.objects.remove(&id("a")).unwrap();
    desired.objects.insert(route, object);
    assert!(make(&desired, &Inventory::new(), &BTreeMap::new(), LIMITS).apply.is_empty());
}
