//! The agent's source on the lab: signatures, hints, renewed credentials; and no secret anywhere.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{EXPECTED, NAMESPACE, Story, api, condition};
use asm_lab::{AgentProcess, HOST, Lab, LabOptions, users, wait_for};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// In every Secret of this test.
const CANARY: &str = "c4n4ry-in-a-secret";
/// A key that nobody has.
const SIGNER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
const PATIENCE: Duration = Duration::from_secs(60);

async fn secret(lab: &Lab, name: &str, data: serde_json::Value) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}, "stringData": data,
    });
    lab.apply_yaml(HOST, &secret.to_string()).await
}

/// Where the agent takes hints, and where it shows its numbers.
fn address(log: &str, words: &str) -> Result<String> {
    let line = log.lines().find(|line| line.contains(words)).with_context(|| format!("no {words:?} in:\n{log}"))?;
    let start = line.find("127.0.0.1:").context("no address")?;
    Ok(line[start..].chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect())
}

fn ask(address: &str, head: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{head}\r\nhost: agent\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// What manifests/install-webhooks adds to the agent's Role: a hint becomes an annotation.
const HINTS: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: hints, namespace: asm-system}
rules:
  - {apiGroups: [kubectl-asm.io], resources: [fleetsyncs], verbs: [patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: hints, namespace: asm-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: hints}
subjects:
  - {kind: ServiceAccount, name: asm-agent, namespace: asm-system}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_followed_by_hints_judged_by_signatures_and_leaks_nothing() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    story.author()?;
    let first = story.commit_and_push("a fleet")?;
    secret(&lab, "hook", json!({"token": CANARY})).await?;
    secret(&lab, "signers", json!({"allowed": format!("ann@example.com {SIGNER}")})).await?;
    // Looks by itself once an hour.
    let hook = json!({"type": "GitLab", "secretRef": {"name": "hook"}});
    story.install(json!({"source": {"intervalSeconds": 3600, "webhook": hook}})).await?;
    lab.apply_yaml(HOST, HINTS).await?;
    let mut args = story.agent_args()?;
    args.extend(["--webhook-address", "127.0.0.1:0"].map(str::to_owned));
    story.agent = Some(AgentProcess::spawn(&lab, args)?);
    story.wait_ready(&first).await?;

    hints(&story).await?;
    renewed(&lab, &story).await?;
    signatures(&story).await?;
    nothing_leaks(&lab, &story).await
}

/// A hint makes the agent look; one without the secret does not.
async fn hints(story: &Story<'_>) -> Result<()> {
    let address = address(&story.log(), "taking hints")?;
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: hinted\n";
    story.write("clusters/m1c1/hinted.yaml", map)?;
    let second = story.commit_and_push("something new")?;
    let wrong = format!("POST /hooks/shop HTTP/1.1\r\ncontent-length: 0\r\nx-gitlab-token: {CANARY}-not");
    ensure!(ask(&address, &wrong)?.starts_with("HTTP/1.1 401"), "a wrong secret");
    let right = format!("POST /hooks/shop HTTP/1.1\r\ncontent-length: 0\r\nx-gitlab-token: {CANARY}");
    ensure!(ask(&address, &right)?.starts_with("HTTP/1.1 202"), "the right secret");
    story.wait_ready(&second).await?;
    Ok(())
}

/// Another user's kubeconfig in the Secret: the agent goes on as that user, without a restart.
async fn renewed(lab: &Lab, story: &Story<'_>) -> Result<()> {
    let mark = lab.audit_mark("m1c1").await?;
    story.secret("m1c1-kubeconfig", &lab.kubeconfig_text("m1c1", users::CONSOLE)?).await?;
    wait_for("the agent uses the new kubeconfig", PATIENCE, || async {
        let entries = lab.audit_since("m1c1", mark).await?;
        Ok(entries.iter().any(|entry| entry.user == users::CONSOLE && entry.verb == "watch").then_some(()))
    })
    .await
    .with_context(|| story.log())
}

/// A commit without a signature is not read; what was synced stays.
async fn signatures(story: &Story<'_>) -> Result<()> {
    let verify = json!({"mode": "HEAD", "secretRef": {"name": "signers"}});
    story.git(&["rm", "-r", "--quiet", "mesh"])?;
    let evil = story.commit_and_push("not signed, and removes the gateway")?;
    story.fleet_sync(json!({"source": {"intervalSeconds": 1, "verify": verify}})).await?;
    let sync = story
        .wait_status("an unsigned commit is refused", |sync| {
            condition(sync, "SourceReady").is_some_and(|source| source["reason"] == "NotSigned")
        })
        .await?;
    let message = condition(&sync, "SourceReady").and_then(|c| c["message"].as_str()).unwrap_or_default();
    ensure!(message.contains(&evil) && message.contains("git commit -S"), "{message}");
    ensure!(sync["status"]["source"]["revision"] != evil.as_str(), "{sync:#}");
    let differences = story.differences(EXPECTED).await?;
    ensure!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

async fn nothing_leaks(lab: &Lab, story: &Story<'_>) -> Result<()> {
    let log = story.log();
    let numbers = ask(&address(&log, "answering /healthz")?, "GET /metrics HTTP/1.1")?;
    ensure!(numbers.contains("asm_agent_webhooks_total{outcome=\"Refused\"} 1"), "{numbers}");
    let events =
        api(lab, HOST, "events.k8s.io/v1", "Event", "events", Some(NAMESPACE))?.list(&Default::default()).await?;
    let reports = api(lab, HOST, "kubectl-asm.io/v1alpha1", "DriftReport", "driftreports", Some(NAMESPACE))?;
    let reports = serde_json::to_string(&reports.list(&Default::default()).await?)?;
    for (place, text) in [
        ("log", log),
        ("metrics", numbers),
        ("events", serde_json::to_string(&events)?),
        ("FleetSync", story.status().await?.to_string()),
        ("DriftReports", reports),
    ] {
        ensure!(!text.contains(CANARY), "a secret is in the {place}");
        for user in [users::AGENT, users::CONSOLE] {
            let kubeconfig = lab.kubeconfig_text("m1c1", user)?;
            let token = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("token: ")).context("no token")?;
            ensure!(!text.contains(token.trim_matches('"')), "a token is in the {place}");
        }
    }
    Ok(())
}
