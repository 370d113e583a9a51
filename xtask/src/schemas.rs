//! Writes the schemas that `asm_shared::schema` embeds, from their sources: the modules of Istio's and the Gateway API's CRDs,
//! the types of k8s-openapi, the lab's IstioGateway.

use crate::generate::root;
use anyhow::{Context as _, Result};
use k8s_openapi::api::{apps, autoscaling, batch, core, networking, policy, rbac};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const FOLDER: &str = "shared/src/schema/data";

/// Versions of Istio's CRDs: what meshes run, every other one, and the lab's.
const ISTIO: &[&str] = &["v1.20.8", "v1.22.0", "v1.24.0", "v1.26.4", "v1.28.0"];
/// The version of the Gateway API.
const GATEWAY_API: &str = "v1.4.0";

pub(crate) fn run() -> Result<()> {
    let version = asm_lab::istio_version().context("the lab's go.mod names no version of Istio")?;
    write_istio(version, &asm_lab::istio_crds()?)?;
    for version in ISTIO {
        let dir = module(&format!("istio.io/api@{version}"))?;
        write_istio(version, &read(&dir.join("kubernetes/customresourcedefinitions.gen.yaml"))?)?;
    }
    let mut crds = Vec::new();
    let dir = module(&format!("sigs.k8s.io/gateway-api@{GATEWAY_API}"))?.join("config/crd/experimental");
    for entry in std::fs::read_dir(&dir)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name != "kustomization.yaml") {
            crds.extend(read(&path)?);
        }
    }
    write("gateway-api.json", &format!("Gateway API {GATEWAY_API}, Apache-2.0"), of_crds(&crds)?, Map::new())?;
    write("istiogateway.json", "public sources on ASM", of_crds(&asm_lab::asm_crds()?)?, Map::new())?;
    let (kubernetes, definitions) = kubernetes();
    write("kubernetes.json", "Kubernetes 1.33, Apache-2.0", kubernetes, definitions)
}

fn write_istio(version: &str, crds: &[Value]) -> Result<()> {
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    write(&format!("istio-{major}.{minor}.json"), &format!("Istio {version}, Apache-2.0"), of_crds(crds)?, Map::new())
}

/// The folder of a Go module, downloaded if it is not there.
fn module(name: &str) -> Result<PathBuf> {
    let output =
        Command::new("go").args(["mod", "download", "-json", name]).current_dir(std::env::temp_dir()).output()?;
    let answer: Value =
        serde_json::from_slice(&output.stdout).context("`go mod download -json` does not answer in JSON")?;
    let dir = answer["Dir"].as_str().with_context(|| format!("cannot download {name}: {}", answer["Error"]))?;
    Ok(PathBuf::from(dir))
}

/// The objects of a file.
fn read(path: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let documents = asm_shared::yaml::read(&text, &asm_shared::yaml::Limits::default());
    let documents = documents.map_err(|error| anyhow::anyhow!("{}: {error:?}", path.display()))?;
    let objects = documents.into_iter().map(|document| Value::clone(&document.value));
    Ok(objects.filter(|object| object["kind"] == "CustomResourceDefinition").collect())
}

/// Compressed, always to the same bytes.
fn write(name: &str, source: &str, schemas: Vec<Value>, definitions: Map<String, Value>) -> Result<()> {
    let text = json!({"source": source, "schemas": schemas, "definitions": definitions}).to_string();
    let path = root().join(FOLDER).join(format!("{name}.gz"));
    let file = std::fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut packer = flate2::GzBuilder::new().write(file, flate2::Compression::best());
    packer.write_all(text.as_bytes())?;
    packer.finish()?;
    anstream::println!("{}: {} KB of text", path.display(), text.len() / 1024);
    Ok(())
}

/// The schemas of CRDs; versions with the same schema share one.
fn of_crds(crds: &[Value]) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for crd in crds {
        let text = |pointer: &str| crd.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut schemas: Vec<(Value, Vec<String>)> = Vec::new();
        for version in crd.pointer("/spec/versions").and_then(Value::as_array).context("a CRD has versions")? {
            let mut schema = version.pointer("/schema/openAPIV3Schema").context("a version has a schema")?.clone();
            strip(&mut schema, &["description", "title", "example"]);
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

/// Takes prose away. Defaults of CRDs stay: their rules are about objects that have them.
fn strip(schema: &mut Value, names: &[&str]) {
    match schema {
        Value::Object(map) => {
            for name in names {
                // A field may have such a name: then its value is a schema, not a text.
                if map.get(*name).is_some_and(|value| !value.is_object()) {
                    map.remove(*name);
                }
            }
            map.values_mut().for_each(|value| strip(value, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| strip(value, names)),
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
            strip(&mut schema, &["description", "title", "default", "example"]);
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
    definitions.values_mut().for_each(|value| strip(value, &["description", "title", "default", "example"]));
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
