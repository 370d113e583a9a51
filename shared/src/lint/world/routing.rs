//! Gateways, VirtualServices and DestinationRules with what they refer to.

use super::names::namespace;
use super::pods::{Pod, PodIndex};
use crate::fleet::Manifest;
use crate::istio::{DestinationRule, Gateway, VirtualService, gateway_name, meet};
use crate::object::At as _;

/// An Istio Gateway.
#[derive(Clone, Debug)]
pub(in crate::lint) struct GatewayView<'a> {
    /// The object.
    pub(in crate::lint) manifest: &'a Manifest,
    /// What it says.
    pub(in crate::lint) gateway: Gateway,
    /// The pods that its selector chooses, in any namespace (indices into `World::pods`).
    pub(in crate::lint) pods: Vec<usize>,
}

impl<'a> GatewayView<'a> {
    /// Namespace and name.
    pub(in crate::lint) fn key(&self) -> (&'a str, &'a str) {
        (namespace(self.manifest), &self.manifest.id.name)
    }
}

/// What an item of `spec.gateways` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lint) enum Reference<'a> {
    /// The sidecars.
    Mesh,
    /// A Gateway by namespace and name.
    Gateway(&'a str, &'a str),
}

/// A VirtualService.
#[derive(Clone, Debug)]
pub(in crate::lint) struct RouteView<'a> {
    /// The object.
    pub(in crate::lint) manifest: &'a Manifest,
    /// What it says.
    pub(in crate::lint) route: VirtualService,
    /// What its `spec.gateways` mean, item by item; the sidecars when it has none.
    pub(in crate::lint) gateways: Vec<Reference<'a>>,
}

/// A DestinationRule.
#[derive(Clone, Debug)]
pub(in crate::lint) struct DestinationRuleView<'a> {
    /// The object.
    pub(in crate::lint) manifest: &'a Manifest,
    /// What it says.
    pub(in crate::lint) rule: DestinationRule,
}

pub(super) fn gateways<'a>(all: &[&'a Manifest], pods: &[Pod<'a>], index: &PodIndex) -> Vec<GatewayView<'a>> {
    all.iter()
        .map(|manifest| {
            let gateway = Gateway::read(&manifest.object);
            // Without a selector it is for every gateway; which pods those are besides ASM's, nobody can tell from files.
            let pods = if gateway.selector.is_empty() {
                (0..pods.len()).filter(|at| pods.get(*at).is_some_and(Pod::is_istio_gateway)).collect()
            } else {
                index.with(pods, &gateway.selector)
            };
            GatewayView { manifest, gateway, pods }
        })
        .collect()
}

pub(super) fn routes<'a>(all: &[&'a Manifest]) -> Vec<RouteView<'a>> {
    all.iter()
        .map(|manifest| {
            let named = manifest.object.at("/spec/gateways").and_then(serde_json::Value::as_array);
            let named: Vec<_> = named.into_iter().flatten().filter_map(|name| name.as_str()).collect();
            let own = namespace(manifest);
            let gateways = if named.is_empty() {
                vec![Reference::Mesh]
            } else {
                named.into_iter().map(|name| reference(name, own)).collect()
            };
            RouteView { manifest, route: VirtualService::read(&manifest.object), gateways }
        })
        .collect()
}

/// What a name of a Gateway means in a VirtualService of this namespace.
pub(in crate::lint) fn reference<'a>(name: &'a str, own: &'a str) -> Reference<'a> {
    gateway_name(name, own).map_or(Reference::Mesh, |(space, name)| Reference::Gateway(space, name))
}

pub(super) fn destination_rules<'a>(all: &[&'a Manifest]) -> Vec<DestinationRuleView<'a>> {
    all.iter().map(|manifest| DestinationRuleView { manifest, rule: DestinationRule::read(&manifest.object) }).collect()
}

/// Is there a host name that both mean? Either side may begin with a wildcard. Hosts have no case.
pub(in crate::lint) fn intersects(a: &str, b: &str) -> bool {
    meet(&a.to_lowercase(), &b.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_no_case() {
        assert!(intersects("*.Shop.test", "a.shop.TEST"));
        assert!(!intersects("*.shop.test", "shop.test"));
    }
}
