//! Which of an object's differences are taken over.

use crate::error::CommandError;
use crate::live::drifted::{Drifted, Selector};
use asm_shared::api::{Change, DriftedField};
use asm_shared::authoring::{AdoptObject, Difference, LiveChange, did_you_mean, differences};
use asm_shared::drift::thawed;
use asm_shared::fleet::Manifest;
use asm_shared::object::FieldPath;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// What was taken over of one object.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Taken<'a> {
    /// `mesh` or the cluster's name.
    pub(super) target: &'a str,
    /// `Kind.group`.
    pub(super) kind: String,
    /// Namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    /// Name.
    pub(super) name: String,
    /// What had happened to it: an object that was deleted leaves Git.
    pub(super) change: Change,
    /// The fields: Git's value, the live one, and who changed it when.
    pub(super) fields: Vec<DriftedField>,
}

/// The paths after `--field`.
pub(super) fn fields(texts: &[String]) -> Result<Vec<FieldPath>, CommandError> {
    let read = |text: &String| {
        FieldPath::parse(text).filter(|path| !path.segments().is_empty()).ok_or_else(|| {
            CommandError::usage(format!("--field {text} is no path"))
                .hinted("write it as `kubectl asm drift -o wide` prints it, for example spec.http[0].route[1].weight")
        })
    };
    texts.iter().map(read).collect()
}

/// An object that neither drifted nor stands in Git.
pub(super) fn unknown(selector: &Selector, all: &[Drifted<'_>]) -> CommandError {
    let names: Vec<String> = all.iter().map(Drifted::name).collect();
    let error = CommandError::input(format!("there is no {} in the files, and none that drifted", selector.text()))
        .hinted_with(did_you_mean(selector.text(), names.iter().map(String::as_str)));
    if names.is_empty() { error.hinted("nothing has drifted") } else { error.hinted("see: kubectl asm drift -o name") }
}

/// What is to be taken over of one object; `None` when nothing of it differs from Git any more.
pub(super) fn of_object<'a>(
    drifted: &Drifted<'a>,
    manifest: &Manifest,
    live: Option<Value>,
    fields: &[FieldPath],
    frozen: &[FieldPath],
) -> Result<Option<(AdoptObject, Taken<'a>)>, CommandError> {
    let object = |change: LiveChange| AdoptObject { target: manifest.target.clone(), id: manifest.id.clone(), change };
    let taken = |change: Change, fields: Vec<DriftedField>| Taken {
        target: drifted.target,
        kind: manifest.id.group_kind.to_string(),
        namespace: manifest.id.namespace.as_deref().map(str::to_owned),
        name: manifest.id.name.to_string(),
        change,
        fields,
    };
    let Some(live) = live else {
        if !fields.is_empty() {
            return Err(CommandError::input(format!("{} is gone: it has no fields", drifted.name()))
                .hinted("leave --field out to take it out of Git"));
        }
        return Ok(Some((object(LiveChange::Deleted), taken(Change::Deleted, Vec::new()))));
    };
    // What is left alone is no drift.
    let live = if frozen.is_empty() { live } else { thawed(&live, &manifest.object, frozen) };
    let found = differences(manifest, &live);
    let chosen = choose(drifted, found, fields)?;
    if chosen.is_empty() {
        return Ok(None);
    }
    let (changes, told) = chosen.into_iter().map(|difference| (difference.change, difference.told)).unzip();
    Ok(Some((object(LiveChange::Fields { live, fields: changes }), taken(drifted.object.change, told))))
}

/// Of the differences with the files here those that the agent reports: another difference is a commit that is not synced
/// yet, which must not be undone.
fn choose(
    drifted: &Drifted<'_>,
    found: Vec<Difference>,
    fields: &[FieldPath],
) -> Result<Vec<Difference>, CommandError> {
    let reported = &drifted.object.fields;
    let is_reported = |difference: &Difference| {
        drifted.object.more_fields > 0
            || reported.is_empty()
            || reported.iter().any(|field| field.path == difference.told.path)
    };
    let is_asked = |difference: &Difference| {
        fields.is_empty() || fields.iter().any(|field| difference.change.path.starts_with(field))
    };
    for field in fields {
        let hits = |difference: &&Difference| is_reported(difference) && difference.change.path.starts_with(field);
        if !found.iter().any(|difference| hits(&difference)) {
            let paths: Vec<&str> =
                found.iter().filter(|d| is_reported(d) && !d.instead).map(|d| d.told.path.as_str()).collect();
            let error = CommandError::input(format!("{}: {field} has not drifted", drifted.name()));
            return Err(if paths.is_empty() {
                error.hinted("nothing of it differs from the files any more")
            } else {
                error.hinted(format!("drifted are: {}", paths.join(", ")))
            });
        }
    }
    let (instead, own): (Vec<_>, Vec<_>) = found.into_iter().partition(|difference| difference.instead);
    let mut chosen: Vec<Difference> = own.into_iter().filter(|d| is_reported(d) && is_asked(d)).collect();
    let gone: Vec<Option<FieldPath>> =
        chosen.iter().filter(|d| d.change.after.is_none()).map(|d| d.change.path.parent()).collect();
    chosen.extend(instead.into_iter().filter(|difference| gone.contains(&difference.change.path.parent())));
    Ok(chosen)
}
