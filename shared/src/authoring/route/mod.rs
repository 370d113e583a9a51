//! Routes: a VirtualService, the DestinationRule with the subsets it names, and the Gateway it binds to.

mod action;
mod add;
mod change;
mod grammar;
mod insert;
mod known;
mod matches;
mod objects;
mod reach;
mod remove;
mod reorder;
mod split;
mod steps;
mod subsets;

pub use action::{Fault, FaultRoute, MirrorRoute, Redirect, RedirectRoute, Retries, RewriteRoute, Setting, Share};
pub use add::{AddRoute, NewGateway};
pub use change::{SetRoute, WeighRoute};
pub use grammar::{ApiVersion, Destination, SubsetSpec, Weight};
pub use insert::{InsertRule, RuleAction};
pub use matches::MatchSpec;
pub use reach::RulePlace;
pub use remove::RemoveRoute;
pub use reorder::MoveRule;
pub use split::SplitRoute;
pub use steps::Step;

use super::AuthoringError;
use super::fleet_view;
use super::suggest::did_you_mean;
use crate::fleet::{FleetState, Manifest, Target};
use crate::istio::full_host;
use crate::object::kinds::ISTIO_NETWORKING;

/// What routes are asked about: the fleet, and the namespace of the route.
#[derive(Clone, Copy)]
struct Scope<'a> {
    state: &'a FleetState,
    /// As written on the command line; the manifests name none when absent.
    written: Option<&'a str>,
    /// Names that the fleet does not know are allowed.
    allow_unknown: bool,
}

impl<'a> Scope<'a> {
    fn namespace(&self) -> &'a str {
        self.written.unwrap_or("default")
    }

    /// The objects of a kind in the mesh and in this namespace.
    fn objects(&self, kind: &'a str) -> impl Iterator<Item = &'a Manifest> + use<'a> {
        let namespace = self.namespace();
        self.state.manifests.iter().filter(move |manifest| {
            manifest.target == Target::Mesh
                && manifest.group_kind().is(ISTIO_NETWORKING, kind)
                && fleet_view::namespace(manifest) == namespace
        })
    }

    /// An object of a kind by its name.
    fn find(&self, kind: &'a str, name: &str) -> Option<&'a Manifest> {
        self.objects(kind).find(|manifest| *manifest.id.name == *name)
    }

    /// A VirtualService by its name, or an error with the nearest names.
    fn route(&self, name: &str) -> Result<&'a Manifest, AuthoringError> {
        self.find("VirtualService", name).ok_or_else(|| {
            let names = || self.objects("VirtualService").map(|manifest| &*manifest.id.name);
            AuthoringError::new(format!("there is no route (VirtualService) {name} in namespace {}", self.namespace()))
                .hints(did_you_mean(name, names()))
                .hint(format!("add it with: kubectl asm route add {name} …"))
        })
    }

    /// The full name of a host, by which hosts are compared: `reviews` in namespace `shop` is
    /// `reviews.shop.svc.cluster.local`.
    fn full_host(&self, host: &str) -> String {
        full_host(host, self.namespace())
    }
}

/// Where a route's new file goes: `mesh/routes/<name>.yaml`, in a folder of its namespace unless that is `default`.
fn path(scope: Scope<'_>, name: &str) -> String {
    match scope.namespace() {
        "default" => format!("mesh/routes/{name}.yaml"),
        namespace => format!("mesh/routes/{namespace}/{name}.yaml"),
    }
}

/// Has the fleet a route (VirtualService) of this name?
pub fn route_exists(state: &FleetState, namespace: Option<&str>, name: &str) -> bool {
    Scope { state, written: namespace, allow_unknown: false }.find("VirtualService", name).is_some()
}
