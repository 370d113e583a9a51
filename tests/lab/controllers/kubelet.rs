//! Simulated scheduler and kubelets of one cluster: pods are bound, get an address and are Ready. Nothing runs, unless the
//! lab has a data plane.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
    runtime::watcher,
};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};

use super::follow::{Change, follow};
use crate::dataplane::Pods;

/// A pod with this annotation set to `"false"` runs but is not Ready.
pub(crate) const READY_ANNOTATION: &str = "lab.kubectl-asm.io/ready";

const MANAGER: &str = "kubelet";
const NODES: u32 = 2;
/// Requests that are under way at once; more only make the API servers of a small machine slower.
const PARALLEL: usize = 8;

pub(crate) struct Kubelet {
    pub(crate) cluster: String,
    /// Position among the members: their pod addresses must not overlap.
    pub(crate) index: usize,
    /// How long a pod takes to end.
    pub(crate) termination: Duration,
    /// Runs something in the pods.
    pub(crate) pods: Option<Arc<Pods>>,
}

/// Which pod has which number. A pod is looked at more than once before it shows its address, and must keep it.
#[derive(Default)]
struct Numbers(Mutex<(u32, HashMap<String, u32>)>);

impl Numbers {
    fn of(&self, pod: &Pod) -> u32 {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, given) = &mut *numbers;
        *given.entry(pod.uid().unwrap_or_default()).or_insert_with(|| {
            *next += 1;
            *next - 1
        })
    }

    fn forget(&self, pod: &Pod) {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.1.remove(&pod.uid().unwrap_or_default());
    }
}

impl Kubelet {
    /// Works for ever.
    pub(crate) async fn run(self, client: Client) {
        while let Err(error) = self.register(&client).await {
            tracing::debug!(cluster = self.cluster, %error, "nodes are not registered yet");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let (to, mut changes) = mpsc::unbounded_channel();
        let watch = follow(Api::<Pod>::all(client.clone()), watcher::Config::default(), to, |change| change);
        let this = Arc::new(self);
        let work = async {
            let (given, permits) = (Arc::new(Numbers::default()), Arc::new(Semaphore::new(PARALLEL)));
            // Pods whose end is under way: further changes of theirs ask for nothing more.
            let mut ending = HashSet::new();
            while let Some(change) = changes.recv().await {
                let pod = match change {
                    Change::Set(pod) => pod,
                    Change::Gone(pod) => {
                        given.forget(&pod);
                        if let Some(pods) = this.pods.clone() {
                            tokio::spawn(async move { pods.stop(&pod.uid().unwrap_or_default()).await });
                        }
                        continue;
                    }
                };
                let ends = pod.metadata.deletion_timestamp.is_some();
                if (ends && !ending.insert(pod.uid())) || (!ends && has_settled(&pod)) {
                    continue;
                }
                let (this, client) = (Arc::clone(&this), client.clone());
                let (given, permits) = (Arc::clone(&given), Arc::clone(&permits));
                tokio::spawn(async move { this.handle(&client, *pod, &given, &permits).await });
            }
        };
        tokio::join!(watch, work);
    }

    async fn handle(&self, client: &Client, pod: Pod, given: &Numbers, permits: &Semaphore) {
        let ends = pod.metadata.deletion_timestamp.is_some();
        if ends {
            tokio::time::sleep(self.termination).await;
        }
        let mut pause = Duration::from_millis(200);
        loop {
            let done = {
                let _permit = permits.acquire().await;
                if ends { self.end(client, &pod).await } else { self.run_pod(client, &pod, given).await }
            };
            match done {
                Ok(()) => return,
                Err(error) => {
                    // Gone or replaced meanwhile: a newer change follows.
                    if matches!(error.downcast_ref(), Some(kube::Error::Api(s)) if s.code == 404 || s.code == 409) {
                        return;
                    }
                    tracing::debug!(cluster = self.cluster, pod = pod.name_any(), %error, "kubelet tries again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
            }
        }
    }

    async fn register(&self, client: &Client) -> Result<()> {
        let api: Api<Node> = Api::all(client.clone());
        let version = client.apiserver_version().await?.git_version;
        for n in 1..=NODES {
            let name = self.node(n);
            let zone = format!("cn-hangzhou-{}", char::from(b'h' + u8::try_from(n)?));
            let node = serde_json::from_value(json!({
                "metadata": {"name": name, "labels": {
                    "kubernetes.io/hostname": name,
                    "kubernetes.io/os": "linux",
                    "topology.kubernetes.io/region": "cn-hangzhou",
                    "topology.kubernetes.io/zone": zone,
                }},
                "spec": {"podCIDR": format!("10.244.{}.0/24", self.subnet() + n)},
            }))?;
            match api.create(&PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() }, &node).await
            {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(error.into()),
            }
            // Admission marks new nodes as not ready; nothing but a kubelet takes that away.
            let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
            api.patch(&name, &params, &Patch::Merge(json!({"spec": {"taints": null}}))).await?;
            let now = now();
            let room = json!({"cpu": "64", "memory": "256Gi", "pods": "5000"});
            let status = json!({"status": {
                "addresses": [{"type": "InternalIP", "address": self.host(n)}, {"type": "Hostname", "address": name}],
                "nodeInfo": {
                    "architecture": "amd64", "operatingSystem": "linux", "osImage": "Alibaba Cloud Linux 3",
                    "kernelVersion": "5.10.134", "containerRuntimeVersion": "containerd://2.1.0", "machineID": name,
                    "systemUUID": name, "bootID": name, "kubeletVersion": version, "kubeProxyVersion": version,
                },
                "capacity": room, "allocatable": room,
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "",
                                "lastHeartbeatTime": now, "lastTransitionTime": now}],
            }});
            api.patch_status(&name, &params, &Patch::Merge(status)).await?;
        }
        Ok(())
    }

    async fn run_pod(&self, client: &Client, pod: &Pod, given: &Numbers) -> Result<()> {
        let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
        let name = pod.name_any();
        // The address decides the node, so that it lies in the node's range.
        let n = given.of(pod);
        if pod.spec.as_ref().is_none_or(|s| s.node_name.is_none()) {
            let binding = json!({
                "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
                "target": {"apiVersion": "v1", "kind": "Node", "name": self.node(n % NODES + 1)},
            });
            let _: serde_json::Value =
                api.create_subresource("binding", &name, &PostParams::default(), &binding).await?;
        }
        let ready = pod.annotations().get(READY_ANNOTATION).is_none_or(|v| v != "false");
        let now = now();
        let condition = |kind: &str, holds: bool| {
            let status = if holds { "True" } else { "False" };
            json!({"type": kind, "status": status, "lastTransitionTime": now})
        };
        let containers = pod.spec.iter().flat_map(|s| &s.containers);
        let containers: Vec<_> = containers
            .map(|c| {
                json!({"name": c.name, "image": c.image, "imageID": "", "ready": ready, "started": true,
                       "restartCount": 0, "state": {"running": {"startedAt": now}}})
            })
            .collect();
        let pod_ip = pod.status.as_ref().and_then(|s| s.pod_ip.clone()).unwrap_or_else(|| self.pod_ip(n));
        if let Some(pods) = &self.pods {
            pods.start(client, &self.cluster, pod, &pod_ip).await?;
        }
        let status = json!({"metadata": {"uid": pod.uid()}, "status": {
            "phase": "Running", "podIP": pod_ip, "podIPs": [{"ip": pod_ip}],
            "hostIP": self.host(n % NODES + 1), "startTime": now,
            "conditions": [condition("PodScheduled", true), condition("Initialized", true),
                           condition("ContainersReady", ready), condition("Ready", ready)],
            "containerStatuses": containers,
        }});
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        api.patch_status(&name, &params, &Patch::Merge(status)).await?;
        Ok(())
    }

    async fn end(&self, client: &Client, pod: &Pod) -> Result<()> {
        let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions { uid: pod.uid(), ..Preconditions::default() }),
            ..DeleteParams::default()
        };
        api.delete(&pod.name_any(), &params).await?;
        Ok(())
    }

    fn node(&self, n: u32) -> String {
        format!("{}-node-{n}", self.cluster)
    }

    fn host(&self, n: u32) -> String {
        format!("10.240.{}.{n}", self.index)
    }

    /// The third byte of this cluster's first pod address; each cluster has 64 × 250 addresses.
    fn subnet(&self) -> u32 {
        u32::try_from(self.index % 4).unwrap_or(0) * 64
    }

    fn pod_ip(&self, n: u32) -> String {
        format!("10.244.{}.{}", self.subnet() + 1 + (n % NODES) + (n / 500) % 31 * NODES, (n / NODES) % 250 + 2)
    }
}

/// Whether there is nothing to do for a pod.
fn has_settled(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    if matches!(status.and_then(|s| s.phase.as_deref()), Some("Succeeded" | "Failed")) {
        return true;
    }
    let want = if pod.annotations().get(READY_ANNOTATION).is_some_and(|v| v == "false") { "False" } else { "True" };
    let conditions: BTreeMap<_, _> = status
        .and_then(|s| s.conditions.as_ref())
        .into_iter()
        .flatten()
        .map(|c| (c.type_.as_str(), c.status.as_str()))
        .collect();
    conditions.get("Ready") == Some(&want)
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pod_addresses_do_not_repeat_within_or_between_clusters() {
        let mut seen = HashSet::new();
        for index in 0..4 {
            let kubelet = Kubelet { cluster: "c".into(), index, termination: Duration::ZERO, pods: None };
            for n in 0..10_000 {
                let ip = kubelet.pod_ip(n);
                assert!(ip.parse::<std::net::Ipv4Addr>().is_ok(), "{ip}");
                assert!(seen.insert(ip));
            }
        }
    }
}
