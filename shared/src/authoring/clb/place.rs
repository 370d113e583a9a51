//! Where a load balancer is added: clusters in which the gateway runs, each with what the gateway is there.

use super::NAMESPACE;
use super::view::{gateways, ordinary_gateways, spec_in};
use crate::asm::gateway::{cluster_ids, generated_name, is_serverless};
use crate::authoring::AuthoringError;
use crate::authoring::fleet_view::{cluster, fleet};
use crate::authoring::suggest::did_you_mean;
use crate::fleet::{Cluster, Fleet, FleetState, Manifest, Target};
use serde_json::Value;

/// Where a load balancer is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClbPlace {
    /// These clusters, a file for each; the gateway's only one when empty.
    Clusters(Vec<String>),
    /// Every cluster in which the gateway runs, a file for each.
    AllClusters,
    /// The clusters of a group, one file for all.
    Group(String),
}

/// One cluster with what the gateway is there.
pub(super) struct Site<'a> {
    pub(super) cluster: &'a Cluster,
    /// `spec` of the IstioGateway in this cluster.
    pub(super) gateway: Value,
}

impl Site<'_> {
    pub(super) fn target(&self) -> Target {
        Target::Cluster(self.cluster.name.as_str().into())
    }
}

/// A gateway that runs in member clusters, by its name.
pub(super) fn gateway<'a>(state: &'a FleetState, name: &str) -> Result<&'a Manifest, AuthoringError> {
    let Some(found) = gateways(state).find(|gateway| *gateway.id.name == *name) else {
        return Err(unknown(state, name));
    };
    if is_serverless(&found.object) {
        return Err(AuthoringError::new(format!(
            "the gateway {name} is serverless: ASM runs its pods outside of the member clusters, so a Service there would \
             select nothing"
        ))
        .at(&found.position_of("/metadata/annotations"))
        .hint("a serverless gateway has the one load balancer that ASM gives it; add one to a gateway in clusters, or \
               create such a gateway with: kubectl asm gateway create NAME --cluster CLUSTER"));
    }
    Ok(found)
}

fn unknown(state: &FleetState, name: &str) -> AuthoringError {
    // Two of one name: neither counts, and the fleet says where they stand.
    let twice = format!("IstioGateway {NAMESPACE}/{name} is given twice");
    if let Some(problem) = state.problems.iter().find(|problem| problem.message.starts_with(&twice)) {
        let error = AuthoringError { position: problem.position.clone(), ..AuthoringError::new(&*problem.message) };
        return error.hints(problem.hint.clone());
    }
    let names: Vec<&str> = gateways(state).map(|gateway| &*gateway.id.name).collect();
    let error = AuthoringError::new(format!("the fleet has no gateway {name}"));
    let error = error.hints(did_you_mean(name, names.iter().copied()));
    if names.is_empty() {
        error.hint(format!("create it first: kubectl asm gateway create {name} --cluster CLUSTER"))
    } else {
        error.hint(format!("it has {}", names.join(", ")))
    }
}

/// The clusters that are meant.
pub(super) fn sites<'a>(
    state: &'a FleetState,
    gateway: &Manifest,
    place: &ClbPlace,
) -> Result<Vec<Site<'a>>, AuthoringError> {
    let fleet = fleet(state)?;
    let ids = cluster_ids(&gateway.object);
    let runs_in = |cluster: &Cluster| cluster.id.as_deref().is_some_and(|id| ids.contains(&id));
    let home: Vec<&Cluster> = fleet.spec.clusters.iter().filter(|cluster| runs_in(cluster)).collect();
    let names: Vec<&str> = home.iter().map(|cluster| cluster.name.as_str()).collect();
    let chosen: Vec<&Cluster> = match place {
        ClbPlace::Clusters(wanted) if wanted.is_empty() && home.len() == 1 => home.clone(),
        ClbPlace::Clusters(wanted) if wanted.is_empty() && home.len() > 1 => {
            return Err(AuthoringError::new(format!("the gateway {} runs in {}", gateway.id.name, names.join(", ")))
                .at(&gateway.position_of("/spec/clusterIds"))
                .hint("say where the load balancer is to be: --cluster NAME[,NAME…] or --all-clusters"));
        }
        ClbPlace::Clusters(wanted) => {
            let mut chosen: Vec<&Cluster> = Vec::new();
            for name in wanted {
                let found = cluster(fleet, name)?;
                if !chosen.iter().any(|known| known.name == found.name) {
                    chosen.push(found);
                }
            }
            chosen
        }
        ClbPlace::AllClusters => home.clone(),
        ClbPlace::Group(name) => members(fleet, name)?,
    };
    if chosen.is_empty() {
        return Err(AuthoringError::new(format!(
            "the gateway {} runs in no cluster that fleet.yaml has with its `id:`",
            gateway.id.name
        ))
        .at(&gateway.position_of("/spec/clusterIds"))
        .hint("compare the clusterIds of the gateway with: kubectl asm cluster list"));
    }
    if let Some(stranger) = chosen.iter().find(|cluster| !runs_in(cluster)) {
        let known = if names.is_empty() { "no cluster of the fleet".to_owned() } else { names.join(", ") };
        let error = AuthoringError::new(format!(
            "the gateway {} does not run in {}: a Service there would select no pod",
            gateway.id.name, stranger.name
        ))
        .at(&gateway.position_of("/spec/clusterIds"));
        let error = if stranger.id.is_none() {
            error.hint(format!(
                "cluster {} has no `id:` in fleet.yaml, and a gateway names clusters by it",
                stranger.name
            ))
        } else {
            error
        };
        return Err(error.hint(format!("it runs in {known}")));
    }
    Ok(chosen.into_iter().map(|cluster| Site { cluster, gateway: spec_in(gateway, cluster.id.as_deref()) }).collect())
}

fn members<'a>(fleet: &'a Fleet, name: &str) -> Result<Vec<&'a Cluster>, AuthoringError> {
    let names = || fleet.spec.groups.iter().map(|group| group.name.as_str());
    let group = fleet.spec.groups.iter().find(|group| group.name == name).ok_or_else(|| {
        let error = AuthoringError::new(format!("fleet.yaml has no group {name}")).hints(did_you_mean(name, names()));
        let known: Vec<_> = names().collect();
        if known.is_empty() {
            error.hint("it has no groups: name the clusters with --cluster NAME[,NAME…] or --all-clusters")
        } else {
            error.hint(format!("the fleet has {}", known.join(", ")))
        }
    })?;
    group.clusters.iter().map(|name| cluster(fleet, name)).collect()
}

/// The name of the new Service: the given one, or the first free `istio-<gateway>-2`, `-3`….
pub(super) fn free_name(
    state: &FleetState,
    gateway: &str,
    sites: &[Site<'_>],
    wanted: Option<&str>,
) -> Result<String, AuthoringError> {
    let generated_by = |name: &str| ordinary_gateways(state).find(|gateway| generated_name(&gateway.id.name) == name);
    let taken = |name: &str| {
        sites.iter().find_map(|site| {
            let target = site.target();
            let same = |manifest: &&Manifest| {
                manifest.group_kind().is("", "Service")
                    && manifest.id.namespace.as_deref() == Some(NAMESPACE)
                    && *manifest.id.name == *name
            };
            state.manifests_of(&target).find(same).map(|manifest| (site, manifest.position.clone()))
        })
    };
    let Some(name) = wanted else {
        let names = (2..).map(|number| format!("{}-{number}", generated_name(gateway)));
        let free = names.take(1000).find(|name| generated_by(name).is_none() && taken(name).is_none());
        let name = free.ok_or_else(|| AuthoringError::new("no name is free").hint("give one as the first argument"))?;
        check(&name)?;
        return Ok(name);
    };
    check(name)?;
    if let Some(owner) = generated_by(name) {
        return Err(AuthoringError::new(format!(
            "{name} is the Service that ASM generates for the gateway {}: both would write it in turn",
            owner.id.name
        ))
        .at(&owner.position)
        .hint(format!("choose another name, for example {}", free_name(state, gateway, sites, None)?)));
    }
    if let Some((site, position)) = taken(name) {
        return Err(AuthoringError::new(format!("{} has a Service {NAMESPACE}/{name} already", site.cluster.name))
            .at(&position)
            .hint(format!("choose another name, for example {}", free_name(state, gateway, sites, None)?)));
    }
    Ok(name.to_owned())
}

fn check(name: &str) -> Result<(), AuthoringError> {
    crate::authoring::fleet_view::check_name("a Service", name, 63)?;
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(AuthoringError::new(format!("`{name}` cannot be the name of a Service"))
            .hint("begin with a letter: the name becomes a DNS name"));
    }
    Ok(())
}
