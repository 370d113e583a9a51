//! Fields that are left alone: what is applied takes the live object's value of them, so that server-side apply neither
//! changes nor removes them, and a comparison finds no difference there.

use crate::diff::pairs;
use crate::object::{FieldPath, GroupKind, ObjectId, Segment, fold_string_data};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::sync::Arc;

/// Git's object with the live values of the fields at these paths. A field that is gone live is left out, also when Git
/// has it.
///
/// Places in lists without keys are Git's: the element that stands there is found again in the live list, wherever it is.
#[must_use]
pub fn frozen(wanted: &Value, live: &Value, paths: &[FieldPath]) -> Value {
    copied(wanted, live, paths, Into::Wanted)
}

/// The live object with Git's values of the fields at these paths: what remains different is no field that is left alone.
#[must_use]
pub fn thawed(live: &Value, wanted: &Value, paths: &[FieldPath]) -> Value {
    copied(&fold_string_data(wanted), live, paths, Into::Live)
}

/// Where an element stands in one list, and where in the other.
type Places = (Option<usize>, Option<usize>);

/// Which object gets the other's values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Into {
    Wanted,
    Live,
}

/// A step of a path in one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Field(Arc<str>),
    Item(usize),
    /// The list has no such element; it would stand here. The second number is its place in the other list: of several that
    /// would stand at one place, the last one is put there first.
    Missing(usize, usize),
}

/// A path followed through one object; `steps` is `None` where it cannot be followed, not even to make what is missing.
#[derive(Clone)]
struct Trail<'v> {
    steps: Option<Vec<Step>>,
    value: Option<&'v Value>,
}

impl<'v> Trail<'v> {
    fn root(value: &'v Value) -> Self {
        Self { steps: Some(Vec::new()), value: Some(value) }
    }

    fn follow(self, step: Step, value: Option<&'v Value>) -> Self {
        let steps = self.steps.and_then(|mut steps| {
            // Nothing can be put into an element that is not there.
            if matches!(steps.last(), Some(Step::Missing(..))) {
                return None;
            }
            steps.push(step);
            Some(steps)
        });
        Self { steps, value }
    }

    fn list(&self) -> &'v [Value] {
        self.value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }
}

fn copied(wanted: &Value, live: &Value, paths: &[FieldPath], into: Into) -> Value {
    let kind = ObjectId::of(wanted).or_else(|| ObjectId::of(live)).map(|id| id.group_kind);
    let kind = kind.unwrap_or_else(|| GroupKind::new("", ""));
    let mut object = if into == Into::Wanted { wanted } else { live }.clone();
    let mut edits: Vec<(Vec<Step>, Option<&Value>)> = Vec::new();
    // A field inside one that is left alone as a whole is left alone with it.
    let is_inner = |path: &FieldPath| paths.iter().any(|other| path != other && path.starts_with(other));
    let mut seen = HashSet::new();
    for path in paths.iter().filter(|path| !is_inner(path) && seen.insert(*path)) {
        let (to, from) = match (both(&kind, path, wanted, live), into) {
            ((wanted, live), Into::Wanted) => (wanted, live),
            ((wanted, live), Into::Live) => (live, wanted),
        };
        edits.extend(to.steps.map(|steps| (steps, from.value)));
    }
    // Changes first, while every place is what it was; then what comes and goes, inner lists before outer ones and each
    // from its end.
    let moves = |(steps, value): &(Vec<Step>, Option<&Value>)| match steps.last() {
        Some(Step::Item(_)) => value.is_none(),
        Some(Step::Missing(..)) => true,
        _ => false,
    };
    edits.sort_by(|a, b| moves(a).cmp(&moves(b)).then_with(|| (b.0.len(), &b.0).cmp(&(a.0.len(), &a.0))));
    for (steps, value) in edits {
        put(&mut object, &steps, value);
    }
    object
}

/// Follows a path through both objects at once.
fn both<'v>(kind: &GroupKind, path: &FieldPath, wanted: &'v Value, live: &'v Value) -> (Trail<'v>, Trail<'v>) {
    let (mut wanted, mut live) = (Trail::root(wanted), Trail::root(live));
    let mut at = FieldPath::root();
    for segment in path.segments() {
        let is_list = |trail: &Trail<'_>| trail.value.is_some_and(Value::is_array);
        (wanted, live) = match segment {
            // An element by its name, as differences are told.
            Segment::Field(name) if is_list(&wanted) || is_list(&live) => {
                element(kind, &at, &Segment::Key(vec![("name".into(), Value::from(&**name))]), wanted, live)
            }
            Segment::Field(name) => {
                let field = |trail: Trail<'v>| {
                    let value = trail.value.and_then(|map| map.get(&**name));
                    trail.follow(Step::Field(name.clone()), value)
                };
                (field(wanted), field(live))
            }
            _ => element(kind, &at, segment, wanted, live),
        };
        at.0.push(segment.clone());
    }
    (wanted, live)
}

fn element<'v>(
    kind: &GroupKind,
    list: &FieldPath,
    segment: &Segment,
    wanted: Trail<'v>,
    live: Trail<'v>,
) -> (Trail<'v>, Trail<'v>) {
    let (a, b) = (wanted.list(), live.list());
    let pairs = pairs(kind, list, a, b);
    let place = segment.find_in(a).map(|(place, _)| place);
    let partner = match place {
        Some(place) => pairs.iter().find(|pair| pair.0 == Some(place)).and_then(|pair| pair.1),
        None if matches!(segment, Segment::Key(_)) => segment.find_in(b).map(|(place, _)| place),
        None => None,
    };
    if place.is_none() && partner.is_none() {
        let nothing = Trail { steps: None, value: None };
        return (nothing.clone(), nothing);
    }
    // An element that one side lacks would stand behind the element that is before it on the other side.
    let behind = |place: usize, of: fn(&Places) -> Places| {
        let before = pairs.iter().map(of).filter(|(own, _)| own.is_some_and(|own| own < place));
        before.filter_map(|(_, other)| other).max().map_or(0, |other| other + 1)
    };
    let step = |found: Option<usize>, other: Option<usize>, of: fn(&Places) -> Places| match (found, other) {
        (Some(place), _) => Step::Item(place),
        (None, other) => {
            let other = other.unwrap_or_default();
            Step::Missing(behind(other, of), other)
        }
    };
    let wanted_step = step(place, partner, |(a, b)| (*b, *a));
    let live_step = step(partner, place, |(a, b)| (*a, *b));
    let wanted_value = place.and_then(|place| a.get(place));
    let live_value = partner.and_then(|place| b.get(place));
    (wanted.follow(wanted_step, wanted_value), live.follow(live_step, live_value))
}

/// Gives a place a value, or takes it away.
fn put(object: &mut Value, steps: &[Step], value: Option<&Value>) {
    let Some((step, rest)) = steps.split_first() else { return };
    match step {
        Step::Field(name) => {
            if object.is_null() && value.is_some() {
                *object = Value::Object(Map::new());
            }
            let Some(map) = object.as_object_mut() else { return };
            match (rest.is_empty(), value) {
                (true, None) => drop(map.remove(&**name)),
                (true, Some(value)) => drop(map.insert(name.to_string(), value.clone())),
                (false, None) => map.get_mut(&**name).into_iter().for_each(|inner| put(inner, rest, None)),
                (false, Some(_)) => put(map.entry(name.to_string()).or_insert(Value::Null), rest, value),
            }
        }
        Step::Item(place) => {
            let Some(list) = object.as_array_mut().filter(|list| *place < list.len()) else { return };
            match (rest.is_empty(), value) {
                (true, None) => drop(list.remove(*place)),
                (true, Some(value)) => list[*place].clone_from(value),
                (false, _) => put(&mut list[*place], rest, value),
            }
        }
        Step::Missing(place, _) => {
            let (true, Some(value)) = (rest.is_empty(), value) else { return };
            if object.is_null() {
                *object = Value::Array(Vec::new());
            }
            if let Some(list) = object.as_array_mut() {
                list.insert((*place).min(list.len()), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::tests::properties::two_objects;
    use crate::diff::{FieldChange, missing_from};
    use proptest::prelude::*;
    use serde_json::json;

    fn route(spec: Value) -> Value {
        json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "a"}, "spec": spec})
    }

    fn paths(paths: &[&str]) -> Vec<FieldPath> {
        paths.iter().map(|path| FieldPath::parse(path).unwrap()).collect()
    }

    fn to(host: &str, weight: u32) -> Value {
        json!({"destination": {"host": host}, "weight": weight})
    }

    #[test]
    fn a_frozen_field_has_the_live_value_whatever_else_git_changes() {
        let live = route(json!({"http": [{"name": "x", "timeout": "1s", "route": [to("a", 90), to("b", 10)]}]}));
        // Git has put a rule before it and changed the timeout meanwhile.
        let git = route(json!({"http": [
            {"name": "new", "route": [to("c", 100)]}, {"name": "x", "timeout": "2s", "route": [to("a", 50), to("b", 50)]}
        ]}));
        for place in ["spec.http[1]", "spec.http[\"x\"]", "spec.http[x]"] {
            let paths = paths(&[&format!("{place}.route[0].weight"), &format!("{place}.route[1].weight")]);
            let object = frozen(&git, &live, &paths);
            assert_eq!(object["spec"]["http"][1]["route"], json!([to("a", 90), to("b", 10)]), "{place}");
            assert_eq!(
                (&object["spec"]["http"][1]["timeout"], &object["spec"]["http"][0]),
                (&json!("2s"), &git["spec"]["http"][0])
            );
            let told: Vec<String> =
                missing_from(&git, &thawed(&live, &git, &paths)).iter().map(|change| change.path.to_string()).collect();
            assert_eq!(told, ["spec.http[0]", "spec.http[1].timeout"], "{place}");
        }
    }

    #[test]
    fn what_is_gone_live_is_left_out_and_what_git_dropped_stays() {
        let service = |metadata: Value, ports: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports}});
        let git = service(json!({"name": "a", "annotations": {"a/b": "git"}}), json!([{"port": 80}, {"port": 81}]));
        let live = service(
            json!({"name": "a", "labels": {"l": "live"}}),
            json!([{"port": 80, "protocol": "TCP", "nodePort": 30000}]),
        );
        let paths = paths(&[
            "metadata.annotations[\"a/b\"]",
            "metadata.labels.l",
            "spec.ports[port=81,protocol=TCP]",
            "spec.ports[port=80,protocol=TCP].nodePort",
        ]);
        assert_eq!(
            frozen(&git, &live, &paths),
            service(
                json!({"name": "a", "annotations": {}, "labels": {"l": "live"}}),
                json!([{"port": 80, "nodePort": 30000}])
            )
        );
        assert_eq!(missing_from(&git, &thawed(&live, &git, &paths)), []);
        assert_eq!(missing_from(&frozen(&git, &live, &paths), &live), []);
    }

    #[test]
    fn a_path_that_leads_nowhere_changes_nothing() {
        let (git, live) = (route(json!({"http": []})), route(json!({"http": [{"name": "x"}]})));
        for path in ["spec.http[3]", "spec.http[0].timeout", "spec.tcp[0].route", "spec.http[x].timeout"] {
            assert_eq!(frozen(&git, &live, &paths(&[path])), git, "{path}");
        }
        assert_eq!(frozen(&git, &live, &paths(&["spec.http[x]"])), live);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// Freezing every field that differs leaves no difference, seen from either side.
        #[test]
        fn what_is_frozen_differs_no_more((git, live) in two_objects()) {
            // An element that came has no place in Git's list, and an order no value: their lists are frozen.
            let is_order = |change: &FieldChange| change.before.as_ref().is_some_and(Value::is_array) && change.after.as_ref().is_some_and(Value::is_array);
            let whole = |change: FieldChange| match change.path.0.last() {
                Some(Segment::Index(_) | Segment::Key(_)) if change.before.is_none() => change.path.parent().unwrap_or_default(),
                _ => change.path,
            };
            let changes = missing_from(&git, &live);
            prop_assume!(!changes.iter().any(is_order));
            // No API server takes a Service with the same port twice.
            let by_place = |change: &FieldChange| change.path.0.iter().any(|segment| matches!(segment, Segment::Index(_)));
            prop_assume!(git["kind"] != "Service" || !changes.iter().any(by_place));
            let paths: Vec<FieldPath> = changes.into_iter().map(whole).collect();
            let left = missing_from(&frozen(&git, &live, &paths), &live);
            prop_assert!(left.iter().all(is_order), "{paths:?}: {left:?}");
            let left = missing_from(&git, &thawed(&live, &git, &paths));
            prop_assert!(left.iter().all(is_order), "{paths:?}: {left:?}");
        }
    }

    #[test]
    fn secrets_written_as_text_are_compared_as_data() {
        let git = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"k": "git"}});
        let live = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"k": "bGl2ZQ=="}});
        assert_eq!(missing_from(&git, &thawed(&live, &git, &paths(&["data.k"]))), []);
    }
}
