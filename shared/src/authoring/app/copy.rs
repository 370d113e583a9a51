//! Objects of one cluster written for another: their text as it is, comments included.

use super::super::AuthoringError;
use super::super::workspace::Workspace;
use super::view::View;
use crate::fleet::{FleetState, Manifest, Target, Tree};
use crate::object::At as _;
use crate::yaml;
use serde_json::Value;

/// The place of a cluster's own copy of a file.
fn path(manifest: &Manifest, cluster: &str) -> String {
    let rest = manifest.position.file.splitn(3, '/').nth(2).unwrap_or(&manifest.position.file);
    format!("clusters/{cluster}/{rest}")
}

/// The text of an object, without what introduces its file.
fn text(tree: &dyn Tree, manifest: &Manifest) -> Result<String, AuthoringError> {
    if let Some(patch) = &manifest.patched_by {
        return Err(AuthoringError::new(format!("{} is changed by the patch {patch}", manifest.id))
            .at(&manifest.position)
            .hint("copy it by hand: what its file says is not what comes out"));
    }
    let read = |text: &str| yaml::read(text.as_bytes(), &yaml::Limits::default()).unwrap_or_default();
    let bytes = tree.read(&manifest.position.file).map_err(|error| AuthoringError::new(error.to_string()))?;
    let file = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
    let mut parts = vec![String::new()];
    for line in file.split_inclusive('\n') {
        if line.trim_end() == "---" {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push_str(line);
        }
    }
    let is_it = |part: &String| matches!(&read(part)[..], [only] if *only.value == *manifest.document.value);
    let Some(index) = parts.iter().position(is_it) else { return Ok(yaml::write(&manifest.object)) };
    let mut part = parts[index].as_str();
    // Comments above an empty line, at the top of the file, are about the file.
    if index == 0
        && let Some((introduction, rest)) = part.split_once("\n\n")
        && introduction.lines().all(|line| line.starts_with('#'))
    {
        part = rest;
    }
    let part = part.trim_matches('\n');
    Ok(format!("{part}\n"))
}

/// Writes an object for a cluster that does not have it.
pub(super) fn copy(
    workspace: &mut Workspace<'_>,
    tree: &dyn Tree,
    manifest: &Manifest,
    cluster: &str,
) -> Result<(), AuthoringError> {
    workspace.add(&path(manifest, cluster), &text(tree, manifest)?)
}

/// Writes a Service for a cluster in which none of its pods run, because a caller does.
pub(super) fn copy_for_name(
    workspace: &mut Workspace<'_>,
    service: &Manifest,
    cluster: &str,
    caller: &str,
) -> Result<(), AuthoringError> {
    if let Some(patch) = &service.patched_by {
        return Err(AuthoringError::new(format!("{} is changed by the patch {patch}", service.id))
            .at(&service.position)
            .hint("copy it by hand: what its file says is not what comes out"));
    }
    let comment = format!(
        "# {}: no pods here. {caller} calls it by this name, which must exist in its own cluster.\n",
        service.id.name
    );
    workspace.add(&path(service, cluster), &format!("{comment}{}", yaml::write(&service.document.value)))
}

/// The ServiceAccount of a workload in its cluster.
pub(super) fn account<'a>(state: &'a FleetState, workload: &Manifest) -> Option<&'a Manifest> {
    let spec = |name: &str| workload.object.at(&format!("/spec/template/spec/{name}")).and_then(Value::as_str);
    let name = spec("serviceAccountName").or_else(|| spec("serviceAccount"))?;
    find(state, &workload.target, "ServiceAccount", name, workload)
}

/// An object of the core group in the namespace of a workload.
pub(super) fn find<'a>(
    state: &'a FleetState,
    target: &Target,
    kind: &str,
    name: &str,
    workload: &Manifest,
) -> Option<&'a Manifest> {
    let same = |m: &&Manifest| m.target == *target && m.group_kind().is("", kind) && *m.id.name == *name;
    state.manifests.iter().filter(same).find(|m| m.id.namespace == workload.id.namespace)
}

/// The ConfigMaps and Secrets that a workload uses and a cluster does not have.
pub(super) fn missing(state: &FleetState, workload: &Manifest, target: &Target) -> Vec<String> {
    let mut used = Vec::new();
    collect(&workload.object, &mut used);
    used.sort_unstable();
    used.dedup();
    used.into_iter()
        .filter(|(kind, name)| find(state, target, kind, name, workload).is_none())
        .map(|(kind, name)| {
            format!("{} uses the {kind} {name}, which Git does not have for {target}", workload.id.name)
        })
        .collect()
}

fn collect<'a>(value: &'a Value, used: &mut Vec<(&'static str, &'a str)>) {
    const FIELDS: [(&str, &str, &str); 6] = [
        ("configMap", "ConfigMap", "name"),
        ("configMapRef", "ConfigMap", "name"),
        ("configMapKeyRef", "ConfigMap", "name"),
        ("secret", "Secret", "secretName"),
        ("secretRef", "Secret", "name"),
        ("secretKeyRef", "Secret", "name"),
    ];
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let field = FIELDS.iter().find(|(field, ..)| field == key);
                let name = field.and_then(|(_, kind, name)| Some((*kind, value.get(*name)?.as_str()?)));
                used.extend(name);
                collect(value, used);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, used)),
        _ => {}
    }
}

/// Everything that a workload needs in another cluster: itself, its account, the Services in front of it, and those that it
/// calls.
pub(super) fn bring(
    workspace: &mut Workspace<'_>,
    tree: &dyn Tree,
    state: &FleetState,
    workload: &Manifest,
    cluster: &str,
    also_calls: &[String],
    brought: &mut Vec<String>,
) -> Result<Vec<String>, AuthoringError> {
    let view = View::new(state, Some(super::super::fleet_view::namespace(workload)));
    let target = Target::Cluster(cluster.into());
    let mut warnings = missing(state, workload, &target);
    let mut once = |key: String| {
        let new = !brought.contains(&key);
        brought.push(key);
        new
    };
    for name in view.in_front(workload) {
        let here = view
            .service(name, &workload.target)
            .or_else(|| view.services.iter().find(|s| *s.id.name == *name).copied());
        if let Some(service) = here.filter(|_| view.service(name, &target).is_none())
            && once(format!("Service {cluster} {name}"))
        {
            copy(workspace, tree, service, cluster)?;
        }
    }
    if let Some(account) = account(state, workload)
        && find(state, &target, "ServiceAccount", &account.id.name, workload).is_none()
        && once(format!("ServiceAccount {cluster} {}", account.id.name))
    {
        copy(workspace, tree, account, cluster)?;
    }
    copy(workspace, tree, workload, cluster)?;
    let calls = view.calls(workload);
    if !calls.complete && calls.services.is_empty() && also_calls.is_empty() {
        warnings.push(format!(
            "whom {} calls is not known here: name the Services with --calls, so that {cluster} knows their names",
            workload.id.name
        ));
    }
    for name in calls.services.iter().chain(also_calls) {
        let Some(service) = view.services.iter().find(|service| *service.id.name == **name) else {
            return Err(AuthoringError::new(format!("no cluster has a Service {name}"))
                .hints(super::super::did_you_mean(name, view.services.iter().map(|service| &*service.id.name))));
        };
        if view.service(name, &target).is_none() && once(format!("Service {cluster} {name}")) {
            copy_for_name(workspace, service, cluster, &workload.id.name)?;
        }
    }
    Ok(warnings)
}
