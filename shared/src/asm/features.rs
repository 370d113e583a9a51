//! What a feature of a gateway needs: editions and versions (`asm-domain.md` §1.9), held against what fleet.yaml names.

use super::annotations::{LEGACY_PREFIX, NLB_CLASS, PREFIX, at_least};
use super::gateway;
use crate::fleet::{Cluster, Mesh};
use crate::object::At as _;
use serde_json::Value;

/// Graceful shutdown since ASM 1.26.
pub const DRAIN_SECONDS: &str = "asm.alibabacloud.com/gateway-drain-timeout-seconds";
/// ASM leaves the replicas of the Deployment alone.
pub const REPLICAS_MANAGED: &str = "asm.alibabacloud.com/replicas-managed-by-asm";

/// A feature and what it needs.
struct Feature {
    name: &'static str,
    /// The field that uses it, as a JSON pointer.
    used_at: fn(&Value) -> Option<String>,
    /// Enterprise or Ultimate only.
    higher_edition: bool,
    /// Least version of ASM.
    asm: Option<&'static str>,
    /// Least version of Kubernetes and of the cloud controller in every cluster.
    cluster: Option<(&'static str, &'static str)>,
}

/// The table.
const FEATURES: &[Feature] = &[
    Feature {
        name: "scaling between minReplicas and maxReplicas",
        used_at: |gateway| field(gateway, "/spec/maxReplicas"),
        higher_edition: true,
        asm: None,
        cluster: None,
    },
    Feature {
        name: "graceful shutdown",
        used_at: |gateway| annotation(gateway, DRAIN_SECONDS).or_else(|| connection_drain(gateway)),
        higher_edition: true,
        asm: None,
        cluster: None,
    },
    Feature {
        name: "gateway-drain-timeout-seconds",
        used_at: |gateway| annotation(gateway, DRAIN_SECONDS),
        higher_edition: false,
        asm: Some("1.26"),
        cluster: None,
    },
    Feature {
        name: "replicas-managed-by-asm",
        used_at: |gateway| annotation(gateway, REPLICAS_MANAGED),
        higher_edition: false,
        asm: Some("1.19"),
        cluster: None,
    },
    Feature {
        name: "an NLB for a gateway",
        used_at: |gateway| {
            let class = gateway.at("/spec/loadBalancerClass").and_then(Value::as_str);
            class.filter(|class| *class == NLB_CLASS).and_then(|_| field(gateway, "/spec/loadBalancerClass"))
        },
        higher_edition: false,
        asm: Some("1.18"),
        cluster: Some(("1.24", super::annotations::NLB_SINCE)),
    },
];

fn field(gateway: &Value, pointer: &str) -> Option<String> {
    gateway.at(pointer).map(|_| pointer.to_owned())
}

fn annotation(gateway: &Value, key: &str) -> Option<String> {
    field(gateway, &format!("/metadata/annotations/{}", key.replace('/', "~1")))
}

fn connection_drain(gateway: &Value) -> Option<String> {
    let of = |prefix: &str| format!("{prefix}loadbalancer-connection-drain").replace('/', "~1");
    [PREFIX, LEGACY_PREFIX]
        .iter()
        .find_map(|prefix| field(gateway, &format!("/spec/serviceAnnotations/{}", of(prefix))))
}

/// What a feature needs and the fleet does not have, or does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// The feature.
    pub feature: &'static str,
    /// The field that uses it, as a JSON pointer.
    pub pointer: String,
    /// What it needs: `ASM`, `Kubernetes`, `the cloud controller`; the whole when it is an edition.
    pub needs: &'static str,
    /// The least version of it.
    pub version: Option<&'static str>,
    /// What fleet.yaml says; nothing when it says nothing.
    pub found: Option<String>,
    /// What it says is no version.
    pub unreadable: bool,
    /// The field of fleet.yaml.
    pub place: &'static str,
    /// The cluster concerned; the mesh when none.
    pub cluster: Option<String>,
}

impl Lack {
    /// `ASM 1.26 or newer`; `of`: where.
    pub fn needed(&self, of: &str) -> String {
        match self.version {
            Some(version) => format!("{}{of} {version} or newer", self.needs),
            None => self.needs.to_owned(),
        }
    }
}

/// What the gateway uses and cannot have, as far as fleet.yaml tells. What is not said about a cluster is not worth a line
/// each: those versions are years old.
pub fn lacking<'a>(gateway: &Value, mesh: &Mesh, clusters: impl IntoIterator<Item = &'a Cluster> + Clone) -> Vec<Lack> {
    let mut found = Vec::new();
    for (feature, pointer) in FEATURES.iter().filter_map(|feature| Some((feature, (feature.used_at)(gateway)?))) {
        let lack = |needs, version, said: Option<&str>, place, cluster: Option<&Cluster>| Lack {
            feature: feature.name,
            pointer: pointer.clone(),
            needs,
            version,
            found: said.map(str::to_owned),
            unreadable: false,
            place,
            cluster: cluster.map(|cluster| cluster.name.clone()),
        };
        if feature.higher_edition && !matches!(mesh.edition.as_deref(), Some("Enterprise" | "Ultimate")) {
            let needs = "the Enterprise or Ultimate edition of ASM";
            found.push(lack(needs, None, mesh.edition.as_deref(), "spec.mesh.edition", None));
        }
        let mut version = |of: &'static str, wanted: &'static str, said: Option<&str>, place, cluster| {
            let enough = said.map(|version| at_least(version, wanted));
            if enough != Some(Some(true)) {
                let lack = lack(of, Some(wanted), said, place, cluster);
                found.push(Lack { unreadable: enough == Some(None), ..lack });
            }
        };
        if let Some(wanted) = feature.asm {
            version("ASM", wanted, mesh.version.as_deref(), "spec.mesh.version", None);
        }
        let Some((kubernetes, controller)) = feature.cluster else { continue };
        for cluster in clusters.clone() {
            if let Some(said) = cluster.kubernetes_version.as_deref() {
                version("Kubernetes", kubernetes, Some(said), "kubernetesVersion", Some(cluster));
            }
            if let Some(said) = cluster.cloud_controller_version.as_deref() {
                version("the cloud controller", controller, Some(said), "cloudControllerVersion", Some(cluster));
            }
        }
    }
    found
}

/// What the drain timeout may be, when it is something else.
pub fn drain_timeout_fault(gateway: &Value) -> Option<&'static str> {
    let value = gateway.at("/metadata/annotations")?.get(DRAIN_SECONDS)?;
    let seconds = value.as_str().and_then(|text| text.parse::<u32>().ok());
    let limited = gateway::wants_load_balancer(gateway);
    let good = seconds.is_some_and(|seconds| !limited || (10..=890).contains(&seconds));
    (!good).then_some(if limited { "10 to 890 seconds" } else { "a number of seconds" })
}
