//! A fleet in Git with an agent on it, and what can be asked of the two.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{FLEET_SYNC, NAMESPACE, Story, condition, targets};
use asm_lab::{AgentProcess, AuditEntry, HOST, Lab, users};
use asm_shared::api::labels::{HINT_AT, RECONCILE_AT};
use futures::TryStreamExt as _;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Namespace of everything that is measured.
pub(crate) const SPACE: &str = "bench";

/// A fleet with its agent.
pub(crate) struct Fleet<'lab> {
    pub(crate) story: Story<'lab>,
    hints: u32,
}

impl<'lab> Fleet<'lab> {
    /// A fleet without objects, synced. The agent looks at the branch only when it is told to.
    pub(crate) async fn start(lab: &'lab Lab) -> Result<Self> {
        let story = Story::begin(lab)?;
        story.plugin_ok(&["init", "bench"])?;
        for member in lab.members() {
            story.plugin_ok(&["cluster", "add", member, "--group", "all"])?;
            let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {SPACE}}}\n");
            lab.apply_yaml(member, &namespace).await?;
        }
        let revision = story.commit_and_push("a fleet without objects")?;
        story.install(json!({"source": {"intervalSeconds": 3600}})).await?;
        let mut fleet = Self { story, hints: 0 };
        fleet.story.start_agent()?;
        fleet.story.wait_ready(&revision).await?;
        Ok(fleet)
    }

    pub(crate) fn agent(&mut self) -> Result<&mut AgentProcess> {
        self.story.agent.as_mut().context("the agent is not there")
    }

    /// Writes files, commits and pushes them, and says so to the agent, as a webhook does. Gives back the commit and
    /// when the agent was told: only then can it see the commit.
    pub(crate) async fn push(&mut self, files: &[(String, String)]) -> Result<(String, Instant)> {
        for (path, text) in files {
            self.story.write(path, text)?;
        }
        let revision = self.story.commit_and_push("change")?;
        let told = Instant::now();
        self.hints += 1;
        self.annotate(HINT_AT, &self.hints.to_string()).await?;
        Ok((revision, told))
    }

    async fn annotate(&self, name: &str, value: &str) -> Result<()> {
        let patch = json!({"metadata": {"annotations": {name: value}}});
        self.syncs()?.patch(FLEET_SYNC, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    fn syncs(&self) -> Result<Api<DynamicObject>> {
        asm_lab::story::api(self.story.lab, HOST, "kubectl-asm.io/v1alpha1", "FleetSync", "fleetsyncs", Some(NAMESPACE))
    }

    /// Waits by a watch until every target is ready at a commit.
    pub(crate) async fn ready(&self, revision: &str) -> Result<()> {
        self.wait(&format!("{revision} is ready everywhere"), |sync| {
            condition(sync, "Ready").is_some_and(|ready| ready["status"] == "True")
                && sync["status"]["source"]["revision"] == revision
                && targets(sync).all(|target| target["revision"] == revision)
        })
        .await
    }

    async fn wait(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<()> {
        let config = watcher::Config::default().fields(&format!("metadata.name={FLEET_SYNC}"));
        let mut stream = Box::pin(watcher(self.syncs()?, config).default_backoff().applied_objects());
        let found = async {
            while let Some(sync) = stream.try_next().await? {
                if holds(&serde_json::to_value(sync)?) {
                    return Ok(());
                }
            }
            anyhow::bail!("the watch of the FleetSync ended")
        };
        match tokio::time::timeout(Duration::from_secs(600), found).await {
            Ok(found) => found,
            Err(_) => {
                let log = self.story.log();
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                anyhow::bail!("waited ten minutes until {what}:\n{}", tail.join("\n"))
            }
        }
    }

    /// Ends the agent, starts it anew and waits until it has compared every target with Git. Gives back how long that
    /// took from its start.
    pub(crate) async fn restart(&mut self) -> Result<Duration> {
        ensure!(self.agent()?.terminate()?.success(), "the agent did not end well");
        let wish = format!("restart-{}", self.hints);
        self.annotate(RECONCILE_AT, &wish).await?;
        let started = Instant::now();
        self.story.start_agent()?;
        self.wait("the wish is fulfilled", |sync| sync["status"]["lastHandledReconcileAt"] == wish.as_str()).await?;
        Ok(started.elapsed())
    }

    /// The agent's memory now and at its highest, in MiB.
    pub(crate) fn memory(&mut self) -> Result<Value> {
        let pid = self.agent()?.pid();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let mib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()).map(|kib| kib / 1024.0)
        };
        Ok(json!({"now": mib("VmRSS:"), "peak": mib("VmHWM:")}))
    }

    /// Seconds of CPU that the agent has used.
    pub(crate) fn cpu(&mut self) -> Result<f64> {
        cpu_of(self.agent()?.pid())
    }
}

/// Seconds of CPU that a process has used.
pub(crate) fn cpu_of(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    // utime and stime, in hundredths of a second on every Linux that matters.
    Ok((ticks(11) + ticks(12)) / 100.0)
}

/// Requests of the agent, whichever of its names it used.
pub(crate) fn by_agent(entry: &AuditEntry) -> bool {
    entry.user == users::AGENT || entry.user == users::AGENT_SERVICE_ACCOUNT
}

/// Is it about the Lease?
pub(crate) fn is_lease(entry: &AuditEntry) -> bool {
    entry.resource.as_ref().is_some_and(|resource| resource.resource == "leases")
}
