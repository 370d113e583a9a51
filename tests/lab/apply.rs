//! Server-side apply of YAML with any number of documents, of any kind the API server knows.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
    discovery::{ApiCapabilities, ApiResource, Scope, pinned_kind},
};
use serde_json::Value;

use crate::wait::wait_for;

/// All objects of a YAML text; the items of a `List` each count as one.
pub fn documents(text: &str) -> Result<Vec<Value>> {
    let options = serde_saphyr::options! {
        // What is read are the project's own files and Istio's CRDs: the limits against hostile input do not fit.
        budget: None,
    };
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options)?;
    let mut objects = Vec::new();
    for document in documents {
        match document {
            Value::Null => {}
            Value::Object(mut map) if map.get("kind").and_then(Value::as_str) == Some("List") => {
                if let Some(Value::Array(items)) = map.remove("items") {
                    objects.extend(items);
                }
            }
            other => objects.push(other),
        }
    }
    Ok(objects)
}

/// Applies every object of a text, in order, as field manager `manager`.
pub async fn apply_text(client: &Client, text: &str, manager: &str) -> Result<()> {
    for object in documents(text)? {
        apply_value(client, object, manager).await?;
    }
    Ok(())
}

/// The same for a file.
pub async fn apply_path(client: &Client, path: &Path, manager: &str) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    apply_text(client, &text, manager).await.with_context(|| format!("cannot apply {}", path.display()))
}

/// Applies one object, and gives it back as the API server has it then.
pub async fn apply_value(client: &Client, object: Value, manager: &str) -> Result<DynamicObject> {
    let object: DynamicObject = serde_json::from_value(object).context("this is no Kubernetes object")?;
    let name = object.metadata.name.clone().context("the object has no name")?;
    let types = object.types.clone().with_context(|| format!("{name} has no apiVersion and kind"))?;
    let what = format!("{} {name}", types.kind);
    let gvk = GroupVersionKind::try_from(&types)?;
    let (resource, capabilities) = discover(client, &gvk).await.with_context(|| format!("cannot apply {what}"))?;
    let api = scoped(client, &resource, &capabilities, object.metadata.namespace.as_deref());
    let params = PatchParams::apply(manager).force();
    let applied = api.patch(&name, &params, &Patch::Apply(&object)).await;
    let applied = applied.with_context(|| format!("cannot apply {what}"))?;
    if types.kind == "CustomResourceDefinition" {
        // What follows in the same file may be of this kind.
        wait_for(format!("{what} is served"), Duration::from_secs(30), || async {
            let crd = api.get(&name).await?;
            Ok(is_established(&crd.data).then_some(()))
        })
        .await?;
    }
    Ok(applied)
}

/// Access to the kind and namespace of an object.
pub(crate) async fn scoped_api(client: &Client, object: &DynamicObject) -> Result<Api<DynamicObject>> {
    let types = object.types.as_ref().context("the object has no apiVersion and kind")?;
    let gvk = GroupVersionKind::try_from(types)?;
    let (resource, capabilities) = discover(client, &gvk).await?;
    Ok(scoped(client, &resource, &capabilities, object.metadata.namespace.as_deref()))
}

pub(crate) fn is_established(crd: &Value) -> bool {
    crd.pointer("/status/conditions")
        .and_then(Value::as_array)
        .is_some_and(|all| all.iter().any(|c| c["type"] == "Established" && c["status"] == "True"))
}

/// Asks the API server how it serves a kind. A kind whose CRD is new may take a moment to appear.
async fn discover(client: &Client, gvk: &GroupVersionKind) -> Result<(ApiResource, ApiCapabilities)> {
    let what = format!("{} is served as {}", gvk.kind, gvk.api_version());
    wait_for(what, Duration::from_secs(5), || async { Ok(Some(pinned_kind(client, gvk).await?)) }).await
}

fn scoped(client: &Client, resource: &ApiResource, caps: &ApiCapabilities, ns: Option<&str>) -> Api<DynamicObject> {
    if caps.scope == Scope::Namespaced {
        Api::namespaced_with(client.clone(), ns.unwrap_or("default"), resource)
    } else {
        Api::all_with(client.clone(), resource)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_documents_and_lists() {
        let text = "---\na: 1\n---\n# nothing\n---\nkind: List\nitems:\n- b: 'true'\n- c: \"80\"\n---\nd: [x, 2]\n";
        let got = documents(text).unwrap();
        let want = serde_json::json!([{"a": 1}, {"b": "true"}, {"c": "80"}, {"d": ["x", 2]}]);
        assert_eq!(Value::Array(got), want);
    }
}
