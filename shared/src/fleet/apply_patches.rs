//! Patches of a cluster applied to what its groups give it.

use super::manifests::Wanted;
use super::patch::PatchTarget;
use super::{FileError, IdlePatch, Patch, Position, Target, objects, own, suggest};
use crate::object::{ObjectId, kinds};
use crate::yaml::Document;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// Kind, namespace and name: what a patch names when it leaves out the group.
type Named = (Arc<str>, Option<Arc<str>>, Arc<str>);

/// A patch file's document, read.
pub(super) struct PatchSource {
    pub(super) patch: Patch,
    pub(super) document: Document,
    pub(super) file: Arc<str>,
}

impl PatchSource {
    fn idle(&self, target: &Target, id: &ObjectId) -> IdlePatch {
        let (line, column) = self.document.position_of("/spec").unwrap_or_else(|| self.document.start());
        IdlePatch {
            position: Position { file: self.file.clone(), line, column },
            target: target.clone(),
            object: id.clone(),
        }
    }
}

/// Reads one document of a `patches/` folder.
pub(super) fn read(document: Document, file: &Arc<str>) -> Result<PatchSource, Vec<FileError>> {
    let patch: Patch = own::read(&document, "Patch")?;
    let message = match (&patch.spec.merge, &patch.spec.json6902) {
        (Some(_), Some(_)) => "a patch has either `merge` or `json6902`, not both",
        (None, None) => "this patch changes nothing: it has neither `merge` nor `json6902`",
        _ => return Ok(PatchSource { patch, document, file: file.clone() }),
    };
    Err(vec![
        FileError::at(&document, "/spec", message.to_owned())
            .hint("Write one of the two; two patches may change one object"),
    ])
}

/// Applies the patches of one cluster in the order of files and documents. What fails is reported, and the object that it
/// was to change is withheld: neither the old nor a half changed one is what Git wants. Patches after which the object is as
/// it was are put into `idle`.
pub(super) fn apply(
    target: &Target,
    wanted: &mut Wanted,
    patches: &[PatchSource],
    idle: &mut Vec<IdlePatch>,
) -> Vec<(Arc<str>, FileError)> {
    let mut errors = Vec::new();
    let mut index: HashMap<Named, Vec<ObjectId>> = HashMap::new();
    for id in wanted.manifests.keys().chain(&wanted.withheld) {
        let key = (id.group_kind.kind.clone(), id.namespace.clone(), id.name.clone());
        index.entry(key).or_default().push(id.clone());
    }
    for source in patches {
        let fail = |pointer: &str, message: String, hint: String| {
            (source.file.clone(), FileError::at(&source.document, pointer, message).hint(hint))
        };
        let to = &source.patch.spec.target;
        let key = (Arc::from(to.kind.as_str()), namespace(to), Arc::from(to.name.as_str()));
        let mut found: Vec<&ObjectId> = index.get(&key).into_iter().flatten().collect();
        if let Some(api_version) = &to.api_version {
            let (group, _) = crate::object::split_api_version(api_version);
            found.retain(|id| &*id.group_kind.group == group);
        }
        let id = match *found {
            [id] => id.clone(),
            [] => {
                let same_kind = wanted.manifests.keys().filter(|id| *id.group_kind.kind == *to.kind);
                let names: Vec<_> = same_kind.map(ToString::to_string).collect();
                let given = display(to, key.1.as_deref());
                let message = format!("this patch matches nothing: the groups of {target} have no {given}");
                errors.push(fail("/spec/target", message, suggest::hint(&given, names.iter().map(String::as_str))));
                continue;
            }
            _ => {
                let groups: Vec<_> = found.iter().map(|id| format!("`{}`", id.group_kind)).collect();
                let message = format!("this patch could mean several objects: {}", groups.join(", "));
                errors.push(fail("/spec/target", message, "Add `apiVersion` to the target".to_owned()));
                continue;
            }
        };
        let Some((manifest, grouped)) = wanted.manifests.get_mut(&id) else { continue };
        if !*grouped {
            let message = format!("{id} does not come from a group but from {}", manifest.position);
            errors.push(fail("/spec/target", message, "Change it there and remove this patch".to_owned()));
            continue;
        }
        let mut object = Value::clone(&manifest.object);
        let result = source.patch.spec.apply(&mut object).map_err(|reason| {
            (reason, "Compare the patch with the object, which may have changed in the group".to_owned())
        });
        let result = result.and_then(|()| sound(&id, &object));
        match result {
            Ok(()) => {
                if object == *manifest.object {
                    idle.push(source.idle(target, &id));
                }
                let version = object.get("apiVersion").and_then(Value::as_str).map(Arc::from);
                manifest.api_version = version.unwrap_or_else(|| manifest.api_version.clone());
                manifest.object = Arc::new(object);
                manifest.patched_by = Some(source.file.clone());
            }
            Err((reason, hint)) => {
                errors.push(fail("/spec", format!("this patch of {id} cannot be applied: {reason}"), hint));
                wanted.manifests.remove(&id);
                wanted.withheld.insert(id);
            }
        }
    }
    errors
}

/// A patched object must still be the object that it was, and one that every object must be.
fn sound(id: &ObjectId, object: &Value) -> Result<(), (String, String)> {
    if ObjectId::of(object).as_ref() != Some(id) {
        let hint = "Patches change neither group, kind, namespace nor name: write another object instead";
        return Err(("it would become another object".to_owned(), hint.to_owned()));
    }
    let mut first = Ok(());
    objects::metadata(object, &mut |_, message, hint| {
        if first.is_ok() {
            first = Err((message, hint.to_owned()));
        }
    });
    first
}

fn namespace(to: &PatchTarget) -> Option<Arc<str>> {
    let namespaced = || match &to.api_version {
        Some(version) => {
            let (group, _) = crate::object::split_api_version(version);
            kinds::KINDS.iter().any(|row| row.namespaced && row.kind == to.kind && row.group == group)
        }
        None => kinds::KINDS.iter().any(|row| row.namespaced && row.kind == to.kind),
    };
    to.namespace.as_deref().or_else(|| namespaced().then_some("default")).map(Arc::from)
}

fn display(to: &PatchTarget, namespace: Option<&str>) -> String {
    namespace
        .map_or_else(|| format!("{} {}", to.kind, to.name), |namespace| format!("{} {namespace}/{}", to.kind, to.name))
}
