//! The admission observer on real API servers: who removed a field and who deleted an object has a name, and nothing waits for
//! an observer that is not there.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{AUTHOR, PATIENCE, Story, manifests};
use asm_lab::{AgentProcess, Lab, LabOptions, users, wait_for};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const MAPS: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: web, namespace: default}
data: {a: '1', b: '2'}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: gone, namespace: default}
data: {a: '1'}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_field_and_a_deleted_object_have_a_name() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    for command in AUTHOR.iter().take(3) {
        story.plugin_ok(command)?;
    }
    story.write("clusters/m1c1/web.yaml", MAPS)?;
    let revision = story.commit_and_push("a fleet")?;
    story.install(json!({})).await?;
    let files = tempfile_with(&lab)?;
    let mut args = story.agent_args_with_short_lease()?;
    let unobserved = args.clone();
    let folder = files.path().to_string_lossy().into_owned();
    args.extend(["--observer-address", "127.0.0.1:0", "--observer-files", &folder].map(str::to_owned));
    story.agent = Some(AgentProcess::spawn(&lab, args)?);
    story.wait_ready(&revision).await?;
    let address = wait_for("the observer's address", PATIENCE, || async { Ok(address(&story.log())) }).await?;
    lab.apply_yaml("m1c1", &webhook(&lab, &address)?).await?;

    let alice: Api<ConfigMap> = Api::namespaced(lab.client_as("m1c1", users::ALICE)?, "default");
    let remove = |field: &'static str| json!({"data": {field: null}});
    let edit = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    // An API server takes up a webhook's configuration within a second or so: until then nobody tells.
    wait_for("alice is known to have removed a field", PATIENCE, || async {
        alice.patch("web", &edit, &Patch::Merge(json!({"data": {"a": "1"}}))).await?;
        alice.patch("web", &edit, &Patch::Merge(remove("a"))).await?;
        let told = fields(&story, "web")?;
        Ok(told.iter().any(|field| field["path"] == "data.a" && field["user"] == users::ALICE).then_some(()))
    })
    .await
    .with_context(|| story.log())?;
    let field = fields(&story, "web")?.into_iter().next().unwrap_or_default();
    ensure!(field["manager"].is_null() && field["found"].is_null() && field["note"].is_null(), "{field:#}");
    alice.delete("gone", &DeleteParams::default()).await?;
    wait_for("alice is known to have deleted an object", PATIENCE, || async {
        Ok(object(&story, "gone")?.is_some_and(|gone| gone["user"] == users::ALICE).then_some(()))
    })
    .await?;

    // Without the observer everything goes on, and nobody is named.
    story.agent.take().context("no agent")?.kill()?;
    alice.patch("web", &edit, &Patch::Merge(remove("b"))).await.context("nobody waits for the observer")?;
    story.agent = Some(AgentProcess::spawn(&lab, unobserved)?);
    wait_for("the drift is told without a name", PATIENCE, || async {
        let told = fields(&story, "web")?;
        let b = told.iter().find(|field| field["path"] == "data.b");
        let note = b.and_then(|field| field["note"].as_str()).unwrap_or_default();
        Ok((note.contains("not recorded") && b.is_some_and(|field| field["user"].is_null())).then_some(()))
    })
    .await
}

fn address(log: &str) -> Option<String> {
    let line = log.lines().find(|line| line.contains("observing changes"))?;
    let rest = line.split("127.0.0.1:").nth(1)?;
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(format!("127.0.0.1:{port}"))
}

fn tempfile_with(lab: &Lab) -> Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    let cert = lab.pki().server_cert()?;
    std::fs::write(dir.path().join("tls.crt"), &cert.cert_pem)?;
    std::fs::write(dir.path().join("tls.key"), &cert.key_pem)?;
    std::fs::write(dir.path().join("token"), TOKEN)?;
    Ok(dir)
}

/// What is shipped, filled in.
fn webhook(lab: &Lab, address: &str) -> Result<String> {
    let text = std::fs::read_to_string(manifests().join("install-observer/webhook.yaml"))?;
    let text = text.replace("ADDRESS/observe/TOKEN", &format!("{address}/observe/{TOKEN}"));
    Ok(text.replace("caBundle: CA", &format!("caBundle: {}", STANDARD.encode(lab.pki().ca_pem()))))
}

fn object(story: &Story<'_>, name: &str) -> Result<Option<Value>> {
    let output = story.plugin(&["drift", "--context", "host", "-o", "json"])?;
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let items = told["items"].as_array().cloned().unwrap_or_default();
    let objects = items.iter().flat_map(|item| item["status"]["objects"].as_array().cloned().unwrap_or_default());
    Ok(objects.into_iter().find(|object| object["name"] == name))
}

fn fields(story: &Story<'_>, name: &str) -> Result<Vec<Value>> {
    Ok(object(story, name)?.and_then(|object| object["fields"].as_array().cloned()).unwrap_or_default())
}
