//! What runs of the links: read only.

use super::Way;
use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::live::{self, LiveTargetName, request_failed, several};
use asm_io::cluster::{ClusterError, Resource};
use asm_shared::asm::addresses;
use asm_shared::doctor::chain::{Live, LiveBackend, LiveDoor, backends, key};
use asm_shared::fleet::Target;
use asm_shared::object::GroupKind;
use asm_shared::object::kinds::ASM;
use asm_shared::route::Trace;
use k8s_openapi::api::core::v1::{Event, Pod, Service};
use kube::Client;
use kube::api::{Api, ListParams};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Cluster, namespace, name, subset.
type BackendKey = (String, String, String, String);

/// What is to be asked of one API server.
#[derive(Debug, Default)]
struct Questions {
    /// Namespace and name of Services in front of gateways.
    doors: BTreeSet<(String, String)>,
    /// Services behind them, with the labels that their pods must have.
    backends: BTreeMap<BackendKey, BTreeMap<String, String>>,
    /// Serverless gateways: namespace, name, API version.
    gateways: BTreeSet<(String, String, String)>,
}

/// The answers.
#[derive(Debug, Default)]
pub(super) struct Found {
    doors: BTreeMap<(String, String, String), LiveDoor>,
    backends: BTreeMap<BackendKey, LiveBackend>,
    gateways: BTreeMap<String, Vec<String>>,
    pub(super) error: Option<CommandError>,
}

impl Found {
    /// Those about one way.
    pub(super) fn of(&self, way: &Way<'_>) -> Live {
        let door = way.door.and_then(|door| way.front.doors.get(door));
        let key = door.map(|door| (door.cluster.name().to_owned(), way.front.namespace.clone(), door.name.clone()));
        Live {
            door: key.and_then(|key| self.doors.get(&key)).cloned(),
            addresses: self.gateways.get(&way.front.name).cloned().unwrap_or_default(),
            backends: self.backends.clone(),
        }
    }
}

/// Asks everything that some ways need.
pub(super) fn read(
    context: &Context,
    repo: &FleetRepo,
    ways: &[Way<'_>],
    traces: &[Trace<'_>],
) -> Result<Found, CommandError> {
    let questions = questions(ways, traces);
    let mut targets = live::chosen(context, repo.fleet()?, &[])?;
    targets.retain(|target| questions.contains_key(target.target.name()));
    let none = Questions::default();
    let answers = several::ask(context, "reading Services and pods", &targets, async |target, client| {
        Server { target, client }.read(questions.get(target.target.name()).unwrap_or(&none)).await
    })?;
    let mut all = Found { error: several::as_one(answers.errors), ..Found::default() };
    for found in answers.found {
        all.doors.extend(found.doors);
        all.backends.extend(found.backends);
        all.gateways.extend(found.gateways);
    }
    Ok(all)
}

fn questions(ways: &[Way<'_>], traces: &[Trace<'_>]) -> BTreeMap<String, Questions> {
    let mut all: BTreeMap<String, Questions> = BTreeMap::new();
    for (way, trace) in ways.iter().zip(traces) {
        let door = way.door.and_then(|door| way.front.doors.get(door));
        if let Some(door) = door.filter(|door| door.cluster != Target::Mesh) {
            let questions = all.entry(door.cluster.name().to_owned()).or_default();
            questions.doors.insert((way.front.namespace.clone(), door.name.clone()));
        }
        if let Some(manifest) = way.front.manifest.filter(|_| way.front.serverless) {
            let gateway = (way.front.namespace.clone(), way.front.name.clone(), manifest.api_version.to_string());
            all.entry("mesh".to_owned()).or_default().gateways.insert(gateway);
        }
        for (service, subset, labels) in backends(trace) {
            let selector = service.object.pointer("/spec/selector").and_then(Value::as_object);
            let mut wanted = labels;
            for (key, value) in selector.into_iter().flatten() {
                wanted.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
            }
            let questions = all.entry(service.target.name().to_owned()).or_default();
            questions.backends.insert(key(service, subset), wanted);
        }
    }
    all
}

/// One API server.
struct Server<'a> {
    target: &'a LiveTargetName,
    client: Client,
}

impl Server<'_> {
    async fn read(&self, questions: &Questions) -> Result<Found, CommandError> {
        let mut found = Found::default();
        for (namespace, name) in &questions.doors {
            let key = (self.target.target.name().to_owned(), namespace.clone(), name.clone());
            found.doors.insert(key, self.door(namespace, name).await?);
        }
        for (key, labels) in &questions.backends {
            let (_, namespace, name, _) = key;
            let answer = match self.service(namespace, name).await? {
                // Without a selector somebody else writes its endpoints.
                Some(_) if labels.is_empty() => continue,
                Some(_) => LiveBackend::of(&self.pods(namespace, labels).await?),
                None => LiveBackend::default(),
            };
            found.backends.insert(key.clone(), answer);
        }
        for (namespace, name, api_version) in &questions.gateways {
            let kind = GroupKind::new(ASM, "IstioGateway");
            let Some(resource) = Resource::known(&kind, api_version) else { continue };
            let object = resource.objects(self.client.clone(), Some(namespace)).get_opt(name).await;
            let object = object.map_err(|error| self.failed(&format!("read IstioGateway {name}"), error))?;
            let value = object.map(|object| serde_json::to_value(object).unwrap_or_default()).unwrap_or_default();
            found.gateways.insert(name.clone(), addresses::of_istio_gateway(&value));
        }
        Ok(found)
    }

    async fn door(&self, namespace: &str, name: &str) -> Result<LiveDoor, CommandError> {
        let Some(service) = self.service(namespace, name).await? else { return Ok(LiveDoor::default()) };
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default();
        let pods = if selector.is_empty() { Vec::new() } else { self.pods(namespace, &selector).await? };
        let fields = format!("involvedObject.kind=Service,involvedObject.name={name}");
        let events: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        // Who may not read events learns the rest.
        let events =
            events.list(&ListParams::default().fields(&fields)).await.map(|list| list.items).unwrap_or_default();
        let events: Vec<Value> = events.iter().map(|event| serde_json::to_value(event).unwrap_or_default()).collect();
        Ok(LiveDoor::of(Some(&serde_json::to_value(service).unwrap_or_default()), &pods, &events))
    }

    async fn service(&self, namespace: &str, name: &str) -> Result<Option<Service>, CommandError> {
        let api: Api<Service> = Api::namespaced(self.client.clone(), namespace);
        api.get_opt(name).await.map_err(|error| self.failed(&format!("read Service {namespace}/{name}"), error))
    }

    async fn pods(&self, namespace: &str, labels: &BTreeMap<String, String>) -> Result<Vec<Value>, CommandError> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let list = api.list(&ListParams::default().labels(&labels.join(","))).await;
        let list = list.map_err(|error| self.failed(&format!("list pods of {namespace}"), error))?;
        Ok(list.items.iter().map(|pod| serde_json::to_value(pod).unwrap_or_default()).collect())
    }

    fn failed(&self, doing: &str, error: kube::Error) -> CommandError {
        request_failed(&self.target.kube_context, doing, &ClusterError::from(error))
    }
}
