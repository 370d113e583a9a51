//! What the member clusters say: read only.

use super::Chosen;
use crate::context::Context;
use crate::error::CommandError;
use crate::live::{self, LiveTargetName, request_failed, several};
use asm_io::cluster::ClusterError;
use asm_shared::authoring::LoadBalancerService;
use asm_shared::doctor::clb_access::{Caller, Facts, Objects, missing, observe};
use asm_shared::fleet::{Fleet, Target};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Node, Pod, Service};
use kube::Client;
use kube::api::{Api, ListParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// ConfigMaps that say how Services and pods are connected: kube-proxy's, as kubeadm and ACK name them, and Terway's.
const CONFIG_MAPS: [&str; 4] = ["kube-proxy", "kube-proxy-worker", "kube-proxy-master", "eni-config"];

/// The client that is asked about.
#[derive(Clone, Debug)]
pub(super) enum From {
    /// Namespace and name.
    Pod(String, String),
    /// Name.
    Node(String),
}

impl From {
    /// By `--from-pod` and `--from-node`.
    pub(super) fn parse(pod: Option<&str>, node: Option<&str>) -> Result<Option<Self>, CommandError> {
        match (pod, node) {
            (Some(pod), _) => match pod.split_once('/') {
                Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                    Ok(Some(Self::Pod(namespace.to_owned(), name.to_owned())))
                }
                _ => Err(CommandError::usage(format!("--from-pod {pod}: not NAMESPACE/POD"))),
            },
            (None, node) => Ok(node.map(|name| Self::Node(name.to_owned()))),
        }
    }
}

impl std::fmt::Display for From {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pod(namespace, name) => write!(f, "pod {namespace}/{name}"),
            Self::Node(name) => write!(f, "node {name}"),
        }
    }
}

/// The facts about the chosen load balancers, what could not be learned, and what could not be reached.
type Answer = (Vec<Facts>, Vec<String>, Option<CommandError>);

/// Asks the clusters of the chosen load balancers.
pub(super) fn read(
    context: &Context,
    fleet: &Fleet,
    chosen: &[Chosen],
    from: Option<&From>,
) -> Result<Answer, CommandError> {
    let mut of: BTreeMap<&str, Vec<&LoadBalancerService>> = BTreeMap::new();
    for service in chosen.iter().filter_map(|chosen| chosen.service.as_ref()) {
        of.entry(&service.cluster).or_default().push(service);
    }
    let mut targets = live::chosen(context, fleet, &[])?;
    targets.retain(|target| target.target != Target::Mesh && of.contains_key(target.target.name()));
    let answers = several::ask(context, "reading Services, pods and nodes", &targets, async |target, client| {
        let services = of.get(target.target.name()).map(Vec::as_slice).unwrap_or_default();
        Cluster { target, client }.read(services, from).await
    })?;
    let (mut facts, mut gaps, mut has_caller) = (Vec::new(), Vec::new(), false);
    // None: the client is not of this cluster.
    for (found, more) in answers.found.into_iter().flatten() {
        has_caller = true;
        facts.extend(found);
        gaps.extend(more);
    }
    facts.extend(chosen.iter().filter_map(|chosen| chosen.serverless.as_ref()).map(super::Serverless::facts));
    if let (Some(from), false, true) = (from, has_caller, answers.errors.is_empty()) {
        let names: Vec<&str> = targets.iter().map(|target| target.target.name()).collect();
        return Err(CommandError::input(format!("there is no {from} in {}", names.join(", ")))
            .hinted("list them with: kubectl --context CONTEXT get pods,nodes --all-namespaces -o wide"));
    }
    Ok((facts, gaps, several::as_one(answers.errors)))
}

/// One member cluster.
struct Cluster<'a> {
    target: &'a LiveTargetName,
    client: Client,
}

impl Cluster<'_> {
    /// `None` when the client is not of this cluster.
    async fn read(
        &self,
        services: &[&LoadBalancerService],
        from: Option<&From>,
    ) -> Result<Option<(Vec<Facts>, Vec<String>)>, CommandError> {
        let mut gaps = Vec::new();
        let nodes = self.list(Api::<Node>::all(self.client.clone()), "nodes", ListParams::default(), &mut gaps).await?;
        let caller = match from {
            None => None,
            Some(from) => match self.caller(from, nodes.as_deref()).await? {
                Some(caller) => Some(caller),
                None => return Ok(None),
            },
        };
        let system = || Api::<DaemonSet>::namespaced(self.client.clone(), "kube-system");
        let daemon_sets = self.list(system(), "DaemonSets of kube-system", ListParams::default(), &mut gaps).await?;
        let config_maps = self.config_maps(&mut gaps).await?;
        let mut facts = Vec::new();
        for service in services {
            let api: Api<Service> = Api::namespaced(self.client.clone(), &service.namespace);
            let found = api.get_opt(&service.name).await.map_err(|error| {
                self.failed(&format!("read Service {}/{}", service.namespace, service.name), &ClusterError::from(error))
            })?;
            let Some(live) = found else {
                facts.push(missing(service));
                continue;
            };
            let objects = Objects {
                pods: self.pods(&live, &mut gaps).await?,
                events: self.events(service, &mut gaps).await?,
                service: value(&live),
                nodes: nodes.clone(),
                config_maps: config_maps.clone(),
                daemon_sets: daemon_sets.clone(),
            };
            facts.push(observe(self.target.target.name(), &objects, caller.clone()));
        }
        gaps.dedup();
        Ok(Some((facts, gaps)))
    }

    async fn caller(&self, from: &From, nodes: Option<&[Value]>) -> Result<Option<Caller>, CommandError> {
        match from {
            From::Node(name) => {
                let is_it = |node: &Value| node.pointer("/metadata/name").and_then(Value::as_str) == Some(name);
                let is_here = nodes.is_none_or(|nodes| nodes.iter().any(is_it));
                Ok(is_here.then(|| Caller { name: from.to_string(), node: Some(name.clone()), host_network: true }))
            }
            From::Pod(namespace, name) => {
                let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
                let found = api.get_opt(name).await;
                let found = found.map_err(|error| self.failed(&format!("read {from}"), &ClusterError::from(error)))?;
                Ok(found.map(|pod| {
                    let spec = pod.spec.unwrap_or_default();
                    let host_network = spec.host_network.unwrap_or_default();
                    Caller { name: from.to_string(), node: spec.node_name, host_network }
                }))
            }
        }
    }

    async fn pods(&self, service: &Service, gaps: &mut Vec<String>) -> Result<Option<Vec<Value>>, CommandError> {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default();
        let labels: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if labels.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let parameters = ListParams::default().labels(&labels.join(","));
        self.list(api, &format!("pods of {namespace}"), parameters, gaps).await
    }

    async fn events(
        &self,
        service: &LoadBalancerService,
        gaps: &mut Vec<String>,
    ) -> Result<Option<Vec<Value>>, CommandError> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &service.namespace);
        let fields = format!("involvedObject.kind=Service,involvedObject.name={}", service.name);
        self.list(api, &format!("events of {}", service.namespace), ListParams::default().fields(&fields), gaps).await
    }

    /// By name: a list would bring everything else that `kube-system` keeps in ConfigMaps.
    async fn config_maps(&self, gaps: &mut Vec<String>) -> Result<Option<Vec<Value>>, CommandError> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), "kube-system");
        let mut found = Vec::new();
        for name in CONFIG_MAPS {
            match api.get_opt(name).await.map_err(ClusterError::from) {
                Ok(config_map) => found.extend(config_map.as_ref().map(value)),
                Err(error) if error.is_about_connection() => {
                    return Err(self.failed(&format!("read ConfigMap kube-system/{name}"), &error));
                }
                Err(error) => {
                    gaps.push(self.gap("ConfigMaps of kube-system", &error));
                    return Ok(None);
                }
            }
        }
        Ok(Some(found))
    }

    /// All objects of a kind; what may not be listed is a gap.
    async fn list<K>(
        &self,
        api: Api<K>,
        what: &str,
        parameters: ListParams,
        gaps: &mut Vec<String>,
    ) -> Result<Option<Vec<Value>>, CommandError>
    where
        K: Clone + Debug + DeserializeOwned + Serialize,
    {
        match api.list(&parameters).await.map_err(ClusterError::from) {
            Ok(list) => Ok(Some(list.items.iter().map(value).collect())),
            Err(error) if error.is_about_connection() => Err(self.failed(&format!("list {what}"), &error)),
            Err(error) => {
                gaps.push(self.gap(what, &error));
                Ok(None)
            }
        }
    }

    fn failed(&self, doing: &str, error: &ClusterError) -> CommandError {
        request_failed(&self.target.kube_context, doing, error)
    }

    fn gap(&self, what: &str, error: &ClusterError) -> String {
        let LiveTargetName { target, kube_context } = self.target;
        format!("{}: {what} cannot be read (context {kube_context}): {}", target.name(), error.message)
    }
}

fn value(object: &impl Serialize) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}
