//! Applications over the clusters of a fleet: Bookinfo, and those of the fleet's owners.
//!
//! A name is looked up in the caller's own cluster, so a Service must stand in every cluster where a caller runs, also where
//! none of its pods do; the mesh joins the pods of all clusters behind it.

mod add;
mod bookinfo;
mod copy;
mod place;
mod remove;
mod view;

pub use add::AddApp;
pub use bookinfo::{AddBookinfo, ServiceAnnotation};
pub use place::{MoveApp, PlaceApp};
pub use remove::RemoveApp;

use crate::fleet::{FleetState, Target};

/// A namespace that nothing in Git makes is perhaps made by somebody else.
fn missing_namespace(namespace: Option<&str>, cluster: &str, state: &FleetState) -> Option<String> {
    let namespace = namespace.filter(|namespace| *namespace != "default")?;
    let target = Target::Cluster(cluster.into());
    let declared = state
        .manifests_of(&target)
        .any(|manifest| manifest.group_kind().is("", "Namespace") && *manifest.id.name == *namespace);
    (!declared).then(|| format!("the fleet has no Namespace {namespace} for {cluster}: it must be there already"))
}
