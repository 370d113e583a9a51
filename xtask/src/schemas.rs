//! Writes the schemas that `asm_shared::schema` embeds, from their sources: the modules of Istio's and the Gateway API's CRDs,
//! the OpenAPI document in the module of Kubernetes, the lab's IstioGateway.

mod annotations;

use crate::generate::root;
use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const FOLDER: &str = "shared/src/schema/data";

/// Versions of Istio's CRDs: what meshes run, every other one, and the lab's.
const ISTIO: &[&str] = &["v1.20.8", "v1.22.0", "v1.24.0", "v1.26.4", "v1.28.0"];
/// Versions of Kubernetes: what member clusters run. A file is 8 KB, so each minor version has its own.
const KUBERNETES: &[&str] = &["v1.28.15", "v1.29.6", "v1.30.14", "v1.31.14", "v1.32.13", "v1.33.13", "v1.34.4"];
/// The version of the Gateway API.
const GATEWAY_API: &str = "v1.4.0";

pub(crate) fn run() -> Result<()> {
    let version = asm_lab::istio_version().context("the lab's go.mod names no version of Istio")?;
    write_istio(version, &asm_lab::istio_crds()?)?;
    for version in ISTIO {
        let dir = module(&format!("istio.io/api@{version}"))?;
        write_istio(version, &read(&dir.join("kubernetes/customresourcedefinitions.gen.yaml"))?)?;
    }
    let api = |version: &str| Ok((minor(version), module(&format!("istio.io/api@{version}"))?));
    let modules = ISTIO.iter().copied().chain([version]).map(api).collect::<Result<Vec<_>>>()?;
    annotations::write(&root(), &modules)?;
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
    KUBERNETES.iter().try_for_each(|version| write_kubernetes(version))
}

fn write_istio(version: &str, crds: &[Value]) -> Result<()> {
    let name = format!("istio-{}.json", minor(version));
    write(&name, &format!("Istio {version}, Apache-2.0"), of_crds(crds)?, Map::new())
}

/// `1.28` of `v1.28.15`.
fn minor(version: &str) -> String {
    version.trim_start_matches('v').split('.').take(2).collect::<Vec<_>>().join(".")
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

/// The kinds of Kubernetes that a fleet is made of: group, version, name of the group in definitions, kinds.
const KINDS: &[(&str, &str, &str, &[&str])] = &[
    (
        "",
        "v1",
        "core",
        &["ConfigMap", "Namespace", "PersistentVolumeClaim", "Pod", "Secret", "Service", "ServiceAccount"],
    ),
    ("apps", "v1", "apps", &["DaemonSet", "Deployment", "StatefulSet"]),
    ("autoscaling", "v2", "autoscaling", &["HorizontalPodAutoscaler"]),
    ("batch", "v1", "batch", &["CronJob", "Job"]),
    ("networking.k8s.io", "v1", "networking", &["Ingress", "NetworkPolicy"]),
    ("policy", "v1", "policy", &["PodDisruptionBudget"]),
    ("rbac.authorization.k8s.io", "v1", "rbac", &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]),
];

/// Writes the schemas of a version of Kubernetes, with the definitions that they refer to.
fn write_kubernetes(version: &str) -> Result<()> {
    let path = module(&format!("k8s.io/kubernetes@{version}"))?.join("api/openapi-spec/swagger.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let document: Value = serde_json::from_str(&text.replace("#/definitions/", "#/$defs/"))?;
    let (mut schemas, mut open) = (Vec::new(), Vec::new());
    for (group, version, package, kinds) in KINDS {
        for kind in *kinds {
            let name = format!("io.k8s.api.{package}.{version}.{kind}");
            let schema = json!({"$ref": format!("#/$defs/{name}")});
            schemas.push(json!({"group": group, "kind": kind, "versions": [version], "schema": schema}));
            open.push(name);
        }
    }
    let mut definitions = Map::new();
    while let Some(name) = open.pop() {
        if definitions.contains_key(&name) {
            continue;
        }
        let found = document["definitions"].get(&name).with_context(|| format!("{version} does not define {name}"))?;
        let mut found = found.clone();
        strip(&mut found, &["description", "title", "default", "example"]);
        open.extend(named(&found));
        quirks(&name, &mut found);
        definitions.insert(name, found);
    }
    definitions.sort_keys();
    write(
        &format!("kubernetes-{}.json", minor(version)),
        &format!("Kubernetes {version}, Apache-2.0"),
        schemas,
        definitions,
    )
}

/// The definitions that a schema refers to.
fn named(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(map) => {
            let own = map.get("$ref").and_then(Value::as_str).and_then(|at| at.strip_prefix("#/$defs/"));
            own.map(str::to_owned).into_iter().chain(map.values().flat_map(named)).collect()
        }
        Value::Array(items) => items.iter().flat_map(named).collect(),
        _ => Vec::new(),
    }
}

/// Where the API server takes more than the type says.
fn quirks(name: &str, definition: &mut Value) {
    if name.ends_with("resource.Quantity") {
        *definition = json!({"type": ["string", "number"]});
    } else if name.ends_with("IntOrString") {
        *definition = json!({"type": ["integer", "string"]});
    }
    nullable(definition);
    bare(definition);
}

/// Without what says how lists are merged.
fn bare(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.retain(|name, _| !name.starts_with("x-kubernetes-"));
            map.values_mut().for_each(bare);
        }
        Value::Array(items) => items.iter_mut().for_each(bare),
        _ => {}
    }
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
