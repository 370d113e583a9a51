//! What a feature needs: editions and versions, as far as fleet.yaml names them (`asm-domain.md` §1.9).

use super::super::cloud::{DRAIN_SECONDS, at_least, key};
use super::Subject;

/// A feature and what it needs.
struct Feature {
    name: &'static str,
    is_used: fn(&Subject<'_>) -> bool,
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
        is_used: |gateway| gateway.spec("maxReplicas").is_some(),
        higher_edition: true,
        asm: None,
        cluster: None,
    },
    Feature {
        name: "graceful shutdown",
        is_used: |gateway| gateway.has_annotation(DRAIN_SECONDS) || gateway.has_setting("connection-drain"),
        higher_edition: true,
        asm: None,
        cluster: None,
    },
    Feature {
        name: "gateway-drain-timeout-seconds",
        is_used: |gateway| gateway.has_annotation(DRAIN_SECONDS),
        higher_edition: false,
        asm: Some("1.26"),
        cluster: None,
    },
    Feature {
        name: "replicas-managed-by-asm",
        is_used: |gateway| gateway.has_annotation("asm.alibabacloud.com/replicas-managed-by-asm"),
        higher_edition: false,
        asm: Some("1.19"),
        cluster: None,
    },
    Feature {
        name: "an NLB for a gateway",
        is_used: |gateway| gateway.is_nlb(),
        higher_edition: false,
        asm: Some("1.18"),
        cluster: Some(("1.24", "2.5.0")),
    },
];

impl Subject<'_> {
    fn has_annotation(&self, name: &str) -> bool {
        self.object.pointer("/metadata/annotations").is_some_and(|annotations| annotations.get(name).is_some())
    }

    fn has_setting(&self, suffix: &str) -> bool {
        self.spec("serviceAnnotations").is_some_and(|annotations| annotations.get(key(suffix)).is_some())
    }

    pub(super) fn needs(&mut self) {
        let used: Vec<_> = FEATURES.iter().filter(|feature| (feature.is_used)(self)).collect();
        let mesh = &self.fleet.spec.mesh;
        for feature in used {
            if feature.higher_edition {
                match mesh.edition.as_deref() {
                    Some("Enterprise" | "Ultimate") => {}
                    Some(edition) => self.warning(
                        "/spec",
                        format!("{} needs the Enterprise or Ultimate edition of ASM, and fleet.yaml says {edition}", feature.name),
                    ),
                    None => self.warning(
                        "/spec",
                        format!("{} needs the Enterprise or Ultimate edition of ASM; fleet.yaml does not say which this is (spec.mesh.edition)", feature.name),
                    ),
                }
            }
            if let Some(wanted) = feature.asm {
                self.version(feature.name, "ASM", wanted, mesh.version.as_deref(), "spec.mesh.version");
            }
            if let Some((kubernetes, controller)) = feature.cluster {
                for cluster in self.clusters() {
                    let of = |what: &str| format!("{what} in {}", cluster.name);
                    let version = cluster.kubernetes_version.as_deref();
                    // What is not said about a cluster is not worth a line each: these versions are years old.
                    if version.is_some() {
                        self.version(feature.name, &of("Kubernetes"), kubernetes, version, "");
                    }
                    let version = cluster.cloud_controller_version.as_deref();
                    if version.is_some() {
                        self.version(feature.name, &of("the cloud controller"), controller, version, "");
                    }
                }
            }
        }
        if let Some(seconds) = self.object.pointer("/metadata/annotations").and_then(|all| all.get(DRAIN_SECONDS)) {
            let seconds = seconds.as_str().and_then(|text| text.parse::<u32>().ok());
            let limited = self.service_type() == "LoadBalancer";
            let good = seconds.is_some_and(|seconds| !limited || (10..=890).contains(&seconds));
            if !good {
                let allowed = if limited { "10 to 890 seconds" } else { "a number of seconds" };
                self.error("/metadata/annotations", format!("the time to shut down has to be {allowed}"), &[]);
            }
        }
    }

    fn version(&mut self, feature: &str, of: &str, wanted: &str, found: Option<&str>, place: &str) {
        match found.map(|version| (version, at_least(version, wanted))) {
            Some((_, Some(true))) => {}
            Some((version, Some(false))) => {
                self.warning("/spec", format!("{feature} needs {of} {wanted} or newer, and fleet.yaml says {version}"));
            }
            Some((version, None)) => {
                self.warning(
                    "/spec",
                    format!("{feature} needs {of} {wanted} or newer; fleet.yaml says `{version}`, which is no version"),
                );
            }
            None => {
                self.warning(
                    "/spec",
                    format!("{feature} needs {of} {wanted} or newer; fleet.yaml does not say which this is ({place})"),
                );
            }
        }
    }
}
