//! The main story on real API servers, step by step, each with its result.

mod traffic;

use crate::prerequisites;
use anyhow::{Context as _, Result, bail, ensure};
use asm_lab::dataplane::enclosure;
use asm_lab::story::{AFTER_V3, ALL_V3, AUTHOR, EXPECTED, FLEET_SYNC, NAMESPACE, Story, condition, targets};
use asm_lab::{AuditEntry, Lab, LabOptions, MESH};
use serde_json::{Value, json};
use std::future::Future;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Options of `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave everything running at the end, until Ctrl-C, and say how to look around
    #[arg(long)]
    keep: bool,
    /// Instead of the story: requests through real gateways and sidecars, in network namespaces of their own
    #[arg(long, conflicts_with = "keep")]
    traffic: bool,
}

/// Drift must be seen within this time after the write.
const SEEN_WITHIN: Duration = Duration::from_secs(2);

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let inside = enclosure::is_inside();
    if !inside {
        prerequisites::check()?;
    }
    if args.traffic && !inside {
        return traffic::enclosed();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (passed, failed) =
        runtime.block_on(async { if args.traffic { traffic::demo().await } else { demo(args).await } })?;
    anstream::println!("\n{passed} passed, {failed} failed");
    if failed > 0 {
        bail!("the demo failed");
    }
    Ok(ExitCode::SUCCESS)
}

/// Counts and prints steps. After a failed one the rest is not run: each builds on the one before.
#[derive(Default)]
struct Steps {
    passed: u32,
    failed: u32,
}

impl Steps {
    async fn step<T>(&mut self, what: &str, work: impl Future<Output = Result<(T, Vec<String>)>>) -> Option<T> {
        if self.failed > 0 {
            return None;
        }
        anstream::println!("\n{what}");
        let started = Instant::now();
        match work.await {
            Ok((value, lines)) => {
                for line in lines.iter().flat_map(|text| text.lines()) {
                    anstream::println!("    {line}");
                }
                anstream::println!("  \x1b[32m✓\x1b[0m {:.1} s", started.elapsed().as_secs_f32());
                self.passed += 1;
                Some(value)
            }
            Err(error) => {
                anstream::println!("  \x1b[31m✗\x1b[0m {error:#}");
                self.failed += 1;
                None
            }
        }
    }
}

async fn demo(args: &Args) -> Result<(u32, u32)> {
    let mut steps = Steps::default();
    let lab = steps.step("The lab: etcd, four API servers, controllers, a Git server", start_lab()).await;
    let Some(lab) = lab else { return Ok((steps.passed, steps.failed)) };
    let mut story = Story::begin(&lab)?;
    play(&mut steps, &mut story).await;
    if args.keep && steps.failed == 0 {
        // So that a plain `git push` goes where the agent looks.
        story.git(&["remote", "add", "origin", story.url()])?;
        story.git(&["push", "--quiet", "--set-upstream", "origin", "main"])?;
        look_around(&story);
        tokio::signal::ctrl_c().await?;
    }
    Ok((steps.passed, steps.failed))
}

async fn start_lab() -> Result<(Lab, Vec<String>)> {
    let progress = Box::new(|text: &str| anstream::println!("    {text}"));
    let lab = Lab::start(LabOptions { progress: Some(progress), ..LabOptions::default() }).await?;
    Ok((lab, Vec::new()))
}

async fn play(steps: &mut Steps, story: &mut Story<'_>) {
    steps.step("An engineer writes the fleet, by commands alone", author(story)).await;
    let first = steps.step("… commits and pushes it", push(story, "a gateway and Bookinfo in two clusters")).await;
    let Some(first) = first else { return };
    steps.step("The agent is installed and syncs: three targets", sync(story, &first)).await;
    steps.step("What is live equals what the story asks for, field by field", equal(story, EXPECTED)).await;
    steps
        .step("Somebody at the console changes a weight and an annotation and deletes a Deployment", console(story))
        .await;
    steps.step("The fleet is set to correct drift", correct(story)).await;
    let second = steps.step("All reviews to v3", all_v3(story)).await;
    let Some(second) = second else { return };
    steps.step("… synced, destinations before the routes to them", in_order(story, &second)).await;
    let address = steps.step("The gateway's file is removed and pushed: held back", held_back(story)).await;
    let Some(address) = address else { return };
    steps.step("An approval is committed: now it goes", approve(story, &address)).await;
}

async fn author(story: &Story<'_>) -> Result<((), Vec<String>)> {
    let mut lines = Vec::new();
    for command in AUTHOR {
        lines.push(format!("$ kubectl asm {}", quoted(command)));
        lines.extend(story.plugin_ok(command)?.lines().map(|line| format!("  {line}")));
    }
    Ok(((), lines))
}

fn quoted(command: &[&str]) -> String {
    let quote = |word: &&str| if word.contains('*') { format!("'{word}'") } else { (*word).to_owned() };
    command.iter().map(quote).collect::<Vec<_>>().join(" ")
}

async fn push(story: &Story<'_>, message: &str) -> Result<(String, Vec<String>)> {
    let revision = story.commit_and_push(message)?;
    let line = format!("{} {message}", short(&revision));
    Ok((revision, vec![line]))
}

fn short(revision: &str) -> &str {
    revision.get(..8).unwrap_or(revision)
}

/// The fleet is so small that three objects are much of it.
fn prune() -> Value {
    json!({"maxPercent": 100})
}

async fn sync(story: &mut Story<'_>, revision: &str) -> Result<((), Vec<String>)> {
    story.install(json!({"prune": prune()})).await?;
    story.start_agent()?;
    let sync = story.wait_ready(revision).await?;
    let count = targets(&sync).count();
    ensure!(count == 3, "{count} targets");
    Ok(((), vec![story.plugin_ok(&["status", "--context", "host"])?]))
}

async fn equal(story: &Story<'_>, expected: &[asm_lab::story::Expected]) -> Result<((), Vec<String>)> {
    let differences = story.differences(expected).await?;
    let text: Vec<String> = differences.iter().map(ToString::to_string).collect();
    ensure!(text.is_empty(), "{}", text.join("\n"));
    Ok(((), vec![format!("{} objects, 0 differences", expected.len())]))
}

async fn console(story: &Story<'_>) -> Result<((), Vec<String>)> {
    story.console_writes().await?;
    let written = Instant::now();
    loop {
        let output = story.plugin(&["drift", "--context", "host", "-o", "json"])?;
        let report: Value = serde_json::from_slice(&output.stdout).context("kubectl asm drift -o json")?;
        let items = report["items"].as_array().into_iter().flatten();
        let objects: Vec<&Value> =
            items.flat_map(|item| item["status"]["objects"].as_array().into_iter().flatten()).collect();
        let seen = written.elapsed();
        if objects.len() == 3 {
            ensure!(seen <= SEEN_WITHIN, "the three were seen only after {:.1} s", seen.as_secs_f32());
            let table = story.plugin(&["drift", "--context", "host"])?;
            ensure!(table.status.code() == Some(1), "kubectl asm drift ended with {}", table.status);
            let table = String::from_utf8_lossy(&table.stdout).into_owned();
            return Ok(((), vec![format!("seen {:.1} s after the writes", seen.as_secs_f32()), table]));
        }
        ensure!(seen < Duration::from_secs(15), "after 15 s the report has {} objects, not 3", objects.len());
    }
}

async fn correct(story: &Story<'_>) -> Result<((), Vec<String>)> {
    story.fleet_sync(json!({"drift": "Correct", "prune": prune()})).await?;
    story.wait_status("the drift is healed", |sync| sync["status"]["drifted"] == 0).await?;
    let ready = |sync: &Value| condition(sync, "Ready").is_some_and(|ready| ready["status"] == "True");
    story.wait_status("everything is ready again", ready).await?;
    equal(story, EXPECTED).await
}

async fn all_v3(story: &Story<'_>) -> Result<(String, Vec<String>)> {
    let mut lines = vec![format!("$ kubectl asm {}", quoted(ALL_V3))];
    lines.push(story.plugin_ok(ALL_V3)?);
    lines.push("$ kubectl asm diff".to_owned());
    let diff = story.plugin(&["diff"])?;
    lines.push(String::from_utf8_lossy(&diff.stdout).into_owned());
    let (revision, more) = push(story, "all reviews to v3").await?;
    lines.extend(more);
    Ok((revision, lines))
}

async fn in_order(story: &Story<'_>, revision: &str) -> Result<((), Vec<String>)> {
    story.wait_ready(revision).await?;
    let (_, mut lines) = equal(story, AFTER_V3).await?;
    let entries = story.lab.audit(MESH).await?;
    let first_write = |resource: &str| -> Result<AuditEntry> {
        let found = entries.iter().find(|entry| {
            entry.is_write()
                && entry.code < 300
                && entry.resource.as_ref().is_some_and(|r| r.resource == resource && r.name == "reviews")
        });
        found.cloned().with_context(|| format!("the API server's audit log has no write of {resource}/reviews"))
    };
    let (rule, routes) = (first_write("destinationrules")?, first_write("virtualservices")?);
    ensure!(
        rule.time < routes.time,
        "the VirtualService was written at {}, the DestinationRule at {}",
        routes.time,
        rule.time
    );
    lines.push(format!("audit log: DestinationRule {}, VirtualService {}", rule.time, routes.time));
    Ok(((), lines))
}

async fn held_back(story: &Story<'_>) -> Result<(String, Vec<String>)> {
    let removed = "mesh/gateways/ingressgateway.yaml";
    std::fs::remove_file(story.dir().join(removed)).context(removed)?;
    let (revision, mut lines) = push(story, "remove the gateway").await?;
    let sync = story
        .wait_status("the removal is held back", |sync| {
            sync["status"]["source"]["revision"] == *revision && sync["status"]["heldBack"] == 1
        })
        .await?;
    let held = targets(&sync).find_map(|target| target["held"].get(0)).cloned().unwrap_or_default();
    let address = held["addresses"][0].as_str().unwrap_or_default().to_owned();
    let message = held["message"].as_str().unwrap_or_default().to_owned();
    ensure!(!address.is_empty() && message.contains(&address), "the condition does not name the address: {message}");
    ensure!(story.live(&EXPECTED[0]).await?.is_some(), "the gateway is gone");
    lines.push(message);
    Ok((address, lines))
}

async fn approve(story: &Story<'_>, address: &str) -> Result<((), Vec<String>)> {
    let approval = format!(
        "apiVersion: kubectl-asm.io/v1alpha1\nkind: Approval\nmetadata:\n  name: retire-ingressgateway\nspec:\n  \
         action: Delete\n  target: mesh\n  kind: IstioGateway.istio.alibabacloud.com\n  namespace: istio-system\n  \
         name: ingressgateway\n  addresses:\n    - {address}\n  reason: the shop moves to another gateway\n"
    );
    story.write("approvals/retire-ingressgateway.yaml", &approval)?;
    // Its routes go with it: lint holds a Gateway back that no pod serves, and nothing is removed meanwhile.
    story.git(&["rm", "--quiet", "mesh/routes/bookinfo.yaml"])?;
    let (revision, mut lines) = push(story, "approve losing the gateway's address, without its routes").await?;
    story.wait_ready(&revision).await?;
    ensure!(story.live(&EXPECTED[0]).await?.is_none(), "the gateway is still there");
    lines.push(format!("the gateway and {address} are gone, as approved"));
    Ok(((), lines))
}

fn look_around(story: &Story<'_>) {
    anstream::println!(
        "\nEverything is still running. In another terminal:\n\n  export KUBECONFIG={}\n  cd {}\n  kubectl asm status --context \
         host\n  git push && kubectl asm sync --context host    # after a commit of yours\n  kubectl --context mesh get virtualservices,destinationrules\n  kubectl --context host -n {NAMESPACE} describe \
         fleetsync {FLEET_SYNC}\n\n(kubectl asm needs kubectl-asm on PATH: {}.)\nCtrl-C ends it all.",
        story.lab.kubeconfig().display(),
        story.dir().display(),
        asm_lab::product::binaries().map_or_else(
            |_| "target/debug".to_owned(),
            |b| { b.plugin.parent().map(|dir| dir.display().to_string()).unwrap_or_default() }
        ),
    );
}
