//! In which order fields are written, as data. Fields that are not listed follow in alphabetical order.

/// Fields of maps under these names are data, not structure: alphabetical throughout.
#[rustfmt::skip]
const DATA: &[&str] = &[
    "annotations", "binaryData", "data", "exact", "headers", "labels", "limits", "matchLabels", "nodeSelector", "requests",
    "stringData",
];

/// Fields of a document.
const DOCUMENT: &[&str] = &["apiVersion", "kind", "metadata", "type", "spec", "stringData", "data"];

/// Fields of any other map. One list serves all kinds: fields that never meet need no order between them.
#[rustfmt::skip]
const FIELDS: &[&str] = &[
    // What it is.
    "name", "namespace", "labels", "annotations", "apiVersion", "kind", "type", "op", "path", "action", "target",
    // A fleet, a route test.
    "id", "region", "mesh", "clusters", "groups", "request", "url", "method", "expect",
    // Where traffic comes from.
    "workloadSelector", "hosts", "gateways", "match", "uri", "scheme", "authority",
    // Where it goes: routes before what is done to them.
    "redirect", "directResponse", "rewrite", "route", "destination", "host", "subset", "weight", "mirror",
    "mirrorPercentage", "timeout", "retries", "fault", "http", "tls", "tcp", "exportTo",
    // Gateways, services and their ports.
    "clusterIds", "selector", "servers", "number", "protocol", "port", "targetPort", "nodePort",
    // Workloads.
    "replicas", "strategy", "template", "metadata", "spec", "serviceAccountName", "initContainers", "containers", "image",
    "imagePullPolicy", "command", "args", "workingDir", "ports", "env", "envFrom", "value", "valueFrom", "resources",
    "volumeMounts", "mountPath", "startupProbe", "readinessProbe", "livenessProbe", "securityContext", "volumes",
    // Policies.
    "trafficPolicy", "subsets", "requests", "limits", "merge", "json6902",
];

/// What a map is, as far as the order of its fields goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// A document.
    Document,
    /// Structure.
    Fields,
    /// Free names.
    Data,
}

impl Context {
    /// The context of the map under a field of this one.
    pub(super) fn below(self, field: &str) -> Self {
        if self != Self::Data && DATA.contains(&field) { Self::Data } else { Self::Fields }
    }

    /// Sorts before or after another field; `None` has no place of its own.
    pub(super) fn rank(self, field: &str) -> Option<usize> {
        let list = match self {
            Self::Document => DOCUMENT,
            Self::Fields => FIELDS,
            Self::Data => &[],
        };
        list.iter().position(|listed| *listed == field)
    }

    /// The fields of a map in the order in which they are written.
    pub(super) fn sorted(self, map: &serde_json::Map<String, serde_json::Value>) -> Vec<(&String, &serde_json::Value)> {
        let mut fields: Vec<_> = map.iter().collect();
        fields.sort_by_key(|(name, _)| (self.rank(name).unwrap_or(usize::MAX), *name));
        fields
    }
}
