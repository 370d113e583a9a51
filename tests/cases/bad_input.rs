//! Wrong input of every kind: a clear condition, nothing applied wrongly, nothing removed.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{EXPECTED, Expected, Story, condition};
use asm_lab::{GitMode, Lab, LabOptions, users};
use serde_json::{Value, json};

/// Text of a condition.
fn says(sync: &Value, kind: &str) -> String {
    condition(sync, kind).and_then(|c| c["message"].as_str()).unwrap_or_default().to_owned()
}

/// UIDs of everything that the story has made.
async fn uids(story: &Story<'_>) -> Result<Vec<String>> {
    let mut uids = Vec::new();
    for expected in EXPECTED {
        let live = story.live(expected).await?.with_context(|| format!("{} is gone", Expected::name(expected)))?;
        uids.push(live["metadata"]["uid"].to_string());
    }
    Ok(uids)
}

struct Bad<'s, 'lab> {
    story: &'s Story<'lab>,
    uids: Vec<String>,
}

impl Bad<'_, '_> {
    /// Waits until a condition says all of this, and checks that nothing live has changed.
    async fn expect(&self, what: &str, kind: &str, words: &[&str]) -> Result<()> {
        let sync = self
            .story
            .wait_status(&format!("{what}: {kind} says {words:?}"), |sync| {
                let text = says(sync, kind);
                condition(sync, kind).is_some_and(|c| c["status"] != "True")
                    && words.iter().all(|word| text.contains(word))
            })
            .await?;
        ensure!(uids(self.story).await? == self.uids, "{what}: objects were replaced or removed");
        let differences = self.story.differences(EXPECTED).await?;
        ensure!(differences.is_empty(), "{what}: {differences:#?}");
        ensure!(condition(&sync, "Ready").is_some_and(|ready| ready["status"] == "False"), "{what}: still ready");
        Ok(())
    }

    /// Commits a wrong state, expects the condition, and takes the commit back.
    async fn commit(&self, what: &str, change: impl FnOnce(&Story<'_>) -> Result<()>, words: &[&str]) -> Result<()> {
        change(self.story)?;
        self.story.commit_and_push(what)?;
        self.expect(what, "FleetValid", words).await?;
        self.story
            .git(&["revert", "--no-edit", "--quiet", "HEAD"])
            .or_else(|_| self.story.git(&["revert", "--no-edit", "HEAD"]))?;
        let mended = self.story.commit_and_push(&format!("not any more: {what}"))?;
        self.story.wait_ready(&mended).await.context(what.to_owned())?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_input_of_every_kind_is_said_and_harms_nothing() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    story.author()?;
    let revision = story.commit_and_push("a fleet")?;
    story.install(json!({})).await?;
    story.start_agent()?;
    story.wait_ready(&revision).await?;
    let bad = Bad { uids: uids(&story).await?, story: &story };
    files(&bad).await?;
    git(&bad).await?;
    secrets(&bad).await
}

/// Files of the fleet.
async fn files(bad: &Bad<'_, '_>) -> Result<()> {
    let fleet = std::fs::read_to_string(bad.story.dir().join("fleet.yaml"))?;
    let wrong = fleet.replace("  clusters:", "  clustres:");
    bad.commit("a wrong fleet.yaml", |story| story.write("fleet.yaml", &wrong), &["fleet.yaml:", "clustres"]).await?;
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n";
    bad.commit("an unknown cluster", |story| story.write("clusters/m1c3/x.yaml", map), &["clusters/m1c3", "m1c3"])
        .await?;
    let twice = |story: &Story<'_>| {
        story.write("clusters/m1c1/x.yaml", map)?;
        story.write("clusters/m1c1/y.yaml", map)
    };
    bad.commit("one object in two files", twice, &["clusters/m1c1/x.yaml", "clusters/m1c1/y.yaml"]).await?;
    let empty = |story: &Story<'_>| {
        story.git(&["rm", "-r", "--quiet", "."])?;
        Ok(())
    };
    bad.commit("an empty tree", empty, &["fleet.yaml"]).await
}

/// The Git server and the branch.
async fn git(bad: &Bad<'_, '_>) -> Result<()> {
    let story = bad.story;
    story.lab.git().set_mode(GitMode::Status(503));
    bad.expect("a Git server that fails", "SourceReady", &["503"]).await?;
    story.lab.git().set_mode(GitMode::Ok);
    let head = story.git(&["rev-parse", "HEAD"])?;
    story.wait_ready(&head).await?;

    story.fleet_sync(json!({"source": {"url": "http://127.0.0.1:9/none.git"}})).await?;
    bad.expect("a Git URL that nobody serves", "SourceReady", &["127.0.0.1:9"]).await?;
    story.fleet_sync(json!({"source": {"url": "ext::sh -c id"}})).await?;
    bad.expect("a Git URL that would run a program", "SourceReady", &["ext::"]).await?;
    story.fleet_sync(json!({"source": {"branch": "no-such"}})).await?;
    bad.expect("a branch that is not there", "SourceReady", &["no-such", "main"]).await?;
    story.fleet_sync(json!({})).await?;
    story.wait_ready(&head).await?;

    // History is rewritten: another commit that does not descend from the synced one, without the gateway.
    story.git(&["checkout", "--quiet", "--orphan", "rewritten"])?;
    story.git(&["rm", "--quiet", "--cached", "mesh/gateways/ingressgateway.yaml"])?;
    story.git(&["commit", "--quiet", "--message", "another history"])?;
    let rewritten = story.git(&["rev-parse", "HEAD"])?;
    story.git(&["push", "--quiet", "--force", story.url(), "HEAD:refs/heads/main"])?;
    bad.expect("a branch that was force-pushed", "SourceReady", &["kubectl-asm.io/accept-revision", &rewritten])
        .await?;
    story.git(&["checkout", "--quiet", "--force", "main"])?;
    story.git(&["push", "--quiet", "--force", story.url(), "HEAD:refs/heads/main"])?;
    story.wait_ready(&head).await?;
    Ok(())
}

/// The Secret with a kubeconfig.
async fn secrets(bad: &Bad<'_, '_>) -> Result<()> {
    let story = bad.story;
    let good = story.lab.kubeconfig_text("m1c1", users::AGENT)?;
    let exec = good.replace(
        "    token:",
        "    exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/true}\n    token:",
    );
    ensure!(exec != good, "the kubeconfig has no token to put the exec before");
    let point = |name: &str| json!({"targets": {"clusters": [{"name": "m1c1", "kubeconfig": {"name": name}}]}});
    story.fleet_sync(point("not-there")).await?;
    bad.expect("a Secret that is missing", "Synced", &["m1c1", "not-there"]).await?;
    story.secret("with-exec", &exec).await?;
    story.fleet_sync(point("with-exec")).await?;
    bad.expect("a kubeconfig that runs a program", "Synced", &["m1c1", "exec"]).await?;
    let token =
        good.lines().find_map(|line| line.trim().strip_prefix("token: ")).context("no token")?.trim_matches('"');
    story.secret("expired", &good.replace(token, "not-a-token")).await?;
    story.fleet_sync(point("expired")).await?;
    bad.expect("a token that the API server does not know", "Synced", &["m1c1"]).await?;
    let log = story.log();
    ensure!(!log.contains(token), "the agent's log holds a token");
    story.fleet_sync(point("m1c1-kubeconfig")).await?;
    let head = story.git(&["rev-parse", "HEAD"])?;
    story.wait_ready(&head).await?;
    Ok(())
}
