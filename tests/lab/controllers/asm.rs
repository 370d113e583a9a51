//! Simulated ASM controller: makes of each IstioGateway what the product makes of it.
//!
//! An ordinary gateway becomes a Service, a Deployment, a ServiceAccount and, when it scales by itself, a
//! HorizontalPodAutoscaler `istio-<name>` in every cluster that it names; a serverless one gets an address of its own and nothing in any member. There is no finalizer on the
//! IstioGateway (none is documented): deletions are learnt from the watch, and after a break by listing.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use anyhow::{Context as _, Result};
use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{Service, ServiceAccount},
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions},
    core::GroupVersionKind,
    runtime::watcher,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{
    cloud::{Cloud, LoadBalancerKind, Owner},
    follow::{Change, follow},
};

const MANAGER: &str = "asm-controller";
const NAMESPACE: &str = "istio-system";
const MANAGED: &str = "asm.alibabacloud.com/managed-by-asm";
/// Where serverless gateways get their addresses.
const SERVERLESS_POOL: &str = "198.51.100";
const GENERATED: &str = "provider=asm,asm-system=true";

/// A member cluster as ASM knows it.
#[derive(Clone)]
pub(crate) struct Member {
    /// `c…`, as in `clusterIds`.
    pub(crate) id: String,
    /// The lab's name of it.
    pub(crate) context: String,
    pub(crate) client: Client,
}

pub(crate) struct Asm {
    mesh: Client,
    members: Vec<Member>,
    /// The account, seen from the mesh: serverless gateways' addresses.
    cloud: Cloud,
    gateways: BTreeMap<String, DynamicObject>,
    /// UID of serverless gateways whose address is alive → name.
    addresses: HashMap<String, String>,
    /// What was applied last per (context, gateway), to write only on a change.
    applied: HashMap<(String, String), Value>,
    /// Generated Services per (context, name), for addresses and to notice that one is missing.
    services: HashMap<(String, String), Service>,
    failures: HashMap<String, u32>,
    to: Option<UnboundedSender<Message>>,
}

enum Message {
    Gateway(Change<DynamicObject>),
    Service(String, Change<Service>),
    Retry(String),
}

impl Asm {
    pub(crate) fn new(mesh: Client, members: Vec<Member>, cloud: Cloud) -> Self {
        Self {
            mesh,
            members,
            cloud,
            gateways: BTreeMap::new(),
            addresses: HashMap::new(),
            applied: HashMap::new(),
            services: HashMap::new(),
            failures: HashMap::new(),
            to: None,
        }
    }

    pub(crate) fn resource() -> ApiResource {
        let gvk = GroupVersionKind::gvk("istio.alibabacloud.com", "v1beta1", "IstioGateway");
        ApiResource::from_gvk_with_plural(&gvk, "istiogateways")
    }

    /// Works for ever.
    pub(crate) async fn run(mut self) {
        let (to, mut messages) = unbounded_channel();
        self.to = Some(to.clone());
        let gateways = Api::<DynamicObject>::all_with(self.mesh.clone(), &Self::resource());
        let mesh = follow(gateways, watcher::Config::default(), to.clone(), Message::Gateway);
        let members = self.members.clone();
        let services = futures::future::join_all(members.into_iter().map(|member| {
            let api = Api::<Service>::namespaced(member.client, NAMESPACE);
            let config = watcher::Config::default().labels(GENERATED);
            follow(api, config, to.clone(), move |change| Message::Service(member.context.clone(), change))
        }));
        let work = async {
            self.remove_leftovers().await;
            while let Some(message) = messages.recv().await {
                let Some(name) = self.note(message) else { continue };
                match self.reconcile(&name).await {
                    Ok(()) => {
                        self.failures.remove(&name);
                    }
                    Err(error) => {
                        tracing::debug!(gateway = name, %error, "ASM controller tries again");
                        let failures = self.failures.entry(name.clone()).or_insert(0);
                        let pause = Duration::from_millis(200) * 2u32.pow((*failures).min(4));
                        *failures += 1;
                        if let Some(to) = self.to.clone() {
                            tokio::spawn(async move {
                                tokio::time::sleep(pause).await;
                                let _ = to.send(Message::Retry(name));
                            });
                        }
                    }
                }
            }
        };
        tokio::join!(mesh, services, work);
    }

    /// Keeps what a message tells; gives the gateway to look at.
    fn note(&mut self, message: Message) -> Option<String> {
        match message {
            Message::Retry(name) => Some(name),
            Message::Gateway(Change::Set(gateway)) => {
                if gateway.namespace().as_deref() != Some(NAMESPACE) {
                    return None;
                }
                let name = gateway.name_any();
                self.gateways.insert(name.clone(), *gateway);
                Some(name)
            }
            Message::Gateway(Change::Gone(gateway)) => {
                if gateway.namespace().as_deref() != Some(NAMESPACE) {
                    return None;
                }
                let name = gateway.name_any();
                if self.gateways.get(&name).is_some_and(|known| known.uid() == gateway.uid()) {
                    self.gateways.remove(&name);
                }
                Some(name)
            }
            Message::Service(context, change) => {
                let (Change::Set(service) | Change::Gone(service)) = &change;
                let name = service.name_any();
                let gateway = name.strip_prefix("istio-")?.to_owned();
                let key = (context, name);
                if let Change::Set(service) = change {
                    self.services.insert(key, *service);
                } else {
                    self.services.remove(&key);
                    // Made again if its gateway is still there.
                    self.applied.remove(&(key.0, gateway.clone()));
                }
                (self.gateways.contains_key(&gateway) || self.applied.keys().any(|(_, g)| *g == gateway))
                    .then_some(gateway)
            }
        }
    }

    async fn reconcile(&mut self, name: &str) -> Result<()> {
        let gateway = self.gateways.get(name).filter(|g| g.metadata.deletion_timestamp.is_none()).cloned();
        let serverless = gateway.as_ref().is_some_and(is_serverless);

        let uid = gateway.as_ref().filter(|_| serverless).and_then(|g| g.uid());
        let stale = self.addresses.iter().filter(|(u, n)| *n == name && Some(*u) != uid.as_ref());
        for uid in stale.map(|(uid, _)| uid.clone()).collect::<Vec<_>>() {
            if let Some(lb) = self.cloud.made_for(&uid) {
                self.cloud.remove(&lb.id, "serverless gateway gone");
            }
            self.addresses.remove(&uid);
        }

        // One cluster's failure must not keep the others from their change.
        let mut problems = Vec::new();
        let mut wanted = BTreeMap::new();
        if let Some(gateway) = gateway.as_ref().filter(|_| !serverless) {
            for id in cluster_ids(gateway) {
                match self.members.iter().find(|m| m.id == id).cloned() {
                    Some(member) => {
                        wanted.insert(member.context.clone(), member);
                    }
                    None => problems.push(format!("cluster {id} is not in the mesh")),
                }
            }
        }
        let mut failed = None;
        for member in self.members.clone() {
            let key = (member.context.clone(), name.to_owned());
            let outcome = match (&gateway, wanted.contains_key(&member.context)) {
                (Some(gateway), true) => {
                    let objects = generated(gateway, &member.id);
                    if self.applied.get(&key) == Some(&objects) {
                        Ok(())
                    } else {
                        let applied = apply(&member.client, name, &objects).await;
                        if applied.is_ok() {
                            self.applied.insert(key, objects);
                        }
                        applied
                    }
                }
                _ if self.applied.contains_key(&key) => {
                    let removed = remove(&member.client, name).await;
                    if removed.is_ok() {
                        self.applied.remove(&key);
                    }
                    removed
                }
                _ => Ok(()),
            };
            if let Err(error) = outcome {
                problems.push(format!("cluster {}: {error:#}", member.id));
                failed = Some(error);
            }
        }

        let Some(gateway) = gateway else { return failed.map_or(Ok(()), Err) };
        let per_cluster: Vec<(String, Option<String>)> = if serverless {
            vec![(String::new(), Some(self.serverless_address(&gateway)))]
        } else {
            wanted.values().map(|m| (m.id.clone(), self.address(&m.context, name))).collect()
        };
        let status = status(&gateway, &per_cluster, serverless, &problems);
        if gateway.data.get("status") != Some(&status) {
            let api: Api<DynamicObject> = Api::namespaced_with(self.mesh.clone(), NAMESPACE, &Self::resource());
            let patch = Patch::Merge(json!({"metadata": {"uid": gateway.uid()}, "status": status}));
            match api.patch_status(name, &params(), &patch).await {
                Ok(_) => {}
                // Gone or replaced meanwhile: its own message follows.
                Err(kube::Error::Api(s)) if s.code == 404 || s.code == 409 => {}
                Err(error) => return Err(error.into()),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn serverless_address(&mut self, gateway: &DynamicObject) -> String {
        let uid = gateway.uid().unwrap_or_default();
        if let Some(lb) = self.cloud.made_for(&uid) {
            return lb.address;
        }
        let name = gateway.name_any();
        self.addresses.insert(uid.clone(), name.clone());
        let owner = Owner { cluster: "mesh".to_owned(), namespace: NAMESPACE.to_owned(), name, uid };
        self.cloud.make(LoadBalancerKind::Clb, Some(owner), BTreeMap::new(), Some(SERVERLESS_POOL)).address
    }

    fn address(&self, context: &str, gateway: &str) -> Option<String> {
        let service = self.services.get(&(context.to_owned(), format!("istio-{gateway}")))?;
        let first = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?.first()?;
        first.ip.clone().or_else(|| first.hostname.clone())
    }

    /// Takes away what an earlier run of this controller made and whose gateway is gone.
    async fn remove_leftovers(&mut self) {
        let gateways = Api::<DynamicObject>::namespaced_with(self.mesh.clone(), NAMESPACE, &Self::resource());
        let Ok(gateways) = gateways.list(&ListParams::default()).await else { return };
        for member in self.members.clone() {
            let api = Api::<Service>::namespaced(member.client.clone(), NAMESPACE);
            let Ok(services) = api.list(&ListParams::default().labels(GENERATED)).await else { continue };
            for service in services.iter().filter(|s| is_generated(*s)) {
                let name = service.name_any();
                let Some(gateway) = name.strip_prefix("istio-") else { continue };
                // Remembered as ours: the first look at the gateway decides.
                self.applied.insert((member.context.clone(), gateway.to_owned()), Value::Null);
                if !gateways.iter().any(|g| g.name_any() == gateway)
                    && let Some(to) = &self.to
                {
                    let _ = to.send(Message::Retry(gateway.to_owned()));
                }
            }
        }
    }
}

/// Whether ASM runs a gateway outside the member clusters.
pub(crate) fn is_serverless(gateway: &DynamicObject) -> bool {
    gateway.annotations().get(MANAGED).is_some_and(|v| v == "true")
}

/// The four labels of a gateway's pods that selectors everywhere rely on.
pub(crate) fn reserved_labels(gateway: &str) -> [(String, String); 4] {
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    [
        label("app", &format!("istio-{gateway}")),
        label("istio", gateway),
        label("asm-system", "true"),
        label("provider", "asm"),
    ]
}

/// Whether this controller made an object. Labels do not say it: a hand-made second Service may carry them too.
fn is_generated(object: &impl kube::Resource) -> bool {
    object.meta().managed_fields.iter().flatten().any(|m| m.manager.as_deref() == Some(MANAGER))
}

fn cluster_ids(gateway: &DynamicObject) -> Vec<&str> {
    gateway.data["spec"]["clusterIds"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The objects of a gateway in one cluster.
fn generated(gateway: &DynamicObject, cluster_id: &str) -> Value {
    let mut spec = gateway.data["spec"].as_object().cloned().unwrap_or_default();
    if let Some(Value::Object(own)) = spec.get("overrides").and_then(|o| o.get(cluster_id)).cloned() {
        spec.extend(own);
    }
    let name = gateway.name_any();
    let full = format!("istio-{name}");
    let selector: Value = reserved_labels(&name).into_iter().collect();
    let strings = |key: &str| spec.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
    let with = |extra: Map<String, Value>| {
        let mut all = extra;
        // The four keys are reserved.
        all.extend(selector.as_object().cloned().unwrap_or_default());
        all
    };
    let ports = spec.get("ports").and_then(Value::as_array).cloned().unwrap_or_default();
    let service_ports: Vec<Value> = ports.iter().map(service_port).collect();
    let container_ports: Vec<Value> = ports
        .iter()
        .map(|p| p.get("targetPort").filter(|t| t.as_u64() != Some(0)).unwrap_or(&p["port"]))
        .filter(|t| t.is_u64())
        .map(|t| json!({"containerPort": t, "protocol": "TCP"}))
        .collect();

    let service_type = spec.get("serviceType").and_then(Value::as_str).unwrap_or("LoadBalancer");
    let mut service = json!({"type": service_type, "selector": selector, "ports": service_ports});
    if service_type != "ClusterIP"
        && let Some(policy) = spec.get("externalTrafficPolicy")
    {
        service["externalTrafficPolicy"] = policy.clone();
    }
    if service_type == "LoadBalancer" {
        for key in ["loadBalancerClass", "loadBalancerIP"] {
            if let Some(value) = spec.get(key) {
                service[key] = value.clone();
            }
        }
    }

    let mut pod = json!({
        "serviceAccountName": full,
        "containers": [{
            "name": "istio-proxy",
            "image": "registry.example.net/acs/proxyv2:lab",
            "ports": container_ports,
            "resources": spec.get("resources").cloned().unwrap_or_else(|| json!({})),
            "env": spec.get("env").cloned().unwrap_or_else(|| json!([])),
        }],
    });
    for key in ["nodeSelector", "affinity", "tolerations", "hostNetwork", "dnsPolicy"] {
        if let Some(value) = spec.get(key) {
            pod[key] = value.clone();
        }
    }
    // A rolling update as the gateway says; a number comes as a string.
    let amount = |key: &str| {
        let text = spec.get(key)?.as_str()?;
        Some(text.parse::<u32>().map_or_else(|_| json!(text), |n| json!(n)))
    };
    let mut rolling = Map::new();
    for (from, to) in [("rollingMaxSurge", "maxSurge"), ("rollingMaxUnavailable", "maxUnavailable")] {
        if let Some(value) = amount(from) {
            rolling.insert(to.to_owned(), value);
        }
    }
    let meta = |labels: Map<String, Value>, annotations: Map<String, Value>| json!({"name": full, "namespace": NAMESPACE, "labels": labels, "annotations": annotations});
    let metric = |name: &str| {
        let percent = spec.get(name)?.get("targetAverageUtilization")?;
        let target = json!({"type": "Utilization", "averageUtilization": percent});
        Some(json!({"type": "Resource", "resource": {"name": name, "target": target}}))
    };
    let metrics: Vec<Value> = ["cpu", "memory"].into_iter().filter_map(metric).collect();
    let scaler = spec.get("maxReplicas").filter(|_| !metrics.is_empty()).map(|most| {
        json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": meta(with(Map::new()), Map::new()),
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": full},
                "minReplicas": spec.get("minReplicas").cloned().unwrap_or_else(|| json!(1)),
                "maxReplicas": most,
                "metrics": metrics,
            },
        })
    });
    let replicas = spec.get("replicaCount").and_then(Value::as_u64).filter(|n| *n > 0).unwrap_or(1);
    json!({
        "serviceAccount": {
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(with(Map::new()), Map::new()),
        },
        "deployment": {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(with(Map::new()), Map::new()),
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": selector},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
                "template": {
                    "metadata": {"labels": with(strings("podLabels")), "annotations": strings("podAnnotations")},
                    "spec": pod,
                },
            },
        },
        "service": {
            "apiVersion": "v1", "kind": "Service",
            "metadata": meta(with(strings("serviceLabels")), strings("serviceAnnotations")),
            "spec": service,
        },
        "scaler": scaler,
    })
}

/// A Service knows TCP only here, whatever word the gateway uses for its port.
fn service_port(port: &Value) -> Value {
    let mut port = port.clone();
    if port["protocol"].as_str() != Some("UDP") {
        port["protocol"] = json!("TCP");
    }
    if port["targetPort"].as_u64() == Some(0)
        && let Some(port) = port.as_object_mut()
    {
        port.remove("targetPort");
    }
    port
}

fn status(
    gateway: &DynamicObject,
    per_cluster: &[(String, Option<String>)],
    serverless: bool,
    problems: &[String],
) -> Value {
    let waits_for_address = serverless
        || matches!(gateway.data.pointer("/spec/serviceType").and_then(Value::as_str), None | Some("LoadBalancer"));
    let ready = problems.is_empty()
        && !per_cluster.is_empty()
        && (!waits_for_address || per_cluster.iter().all(|(_, address)| address.is_some()));
    let addresses: Vec<&String> = per_cluster.iter().filter_map(|(_, address)| address.as_ref()).collect();
    let map: Vec<Value> = per_cluster
        .iter()
        .filter(|(id, _)| !id.is_empty())
        .filter_map(|(id, address)| Some(json!({"clusterId": id, "ipAddress": address.as_ref()?})))
        .collect();
    let problem =
        if per_cluster.is_empty() && problems.is_empty() { "no clusterIds".to_owned() } else { problems.join("; ") };
    json!({
        // Only `Running` is documented; the other word is ours.
        "Status": if ready { "Running" } else { "Pending" },
        "GatewayAddress": addresses,
        "ClusterIdGatewayAddressMap": map,
        "ErrorMessage": problem,
    })
}

fn params() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

async fn apply(client: &Client, gateway: &str, objects: &Value) -> Result<()> {
    let name = format!("istio-{gateway}");
    let params = PatchParams::apply(MANAGER).force();
    let (sa, deployment, service) = (
        Api::<ServiceAccount>::namespaced(client.clone(), NAMESPACE),
        Api::<Deployment>::namespaced(client.clone(), NAMESPACE),
        Api::<Service>::namespaced(client.clone(), NAMESPACE),
    );
    sa.patch(&name, &params, &Patch::Apply(&objects["serviceAccount"])).await.context("ServiceAccount")?;
    deployment.patch(&name, &params, &Patch::Apply(&objects["deployment"])).await.context("Deployment")?;
    service.patch(&name, &params, &Patch::Apply(&objects["service"])).await.context("Service")?;
    if objects["scaler"].is_null() {
        return remove_one::<HorizontalPodAutoscaler>(client, &name).await.context("HorizontalPodAutoscaler");
    }
    let scaler = Api::<HorizontalPodAutoscaler>::namespaced(client.clone(), NAMESPACE);
    scaler.patch(&name, &params, &Patch::Apply(&objects["scaler"])).await.context("HorizontalPodAutoscaler")?;
    Ok(())
}

async fn remove_one<K>(client: &Client, name: &str) -> Result<()>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api = Api::<K>::namespaced(client.clone(), NAMESPACE);
    // Somebody else's object of the same name is not ours to delete.
    let Some(object) = api.get_opt(name).await?.filter(is_generated) else { return Ok(()) };
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: object.meta().uid.clone(), ..Preconditions::default() }),
        ..DeleteParams::background()
    };
    match api.delete(name, &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(s)) if s.code == 404 || s.code == 409 => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn remove(client: &Client, gateway: &str) -> Result<()> {
    let name = format!("istio-{gateway}");
    remove_one::<HorizontalPodAutoscaler>(client, &name).await.context("HorizontalPodAutoscaler")?;
    remove_one::<Service>(client, &name).await.context("Service")?;
    remove_one::<Deployment>(client, &name).await.context("Deployment")?;
    remove_one::<ServiceAccount>(client, &name).await.context("ServiceAccount")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(spec: Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "istio.alibabacloud.com/v1beta1", "kind": "IstioGateway",
            "metadata": {"name": "ingressgateway", "namespace": NAMESPACE, "uid": "u"}, "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn the_generated_service_is_as_documented() {
        let gateway = gateway(json!({
            "ports": [{"name": "https", "port": 443, "targetPort": 0, "protocol": "HTTPS"}],
            "podLabels": {"team": "edge", "app": "mine"},
            "serviceAnnotations": {"a": "top"},
            "overrides": {"c2": {"serviceAnnotations": {"a": "own"}, "replicaCount": 3}},
        }));
        let one = generated(&gateway, "c1");
        let service = &one["service"];
        assert_eq!(service["metadata"]["name"], "istio-ingressgateway");
        let selector =
            json!({"app": "istio-ingressgateway", "istio": "ingressgateway", "asm-system": "true", "provider": "asm"});
        assert_eq!(service["spec"]["selector"], selector);
        assert_eq!(service["spec"]["type"], "LoadBalancer");
        assert_eq!(service["spec"]["ports"], json!([{"name": "https", "port": 443, "protocol": "TCP"}]));
        let labels = &one["deployment"]["spec"]["template"]["metadata"]["labels"];
        assert_eq!((&labels["team"], &labels["app"]), (&json!("edge"), &json!("istio-ingressgateway")));
        assert_eq!(service["metadata"]["annotations"]["a"], "top");
        let two = generated(&gateway, "c2");
        assert_eq!(two["service"]["metadata"]["annotations"]["a"], "own");
        assert_eq!(two["deployment"]["spec"]["replicas"], 3);
    }

    #[test]
    fn running_only_with_all_addresses() {
        let gateway = gateway(json!({}));
        let one = ("c1".to_owned(), Some("203.0.113.1".to_owned()));
        let waiting = status(&gateway, &[one.clone(), ("c2".to_owned(), None)], false, &[]);
        assert_eq!(waiting["Status"], "Pending");
        assert_eq!(waiting["GatewayAddress"], json!(["203.0.113.1"]));
        let ready = status(&gateway, &[one], false, &[]);
        assert_eq!(ready["Status"], "Running");
        let map = json!([{"clusterId": "c1", "ipAddress": "203.0.113.1"}]);
        assert_eq!(ready["ClusterIdGatewayAddressMap"], map);
    }
}
