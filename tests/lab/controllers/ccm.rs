//! Simulated cloud controller manager of one member cluster.
//!
//! The rules are those of Alibaba Cloud's: what a Service's hash covers, which attributes cannot change, what keeps a
//! load balancer when its Service goes, and the words of the events.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use anyhow::Result;
use k8s_openapi::api::core::v1::{Event, Service};
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
    runtime::watcher,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{
    cloud::{Cloud, LoadBalancer, LoadBalancerKind, Owner, SyncKind},
    follow::{Change, follow},
};

const MANAGER: &str = "cloud-controller-manager";
const PREFIX: &str = "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-";
const LEGACY_PREFIX: &str = "service.beta.kubernetes.io/alicloud-loadbalancer-";
const CLASS: &str = "service.beta.kubernetes.io/class";
const HASH: &str = "service.beta.kubernetes.io/hash";
const ID: &str = "service.k8s.alibaba/loadbalancer-id";
const SECURITY_GROUP: &str = "service.k8s.alibaba/security-group-id";
const NLB_CLASS: &str = "alibabacloud.com/nlb";
const CLB_CLASS: &str = "alibabacloud.com/clb";

/// Attributes of a CLB that cannot change, and the words that refuse it.
const FIXED: [(&str, &str); 7] = [
    ("master-zoneid", "alicloud: can not change LoadBalancer master zone id once created"),
    ("slave-zoneid", "alicloud: can not change LoadBalancer slave zone id once created"),
    ("address-type", "alicloud: can not change LoadBalancer AddressType once created. delete and retry"),
    ("ip-version", "alicloud: can not change LoadBalancer AddressIPVersion once created"),
    ("resource-group-id", "alicloud: can not change ResourceGroupId once created"),
    ("ip", "alicloud: can not change LoadBalancer address once created"),
    ("network-type", "alicloud: can not change LoadBalancer network type once created"),
];

/// The same for an NLB.
const FIXED_NLB: [(&str, &str); 2] = [
    ("ip-version", "AddressIPVersion of nlb cannot be changed once created"),
    ("resource-group-id", "ResourceGroupId of nlb cannot be changed once created"),
];

/// Attributes that are only compared or set where the Service names them.
const MUTABLE: [&str; 12] = [
    "name",
    "spec",
    "instance-charge-type",
    "charge-type",
    "bandwidth",
    "delete-protection",
    "modification-protection",
    "additional-resource-tags",
    "zone-maps",
    "security-group-ids",
    "vswitch-id",
    "scheduler",
];

/// How a refused synchronisation is tried again, and how long a load balancer takes to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) first_retry: Duration,
    pub(crate) last_retry: Duration,
    pub(crate) provisioning: Duration,
}

enum Message {
    Service(Change<Service>),
    /// Namespace, name, UID.
    Retry(String, String, String),
}

pub(crate) struct Ccm {
    cluster: String,
    client: Client,
    cloud: Cloud,
    timing: Timing,
    failures: HashMap<String, u32>,
    events: HashMap<(String, String, String), (String, i32)>,
    to: Option<UnboundedSender<Message>>,
}

impl Ccm {
    pub(crate) fn new(cluster: &str, client: Client, cloud: Cloud, timing: Timing) -> Self {
        let (failures, events) = (HashMap::new(), HashMap::new());
        Self { cluster: cluster.to_owned(), client, cloud, timing, failures, events, to: None }
    }

    /// Works for ever.
    pub(crate) async fn run(mut self) {
        let (to, mut messages) = unbounded_channel();
        self.to = Some(to.clone());
        let all = Api::<Service>::all(self.client.clone());
        let watch = follow(all, watcher::Config::default(), to, Message::Service);
        let work = async {
            while let Some(message) = messages.recv().await {
                let (namespace, name, uid) = match message {
                    // Without the finalizer there is no clean-up: the load balancer leaks and keeps costing.
                    Message::Service(Change::Gone(service)) => {
                        self.failures.remove(&service.uid().unwrap_or_default());
                        continue;
                    }
                    Message::Service(Change::Set(service)) if !needs_a_look(&service) => continue,
                    Message::Service(Change::Set(service)) => {
                        (service.namespace().unwrap_or_default(), service.name_any(), service.uid().unwrap_or_default())
                    }
                    Message::Retry(namespace, name, uid) => (namespace, name, uid),
                };
                if let Err(error) = self.reconcile(&namespace, &name, &uid).await {
                    // The API server did not do its part: not a matter of the cloud, so no event either.
                    tracing::debug!(cluster = self.cluster, namespace, name, %error, "ccm tries again");
                    self.again(Duration::from_secs(1), namespace, name, uid);
                }
            }
        };
        tokio::join!(watch, work);
    }

    fn again(&self, after: Duration, namespace: String, name: String, uid: String) {
        let Some(to) = self.to.clone() else { return };
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let _ = to.send(Message::Retry(namespace, name, uid));
        });
    }

    async fn reconcile(&mut self, namespace: &str, name: &str, uid: &str) -> Result<()> {
        let api: Api<Service> = Api::namespaced(self.client.clone(), namespace);
        // Asked for, not remembered: several changes may wait behind this one.
        let Some(service) = api.get_opt(name).await? else { return Ok(()) };
        if service.uid().as_deref() != Some(uid) || !needs_a_look(&service) {
            return Ok(());
        }
        let outcome =
            if is_wanted(&service) { self.ensure(&api, &service).await? } else { self.clean(&api, &service).await? };
        match outcome {
            Ok(()) => {
                self.failures.remove(uid);
            }
            Err(refusal) => {
                let id = self.cloud.made_for(uid).map(|lb| lb.id);
                let text = format!("Error syncing load balancer [{}]: {refusal}", id.as_deref().unwrap_or_default());
                self.event(&service, "Warning", "SyncLoadBalancerFailed", &text).await;
                self.cloud.record(self.owner(&service), id, SyncKind::Failed(text));
                let failures = self.failures.entry(uid.to_owned()).or_insert(0);
                let pause = self.timing.first_retry * 2u32.saturating_pow(*failures);
                *failures += 1;
                self.again(pause.min(self.timing.last_retry), namespace.to_owned(), name.to_owned(), uid.to_owned());
            }
        }
        Ok(())
    }

    /// The inner error is the cloud's refusal.
    async fn ensure(&mut self, api: &Api<Service>, service: &Service) -> Result<Result<(), String>> {
        let name = service.name_any();
        let finalizer = finalizer(service);
        if !service.finalizers().iter().any(|f| f == finalizer) {
            let mut all = service.finalizers().to_vec();
            all.push(finalizer.to_owned());
            patch(api, &name, json!({"metadata": {"finalizers": all}})).await?;
        }
        let hash = hash(service);
        let synced = service.labels().get(HASH) == Some(&hash);
        let found = match self.find(service) {
            Ok(found) => found,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (lb, made) = match found {
            Some(lb) => (lb, false),
            None => match self.create(service).await {
                Ok(lb) => (lb, true),
                Err(refusal) => return Ok(Err(refusal)),
            },
        };
        if (!synced || made)
            && let Err(refusal) = self.update(service, &lb, made)
        {
            return Ok(Err(refusal));
        }
        let lb = self.cloud.get(&lb.id).unwrap_or(lb);
        let mut labels = BTreeMap::from([(HASH, hash), (ID, lb.id.clone())]);
        if lb.kind == LoadBalancerKind::Nlb {
            labels.insert(SECURITY_GROUP, format!("sg-{}", &lb.id[4..]));
        }
        labels.retain(|key, value| service.labels().get(*key) != Some(value));
        let relabelled = !labels.is_empty();
        if relabelled {
            patch(api, &name, json!({"metadata": {"labels": labels}})).await?;
        }
        let ingress = match (annotation(service, "hostname").filter(|h| !h.is_empty()), lb.kind) {
            (Some(hostname), _) => json!([{"hostname": hostname}]),
            (None, LoadBalancerKind::Nlb) => json!([{"hostname": lb.address}]),
            (None, LoadBalancerKind::Clb) => json!([{"ip": lb.address}]),
        };
        let restated = !shows(service, &ingress);
        if restated {
            let status = Patch::Merge(json!({"status": {"loadBalancer": {"ingress": ingress}}}));
            api.patch_status(&name, &params(), &status).await?;
        }
        if !synced || made || relabelled || restated {
            if annotation(service, "preserve-lb-on-delete").is_some_and(|v| !v.is_empty()) {
                let text = format!("The lb [{}] will be preserved after the service is deleted.", lb.id);
                self.event(service, "Warning", "PreservedOnDelete", &text).await;
            }
            self.event(service, "Normal", "EnsuredLoadBalancer", &format!("Ensured load balancer [{}]", lb.id)).await;
        }
        Ok(Ok(()))
    }

    /// The load balancer of a Service: by ID if it names one, else by the tag that holds its UID.
    fn find(&self, service: &Service) -> Result<Option<LoadBalancer>, String> {
        let owner = self.owner(service);
        let address = service
            .status
            .as_ref()
            .and_then(|s| s.load_balancer.as_ref())
            .and_then(|l| l.ingress.as_ref())
            .and_then(|i| i.first())
            .and_then(|i| i.ip.clone());
        if let Some(id) = annotation(service, "id").filter(|id| !id.is_empty()) {
            let Some(lb) = self.cloud.get(id) else {
                return Err(format!("can not find loadbalancer by id [{id}]"));
            };
            if let Some(address) = address.filter(|a| *a != lb.address) {
                return Err(format!(
                    "alicloud: the loadbalancer {id} can not be reused, service has been associated with ip \
                     [{address}], cannot be bound to ip [{}]",
                    lb.address
                ));
            }
            if lb.owner.as_ref().is_some_and(|o| o.uid != owner.uid) {
                return Err(format!(
                    "alicloud: the loadbalancer {id} can not be reused, can not reuse loadbalancer created by \
                     kubernetes."
                ));
            }
            if lb.owner.is_none() && !lb.reused_by.contains(&owner) {
                self.cloud.change(id, |lb| lb.reused_by.push(owner));
            }
            return Ok(Some(lb));
        }
        match (self.cloud.made_for(&owner.uid), address) {
            (Some(lb), _) => Ok(Some(lb)),
            (None, Some(address)) => Err(format!(
                "alicloud: can not find loadbalancer, but it's defined in service [{address}]. this may happen when \
                 you delete the loadbalancer"
            )),
            (None, None) => Ok(None),
        }
    }

    async fn create(&self, service: &Service) -> Result<LoadBalancer, String> {
        let kind = if is_nlb(service) { LoadBalancerKind::Nlb } else { LoadBalancerKind::Clb };
        if kind == LoadBalancerKind::Nlb {
            let zones = annotation(service, "zone-maps").unwrap_or_default();
            if zones.split(',').filter(|z| z.contains(':')).count() < 2 {
                return Err("ZoneMappings of nlb needs at least two zones, as zone-a:vsw-1,zone-b:vsw-2".to_owned());
            }
        }
        let fixed = FIXED.iter().map(|(key, _)| *key);
        let attributes = fixed
            .chain(MUTABLE)
            .filter_map(|key| Some((key.to_owned(), annotation(service, key).filter(|v| !v.is_empty())?.to_owned())))
            .collect();
        tokio::time::sleep(self.timing.provisioning).await;
        let lb = self.cloud.make(kind, Some(self.owner(service)), attributes, None);
        self.cloud.record(self.owner(service), Some(lb.id.clone()), SyncKind::Create);
        Ok(lb)
    }

    /// Compares what the Service says with the load balancer. Only values that are there count: taking an annotation
    /// away never resets anything.
    fn update(&self, service: &Service, lb: &LoadBalancer, made: bool) -> Result<(), String> {
        let fixed: &[_] = if lb.kind == LoadBalancerKind::Nlb { &FIXED_NLB } else { &FIXED };
        for (key, refusal) in fixed {
            let Some(want) = annotation(service, key).filter(|v| !v.is_empty()) else { continue };
            let have = match *key {
                "address-type" => lb.address_type(),
                "ip-version" => lb.attributes.get(*key).map_or("ipv4", String::as_str),
                "ip" => lb.address.as_str(),
                _ => lb.attributes.get(*key).map_or("", String::as_str),
            };
            // A named address is one of the VPC's, which this cloud does not model: as made is as wanted.
            let have = if *key == "ip" { lb.attributes.get("ip").map_or(have, String::as_str) } else { have };
            if want != have {
                return Err((*refusal).to_owned());
            }
        }
        if let Some(bandwidth) = annotation(service, "bandwidth").filter(|b| b.parse::<u32>().is_err()) {
            return Err(format!("Annotation bandwidth must be integer, got [{bandwidth}]"));
        }
        // A reused load balancer keeps its listeners unless the Service says that it takes them over.
        let own = lb.owner.is_some();
        let listeners = own || annotation(service, "force-override-listeners") == Some("true");
        self.cloud.change(&lb.id, |lb| {
            for key in MUTABLE {
                if let Some(value) = annotation(service, key).filter(|v| !v.is_empty()) {
                    lb.attributes.insert(key.to_owned(), value.to_owned());
                }
            }
            if lb.kind == LoadBalancerKind::Nlb
                && let Some(value) = annotation(service, "address-type").filter(|v| !v.is_empty())
            {
                lb.attributes.insert("address-type".to_owned(), value.to_owned());
            }
            if listeners {
                let ports = service.spec.iter().flat_map(|s| s.ports.iter().flatten());
                let ports = ports.map(|p| format!("{}/{}", p.port, p.protocol.as_deref().unwrap_or("TCP")));
                if own {
                    lb.listeners = ports.collect();
                } else {
                    lb.listeners.extend(ports);
                }
            }
        });
        if !made {
            self.cloud.record(self.owner(service), Some(lb.id.clone()), SyncKind::Update);
        }
        Ok(())
    }

    /// The Service goes, or is no LoadBalancer any more.
    async fn clean(&mut self, api: &Api<Service>, service: &Service) -> Result<Result<(), String>> {
        let owner = self.owner(service);
        let reason = if service.metadata.deletion_timestamp.is_some() { "Service deleted" } else { "type changed" };
        let preserve = annotation(service, "preserve-lb-on-delete").is_some_and(|v| !v.is_empty())
            && service.metadata.deletion_timestamp.is_some();
        let reused = annotation(service, "id").filter(|id| !id.is_empty());
        let mut id = None;
        if let Some(reused) = reused {
            // Kept: it was there before the Service, or the Service's user says so.
            id = Some(reused.to_owned());
            self.cloud.change(reused, |lb| lb.reused_by.retain(|o| o.uid != owner.uid));
        } else if let Some(lb) = self.cloud.made_for(&owner.uid) {
            id = Some(lb.id.clone());
            if preserve {
                let text = format!("The lb [{}] will be preserved after the service is deleted.", lb.id);
                self.event(service, "Warning", "PreservedOnDelete", &text).await;
                self.cloud.change(&lb.id, |lb| lb.owner = None);
            } else {
                // Delete protection stops the console, not this controller: it switches it off by itself.
                self.cloud.remove(&lb.id, reason);
            }
        }
        self.cloud.record(owner, id, SyncKind::Delete);
        let name = service.name_any();
        let labels: BTreeMap<_, Value> = [HASH, ID, SECURITY_GROUP]
            .into_iter()
            .filter(|key| service.labels().contains_key(*key))
            .map(|key| (key, Value::Null))
            .collect();
        if !labels.is_empty() {
            patch(api, &name, json!({"metadata": {"labels": labels}})).await?;
        }
        if !shows(service, &json!([])) {
            let status = Patch::Merge(json!({"status": {"loadBalancer": {"ingress": null}}}));
            api.patch_status(&name, &params(), &status).await?;
        }
        self.event(service, "Normal", "CleanLoadBalancer", "Clean load balancer").await;
        let left: Vec<_> = service.finalizers().iter().filter(|f| !is_ours(f)).collect();
        patch(api, &name, json!({"metadata": {"finalizers": left}})).await?;
        Ok(Ok(()))
    }

    fn owner(&self, service: &Service) -> Owner {
        Owner {
            cluster: self.cluster.clone(),
            namespace: service.namespace().unwrap_or_default(),
            name: service.name_any(),
            uid: service.uid().unwrap_or_default(),
        }
    }

    /// Tells an event; the same one again counts up, as with client-go's recorder.
    async fn event(&mut self, service: &Service, kind: &str, reason: &str, message: &str) {
        let namespace = service.namespace().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let key = (service.uid().unwrap_or_default(), reason.to_owned(), message.to_owned());
        let told = if let Some((name, count)) = self.events.get_mut(&key) {
            *count += 1;
            let again = Patch::Merge(json!({"count": *count, "lastTimestamp": now}));
            api.patch(name, &params(), &again).await.map(drop)
        } else {
            let nanos = jiff::Timestamp::now().as_nanosecond();
            let name = format!("{}.{nanos:x}", service.name_any());
            let event = json!({
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": {
                    "apiVersion": "v1", "kind": "Service", "namespace": namespace, "name": service.name_any(),
                    "uid": service.uid(), "resourceVersion": service.resource_version(),
                },
                "type": kind, "reason": reason, "message": message, "count": 1,
                "firstTimestamp": now, "lastTimestamp": now,
                "source": {"component": "service-controller"},
            });
            self.events.insert(key, (name, 1));
            match serde_json::from_value(event) {
                Ok(event) => api.create(&PostParams::default(), &event).await.map(drop),
                Err(_) => Ok(()),
            }
        };
        // As in the real one, an event that cannot be told is lost (its namespace may be going).
        if let Err(error) = told {
            tracing::debug!(cluster = self.cluster, reason, %error, "event");
        }
    }
}

/// Whether a change of this Service may ask for anything. Spares a request for most of them.
fn needs_a_look(service: &Service) -> bool {
    if service.annotations().contains_key(CLASS) {
        return false;
    }
    if !is_wanted(service) {
        return service.finalizers().iter().any(|f| is_ours(f));
    }
    let has_address = service
        .status
        .as_ref()
        .and_then(|s| s.load_balancer.as_ref())
        .and_then(|l| l.ingress.as_ref())
        .is_some_and(|i| !i.is_empty());
    !(has_address
        && service.labels().contains_key(ID)
        && service.finalizers().iter().any(|f| is_ours(f))
        && service.labels().get(HASH) == Some(&hash(service)))
}

fn is_wanted(service: &Service) -> bool {
    let Some(spec) = &service.spec else { return false };
    service.metadata.deletion_timestamp.is_none()
        && spec.type_.as_deref() == Some("LoadBalancer")
        && matches!(spec.load_balancer_class.as_deref(), None | Some(NLB_CLASS | CLB_CLASS))
}

fn is_nlb(service: &Service) -> bool {
    service.spec.as_ref().and_then(|s| s.load_balancer_class.as_deref()) == Some(NLB_CLASS)
}

fn finalizer(service: &Service) -> &'static str {
    if is_nlb(service) { "service.k8s.alibaba/nlb" } else { "service.k8s.alibaba/resources" }
}

fn is_ours(finalizer: &str) -> bool {
    matches!(finalizer, "service.k8s.alibaba/nlb" | "service.k8s.alibaba/resources")
}

fn shows(service: &Service, ingress: &Value) -> bool {
    let have = service.status.as_ref().and_then(|s| s.load_balancer.as_ref()).and_then(|l| l.ingress.as_ref());
    let have: Vec<Value> = have
        .into_iter()
        .flatten()
        .map(|i| match (&i.ip, &i.hostname) {
            (Some(ip), _) => json!({"ip": ip}),
            (None, hostname) => json!({"hostname": hostname}),
        })
        .collect();
    Value::Array(have) == *ingress
}

/// The new prefix first, the legacy one only if the new key is absent: an empty new value still wins.
fn annotation<'a>(service: &'a Service, key: &str) -> Option<&'a str> {
    let all = service.annotations();
    all.get(&format!("{PREFIX}{key}")).or_else(|| all.get(&format!("{LEGACY_PREFIX}{key}"))).map(String::as_str)
}

/// Over exactly what the real one covers: all annotations, so a tool's tracking annotation changes it as well; no
/// labels.
fn hash(service: &Service) -> String {
    let spec = service.spec.as_ref();
    let covered = json!({
        "ports": spec.and_then(|s| s.ports.as_ref()),
        "type": spec.and_then(|s| s.type_.as_ref()),
        "externalTrafficPolicy": spec.and_then(|s| s.external_traffic_policy.as_ref()),
        "loadBalancerClass": spec.and_then(|s| s.load_balancer_class.as_ref()),
        "loadBalancerSourceRanges": spec.and_then(|s| s.load_balancer_source_ranges.as_ref()),
        "deletionTimestamp": service.metadata.deletion_timestamp,
        "annotations": service.annotations(),
    });
    // A label holds 63 characters.
    crate::hex(&Sha256::digest(covered.to_string()))[..56].to_owned()
}

fn params() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

async fn patch(api: &Api<Service>, name: &str, patch: Value) -> Result<()> {
    match api.patch(name, &params(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(annotations: Value, extra: Value) -> Service {
        let mut value = json!({
            "metadata": {"name": "s", "namespace": "istio-system", "uid": "u", "annotations": annotations},
            "spec": {"type": "LoadBalancer", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
        });
        if let (Some(spec), Value::Object(extra)) = (value["spec"].as_object_mut(), extra) {
            spec.extend(extra);
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_hash_covers_annotations_and_ports_but_no_labels() {
        let plain = service(json!({}), json!({}));
        let base = hash(&plain);
        assert_eq!(base.len(), 56);
        assert_ne!(base, hash(&service(json!({"any/tool": "x"}), json!({}))));
        assert_ne!(base, hash(&service(json!({}), json!({"externalTrafficPolicy": "Local"}))));
        assert_ne!(base, hash(&service(json!({}), json!({"loadBalancerClass": NLB_CLASS}))));
        let mut labelled = plain.clone();
        labelled.metadata.labels = Some(BTreeMap::from([("a".to_owned(), "b".to_owned())]));
        labelled.spec.as_mut().unwrap().selector = Some(BTreeMap::from([("a".to_owned(), "b".to_owned())]));
        assert_eq!(base, hash(&labelled));
    }

    #[test]
    fn the_new_prefix_wins_even_when_empty() {
        let (new, old) = (format!("{PREFIX}spec"), format!("{LEGACY_PREFIX}spec"));
        assert_eq!(annotation(&service(json!({&old: "slb.s1.small"}), json!({})), "spec"), Some("slb.s1.small"));
        assert_eq!(annotation(&service(json!({&old: "slb.s1.small", &new: ""}), json!({})), "spec"), Some(""));
    }

    #[test]
    fn other_controllers_services_are_left_alone() {
        assert!(needs_a_look(&service(json!({}), json!({}))));
        assert!(!needs_a_look(&service(json!({CLASS: "other"}), json!({}))));
        assert!(!needs_a_look(&service(json!({}), json!({"loadBalancerClass": "example.com/other"}))));
        assert!(!needs_a_look(&service(json!({}), json!({"type": "ClusterIP"}))));
    }
}
