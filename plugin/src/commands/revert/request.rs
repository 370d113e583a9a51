//! Which objects are asked for.

use crate::error::CommandError;
use crate::live::drifted::{self, Drifted, Selector};
use asm_shared::api::{DriftReport, FleetSync, RevertObject, RevertOutcome, RevertResult};

/// Objects that one request may name.
pub(super) const MOST: usize = 100;

/// Everything that drifted.
pub(super) fn all(reports: &[DriftReport]) -> Vec<RevertObject> {
    drifted::all(reports).iter().map(object).collect()
}

/// The objects of these names: where they drifted, as far as that is known. The agent knows better what is in Git and what
/// drifted a moment ago, so a name without drift is asked of every target that it may mean.
pub(super) fn named(
    sync: &FleetSync,
    reports: &[DriftReport],
    texts: &[String],
) -> Result<Vec<RevertObject>, CommandError> {
    let known = sync.status.iter().flat_map(|status| &status.targets).map(|target| target.name.as_str());
    let mut targets: Vec<&str> = known.chain(reports.iter().map(|report| report.spec.target.as_str())).collect();
    targets.dedup();
    let all = drifted::all(reports);
    let mut asked: Vec<RevertObject> = Vec::new();
    for text in texts {
        let selector = Selector::parse(text, &targets)?;
        let found = drifted::choose(&selector, &all, |one| (one.target.to_owned(), one.id.clone()))?;
        let mut objects: Vec<RevertObject> = found.iter().map(object).collect();
        if objects.is_empty() {
            let (kind, namespace, name) = selector.parts();
            let on = |target: &&&str| selector.target.as_deref().is_none_or(|own| own == **target);
            let make = |target: &&str| RevertObject {
                target: (*target).to_owned(),
                kind: kind.to_owned(),
                namespace: namespace.map(str::to_owned),
                name: name.to_owned(),
            };
            objects = targets.iter().filter(on).map(make).collect();
        }
        for object in objects {
            if !asked.contains(&object) {
                asked.push(object);
            }
        }
    }
    Ok(asked)
}

/// Of a name that was asked of several targets, those that have such an object.
pub(super) fn meant(results: &[RevertResult]) -> impl Iterator<Item = &RevertResult> {
    results.iter().filter(|result| {
        let is_elsewhere = |other: &&RevertResult| {
            let (one, other_object) = (&result.object, &other.object);
            other.outcome != RevertOutcome::NotInGit
                && (&one.kind, &one.namespace, &one.name)
                    == (&other_object.kind, &other_object.namespace, &other_object.name)
        };
        result.outcome != RevertOutcome::NotInGit || !results.iter().any(|other| is_elsewhere(&other))
    })
}

/// `m1c1/Service/shop/door`.
pub(super) fn name(object: &RevertObject) -> String {
    let kind = object.kind.split('.').next().unwrap_or_default();
    let namespace = object.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{}/{kind}/{namespace}{}", object.target, object.name)
}

fn object(drifted: &Drifted<'_>) -> RevertObject {
    RevertObject {
        target: drifted.target.to_owned(),
        kind: drifted.id.group_kind.to_string(),
        namespace: drifted.id.namespace.as_deref().map(str::to_owned),
        name: drifted.id.name.to_string(),
    }
}
