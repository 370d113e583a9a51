//! Several replicas of the agent over many clusters, most of which are [`FakeClusters`]: what the small test and the bench have
//! in common.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::{
    AgentProcess, FakeClusters, FakeWrite, HOST, Lab, MESH,
    story::{FLEET_SYNC, NAMESPACE, Story, api, condition, targets},
    users, wait_for,
};

/// The replicas with their fleet.
pub struct Replicas<'lab> {
    /// Git, the home cluster.
    pub story: Story<'lab>,
    /// The clusters.
    pub fakes: FakeClusters,
    /// The agents, by name; those that were killed are gone.
    pub agents: BTreeMap<String, AgentProcess>,
    clusters: Vec<String>,
    objects: usize,
    duration: Duration,
    hints: u32,
}

/// How long a commit may take to everywhere.
const PATIENCE: Duration = Duration::from_secs(600);

impl<'lab> Replicas<'lab> {
    /// A fleet of so many fake clusters with so many ConfigMaps each, and so many replicas of the agent, whose Leases are
    /// good for `duration`. The agents look at the branch only when they are told to.
    pub async fn start(lab: &'lab Lab, sizes: (usize, usize, usize), duration: Duration) -> Result<Self> {
        Self::start_with(lab, sizes, duration, |cluster| cluster).await
    }

    /// The same, where the kubeconfig of a cluster may lead to another one.
    pub async fn start_with(
        lab: &'lab Lab,
        (agents, clusters, objects): (usize, usize, usize),
        duration: Duration,
        leads_to: fn(&str) -> &str,
    ) -> Result<Self> {
        let clusters: Vec<String> = (0..clusters).map(|n| format!("c{n:04}")).collect();
        let (story, fakes) = (Story::begin(lab)?, FakeClusters::start(&clusters).await?);
        let replicas_wanted = agents;
        let mut replicas = Self { story, fakes, agents: BTreeMap::new(), clusters, objects, duration, hints: 0 };
        replicas.story.git(&["init", "--quiet"])?;
        replicas.write_fleet()?;
        replicas.write_round("first")?;
        replicas.story.commit_and_push("a fleet")?;
        replicas.story.install_crds().await?;
        lab.apply_file(HOST, &crate::story::manifests().join("install/rbac.yaml")).await?;
        replicas.story.secret(&format!("{MESH}-kubeconfig"), &lab.kubeconfig_text(MESH, users::AGENT)?).await?;
        let secrets = replicas.clusters.iter().map(|cluster| {
            let (name, kubeconfig) = (format!("{cluster}-kubeconfig"), replicas.fakes.kubeconfig(leads_to(cluster)));
            let story = &replicas.story;
            async move { story.secret(&name, &kubeconfig).await }
        });
        futures::stream::iter(secrets).buffer_unordered(16).try_collect::<Vec<()>>().await?;
        replicas.story.fleet_sync(json!({"source": {"intervalSeconds": 3600}})).await?;
        // Once: writing the kubeconfig anew takes it from an agent that is about to read it.
        let args = replicas.args()?;
        for n in 0..replicas_wanted {
            let name = format!("replica-{n}");
            let env = BTreeMap::from([("POD_NAME".to_owned(), name.clone())]);
            let agent = AgentProcess::spawn_with(lab, args.clone(), &env)?;
            replicas.agents.insert(name, agent);
        }
        Ok(replicas)
    }

    fn args(&self) -> Result<Vec<String>> {
        let mut args = self.story.agent_args()?;
        let (duration, renew) = (self.duration.as_secs(), self.duration.as_secs() / 3);
        args.extend(["--lease-duration".to_owned(), format!("{duration}s")]);
        args.extend(["--lease-renew".to_owned(), format!("{}s", renew.max(1))]);
        Ok(args)
    }

    fn write_fleet(&self) -> Result<()> {
        let mut text =
            "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata:\n  name: scale\nspec:\n  mesh:\n    \
                        context: mesh\n  clusters:\n"
                .to_owned();
        for cluster in &self.clusters {
            writeln!(text, "    - name: {cluster}")?;
        }
        text.push_str("  groups:\n    - name: all\n      clusters:\n");
        for cluster in &self.clusters {
            writeln!(text, "        - {cluster}")?;
        }
        self.story.write("fleet.yaml", &text)
    }

    fn write_round(&self, round: &str) -> Result<()> {
        let mut text = String::new();
        for n in 0..self.objects {
            writeln!(
                text,
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: map-{n:05}, namespace: default}}\ndata:\n  round: \
                 '{round}'\n  text: '{}'\n---",
                "x".repeat(200)
            )?;
        }
        self.story.write("groups/all/maps.yaml", &text)
    }

    /// Changes every object, commits, and says so to the agents. Gives back the commit and when they were told.
    pub async fn push(&mut self, round: &str) -> Result<(String, Instant)> {
        self.write_round(round)?;
        let revision = self.story.commit_and_push(round)?;
        self.hints += 1;
        let told = Instant::now();
        let patch = json!({"metadata": {"annotations": {"kubectl-asm.io/hint-at": self.hints.to_string()}}});
        let syncs = api(self.story.lab, HOST, "kubectl-asm.io/v1alpha1", "FleetSync", "fleetsyncs", Some(NAMESPACE))?;
        syncs.patch(FLEET_SYNC, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok((revision, told))
    }

    /// Waits until every target is ready at a commit.
    pub async fn ready(&self, revision: &str) -> Result<Value> {
        let waited = wait_for(&format!("every target is ready at {revision}"), PATIENCE, || async {
            let sync = self.story.status().await?;
            let there = condition(&sync, "Ready").is_some_and(|ready| ready["status"] == "True")
                && sync["status"]["source"]["revision"] == revision
                && targets(&sync).all(|target| target["revision"] == revision);
            Ok(there.then_some(sync))
        })
        .await;
        waited.with_context(|| self.agents.values().map(|agent| crate::tail(agent.log_file(), 10)).collect::<String>())
    }

    /// Who holds each target: the names of replicas by target.
    pub async fn holders(&self) -> Result<BTreeMap<String, String>> {
        let leases = api(self.story.lab, HOST, "coordination.k8s.io/v1", "Lease", "leases", Some(NAMESPACE))?;
        let only = ListParams::default().labels("kubectl-asm.io/lease=target");
        let mut holders = BTreeMap::new();
        for lease in leases.list(&only).await? {
            let of = lease.metadata.annotations.and_then(|all| all.get("kubectl-asm.io/target").cloned());
            let holder = lease.data["spec"]["holderIdentity"].as_str().unwrap_or_default();
            let name = holder.split_once('_').map_or(holder, |(name, _)| name);
            let of = of.unwrap_or_default();
            holders.insert(of.rsplit('/').next().unwrap_or_default().to_owned(), name.to_owned());
        }
        Ok(holders)
    }

    /// Targets of each replica.
    pub async fn loads(&self) -> Result<BTreeMap<String, usize>> {
        let mut loads: BTreeMap<String, usize> = self.agents.keys().map(|name| (name.clone(), 0)).collect();
        for holder in self.holders().await?.into_values().filter(|holder| !holder.is_empty()) {
            *loads.entry(holder).or_default() += 1;
        }
        Ok(loads)
    }

    /// Waits until each target has a replica that lives, and each replica its part, ± 10 % and one.
    pub async fn balanced(&self, limit: Duration) -> Result<BTreeMap<String, usize>> {
        let all = self.clusters.len() + 1;
        let fair = all as f64 / self.agents.len() as f64;
        let waited = wait_for("the targets are shared evenly", limit, || async {
            let loads = self.loads().await?;
            let even = |load: &usize| (*load as f64 - fair).abs() <= fair / 10.0 + 1.0;
            let even = loads.len() == self.agents.len() && loads.values().all(even);
            Ok((even && loads.values().sum::<usize>() == all).then_some(loads))
        });
        let error = match waited.await {
            Ok(loads) => return Ok(loads),
            Err(error) => error,
        };
        Err(error.context(format!("{:?}", self.loads().await?)))
    }

    /// Kills a replica and waits until the others have its targets. Gives back how many those were and how long it took.
    pub async fn lose(&mut self, name: &str, limit: Duration) -> Result<(usize, Duration)> {
        let lost = self.loads().await?.get(name).copied().unwrap_or_default();
        self.agents.get_mut(name).context("no such replica")?.kill()?;
        let since = Instant::now();
        self.agents.remove(name);
        wait_for("the others have its targets", limit, || async {
            let holders: BTreeSet<String> = self.holders().await?.into_values().collect();
            Ok(holders.iter().all(|holder| self.agents.contains_key(holder)).then_some(()))
        })
        .await?;
        Ok((lost, since.elapsed()))
    }

    /// Each object of each cluster was written exactly once for this round, each cluster by one replica. Gives back how many
    /// writes that were.
    pub fn written_once(&self, round: &str) -> Result<usize> {
        let writes: Vec<FakeWrite> = self.fakes.writes().into_iter().filter(|write| write.round == round).collect();
        let mut writers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut objects: BTreeSet<(&str, &str)> = BTreeSet::new();
        for write in &writes {
            ensure!(objects.insert((&write.cluster, &write.name)), "{round}: written twice: {write:?}");
            writers.entry(&write.cluster).or_default().insert(&write.user_agent);
        }
        let expected = self.clusters.len() * self.objects;
        ensure!(writes.len() == expected, "{round}: {} writes instead of {expected}", writes.len());
        let several = writers.iter().find(|(_, writers)| writers.len() > 1);
        ensure!(several.is_none(), "{round}: two replicas wrote to one cluster: {several:?}");
        Ok(writes.len())
    }
}
