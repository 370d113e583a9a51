//! What the schemas say of every object, judged once: the clusters of a group share their objects.

use crate::fleet::{FleetState, Manifest};
use crate::schema::{Verdict, judge_at};
use serde_json::Value;
use std::collections::HashMap;
use std::num::NonZero;
use std::sync::{Arc, OnceLock};
use std::thread;

/// Fewer objects than this per thread are not worth one.
const WORTH_A_THREAD: usize = 16;

/// The version of the mesh, by which Istio's schemas are chosen.
pub(in crate::lint) fn version(state: &FleetState) -> Option<&str> {
    state.fleet.as_ref()?.spec.mesh.version.as_deref()
}

/// An object by where it is.
type Verdicted = HashMap<usize, Verdict>;

/// Verdicts by object; made when the first rule asks.
#[derive(Default)]
pub(in crate::lint) struct Verdicts {
    by_object: OnceLock<Verdicted>,
}

impl Verdicts {
    /// What the schema of its kind says of a manifest.
    pub(super) fn of(&self, state: &FleetState, manifest: &Manifest) -> &Verdict {
        let all = self.by_object.get_or_init(|| {
            let mut objects: Vec<&Arc<Value>> = state.manifests.iter().map(|manifest| &manifest.object).collect();
            objects.sort_unstable_by_key(|object| Arc::as_ptr(object));
            objects.dedup_by_key(|object| Arc::as_ptr(object));
            // The state keeps the objects where they are for as long as this lives.
            side_by_side(&objects, version(state))
        });
        all.get(&place(&manifest.object)).unwrap_or(&Verdict::UnknownKind)
    }
}

fn place(object: &Arc<Value>) -> usize {
    Arc::as_ptr(object).addr()
}

/// Compiling schemas and judging by them is most of what lint costs, and no object needs another.
fn side_by_side(objects: &[&Arc<Value>], version: Option<&str>) -> Verdicted {
    let judge = |objects: &[&Arc<Value>]| -> Vec<(usize, Verdict)> {
        objects.iter().map(|object| (place(object), judge_at(object, version))).collect()
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
