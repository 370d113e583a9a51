//! What a workload's pods refer to and are selected by.

use crate::object::At as _;
use crate::object::ObjectId;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Labels that name the application a pod belongs to.
const APP_LABELS: [&str; 2] = ["app", "app.kubernetes.io/name"];

/// Labels of the pods of a workload.
pub(super) fn pod_labels(workload: &Value) -> Map<String, Value> {
    let labels = workload.at("/spec/template/metadata/labels").and_then(Value::as_object);
    labels.cloned().unwrap_or_default()
}

/// Does a Service with this selector send to pods with these labels?
pub(super) fn selects(selector: &Map<String, Value>, labels: &Map<String, Value>) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The application that an object's labels or selector name.
pub(super) fn app_of(labels: &Map<String, Value>) -> Option<&str> {
    APP_LABELS.iter().find_map(|key| labels.get(*key)).and_then(Value::as_str)
}

/// Objects of a workload's namespace that its pods need.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) service_account: Option<String>,
    pub(super) config_maps: BTreeSet<String>,
    pub(super) secrets: BTreeSet<String>,
}

pub(super) fn needs(workload: &Value) -> Needs {
    let mut needs = Needs::default();
    let Some(pod) = workload.at("/spec/template/spec") else { return needs };
    let account = pod.get("serviceAccountName").and_then(Value::as_str);
    needs.service_account = account.filter(|name| *name != "default").map(str::to_owned);
    for secret in pod.get("imagePullSecrets").and_then(Value::as_array).into_iter().flatten() {
        needs.secrets.extend(secret.get("name").and_then(Value::as_str).map(str::to_owned));
    }
    collect(pod, &mut needs);
    needs
}

/// References by the names of the fields that hold them, wherever in a pod they stand.
fn collect(value: &Value, needs: &mut Needs) {
    match value {
        Value::Array(list) => list.iter().for_each(|inner| collect(inner, needs)),
        Value::Object(map) => {
            for (field, inner) in map {
                let named = |key: &str| inner.get(key).and_then(Value::as_str).map(str::to_owned);
                match field.as_str() {
                    "secretKeyRef" | "secretRef" => needs.secrets.extend(named("name")),
                    // A volume's, or a projected source's.
                    "secret" => needs.secrets.extend(named("secretName").or_else(|| named("name"))),
                    "configMapKeyRef" | "configMapRef" | "configMap" => needs.config_maps.extend(named("name")),
                    _ => {}
                }
                collect(inner, needs);
            }
        }
        _ => {}
    }
}

/// Secrets that a Gateway's servers take their certificates from.
pub(super) fn credentials_of_gateway(id: &ObjectId, gateway: &Value) -> BTreeSet<String> {
    if !id.group_kind.is(crate::object::kinds::ISTIO_NETWORKING, "Gateway") {
        return BTreeSet::new();
    }
    let servers = gateway.at("/spec/servers").and_then(Value::as_array).into_iter().flatten();
    servers.filter_map(|server| server.at("/tls/credentialName")?.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn everything_that_pods_refer_to() {
        let workload = json!({"spec": {"template": {"spec": {
            "serviceAccountName": "web",
            "imagePullSecrets": [{"name": "registry"}],
            "containers": [{
                "env": [
                    {"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "x"}}},
                    {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "x"}}}
                ],
                "envFrom": [{"secretRef": {"name": "more"}}, {"configMapRef": {"name": "all"}}]
            }],
            "volumes": [
                {"name": "a", "secret": {"secretName": "tls"}},
                {"name": "b", "configMap": {"name": "files"}},
                {"name": "c", "projected": {"sources": [{"secret": {"name": "p"}}, {"configMap": {"name": "q"}}]}}
            ]
        }}}});
        let found = needs(&workload);
        assert_eq!(found.service_account.as_deref(), Some("web"));
        assert_eq!(found.secrets.into_iter().collect::<Vec<_>>(), ["db", "more", "p", "registry", "tls"]);
        assert_eq!(found.config_maps.into_iter().collect::<Vec<_>>(), ["all", "files", "q", "settings"]);
    }

    #[test]
    fn a_selector_must_say_something() {
        let labels = json!({"app": "web", "version": "v1"});
        let labels = labels.as_object().unwrap();
        for (selector, selected) in
            [(json!({"app": "web"}), true), (json!({}), false), (json!({"app": "web", "tier": "x"}), false)]
        {
            assert_eq!(selects(selector.as_object().unwrap(), labels), selected);
        }
    }
}
