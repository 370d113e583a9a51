//! Make before break: what is referred to goes first, and is removed last.
//!
//! Namespaces → identities and configuration → Services → workloads → IstioGateway → Gateway and the like →
//! DestinationRule → VirtualService; removal in reverse. A DestinationRule's subset must be at the proxies before a
//! VirtualService sends requests to it, otherwise Envoy answers 503 (measured on istiod and Envoy, DESIGN §4).

use crate::object::{GroupKind, ObjectId, kinds};

/// One step of the order. Objects of one stage do not depend on each other and are applied side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Namespaces and CRDs.
    Foundation,
    /// ServiceAccounts, RBAC, ConfigMaps, Secrets, claims.
    Configuration,
    /// Services.
    Service,
    /// Deployments and everything that is not named elsewhere.
    Workload,
    /// IstioGateways.
    IstioGateway,
    /// Gateways, ServiceEntries and the other Istio kinds.
    Gateway,
    /// DestinationRules.
    DestinationRule,
    /// VirtualServices.
    VirtualService,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Self; 8] = [
        Self::Foundation,
        Self::Configuration,
        Self::Service,
        Self::Workload,
        Self::IstioGateway,
        Self::Gateway,
        Self::DestinationRule,
        Self::VirtualService,
    ];

    /// Does it send requests somewhere, so that what it refers to must be there in every cluster first?
    pub fn routes(self) -> bool {
        self >= Self::DestinationRule
    }
}

/// The stage of a kind.
pub fn stage_of(group_kind: &GroupKind) -> Stage {
    match (&*group_kind.group, &*group_kind.kind) {
        ("", "Namespace") | ("apiextensions.k8s.io", _) => Stage::Foundation,
        ("", "ServiceAccount" | "ConfigMap" | "Secret" | "PersistentVolumeClaim") => Stage::Configuration,
        ("rbac.authorization.k8s.io", _) => Stage::Configuration,
        ("", "Service") => Stage::Service,
        (kinds::ASM, "IstioGateway") => Stage::IstioGateway,
        (kinds::ISTIO_NETWORKING, "DestinationRule") => Stage::DestinationRule,
        (kinds::ISTIO_NETWORKING, "VirtualService") => Stage::VirtualService,
        _ if kinds::place(group_kind) == Some(kinds::Place::Mesh) => Stage::Gateway,
        _ => Stage::Workload,
    }
}

/// Sorts objects for removal: last stage first, then by identity.
pub fn removal_order(ids: &mut [ObjectId]) {
    ids.sort_by(|a, b| stage_of(&b.group_kind).cmp(&stage_of(&a.group_kind)).then_with(|| a.cmp(b)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_table_has_the_stage_that_its_references_ask_for() {
        let stage = |group, kind| stage_of(&GroupKind::new(group, kind));
        let order = [
            stage("", "Namespace"),
            stage("", "ServiceAccount"),
            stage("", "Service"),
            stage("apps", "Deployment"),
            stage(kinds::ASM, "IstioGateway"),
            stage(kinds::ISTIO_NETWORKING, "Gateway"),
            stage(kinds::ISTIO_NETWORKING, "DestinationRule"),
            stage(kinds::ISTIO_NETWORKING, "VirtualService"),
        ];
        assert!(order.is_sorted());
        assert_eq!(order, Stage::ALL);
        assert_eq!(stage("security.istio.io", "PeerAuthentication"), Stage::Gateway);
        assert_eq!(stage("example.com", "Widget"), Stage::Workload);
    }

    #[test]
    fn removal_goes_backwards() {
        let id = |group, kind, name| ObjectId::new(group, kind, Some("default"), name);
        let mut ids = [
            id("", "Service", "a"),
            id(kinds::ISTIO_NETWORKING, "DestinationRule", "a"),
            id(kinds::ISTIO_NETWORKING, "VirtualService", "b"),
            id(kinds::ISTIO_NETWORKING, "VirtualService", "a"),
        ];
        removal_order(&mut ids);
        let order: Vec<String> = ids.iter().map(ToString::to_string).collect();
        assert_eq!(
            order,
            ["VirtualService default/a", "VirtualService default/b", "DestinationRule default/a", "Service default/a"]
        );
    }
}
