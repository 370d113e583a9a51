//! Changing where a rule of an existing route goes.

use super::super::fleet_view::fleet;
use super::super::workspace::{Change, Workspace};
use super::super::{AuthoringError, Plan, did_you_mean};
use super::subsets::{self, rule_of, with_weights};
use super::{ApiVersion, Destination, Retries, Scope, Setting, SubsetSpec, Weight, objects};
use crate::fleet::{FleetState, Manifest, Position, Tree};
use crate::object::At as _;
use serde_json::Value;

/// Set where a rule of a route goes.
#[derive(Clone, Debug, Default)]
pub struct SetRoute {
    /// Name of the VirtualService.
    pub name: String,
    /// Its namespace; `default` when absent.
    pub namespace: Option<String>,
    /// The rule, by its name or its number from 1; the only one when absent.
    pub rule: Option<String>,
    /// Where requests go; as before when empty.
    pub destinations: Vec<Destination>,
    /// Subsets to declare besides those that the destinations name.
    pub subsets: Vec<SubsetSpec>,
    /// How long a request may take.
    pub timeout: Setting<String>,
    /// How often a request that fails is tried again.
    pub retries: Setting<Retries>,
    /// Names that the fleet does not know are allowed.
    pub allow_unknown: bool,
}

/// Shift the weights of a rule of a route.
#[derive(Clone, Debug, Default)]
pub struct WeighRoute {
    /// Name of the VirtualService.
    pub name: String,
    /// Its namespace; `default` when absent.
    pub namespace: Option<String>,
    /// The rule, by its name or its number from 1; the only one when absent.
    pub rule: Option<String>,
    /// The shares. Destinations that are not named leave the rule.
    pub weights: Vec<Weight>,
}

impl SetRoute {
    /// The edits of the route's file, and of the DestinationRule that lacks a subset.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        fleet(state)?;
        let scope = Scope { state, written: self.namespace.as_deref(), allow_unknown: self.allow_unknown };
        let route = scope.route(&self.name)?;
        let rule = Rule::find(route, self.rule.as_deref())?;
        let mut workspace = Workspace::new(tree);
        let mut warnings = Vec::new();
        if !self.destinations.is_empty() {
            warnings = set(&mut workspace, scope, &rule, &self.destinations, &self.subsets)?;
        } else if !self.subsets.is_empty() {
            return Err(AuthoringError::new("--subset declares subsets of the destinations: name those with --to"));
        }
        let (changes, more) = super::action::times(&rule, &self.timeout, &self.retries)?;
        workspace.change(rule.route, &changes)?;
        warnings.extend(more);
        Ok(Plan { edits: workspace.finish(), warnings })
    }
}

impl WeighRoute {
    /// The edits of the route's file.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        fleet(state)?;
        let scope = Scope { state, written: self.namespace.as_deref(), allow_unknown: false };
        let route = scope.route(&self.name)?;
        let rule = Rule::find(route, self.rule.as_deref())?;
        let mut workspace = Workspace::new(tree);
        let warnings = set(&mut workspace, scope, &rule, &self.wanted(scope, &rule)?, &[])?;
        Ok(Plan { edits: workspace.finish(), warnings })
    }

    /// The destinations that the weights mean.
    pub(super) fn wanted(&self, scope: Scope<'_>, rule: &Rule<'_>) -> Result<Vec<Destination>, AuthoringError> {
        let existing: Vec<_> = rule.destinations().into_iter().map(|(destination, _)| destination).collect();
        self.weights.iter().map(|weight| resolve(scope, rule, &existing, weight)).collect()
    }
}

/// The destination that a weight's name means: one of the rule, or a declared subset of one of its hosts.
fn resolve(
    scope: Scope<'_>,
    rule: &Rule<'_>,
    existing: &[Destination],
    weight: &Weight,
) -> Result<Destination, AuthoringError> {
    let mut known: Vec<Destination> = existing.to_vec();
    for host in existing.iter().map(|destination| &destination.host) {
        let declared = rule_of(scope, host).map(subsets::subsets).unwrap_or_default();
        for (subset, _) in declared {
            let destination =
                Destination { host: host.clone(), port: None, subset: Some(subset.to_owned()), weight: None };
            if !known.iter().any(|known| known.host == *host && known.subset == destination.subset) {
                known.push(destination);
            }
        }
    }
    let full = |destination: &Destination| Destination { port: None, ..destination.clone() }.to_string();
    let short = |destination: &Destination| destination.subset.clone().unwrap_or_else(|| destination.host.clone());
    let named: Vec<_> = known.iter().filter(|d| weight.name == short(d) || weight.name == full(d)).collect();
    match named[..] {
        [one] => Ok(Destination { weight: weight.percent, ..one.clone() }),
        [] => {
            let names: Vec<_> = known.iter().map(short).collect();
            Err(AuthoringError::new(format!("{rule} has no destination {}", weight.name))
                .at(&rule.route.position)
                .hints(did_you_mean(&weight.name, names.iter().map(String::as_str)))
                .hint(format!("it knows {}", names.join(", "))))
        }
        _ => {
            let names: Vec<_> = named.iter().map(|destination| full(destination)).collect();
            Err(AuthoringError::new(format!("{} may mean {}", weight.name, names.join(" or ")))
                .hint("write it in full"))
        }
    }
}

/// Makes a rule go to these destinations, keeping what its entries say besides.
pub(super) fn set(
    workspace: &mut Workspace<'_>,
    scope: Scope<'_>,
    rule: &Rule<'_>,
    wanted: &[Destination],
    extra: &[SubsetSpec],
) -> Result<Vec<String>, AuthoringError> {
    let existing = rule.destinations();
    let mut wanted = with_weights(wanted)?;
    for destination in &mut wanted {
        // The port goes without saying when the rule has it for the same host.
        if destination.port.is_none() {
            let same_host =
                |(known, _): &&(Destination, usize)| scope.full_host(&known.host) == scope.full_host(&destination.host);
            destination.port = existing.iter().find(same_host).and_then(|(known, _)| known.port);
        }
    }
    let mut warnings = Vec::new();
    for destination in &wanted {
        warnings.extend(scope.check_destination(destination)?);
    }
    warnings.extend(declare(workspace, scope, rule.route, &wanted, extra)?);
    let (changes, dropped) = rule.changes(scope, &existing, &wanted);
    workspace.change(rule.route, &changes)?;
    warnings.extend(dropped.into_iter().map(|destination| {
        let share = destination.weight.map(|weight| format!(" ({weight}%)")).unwrap_or_default();
        format!("{destination}{share} is out of {rule} and gets no requests any more")
    }));
    warnings.dedup();
    Ok(warnings)
}

/// Declares the subsets that destinations of a route name; a new DestinationRule goes into the route's file.
pub(super) fn declare(
    workspace: &mut Workspace<'_>,
    scope: Scope<'_>,
    route: &Manifest,
    destinations: &[Destination],
    extra: &[SubsetSpec],
) -> Result<Vec<String>, AuthoringError> {
    let declared = subsets::ensure(workspace, scope, api_of(route), destinations, extra)?;
    for rule in &declared.new_rules {
        let text = format!("# The versions that routes can name.\n{}", rule.write());
        workspace.append(&route.position.file, &text)?;
    }
    Ok(declared.warnings)
}

fn api_of(route: &Manifest) -> ApiVersion {
    match &*route.api_version {
        "networking.istio.io/v1alpha3" => ApiVersion::V1Alpha3,
        "networking.istio.io/v1" => ApiVersion::V1,
        _ => ApiVersion::V1Beta1,
    }
}

/// One HTTP rule of a VirtualService.
pub(super) struct Rule<'a> {
    pub(super) route: &'a Manifest,
    pub(super) index: usize,
    is_only: bool,
    pub(super) value: &'a Value,
}

impl std::fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_only {
            return write!(f, "the route {}", self.route.id.name);
        }
        let name = self.value.get("name").and_then(Value::as_str);
        let name = name.map_or_else(|| (self.index + 1).to_string(), str::to_owned);
        write!(f, "rule {name} of {}", self.route.id.name)
    }
}

impl<'a> Rule<'a> {
    /// The rule with a name or number (from 1), or the only one. It must have destinations.
    pub(super) fn find(route: &'a Manifest, wanted: Option<&str>) -> Result<Self, AuthoringError> {
        let rule = Self::locate(route, wanted)?;
        if rule.destinations().is_empty() {
            return Err(AuthoringError::new(format!(
                "{rule} has no destinations (it redirects, answers itself or delegates)"
            ))
            .at(&rule.position()));
        }
        Ok(rule)
    }

    /// Where it stands.
    pub(super) fn position(&self) -> Position {
        self.route.position_of(&self.pointer(""))
    }

    /// The JSON pointer of a field (`/mirror`) or, for nothing, of the rule.
    pub(super) fn pointer(&self, field: &str) -> String {
        format!("/spec/http/{}{field}", self.index)
    }

    /// The rule with a name or number (from 1), or the only one.
    pub(super) fn locate(route: &'a Manifest, wanted: Option<&str>) -> Result<Self, AuthoringError> {
        let rules = route.object.at("/spec/http").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let name_of = |rule: &Value| rule.get("name").and_then(Value::as_str).map(str::to_owned);
        let fail = |message: String| {
            let listed = rules.iter().enumerate().map(|(index, rule)| match name_of(rule) {
                Some(name) => format!("{} ({name})", index + 1),
                None => (index + 1).to_string(),
            });
            let listed = listed.collect::<Vec<_>>().join(", ");
            Err(AuthoringError::new(message)
                .at(&route.position)
                .hint(format!("its rules are {listed}: name one with --rule")))
        };
        let name = &route.id.name;
        let index = match wanted {
            _ if rules.is_empty() => {
                return Err(AuthoringError::new(format!("the route {name} has no HTTP rules")).at(&route.position));
            }
            Some(wanted) => {
                let by_name = rules.iter().position(|rule| name_of(rule).is_some_and(|name| name == wanted));
                let by_number = || wanted.parse::<usize>().ok()?.checked_sub(1).filter(|index| *index < rules.len());
                match by_name.or_else(by_number) {
                    Some(index) => index,
                    None => return fail(format!("the route {name} has no rule {wanted}")),
                }
            }
            None if rules.len() == 1 => 0,
            None => return fail(format!("the route {name} has {} rules", rules.len())),
        };
        Ok(Self { route, index, is_only: rules.len() == 1, value: &rules[index] })
    }

    /// The destinations with their indices.
    pub(super) fn destinations(&self) -> Vec<(Destination, usize)> {
        let entries = self.value.get("route").and_then(Value::as_array).into_iter().flatten().enumerate();
        let number = |value: Option<&Value>| value.and_then(Value::as_u64);
        entries
            .filter_map(|(index, entry)| {
                let to = entry.get("destination")?;
                let destination = Destination {
                    host: to.get("host")?.as_str()?.to_owned(),
                    port: number(to.at("/port/number")).and_then(|port| u16::try_from(port).ok()),
                    subset: to.get("subset").and_then(Value::as_str).map(str::to_owned),
                    weight: number(entry.get("weight")).and_then(|weight| u32::try_from(weight).ok()),
                };
                Some((destination, index))
            })
            .collect()
    }

    /// The changes that make the rule go to the wanted destinations, and the destinations that go.
    fn changes(
        &self,
        scope: Scope<'_>,
        existing: &[(Destination, usize)],
        wanted: &[Destination],
    ) -> (Vec<Change>, Vec<Destination>) {
        let list = format!("/spec/http/{}/route", self.index);
        let at = |index: usize, field: &str| format!("{list}/{index}/{field}");
        let same = |a: &Destination, b: &Destination| {
            scope.full_host(&a.host) == scope.full_host(&b.host) && a.port == b.port && a.subset == b.subset
        };
        // One destination for another of the same host is a change of its subset, not of the list.
        if let ([(old, index)], [new]) = (existing, wanted)
            && scope.full_host(&old.host) == scope.full_host(&new.host)
            && old.port == new.port
        {
            let mut changes = Vec::new();
            match &new.subset {
                Some(subset) if old.subset.as_ref() != Some(subset) => {
                    changes.push(Change::Set(at(*index, "destination/subset"), subset.as_str().into()));
                }
                None if old.subset.is_some() => changes.push(Change::Remove(at(*index, "destination/subset"))),
                _ => {}
            }
            if old.weight.is_some_and(|weight| weight != 100) {
                changes.push(Change::Set(at(*index, "weight"), 100.into()));
            }
            return (changes, Vec::new());
        }
        let (mut weights, mut pushes, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for destination in wanted {
            match existing.iter().find(|(old, _)| same(old, destination)) {
                Some((old, index)) => {
                    kept.push(*index);
                    let weight = destination.weight.or(old.weight.map(|_| 100));
                    if let Some(weight) = weight.filter(|weight| old.weight != Some(*weight)) {
                        weights.push(Change::Set(at(*index, "weight"), weight.into()));
                    }
                }
                None => pushes.push(Change::Push(list.clone(), objects::route(destination).value())),
            }
        }
        let gone: Vec<_> = existing.iter().filter(|(_, index)| !kept.contains(index)).collect();
        // From the end, so that the indices before stay right; last, so that the list is never empty.
        let removals = gone.iter().rev().map(|(_, index)| Change::Remove(format!("{list}/{index}")));
        let changes = weights.into_iter().chain(pushes).chain(removals).collect();
        (changes, gone.into_iter().map(|(destination, _)| destination.clone()).collect())
    }
}
