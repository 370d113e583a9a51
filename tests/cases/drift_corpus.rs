//! The corpus of drift on real API servers: what is written down of them is what they answer.
//!
//! `KUBECTL_ASM_CORPUS=write` writes their answers down anew (`shared/tests/drift/answers`).

#[allow(clippy::panic, reason = "a corpus that cannot be read is no corpus")]
#[path = "../../shared/tests/drift/corpus.rs"]
mod corpus;

use anyhow::{Context as _, Result, ensure};
use asm_lab::{Lab, LabOptions, MESH};
use asm_shared::api::labels::FIELD_MANAGER;
use corpus::{Case, NAMESPACE};
use futures::{StreamExt as _, stream};
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Cases in flight.
const WIDTH: usize = 16;
/// The cluster for what is not the mesh's.
const MEMBER: &str = "m1c1";

#[tokio::test(flavor = "multi_thread")]
async fn the_corpus_of_drift_is_what_api_servers_answer() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    for context in [MESH, MEMBER] {
        lab.apply_yaml(context, &format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}\n")).await?;
    }
    lab.apply_yaml(MEMBER, &corpus::text("gateway-api-crds.yaml")).await?;
    let clients = (lab.client(MESH)?, lab.client(MEMBER)?);
    let kinds = (Kinds::of(&clients.0).await?, Kinds::of(&clients.1).await?);
    let answers: Vec<(Case, Result<Value>)> = stream::iter(corpus::cases())
        .map(|case| {
            let (client, kinds) = if case.is_of_mesh() { (&clients.0, &kinds.0) } else { (&clients.1, &kinds.1) };
            async move {
                let answer = play(client, kinds, &case).await.with_context(|| case.name.clone());
                (case, answer)
            }
        })
        .buffer_unordered(WIDTH)
        .collect()
        .await;
    let (mut wrong, mut written) = (Vec::new(), BTreeMap::<&str, BTreeMap<String, Value>>::new());
    for (case, answer) in answers {
        match answer {
            Ok(live) => {
                wrong.extend(corpus::wrong(&case, &live));
                written.entry(case.file).or_default().insert(case.name, settled(live));
            }
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    if std::env::var_os("KUBECTL_ASM_CORPUS").is_some_and(|value| value == "write") {
        let folder = corpus::dir().join("answers");
        std::fs::create_dir_all(&folder)?;
        for (file, answers) in written {
            let lines: Vec<String> =
                answers.iter().map(|answer| serde_json::to_string(&answer)).collect::<Result<_, _>>()?;
            std::fs::write(folder.join(format!("{file}.jsonl")), lines.join("\n") + "\n")?;
        }
    }
    wrong.sort();
    ensure!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// The kinds of an API server, by group and kind.
struct Kinds(BTreeMap<(String, String), (kube::core::ApiResource, bool)>);

impl Kinds {
    async fn of(client: &Client) -> Result<Self> {
        let found = kube::discovery::Discovery::new(client.clone()).run_aggregated().await?;
        let all = found.groups().flat_map(|group| {
            group.versions().flat_map(|version| group.versioned_resources(version)).collect::<Vec<_>>()
        });
        Ok(Self(
            all.map(|(resource, capabilities)| {
                let namespaced = capabilities.scope == kube::discovery::Scope::Namespaced;
                ((resource.api_version.clone(), resource.kind.clone()), (resource, namespaced))
            })
            .collect(),
        ))
    }

    fn api(&self, client: &Client, object: &Value) -> Result<Api<DynamicObject>> {
        let word = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
        let (resource, namespaced) = self
            .0
            .get(&(word("apiVersion"), word("kind")))
            .with_context(|| format!("{} is not served", word("kind")))?;
        Ok(match namespaced {
            true => Api::namespaced_with(client.clone(), NAMESPACE, resource),
            false => Api::all_with(client.clone(), resource),
        })
    }
}

/// Applies the object as the agent does, lets the others write, and reads it.
async fn play(client: &Client, kinds: &Kinds, case: &Case) -> Result<Value> {
    let api = kinds.api(client, &case.object)?;
    let id = case.id();
    api.patch(&id.name, &PatchParams::apply(FIELD_MANAGER).force().validation_strict(), &Patch::Apply(&case.object))
        .await?;
    for write in &case.writes {
        self::write(&api, &id.name, &case.object, write).await.with_context(|| write.to_string())?;
    }
    Ok(serde_json::to_value(api.get(&id.name).await?)?)
}

async fn write(api: &Api<DynamicObject>, name: &str, object: &Value, write: &Value) -> Result<()> {
    if write["reset"] == true {
        let patch = json!({"metadata": {"managedFields": [{}]}});
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        return Ok(());
    }
    let by = write["by"].as_str().context("a write has an author")?;
    let params = PatchParams { field_manager: Some(by.to_owned()), ..PatchParams::default() };
    if !write["put"].is_null() {
        // Controllers of the lab write, too.
        for _ in 0..5 {
            let mut live = serde_json::to_value(api.get(name).await?)?;
            corpus::merge(&mut live, &write["put"]);
            let live: DynamicObject = serde_json::from_value(live)?;
            let params = PostParams { field_manager: Some(by.to_owned()), ..PostParams::default() };
            match api.replace(name, &params, &live).await {
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                done => return done.map(drop).map_err(Into::into),
            }
        }
        anyhow::bail!("somebody else always writes first");
    }
    let patch: Patch<Value> = if write["apply"].is_object() {
        let mut applied = write["apply"].clone();
        let identity = json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": {"name": name}});
        corpus::merge(&mut applied, &identity);
        Patch::Apply(applied)
    } else if write["json"].is_array() {
        Patch::Json(serde_json::from_value(write["json"].clone())?)
    } else {
        Patch::Merge(write["merge"].clone())
    };
    let params = if matches!(patch, Patch::Apply(_)) { params.force() } else { params };
    match write["sub"].as_str() {
        Some(subresource) => drop(api.patch_subresource(subresource, name, &params, &patch).await?),
        None => drop(api.patch(name, &params, &patch).await?),
    }
    Ok(())
}

/// An answer without what is another one each time and says nothing here.
fn settled(live: Value) -> Value {
    let mut live = live;
    let mut times: Vec<String> = Vec::new();
    if let Some(metadata) = live["metadata"].as_object_mut() {
        for field in ["uid", "resourceVersion", "creationTimestamp"] {
            metadata.remove(field);
        }
    }
    let entries = live["metadata"]["managedFields"].as_array().into_iter().flatten();
    times.extend(entries.filter_map(|entry| entry["time"].as_str().map(str::to_owned)));
    times.sort();
    times.dedup();
    for entry in live["metadata"]["managedFields"].as_array_mut().into_iter().flatten() {
        let place = times.iter().position(|time| entry["time"] == **time);
        if let (Some(place), Some(entry)) = (place, entry.as_object_mut()) {
            entry.insert("time".to_owned(), json!(format!("2026-01-01T00:00:{place:02}Z")));
        }
    }
    live
}
