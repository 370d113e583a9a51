//! Removing workloads, without leaving routes and callers behind that lead nowhere.

use super::super::fleet_view::{self, cluster, fleet};
use super::super::workspace::Workspace;
use super::super::{AuthoringError, Plan, Workload};
use super::bookinfo::Recognised;
use super::copy::account;
use super::view::{View, chooses, labels};
use crate::fleet::{FleetState, Manifest, Position, Target, Tree};
use crate::istio::{DestinationRule, VirtualService, full_host};
use crate::object::kinds::ISTIO_NETWORKING;
use std::collections::BTreeSet;

/// Remove workloads.
#[derive(Clone, Debug, Default)]
pub struct RemoveApp {
    /// `bookinfo`, a Service, `SERVICE-VERSION`, or a Deployment.
    pub name: String,
    /// Only from this cluster.
    pub cluster: Option<String>,
    /// Namespace; `default` when absent.
    pub namespace: Option<String>,
    /// Also when a route leads there.
    pub force: bool,
}

impl RemoveApp {
    /// The edits.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        let fleet = fleet(state)?;
        if let Some(name) = &self.cluster {
            cluster(fleet, name)?;
        }
        let view = View::new(state, self.namespace.as_deref());
        let found = self.found(&view)?;
        let in_cluster =
            |workload: &&&Manifest| self.cluster.as_ref().is_none_or(|name| workload.target.name() == name);
        let gone: Vec<&Manifest> = found.iter().filter(in_cluster).copied().collect();
        if gone.is_empty() {
            let where_to: BTreeSet<_> = found.iter().map(|workload| workload.target.name()).collect();
            return Err(AuthoringError::new(format!(
                "{} does not run in {}",
                self.name,
                self.cluster.as_deref().unwrap_or("any cluster")
            ))
            .hint(format!("it runs in {}", where_to.into_iter().collect::<Vec<_>>().join(", "))));
        }
        let mut warnings = routes_to(state, &view, &gone, self.force)?;
        warnings.extend(lost_callers(&view, &gone));
        if let Some(plan) = self.bookinfo(tree, state) {
            warnings.extend(plan.warnings.into_iter().filter(|_| self.cluster.is_some()));
            return Ok(Plan { edits: plan.edits, warnings });
        }
        let mut workspace = Workspace::new(tree);
        warnings.extend(leave(&mut workspace, state, &view, &gone, false)?);
        warnings.dedup();
        Ok(Plan { edits: workspace.finish(), warnings })
    }

    fn found<'a>(&self, view: &View<'a>) -> Result<Vec<&'a Manifest>, AuthoringError> {
        if self.name != "bookinfo" {
            return view.find(&self.name);
        }
        let names = super::super::BOOKINFO.iter();
        let parts: Vec<_> = names.flat_map(|service| view.find(service.name).unwrap_or_default()).collect();
        if parts.is_empty() { view.find(&self.name) } else { Ok(parts) }
    }

    fn bookinfo(&self, tree: &dyn Tree, state: &FleetState) -> Option<Plan> {
        let workload = Workload::parse(&self.name);
        let mut found = Recognised::find(tree, state, self.namespace.as_deref())?;
        let before = found.clusters();
        if self.name != "bookinfo" && workload.is_err() {
            return None;
        }
        for placed in &mut found.placed {
            let meant = workload.as_ref().is_ok_and(|workload| workload.covers(placed.service, placed.version.name));
            if self.name == "bookinfo" || meant {
                placed.clusters.retain(|name| self.cluster.as_ref().is_some_and(|cluster| cluster != name));
            }
        }
        Some(found.written(tree, state, &before))
    }
}

/// Routes and subsets that lose their pods: the first route is an error unless it is forced.
fn routes_to(
    state: &FleetState,
    view: &View<'_>,
    gone: &[&Manifest],
    force: bool,
) -> Result<Vec<String>, AuthoringError> {
    let mut warnings = Vec::new();
    let stays = |workload: &&&Manifest| !gone.iter().any(|gone| std::ptr::eq(*gone, **workload));
    let services: BTreeSet<_> = gone.iter().flat_map(|workload| view.in_front(workload)).collect();
    let mesh = |kind: &'static str| {
        state.manifests.iter().filter(move |manifest| manifest.group_kind().is(ISTIO_NETWORKING, kind))
    };
    let namespace = gone.first().map_or("default", |workload| fleet_view::namespace(workload));
    for name in services {
        let host = full_host(name, namespace);
        let same = |named: &str, manifest: &Manifest| {
            let named = full_host(named, fleet_view::namespace(manifest));
            named == host || host.strip_suffix(".svc.cluster.local") == Some(&named)
        };
        let left: Vec<_> = view.workloads.iter().filter(stays).filter(|workload| view.serves(name, workload)).collect();
        let mut lost = Vec::new();
        for rule in mesh("DestinationRule") {
            let read = DestinationRule::read(&rule.object);
            if !same(&read.host, rule) {
                continue;
            }
            for (index, subset) in read.subsets.into_iter().enumerate() {
                let of = |workload: &Manifest| {
                    labels(workload).is_some_and(|l| subset.labels.iter().all(|(key, value)| l.get(key) == Some(value)))
                };
                if gone.iter().any(|workload| of(workload)) && !left.iter().any(|workload| of(workload)) {
                    let at = rule.position_of(&format!("/spec/subsets/{index}"));
                    warnings.push(format!("the subset {} of {name} ({at}) has no pods any more", subset.name));
                    lost.push(subset.name);
                }
            }
        }
        for route in mesh("VirtualService") {
            for (to, pointer) in VirtualService::destinations(&route.object) {
                let subset = to.subset.as_ref().is_some_and(|subset| lost.contains(subset));
                if !same(&to.host, route) || to.weight == Some(0) || !(left.is_empty() || subset) {
                    continue;
                }
                let at: Position = route.position_of(&pointer);
                if !force {
                    return Err(AuthoringError::new(format!(
                        "the route {} still sends requests to {to}, which would have no pods any more",
                        route.id.name
                    ))
                    .at(&at)
                    .hint(format!("send them elsewhere first: kubectl asm route set {} --to …", route.id.name))
                    .hint("if they may fail, add --force"));
                }
                warnings.push(format!("{at}: the route {} still sends requests to {to}, which fail", route.id.name));
            }
        }
    }
    Ok(warnings)
}

/// Callers of what runs nowhere any more.
fn lost_callers(view: &View<'_>, gone: &[&Manifest]) -> Vec<String> {
    let stays = |workload: &Manifest| !gone.iter().any(|gone| std::ptr::eq(*gone, workload));
    let services: BTreeSet<_> = gone.iter().flat_map(|workload| view.in_front(workload)).collect();
    let mut warnings = Vec::new();
    for name in services {
        if view.workloads.iter().any(|workload| stays(workload) && view.serves(name, workload)) {
            continue;
        }
        let callers =
            view.workloads.iter().filter(|workload| stays(workload) && view.calls(workload).services.contains(name));
        let callers: BTreeSet<_> = callers.map(|workload| &*workload.id.name).collect();
        if !callers.is_empty() {
            let callers: Vec<_> = callers.into_iter().collect();
            warnings.push(format!("{name} runs nowhere any more, and {} calls it", callers.join(" and ")));
        }
    }
    warnings
}

/// Removes workloads from where they are declared, with the accounts and Services that nothing there needs any more. Those
/// that `moved` run elsewhere from then on.
pub(super) fn leave(
    workspace: &mut Workspace<'_>,
    state: &FleetState,
    view: &View<'_>,
    gone: &[&Manifest],
    moved: bool,
) -> Result<Vec<String>, AuthoringError> {
    let mut warnings = Vec::new();
    let stays = |workload: &Manifest| !gone.iter().any(|gone| std::ptr::eq(*gone, workload));
    let clusters: BTreeSet<&Target> = gone.iter().map(|workload| &workload.target).collect();
    let mut objects: Vec<&Manifest> = gone.to_vec();
    for cluster in clusters {
        let here: Vec<_> = view.workloads.iter().filter(|w| w.target == *cluster && stays(w)).collect();
        for workload in gone.iter().filter(|workload| workload.target == *cluster) {
            let used = |account: &Manifest| {
                here.iter().any(|other| super::copy::account(state, other).is_some_and(|o| o.id == account.id))
            };
            objects.extend(account(state, workload).filter(|account| !used(account)));
        }
        for service in view.services.iter().filter(|service| service.target == *cluster) {
            let lost = gone.iter().any(|workload| workload.target == *cluster && chooses(service, workload));
            let has_pods = here.iter().any(|workload| chooses(service, workload));
            if !lost || has_pods {
                continue;
            }
            let name = &*service.id.name;
            let elsewhere = moved || view.workloads.iter().any(|w| stays(w) && view.serves(name, w));
            let callers: Vec<_> = here.iter().map(|workload| (workload, view.calls(workload))).collect();
            if let Some((caller, _)) = callers.iter().find(|(_, calls)| calls.services.contains(name)) {
                warnings.push(format!("the Service {name} stays in {cluster}: {} calls it there", caller.id.name));
            } else if elsewhere && callers.iter().any(|(_, calls)| !calls.complete) {
                warnings.push(format!(
                    "the Service {name} stays in {cluster}: whether {} calls it there is not known here",
                    callers
                        .iter()
                        .filter(|(_, calls)| !calls.complete)
                        .map(|(w, _)| &*w.id.name)
                        .collect::<Vec<_>>()
                        .join(" or ")
                ));
            } else {
                objects.push(service);
            }
        }
    }
    // Where a Service stands for its name only, it goes with the last of its pods, unless somebody calls it.
    for service in view.services.iter().filter(|_| !moved) {
        let name = &*service.id.name;
        let served = gone.iter().any(|workload| view.serves(name, workload));
        let left = view.workloads.iter().any(|workload| stays(workload) && view.serves(name, workload));
        let called = view
            .workloads
            .iter()
            .any(|w| w.target == service.target && stays(w) && view.calls(w).services.contains(name));
        let known = objects.iter().any(|object| std::ptr::eq(*object, *service));
        // Those with pods in their own cluster were judged above.
        let judged = gone.iter().any(|workload| workload.target == service.target && chooses(service, workload));
        if served && !left && !called && !known && !judged {
            objects.push(service);
        }
    }
    for object in &objects {
        let own = format!("clusters/{}/", object.target);
        if !object.position.file.starts_with(&own) {
            return Err(AuthoringError::new(format!(
                "{} is declared for all clusters of a group, not for {} alone",
                object.id, object.target
            ))
            .at(&object.position)
            .hint("move its file to clusters/CLUSTER/ first, or edit it by hand"));
        }
    }
    let mut files: Vec<&str> = objects.iter().map(|object| &*object.position.file).collect();
    files.sort_unstable();
    files.dedup();
    for file in files {
        let mut of_file: Vec<&Manifest> = objects.iter().filter(|o| *o.position.file == *file).copied().collect();
        of_file.dedup_by(|a, b| std::ptr::eq(*a, *b));
        workspace.remove_objects(file, &of_file)?;
    }
    Ok(warnings)
}
