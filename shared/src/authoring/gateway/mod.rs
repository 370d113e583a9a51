//! Ingress and egress gateways (IstioGateway): created, changed, deleted, and sharing one Gateway.
//!
//! All of it works on plain values: an object before, an object after. A new gateway is written by `render`, an existing one
//! is edited where it stands, field by field. What the object then says is judged in one place, `check`.

mod check;
mod cloud;
mod consent;
mod create;
mod delete;
mod edit;
mod fields;
mod path;
mod ports;
mod render;
mod settings;
mod share;

pub use cloud::SHARING_RISKS;
pub use create::{CreateGateway, Hosting};
pub use delete::{DeleteGateway, Deletion};
pub use edit::EditGateway;
pub use path::{Assignment, GatewayPath};
pub use ports::GatewayPort;
pub use settings::{Entry, Flag, GatewaySettings, LoadBalancer, Override, Reuse, Toleration};
pub use share::{NewSharedGateway, ShareGateway};

use super::AuthoringError;
use super::suggest::did_you_mean;
use crate::asm::gateway::{NAMESPACE, RESERVED_LABELS};
use crate::fleet::{FleetState, Manifest, Target};
use crate::object::kinds::ASM;

/// Longest name: ASM names the Service and the Deployment `istio-<name>`, and labels its pods so.
const LONGEST_NAME: usize = 63 - "istio-".len();

/// The gateways of the fleet.
fn gateways(state: &FleetState) -> impl Iterator<Item = &Manifest> {
    state.manifests_of(&Target::Mesh).filter(|manifest| manifest.group_kind().is(ASM, "IstioGateway"))
}

/// A gateway by its name, or an error with the nearest names.
fn find<'a>(state: &'a FleetState, name: &str) -> Result<&'a Manifest, AuthoringError> {
    gateways(state).find(|manifest| *manifest.id.name == *name).ok_or_else(|| {
        let names = || gateways(state).map(|manifest| &*manifest.id.name);
        let near = did_you_mean(name, names());
        let hint = if names().next().is_none() {
            "the fleet has none; make one with: kubectl asm gateway create".to_owned()
        } else {
            format!("the fleet has {}", names().collect::<Vec<_>>().join(", "))
        };
        // What has a problem (two of one name, say) is not among the objects.
        let problem = state.problems_of(&Target::Mesh).find(|problem| problem.message.contains(name));
        let problem = problem.map(|problem| format!("it may be left out because of a problem: {problem}"));
        AuthoringError::new(format!("there is no gateway (IstioGateway) {name}")).hints(problem).hints(near).hint(hint)
    })
}

/// A list of labels as people write it: `a=1, b=2`.
fn written(labels: &[(String, String)]) -> String {
    let pairs: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(", ")
}
