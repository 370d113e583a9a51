//! Writes the schemas that `asm_shared::schema` embeds, from their sources: Istio's CRDs (the module that the lab serves
//! them from), the types of k8s-openapi, the lab's IstioGateway.

use crate::generate::root;
use anyhow::{Context as _, Result};
use k8s_openapi::api::{apps, autoscaling, batch, core, networking, policy, rbac};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

const FOLDER: &str = "shared/src/schema/data";

pub(crate) fn run() -> Result<()> {
    let version = asm_lab::istio_version().context("the lab's go.mod names no version of Istio")?;
    let istio = of_crds(&asm_lab::istio_crds()?)?;
    write("istio.json", &format!("Istio {version}, Apache-2.0"), istio, Map::new())?;
    write("istiogateway.json", "public sources on ASM", of_crds(&asm_lab::asm_crds()?)?, Map::new())?;
    let (kubernetes, definitions) = kubernetes();
    write("kubernetes.json", "Kubernetes 1.33, Apache-2.0", kubernetes, definitions)
}

/// One schema per line: a change of Istio shows as lines of the kinds it concerns.
fn write(name: &str, source: &str, schemas: Vec<Value>, definitions: Map<String, Value>) -> Result<()> {
    let lines = |values: Vec<String>| values.join(",\n");
    let schemas = lines(schemas.iter().map(Value::to_string).collect());
    let definitions = lines(definitions.iter().map(|(key, value)| format!("{}:{value}", json!(key))).collect());
    let text = format!(
        "{{\"source\":{},\n\"schemas\":[\n{schemas}\n],\n\"definitions\":{{\n{definitions}\n}}}}\n",
        json!(source)
    );
    let path = root().join(FOLDER).join(name);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The schemas of CRDs; versions with the same schema share one.
fn of_crds(crds: &[Value]) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for crd in crds {
        let text = |pointer: &str| crd.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut schemas: Vec<(Value, Vec<String>)> = Vec::new();
        for version in crd.pointer("/spec/versions").and_then(Value::as_array).context("a CRD has versions")? {
            let mut schema = version.pointer("/schema/openAPIV3Schema").context("a version has a schema")?.clone();
            strip(&mut schema);
            let name = version["name"].as_str().unwrap_or_default().to_owned();
            match schemas.iter_mut().find(|(known, _)| *known == schema) {
                Some((_, versions)) => versions.push(name),
                None => schemas.push((schema, vec![name])),
            }
        }
        found.extend(schemas.into_iter().map(|(schema, versions)| {
            json!({"group": text("/spec/group"), "kind": text("/spec/names/kind"), "versions": versions, "schema": schema})
        }));
    }
    found.sort_by_key(Value::to_string);
    Ok(found)
}

/// Takes prose away.
fn strip(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            for name in ["description", "title", "default", "example"] {
                // A field may have such a name: then its value is a schema, not a text.
                if map.get(name).is_some_and(|value| !value.is_object()) {
                    map.remove(name);
                }
            }
            map.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// The kinds of Kubernetes that a fleet is made of.
fn kubernetes() -> (Vec<Value>, Map<String, Value>) {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut found = Vec::new();
    macro_rules! kinds {
        ($($group:literal $version:literal $kind:ty),* $(,)?) => {$(
            let schema = generator.subschema_for::<$kind>();
            let mut schema = serde_json::to_value(schema).unwrap_or_default();
            strip(&mut schema);
            let kind = <$kind as JsonSchema>::schema_name();
            let kind = kind.rsplit('.').next().unwrap_or_default();
            found.push(json!({"group": $group, "kind": kind, "versions": [$version], "schema": schema}));
        )*};
    }
    kinds!(
        "" "v1" core::v1::ConfigMap, "" "v1" core::v1::Namespace, "" "v1" core::v1::PersistentVolumeClaim,
        "" "v1" core::v1::Pod, "" "v1" core::v1::Secret, "" "v1" core::v1::Service, "" "v1" core::v1::ServiceAccount,
        "apps" "v1" apps::v1::DaemonSet, "apps" "v1" apps::v1::Deployment, "apps" "v1" apps::v1::StatefulSet,
        "autoscaling" "v2" autoscaling::v2::HorizontalPodAutoscaler, "batch" "v1" batch::v1::CronJob,
        "batch" "v1" batch::v1::Job, "networking.k8s.io" "v1" networking::v1::Ingress,
        "networking.k8s.io" "v1" networking::v1::NetworkPolicy, "policy" "v1" policy::v1::PodDisruptionBudget,
        "rbac.authorization.k8s.io" "v1" rbac::v1::ClusterRole,
        "rbac.authorization.k8s.io" "v1" rbac::v1::ClusterRoleBinding, "rbac.authorization.k8s.io" "v1" rbac::v1::Role,
        "rbac.authorization.k8s.io" "v1" rbac::v1::RoleBinding,
    );
    let mut definitions = generator.take_definitions(true);
    definitions.values_mut().for_each(strip);
    for (name, definition) in &mut definitions {
        quirks(name, definition);
    }
    (found, definitions)
}

/// Where the API server takes more than the type says.
fn quirks(name: &str, definition: &mut Value) {
    if name.ends_with("resource.Quantity") {
        *definition = json!({"type": ["string", "number"]});
    } else if name.ends_with("IntOrString") {
        *definition = json!({"type": ["integer", "string"]});
    }
    nullable(definition);
}

/// `null` means that a field is not there.
fn nullable(schema: &mut Value) {
    let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for field in fields.values_mut() {
        if let Some(kind @ Value::String(_)) = field.get("type").cloned() {
            field["type"] = json!([kind, "null"]);
        }
    }
}
