//! What a person's `kubectl apply` leaves behind: an object made by client-side apply.

use crate::apply::{documents, scoped_api};
use anyhow::{Context as _, Result};
use kube::Client;
use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};
use std::path::Path;

/// Field manager of `kubectl apply`.
pub const KUBECTL_APPLY: &str = "kubectl-client-side-apply";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Creates an object as `kubectl apply -f` does the first time: with the annotation that holds what was applied.
pub async fn kubectl_apply(client: &Client, object: &Value) -> Result<DynamicObject> {
    let mut object = object.clone();
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut).context("the object has no metadata")?;
    metadata.entry("annotations").or_insert_with(|| json!({}));
    let applied = format!("{object}\n");
    object["metadata"]["annotations"][LAST_APPLIED] = applied.into();
    kubectl_create(client, &object, KUBECTL_APPLY).await
}

/// Creates an object as some manager, by Update: what consoles and `kubectl create` do.
pub async fn kubectl_create(client: &Client, object: &Value, manager: &str) -> Result<DynamicObject> {
    let object: DynamicObject = serde_json::from_value(object.clone())?;
    let api = scoped_api(client, &object).await?;
    let params = PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() };
    let name = object.metadata.name.clone().unwrap_or_default();
    api.create(&params, &object).await.with_context(|| format!("cannot create {name}"))
}

/// Applies, as a person would, every object of the YAML files below a folder, in the order of their paths.
pub async fn kubectl_apply_folder(client: &Client, folder: &Path) -> Result<usize> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut count = 0;
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        for object in documents(&text)? {
            kubectl_apply(client, &object).await.with_context(|| file.display().to_string())?;
            count += 1;
        }
    }
    Ok(count)
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    Ok(())
}
