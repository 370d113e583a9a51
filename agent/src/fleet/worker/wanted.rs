//! Applying what Git wants of an object, with the live values of the fields that are left alone.

use super::apply::{Refusal, apply, apply_beside};
use super::resources::Resources;
use super::stage::{api_version, live};
use asm_io::cluster::ErrorKind;
use asm_shared::diff::missing_from;
use asm_shared::drift::{Keep, Kept, frozen};
use asm_shared::object::{FieldPath, ObjectId};
use asm_shared::plan::DesiredObject;
use jiff::Timestamp;
use kube::api::DynamicObject;
use serde_json::Value;

/// How often an object is read again that somebody writes at the same time.
const TRIES: usize = 5;

/// Applies an object (`wanted` itself, or what stands in for it) so that no frozen field of it changes, nor what is to be
/// kept. Gives back what was stored, and what was kept.
///
/// The live values are as old as the read; the resourceVersion of it makes the API server refuse them when the object has
/// changed since. Without that, a value that somebody writes in between would be overwritten with the one before.
pub(super) async fn apply_wanted(
    resources: &Resources,
    id: &ObjectId,
    wanted: &DesiredObject,
    object: &Value,
    keep: &Keep,
) -> Result<(DynamicObject, Kept), Refusal> {
    let left_alone = wanted.frozen_at(Timestamp::now());
    if left_alone.is_empty() && *keep == Keep::Nothing {
        return apply(resources, id, object).await.map(|live| (live, Kept::default()));
    }
    let mut tries = 1;
    loop {
        let found = live(resources, id, &api_version(object)).await.map_err(Refusal::Cluster)?;
        let Some(found) = found else {
            return apply(resources, id, object).await.map(|live| (live, Kept::default()));
        };
        let kept = keep.of(&frozen(object, &found, &left_alone), &found);
        let paths: Vec<FieldPath> = left_alone.iter().chain(&kept.paths).cloned().collect();
        if paths.is_empty() {
            return apply(resources, id, object).await.map(|live| (live, kept));
        }
        let mut object = frozen(object, &found, &paths);
        if let (Some(metadata), Some(version)) =
            (object.get_mut("metadata").and_then(Value::as_object_mut), found.pointer("/metadata/resourceVersion"))
        {
            metadata.insert("resourceVersion".to_owned(), version.clone());
        }
        match apply_beside(resources, id, &object).await {
            Err(Refusal::Cluster(error)) if tries < TRIES && is_outdated(&error.kind) => tries += 1,
            done => return done.map(|live| (live, kept)),
        }
    }
}

/// Has the object changed since it was read? A conflict between managers names their fields.
fn is_outdated(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Conflict(conflicts) if conflicts.is_empty())
}

/// What is applied: the same with the live values of what is kept.
pub(super) fn intended(wanted: &DesiredObject, live: &Value, keep: &Keep) -> Value {
    let object = expected(wanted, live);
    let kept = keep.of(&object, live);
    if kept.paths.is_empty() { object } else { frozen(&object, live, &kept.paths) }
}

/// What the live object is compared with: Git's object, with the live values of what is left alone.
pub(super) fn expected(wanted: &DesiredObject, live: &Value) -> Value {
    frozen(&wanted.object(), live, &wanted.frozen_at(Timestamp::now()))
}

/// Is the live object as Git wants it only because fields of it are left alone?
pub(super) fn is_provisional(wanted: &DesiredObject, live: &Value) -> bool {
    !wanted.frozen.is_empty() && !missing_from(&wanted.object(), live).is_empty()
}
