//! What a removal has to wait for, when not everything of a commit could be applied: for what may still need the object, or
//! was to take its place. What is unrelated goes.

use super::depends::leads_to;
use super::needs;
use crate::object::{GroupKind, ObjectId, kinds};
use serde_json::Value;

/// An object that is not as the commit wants it.
#[derive(Clone, Debug)]
pub struct Stuck<'a> {
    /// Which.
    pub id: &'a ObjectId,
    /// As the commit wants it.
    pub wanted: &'a Value,
    /// As it runs; nothing when it is not there.
    pub live: Option<&'a Value>,
}

/// The first of the stuck objects that the removal of an object has to wait for. `object`: what runs of it.
pub fn waits_for<'a>(leaving: &ObjectId, object: &Value, stuck: &'a [Stuck<'a>]) -> Option<&'a ObjectId> {
    let needed = |one: &Stuck<'_>| {
        let forms = one.live.into_iter().chain([one.wanted]);
        forms
            .into_iter()
            .any(|form| needs((one.id, form), (leaving, object)) || goes_by((one.id, form), (leaving, object)))
    };
    stuck.iter().find(|one| needed(one) || may_replace(one, leaving) || may_call(one.id, leaving)).map(|one| one.id)
}

/// A rule says how a host is reached (TLS, limits), also to routes that name no subset of it.
fn goes_by(one: (&ObjectId, &Value), leaving: (&ObjectId, &Value)) -> bool {
    let is = |id: &ObjectId, kind: &str| id.group_kind.is(kinds::ISTIO_NETWORKING, kind);
    is(one.0, "VirtualService") && is(leaving.0, "DestinationRule") && leads_to(one, leaving)
}

/// Under another name, or in another namespace: as long as the new one is not there, the old one does its work.
fn may_replace(one: &Stuck<'_>, leaving: &ObjectId) -> bool {
    one.live.is_none() && role(&one.id.group_kind) == role(&leaving.group_kind)
}

/// Pods that run as before may call everything in their namespace by its name, which nothing tells.
fn may_call(one: &ObjectId, leaving: &ObjectId) -> bool {
    let is_called = matches!(role(&leaving.group_kind), Role::Workload | Role::Service);
    role(&one.group_kind) == Role::Workload && is_called && one.namespace == leaving.namespace
}

/// Kinds that can take each other's place.
#[derive(PartialEq, Eq)]
enum Role<'a> {
    Workload,
    Service,
    Route,
    Other(&'a GroupKind),
}

fn role(kind: &GroupKind) -> Role<'_> {
    match (&*kind.group, &*kind.kind) {
        ("apps" | "batch", _) | ("", "Pod" | "ReplicationController") => Role::Workload,
        ("", "Service") | (kinds::ISTIO_NETWORKING, "ServiceEntry") => Role::Service,
        (kinds::ISTIO_NETWORKING, "VirtualService") | ("networking.k8s.io", "Ingress") => Role::Route,
        ("gateway.networking.k8s.io", name) if name.ends_with("Route") => Role::Route,
        _ => Role::Other(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id(group: &str, kind: &str, namespace: &str, name: &str) -> ObjectId {
        let namespaced = !matches!(kind, "Namespace" | "CustomResourceDefinition");
        ObjectId::new(group, kind, namespaced.then_some(namespace), name)
    }

    #[test]
    fn a_removal_waits_for_what_may_need_the_object_and_for_nothing_else() {
        let istio = |kind: &str, name: &str| id(kinds::ISTIO_NETWORKING, kind, "shop", name);
        let subset = json!({"spec": {"host": "reviews", "subsets": [{"name": "v1"}]}});
        let other = json!({"spec": {"host": "ratings", "subsets": [{"name": "v1"}]}});
        let to = |subset: &str| json!({"spec": {"http": [{"route": [{"destination": {"host": "reviews", "subset": subset}}]}]}});
        let (old, new) = (to("v1"), to("v2"));
        let route = istio("VirtualService", "reviews");
        let map = |name: &str| id("", "ConfigMap", "shop", name);
        let pod = |map: &str| json!({"spec": {"template": {"spec": {"volumes": [{"configMap": {"name": map}}]}}}});
        let web = id("apps", "Deployment", "shop", "web");
        let none = json!({});
        for (what, leaving, object, stuck, live, wanted, waits) in [
            (
                "the route that runs needs the subset",
                istio("DestinationRule", "r"),
                &subset,
                &route,
                Some(&old),
                &new,
                true,
            ),
            ("the host goes by the rule", istio("DestinationRule", "r"), &subset, &route, Some(&new), &new, true),
            ("no route leads there", istio("DestinationRule", "r"), &other, &route, Some(&old), &new, false),
            ("pods mount it", map("conf"), &none, &web, Some(&pod("conf")), &pod("other"), true),
            ("pods mount another one", map("old"), &none, &web, Some(&pod("conf")), &pod("conf"), false),
            ("another map cannot be changed", map("old"), &none, &map("conf"), Some(&none), &none, false),
            ("another map cannot be made: perhaps its new name", map("old"), &none, &map("conf"), None, &none, true),
            (
                "a Service in another namespace instead",
                id("", "Service", "a", "x"),
                &none,
                &id("", "Service", "b", "x"),
                None,
                &none,
                true,
            ),
            (
                "a StatefulSet instead of a Deployment",
                web.clone(),
                &none,
                &id("apps", "StatefulSet", "shop", "web"),
                None,
                &none,
                true,
            ),
            (
                "an HTTPRoute instead of a VirtualService",
                route.clone(),
                &none,
                &id("gateway.networking.k8s.io", "HTTPRoute", "shop", "r"),
                None,
                &none,
                true,
            ),
            ("pods may call it", id("", "Service", "shop", "api"), &none, &web, Some(&pod("conf")), &none, true),
            ("pods elsewhere do not", id("", "Service", "other", "api"), &none, &web, Some(&pod("conf")), &none, false),
            ("the namespace of it", id("", "Namespace", "", "shop"), &none, &web, Some(&none), &none, true),
            ("another namespace", id("", "Namespace", "", "other"), &none, &web, Some(&none), &none, false),
        ] {
            let stuck = [Stuck { id: stuck, wanted, live }];
            assert_eq!(waits_for(&leaving, object, &stuck).is_some(), waits, "{what}");
        }
    }
}
