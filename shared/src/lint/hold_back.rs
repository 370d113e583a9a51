//! Which objects are not to be applied because of what lint finds.

use super::finding::{Finding, Severity};
use crate::fleet::{FleetState, Manifest, Problem};
use crate::object::ObjectId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Takes the objects that errors are about out of a fleet, as if they could not be read: each is a problem of its targets
/// with file and line, so that what runs of it stays as it is and nothing of these targets is removed meanwhile.
///
/// Of an object that goes to several clusters, only the clusters that the finding names are concerned. An object of the mesh
/// is held back whatever clusters its finding is about: there is one of it.
pub fn hold_back(state: &mut FleetState, findings: &[Finding]) {
    let errors = || findings.iter().filter(|finding| finding.severity == Severity::Error);
    let wrong: BTreeSet<&ObjectId> = errors().filter_map(|finding| finding.place.object.as_ref()).collect();
    let mut copies: BTreeMap<&ObjectId, Vec<usize>> = BTreeMap::new();
    for (index, manifest) in state.manifests.iter().enumerate() {
        if let Some(id) = wrong.get(&manifest.id) {
            copies.entry(id).or_default().push(index);
        }
    }
    let mut held: BTreeSet<usize> = BTreeSet::new();
    for finding in errors() {
        let copies = finding.place.object.as_ref().and_then(|id| copies.get(id));
        let concerned = concerned(&state.manifests, copies.map(Vec::as_slice).unwrap_or_default(), finding);
        if concerned.is_empty() {
            continue;
        }
        let targets = concerned.iter().filter_map(|index| state.manifests.get(*index));
        let targets: Vec<Arc<str>> = targets.map(|manifest| manifest.target.name().into()).collect();
        let object = finding.place.object.as_ref().map(ToString::to_string).unwrap_or_default();
        let message = format!("{object} is held back: {} ({})", finding.message, finding.rule);
        let position = Some(finding.place.position.clone());
        state.problems.push(Problem { position, message, hint: finding.hint.clone(), targets });
        held.extend(concerned);
    }
    let mut index = 0;
    state.manifests.retain(|_| {
        index += 1;
        !held.contains(&(index - 1))
    });
    state.problems.sort();
    state.problems.dedup();
}

/// Those of the copies of an object (indices) that a finding is about.
fn concerned(manifests: &[Manifest], copies: &[usize], finding: &Finding) -> Vec<usize> {
    let file = &finding.place.position.file;
    let all = copies.iter().filter_map(|index| Some((*index, manifests.get(*index)?)));
    let all: Vec<_> = all.filter(|(_, manifest)| manifest.position.file == *file).collect();
    let named = all.iter().filter(|(_, manifest)| finding.targets.contains(&manifest.target));
    let named: Vec<usize> = named.map(|(index, _)| *index).collect();
    if named.is_empty() { all.into_iter().map(|(index, _)| index).collect() } else { named }
}
