//! What a kubelet runs for a pod: Envoy for a gateway, the app for anything else, both for a pod in the mesh.

use std::{
    collections::HashMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::{Client, ResourceExt as _};
use serde_json::json;

use super::{
    Programs,
    app::{App, Who},
    bootstrap::{ADMIN, Node, Role, bootstrap},
    client,
    istiod::{SIDECAR, XDS},
    network::{Address, BRIDGE, HOST, PodNetwork},
};
use crate::{Supervised, apply_value, wait_for};

const INJECT: &str = "sidecar.istio.io/inject";
/// A gateway whose secret is missing is held back for 15 s, then it serves the rest.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Runs pods of all clusters.
pub(crate) struct Pods {
    pub(super) programs: Programs,
    pub(super) dir: PathBuf,
    /// Values of the label `app` whose pods get a sidecar.
    pub(super) sidecars: Vec<String>,
    /// UID → what runs. Locked while a pod starts: a second look at it waits for the first.
    pub(super) running: Mutex<HashMap<String, Slot>>,
}

pub(super) type Slot = Arc<tokio::sync::Mutex<Option<Running>>>;

/// What runs for a pod; ends with this value, last field last.
#[derive(Default)]
pub(super) struct Running {
    name: String,
    apps: Vec<App>,
    envoy: Option<Supervised>,
    network: Option<PodNetwork>,
    _address: Option<Address>,
}

impl Pods {
    /// Runs a pod unless it runs already, and waits until it can take requests.
    pub(crate) async fn start(&self, client: &Client, cluster: &str, pod: &Pod, ip: &str) -> Result<()> {
        let uid = pod.uid().unwrap_or_default();
        let slot = Arc::clone(self.slots().entry(uid).or_default());
        let mut slot = slot.lock().await;
        if slot.is_none() {
            let ip: Ipv4Addr = ip.parse().with_context(|| format!("{ip:?} is no pod address"))?;
            *slot = Some(self.run(client, cluster, pod, ip).await?);
        }
        Ok(())
    }

    /// Ends a pod, at once.
    pub(crate) async fn stop(&self, uid: &str) {
        let slot = self.slots().remove(uid);
        if let Some(slot) = slot {
            let running = slot.lock().await.take();
            // It waits for processes.
            let _ = tokio::task::spawn_blocking(move || drop(running)).await;
        }
    }

    /// Ends all pods.
    pub(super) fn stop_all(&self) {
        let slots = std::mem::take(&mut *self.slots());
        for slot in slots.into_values() {
            if let Ok(mut slot) = slot.try_lock() {
                slot.take();
            }
        }
    }

    /// The Envoys that run now.
    pub(super) fn processes(&self) -> Vec<(String, u32)> {
        let slots = self.slots();
        let envoy = |slot: &Slot| {
            let slot = slot.try_lock().ok()?;
            let running = slot.as_ref()?;
            Some((running.name.clone(), running.envoy.as_ref()?.pid()))
        };
        slots.values().filter_map(envoy).collect()
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self, client: &Client, cluster: &str, pod: &Pod, ip: Ipv4Addr) -> Result<Running> {
        let spec = pod.spec.as_ref().context("a pod without spec")?;
        let namespace = pod.namespace().unwrap_or_default();
        let service_account = spec.service_account_name.clone().unwrap_or_else(|| "default".to_owned());
        let is_gateway = matches!(spec.containers.as_slice(), [only] if only.name == "istio-proxy");
        let ports = spec.containers.iter().flat_map(|c| c.ports.iter().flatten());
        let ports: Vec<u16> = ports.filter_map(|p| u16::try_from(p.container_port).ok()).collect();
        let app = pod.labels().get("app").cloned().unwrap_or_else(|| pod.name_any());
        let version = pod.labels().get("version").cloned().unwrap_or_default();
        let who = Who { app, version, cluster: cluster.to_owned(), pod: pod.name_any() };
        let node = |role| Node {
            role,
            ip,
            name: pod.name_any(),
            namespace: namespace.clone(),
            cluster: cluster.to_owned(),
            service_account: service_account.clone(),
            labels: pod.labels().clone(),
        };
        if is_gateway {
            may_read_secrets(client, &namespace, &service_account).await?;
            return self.envoy(node(Role::Router)).await;
        }
        if !self.wants_sidecar(pod) {
            let mut running = Running { _address: Some(Address::add(ip, BRIDGE)?), ..Running::default() };
            for port in ports {
                running.apps.push(App::here(ip, port, who.clone()).await?);
            }
            return Ok(running);
        }
        let mut running = self.envoy(node(Role::Sidecar)).await?;
        if let Some(network) = &running.network {
            for port in ports {
                running.apps.push(App::inside(network, ip, port, who.clone(), SIDECAR).await?);
            }
        }
        Ok(running)
    }

    fn wants_sidecar(&self, pod: &Pod) -> bool {
        let said = pod.labels().get(INJECT).or_else(|| pod.annotations().get(INJECT));
        let listed = pod.labels().get("app").is_some_and(|app| self.sidecars.contains(app));
        said.map_or(listed, |said| said == "true")
    }

    /// An Envoy in a network namespace of its own, once it has its configuration.
    pub(super) async fn envoy(&self, node: Node) -> Result<Running> {
        let network = tokio::task::spawn_blocking(move || PodNetwork::new(node.ip)).await??;
        let name = format!("envoy-{}-{}", node.cluster, node.name);
        let config = self.dir.join(format!("{name}.json"));
        fs::write(&config, bootstrap(&node, (HOST, XDS)).to_string())?;
        let mut command = network.command(&self.programs.envoy);
        command.arg("-c").arg(&config).args(["--concurrency", "1", "--disable-hot-restart", "-l", "warn"]);
        let envoy = Supervised::start(&name, command, &self.dir.join(format!("{name}.log")))?;
        let running = Running { name: name.clone(), envoy: Some(envoy), network: Some(network), ..Running::default() };
        let admin = SocketAddr::from((node.ip, ADMIN));
        let ready = wait_for(format!("{name} is ready"), READY_WITHIN, || async {
            let answer = client::ask(admin, "admin", "/ready").await?;
            Ok((answer.status == 200).then_some(()))
        });
        if let Err(error) = ready.await {
            // As a kubelet does: the pod runs on; here it becomes ready all the same, and the test sees what it serves.
            tracing::warn!(%error, "Envoy");
        }
        Ok(running)
    }
}

/// istiod hands a gateway the secrets that its service account, alone and without its groups, may list.
async fn may_read_secrets(client: &Client, namespace: &str, service_account: &str) -> Result<()> {
    let rbac = "rbac.authorization.k8s.io";
    let name = format!("lab-secrets-{service_account}");
    let meta = json!({"name": name, "namespace": namespace});
    let role = json!({
        "apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": meta,
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch"]}],
    });
    let binding = json!({
        "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": meta,
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": service_account, "namespace": namespace}],
    });
    for object in [role, binding] {
        apply_value(client, object, "lab").await?;
    }
    Ok(())
}
