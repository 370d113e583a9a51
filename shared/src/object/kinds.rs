//! The kinds a fleet is made of, as one table: plural name, scope, and on which API server they belong.
//!
//! Source of the placement column: ASM documentation, "which resource goes where" (mesh control plane or member cluster).
//! Kinds that are not listed are passed through: the API server's discovery tells plural and scope.

use super::GroupKind;

/// Group of the Istio routing kinds.
pub const ISTIO_NETWORKING: &str = "networking.istio.io";
/// Group of ASM's own kinds.
pub const ASM: &str = "istio.alibabacloud.com";
/// Group of the Gateway API.
pub const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// On which API server a kind belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The ASM control plane only.
    Mesh,
    /// Member clusters only.
    Member,
    /// Both keep their own (Namespace).
    Both,
}

/// One row of the table.
#[derive(Debug)]
pub struct Kind {
    /// API group; empty for core.
    pub group: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Plural resource name, as in URLs and in `kubectl get`.
    pub plural: &'static str,
    /// Lives in a namespace.
    pub namespaced: bool,
    /// API server it belongs to.
    pub place: Place,
}

const fn row(group: &'static str, kind: &'static str, plural: &'static str, namespaced: bool, place: Place) -> Kind {
    Kind { group, kind, plural, namespaced, place }
}

/// The table.
pub const KINDS: &[Kind] = &[
    row("", "Namespace", "namespaces", false, Place::Both),
    row("", "Service", "services", true, Place::Member),
    row("", "ServiceAccount", "serviceaccounts", true, Place::Member),
    row("", "ConfigMap", "configmaps", true, Place::Member),
    row("", "Secret", "secrets", true, Place::Member),
    row("", "Endpoints", "endpoints", true, Place::Member),
    row("", "Pod", "pods", true, Place::Member),
    row("", "PersistentVolumeClaim", "persistentvolumeclaims", true, Place::Member),
    row("apps", "Deployment", "deployments", true, Place::Member),
    row("apps", "StatefulSet", "statefulsets", true, Place::Member),
    row("apps", "DaemonSet", "daemonsets", true, Place::Member),
    row("batch", "Job", "jobs", true, Place::Member),
    row("batch", "CronJob", "cronjobs", true, Place::Member),
    row("autoscaling", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true, Place::Member),
    row("policy", "PodDisruptionBudget", "poddisruptionbudgets", true, Place::Member),
    row("networking.k8s.io", "Ingress", "ingresses", true, Place::Member),
    row("networking.k8s.io", "NetworkPolicy", "networkpolicies", true, Place::Member),
    row("rbac.authorization.k8s.io", "Role", "roles", true, Place::Both),
    row("rbac.authorization.k8s.io", "RoleBinding", "rolebindings", true, Place::Both),
    row("rbac.authorization.k8s.io", "ClusterRole", "clusterroles", false, Place::Both),
    row("rbac.authorization.k8s.io", "ClusterRoleBinding", "clusterrolebindings", false, Place::Both),
    row("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions", false, Place::Both),
    row(ISTIO_NETWORKING, "Gateway", "gateways", true, Place::Mesh),
    row(ISTIO_NETWORKING, "VirtualService", "virtualservices", true, Place::Mesh),
    row(ISTIO_NETWORKING, "DestinationRule", "destinationrules", true, Place::Mesh),
    row(ISTIO_NETWORKING, "ServiceEntry", "serviceentries", true, Place::Mesh),
    row(ISTIO_NETWORKING, "Sidecar", "sidecars", true, Place::Mesh),
    row(ISTIO_NETWORKING, "EnvoyFilter", "envoyfilters", true, Place::Mesh),
    row(ISTIO_NETWORKING, "WorkloadEntry", "workloadentries", true, Place::Mesh),
    row(ISTIO_NETWORKING, "WorkloadGroup", "workloadgroups", true, Place::Mesh),
    row(ISTIO_NETWORKING, "ProxyConfig", "proxyconfigs", true, Place::Mesh),
    row("security.istio.io", "PeerAuthentication", "peerauthentications", true, Place::Mesh),
    row("security.istio.io", "RequestAuthentication", "requestauthentications", true, Place::Mesh),
    row("security.istio.io", "AuthorizationPolicy", "authorizationpolicies", true, Place::Mesh),
    row("telemetry.istio.io", "Telemetry", "telemetries", true, Place::Mesh),
    row("extensions.istio.io", "WasmPlugin", "wasmplugins", true, Place::Mesh),
    row(ASM, "IstioGateway", "istiogateways", true, Place::Mesh),
];

/// The row of a kind, if it is in the table.
pub fn find(group_kind: &GroupKind) -> Option<&'static Kind> {
    KINDS.iter().find(|row| group_kind.is(row.group, row.kind))
}

/// Where a kind belongs. Groups of Istio and ASM belong to the mesh even when the kind is not in the table.
pub fn place(group_kind: &GroupKind) -> Option<Place> {
    find(group_kind).map(|row| row.place).or_else(|| {
        let group = &*group_kind.group;
        (group.ends_with(".istio.io") || group == ASM).then_some(Place::Mesh)
    })
}
