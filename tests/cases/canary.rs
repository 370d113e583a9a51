//! One secret value in every place where a secret can stand; it appears nowhere that anybody can read.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{Story, api, condition};
use asm_lab::{AgentProcess, HOST, Lab, LabOptions, users};
use flate2::read::GzDecoder;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::time::Duration;

const NAMESPACE: &str = "asm-system";
/// In text; in a number; in base64 of the text.
const CANARY: &str = "c4n4ry-5f1d0a7e";
const NUMBER: &str = "70123456789012";

fn encoded() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(CANARY)
}

async fn secret(lab: &Lab, name: &str, data: Value) -> Result<()> {
    let object = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}, "stringData": data,
    });
    lab.apply_yaml(HOST, &object.to_string()).await
}

fn ask(address: &str, head: &str) -> Result<String> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "{head}\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// `… address="127.0.0.1:4242"` after some words of the log.
fn address(log: &str, words: &str) -> Result<String> {
    let line = log.lines().find(|line| line.contains(words)).context("it has not said its address")?;
    let (_, rest) = line.split_once("address=").context("the line has no address")?;
    Ok(rest.trim_matches(['"', ' ']).split([' ', '"']).next().unwrap_or_default().to_owned())
}

/// Everything that the agent has written on the home cluster, by place. Inventories as they are unpacked.
async fn written(lab: &Lab) -> Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    for (api_version, kind, plural) in [
        ("kubectl-asm.io/v1alpha1", "DriftReport", "driftreports"),
        ("events.k8s.io/v1", "Event", "events"),
        ("coordination.k8s.io/v1", "Lease", "leases"),
        ("v1", "ConfigMap", "configmaps"),
    ] {
        let found = api(lab, HOST, api_version, kind, plural, Some(NAMESPACE))?.list(&ListParams::default()).await?;
        texts.push((plural.to_owned(), serde_json::to_string(&found.items)?));
        for packed in found.items.iter().filter_map(|object| object.data["binaryData"]["inventory.json.gz"].as_str()) {
            use base64::Engine as _;
            let packed = base64::engine::general_purpose::STANDARD.decode(packed)?;
            let mut text = String::new();
            GzDecoder::new(packed.as_slice()).read_to_string(&mut text)?;
            texts.push(("inventory".to_owned(), text));
        }
    }
    Ok(texts)
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_a_secret_in_every_place_is_seen_in_none() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    story.author()?;
    // In Git: a Secret, and one that is none.
    let good = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: good\n  namespace: default\nstringData:\n  password: {CANARY}\n"
    );
    story.write("clusters/m1c1/good.yaml", &good)?;
    let first = story.commit_and_push("a secret")?;
    // On the home cluster: for the webhook, for Git.
    secret(&lab, "hook", json!({"token": CANARY})).await?;
    secret(&lab, "git", json!({"username": "bot", "password": CANARY})).await?;
    let hook = json!({"type": "GitLab", "secretRef": {"name": "hook"}});
    story.install(json!({"source": {"webhook": hook}})).await?;
    let mut args = story.agent_args()?;
    args.extend(["--webhook-address", "127.0.0.1:0", "--log-level", "trace"].map(str::to_owned));
    story.agent = Some(AgentProcess::spawn_with(&lab, args, &BTreeMap::new())?);
    story.wait_ready(&first).await?;

    live_changes(&lab, &story).await?;
    wrong_input(&lab, &story, &first).await?;

    let log = story.log();
    ensure!(log.contains("TRACE") || log.contains("trace"), "the log is not at its most verbose");
    let web = address(&log, "answering /healthz")?;
    let hooks = address(&log, "taking hints")?;
    let mut texts = vec![
        (
            "answer to a wrong hint".to_owned(),
            ask(&hooks, &format!("POST /hooks/shop HTTP/1.1\r\nx-gitlab-token: {CANARY}x"))?,
        ),
        ("metrics".to_owned(), ask(&web, "GET /metrics HTTP/1.1")?),
        ("readiness".to_owned(), ask(&web, "GET /readyz HTTP/1.1")?),
        ("page".to_owned(), ask(&web, "GET / HTTP/1.1")?),
        ("status".to_owned(), story.status().await?["status"].to_string()),
    ];
    texts.extend(written(&lab).await?);
    texts.extend(told_by_the_plugin(&story)?);
    // Last: what was asked above may have been logged.
    texts.push(("log".to_owned(), story.log()));
    let tokens = tokens(&lab)?;
    for (place, text) in &texts {
        for value in [CANARY, NUMBER, &encoded()].into_iter().chain(tokens.iter().map(String::as_str)) {
            if let Some(at) = text.find(value) {
                let from = text.floor_char_boundary(at.saturating_sub(300));
                let to = text.floor_char_boundary((at + 100).min(text.len()));
                anyhow::bail!("{value} is in the {place}: …{}…", &text[from..to]);
            }
        }
    }
    Ok(())
}

/// Somebody changes the Secret by `kubectl apply`, which puts all of it into an annotation.
async fn live_changes(lab: &Lab, story: &Story<'_>) -> Result<()> {
    let secrets = api(lab, "m1c1", "v1", "Secret", "secrets", Some("default"))?;
    let last_applied = json!({"stringData": {"password": CANARY, "other": CANARY}}).to_string();
    let change = json!({
        "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": last_applied}},
        "stringData": {"password": format!("{CANARY}-changed"), "other": CANARY},
    });
    let params = PatchParams { field_manager: Some("kubectl-client-side-apply".to_owned()), ..PatchParams::default() };
    let _: DynamicObject = secrets.patch("good", &params, &Patch::Merge(&change)).await?;
    story.wait_status("the change is reported", |sync| sync["status"]["drifted"] == 1).await?;
    Ok(())
}

/// Input that is refused, with the secret in it.
async fn wrong_input(lab: &Lab, story: &Story<'_>, first: &str) -> Result<()> {
    // A Secret in Git whose values are no strings.
    let bad = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: bad\n  namespace: default\nstringData:\n  pin: {NUMBER}\n  map: {{a: {CANARY}}}\n"
    );
    story.write("clusters/m1c1/bad.yaml", &bad)?;
    let second = story.commit_and_push("a secret that is none")?;
    story
        .wait_status("the wrong Secret is told", |sync| {
            sync["status"]["source"]["revision"] == second.as_str()
                && condition(sync, "Ready").is_some_and(|ready| ready["status"] == "False")
                && sync["status"].to_string().contains("bad.yaml")
        })
        .await?;
    ensure!(second != first, "nothing was committed");
    // A kubeconfig with what is refused, a URL with credentials, credentials without TLS.
    let kubeconfig = lab.kubeconfig_text("m1c2", users::AGENT)?;
    let exec = kubeconfig.replace("    token:", &format!("    exec: {{command: sh, args: [{CANARY}]}}\n    token:"));
    story.secret("m1c2-kubeconfig", &exec).await?;
    let said = |word: &'static str| move |sync: &Value| sync["status"].to_string().contains(word);
    story.wait_status("the kubeconfig is refused", said("exec")).await?;
    story.fleet_sync(json!({"source": {"secretRef": {"name": "git"}}})).await?;
    story.wait_status("a password without TLS is refused", said("clear text")).await?;
    let url = story.url().replace("http://", &format!("http://bot:{CANARY}@"));
    story.fleet_sync(json!({"source": {"url": url}})).await?;
    story.wait_status("a URL with credentials is refused", said("holds a user or password")).await?;
    Ok(())
}

/// What people see of it with the plugin, pull requests among it.
fn told_by_the_plugin(story: &Story<'_>) -> Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    for line in [
        "status shop --context host -o wide",
        "drift shop --context host",
        "drift shop --context host -o json",
        "diff --live",
        "diff --live -o json",
        "diff HEAD~1",
        "diff HEAD~1..HEAD -o markdown",
        "diff HEAD~1..HEAD -o json",
        "lint",
        "lint -o json",
        "pr create --dry-run --base HEAD~1",
        "adopt Secret/good --dry-run --context host",
        "graph -o json",
    ] {
        let output = story.plugin(&line.split(' ').collect::<Vec<_>>())?;
        let text = [output.stdout, output.stderr].concat();
        texts.push((format!("kubectl asm {line}"), String::from_utf8_lossy(&text).into_owned()));
    }
    Ok(texts)
}

/// What kubeconfigs log in with.
fn tokens(lab: &Lab) -> Result<Vec<String>> {
    ["mesh", "m1c1", "m1c2"]
        .into_iter()
        .map(|target| {
            let kubeconfig = lab.kubeconfig_text(target, users::AGENT)?;
            let token = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("token: ")).context("no token")?;
            Ok(token.trim_matches('"').to_owned())
        })
        .collect()
}
