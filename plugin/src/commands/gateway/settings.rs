//! The flags of a gateway's settings, the same for `create` and `edit`.

use crate::error::CommandError;
use asm_shared::authoring::{
    Assignment, Entry, Flag, GatewayPort, GatewaySettings, LoadBalancer, Override, Reuse, Toleration,
};
use asm_shared::yaml;
use clap::{Args, ValueEnum};
use serde_json::Value;
use std::io::Read as _;
use std::path::PathBuf;

const SERVICE: &str = "Service and load balancer";
const PODS: &str = "Pods";
const ANY: &str = "Any other field";

/// Settings of a gateway.
#[derive(Clone, Debug, Args)]
pub struct SettingArgs {
    /// A port; may be repeated, all ports have to be named [default: http=80 and https=443]
    #[arg(long = "port", value_name = "NAME=PORT[:TARGET]", help_heading = SERVICE)]
    ports: Vec<GatewayPort>,

    /// Type of the Service [default: LoadBalancer, for --egress ClusterIP]
    #[arg(long, value_name = "TYPE", ignore_case = true, help_heading = SERVICE)]
    service_type: Option<ServiceType>,

    /// Kind of load balancer: an NLB also needs --zone-map [default: clb]
    #[arg(long, value_name = "KIND", help_heading = SERVICE)]
    load_balancer: Option<Kind>,

    /// Specification of a CLB that is paid by specification, for example slb.s2.small
    #[arg(long, value_name = "SPEC", help_heading = SERVICE)]
    clb_spec: Option<String>,

    /// Zone and vSwitch of an NLB; give two or more
    #[arg(long = "zone-map", value_name = "ZONE=VSWITCH", value_parser = pair, help_heading = SERVICE)]
    zone_maps: Vec<(String, String)>,

    /// Network of the load balancers [default: internet]
    #[arg(long, value_name = "TYPE", help_heading = SERVICE)]
    address_type: Option<AddressType>,

    /// Use an existing load balancer; for a gateway in several clusters one per cluster, as CLUSTER:ID
    #[arg(long, value_name = "[CLUSTER:]ID", help_heading = SERVICE)]
    reuse_load_balancer: Vec<String>,

    /// Let the cloud controller replace the listeners of the reused load balancer
    #[arg(long, requires = "reuse_load_balancer", help_heading = SERVICE)]
    override_listeners: bool,

    /// Local keeps the client's address, Cluster spreads evenly [default: Local if serverless, otherwise Cluster]
    #[arg(long, value_name = "POLICY", ignore_case = true, help_heading = SERVICE)]
    external_traffic_policy: Option<Policy>,

    /// Annotation of the Service; may be repeated
    #[arg(long = "service-annotation", value_name = "KEY=VALUE", value_parser = pair, help_heading = SERVICE)]
    service_annotations: Vec<(String, String)>,

    /// Label of the Service; may be repeated
    #[arg(long = "service-label", value_name = "KEY=VALUE", value_parser = pair, help_heading = SERVICE)]
    service_labels: Vec<(String, String)>,

    /// Pods (in each cluster) [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = PODS)]
    replicas: Option<u32>,

    /// Fewest pods when they scale by themselves (Enterprise and Ultimate edition)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = PODS)]
    min_replicas: Option<u32>,

    /// Most pods when they scale by themselves (Enterprise and Ultimate edition)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = PODS)]
    max_replicas: Option<u32>,

    /// Average CPU, in percent of the request, above which pods are added
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(1..), help_heading = PODS)]
    cpu_target: Option<u32>,

    /// Average memory, in percent of the request, above which pods are added
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(1..), help_heading = PODS)]
    memory_target: Option<u32>,

    /// Limits of the container [default: cpu=2,memory=2G]
    #[arg(long, value_name = "RESOURCE=QUANTITY", value_delimiter = ',', value_parser = pair, help_heading = PODS)]
    limits: Vec<(String, String)>,

    /// Requests of the container [default: cpu=200m,memory=256Mi]
    #[arg(long, value_name = "RESOURCE=QUANTITY", value_delimiter = ',', value_parser = pair, help_heading = PODS)]
    requests: Vec<(String, String)>,

    /// Pods above the wanted number while they are rolled out, a number or a percentage [default: 100%]
    #[arg(long, value_name = "N|PERCENT%", help_heading = PODS)]
    max_surge: Option<String>,

    /// Pods that may be missing while they are rolled out, a number or a percentage [default: 25%]
    #[arg(long, value_name = "N|PERCENT%", help_heading = PODS)]
    max_unavailable: Option<String>,

    /// Time for connections to end before a pod goes (Enterprise and Ultimate edition): an annotation of the gateway
    /// since ASM 1.26, connection draining of the load balancer before
    #[arg(long, value_name = "SECONDS", help_heading = PODS)]
    graceful_shutdown: Option<u32>,

    /// Prefer nodes without another pod of this gateway (podAntiAffinity)
    #[arg(long, help_heading = PODS)]
    spread: bool,

    /// Label that a node must have; may be repeated
    #[arg(long = "node-selector", value_name = "KEY=VALUE", value_parser = pair, help_heading = PODS)]
    node_selector: Vec<(String, String)>,

    /// Taint that the pods bear; may be repeated, all of them have to be named
    #[arg(long = "toleration", value_name = "KEY[=VALUE][:EFFECT]", help_heading = PODS)]
    tolerations: Vec<Toleration>,

    /// Label of the pods, which a Gateway can select; may be repeated
    #[arg(long = "pod-label", value_name = "KEY=VALUE", value_parser = pair, help_heading = PODS)]
    pod_labels: Vec<(String, String)>,

    /// Annotation of the pods; may be repeated
    #[arg(long = "pod-annotation", value_name = "KEY=VALUE", value_parser = pair, help_heading = PODS)]
    pod_annotations: Vec<(String, String)>,

    /// Annotation of the IstioGateway itself; may be repeated
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = pair, help_heading = ANY)]
    annotations: Vec<(String, String)>,

    /// A field that one cluster has differently; may be repeated
    #[arg(long = "override", value_name = "CLUSTER:PATH=VALUE", value_parser = override_of, help_heading = ANY)]
    overrides: Vec<Override>,

    /// Any field, for example kernel.enabled=true or 'ports[https].nodePort=30443'; may be repeated
    #[arg(long, value_name = "PATH=VALUE", help_heading = ANY)]
    set: Vec<Assignment>,

    /// Merge an IstioGateway, or fields of its spec, from a YAML file (- for stdin); flags come after it
    #[arg(long, value_name = "FILE", help_heading = ANY)]
    from: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ServiceType {
    #[value(name = "LoadBalancer")]
    LoadBalancer,
    #[value(name = "NodePort")]
    NodePort,
    #[value(name = "ClusterIP")]
    ClusterIp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Classic Load Balancer.
    Clb,
    /// Network Load Balancer.
    Nlb,
}

/// Network of the load balancers.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum AddressType {
    /// Public.
    Internet,
    /// Inside the VPC.
    Intranet,
}

/// What nodes do with traffic for pods elsewhere.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Policy {
    /// Pass it on.
    #[value(name = "Cluster")]
    Cluster,
    /// Do not take it.
    #[value(name = "Local")]
    Local,
}

/// `KEY=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not KEY=VALUE")),
    }
}

fn override_of(text: &str) -> Result<Override, String> {
    let wrong = || format!("`{text}` is not CLUSTER:PATH=VALUE, for example m1c1:replicaCount=3");
    let (cluster, assignment) = text.split_once(':').ok_or_else(wrong)?;
    if cluster.is_empty() || cluster.contains('=') {
        return Err(wrong());
    }
    Ok(Override { cluster: cluster.to_owned(), assignment: assignment.parse()? })
}

fn word(value: impl ValueEnum) -> Value {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default().into()
}

impl SettingArgs {
    /// Is the file of settings stdin?
    pub(super) fn reads_stdin(&self) -> bool {
        self.from.as_ref().is_some_and(|path| path.as_os_str() == "-")
    }

    /// What is to be set.
    pub(super) fn settings(self, egress: bool) -> Result<GatewaySettings, CommandError> {
        let kind = self.kind()?;
        let mut entries = Vec::new();
        let mut one = |flag: Flag, value: Option<Value>| {
            entries.extend(value.map(|value| Entry { flag, key: None, value }));
        };
        one(Flag::Replicas, self.replicas.map(Into::into));
        one(Flag::MinReplicas, self.min_replicas.map(Into::into));
        one(Flag::MaxReplicas, self.max_replicas.map(Into::into));
        one(Flag::CpuTarget, self.cpu_target.map(Into::into));
        one(Flag::MemoryTarget, self.memory_target.map(Into::into));
        one(Flag::ServiceType, self.service_type.map(word));
        one(Flag::ExternalTrafficPolicy, self.external_traffic_policy.map(word));
        one(Flag::AddressType, self.address_type.map(word));
        one(Flag::MaxSurge, self.max_surge.map(Into::into));
        one(Flag::MaxUnavailable, self.max_unavailable.map(Into::into));
        let zones: Vec<_> = self.zone_maps.iter().map(|(zone, switch)| format!("{zone}:{switch}")).collect();
        one(Flag::ZoneMaps, (!zones.is_empty()).then(|| zones.join(",").into()));
        for (flag, pairs) in [
            (Flag::Limit, self.limits),
            (Flag::Request, self.requests),
            (Flag::NodeSelector, self.node_selector),
            (Flag::PodLabel, self.pod_labels),
            (Flag::PodAnnotation, self.pod_annotations),
            (Flag::Annotation, self.annotations),
            (Flag::ServiceAnnotation, self.service_annotations),
            (Flag::ServiceLabel, self.service_labels),
        ] {
            entries.extend(pairs.into_iter().map(|(key, value)| Entry { flag, key: Some(key), value: value.into() }));
        }
        let reuse = self.reuse_load_balancer.iter().map(|text| match text.split_once(':') {
            Some((cluster, id)) => Reuse { cluster: Some(cluster.to_owned()), id: id.to_owned() },
            None => Reuse { cluster: None, id: text.clone() },
        });
        Ok(GatewaySettings {
            from: self.from.as_ref().map(read).transpose()?,
            entries,
            egress,
            load_balancer: kind,
            reuse: reuse.collect(),
            override_listeners: self.override_listeners,
            ports: self.ports,
            graceful_shutdown: self.graceful_shutdown,
            spread: self.spread,
            tolerations: self.tolerations,
            overrides: self.overrides,
            set: self.set,
            unset: Vec::new(),
        })
    }

    fn kind(&self) -> Result<Option<LoadBalancer>, CommandError> {
        match (self.load_balancer, &self.clb_spec) {
            (Some(Kind::Nlb), Some(_)) => {
                Err(CommandError::usage("an NLB has no specification").hinted("leave --clb-spec out"))
            }
            (Some(Kind::Nlb), None) => Ok(Some(LoadBalancer::Nlb)),
            (None, None) => Ok(None),
            (_, spec) => Ok(Some(LoadBalancer::Clb(spec.clone()))),
        }
    }
}

/// The one document of a file.
fn read(path: &PathBuf) -> Result<Value, CommandError> {
    let failed = |error: &std::io::Error| {
        CommandError::input(format!("cannot read {}", path.display())).caused_by(error).hinted("check --from")
    };
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    } else {
        bytes = std::fs::read(path).map_err(|error| failed(&error))?;
    }
    let documents = yaml::read(&bytes, &yaml::Limits::default())
        .map_err(|error| CommandError::input(format!("{}: {error}", path.display())))?;
    match &documents[..] {
        [document] => Ok(Value::clone(&document.value)),
        _ => Err(CommandError::input(format!("{} holds {} documents, not one", path.display(), documents.len()))),
    }
}
