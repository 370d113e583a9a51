//! Applying one object: server-side apply, first without force. Never delete-and-recreate, whatever the answer.

use super::resources::Resources;
use crate::metrics::ApplyOutcome;
use asm_io::cluster::{ClusterError, ErrorKind};
use asm_shared::api::labels::FIELD_MANAGER;
use asm_shared::drift::{ManagerClass, class_of, without_people};
use asm_shared::object::ObjectId;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

/// How often ownership is taken over again when somebody writes meanwhile.
const TAKE_OVER_TRIES: usize = 3;

/// Why an object was not applied.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A controller owns fields that Git sets.
    Owned(String),
    /// Another FleetSync applies it too.
    Taken(String),
    /// The API server said no, or nothing.
    Cluster(ClusterError),
}

impl Refusal {
    /// Is it worth trying again without a new commit?
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Owned(_) | Self::Taken(_) => false,
            // Without fields of another manager a conflict is about somebody else's write at the same moment.
            Self::Cluster(error) => error.is_transient() || error.kind == ErrorKind::Conflict(Vec::new()),
        }
    }

    /// Sentence for people.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Owned(message) | Self::Taken(message) => message.clone(),
            Self::Cluster(error) => error.message.clone(),
        }
    }

    /// What may be said of it. An API server quotes the value that it cannot take (`expected string, got …`), and of a
    /// Secret that is the secret (CVE-2025-23216).
    fn about(self, id: &ObjectId) -> Self {
        let quotes = |kind: &ErrorKind| matches!(kind, ErrorKind::Invalid(_) | ErrorKind::Server | ErrorKind::Other);
        match self {
            Self::Cluster(error) if id.group_kind.is("", "Secret") && quotes(&error.kind) => {
                let message = "the API server does not take it as a Secret, and its words are not shown, because they may quote \
                               values; every value below data and stringData must be a string; see them with: kubectl apply \
                               --dry-run=server -f FILE";
                let kind = if matches!(error.kind, ErrorKind::Invalid(_)) {
                    ErrorKind::Invalid(Vec::new())
                } else {
                    error.kind
                };
                Self::Cluster(ClusterError::new(kind, message))
            }
            other => other,
        }
    }

    /// How it is counted.
    pub(super) fn outcome(&self) -> ApplyOutcome {
        match self {
            Self::Owned(_) | Self::Taken(_) => ApplyOutcome::Conflict,
            Self::Cluster(error) => match error.kind {
                ErrorKind::Conflict(_) => ApplyOutcome::Conflict,
                ErrorKind::Invalid(_) => ApplyOutcome::Invalid,
                _ => ApplyOutcome::Error,
            },
        }
    }
}

/// Applies an object and gives back what the API server stored. Its fields are Git's alone then, whoever had set them.
///
/// A conflict with people's tools is overridden: a commit says what is wanted. A conflict with a controller is not: it
/// would write its value again, for ever.
pub(super) async fn apply(resources: &Resources, id: &ObjectId, object: &Value) -> Result<DynamicObject, Refusal> {
    let api = api_of(resources, id, object).await?;
    let live = store(&api, id, object).await.map_err(|refusal| refusal.about(id))?;
    Ok(take_over(&api, &id.name, live).await)
}

/// The same for an object with fields that are left alone: whoever has set those goes on owning them.
pub(super) async fn apply_beside(
    resources: &Resources,
    id: &ObjectId,
    object: &Value,
) -> Result<DynamicObject, Refusal> {
    store(&api_of(resources, id, object).await?, id, object).await.map_err(|refusal| refusal.about(id))
}

async fn api_of(resources: &Resources, id: &ObjectId, object: &Value) -> Result<Api<DynamicObject>, Refusal> {
    let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    resources.api(&id.group_kind, api_version, id.namespace.as_deref()).await.map_err(Refusal::Cluster)
}

async fn store(api: &Api<DynamicObject>, id: &ObjectId, object: &Value) -> Result<DynamicObject, Refusal> {
    let params = PatchParams::apply(FIELD_MANAGER).validation_strict();
    let error = match api.patch(&id.name, &params, &Patch::Apply(object)).await {
        Ok(live) => return Ok(live),
        Err(error) => ClusterError::from(error),
    };
    let ErrorKind::Conflict(conflicts) = &error.kind else { return Err(Refusal::Cluster(error)) };
    let controllers: Vec<String> = conflicts
        .iter()
        .filter(|conflict| class_of(&conflict.manager) == ManagerClass::Controller)
        .map(|conflict| format!("{} is owned by {}", conflict.field, conflict.manager))
        .collect();
    if conflicts.is_empty() {
        return Err(Refusal::Cluster(error));
    }
    if !controllers.is_empty() {
        return Err(Refusal::Owned(format!(
            "{}: a controller writes it, so Git's value is not forced on it; take the field out of the file, or stop the \
             controller",
            controllers.join(", ")
        )));
    }
    let forced = api.patch(&id.name, &params.force(), &Patch::Apply(object)).await;
    forced.map_err(|error| Refusal::Cluster(error.into()))
}

/// Makes fields that people had set too ours alone, so that they go when they leave Git. Changes `managedFields` and
/// nothing else. What cannot be taken over now is with the next apply.
async fn take_over(api: &Api<DynamicObject>, name: &str, mut live: DynamicObject) -> DynamicObject {
    for _ in 0..TAKE_OVER_TRIES {
        let entries = live.metadata.managed_fields.as_deref().unwrap_or_default();
        let (Some(entries), Some(version)) = (without_people(entries), &live.metadata.resource_version) else {
            return live;
        };
        let patch = json!([
            {"op": "replace", "path": "/metadata/managedFields", "value": entries},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
        ]);
        let Ok(patch) = serde_json::from_value(patch) else { return live };
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        match api.patch(name, &params, &Patch::<Value>::Json(patch)).await.map_err(ClusterError::from) {
            Ok(taken) => return taken,
            Err(error) if matches!(error.kind, ErrorKind::Conflict(_)) => match api.get(name).await {
                Ok(newer) => live = newer,
                Err(_) => return live,
            },
            Err(error) => {
                tracing::debug!(object = name, "ownership stays shared: {}", error.message);
                return live;
            }
        }
    }
    live
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_an_invalid_secret_is_refused_without_its_value() {
        let of = |kind: &str, error: ErrorKind| {
            let words = "failed to create typed patch object (.data.pin: expected string, got &{c4n4ry})";
            let refusal = Refusal::Cluster(ClusterError::new(error, words));
            refusal.about(&ObjectId::new("", kind, Some("n"), "x")).message()
        };
        for error in [ErrorKind::Server, ErrorKind::Invalid(Vec::new()), ErrorKind::Other] {
            let told = of("Secret", error.clone());
            assert!(!told.contains("c4n4ry") && told.contains("must be a string"), "{told}");
            assert!(of("ConfigMap", error).contains("c4n4ry"));
        }
        // What says nothing about values stays as it is.
        assert!(of("Secret", ErrorKind::Forbidden).contains("typed patch"));
    }
}
