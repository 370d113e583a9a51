//! Accidents that end and come back: a kind, a FleetSync, a name, the owner of an object, the keys of signatures.

use super::{End, Scene, says, spec};
use anyhow::{Context as _, Result};
use asm_lab::story::{FLEET_SYNC, NAMESPACE, PATIENCE, Story, api, condition};
use asm_lab::{HOST, wait_for};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

const DOOR: &str = "clusters/m1c1/door.yaml";
/// A key that signed nothing here.
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGOCs8yIFBK3e/yu7QJgAcANnjAl5mwg9ufpLweYUUYq nobody";
const WIDGETS: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {kind: Widget, plural: widgets}
  scope: Namespaced
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
";
const WIDGET: &str =
    "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w, namespace: default}\nspec: {a: 1}\n";

fn map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n")
}

fn remove(story: &Story<'_>, path: &str) -> Result<()> {
    story.git(&["rm", "-r", "-f", "--quiet", path]).map(drop)
}

pub(super) async fn all(scene: &mut Scene<'_>) -> Result<()> {
    signatures(scene).await?;
    name(scene).await?;
    managed_by_asm(scene).await?;
    kind(scene).await?;
    fleet_sync(scene).await?;
    owner(scene).await
}

async fn signatures(scene: &mut Scene<'_>) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": NAMESPACE},
        "stringData": {"keys": KEY},
    });
    scene.lab().apply_yaml(HOST, &secret.to_string()).await?;
    let mut wanted = spec();
    wanted["source"] = json!({"verify": {"secretRef": {"name": "keys"}}});
    scene.story.fleet_sync(wanted).await?;
    // What it says is in no tree that is read.
    scene.commit("nobody has signed this", |s| remove(s, DOOR))?;
    scene.hint().await?;
    scene
        .come_to(
            "a commit that removes a door is not signed",
            says(["it is not signed; nothing of it was read or applied"]),
            None,
        )
        .await?;
    scene.well().await
}

/// A name and back, within the grace period: what ran goes on as if nothing had been.
async fn name(scene: &mut Scene<'_>) -> Result<()> {
    let maps = api(scene.lab(), "m1c1", "v1", "ConfigMap", "configmaps", Some("default"))?;
    let before = maps.get("map-0").await?.metadata.uid;
    let mut patient = spec();
    patient["prune"] = json!({"graceSeconds": 3600});
    scene.story.fleet_sync(patient).await?;
    let renamed = || says(["objects have left Git and are removed from", "put them back into Git"]);
    scene.files("an object is renamed", renamed(), |s| s.write("clusters/m1c1/maps/0.yaml", &map("renamed"))).await?;
    // Back before the grace period is shorter again.
    scene.files("… and has its name again", renamed(), |_| Ok(())).await?;
    scene.well().await?;
    anyhow::ensure!(maps.get("map-0").await?.metadata.uid == before, "it was made anew");
    Ok(())
}

/// On, and off again with the next commit.
async fn managed_by_asm(scene: &mut Scene<'_>) -> Result<()> {
    let files = scene.story.git(&["ls-files", "mesh"])?;
    let file = files.lines().find(|file| file.ends_with("/edge.yaml") && file.contains("gateway"));
    let file = file.context("the gateway has no file")?.to_owned();
    let switched = |value: &'static str| {
        let file = file.clone();
        move |s: &Story<'_>| {
            let text = std::fs::read_to_string(s.dir().join(&file))?;
            let more = format!("\n  annotations:\n    asm.alibabacloud.com/managed-by-asm: \"{value}\"\nspec:");
            s.write(&file, &text.replacen("\nspec:", &more, 1))
        }
    };
    let held = says(["IstioGateway istio-system/edge", "approvals/"]);
    scene.files("managed-by-asm is switched on …", held, switched("true")).await?;
    scene.files("… and off", End::Ready, switched("false")).await
}

/// A CRD is deleted by somebody, and comes back: its objects are gone and told, nothing else is touched.
async fn kind(scene: &mut Scene<'_>) -> Result<()> {
    let lab = scene.lab();
    lab.apply_yaml("m1c1", WIDGETS).await?;
    let widgets = api(lab, "m1c1", "example.com/v1", "Widget", "widgets", Some("default"))?;
    let served = || async { Ok(widgets.list(&Default::default()).await.ok().map(drop)) };
    wait_for("widgets are served", PATIENCE, served).await?;
    scene.files("a kind of one's own comes", End::Ready, |s| s.write("clusters/m1c1/widget.yaml", WIDGET)).await?;
    let kinds =
        api(lab, "m1c1", "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", None)?;
    kinds.delete("widgets.example.com", &DeleteParams::default()).await?;
    let told = says(["m1c1", "Widget"]);
    let change = |s: &Story<'_>| {
        s.write("clusters/m1c1/widget.yaml", &WIDGET.replace("a: 1", "a: 2"))?;
        remove(s, DOOR)
    };
    scene.files("its CRD is deleted, and a door leaves Git", told, change).await?;
    lab.apply_yaml("m1c1", WIDGETS).await?;
    let back = |s: &Story<'_>| s.write("clusters/m1c1/widget.yaml", &WIDGET.replace("a: 1", "a: 3"));
    scene.files("the CRD comes back", End::Ready, back).await?;
    scene.well().await?;
    kinds.delete("widgets.example.com", &DeleteParams::default()).await?;
    Ok(())
}

/// Without its inventory the agent knows nothing of what has left Git: it stays.
async fn fleet_sync(scene: &mut Scene<'_>) -> Result<()> {
    let syncs = api(scene.lab(), HOST, "kubectl-asm.io/v1alpha1", "FleetSync", "fleetsyncs", Some(NAMESPACE))?;
    syncs.delete(FLEET_SYNC, &DeleteParams::default()).await?;
    wait_for("the FleetSync is gone", PATIENCE, || async {
        Ok(syncs.get_opt(FLEET_SYNC).await?.is_none().then_some(()))
    })
    .await?;
    let maps = api(scene.lab(), HOST, "v1", "ConfigMap", "configmaps", Some(NAMESPACE))?;
    for map in maps.list(&Default::default()).await?.items {
        // The lab's home cluster collects no garbage.
        let name = map.metadata.name.unwrap_or_default();
        if name.ends_with("-inventory") {
            maps.delete(&name, &DeleteParams::default()).await?;
        }
    }
    let revision = scene.commit("while nobody syncs", |s| remove(s, DOOR))?;
    scene.story.fleet_sync(spec()).await?;
    scene.come_to("the FleetSync is made anew, and a door left Git meanwhile", End::Ready, Some(&revision)).await?;
    scene.well().await
}

/// An object goes from one FleetSync to another one, which must not lose it on the way.
async fn owner(scene: &mut Scene<'_>) -> Result<()> {
    let lab = scene.lab();
    let other = Story::begin(lab)?;
    other.plugin_ok(&["init", "other"])?;
    other.plugin_ok(&["cluster", "add", "m1c1", "--id", "M1C1", "--region", "cn-hangzhou"])?;
    let door = std::fs::read_to_string(scene.story.dir().join(DOOR))?;
    other.write(DOOR, &door)?;
    let revision = other.commit_and_push("the door, too")?;
    let sync = json!({
        "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "FleetSync", "metadata": {"name": "other", "namespace": NAMESPACE},
        "spec": {
            "source": {"url": other.url(), "branch": "main", "intervalSeconds": 1}, "lint": "Off", "prune": {"graceSeconds": 0},
        },
    });
    lab.apply_yaml(HOST, &sync.to_string()).await?;
    let syncs = api(lab, HOST, "kubectl-asm.io/v1alpha1", "FleetSync", "fleetsyncs", Some(NAMESPACE))?;
    let told = |words: &'static str| {
        let syncs = syncs.clone();
        move || {
            let syncs = syncs.clone();
            async move {
                let other = serde_json::to_value(syncs.get("other").await?)?;
                let ready = condition(&other, "Ready").cloned().unwrap_or_default();
                let said = format!("{} {}", super::text(&other), ready["status"]);
                Ok(said.contains(words).then_some(()))
            }
        }
    };
    wait_for("the other one is told whose it is", PATIENCE, told("belongs to FleetSync")).await?;
    scene.files("an object goes to another FleetSync", End::Ready, |s| remove(s, DOOR)).await?;
    let poke = json!({"metadata": {"annotations": {"kubectl-asm.io/reconcile-at": revision}}});
    syncs.patch("other", &PatchParams::default(), &Patch::Merge(poke)).await?;
    wait_for("the other one has it", PATIENCE, told("\"True\"")).await?;
    scene.nothing_is_lost("an object has gone to another FleetSync").await?;
    // And back.
    remove(&other, DOOR)?;
    other.commit_and_push("without it")?;
    syncs.delete("other", &DeleteParams::default()).await?;
    scene.well().await
}
