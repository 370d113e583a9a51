//! Shifting weights in steps, so that each step is a commit of its own.

use super::super::edit::Edited;
use super::super::fleet_view::fleet;
use super::super::workspace::Workspace;
use super::super::{AuthoringError, FileEdit, Plan};
use super::change::{self, Rule};
use super::subsets::with_weights;
use super::{Destination, Scope, SplitRoute, SubsetSpec, WeighRoute};
use crate::fleet::{FleetState, Tree};

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it does, for the commit: `route reviews: v3 to 10 %`.
    pub message: String,
    /// Its edits, on top of those of the steps before it.
    pub plan: Plan,
}

impl WeighRoute {
    /// The edits of each step: percents of the destination that grows, the last of which is its share in the end.
    pub fn steps(&self, tree: &dyn Tree, state: &FleetState, percents: &[u32]) -> Result<Vec<Step>, AuthoringError> {
        fleet(state)?;
        let scope = Scope { state, written: self.namespace.as_deref(), allow_unknown: false };
        let route = scope.route(&self.name)?;
        let rule = Rule::find(route, self.rule.as_deref())?;
        let wanted = self.wanted(scope, &rule)?;
        Shift { route: &self.name, rule: self.rule.as_deref(), extra: &[] }.plan(tree, scope, &wanted, percents)
    }
}

impl SplitRoute {
    /// The edits of each step: percents of the version that grows, the last of which is its share in the end.
    pub fn steps(&self, tree: &dyn Tree, state: &FleetState, percents: &[u32]) -> Result<Vec<Step>, AuthoringError> {
        fleet(state)?;
        let scope = Scope { state, written: self.namespace.as_deref(), allow_unknown: self.allow_unknown };
        let route = self.existing(scope).ok_or_else(|| {
            AuthoringError::new(format!(
                "{} has no route yet: its requests go to all versions, and there is nothing to shift in steps from",
                self.host
            ))
            .hint(format!("say first where they go now: kubectl asm route split {} --to VERSION=100", self.host))
        })?;
        let name = route.id.name.to_string();
        Shift { route: &name, rule: None, extra: &self.subsets }.plan(tree, scope, &self.destinations()?, percents)
    }
}

struct Shift<'a> {
    route: &'a str,
    rule: Option<&'a str>,
    extra: &'a [SubsetSpec],
}

impl Shift<'_> {
    fn plan(
        &self,
        tree: &dyn Tree,
        scope: Scope<'_>,
        wanted: &[Destination],
        percents: &[u32],
    ) -> Result<Vec<Step>, AuthoringError> {
        let route = scope.route(self.route)?;
        let rule = Rule::find(route, self.rule)?;
        let now = rule.destinations().into_iter().map(|(destination, _)| destination).collect::<Vec<_>>();
        let shares = shares(scope, &now, wanted, percents).map_err(|error| error.at(&rule.position()))?;
        let (namespace, allow_unknown) = (scope.written, scope.allow_unknown);
        let mut steps: Vec<Step> = Vec::new();
        for (percent, destinations) in shares {
            let edits = latest(&steps);
            let after = Edited::new(tree, &edits);
            let state = FleetState::read(&after);
            let scope = Scope { state: &state, written: namespace, allow_unknown };
            let rule = Rule::find(scope.route(self.route)?, self.rule)?;
            let mut workspace = Workspace::new(&after);
            let warnings = change::set(&mut workspace, scope, &rule, &destinations, self.extra)?;
            let name = grower(scope, &now, wanted).map(short).unwrap_or_default();
            steps.push(Step {
                message: format!("route {}: {name} to {percent} %", self.route),
                plan: Plan { edits: workspace.finish(), warnings },
            });
        }
        Ok(steps)
    }
}

/// The last content of every file that the steps change.
fn latest(steps: &[Step]) -> Vec<FileEdit> {
    let mut edits: Vec<FileEdit> = Vec::new();
    for edit in steps.iter().flat_map(|step| &step.plan.edits) {
        edits.retain(|known| known.path != edit.path);
        edits.push(edit.clone());
    }
    edits
}

fn short(destination: &Destination) -> String {
    destination.subset.clone().unwrap_or_else(|| destination.host.clone())
}

fn same(scope: Scope<'_>, a: &Destination, b: &Destination) -> bool {
    let port = a.port.is_none() || b.port.is_none() || a.port == b.port;
    scope.full_host(&a.host) == scope.full_host(&b.host) && a.subset == b.subset && port
}

/// The share of a destination; an only one has all.
fn share(scope: Scope<'_>, of: &Destination, among: &[Destination]) -> u32 {
    let found = among.iter().find(|known| same(scope, known, of));
    found.map_or(0, |found| found.weight.unwrap_or(if among.len() == 1 { 100 } else { 0 }))
}

/// The only destination whose share grows.
fn grower<'a>(scope: Scope<'_>, now: &[Destination], wanted: &'a [Destination]) -> Option<&'a Destination> {
    let mut growing = wanted.iter().filter(|to| share(scope, to, wanted) > share(scope, to, now));
    growing.next().filter(|_| growing.next().is_none())
}

/// The destinations of each step, with the percent of the one that grows.
fn shares(
    scope: Scope<'_>,
    now: &[Destination],
    wanted: &[Destination],
    percents: &[u32],
) -> Result<Vec<(u32, Vec<Destination>)>, AuthoringError> {
    with_weights(wanted)?;
    if now.iter().map(|to| share(scope, to, now)).sum::<u32>() != 100 {
        return Err(AuthoringError::new(
            "the weights of the rule do not add up to 100 now, so there is nothing to step from",
        )
        .hint("set them first, without --steps"));
    }
    let Some(target) = grower(scope, now, wanted) else {
        return Err(AuthoringError::new("--steps needs exactly one destination whose share grows")
            .hint("name the one that is to grow, for example v3=100, or leave --steps out"));
    };
    let (from, to) = (share(scope, target, now), share(scope, target, wanted));
    let name = short(target);
    if !percents.windows(2).all(|pair| pair[0] < pair[1]) {
        return Err(AuthoringError::new("each of --steps must be greater than the one before"));
    }
    if percents.last() != Some(&to) {
        return Err(AuthoringError::new(format!(
            "the last of --steps is the share in the end: {name} is to get {to}, not {}",
            percents.last().copied().unwrap_or_default()
        )));
    }
    // Those that are there already, in their order, then those that are new.
    let mut all: Vec<Destination> = now.to_vec();
    all.extend(wanted.iter().filter(|to| !now.iter().any(|known| same(scope, known, to))).cloned());
    let mut steps = Vec::new();
    // A run that was interrupted goes on where it was.
    for percent in percents.iter().copied().filter(|percent| *percent > from) {
        let mut destinations = if percent == to { wanted.to_vec() } else { all.clone() };
        if percent != to {
            let others: Vec<usize> =
                (0..destinations.len()).filter(|index| !same(scope, &destinations[*index], target)).collect();
            // Hundredths of percents between now and the end; what does not divide goes to the greatest rests.
            let exact = |destination: &Destination| {
                let (a, b) = (share(scope, destination, now), share(scope, destination, wanted));
                a * (to - percent) + b * (percent - from)
            };
            let span = to - from;
            let parts: Vec<u32> = others.iter().map(|index| exact(&destinations[*index])).collect();
            let mut whole: Vec<u32> = parts.iter().map(|part| part / span).collect();
            let mut order: Vec<usize> = (0..parts.len()).collect();
            order.sort_by_key(|index| std::cmp::Reverse(parts[*index] % span));
            let missing = (100 - percent).saturating_sub(whole.iter().sum());
            for index in order.into_iter().take(missing as usize) {
                whole[index] += 1;
            }
            for destination in &mut destinations {
                destination.weight = Some(percent);
            }
            for (index, weight) in others.into_iter().zip(whole) {
                destinations[index].weight = Some(weight);
            }
        }
        steps.push((percent, destinations));
    }
    Ok(steps)
}
