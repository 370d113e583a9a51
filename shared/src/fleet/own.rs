//! Reading of the fleet's own kinds (Fleet, Approval, RouteTest, Patch): first what the document is, then its fields.

use super::file::API_VERSION;
use super::typed;
use super::{FileError, suggest};
use crate::object::ObjectId;
use crate::yaml::Document;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Kinds of the fleet's own files and where they belong.
pub(super) const KINDS: [(&str, &str); 4] = [
    ("Fleet", "fleet.yaml"),
    ("Approval", "approvals/"),
    ("RouteTest", "tests/"),
    ("Patch", "clusters/<name>/patches/"),
];

/// Reads a document as one of the fleet's own kinds.
pub(super) fn read<T: DeserializeOwned + JsonSchema>(document: &Document, kind: &str) -> Result<T, Vec<FileError>> {
    let field = |name: &str| document.value.get(name);
    let api_version = field("apiVersion").and_then(Value::as_str);
    let given = field("kind").and_then(Value::as_str);
    if !document.value.is_object() {
        let message = format!("this document is {}, not a {kind}", typed::found(&document.value));
        return Err(vec![FileError::at(document, "", message).hint(start_with(kind))]);
    }
    // A document of another kind would only give misleading errors about its fields.
    if let Some(given) = given
        && given != kind
    {
        let message = format!("this document is a {given}, but only {kind} belongs here");
        let hint = match KINDS.iter().find(|(name, _)| *name == given) {
            Some((_, place)) => format!("Move it to {place}"),
            None if suggest::closest(given, std::iter::once(kind)).is_some() => format!("Did you mean `kind: {kind}`?"),
            None => "Move it to mesh/, groups/<group>/ or clusters/<cluster>/, which hold objects".to_owned(),
        };
        return Err(vec![FileError::at(document, "/kind", message).hint(hint)]);
    }
    let wrong_version = api_version.filter(|version| *version != API_VERSION).map(|version| {
        FileError::at(document, "/apiVersion", format!("`apiVersion` is `{version}`, but {kind} has `{API_VERSION}`"))
            .hint(format!("Write `apiVersion: {API_VERSION}`"))
    });
    match typed::read(document) {
        Ok(value) => wrong_version.map_or(Ok(value), |error| Err(vec![error])),
        Err(errors) => Err(wrong_version.into_iter().chain(errors).collect()),
    }
}

fn start_with(kind: &str) -> String {
    format!("Begin with `apiVersion: {API_VERSION}` and `kind: {kind}`")
}

/// Where one of the fleet's own kinds belongs, when it stands among the objects.
pub(super) fn place(id: &ObjectId) -> Option<&'static str> {
    let group = API_VERSION.split('/').next().unwrap_or_default();
    KINDS.iter().find(|(kind, _)| id.group_kind.is(group, kind)).map(|(_, place)| *place)
}
