use crate::diff::{apply, between, missing_from};
use crate::object::{GroupKind, ObjectId};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Objects of the kinds that have tables of their own, with few names, so that two of them often meet.
fn object() -> impl Strategy<Value = Value> {
    prop_oneof![
        spec(virtual_service()).prop_map(|spec| wrap("networking.istio.io/v1", "VirtualService", spec)),
        spec(service()).prop_map(|spec| wrap("v1", "Service", spec)),
        spec(gateway()).prop_map(|spec| wrap("istio.alibabacloud.com/v1beta1", "IstioGateway", spec)),
        spec(pods()).prop_map(|spec| wrap("apps/v1", "Deployment", spec)),
        spec(anything().boxed()).prop_map(|spec| wrap("example.com/v1", "Thing", spec)),
    ]
}

/// How many keyed lists stand in each other in the objects below: containers and their environment.
const DEPTH_OF_KEYED_LISTS: usize = 2;

/// Two objects of one kind.
pub(crate) fn two_objects() -> impl Strategy<Value = (Value, Value)> {
    (object(), object(), any::<bool>()).prop_map(|(a, b, _)| {
        let mut b = b;
        b["apiVersion"] = a["apiVersion"].clone();
        b["kind"] = a["kind"].clone();
        (a, b)
    })
}

fn spec(inner: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    inner
}

fn wrap(api_version: &str, kind: &str, spec: Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", "labels": {"l": "x"}}, "spec": spec})
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "d"])
}

fn names() -> BoxedStrategy<Value> {
    prop::collection::vec(name(), 0..4).prop_map(|names| json!(names)).boxed()
}

fn virtual_service() -> BoxedStrategy<Value> {
    let destination = (name(), prop::option::of(0..3_u32)).prop_map(|(host, weight)| {
        weight.map_or_else(
            || json!({"destination": {"host": host}}),
            |w| json!({"destination": {"host": host}, "weight": w * 50}),
        )
    });
    let http = (
        prop::collection::vec(destination, 0..3),
        prop::option::of(prop::sample::select(vec!["1s", "1000ms", "2s"])),
        names(),
    )
        .prop_map(|(route, timeout, uris)| {
            let matches: Vec<Value> =
                uris.as_array().unwrap().iter().map(|uri| json!({"uri": {"prefix": uri}})).collect();
            json!({"route": route, "timeout": timeout, "match": matches})
        });
    (names(), prop::collection::vec(http, 0..4)).prop_map(|(hosts, http)| json!({"hosts": hosts, "http": http})).boxed()
}

fn port() -> impl Strategy<Value = Value> {
    (
        name(),
        prop::sample::select(vec![80, 443, 8080]),
        prop::option::of(prop::sample::select(vec![json!(80), json!("http")])),
        any::<bool>(),
    )
        .prop_map(|(name, port, target, tcp)| {
            let mut value = json!({"name": name, "port": port});
            if let Some(target) = target {
                value["targetPort"] = target;
            }
            if tcp {
                value["protocol"] = json!("TCP");
            }
            value
        })
}

fn service() -> BoxedStrategy<Value> {
    (
        prop::collection::vec(port(), 0..3),
        prop::option::of(prop::sample::select(vec!["ClusterIP", "LoadBalancer"])),
        anything(),
    )
        .prop_map(|(ports, kind, selector)| json!({"ports": ports, "type": kind, "selector": selector}))
        .boxed()
}

fn gateway() -> BoxedStrategy<Value> {
    (names(), prop::collection::vec(port(), 0..3), 0..3_u32, prop::sample::select(vec![json!({}), json!({"parameters": {}}), json!({"enabled": false})]))
        .prop_map(|(ids, ports, replicas, kernel)| json!({"clusterIds": ids, "ports": ports, "replicaCount": replicas, "kernel": kernel}))
        .boxed()
}

fn pods() -> BoxedStrategy<Value> {
    let env = prop::collection::vec((name(), name()), 0..4).prop_map(|pairs| {
        pairs.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Value>()
    });
    let container =
        (name(), env, prop::option::of(prop::sample::select(vec![json!(1), json!("1"), json!("1000m"), json!("2Gi")])))
            .prop_map(|(name, env, cpu)| json!({"name": name, "env": env, "resources": {"limits": {"cpu": cpu}}}));
    prop::collection::vec(container, 0..3)
        .prop_map(|containers| json!({"template": {"spec": {"containers": containers}}}))
        .boxed()
}

fn anything() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..3).prop_map(Value::from),
        prop::sample::select(vec!["", "x", "1", "a/b"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c/]{1,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
    .boxed()
}

fn kind(object: &Value) -> GroupKind {
    ObjectId::of(object).unwrap().group_kind
}

/// The object with fields added wherever adding is not a change of ours: in maps outside atomic lists.
fn with_extras(object: &Value) -> Value {
    let mut extended = object.clone();
    if let Some(map) = extended.as_object_mut() {
        for value in map.values_mut() {
            if value.is_object() {
                *value = with_extras(value);
            }
        }
        map.insert("somebodyElses".to_owned(), json!({"field": 1}));
    }
    extended
}

/// Reverses a list whose order says nothing.
fn reversed(object: &Value, pointer: &str) -> Value {
    let mut other = object.clone();
    if let Some(list) = other.pointer_mut(pointer).and_then(Value::as_array_mut) {
        list.reverse();
    }
    other
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn an_object_differs_in_nothing_from_itself(object in object()) {
        prop_assert_eq!(between(&object, &object), vec![]);
        prop_assert_eq!(missing_from(&object, &object), vec![]);
    }

    #[test]
    fn additions_of_others_are_not_missing(object in object()) {
        // A selector has one owner as a whole.
        let mut object = object;
        if let Some(spec) = object["spec"].as_object_mut() {
            spec.remove("selector");
        }
        prop_assert_eq!(missing_from(&object, &with_extras(&object)), vec![]);
    }

    #[test]
    fn applying_the_changes_gives_the_other_side((before, after) in two_objects()) {
        let changes = between(&before, &after);
        let mut applied = apply(&kind(&before), &before, &changes);
        // That keyed elements only stand in another order is told when nothing else in their list differs: the order of
        // inner lists first, then that of the lists around them.
        for _ in 0..DEPTH_OF_KEYED_LISTS {
            let order = between(&applied, &after);
            prop_assert!(order.iter().all(|change| change.after.as_ref().is_some_and(Value::is_array)), "{:?}", order);
            applied = apply(&kind(&before), &applied, &order);
        }
        prop_assert_eq!(between(&applied, &after), vec![], "changes {:?}\napplied {}", changes, applied);
    }

    #[test]
    fn what_is_missing_is_among_all_differences((before, after) in two_objects()) {
        let missing = missing_from(&before, &after).len();
        prop_assert!(missing <= between(&before, &after).len());
    }

    #[test]
    fn no_difference_in_one_direction_means_none_in_the_other((before, after) in two_objects()) {
        prop_assert_eq!(between(&before, &after).is_empty(), between(&after, &before).is_empty());
    }

    #[test]
    fn the_order_of_sets_says_nothing(object in object()) {
        for pointer in ["/spec/hosts", "/spec/clusterIds", "/spec/http/0/match"] {
            let is_set = match object["kind"].as_str() {
                Some("VirtualService") => pointer != "/spec/clusterIds",
                Some("IstioGateway") => pointer == "/spec/clusterIds",
                _ => false,
            };
            if is_set {
                prop_assert_eq!(between(&object, &reversed(&object, pointer)), vec![]);
            }
        }
    }

    #[test]
    fn quantities_are_compared_by_value(millis in 0_u64..1_000_000) {
        let with = |cpu: Value| json!({"apiVersion": "istio.alibabacloud.com/v1beta1", "kind": "IstioGateway", "metadata": {"name": "a"},
            "spec": {"resources": {"limits": {"cpu": cpu}}}});
        let (text, micro) = (with(json!(format!("{millis}m"))), with(json!(format!("{}u", millis * 1000))));
        prop_assert_eq!(between(&text, &micro), vec![]);
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let number = with(json!(millis as f64 / 1000.0));
        prop_assert_eq!(between(&text, &number), vec![]);
    }
}
