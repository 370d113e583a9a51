//! What the schemas say of every object, judged once: the clusters of a group share their objects.

use crate::fleet::{FleetState, Manifest, Target};
use crate::lint::select::is_in;
use crate::schema::{self, Edition, Of, Verdict, judge_in};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::num::NonZero;
use std::sync::{Arc, OnceLock};
use std::thread;

/// Fewer objects than this per thread are not worth one.
const WORTH_A_THREAD: usize = 16;

/// The version by which the schema of a manifest's kind is chosen: the mesh's for Istio's kinds, the cluster's for those of
/// Kubernetes.
pub(in crate::lint) fn version<'a>(state: &'a FleetState, manifest: &Manifest) -> Option<&'a str> {
    let spec = &state.fleet.as_ref()?.spec;
    match Of::group(&manifest.id.group_kind.group) {
        Of::Istio => spec.mesh.version.as_deref(),
        Of::Kubernetes => {
            let cluster = spec.clusters.iter().find(|cluster| cluster.name == manifest.target.name())?;
            cluster.kubernetes_version.as_deref()
        }
        Of::Asm | Of::GatewayApi => None,
    }
}

/// An object by where it is, and what it is judged by: clusters that share an object may be of several versions.
type Key = (usize, Option<Edition>);

/// Verdicts by object. Each is kept with its object, so that no other one comes to stand in the same place.
pub(in crate::lint) type Known = HashMap<Key, (Arc<Value>, Arc<Verdict>)>;

/// Verdicts by object; made when the first rule asks.
#[derive(Default)]
pub(in crate::lint) struct Verdicts {
    /// Those of an earlier look.
    before: Known,
    /// Files and folders that are asked about; empty = all.
    paths: Vec<String>,
    by_object: OnceLock<Known>,
    editions: OnceLock<Editions>,
}

/// Which schemas are for which kinds of which target.
struct Editions {
    istio: Option<Edition>,
    kubernetes: HashMap<Target, Option<Edition>>,
    newest: Option<Edition>,
}

impl Editions {
    fn of(state: &FleetState) -> Self {
        let fleet = state.fleet.iter();
        let of_cluster = |cluster: &crate::fleet::Cluster| {
            let edition = schema::of_owner(Of::Kubernetes, cluster.kubernetes_version.as_deref());
            (Target::Cluster(cluster.name.as_str().into()), edition)
        };
        let mesh = state.fleet.as_ref().and_then(|fleet| fleet.spec.mesh.version.as_deref());
        Self {
            istio: schema::of_owner(Of::Istio, mesh),
            kubernetes: fleet.flat_map(|fleet| &fleet.spec.clusters).map(of_cluster).collect(),
            newest: schema::of_owner(Of::Kubernetes, None),
        }
    }

    fn find(&self, manifest: &Manifest) -> Option<Edition> {
        match Of::group(&manifest.id.group_kind.group) {
            Of::Istio => self.istio,
            Of::Kubernetes => self.kubernetes.get(&manifest.target).copied().unwrap_or(self.newest),
            other => schema::of_owner(other, None),
        }
    }
}

impl Verdicts {
    /// With those of an earlier look; asked of these files and folders only, or of all.
    pub(super) fn knowing(before: Known, paths: &[String]) -> Self {
        Self { before, paths: paths.to_vec(), ..Self::default() }
    }

    /// All of this look; those of the earlier one if nobody has asked.
    pub(super) fn known(self) -> Known {
        self.by_object.into_inner().unwrap_or(self.before)
    }

    /// The manifests of which a schema says something.
    pub(super) fn refused<'s, 'v>(
        &'v self,
        state: &'s FleetState,
    ) -> impl Iterator<Item = (&'s Manifest, &'v Verdict)> + use<'s, 'v> {
        let all = self.all(state);
        let told = all.iter().filter(|(_, (_, verdict))| is_telling(verdict));
        let told: HashSet<usize> = told.map(|((place, _), _)| *place).collect();
        let manifests = if told.is_empty() { &[] } else { state.manifests.as_slice() };
        let near = manifests.iter().filter(move |manifest| told.contains(&place(&manifest.object)));
        near.map(|manifest| (manifest, self.of(state, manifest))).filter(|(_, verdict)| is_telling(verdict))
    }

    /// What the schema of its kind says of a manifest.
    fn of(&self, state: &FleetState, manifest: &Manifest) -> &Verdict {
        let editions = self.editions.get_or_init(|| Editions::of(state));
        let found = self.all(state).get(&(place(&manifest.object), editions.find(manifest)));
        found.map_or(&Verdict::UnknownKind, |(_, verdict)| verdict)
    }

    fn all(&self, state: &FleetState) -> &Known {
        let editions = self.editions.get_or_init(|| Editions::of(state));
        self.by_object.get_or_init(|| {
            let wanted = state.manifests.iter().filter(|manifest| is_in(&manifest.position.file, &self.paths));
            let mut judged: Vec<Judged<'_>> =
                wanted.map(|manifest| (&manifest.object, editions.find(manifest))).collect();
            judged.sort_unstable_by_key(|(object, edition)| (place(object), *edition));
            judged.dedup_by_key(|(object, edition)| (place(object), *edition));
            let key = |(object, edition): &Judged<'_>| (place(object), *edition);
            let known = judged.iter().map(key).filter_map(|key| Some((key, self.before.get(&key)?.clone())));
            let mut all: Known = known.collect();
            judged.retain(|judged| !all.contains_key(&key(judged)));
            all.extend(side_by_side(&judged));
            all
        })
    }

    /// By what a manifest is judged.
    pub(super) fn edition(&self, state: &FleetState, manifest: &Manifest) -> Option<Edition> {
        self.editions.get_or_init(|| Editions::of(state)).find(manifest)
    }
}

/// Is anything said?
fn is_telling(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::UnknownKind => false,
        Verdict::UnknownVersion(_) => true,
        Verdict::Judged(violations) => !violations.is_empty(),
    }
}

/// An object, and what it is judged by.
type Judged<'s> = (&'s Arc<Value>, Option<Edition>);

fn place(object: &Arc<Value>) -> usize {
    Arc::as_ptr(object).addr()
}

/// Compiling schemas and judging by them is most of what lint costs, and no object needs another.
fn side_by_side(objects: &[Judged<'_>]) -> Known {
    let judge = |objects: &[Judged<'_>]| -> Vec<_> {
        let one = |(object, edition): &Judged<'_>| {
            ((place(object), *edition), (Arc::clone(object), Arc::new(judge_in(object, *edition))))
        };
        objects.iter().map(one).collect()
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(objects.len() / WORTH_A_THREAD);
    if threads < 2 {
        return judge(objects).into_iter().collect();
    }
    thread::scope(|scope| {
        let shares = objects.chunks(objects.len().div_ceil(threads));
        let running: Vec<_> = shares.map(|share| scope.spawn(move || judge(share))).collect();
        // A panic of a thread goes on in this one, as it would have without threads.
        let ended =
            running.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.flatten().collect()
    })
}
