//! What an absent field means: values that say the same as saying nothing.
//!
//! Only what is true on every API server and what the reference confirms. Inside atomic lists this matters for drift too:
//! there the API server's defaults stand beside our fields and must not look like somebody's work.

use super::pattern::{self, Kinds};
use super::{FieldPath, GroupKind, Segment, kinds};
use serde_json::Value;
use std::borrow::Cow;

/// Fields of pods that Go's `omitempty` drops when they are zero. Pointers (`replicas`, `automountServiceAccountToken`,
/// `allowPrivilegeEscalation`) are not among them: there, zero says something.
const DROPPED_WHEN_ZERO: &[&str] = &[
    "**.env.value",
    "**.hostNetwork",
    "**.hostPID",
    "**.hostIPC",
    "**.hostPort",
    "**.hostIP",
    "**.hostname",
    "**.subdomain",
    "**.nodeName",
    "**.priorityClassName",
    "**.serviceAccountName",
    "**.workingDir",
    "**.stdin",
    "**.stdinOnce",
    "**.tty",
    "**.volumeMounts.readOnly",
    "**.volumeMounts.subPath",
    "**.emptyDir.medium",
    "**.initialDelaySeconds",
    "**.minReadySeconds",
    "spec.paused",
];

/// What a field means when it is absent.
enum Absent {
    /// This text.
    Text(&'static str),
    /// This number.
    Number(i64),
    /// `false`.
    False,
    /// `0`, `false` or `""`: Go's `omitempty` drops them.
    Zero,
    /// What the sibling field holds; `0` counts as absent too.
    Sibling(&'static str),
    /// 100 for the only destination, 0 among several.
    Weight,
    /// Whatever the API server puts there.
    Anything,
    /// A route's path: everything.
    AnyPath,
    /// A route's matches: one, of every path.
    AnyMatch,
}

struct Row(Kinds, &'static str, Absent);

const SERVICE: Kinds = Kinds::One("", "Service");
const VIRTUAL_SERVICE: Kinds = Kinds::One(kinds::ISTIO_NETWORKING, "VirtualService");
const GATEWAY: Kinds = Kinds::One(kinds::ISTIO_NETWORKING, "Gateway");
const ISTIO_GATEWAY: Kinds = Kinds::One(kinds::ASM, "IstioGateway");
const STATEFUL_SET: Kinds = Kinds::One("apps", "StatefulSet");
const GATEWAY_API: Kinds = Kinds::Group(kinds::GATEWAY_API);
const HTTP_ROUTE: Kinds = Kinds::One(kinds::GATEWAY_API, "HTTPRoute");
const LIMIT_RANGE: Kinds = Kinds::One("", "LimitRange");
const ENDPOINT_SLICE: Kinds = Kinds::One("discovery.k8s.io", "EndpointSlice");

/// Sources: Kubernetes API defaulting (k8s.io/kubernetes `pkg/apis/*/defaults.go`), the CRDs of the Gateway API v1.6,
/// `asm-domain.md` §1.6, §1.8, §7.3, §7.4.
const ROWS: &[Row] = &[
    Row(SERVICE, "spec.ports.protocol", Absent::Text("TCP")),
    Row(SERVICE, "spec.ports.targetPort", Absent::Sibling("port")),
    Row(SERVICE, "spec.ports.nodePort", Absent::Zero),
    Row(SERVICE, "spec.clusterIP", Absent::Zero),
    Row(SERVICE, "spec.externalName", Absent::Zero),
    Row(SERVICE, "spec.loadBalancerIP", Absent::Zero),
    Row(SERVICE, "spec.healthCheckNodePort", Absent::Zero),
    Row(SERVICE, "spec.publishNotReadyAddresses", Absent::Zero),
    Row(Kinds::One("apiextensions.k8s.io", "CustomResourceDefinition"), "spec.preserveUnknownFields", Absent::Zero),
    Row(SERVICE, "spec.type", Absent::Text("ClusterIP")),
    Row(SERVICE, "spec.sessionAffinity", Absent::Text("None")),
    Row(Kinds::One("", "Endpoints"), "subsets.ports.protocol", Absent::Text("TCP")),
    Row(Kinds::Pods, "**.ports.protocol", Absent::Text("TCP")),
    Row(Kinds::Pods, "**.serviceAccountToken.expirationSeconds", Absent::Number(3600)),
    Row(Kinds::Pods, "**.fieldRef.apiVersion", Absent::Text("v1")),
    Row(Kinds::Pods, "**.resourceFieldRef.divisor", Absent::Text("0")),
    Row(STATEFUL_SET, "spec.volumeClaimTemplates.apiVersion", Absent::Anything),
    Row(STATEFUL_SET, "spec.volumeClaimTemplates.kind", Absent::Anything),
    Row(STATEFUL_SET, "spec.volumeClaimTemplates.status", Absent::Anything),
    Row(STATEFUL_SET, "spec.volumeClaimTemplates.spec.volumeMode", Absent::Text("Filesystem")),
    Row(Kinds::One("networking.k8s.io", "NetworkPolicy"), "**.ports.protocol", Absent::Text("TCP")),
    Row(Kinds::One("rbac.authorization.k8s.io", "RoleBinding"), "subjects.apiGroup", Absent::Anything),
    Row(Kinds::One("rbac.authorization.k8s.io", "ClusterRoleBinding"), "subjects.apiGroup", Absent::Anything),
    Row(
        Kinds::One("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        "webhooks.rules.scope",
        Absent::Text("*"),
    ),
    Row(
        Kinds::One("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        "webhooks.rules.scope",
        Absent::Text("*"),
    ),
    Row(ENDPOINT_SLICE, "ports.protocol", Absent::Text("TCP")),
    Row(ENDPOINT_SLICE, "ports.name", Absent::Zero),
    Row(ENDPOINT_SLICE, "endpoints.conditions", Absent::Anything),
    Row(LIMIT_RANGE, "spec.limits.default", Absent::Anything),
    Row(LIMIT_RANGE, "spec.limits.defaultRequest", Absent::Anything),
    Row(LIMIT_RANGE, "spec.limits.default.*", Absent::Anything),
    Row(LIMIT_RANGE, "spec.limits.defaultRequest.*", Absent::Anything),
    Row(GATEWAY_API, "spec.addresses.type", Absent::Text("IPAddress")),
    Row(GATEWAY_API, "spec.listeners.allowedRoutes.kinds.group", Absent::Text(kinds::GATEWAY_API)),
    Row(GATEWAY_API, "spec.listeners.tls.certificateRefs.group", Absent::Zero),
    Row(GATEWAY_API, "spec.listeners.tls.certificateRefs.kind", Absent::Text("Secret")),
    Row(GATEWAY_API, "spec.parentRefs.group", Absent::Text(kinds::GATEWAY_API)),
    Row(GATEWAY_API, "spec.parentRefs.kind", Absent::Text("Gateway")),
    Row(GATEWAY_API, "**.backendRefs.group", Absent::Zero),
    Row(GATEWAY_API, "**.backendRefs.kind", Absent::Text("Service")),
    Row(GATEWAY_API, "**.backendRefs.weight", Absent::Number(1)),
    Row(GATEWAY_API, "**.backendRef.group", Absent::Zero),
    Row(GATEWAY_API, "**.backendRef.kind", Absent::Text("Service")),
    Row(GATEWAY_API, "**.requestMirror.fraction.denominator", Absent::Number(100)),
    Row(GATEWAY_API, "**.requestRedirect.statusCode", Absent::Number(302)),
    Row(GATEWAY_API, "**.cors.maxAge", Absent::Number(5)),
    Row(GATEWAY_API, "**.matches.headers.type", Absent::Text("Exact")),
    Row(GATEWAY_API, "**.matches.queryParams.type", Absent::Text("Exact")),
    Row(GATEWAY_API, "**.matches.method.type", Absent::Text("Exact")),
    Row(GATEWAY_API, "**.sessionPersistence.type", Absent::Text("Cookie")),
    Row(GATEWAY_API, "**.sessionPersistence.cookieConfig.lifetimeType", Absent::Text("Session")),
    Row(HTTP_ROUTE, "spec.rules.matches", Absent::AnyMatch),
    Row(HTTP_ROUTE, "spec.rules.matches.path", Absent::AnyPath),
    Row(HTTP_ROUTE, "spec.rules.matches.path.type", Absent::Text("PathPrefix")),
    Row(HTTP_ROUTE, "spec.rules.matches.path.value", Absent::Text("/")),
    Row(VIRTUAL_SERVICE, "spec.http.route.weight", Absent::Weight),
    Row(VIRTUAL_SERVICE, "spec.tcp.route.weight", Absent::Weight),
    Row(VIRTUAL_SERVICE, "spec.tls.route.weight", Absent::Weight),
    Row(GATEWAY, "spec.servers.tls.mode", Absent::Text("PASSTHROUGH")),
    Row(GATEWAY, "spec.servers.tls.httpsRedirect", Absent::False),
    Row(ISTIO_GATEWAY, "**.ports.protocol", Absent::Text("TCP")),
    Row(ISTIO_GATEWAY, "**.ports.targetPort", Absent::Sibling("port")),
    Row(ISTIO_GATEWAY, "**.ports.nodePort", Absent::Zero),
    Row(ISTIO_GATEWAY, "**.env.value", Absent::Zero),
    Row(ISTIO_GATEWAY, "**.replicaCount", Absent::Zero),
    Row(ISTIO_GATEWAY, "**.minReplicas", Absent::Zero),
    Row(ISTIO_GATEWAY, "**.maxReplicas", Absent::Zero),
    Row(ISTIO_GATEWAY, "**.autoscaleEnabled", Absent::Zero),
    Row(ISTIO_GATEWAY, "**.readinessProbe.*", Absent::Zero),
    Row(ISTIO_GATEWAY, "**.gatewayType", Absent::Zero),
    Row(ISTIO_GATEWAY, "**.serviceType", Absent::Zero),
    Row(ISTIO_GATEWAY, "**.loadBalancerIP", Absent::Zero),
    Row(ISTIO_GATEWAY, "**.externalTrafficPolicy", Absent::Zero),
    Row(ISTIO_GATEWAY, "**.applicationPorts", Absent::Zero),
    Row(ISTIO_GATEWAY, "**.requestedNetworkView", Absent::Zero),
    Row(ISTIO_GATEWAY, "**.dnsPolicy", Absent::Zero),
    Row(ISTIO_GATEWAY, "**.sds.image", Absent::Zero),
];

/// Where a value stands, for defaults that depend on the neighbours.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place<'a> {
    /// The map that holds the field.
    pub(crate) parent: Option<&'a Value>,
    /// The map on the other side of the comparison.
    pub(crate) other_parent: Option<&'a Value>,
    /// How many elements the nearest list has that this map is an element of.
    pub(crate) siblings: usize,
}

impl<'a> Place<'a> {
    /// The neighbour that a field follows. When the neighbour itself differs, following it would hide a change of ours:
    /// then absent is just absent.
    fn sibling(self, name: &str) -> Option<&'a Value> {
        let own = self.parent?.get(name)?;
        let other = self.other_parent.and_then(|parent| parent.get(name));
        let same = match (own, other) {
            (Value::Number(own), Some(Value::Number(other))) => super::equal::same_number(own, other),
            (own, other) => other.is_none_or(|other| own == other),
        };
        same.then_some(own)
    }
}

/// What a field says once defaults are taken into account; `None` when it says nothing.
pub(crate) fn meaning<'a>(
    kind: &GroupKind,
    path: &FieldPath,
    value: Option<&'a Value>,
    place: Place<'a>,
) -> Option<Cow<'a, Value>> {
    let value = value.filter(|value| !says_nothing(kind, path, value));
    let row = ROWS.iter().find(|row| row.0.has(kind) && pattern::matches(row.1, path));
    let Some(absent) = row.map(|row| &row.2).or_else(|| dropped_when_zero(kind, path)) else {
        return value.map(Cow::Borrowed);
    };
    match absent {
        Absent::Text(text) => Some(value.map_or_else(|| Cow::Owned(Value::from(*text)), Cow::Borrowed)),
        Absent::Number(number) => Some(value.map_or_else(|| Cow::Owned(Value::from(*number)), Cow::Borrowed)),
        Absent::False => value.filter(|value| value.as_bool() != Some(false)).map(Cow::Borrowed),
        Absent::Zero => value.filter(|value| !is_zero(value)).map(Cow::Borrowed),
        Absent::Sibling(name) => {
            value.filter(|value| !is_zero(value)).or_else(|| place.sibling(name)).map(Cow::Borrowed)
        }
        Absent::Weight => match value.filter(|value| !is_zero(value)) {
            Some(value) => Some(Cow::Borrowed(value)),
            None => (place.siblings == 1).then(|| Cow::Owned(Value::from(100))),
        },
        Absent::Anything => value.map(Cow::Borrowed),
        Absent::AnyPath => Some(value.map_or_else(|| Cow::Owned(any_path()), Cow::Borrowed)),
        Absent::AnyMatch => {
            Some(value.map_or_else(|| Cow::Owned(serde_json::json!([{"path": any_path()}])), Cow::Borrowed))
        }
    }
}

/// What a route of the Gateway API matches that names no path.
fn any_path() -> Value {
    serde_json::json!({"type": "PathPrefix", "value": "/"})
}

fn dropped_when_zero(kind: &GroupKind, path: &FieldPath) -> Option<&'static Absent> {
    let dropped = Kinds::Pods.has(kind) && DROPPED_WHEN_ZERO.iter().any(|pattern| pattern::matches(pattern, path));
    dropped.then_some(&Absent::Zero)
}

/// Does the API server fill this field with whatever it likes when it is not set?
pub(crate) fn is_free_when_absent(kind: &GroupKind, path: &FieldPath) -> bool {
    ROWS.iter().any(|row| matches!(row.2, Absent::Anything) && row.0.has(kind) && pattern::matches(row.1, path))
}

/// `null`, `[]`, and `{}` where an empty map cannot mean anything.
fn says_nothing(kind: &GroupKind, path: &FieldPath, value: &Value) -> bool {
    if matches!(path.segments().last(), Some(Segment::Index(_) | Segment::Key(_))) {
        // An element is there, whatever it holds.
        return false;
    }
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => {
            empty_map_says_nothing(kind, path)
                && map
                    .iter()
                    .all(|(name, inner)| meaning(kind, &path.field(name), Some(inner), Place::default()).is_none())
        }
        _ => false,
    }
}

/// In Istio's and in unknown kinds an empty map says something (`outlierDetection: {}` turns it on, a header match `{}`
/// means "present"), and so it does inside lists (`emptyDir: {}`, `podSelector: {}`). Go clients of IstioGateway leave
/// empty structs behind, and the built-in kinds default theirs.
fn empty_map_says_nothing(kind: &GroupKind, path: &FieldPath) -> bool {
    if path.is_under(&["metadata"]) {
        return true;
    }
    let known = kinds::find(kind).is_some() && !Kinds::Istio.has(kind);
    known && path.segments().iter().all(|segment| matches!(segment, Segment::Field(_)))
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}
