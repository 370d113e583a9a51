//! What people set on a gateway by flags, and where it goes: one table, the same for new and existing gateways.

use super::super::AuthoringError;
use super::super::fleet_view::{cluster, fleet};
use super::cloud::{self, DRAIN_SECONDS, NLB_CLASS};
use super::path::{Assignment, GatewayPath, kind};
use super::ports::{GatewayPort, merged};
use crate::fleet::{Fleet, FleetState};
use crate::object::At as _;
use serde_json::{Value, json};

/// A flag that sets one field, or one entry of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Pods per cluster.
    Replicas,
    /// Fewest pods when it scales by itself.
    MinReplicas,
    /// Most pods when it scales by itself.
    MaxReplicas,
    /// Percent of the requested CPU at which pods are added.
    CpuTarget,
    /// Percent of the requested memory at which pods are added.
    MemoryTarget,
    /// LoadBalancer, NodePort or ClusterIP.
    ServiceType,
    /// Cluster or Local.
    ExternalTrafficPolicy,
    /// internet or intranet.
    AddressType,
    /// Zones and vSwitches of an NLB.
    ZoneMaps,
    /// Pods that may be added while it is rolled out.
    MaxSurge,
    /// Pods that may be missing while it is rolled out.
    MaxUnavailable,
    /// An entry of the limits.
    Limit,
    /// An entry of the requests.
    Request,
    /// A label that a node must have.
    NodeSelector,
    /// A label of the pods.
    PodLabel,
    /// An annotation of the pods.
    PodAnnotation,
    /// An annotation of the IstioGateway.
    Annotation,
    /// An annotation of the Service.
    ServiceAnnotation,
    /// A label of the Service.
    ServiceLabel,
}

/// The table: where each flag goes. An entry of a map gets its key behind it.
#[rustfmt::skip]
fn place(flag: Flag) -> (&'static [&'static str], Option<&'static str>) {
    const ANNOTATIONS: &[&str] = &["spec", "serviceAnnotations"];
    match flag {
        Flag::Replicas              => (&["spec", "replicaCount"], None),
        Flag::MinReplicas           => (&["spec", "minReplicas"], None),
        Flag::MaxReplicas           => (&["spec", "maxReplicas"], None),
        Flag::CpuTarget             => (&["spec", "cpu", "targetAverageUtilization"], None),
        Flag::MemoryTarget          => (&["spec", "memory", "targetAverageUtilization"], None),
        Flag::ServiceType           => (&["spec", "serviceType"], None),
        Flag::ExternalTrafficPolicy => (&["spec", "externalTrafficPolicy"], None),
        Flag::AddressType           => (ANNOTATIONS, Some("address-type")),
        Flag::ZoneMaps              => (ANNOTATIONS, Some("zone-maps")),
        Flag::MaxSurge              => (&["spec", "rollingMaxSurge"], None),
        Flag::MaxUnavailable        => (&["spec", "rollingMaxUnavailable"], None),
        Flag::Limit                 => (&["spec", "resources", "limits"], None),
        Flag::Request               => (&["spec", "resources", "requests"], None),
        Flag::NodeSelector          => (&["spec", "nodeSelector"], None),
        Flag::PodLabel              => (&["spec", "podLabels"], None),
        Flag::PodAnnotation         => (&["spec", "podAnnotations"], None),
        Flag::Annotation            => (&["metadata", "annotations"], None),
        Flag::ServiceAnnotation     => (ANNOTATIONS, None),
        Flag::ServiceLabel          => (&["spec", "serviceLabels"], None),
    }
}

/// A flag with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The flag.
    pub flag: Flag,
    /// The key, when the flag fills a map.
    pub key: Option<String>,
    /// The value.
    pub value: Value,
}

impl Entry {
    fn path(&self) -> GatewayPath {
        let (fields, annotation) = place(self.flag);
        let annotation = annotation.map(cloud::key);
        GatewayPath::of(fields.iter().copied().chain(annotation.as_deref()).chain(self.key.as_deref()))
    }
}

/// A kind of load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadBalancer {
    /// Classic, with a specification (`slb.s2.small`) that is paid for, or the cloud's default.
    Clb(Option<String>),
    /// Network.
    Nlb,
}

/// An existing load balancer to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// In this cluster only.
    pub cluster: Option<String>,
    /// Its ID.
    pub id: String,
}

/// A taint that the pods bear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toleration {
    /// Key of the taint; any when absent.
    pub key: Option<String>,
    /// Value of the taint; any when absent.
    pub value: Option<String>,
    /// Effect of the taint; any when absent.
    pub effect: Option<String>,
}

/// A field that one cluster has differently.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// Name of the cluster in fleet.yaml.
    pub cluster: String,
    /// The field, as in `spec`.
    pub assignment: Assignment,
}

/// What is set. What is absent stays as it is, or gets its default in a new gateway.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GatewaySettings {
    /// Parts of an IstioGateway from a file, merged first (a field that is null is taken away).
    pub from: Option<Value>,
    /// Flags that set a field.
    pub entries: Vec<Entry>,
    /// For traffic that leaves the mesh.
    pub egress: bool,
    /// The kind of load balancer.
    pub load_balancer: Option<LoadBalancer>,
    /// Existing load balancers to be used.
    pub reuse: Vec<Reuse>,
    /// Take over the listeners of reused load balancers.
    pub override_listeners: bool,
    /// The ports, all of them.
    pub ports: Vec<GatewayPort>,
    /// Seconds that connections get to end before a pod goes.
    pub graceful_shutdown: Option<u32>,
    /// Prefer nodes without another pod of this gateway.
    pub spread: bool,
    /// Taints that the pods bear, all of them.
    pub tolerations: Vec<Toleration>,
    /// Fields that one cluster has differently.
    pub overrides: Vec<Override>,
    /// Any other field.
    pub set: Vec<Assignment>,
    /// Fields to be taken away.
    pub unset: Vec<GatewayPath>,
}

/// Applies settings to an object.
struct Applying<'a> {
    fleet: &'a Fleet,
    object: &'a mut Value,
    warnings: Vec<String>,
}

impl GatewaySettings {
    /// Changes an object; what is strange about it comes back as warnings.
    pub(super) fn apply(
        &self,
        name: &str,
        state: &FleetState,
        object: &mut Value,
    ) -> Result<Vec<String>, AuthoringError> {
        let mut applying = Applying { fleet: fleet(state)?, object, warnings: Vec::new() };
        if let Some(part) = &self.from {
            applying.merge(name, part)?;
        }
        applying.load_balancer(self)?;
        if self.egress {
            applying.set(&["spec", "gatewayType"], "egress".into())?;
        }
        for entry in &self.entries {
            applying.put(&entry.path(), entry.value.clone())?;
        }
        if !self.ports.is_empty() {
            let ports = merged(&self.ports, applying.object.at("/spec/ports"));
            applying.set(&["spec", "ports"], ports)?;
        }
        if let Some(seconds) = self.graceful_shutdown {
            applying.graceful_shutdown(seconds)?;
        }
        if self.spread {
            let term = "preferredDuringSchedulingIgnoredDuringExecution";
            applying.set(&["spec", "affinity", "podAntiAffinity", term], spread(name))?;
        }
        if !self.tolerations.is_empty() {
            let tolerations = self.tolerations.iter().map(Toleration::value).collect();
            applying.set(&["spec", "tolerations"], tolerations)?;
        }
        for reuse in &self.reuse {
            applying.reuse(reuse, self.override_listeners)?;
        }
        for one in &self.overrides {
            applying.in_cluster(&one.cluster, &one.assignment.path, one.assignment.value.clone())?;
        }
        for assignment in &self.set {
            applying.put(&assignment.path, assignment.value.clone())?;
        }
        for path in &self.unset {
            path.unset(applying.object).map_err(AuthoringError::new)?;
        }
        Ok(applying.warnings)
    }
}

impl Applying<'_> {
    fn put(&mut self, path: &GatewayPath, value: Value) -> Result<(), AuthoringError> {
        path.set(self.object, value).map_err(AuthoringError::new)
    }

    fn set(&mut self, fields: &[&str], value: Value) -> Result<(), AuthoringError> {
        self.put(&GatewayPath::of(fields.iter().copied()), value)
    }

    fn annotate(&mut self, suffix: &str, value: &str) -> Result<(), AuthoringError> {
        self.set(&["spec", "serviceAnnotations", &cloud::key(suffix)], value.into())
    }

    /// A JSON merge patch of the parts that people own.
    fn merge(&mut self, name: &str, part: &Value) -> Result<(), AuthoringError> {
        let Value::Object(map) = part else {
            return Err(AuthoringError::new(format!("the file with settings is {}, not a map", kind(part))));
        };
        let is_object = map.keys().any(|key| matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "spec"));
        // A file may hold a whole object, or only the fields of its spec.
        let whole = if is_object { part.clone() } else { json!({ "spec": part }) };
        if whole.get("kind").is_some_and(|kind| kind != "IstioGateway") {
            return Err(AuthoringError::new(format!("the file with settings holds a {}", whole["kind"]))
                .hint("give an IstioGateway, or only fields of its spec"));
        }
        if let Some(other) = whole.at("/metadata/name").and_then(Value::as_str).filter(|other| *other != name) {
            self.warnings.push(format!("the settings are from the gateway {other}; its name is left out"));
        }
        let mut patch = json!({});
        for pointer in ["/spec", "/metadata/annotations", "/metadata/labels"] {
            if let Some(value) = whole.at(pointer) {
                let path = GatewayPath::of(pointer.split('/').skip(1));
                path.set(&mut patch, value.clone()).map_err(AuthoringError::new)?;
            }
        }
        json_patch::merge(self.object, &patch);
        Ok(())
    }

    fn load_balancer(&mut self, settings: &GatewaySettings) -> Result<(), AuthoringError> {
        match &settings.load_balancer {
            None => {}
            Some(LoadBalancer::Nlb) => self.set(&["spec", "loadBalancerClass"], NLB_CLASS.into())?,
            Some(LoadBalancer::Clb(spec)) => {
                // Only an NLB has a class; it is there already when a CLB is asked for in its place.
                let _ = GatewayPath::of(["spec", "loadBalancerClass"]).unset(self.object);
                if let Some(spec) = spec {
                    // Without the charge type a newer cloud controller does not look at the specification.
                    self.annotate("instance-charge-type", "PayBySpec")?;
                    self.annotate("spec", spec)?;
                }
            }
        }
        Ok(())
    }

    fn reuse(&mut self, reuse: &Reuse, override_listeners: bool) -> Result<(), AuthoringError> {
        let mut wanted = vec![("id", reuse.id.as_str())];
        if override_listeners {
            wanted.push(("force-override-listeners", "true"));
        }
        for (suffix, value) in wanted {
            let path = GatewayPath::of(["spec", "serviceAnnotations", &cloud::key(suffix)]);
            match &reuse.cluster {
                Some(cluster) => self.in_cluster(cluster, &path, value.into())?,
                None => self.put(&path, value.into())?,
            }
        }
        Ok(())
    }

    /// Sets a field for one cluster.
    fn in_cluster(&mut self, name: &str, path: &GatewayPath, value: Value) -> Result<(), AuthoringError> {
        let id = cluster(self.fleet, name)?.id.clone().ok_or_else(|| no_id(name))?;
        let place = path.in_override(&id).ok_or_else(|| {
            AuthoringError::new(format!("{path} cannot differ between clusters"))
                .hint("fields of spec can, for example: m1c1:replicaCount=3")
        })?;
        // Whether ASM merges a map with the one of all clusters or replaces it is not documented: a whole one is right
        // either way.
        if let Some(field) = path.field(1).filter(|_| !path.is_top()) {
            let common = self.object.at(&format!("/spec/{field}")).filter(|value| value.is_object()).cloned();
            let missing = self.object.at(&format!("/spec/overrides/{id}/{field}")).is_none();
            if let Some(common) = common.filter(|_| missing) {
                self.set(&["spec", "overrides", &id, field], common)?;
                self.warnings.push(format!(
                    "{name} gets all of {field} once more: whether ASM merges it with that of all clusters is not documented"
                ));
            }
        }
        self.put(&place, value)
    }

    fn graceful_shutdown(&mut self, seconds: u32) -> Result<(), AuthoringError> {
        let version = self.fleet.spec.mesh.version.clone();
        if version.as_deref().and_then(|version| crate::asm::annotations::at_least(version, "1.26")) == Some(false) {
            if !(10..=30).contains(&seconds) {
                return Err(AuthoringError::new(format!(
                    "{seconds} seconds to shut down: before ASM 1.26 it is 10 to 30, the time that a pod has itself"
                )));
            }
            self.annotate("connection-drain", "on")?;
            return self.annotate("connection-drain-timeout", &seconds.to_string());
        }
        self.set(&["metadata", "annotations", DRAIN_SECONDS], seconds.to_string().into())
    }
}

/// Why a cluster cannot be named.
pub(super) fn no_id(name: &str) -> AuthoringError {
    AuthoringError::new(format!("cluster {name} has no `id:` in fleet.yaml, and a gateway names clusters by it"))
        .hint(format!("write the ACK cluster ID (c and 32 letters or digits) under {name} in fleet.yaml"))
}

/// Nodes without another pod of the gateway are preferred, as the console has it for "as widely as possible".
fn spread(name: &str) -> Value {
    json!([{
        "weight": 100,
        "podAffinityTerm": {
            "labelSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": [format!("istio-{name}")]}]},
            "topologyKey": "kubernetes.io/hostname",
        },
    }])
}

impl Toleration {
    fn value(&self) -> Value {
        let mut value = json!({"operator": if self.value.is_some() { "Equal" } else { "Exists" }});
        for (name, text) in [("key", &self.key), ("value", &self.value), ("effect", &self.effect)] {
            if let Some(text) = text {
                value[name] = text.as_str().into();
            }
        }
        value
    }
}

impl std::str::FromStr for Toleration {
    type Err = String;

    /// `KEY[=VALUE][:EFFECT]`, or `:EFFECT` for every taint of an effect.
    fn from_str(text: &str) -> Result<Self, String> {
        const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        let (taint, effect) = text.rsplit_once(':').map_or((text, None), |(taint, effect)| (taint, Some(effect)));
        if let Some(effect) = effect.filter(|effect| !EFFECTS.contains(effect)) {
            return Err(format!("`{effect}` is no effect of a taint: {}", EFFECTS.join(", ")));
        }
        let (key, value) = taint.split_once('=').map_or((taint, None), |(key, value)| (key, Some(value)));
        if key.is_empty() && (value.is_some() || effect.is_none()) {
            return Err(format!("`{text}` is not KEY[=VALUE][:EFFECT], for example dedicated=edge:NoSchedule"));
        }
        let key = (!key.is_empty()).then(|| key.to_owned());
        Ok(Self { key, value: value.map(str::to_owned), effect: effect.map(str::to_owned) })
    }
}
