//! Modes by folder, what a commit leaves of people's changes, fights, and the ledger.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{AUTHOR, PATIENCE, Story, api, condition};
use asm_lab::{AgentProcess, Lab, LabOptions, MESH, users, wait_for};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

/// Git's objects of m1c1, where everything is put back.
const CORRECTED: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: web, namespace: default}
data: {a: '1', b: '2'}
---
apiVersion: v1
kind: Service
metadata: {name: door, namespace: default}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: registry.example.com/web:1, ports: [{containerPort: 80}]}]}
";

/// The same ConfigMap of m1c2, where changes are reported.
fn reported(a: &str, b: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: web, namespace: default}}\ndata: {{a: '{a}', b: '{b}'}}\n"
    )
}

fn route(timeout: &str, weight: u32) -> String {
    format!(
        "apiVersion: networking.istio.io/v1beta1\nkind: VirtualService\nmetadata: {{name: web, namespace: default}}\nspec:\n  hosts: [web]\n  \
         http:\n  - timeout: {timeout}\n    route:\n    - {{destination: {{host: a}}, weight: {weight}}}\n    \
         - {{destination: {{host: b}}, weight: {}}}\n",
        100 - weight
    )
}

async fn writes(api: &Api<DynamicObject>, name: &str, manager: &str, patch: Value) -> Result<()> {
    let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
    let patch: Patch<Value> =
        if patch.is_array() { Patch::Json(serde_json::from_value(patch)?) } else { Patch::Merge(patch) };
    api.patch(name, &params, &patch).await?;
    Ok(())
}

async fn holds(api: &Api<DynamicObject>, name: &str, pointer: &str, value: &Value) -> Result<()> {
    wait_for(&format!("{name}{pointer} is {value}"), PATIENCE, || async {
        let live = serde_json::to_value(api.get(name).await?)?;
        Ok((live.pointer(pointer) == Some(value)).then_some(()))
    })
    .await
}

/// An agent whose Lease is soon over when it is killed.
fn start(story: &mut Story<'_>) -> Result<()> {
    let args = story.agent_args_with_short_lease()?;
    story.agent = Some(AgentProcess::spawn(story.lab, args)?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_have_modes_commits_undo_nothing_and_what_is_over_is_remembered() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    for command in AUTHOR.iter().take(3) {
        story.plugin_ok(command)?;
    }
    let fleet = std::fs::read_to_string(story.dir().join("fleet.yaml"))?;
    // A field that is left alone, in the object that a person changes elsewhere.
    let modes = "  drift:\n    modes:\n      - path: clusters/m1c1/**\n        mode: Correct\n  ignoreDifferences:\n    \
                 - {kind: ConfigMap, name: web, path: 'clusters/m1c2/**', fields: [data.c], reason: a counter}\n";
    story.write("fleet.yaml", &format!("{}\n{modes}", fleet.trim_end()))?;
    story.write("clusters/m1c1/web.yaml", CORRECTED)?;
    story.write("clusters/m1c2/web.yaml", &reported("1", "2"))?;
    story.write("mesh/web.yaml", &route("1s", 90))?;
    let revision = story.commit_and_push("a fleet")?;
    story.install(json!({"lint": "Off"})).await?;
    start(&mut story)?;
    story.wait_ready(&revision).await.with_context(|| fleet.clone())?;
    let maps = |context| api(&lab, context, "v1", "ConfigMap", "configmaps", Some("default"));
    let (corrected, reported_map) = (maps("m1c1")?, maps("m1c2")?);
    let routes = api(&lab, MESH, "networking.istio.io/v1beta1", "VirtualService", "virtualservices", Some("default"))?;
    let doors = api(&lab, "m1c1", "v1", "Service", "services", Some("default"))?;
    let drifted = |count: u32| move |sync: &Value| sync["status"]["drifted"] == count;

    // A person is overridden in m1c1, a controller is not; in m1c2 both are only told.
    let mark = lab.audit_mark("m1c2").await?;
    writes(&reported_map, "web", "kubectl-edit", json!({"data": {"a": "me"}})).await?;
    writes(&corrected, "web", "some-controller", json!({"data": {"b": "ctl"}})).await?;
    writes(&corrected, "web", "kubectl-edit", json!({"data": {"a": "me"}})).await?;
    holds(&corrected, "web", "/data/a", &json!("1")).await?;
    holds(&corrected, "web", "/data/b", &json!("ctl")).await?;
    story.wait_status("two objects drifted", drifted(2)).await?;
    let (m1c1, m1c2) = wait_for("the report says what is left", PATIENCE, || async {
        let told = story.plugin(&["drift", "--context", "host", "-o", "json"])?;
        let told: Value = serde_json::from_slice(&told.stdout)?;
        let field = |target: &str| {
            let items = told["items"].as_array().into_iter().flatten();
            let report = items.into_iter().find(|item| item["spec"]["target"] == target);
            report.map(|report| report["status"]["objects"][0]["fields"][0].clone()).unwrap_or_default()
        };
        let found = (field("m1c1"), field("m1c2"));
        Ok((found.0["path"] == "data.b" && found.1["path"] == "data.a").then_some(found))
    })
    .await?;
    ensure!(m1c1["author"] == "Controller" && m1c1["manager"] == "some-controller", "{m1c1}");
    ensure!(m1c2["author"] == "Human" && m1c2["found"] == "me", "{m1c2}");
    let entries = lab.audit_since("m1c2", mark).await?;
    ensure!(!entries.iter().any(|entry| entry.user == users::AGENT && entry.is_write()), "reporting writes nothing");

    // A commit changes what it touches, and leaves the rest to the person, also in a list of one owner.
    writes(
        &routes,
        "web",
        "asm-console",
        json!([{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 50}]),
    )
    .await?;
    story.wait_status("three objects drifted", drifted(3)).await?;
    story.write("clusters/m1c2/web.yaml", &reported("1", "3"))?;
    story.write("mesh/web.yaml", &route("7s", 90))?;
    let revision = story.commit_and_push("other fields of the same objects")?;
    story.wait_ready(&revision).await?;
    holds(&routes, "web", "/spec/http/0/timeout", &json!("7s")).await?;
    holds(&reported_map, "web", "/data/b", &json!("3")).await?;
    holds(&routes, "web", "/spec/http/0/route/0/weight", &json!(50)).await?;
    holds(&reported_map, "web", "/data/a", &json!("me")).await?;
    story.wait_status("three objects are still drifted", drifted(3)).await?;
    // An agent that was not there when it happened, and a commit: as before.
    story.agent.take().context("no agent")?.kill()?;
    story.write("clusters/m1c2/web.yaml", &reported("1", "4"))?;
    story.commit_and_push("while nobody looks")?;
    start(&mut story)?;
    holds(&reported_map, "web", "/data/b", &json!("4")).await?;
    holds(&reported_map, "web", "/data/a", &json!("me")).await?;
    story.wait_status("three objects are still drifted", drifted(3)).await?;
    // Git decides about the very field: that is what runs.
    story.write("clusters/m1c2/web.yaml", &reported("9", "4"))?;
    story.write("mesh/web.yaml", &route("7s", 50))?;
    let revision = story.commit_and_push("the fields themselves")?;
    story.wait_ready(&revision).await?;
    holds(&reported_map, "web", "/data/a", &json!("9")).await?;
    story.wait_status("only the controller's field is left", drifted(1)).await?;

    // A load balancer that somebody deletes would come back with another address: that is for people to decide.
    doors.delete("door", &DeleteParams::default()).await?;
    story.wait_status("the door is gone", drifted(2)).await?;
    let told = story.plugin(&["drift", "--context", "host"])?;
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    ensure!(told.contains("its load balancer would get another address"), "{told}");
    story.plugin_ok(&["revert", "m1c1/svc/door", "--context", "host"])?;
    ensure!(doors.get_opt("door").await?.is_some());

    // Somebody who does not give up.
    for _ in 0..3 {
        writes(&corrected, "web", "kubectl-edit", json!({"data": {"a": "again"}})).await?;
        holds(&corrected, "web", "/data/a", &json!("1")).await?;
    }
    let sync = story.wait_status("a fight", |sync| condition(sync, "Contested").is_some()).await?;
    let message = condition(&sync, "Contested").map(|told| told["message"].to_string()).unwrap_or_default();
    ensure!(
        message.contains("data.a is written by kubectl-edit") && message.contains("asm-agent put it back"),
        "{message}"
    );
    writes(&corrected, "web", "kubectl-edit", json!({"data": {"a": "mine"}})).await?;
    story
        .wait_status("it is told", |sync| {
            let targets = sync["status"]["targets"].as_array().into_iter().flatten();
            targets.into_iter().any(|target| target["name"] == "m1c1" && target["drifted"] == 1)
        })
        .await?;
    holds(&corrected, "web", "/data/a", &json!("mine")).await?;

    // All of that is remembered, by an agent that was started anew in between.
    story.agent.take().context("no agent")?.kill()?;
    start(&mut story)?;
    let past = |args: &[&str]| -> Result<Vec<String>> {
        let output = story.plugin(&[&["drift", "--history", "--context", "host", "-o", "json"], args].concat())?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let told: Value = serde_json::from_slice(&output.stdout)?;
        let items = told["items"].as_array().into_iter().flatten();
        let line = |item: &Value| {
            let field = item["field"]["path"].as_str().unwrap_or("-");
            format!("{} {} {field} {}", item["target"], item["name"], item["outcome"]).replace('"', "")
        };
        let mut lines: Vec<String> = items.map(line).collect();
        lines.sort();
        Ok(lines)
    };
    // It begins anew to put back.
    holds(&corrected, "web", "/data/a", &json!("1")).await?;
    let mut wanted = vec!["m1c1 door - Reverted"];
    wanted.extend(["m1c1 web data.a Corrected"; 5]);
    wanted.extend(["m1c2 web data.a Overwritten", "mesh web spec.http[0].route[0].weight Adopted"]);
    let mut last = Vec::new();
    let told = wait_for("everything is remembered", PATIENCE, || {
        last = past(&["--since", "1h"]).unwrap_or_default();
        let done = last == wanted;
        async move { Ok(done.then_some(())) }
    })
    .await;
    told.with_context(|| format!("{last:#?}"))?;
    ensure!(past(&["--by", "kubectl"])?.len() == 6 && past(&["--since", "2999-01-01"])?.is_empty());
    Ok(())
}
