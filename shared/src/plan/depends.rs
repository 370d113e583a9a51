//! Which objects of one target need which others: what cannot be applied holds back what needs it, and nothing else.

use super::DestinationRefs;
use crate::asm::gateway;
use crate::istio::full_host;
use crate::object::At as _;
use crate::object::{ObjectId, kinds};
use serde_json::Value;

/// An object with its identity.
type Named<'a> = (&'a ObjectId, &'a Value);

/// Does the first object need the second one, so that it must not come without it?
pub fn needs(one: Named<'_>, other: Named<'_>) -> bool {
    let (id, object) = one;
    let (needed, value) = other;
    let kind = |group: &str, kind: &str| needed.group_kind.is(group, kind);
    let same_namespace = id.namespace == needed.namespace;
    if kind("", "Namespace") {
        return id.namespace.as_deref() == Some(&*needed.name);
    }
    if kind("apiextensions.k8s.io", "CustomResourceDefinition") {
        let text = |pointer| value.at(pointer).and_then(Value::as_str).unwrap_or_default();
        return id.group_kind.is(text("/spec/group"), text("/spec/names/kind"));
    }
    match (&*id.group_kind.group, &*id.group_kind.kind) {
        (kinds::ISTIO_NETWORKING, "VirtualService") => route_needs(one, other),
        (kinds::ISTIO_NETWORKING, "Gateway") => {
            needed.group_kind.is(kinds::ASM, "IstioGateway") && selects(object, &needed.name, value)
        }
        (kinds::ISTIO_NETWORKING, "DestinationRule") => {
            kind(kinds::ISTIO_NETWORKING, "ServiceEntry") && is_host_of(object.at("/spec/host"), id, other)
        }
        ("networking.k8s.io", "Ingress") => kind("", "Service") && same_namespace && names(object, &needed.name),
        ("autoscaling", _) => {
            let target = |field: &str| object.at("/spec/scaleTargetRef").and_then(|to| to.get(field)?.as_str());
            same_namespace && target("kind") == Some(&needed.group_kind.kind) && target("name") == Some(&needed.name)
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => binding_needs(object, needed),
        ("apps" | "batch" | "", _) => {
            let is_used =
                ["ServiceAccount", "ConfigMap", "Secret", "PersistentVolumeClaim"].iter().any(|k| kind("", k));
            is_used && same_namespace && pod_template(object).is_some_and(|template| uses(template, needed))
        }
        _ => false,
    }
}

fn route_needs((id, object): Named<'_>, (needed, value): Named<'_>) -> bool {
    if !needed.group_kind.is(kinds::ISTIO_NETWORKING, &needed.group_kind.kind) {
        return false;
    }
    let namespace = id.namespace.as_deref().unwrap_or("default");
    match &*needed.group_kind.kind {
        "DestinationRule" => DestinationRefs::of(object).needs(value),
        "Gateway" => gateways(object).any(|name| {
            let (home, name) = name.split_once('/').unwrap_or((namespace, name));
            needed.namespace.as_deref() == Some(home) && *needed.name == *name
        }),
        "VirtualService" => rules(object).filter_map(|rule| rule.get("delegate")).any(|delegate| {
            let home = delegate.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
            needed.namespace.as_deref() == Some(home)
                && delegate.get("name").and_then(Value::as_str) == Some(&needed.name)
        }),
        "ServiceEntry" => destinations(object).any(|host| is_host_of(Some(host), id, (needed, value))),
        _ => false,
    }
}

fn rules(route: &Value) -> impl Iterator<Item = &Value> {
    let list = |name: &str| route.at("/spec")?.get(name)?.as_array();
    ["http", "tls", "tcp"].into_iter().filter_map(list).flatten()
}

/// The Gateways that a route names: its own and those of single matches.
fn gateways(route: &Value) -> impl Iterator<Item = &str> {
    let matches = rules(route).filter_map(|rule| rule.get("match")?.as_array()).flatten();
    let all = route.at("/spec/gateways").into_iter().chain(matches.filter_map(|one| one.get("gateways")));
    all.filter_map(Value::as_array).flatten().filter_map(Value::as_str).filter(|name| *name != "mesh")
}

fn destinations(route: &Value) -> impl Iterator<Item = &Value> {
    let entries =
        rules(route).flat_map(|rule| ["route", "mirrors"].map(|part| rule.get(part).and_then(Value::as_array)));
    entries.flatten().flatten().filter_map(|entry| entry.at("/destination/host"))
}

/// Does a route send requests to the host that a DestinationRule is about?
pub(super) fn leads_to((id, route): Named<'_>, (rule, value): Named<'_>) -> bool {
    let of = |id: &ObjectId, host: &str| full_host(host, id.namespace.as_deref().unwrap_or("default"));
    let Some(host) = value.at("/spec/host").and_then(Value::as_str).map(|host| of(rule, host)) else {
        return false;
    };
    destinations(route).filter_map(Value::as_str).any(|to| of(id, to) == host)
}

/// Is it one of the hosts of a ServiceEntry? (Hosts of Kubernetes Services are in the member clusters.)
fn is_host_of(host: Option<&Value>, id: &ObjectId, (entry, value): Named<'_>) -> bool {
    let of = |id: &ObjectId, host: &str| full_host(host, id.namespace.as_deref().unwrap_or("default"));
    let Some(host) = host.and_then(Value::as_str) else { return false };
    let hosts = value.at("/spec/hosts").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    hosts.map(|own| of(entry, own)).any(|own| own == of(id, host))
}

/// Does a Gateway choose the pods of an IstioGateway?
fn selects(object: &Value, name: &str, istio_gateway: &Value) -> bool {
    let labels = gateway::pod_labels(name, istio_gateway);
    let selector = object.at("/spec/selector").and_then(Value::as_object);
    selector.is_some_and(|all| !all.is_empty() && all.iter().all(|(key, value)| labels.get(key) == Some(value)))
}

fn binding_needs(binding: &Value, needed: &ObjectId) -> bool {
    let is = |reference: &Value, kind: &str| {
        reference["kind"] == *kind && reference["name"] == *needed.name && kind == &*needed.group_kind.kind
    };
    let role = &binding["roleRef"];
    if is(role, "Role") || is(role, "ClusterRole") {
        return true;
    }
    let subjects = binding["subjects"].as_array().into_iter().flatten();
    subjects
        .filter(|subject| is(subject, "ServiceAccount"))
        .any(|subject| subject.get("namespace").and_then(Value::as_str) == needed.namespace.as_deref())
}

/// The template of the pods of a workload of any kind.
fn pod_template(workload: &Value) -> Option<&Value> {
    let places = ["/spec/jobTemplate/spec/template/spec", "/spec/template/spec"];
    let template = places.iter().find_map(|place| workload.at(place));
    template.or_else(|| workload.get("spec").filter(|_| workload["kind"] == "Pod"))
}

/// Does a pod name an object? Optional references count too: what is optional is seldom left out on purpose.
fn uses(template: &Value, needed: &ObjectId) -> bool {
    if needed.group_kind.is("", "ServiceAccount") {
        return template.get("serviceAccountName").and_then(Value::as_str) == Some(&needed.name);
    }
    let parts = ["volumes", "containers", "initContainers", "imagePullSecrets"];
    parts.iter().filter_map(|part| template.get(*part)).any(|part| refers(part, needed))
}

/// A reference of the pod's API to an object of this kind and name, anywhere in it.
fn refers(value: &Value, needed: &ObjectId) -> bool {
    let fields: &[(&str, &str)] = match &*needed.group_kind.kind {
        "ConfigMap" => &[("configMap", "name"), ("configMapRef", "name"), ("configMapKeyRef", "name")],
        "Secret" => &[("secret", "secretName"), ("secret", "name"), ("secretRef", "name"), ("secretKeyRef", "name")],
        _ => &[("persistentVolumeClaim", "claimName")],
    };
    match value {
        Value::Object(map) => map.iter().any(|(key, inner)| {
            let here = fields.iter().any(|(field, name)| key == field && inner[*name] == *needed.name);
            here || refers(inner, needed)
        }),
        Value::Array(items) => items.iter().any(|item| {
            // `imagePullSecrets` is a list of nothing but names.
            let bare =
                item.as_object().is_some_and(|map| map.len() == 1 && map.get("name") == Some(&(*needed.name).into()));
            (bare && needed.group_kind.is("", "Secret")) || refers(item, needed)
        }),
        _ => false,
    }
}

/// Does a text of an object say this name?
fn names(value: &Value, name: &str) -> bool {
    match value {
        Value::String(text) => text == name,
        Value::Object(map) => map.values().any(|inner| names(inner, name)),
        Value::Array(items) => items.iter().any(|inner| names(inner, name)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(group: &str, kind: &str, name: &str, spec: Value) -> (ObjectId, Value) {
        let namespaced = !matches!(kind, "Namespace" | "CustomResourceDefinition");
        let id = ObjectId::new(group, kind, namespaced.then_some("shop"), name);
        (id, json!({"kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": spec}))
    }

    fn istio(kind: &str, name: &str, spec: Value) -> (ObjectId, Value) {
        object(kinds::ISTIO_NETWORKING, kind, name, spec)
    }

    fn workload(template: Value) -> (ObjectId, Value) {
        object("apps", "Deployment", "web", json!({"template": {"spec": template}}))
    }

    #[test]
    fn what_needs_what() {
        let route = istio(
            "VirtualService",
            "a",
            json!({"gateways": ["edge", "other/door", "mesh"], "http": [
            {"match": [{"gateways": ["side"]}], "route": [{"destination": {"host": "reviews", "subset": "v1"}}]},
            {"route": [{"destination": {"host": "api.example.com"}}]}, {"delegate": {"name": "inner"}}]}),
        );
        let rule =
            |subset: &str| istio("DestinationRule", "r", json!({"host": "reviews", "subsets": [{"name": subset}]}));
        let entry = istio("ServiceEntry", "e", json!({"hosts": ["api.example.com"]}));
        let gateway = |selector: Value| istio("Gateway", "edge", json!({"selector": selector}));
        let front = object(kinds::ASM, "IstioGateway", "ingress", json!({"podLabels": {"team": "a"}}));
        let pod = workload(json!({"serviceAccountName": "web", "imagePullSecrets": [{"name": "pull"}], "volumes": [
            {"name": "map", "configMap": {"name": "conf"}}, {"name": "s", "secret": {"secretName": "tls"}},
            {"name": "d", "persistentVolumeClaim": {"claimName": "disk"}}],
            "containers": [{"name": "web", "envFrom": [{"configMapRef": {"name": "env"}}]}]}));
        let core = |kind: &str, name: &str| object("", kind, name, json!({}));
        let scaler = object(
            "autoscaling",
            "HorizontalPodAutoscaler",
            "h",
            json!({"scaleTargetRef": {"kind": "Deployment", "name": "web"}}),
        );
        let ingress =
            object("networking.k8s.io", "Ingress", "i", json!({"rules": [{"backend": {"service": {"name": "web"}}}]}));
        let definition = object(
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            "gateways.networking.istio.io",
            json!({"group": kinds::ISTIO_NETWORKING, "names": {"kind": "Gateway"}}),
        );
        for (what, one, other, expected) in [
            ("namespace", &route, &object("", "Namespace", "shop", json!({})), true),
            ("another namespace", &route, &object("", "Namespace", "other", json!({})), false),
            ("definition", &gateway(json!({})), &definition, true),
            ("definition of another kind", &route, &definition, false),
            ("gateway", &route, &gateway(json!({})), true),
            ("gateway of a match", &route, &istio("Gateway", "side", json!({})), true),
            ("gateway of another namespace", &route, &istio("Gateway", "door", json!({})), false),
            ("subset", &route, &rule("v1"), true),
            ("another subset", &route, &rule("v2"), false),
            ("delegate", &route, &istio("VirtualService", "inner", json!({})), true),
            ("the route itself", &route, &route, false),
            ("outside", &route, &entry, true),
            ("rule of the outside", &istio("DestinationRule", "x", json!({"host": "api.example.com"})), &entry, true),
            ("pods of a gateway", &gateway(json!({"istio": "ingress"})), &front, true),
            ("by a label of one's own", &gateway(json!({"team": "a"})), &front, true),
            ("other pods", &gateway(json!({"istio": "other"})), &front, false),
            ("account", &pod, &core("ServiceAccount", "web"), true),
            ("volume", &pod, &core("ConfigMap", "conf"), true),
            ("environment", &pod, &core("ConfigMap", "env"), true),
            ("secret", &pod, &core("Secret", "tls"), true),
            ("pull secret", &pod, &core("Secret", "pull"), true),
            ("secret of the name of a volume", &pod, &core("Secret", "map"), false),
            ("disk", &pod, &core("PersistentVolumeClaim", "disk"), true),
            ("another map", &pod, &core("ConfigMap", "other"), false),
            ("service", &pod, &core("Service", "web"), false),
            ("scaled", &scaler, &workload(json!({})), true),
            ("back end", &ingress, &core("Service", "web"), true),
        ] {
            assert_eq!(needs((&one.0, &one.1), (&other.0, &other.1)), expected, "{what}");
        }
    }

    #[test]
    fn bindings() {
        let id = ObjectId::new("rbac.authorization.k8s.io", "RoleBinding", Some("shop"), "b");
        let binding = json!({"roleRef": {"kind": "Role", "name": "r"},
            "subjects": [{"kind": "ServiceAccount", "name": "s", "namespace": "shop"}]});
        let role = ObjectId::new("rbac.authorization.k8s.io", "Role", Some("shop"), "r");
        let account = |namespace| ObjectId::new("", "ServiceAccount", Some(namespace), "s");
        let asks = |needed: &ObjectId| needs((&id, &binding), (needed, &json!({})));
        assert_eq!((asks(&role), asks(&account("shop")), asks(&account("other"))), (true, true, false));
    }
}
