//! When two single values mean the same: quantities, durations, whole floats, API versions of one group.
//!
//! Structure (maps, lists, defaults) is compared by [`crate::diff`]; this is about the leaves.

use super::duration::parse_duration;
use super::pattern::{self, Kinds};
use super::quantity::Quantity;
use super::{FieldPath, GroupKind, kinds, split_api_version};
use serde_json::{Number, Value};

/// Fields that hold quantities.
const QUANTITIES: &[(Kinds, &str)] = &[
    (Kinds::Any, "**.resources.limits.*"),
    (Kinds::Any, "**.resources.requests.*"),
    (Kinds::Pods, "**.emptyDir.sizeLimit"),
    (Kinds::Pods, "**.resourceFieldRef.divisor"),
    (Kinds::Pods, "**.overhead.*"),
    (Kinds::One("", "PersistentVolume"), "spec.capacity.*"),
    (Kinds::One("", "ResourceQuota"), "spec.hard.*"),
    (Kinds::One("", "LimitRange"), "spec.limits.*.*"),
    (Kinds::One("autoscaling", "HorizontalPodAutoscaler"), "**.target.value"),
    (Kinds::One("autoscaling", "HorizontalPodAutoscaler"), "**.target.averageValue"),
];

/// Fields of Istio kinds that hold durations (istio.io/api v1.31, plus those of ASM's older Istio versions).
const DURATIONS: &[&str] = &[
    "timeout",
    "perTryTimeout",
    "perTryIdleTimeout",
    "backoff",
    "interval",
    "baseEjectionTime",
    "connectTimeout",
    "idleTimeout",
    "maxConnectionDuration",
    "maxAge",
    "ttl",
    "time",
    "fixedDelay",
    "exponentialDelay",
    "warmupDurationSecs",
    "duration",
    "drainDuration",
    "terminationDrainDuration",
    "reportingInterval",
];

/// Do two leaves at a path mean the same?
pub fn equal(kind: &GroupKind, path: &FieldPath, a: &Value, b: &Value) -> bool {
    if a == b {
        return true;
    }
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if same_number(a, b) => true,
        (Value::Number(_) | Value::String(_), Value::Number(_) | Value::String(_)) if is_quantity(kind, path) => {
            // What is finer than a thousandth is rounded up where it is stored.
            let of = |value| Quantity::of(value).map(|q| if Kinds::Pods.has(kind) { q.in_thousandths() } else { q });
            matches!((of(a), of(b)), (Some(a), Some(b)) if a == b)
        }
        (Value::String(a), Value::String(b)) => {
            if is_duration(kind, path) {
                matches!((parse_duration(a), parse_duration(b)), (Some(a), Some(b)) if a == b)
            } else {
                is_api_version(path) && split_api_version(a).0 == split_api_version(b).0
            }
        }
        _ => false,
    }
}

/// Numbers by value: YAML's `1.0` and `1e3` are floats, kubectl writes them as integers.
pub fn same_number(a: &Number, b: &Number) -> bool {
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64()) {
        return a == b;
    }
    if let (Some(a), Some(b)) = (a.as_u64(), b.as_u64()) {
        return a == b;
    }
    matches!((a.as_f64(), b.as_f64()), (Some(a), Some(b)) if a == b)
}

fn is_quantity(kind: &GroupKind, path: &FieldPath) -> bool {
    QUANTITIES.iter().any(|(kinds, pattern)| kinds.has(kind) && pattern::matches(pattern, path))
}

fn is_duration(kind: &GroupKind, path: &FieldPath) -> bool {
    // EnvoyFilter carries Envoy's own configuration, whose text goes to Envoy as it is.
    Kinds::Istio.has(kind)
        && !kind.is(kinds::ISTIO_NETWORKING, "EnvoyFilter")
        && path.is_under(&["spec"])
        && path.last_field().is_some_and(|name| DURATIONS.contains(&name))
}

fn is_api_version(path: &FieldPath) -> bool {
    path.0.len() == 1 && path.is_under(&["apiVersion"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(kind: (&str, &str), path: &[&str], a: Value, b: Value) -> bool {
        equal(&GroupKind::new(kind.0, kind.1), &FieldPath::of_fields(path.iter().copied()), &a, &b)
    }

    #[test]
    fn leaves_are_compared_by_meaning() {
        let gateway = (kinds::ASM, "IstioGateway");
        let route = (kinds::ISTIO_NETWORKING, "VirtualService");
        let cpu = ["spec", "resources", "limits", "cpu"];
        assert!(check(gateway, &cpu, json!(2), json!("2000m")));
        assert!(!check(gateway, &cpu, json!("2G"), json!("2Gi")));
        let workload = ["spec", "template", "spec", "containers", "resources", "limits", "cpu"];
        assert!(check(("apps", "Deployment"), &workload, json!("100u"), json!("1m")));
        assert!(!check(("apps", "Deployment"), &workload, json!("1m"), json!("1001u")));
        assert!(!check(gateway, &["spec", "podLabels", "n"], json!("1"), json!("1000m")));
        assert!(check(route, &["spec", "http", "timeout"], json!("1s"), json!("1000ms")));
        assert!(!check(("", "ConfigMap"), &["data", "timeout"], json!("1s"), json!("1000ms")));
        assert!(!check(("", "Service"), &["spec", "ports", "targetPort"], json!(80), json!("80")));
        assert!(check(("", "Service"), &["spec", "ports", "port"], json!(80), json!(80.0)));
        let versions = [json!("networking.istio.io/v1alpha3"), json!("networking.istio.io/v1")];
        assert!(check(route, &["apiVersion"], versions[0].clone(), versions[1].clone()));
        assert!(!check(("", "Service"), &["apiVersion"], json!("v1"), json!("apps/v1")));
    }
}
