//! The pods that manifests make. Pods never stand in Git, so selectors are judged by pod templates; a gateway's pods are
//! ASM's and follow from the IstioGateway.

use super::{FleetState, Manifest, Target};
use crate::asm::gateway;
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashMap;

/// The pods of one workload in one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Pod<'a> {
    /// What makes them: a workload, a bare pod, or an IstioGateway.
    pub(crate) manifest: &'a Manifest,
    /// Where they run. The mesh itself for serverless gateways; `None` for a gateway in clusters that the fleet does not
    /// declare.
    pub(crate) target: Option<Target>,
    /// Their namespace.
    pub(crate) namespace: &'a str,
    /// Their labels.
    pub(crate) labels: Cow<'a, Map<String, Value>>,
    /// Their spec; `None` for a gateway's.
    pub(crate) spec: Option<&'a Value>,
}

impl Pod<'_> {
    /// Do they have all these labels?
    pub(crate) fn has(&self, selector: &Map<String, Value>) -> bool {
        selector.iter().all(|(key, value)| self.labels.get(key) == Some(value))
    }

    /// Are they the pods of an IstioGateway?
    pub(crate) fn is_istio_gateway(&self) -> bool {
        self.spec.is_none()
    }
}

/// Pods by their labels, so that a selector need not be held against every pod of the fleet.
#[derive(Debug, Default)]
pub(crate) struct PodIndex {
    by_label: HashMap<String, HashMap<String, Vec<usize>>>,
}

impl PodIndex {
    pub(crate) fn of(pods: &[Pod<'_>]) -> Self {
        let mut index = Self::default();
        for (number, pod) in pods.iter().enumerate() {
            for (key, value) in pod.labels.iter().filter_map(|(key, value)| Some((key, value.as_str()?))) {
                // Most labels are known: those of the other clusters are the same.
                match index.by_label.get_mut(key).and_then(|values| values.get_mut(value)) {
                    Some(known) => known.push(number),
                    None => {
                        let values = index.by_label.entry(key.clone()).or_default();
                        values.entry(value.to_owned()).or_default().push(number);
                    }
                }
            }
        }
        index
    }

    /// The pods with all these labels, in their order. None for a selector without labels.
    pub(crate) fn with(&self, pods: &[Pod<'_>], selector: &Map<String, Value>) -> Vec<usize> {
        let with =
            |(key, value): (&String, &Value)| self.by_label.get(key).and_then(|values| values.get(value.as_str()?));
        // The rarest label leaves the fewest pods to look at.
        let rarest = selector.iter().map(with).min_by_key(|found| found.map_or(0, Vec::len)).flatten();
        let has_all = |index: &&usize| pods.get(**index).is_some_and(|pod| pod.has(selector));
        rarest.into_iter().flatten().filter(has_all).copied().collect()
    }
}

/// The namespace of an object; what Git does not say is `default`, as for the API server.
fn namespace(manifest: &Manifest) -> &str {
    manifest.id.namespace.as_deref().unwrap_or("default")
}

/// The pod template of a workload (or a bare pod): metadata and spec.
pub(crate) fn template(manifest: &Manifest) -> Option<&Value> {
    manifest.object.at(template_at(manifest)?)
}

/// Where the pod template of a workload stands; nothing before it for a bare pod.
pub(crate) fn template_at(manifest: &Manifest) -> Option<&'static str> {
    let kind = manifest.group_kind();
    Some(match (&*kind.group, &*kind.kind) {
        ("", "Pod") => "",
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "Job") => "/spec/template",
        ("batch", "CronJob") => "/spec/jobTemplate/spec/template",
        _ => return None,
    })
}

/// All pods of a fleet.
pub(crate) fn all(state: &FleetState) -> Vec<Pod<'_>> {
    state.manifests.iter().flat_map(|manifest| of(state, manifest)).collect()
}

fn of<'a>(state: &'a FleetState, manifest: &'a Manifest) -> Vec<Pod<'a>> {
    if manifest.group_kind().is(ASM, "IstioGateway") {
        let labels: Map<String, Value> = gateway::pod_labels(&manifest.id.name, &manifest.object);
        let pod = |target| Pod {
            manifest,
            target,
            namespace: namespace(manifest),
            labels: Cow::Owned(labels.clone()),
            spec: None,
        };
        return match targets_of_gateway(state, manifest) {
            targets if targets.is_empty() => vec![pod(None)],
            targets => targets.into_iter().map(|target| pod(Some(target))).collect(),
        };
    }
    let Some(template) = template(manifest) else { return Vec::new() };
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    let labels = template.at("/metadata/labels").and_then(Value::as_object).unwrap_or(&NONE);
    vec![Pod {
        manifest,
        target: Some(manifest.target.clone()),
        namespace: namespace(manifest),
        labels: Cow::Borrowed(labels),
        spec: Some(template.get("spec").unwrap_or(&Value::Null)),
    }]
}

/// Where the pods of an IstioGateway run, as far as the fleet declares its clusters.
pub(crate) fn targets_of_gateway(state: &FleetState, manifest: &Manifest) -> Vec<Target> {
    if gateway::is_serverless(&manifest.object) {
        return vec![Target::Mesh];
    }
    let ids = gateway::cluster_ids(&manifest.object);
    let clusters = state.fleet.iter().flat_map(|fleet| &fleet.spec.clusters);
    let own = clusters.filter(|cluster| cluster.id.as_deref().is_some_and(|id| ids.contains(&id)));
    own.map(|cluster| Target::Cluster(cluster.name.as_str().into())).collect()
}
