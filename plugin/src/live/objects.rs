//! The live objects of one target that concern Git: those that Git names, and those that carry the agent's label.

use super::{LiveTargetName, request_failed};
use crate::context::Context;
use crate::error::CommandError;
use crate::kubeconfig;
use asm_io::cluster::{ClusterError, ErrorKind, KindError, Resolver, Resource};
use asm_shared::api::labels;
use asm_shared::diff::{LiveObject, LiveTarget};
use asm_shared::fleet::{FleetState, Target};
use asm_shared::object::{GroupKind, ObjectId, kinds};
use futures::stream::{self, StreamExt as _};
use kube::api::{DynamicObject, ListParams};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Requests to one API server at a time.
const AT_ONCE: usize = 8;
/// Objects per page of a list.
const PAGE: u32 = 500;

/// What could be learned about one target.
#[derive(Debug)]
pub struct Seen {
    /// Its live objects.
    pub live: LiveTarget,
    /// Objects and kinds about which nothing could be learned, and why.
    pub gaps: Vec<Gap>,
}

/// Something that could not be read although the API server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// What: an object or a kind.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Reads one target. An error means that the API server as a whole could not be used.
pub async fn read(context: &Context, name: &LiveTargetName, state: &FleetState) -> Result<Seen, CommandError> {
    let client = kubeconfig::client(context, &name.kube_context).await?;
    let resolver = Resolver::new(client);
    let failed = |error: &ClusterError| request_failed(&name.kube_context, &format!("read {}", name.target), error);
    let mut reader = Reader {
        resolver,
        objects: BTreeMap::new(),
        sets: BTreeMap::new(),
        gaps: Vec::new(),
        unknown: BTreeSet::new(),
    };
    reader.list_sets(&name.target, state).await.map_err(|error| failed(&error))?;
    reader.get_missing(&name.target, state).await.map_err(|error| failed(&error))?;
    Ok(reader.finish(&name.target, state))
}

struct Reader {
    resolver: Resolver,
    objects: BTreeMap<ObjectId, Value>,
    /// The set that a labelled object belongs to.
    sets: BTreeMap<ObjectId, String>,
    gaps: Vec<Gap>,
    /// Objects that a gap hides: they may be there or not.
    unknown: BTreeSet<ObjectId>,
}

impl Reader {
    /// Lists, of every kind that may be there, the objects that carry the label of a set: one request per kind finds both
    /// what Git names and what Git has dropped.
    async fn list_sets(&mut self, target: &Target, state: &FleetState) -> Result<(), ClusterError> {
        let resolver = &self.resolver;
        let answers: Vec<_> = stream::iter(kinds_of(target, state))
            .map(|(kind, api_version, in_git)| async move {
                let resource = match resolver.resolve(&kind, &api_version).await {
                    Ok(resource) => resource,
                    Err(KindError::NoAnswer { error, .. }) if error.is_about_connection() => return Err(error),
                    Err(error) if in_git => return Ok((kind, Err(error.to_string()))),
                    Err(_) => return Ok((kind, Ok(Vec::new()))),
                };
                match labelled(resolver, &resource).await {
                    Ok(objects) => Ok((kind, Ok(objects))),
                    Err(error) if error.is_about_connection() => Err(error),
                    // A kind of the table that is not installed is no matter while Git has none of it, and who may not
                    // list may still get.
                    Err(_) => Ok((kind, Ok(Vec::new()))),
                }
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        for answer in answers {
            match answer? {
                (kind, Ok(objects)) => {
                    for (object, set) in objects {
                        if let Some(id) = id_of(&kind, &object) {
                            self.sets.insert(id.clone(), set);
                            self.objects.insert(id, object);
                        }
                    }
                }
                (kind, Err(why)) => {
                    self.gaps.push(Gap { what: kind.to_string(), why });
                    self.unknown
                        .extend(state.manifests_of(target).map(|m| &m.id).filter(|id| id.group_kind == kind).cloned());
                }
            }
        }
        Ok(())
    }

    /// Gets what Git names and no set holds: not applied yet, or made by somebody else.
    async fn get_missing(&mut self, target: &Target, state: &FleetState) -> Result<(), ClusterError> {
        let resolver = &self.resolver;
        let (known, unknown) = (&self.objects, &self.unknown);
        let missing = state
            .manifests_of(target)
            .filter(|manifest| !known.contains_key(&manifest.id) && !unknown.contains(&manifest.id));
        let answers: Vec<_> = stream::iter(missing)
            .map(|manifest| async move {
                let id = manifest.id.clone();
                let resource = match resolver.resolve(&id.group_kind, &manifest.api_version).await {
                    Ok(resource) => resource,
                    Err(KindError::NoAnswer { error, .. }) if error.is_about_connection() => return Err(error),
                    // Told once for the kind already.
                    Err(_) => return Ok((id, None)),
                };
                let api = resource.objects(resolver.client(), id.namespace.as_deref());
                match api.get_opt(&id.name).await.map_err(ClusterError::from) {
                    Ok(object) => Ok((id, object.map(|object| whole(&resource, &object)).map(Ok))),
                    Err(error) if error.is_about_connection() => Err(error),
                    Err(error) => Ok((id, Some(Err(error)))),
                }
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        for answer in answers {
            match answer? {
                (id, Some(Ok(object))) => {
                    self.objects.insert(id, object);
                }
                (id, Some(Err(error))) => {
                    self.gaps.push(Gap { what: id.to_string(), why: error.message });
                    self.unknown.insert(id);
                }
                (_, None) => {}
            }
        }
        Ok(())
    }

    /// Which objects count as managed: those of the sets that hold something that Git names. Another fleet's agent may
    /// work on the same cluster; what it made is not ours to delete.
    fn finish(self, target: &Target, state: &FleetState) -> Seen {
        let named: BTreeSet<&ObjectId> = state.manifests_of(target).map(|manifest| &manifest.id).collect();
        let ours: BTreeSet<&String> =
            self.sets.iter().filter(|(id, _)| named.contains(id)).map(|(_, set)| set).collect();
        let objects = self.objects.into_iter().map(|(id, object)| {
            let is_managed = self.sets.get(&id).is_some_and(|set| ours.contains(set));
            (id, LiveObject { object: object.into(), is_managed })
        });
        let live = LiveTarget { target: target.clone(), objects: objects.collect(), unknown: self.unknown };
        Seen { live, gaps: self.gaps }
    }
}

/// Kinds that may live on a target, each in one version: those in Git first, then those of the table.
fn kinds_of(target: &Target, state: &FleetState) -> Vec<(GroupKind, Arc<str>, bool)> {
    let mut found: BTreeMap<GroupKind, (Arc<str>, bool)> = BTreeMap::new();
    for manifest in state.manifests_of(target) {
        found.entry(manifest.id.group_kind.clone()).or_insert_with(|| (manifest.api_version.clone(), true));
    }
    let on_mesh = *target == Target::Mesh;
    for row in kinds::KINDS {
        let here = match row.place {
            kinds::Place::Both => true,
            kinds::Place::Mesh => on_mesh,
            kinds::Place::Member => !on_mesh,
        };
        if let Some(version) = default_version(row.group).filter(|_| here) {
            let api_version =
                if row.group.is_empty() { version.into() } else { format!("{}/{version}", row.group).into() };
            found.entry(GroupKind::new(row.group, row.kind)).or_insert((api_version, false));
        }
    }
    found.into_iter().map(|(kind, (version, in_git))| (kind, version, in_git)).collect()
}

/// The version to ask for when no manifest names one: what every supported server has.
fn default_version(group: &str) -> Option<&'static str> {
    match group {
        "autoscaling" => Some("v2"),
        "extensions.istio.io" => Some("v1alpha1"),
        "istio.alibabacloud.com" => Some("v1beta1"),
        // Older Istio versions have no v1.
        "networking.istio.io" | "security.istio.io" => Some("v1beta1"),
        "telemetry.istio.io" => Some("v1alpha1"),
        _ => Some("v1"),
    }
}

/// The objects of a kind that carry the label of a set, page by page.
async fn labelled(resolver: &Resolver, resource: &Resource) -> Result<Vec<(Value, String)>, ClusterError> {
    let api = resource.objects(resolver.client(), None);
    let mut found = Vec::new();
    let mut parameters = ListParams::default().labels(labels::PART_OF).limit(PAGE);
    loop {
        let page = match api.list(&parameters).await.map_err(ClusterError::from) {
            Ok(page) => page,
            // The list took so long that its snapshot is gone: start again, without pages.
            Err(error) if error.kind == ErrorKind::Expired && parameters.limit.is_some() => {
                found.clear();
                parameters = ListParams::default().labels(labels::PART_OF);
                continue;
            }
            Err(error) => return Err(error),
        };
        let next = page.metadata.continue_.clone().filter(|token| !token.is_empty());
        for object in &page.items {
            let set = object.metadata.labels.as_ref().and_then(|labels| labels.get(labels::PART_OF)).cloned();
            found.push((whole(resource, object), set.unwrap_or_default()));
        }
        match next {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(found),
        }
    }
}

/// The object with `apiVersion` and `kind`, which the items of a list lack.
fn whole(resource: &Resource, object: &DynamicObject) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        map.insert("apiVersion".to_owned(), resource.api.api_version.clone().into());
        map.insert("kind".to_owned(), resource.api.kind.clone().into());
    }
    value
}

fn id_of(kind: &GroupKind, object: &Value) -> Option<ObjectId> {
    let metadata = object.get("metadata")?;
    let namespace = metadata.get("namespace").and_then(Value::as_str);
    Some(ObjectId::new(&kind.group, &kind.kind, namespace, metadata.get("name")?.as_str()?))
}
