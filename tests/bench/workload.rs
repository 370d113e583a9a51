//! What is applied: the two workloads that the figures of other tools are about.

use serde_json::{Value, json};

/// Applications of the first workload, of four objects each.
pub(crate) const APPS: usize = 1_000;
/// ConfigMaps of the second.
pub(crate) const MAPS: usize = 10_000;
/// ConfigMaps in one file.
const MAPS_PER_FILE: usize = 100;

/// What there is many of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// A ServiceAccount, a Service, a Deployment without pods and an Ingress each.
    Apps,
    /// Small ConfigMaps.
    Maps,
}

impl Workload {
    /// The objects of one version, in the order in which a person would apply them.
    pub(crate) fn objects(self, namespace: &str, version: &str) -> Vec<Value> {
        match self {
            Self::Apps => (0..APPS).flat_map(|number| app(namespace, number, version)).collect(),
            Self::Maps => (0..MAPS).map(|number| map(namespace, number, version)).collect(),
        }
    }

    /// The same as files of a cluster's folder: path and text.
    pub(crate) fn files(self, folder: &str, namespace: &str, version: &str) -> Vec<(String, String)> {
        let per_file = if self == Self::Apps { 4 } else { MAPS_PER_FILE };
        let texts = self.objects(namespace, version);
        let files = texts.chunks(per_file).enumerate();
        files.map(|(number, objects)| (format!("{folder}/part-{number:04}.yaml"), text(objects))).collect()
    }
}

/// Where a ConfigMap stands, and what its file says when this one holds another value than the rest.
pub(crate) fn one_changed(folder: &str, namespace: &str, number: usize, version: &str) -> (String, String) {
    let file = number / MAPS_PER_FILE;
    let all = file * MAPS_PER_FILE..(file + 1) * MAPS_PER_FILE;
    let objects: Vec<Value> =
        all.map(|other| map(namespace, other, if other == number { version } else { SECOND })).collect();
    (format!("{folder}/part-{file:04}.yaml"), text(&objects))
}

/// Versions of a workload: the one that is installed, and the one that every object is brought to.
pub(crate) const FIRST: &str = "1";
/// See [`FIRST`].
pub(crate) const SECOND: &str = "2";

/// JSON is YAML.
fn text(objects: &[Value]) -> String {
    objects.iter().map(|object| format!("{object}\n")).collect::<Vec<_>>().join("---\n")
}

/// Name of a ConfigMap.
pub(crate) fn map_name(number: usize) -> String {
    format!("map-{number:05}")
}

/// A ConfigMap.
pub(crate) fn map(namespace: &str, number: usize, version: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": map_name(number), "namespace": namespace},
        "data": {"version": version, "text": "a line of text, as long as one is"},
    })
}

fn app(namespace: &str, number: usize, version: &str) -> [Value; 4] {
    let name = format!("app-{number:04}");
    let metadata = json!({"name": name, "namespace": namespace, "labels": {"app": name, "version": version}});
    [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {
                        "serviceAccountName": name,
                        "containers": [{
                            "name": "app", "image": format!("registry.example.com/{name}:{version}"),
                            "ports": [{"containerPort": 8080}],
                        }],
                    },
                },
            },
        }),
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata,
            "spec": {"rules": [{
                "host": format!("{name}.example.com"),
                "http": {"paths": [{
                    "path": "/", "pathType": "Prefix",
                    "backend": {"service": {"name": name, "port": {"name": "http"}}},
                }]},
            }]},
        }),
    ]
}
