//! What the agent does on its home cluster. `manifests/install/rbac.yaml` must say the same (a test compares them), and a test
//! on the lab holds both against the audit log of a real API server.

use super::{Access, Place};
use crate::api::FleetSync;
use crate::fleet::Target;

/// API group of the agent's own resources.
const OWN: &str = "kubectl-asm.io";

/// What is known of an agent.
#[derive(Clone, Copy, Debug)]
pub struct HostUse<'a> {
    /// Namespace of the agent, its Leases, and of FleetSyncs that do not say theirs.
    pub namespace: &'a str,
    /// It follows FleetSyncs of all namespaces (`--all-namespaces`).
    pub all_namespaces: bool,
    /// The FleetSyncs, and the targets of their fleets. Without any, Secrets and inventories are not limited to names.
    pub syncs: &'a [(FleetSync, Vec<Target>)],
    /// It takes hints of Git servers (`--webhook-address`).
    pub webhooks: bool,
}

/// What an agent needs in its own namespace, and in those of its FleetSyncs.
pub fn of_host(use_: &HostUse<'_>) -> Access {
    let mut access = Access::default();
    let here = Place { namespace: Some(use_.namespace), name: None };
    // One per replica and one per target: their names are not known before, and roles know no patterns.
    let leases = &["get", "list", "watch", "create", "update", "delete"];
    access.add(here, ("coordination.k8s.io", "leases"), leases);
    if use_.all_namespaces {
        access.add(Place::default(), (OWN, "fleetsyncs"), &["list", "watch"]);
    }
    if use_.syncs.is_empty() {
        common(&mut access, here, use_);
        access.add(here, ("", "configmaps"), &["get", "patch"]);
        access.add(here, ("", "secrets"), &["get", "list", "watch"]);
    }
    for (sync, targets) in use_.syncs {
        let namespace = sync.metadata.namespace.as_deref().unwrap_or(use_.namespace);
        let here = Place { namespace: Some(namespace), name: None };
        common(&mut access, here, use_);
        let name = sync.metadata.name.as_deref().unwrap_or_default();
        for target in targets {
            let inventory = format!("{name}-{}-inventory", target.name());
            access.add(Place { name: Some(&inventory), ..here }, ("", "configmaps"), &["get", "patch"]);
            let secret = sync.spec.kubeconfig_of(target.name()).name;
            // Watched by its name, so that a renewed one is taken up at once.
            access.add(Place { name: Some(&secret), ..here }, ("", "secrets"), &["get", "list", "watch"]);
        }
        for secret in secrets(sync) {
            access.add(Place { name: Some(secret), ..here }, ("", "secrets"), &["get"]);
        }
    }
    access
}

/// What does not depend on what a FleetSync says.
fn common(access: &mut Access, here: Place<'_>, use_: &HostUse<'_>) {
    // What is to be synced, and how it goes. A status is applied, and an apply asks for patch. `--once` gets.
    let follow: &[&'static str] = if use_.all_namespaces { &["get"] } else { &["get", "list", "watch"] };
    access.add(here, (OWN, "fleetsyncs"), follow);
    access.add(here, (OWN, "fleetsyncs/status"), &["patch"]);
    if use_.webhooks {
        // A hint becomes an annotation.
        access.add(here, (OWN, "fleetsyncs"), &["patch"]);
    }
    // What a former agent wrote of past drift is read back, and of several replicas each shows what the others write.
    access.add(here, (OWN, "driftreports"), &["get", "list", "watch", "create", "patch", "delete"]);
    access.add(here, (OWN, "driftreports/status"), &["patch"]);
    // Inventories. Creating cannot be limited to a name.
    access.add(here, ("", "configmaps"), &["create"]);
    access.add(here, ("events.k8s.io", "events"), &["create", "patch"]);
}

/// Secrets of the source and of the receivers of notifications: read when they are needed, never watched.
fn secrets(sync: &FleetSync) -> Vec<&str> {
    let source = &sync.spec.source;
    let mut names: Vec<&str> = source.secret_ref.iter().map(|reference| reference.name.as_str()).collect();
    names.extend(source.mirrors.iter().filter_map(|mirror| mirror.secret_ref.as_ref()).map(|r| r.name.as_str()));
    names.extend(source.verify.iter().map(|verify| verify.secret_ref.name.as_str()));
    names.extend(source.webhook.iter().map(|webhook| webhook.secret_ref.name.as_str()));
    names.extend(sync.spec.notifications.iter().map(|receiver| receiver.secret_ref.name.as_str()));
    names
}
