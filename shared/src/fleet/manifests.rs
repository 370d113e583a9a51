//! From objects to manifests: which object goes to which target, at most one per target and identity.

use super::objects::Object;
use super::{Manifest, Position, Problem, Target, own};
use crate::object::{ObjectId, kinds, kinds::Place};
use crate::yaml::Document;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// An object with its place in the tree and the targets that its folder gives it to.
pub(super) struct Source {
    pub(super) object: Object,
    pub(super) document: Arc<Document>,
    pub(super) position: Position,
    pub(super) targets: Arc<[Target]>,
    /// It stands in `groups/`, so a cluster may patch it.
    pub(super) grouped: bool,
}

/// The manifests of a target by identity. `grouped` says which of them came from a group.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) manifests: BTreeMap<ObjectId, (Manifest, bool)>,
    /// Identities that stand in the tree but cannot be trusted (duplicates, wrong place); patches to them are not wrong.
    pub(super) withheld: HashSet<ObjectId>,
}

/// Sorts sources to their targets; what stands in the wrong place or twice becomes a problem and is left out.
pub(super) fn assemble(sources: &[Source], problems: &mut Vec<Problem>) -> BTreeMap<Target, Wanted> {
    let gateways: HashSet<&str> = sources
        .iter()
        .filter(|source| {
            source.object.id.group_kind.is(kinds::ASM, "IstioGateway") && source.targets.contains(&Target::Mesh)
        })
        .map(|source| &*source.object.id.name)
        .collect();
    let mut wanted: BTreeMap<Target, Wanted> = BTreeMap::new();
    // Objects are put in order once, and not for each of the clusters that share them.
    let mut ordered: Vec<(usize, &Source)> = sources.iter().enumerate().collect();
    ordered.sort_by(|(_, a), (_, b)| a.object.id.cmp(&b.object.id));
    let mut by_target: BTreeMap<&Target, Vec<(usize, &Source)>> = BTreeMap::new();
    for (index, source) in ordered {
        let misplaced = misplaced(source, &gateways);
        for target in &*source.targets {
            if misplaced.is_some() {
                wanted.entry(target.clone()).or_default().withheld.insert(source.object.id.clone());
            } else {
                by_target.entry(target).or_default().push((index, source));
            }
        }
        problems.extend(misplaced);
    }
    // One problem per pair of places, however many targets it concerns.
    let mut twice: BTreeMap<(usize, usize), BTreeSet<&Target>> = BTreeMap::new();
    for (target, ordered) in by_target {
        let wanted = wanted.entry(target.clone()).or_default();
        let mut alone = Vec::with_capacity(ordered.len());
        for copies in ordered.chunk_by(|(_, a), (_, b)| a.object.id == b.object.id) {
            match copies {
                [(_, only)] => alone.push((only.object.id.clone(), (manifest(only, target), only.grouped))),
                [(first, source), others @ ..] => {
                    wanted.withheld.insert(source.object.id.clone());
                    others.iter().for_each(|(other, _)| _ = twice.entry((*first, *other)).or_default().insert(target));
                }
                [] => {}
            }
        }
        wanted.manifests = alone.into_iter().collect();
    }
    problems.extend(twice.into_iter().filter_map(|((first, second), targets)| {
        let (first, second) = (sources.get(first)?, sources.get(second)?);
        let targets: Vec<Arc<str>> = targets.into_iter().map(|target| target.name().into()).collect();
        let hint = if first.grouped || second.grouped {
            "Remove one of the two; a cluster changes what its groups give it by a file in its patches/ folder"
        } else {
            "Remove one of the two"
        };
        Some(Problem {
            position: Some(second.position.clone()),
            message: format!(
                "{} is given twice to {}: here and at {}",
                second.object.id,
                targets.join(", "),
                first.position
            ),
            hint: Some(hint.to_owned()),
            targets,
        })
    }));
    wanted
}

fn manifest(source: &Source, target: &Target) -> Manifest {
    Manifest {
        target: target.clone(),
        id: source.object.id.clone(),
        api_version: source.object.api_version.clone(),
        object: source.object.value.clone(),
        position: source.position.clone(),
        document: source.document.clone(),
        patched_by: None,
    }
}

/// Does the object belong on another API server, or to ASM itself, or into another folder?
fn misplaced(source: &Source, gateways: &HashSet<&str>) -> Option<Problem> {
    let id = &source.object.id;
    let in_mesh = source.targets.contains(&Target::Mesh);
    let problem = |pointer: &str, message: String, hint: String| {
        let (line, column) = source.document.position_of(pointer).unwrap_or_default();
        Some(Problem {
            position: Some(Position { file: source.position.file.clone(), line, column }),
            message,
            hint: Some(hint),
            targets: source.targets.iter().map(|target| target.name().into()).collect(),
        })
    };
    if let Some(place) = own::place(id) {
        let message = format!("{id} is no object of a cluster: it belongs in {place}");
        return problem("/kind", message, format!("Move it to {place}"));
    }
    match (kinds::place(&id.group_kind), in_mesh) {
        (Some(Place::Mesh), false) => {
            let message = format!("{id} belongs to the mesh: on a member cluster ASM does not read it");
            problem("/kind", message, "Move it to mesh/".to_owned())
        }
        (Some(Place::Member), true) => {
            let message = format!("{id} belongs to member clusters: the mesh control plane runs no workloads");
            problem("/kind", message, "Move it to groups/<group>/ or clusters/<cluster>/".to_owned())
        }
        (_, false) => {
            let group_kind = &id.group_kind;
            let generated = group_kind.is("", "Service") || group_kind.is("apps", "Deployment");
            let gateway = id.name.strip_prefix("istio-").filter(|name| gateways.contains(name));
            let namespace = id.namespace.as_deref() == Some("istio-system");
            let gateway = gateway.filter(|_| generated && namespace)?;
            let message =
                format!("{id} is generated by ASM from the IstioGateway `{gateway}`: both would write it in turn");
            problem(
                "/metadata/name",
                message,
                format!("Change the IstioGateway `{gateway}` in mesh/ and remove this object"),
            )
        }
        _ => None,
    }
}
