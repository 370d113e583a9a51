//! Which objects are not to be applied because of what lint finds.

use super::assumptions::Assumptions;
use super::finding::{Finding, Place, Severity};
use super::judging::{lint, run};
use super::registry::RULES;
use super::rule::Rule;
use crate::fleet::{FleetState, HeldManifest, Manifest, Tree};
use crate::object::ObjectId;
use std::collections::{BTreeMap, BTreeSet};

/// What API servers judge by themselves when an object is applied: refusing it holds it back, too.
const JUDGED_BY_SERVERS: &[&str] = &["schema", "unknown-field"];

/// Rules that fire where something is referred to and missing, so that requests fail.
const REFERENCES: &[&str] = &["destination-host", "destination-port", "destination-subset", "subset-pods"];

/// The findings that hold objects back: errors of the rules, less what is ignored. Rules about changes say nothing: what runs
/// is what an agent compares with.
pub fn errors(tree: &dyn Tree, state: &FleetState, assumptions: Assumptions) -> Vec<Finding> {
    let raised = |rule: &Rule| {
        let severity = |fleet: &crate::fleet::Fleet| fleet.spec.lint.severity.get(rule.id).copied();
        state.fleet.as_ref().and_then(severity) == Some(Severity::Error)
    };
    let wanted = |rule: &&&'static Rule| {
        (rule.severity == Severity::Error || raised(rule)) && !JUDGED_BY_SERVERS.contains(&rule.id)
    };
    let rules: Vec<&'static Rule> = RULES.iter().filter(wanted).copied().collect();
    let mut found = lint(tree, state, None, &rules, assumptions).found;
    found.retain(|finding| finding.severity == Severity::Error);
    found
}

/// Marks the objects that errors are about, so that they are not applied (`FleetState::held`), and those that would fail
/// without them. All stay among the manifests: one that runs as Git says already is like any other.
///
/// Of an object that goes to several clusters, only the clusters that the finding names are concerned. An object of the mesh
/// is held back whatever clusters its finding is about: there is one of it.
pub fn hold_back(state: &mut FleetState, findings: &[Finding]) {
    let errors: Vec<&Finding> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    let held = concerned(state, &errors);
    if held.is_empty() {
        return;
    }
    let rules: Vec<&'static Rule> = RULES.iter().filter(|rule| REFERENCES.contains(&rule.id)).copied().collect();
    // Both times it is assumed that everything is in the files, so that only what makes a difference is new.
    let assumptions = Assumptions { complete: true, now: None };
    let mut known = marks(&run(state, &rules, assumptions));
    note(state, &errors, &held, false);
    // Taken out to see what leans on it, then what leans on that, and put back in the end.
    let mut aside = take(state, &held);
    loop {
        let mut found = run(state, &rules, assumptions);
        found.retain(|finding| finding.severity == Severity::Error && !known.contains(&mark(finding)));
        let found: Vec<&Finding> = found.iter().collect();
        let leaning = concerned(state, &found);
        if leaning.is_empty() {
            break;
        }
        note(state, &found, &leaning, true);
        aside.extend(take(state, &leaning));
        known.extend(found.into_iter().map(mark));
    }
    state.manifests.append(&mut aside);
    state.manifests.sort_by(|a, b| (&a.target, &a.id).cmp(&(&b.target, &b.id)));
    state.held.sort();
    state.held.dedup();
}

/// What makes a finding the same as another one; its message may name what is there besides.
type Mark = (&'static str, Place);

fn mark(finding: &Finding) -> Mark {
    (finding.rule, finding.place.clone())
}

fn marks(findings: &[Finding]) -> BTreeSet<Mark> {
    findings.iter().map(mark).collect()
}

/// The manifests (indices) that each of the findings is about.
fn concerned(state: &FleetState, findings: &[&Finding]) -> BTreeMap<usize, Vec<usize>> {
    let wrong: BTreeSet<&ObjectId> = findings.iter().filter_map(|finding| finding.place.object.as_ref()).collect();
    let mut copies: BTreeMap<&ObjectId, Vec<usize>> = BTreeMap::new();
    for (index, manifest) in state.manifests.iter().enumerate() {
        if let Some(id) = wrong.get(&manifest.id) {
            copies.entry(id).or_default().push(index);
        }
    }
    let mut held: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, finding) in findings.iter().enumerate() {
        let copies = finding.place.object.as_ref().and_then(|id| copies.get(id));
        for index in copies_of(&state.manifests, copies.map(Vec::as_slice).unwrap_or_default(), finding) {
            held.entry(index).or_default().push(number);
        }
    }
    held
}

/// Those of the copies of an object (indices) that a finding is about.
fn copies_of(manifests: &[Manifest], copies: &[usize], finding: &Finding) -> Vec<usize> {
    let file = &finding.place.position.file;
    let all = copies.iter().filter_map(|index| Some((*index, manifests.get(*index)?)));
    let all: Vec<_> = all.filter(|(_, manifest)| manifest.position.file == *file).collect();
    let named = all.iter().filter(|(_, manifest)| finding.targets.contains(&manifest.target));
    let named: Vec<usize> = named.map(|(index, _)| *index).collect();
    if named.is_empty() { all.into_iter().map(|(index, _)| index).collect() } else { named }
}

/// Writes down why.
fn note(state: &mut FleetState, findings: &[&Finding], held: &BTreeMap<usize, Vec<usize>>, leans: bool) {
    for (index, numbers) in held {
        let Some(manifest) = state.manifests.get(*index) else { continue };
        let why = numbers.iter().filter_map(|number| findings.get(*number));
        state.held.extend(why.map(|finding| HeldManifest {
            target: manifest.target.clone(),
            id: manifest.id.clone(),
            leans,
            position: finding.place.position.clone(),
            rule: finding.rule,
            message: finding.message.clone(),
            hint: finding.hint.clone(),
            api_version: manifest.api_version.clone(),
        }));
    }
}

/// Takes manifests out, by index.
fn take(state: &mut FleetState, held: &BTreeMap<usize, Vec<usize>>) -> Vec<Manifest> {
    let all = std::mem::take(&mut state.manifests).into_iter().enumerate();
    let (taken, kept): (Vec<_>, Vec<_>) = all.partition(|(index, _)| held.contains_key(index));
    state.manifests = kept.into_iter().map(|(_, manifest)| manifest).collect();
    taken.into_iter().map(|(_, manifest)| manifest).collect()
}
