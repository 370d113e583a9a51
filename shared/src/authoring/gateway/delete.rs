//! The end of a gateway.

use super::super::workspace::Workspace;
use super::super::{AuthoringError, Plan};
use super::consent::{Consent, without_addresses};
use super::find;
use crate::asm::{addresses, gateway, usage};
use crate::fleet::{ApprovalAction, FleetState, Tree};
use serde::Serialize;
use serde_json::Value;

/// Delete a gateway from the fleet's files.
#[derive(Clone, Debug, Default)]
pub struct DeleteGateway {
    /// Name of the IstioGateway.
    pub name: String,
    /// Addresses that are lost, for the approval.
    pub addresses: Vec<String>,
    /// The gateway as it runs, for the approval.
    pub live: Option<Value>,
}

/// What deleting comes to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Deletion {
    /// The edits and warnings.
    #[serde(skip)]
    pub plan: Plan,
    /// Addresses that are known to be lost.
    pub addresses: Vec<String>,
    /// Gateways (Istio) that no other gateway serves, with their places.
    pub gateways: Vec<String>,
    /// VirtualServices that are then at no gateway, with their places.
    pub routes: Vec<String>,
    /// Services with a load balancer of their own that then have no pods, with cluster and place.
    pub services: Vec<String>,
}

impl DeleteGateway {
    /// The edits, and what goes with the gateway.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Deletion, AuthoringError> {
        let manifest = find(state, &self.name)?;
        let used = usage::of(state, manifest);
        let lost: Vec<String> = self.live.as_ref().map(addresses::of_istio_gateway).unwrap_or_default();
        let mut named: Vec<String> = lost.iter().chain(&self.addresses).cloned().collect();
        named.sort();
        named.dedup();

        let mut workspace = Workspace::new(tree);
        workspace.remove_object(manifest)?;
        let mut plan = Plan { edits: workspace.finish(), warnings: Vec::new() };
        let addressless = !gateway::wants_load_balancer(&manifest.object);
        if named.is_empty() && self.live.is_none() && !addressless {
            plan.warnings.push(without_addresses(&self.name, "delete"));
        } else {
            let consent = Consent {
                action: ApprovalAction::Delete,
                gateway: &self.name,
                named: &self.addresses,
                lost: &lost,
                live: self.live.as_ref(),
            };
            plan.edits.extend(consent.file(tree, state)?);
        }
        let alone = used.gateways.iter().filter(|gateway| gateway.other_gateways.is_empty());
        let alone: Vec<_> = alone.collect();
        let told = |manifest: &crate::fleet::Manifest| format!("{} ({})", manifest.id, manifest.position);
        let orphans = used.routes.iter().filter(|route| {
            let bound = usage::gateways_of(state, route);
            bound.iter().all(|bound| alone.iter().any(|gateway| gateway.manifest.id == bound.id))
        });
        Ok(Deletion {
            addresses: named,
            routes: orphans.map(|route| told(route)).collect(),
            gateways: alone.iter().map(|gateway| told(gateway.manifest)).collect(),
            services: used.services.iter().map(|service| format!("{} on {}", told(service), service.target)).collect(),
            plan,
        })
    }
}
