//! Where workloads run: one more cluster, or another one.

use super::super::fleet_view::{cluster, fleet};
use super::super::workspace::Workspace;
use super::super::{AuthoringError, Plan, Workload};
use super::bookinfo::Recognised;
use super::copy::bring;
use super::missing_namespace;
use super::remove::leave;
use super::view::{View, placed};
use crate::fleet::{FleetState, Tree};

/// Let workloads run in more clusters.
#[derive(Clone, Debug, Default)]
pub struct PlaceApp {
    /// `SERVICE[-VERSION]` and the cluster it runs in from now on, too.
    pub rules: Vec<(String, String)>,
    /// Namespace; `default` when absent.
    pub namespace: Option<String>,
    /// Services that the workloads call, besides those that can be told.
    pub calls: Vec<String>,
}

impl PlaceApp {
    /// Reads `SERVICE[-VERSION]=CLUSTER[,CLUSTER]`, several of them separated by commas.
    pub fn parse_rules(text: &str) -> Result<Vec<(String, String)>, AuthoringError> {
        let mut rules: Vec<(String, String)> = Vec::new();
        let mut current: Option<&str> = None;
        for part in text.split(',').map(str::trim) {
            let cluster = match part.split_once('=') {
                Some((workload, cluster)) => {
                    current = Some(workload.trim());
                    cluster.trim()
                }
                None => part,
            };
            match current {
                Some(workload) if !workload.is_empty() && !cluster.is_empty() => {
                    rules.push((workload.to_owned(), cluster.to_owned()));
                }
                _ => {
                    return Err(AuthoringError::new(format!("`{text}` does not say what runs where"))
                        .hint("write SERVICE[-VERSION]=CLUSTER[,CLUSTER], for example reviews-v3=m1c1"));
                }
            }
        }
        Ok(rules)
    }

    /// The edits.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        let fleet = fleet(state)?;
        for (_, name) in &self.rules {
            cluster(fleet, name)?;
        }
        if let Some(plan) = self.bookinfo(tree, state) {
            return Ok(plan);
        }
        let view = View::new(state, self.namespace.as_deref());
        let (mut workspace, mut warnings) = (Workspace::new(tree), Vec::new());
        let mut brought = Vec::new();
        for (name, cluster) in &self.rules {
            let mut done: Vec<&str> = Vec::new();
            for workload in view.find(name)? {
                let there = view.workloads.iter().any(|w| w.target.name() == cluster && w.id == workload.id);
                if there || done.contains(&&*workload.id.name) {
                    continue;
                }
                done.push(&workload.id.name);
                warnings.extend(bring(&mut workspace, tree, state, workload, cluster, &self.calls, &mut brought)?);
            }
            warnings.extend(missing_namespace(self.namespace.as_deref(), cluster, state));
        }
        warnings.dedup();
        Ok(Plan { edits: workspace.finish(), warnings })
    }

    /// Bookinfo in files that nobody has changed is written anew.
    fn bookinfo(&self, tree: &dyn Tree, state: &FleetState) -> Option<Plan> {
        let mut found = Recognised::find(tree, state, self.namespace.as_deref()).filter(|_| self.calls.is_empty())?;
        let before = found.clusters();
        for (name, cluster) in &self.rules {
            let workload = Workload::parse(name).ok()?;
            for placed in Recognised::meant(&mut found.placed, &workload) {
                if !placed.clusters.contains(cluster) {
                    placed.clusters.push(cluster.clone());
                }
            }
        }
        Some(found.written(tree, state, &before))
    }
}

/// Let a workload run in another cluster instead of where it runs.
#[derive(Clone, Debug, Default)]
pub struct MoveApp {
    /// `SERVICE[-VERSION]`.
    pub name: String,
    /// The cluster it runs in from now on.
    pub to: String,
    /// Namespace; `default` when absent.
    pub namespace: Option<String>,
    /// Services that it calls, besides those that can be told.
    pub calls: Vec<String>,
}

impl MoveApp {
    /// The edits.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        cluster(fleet(state)?, &self.to)?;
        if let Some(plan) = self.bookinfo(tree, state) {
            return Ok(plan);
        }
        let view = View::new(state, self.namespace.as_deref());
        let (mut workspace, mut warnings) = (Workspace::new(tree), Vec::new());
        let (mut brought, mut done) = (Vec::new(), Vec::new());
        let found = view.find(&self.name)?;
        let leaving: Vec<_> = found.iter().filter(|workload| workload.target.name() != self.to).copied().collect();
        for workload in &leaving {
            let there = found.iter().any(|w| w.target.name() == self.to && w.id == workload.id);
            if !there && !done.contains(&&workload.id) {
                done.push(&workload.id);
                warnings.extend(bring(&mut workspace, tree, state, workload, &self.to, &self.calls, &mut brought)?);
            }
        }
        // What stays behind: names that callers there still look up.
        warnings.extend(leave(&mut workspace, state, &view, &leaving, true)?);
        for workload in &leaving {
            warnings.push(format!(
                "{} ends there when this is synced; requests go to {} from then on",
                placed(workload),
                self.to
            ));
        }
        warnings.extend(missing_namespace(self.namespace.as_deref(), &self.to, state));
        warnings.dedup();
        Ok(Plan { edits: workspace.finish(), warnings })
    }

    fn bookinfo(&self, tree: &dyn Tree, state: &FleetState) -> Option<Plan> {
        let workload = Workload::parse(&self.name).ok().filter(|_| self.calls.is_empty())?;
        let mut found = Recognised::find(tree, state, self.namespace.as_deref())?;
        let before = found.clusters();
        for placed in Recognised::meant(&mut found.placed, &workload) {
            if !placed.clusters.is_empty() {
                placed.clusters = vec![self.to.clone()];
            }
        }
        Some(found.written(tree, state, &before))
    }
}
