//! Subsets that a route names must stand in the DestinationRule of their host.

use super::super::text::Node;
use super::super::workspace::{Change, Workspace};
use super::super::{AuthoringError, did_you_mean};
use super::{ApiVersion, Destination, Scope, SubsetSpec, objects};
use crate::fleet::Manifest;
use crate::object::At as _;
use serde_json::Value;

/// What declaring subsets comes to, besides the changes in the workspace.
#[derive(Default)]
pub(super) struct Declared {
    /// DestinationRules for hosts that had none.
    pub(super) new_rules: Vec<Node>,
    /// What could not be checked.
    pub(super) warnings: Vec<String>,
}

/// Declares the subsets that the destinations name, and those asked for besides (of the destinations' only host).
pub(super) fn ensure(
    workspace: &mut Workspace<'_>,
    scope: Scope<'_>,
    api: ApiVersion,
    destinations: &[Destination],
    extra: &[SubsetSpec],
) -> Result<Declared, AuthoringError> {
    let mut hosts: Vec<&str> = Vec::new();
    for destination in destinations {
        if !hosts.contains(&destination.host.as_str()) {
            hosts.push(&destination.host);
        }
    }
    if hosts.len() != 1 && !extra.is_empty() {
        return Err(AuthoringError::new("--subset is for routes to one host; these destinations have several"));
    }
    let mut declared = Declared::default();
    for host in hosts {
        let mut wanted = extra.to_vec();
        for name in destinations.iter().filter(|d| d.host == host).filter_map(|d| d.subset.as_deref()) {
            if !wanted.iter().any(|subset| subset.name == name) {
                wanted.push(SubsetSpec::version(name));
            }
        }
        if !wanted.is_empty() {
            ensure_host(workspace, scope, api, host, &wanted, extra, &mut declared)?;
        }
    }
    Ok(declared)
}

fn ensure_host(
    workspace: &mut Workspace<'_>,
    scope: Scope<'_>,
    api: ApiVersion,
    host: &str,
    wanted: &[SubsetSpec],
    explicit: &[SubsetSpec],
    declared: &mut Declared,
) -> Result<(), AuthoringError> {
    let rule = rule_of(scope, host);
    let existing: Vec<_> = rule.map(subsets).unwrap_or_default();
    let mut missing = Vec::new();
    for subset in wanted {
        match existing.iter().find(|known| known.0 == subset.name) {
            Some((_, known)) => {
                let (key, value) = &subset.label;
                let same = known.and_then(|labels| labels.get(key)).is_some_and(|known| known == value);
                if explicit.contains(subset) && !same {
                    return Err(AuthoringError::new(format!(
                        "the subset {} of {host} is there already, with other labels than {key}={value}",
                        subset.name
                    ))
                    .hints(rule.map(|rule| format!("see {}", rule.position))));
                }
            }
            None => {
                let names = existing.iter().map(|(name, _)| *name);
                declared.warnings.extend(
                    scope.check_subset(host, subset).map_err(|error| error.hints(did_you_mean(&subset.name, names)))?,
                );
                missing.push(subset.clone());
            }
        }
    }
    match rule {
        _ if missing.is_empty() => {}
        Some(rule) if rule.object.at("/spec/subsets").is_some_and(Value::is_array) => {
            let pushes: Vec<_> = missing
                .iter()
                .map(|subset| Change::Push("/spec/subsets".to_owned(), objects::subset(subset).value()))
                .collect();
            workspace.change(rule, &pushes)?;
        }
        Some(rule) => {
            let all = missing.iter().map(|subset| objects::subset(subset).value()).collect();
            workspace.change(rule, &[Change::Set("/spec/subsets".to_owned(), all)])?;
        }
        None => {
            let name = host.split('.').next().unwrap_or(host);
            let taken = scope.find("DestinationRule", name).is_some();
            let name = if taken { format!("{name}-subsets") } else { name.to_owned() };
            declared.new_rules.push(objects::destination_rule(scope, api, &name, host, &missing));
        }
    }
    Ok(())
}

/// The DestinationRule of a host.
pub(super) fn rule_of<'a>(scope: Scope<'a>, host: &str) -> Option<&'a Manifest> {
    let wanted = scope.full_host(host);
    scope.objects("DestinationRule").find(|rule| {
        rule.object.at("/spec/host").and_then(Value::as_str).is_some_and(|host| scope.full_host(host) == wanted)
    })
}

/// Names and labels of the subsets of a DestinationRule.
pub(super) fn subsets(rule: &Manifest) -> Vec<(&str, Option<&Value>)> {
    let subsets = rule.object.at("/spec/subsets").and_then(Value::as_array).into_iter().flatten();
    subsets.filter_map(|subset| Some((subset.get("name")?.as_str()?, subset.get("labels")))).collect()
}

/// Destinations with the weights that a rule needs: none for a single one, a sum of 100 for several.
pub(super) fn with_weights(destinations: &[Destination]) -> Result<Vec<Destination>, AuthoringError> {
    let shown = || {
        let show = |d: &Destination| format!("{d}={}", d.weight.map_or("?".to_owned(), |weight| weight.to_string()));
        destinations.iter().map(show).collect::<Vec<_>>().join(", ")
    };
    for (index, destination) in destinations.iter().enumerate() {
        let same = |other: &Destination| {
            (&other.host, other.port, &other.subset) == (&destination.host, destination.port, &destination.subset)
        };
        if destinations[..index].iter().any(same) {
            return Err(AuthoringError::new(format!("the destination {destination} is named twice")));
        }
    }
    match destinations {
        [] => {
            Err(AuthoringError::new("the route has no destination")
                .hint("say where requests go with --to SERVICE:PORT"))
        }
        [only] if only.weight.is_none_or(|weight| weight == 100) => {
            Ok(vec![Destination { weight: None, ..only.clone() }])
        }
        _ if destinations.len() > 1 && destinations.iter().any(|destination| destination.weight.is_none()) => {
            Err(AuthoringError::new(format!("every one of several destinations needs a weight: {}", shown()))
                .hint("write --to HOST@SUBSET=PERCENT; the percents add up to 100"))
        }
        _ => match destinations.iter().filter_map(|destination| destination.weight).sum::<u32>() {
            100 => Ok(destinations.to_vec()),
            sum => Err(AuthoringError::new(format!("the weights add up to {sum}, not 100: {}", shown()))),
        },
    }
}
