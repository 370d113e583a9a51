//! Two replicas share the targets; one that is stopped or killed is followed, and writes nothing afterwards.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{CONSOLE, EXPECTED, NAMESPACE, PATIENCE, Story, api, targets};
use asm_lab::{AgentProcess, AuditEntry, AuditMark, HOST, Lab, LabOptions, MESH, Replicas, wait_for};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::time::Duration;

/// How long a replica may be silent, and what the takeover may cost on top.
const LEASE: Duration = Duration::from_secs(5);
const TAKEOVER: Duration = Duration::from_secs(5);
const TARGETS: [&str; 3] = [MESH, "m1c1", "m1c2"];

/// A replica with a name, which API servers see in its User-Agent.
fn replica(story: &Story<'_>, name: &str) -> Result<AgentProcess> {
    let mut args = story.agent_args()?;
    args.extend(["--lease-duration", "5s", "--lease-renew", "1s", "--web-address", "127.0.0.1:0"].map(str::to_owned));
    let env = BTreeMap::from([("POD_NAME".to_owned(), name.to_owned())]);
    AgentProcess::spawn_with(story.lab, args, &env)
}

/// Who holds which target, by the beginning of their names; and who leads.
async fn holders(lab: &Lab) -> Result<(BTreeMap<String, String>, String)> {
    let leases = api(lab, HOST, "coordination.k8s.io/v1", "Lease", "leases", Some(NAMESPACE))?;
    let (mut targets, mut leader) = (BTreeMap::new(), String::new());
    for lease in leases.list(&Default::default()).await? {
        let holder = lease.data["spec"]["holderIdentity"].as_str().unwrap_or_default();
        let name = holder.split_once('_').map_or(holder, |(name, _)| name).to_owned();
        let annotation = |name: &str| lease.metadata.annotations.as_ref()?.get(name).cloned();
        match annotation("kubectl-asm.io/target") {
            Some(target) => {
                targets.insert(target.rsplit('/').next().unwrap_or_default().to_owned(), name);
            }
            None if lease.metadata.name.as_deref() == Some("asm-agent") => leader = name,
            None => {}
        }
    }
    Ok((targets, leader))
}

async fn marks(lab: &Lab) -> Result<BTreeMap<&'static str, AuditMark>> {
    let mut marks = BTreeMap::new();
    for context in TARGETS {
        marks.insert(context, lab.audit_mark(context).await?);
    }
    Ok(marks)
}

/// Writes of a replica to the API server of a target.
async fn writes(lab: &Lab, context: &str, mark: AuditMark, name: &str) -> Result<Vec<AuditEntry>> {
    let mut entries = lab.audit_since(context, mark).await?;
    entries.retain(|entry| entry.is_write() && entry.user_agent.ends_with(&format!("({name})")));
    Ok(entries)
}

/// Something new in every target, and much of it in one.
fn change(story: &Story<'_>, round: usize, much: &str) -> Result<String> {
    let map = |name: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: default}}\ndata: {{round: '{round}'}}\n---\n"
        )
    };
    for cluster in ["m1c1", "m1c2"] {
        let count = if cluster == much { 600 } else { 2 };
        let mut text = String::new();
        (0..count).try_for_each(|n| text.write_str(&map(&format!("shared-{n}"))))?;
        story.write(&format!("clusters/{cluster}/shared.yaml"), &text)?;
    }
    let rule = format!(
        "apiVersion: networking.istio.io/v1beta1\nkind: DestinationRule\nmetadata: {{name: shared}}\nspec: {{host: round-{round}}}\n"
    );
    story.write("mesh/shared.yaml", &rule)?;
    story.commit_and_push(&format!("round {round}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_targets_and_one_that_lost_its_lease_writes_nothing() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    story.author()?;
    let revision = story.commit_and_push("a fleet")?;
    // Most of the ConfigMaps go with the next round.
    story.install(json!({"prune": {"maxCount": 1000, "maxPercent": 100}})).await?;
    story.agent = Some(replica(&story, "one")?);
    story.wait_ready(&revision).await?;
    // Its kubeconfig is the same file, which the first one has read by now.
    let mut other = replica(&story, "two")?;
    shared_by(&lab, &story, 2).await?;
    each_writes_its_own(&lab, &story).await?;
    each_shows_everything(&lab, &[story.agent.as_ref().context("no agent")?, &other]).await?;
    stopped_in_the_middle(&lab, &story).await?;

    // Killed: the other one takes over within the time of the Lease and five seconds.
    other.kill()?;
    let alone = |(targets, leader): (BTreeMap<String, String>, String)| {
        leader == "one" && targets.values().all(|holder| holder == "one")
    };
    wait_for("the other one has everything", LEASE + TAKEOVER, || async {
        Ok(alone(holders(&lab).await?).then_some(()))
    })
    .await?;
    let last = change(&story, 9, "")?;
    story.wait_ready(&last).await?;
    ensure!(story.differences(EXPECTED).await?.is_empty(), "something is not as Git says");
    Ok(())
}

/// Waits until so many replicas have targets.
async fn shared_by(lab: &Lab, story: &Story<'_>, replicas: usize) -> Result<BTreeMap<String, String>> {
    let shared = wait_for("the targets are shared", PATIENCE, || async {
        let (targets, _) = holders(lab).await?;
        let mut names: Vec<&String> = targets.values().filter(|name| !name.is_empty()).collect();
        let all = names.len() == TARGETS.len();
        names.sort();
        names.dedup();
        Ok((all && names.len() == replicas).then_some(targets))
    })
    .await;
    shared.with_context(|| story.log())
}

async fn each_writes_its_own(lab: &Lab, story: &Story<'_>) -> Result<()> {
    let (before, marks) = (holders(lab).await?.0, marks(lab).await?);
    let revision = change(story, 1, "")?;
    story.wait_ready(&revision).await?;
    for context in TARGETS {
        let holder = &before[context];
        let stranger = if holder == "one" { "two" } else { "one" };
        ensure!(!writes(lab, context, marks[context], holder).await?.is_empty(), "{holder} did not write to {context}");
        let strange = writes(lab, context, marks[context], stranger).await?;
        ensure!(strange.is_empty(), "{stranger} wrote to {context}, which is {holder}'s: {strange:#?}");
    }
    Ok(())
}

/// Somebody writes to every target: the page of each replica shows all of it with author, whoever works on the target, and the
/// address of the gateway.
async fn each_shows_everything(lab: &Lab, agents: &[&AgentProcess]) -> Result<()> {
    let maps = |cluster: &'static str| api(lab, cluster, "v1", "ConfigMap", "configmaps", Some("default"));
    let rules =
        || api(lab, MESH, "networking.istio.io/v1beta1", "DestinationRule", "destinationrules", Some("default"));
    let by = PatchParams { field_manager: Some(CONSOLE.to_owned()), ..PatchParams::default() };
    let write = async |round: &str| -> Result<()> {
        let data = Patch::Merge(json!({"data": {"round": round}}));
        for cluster in ["m1c1", "m1c2"] {
            maps(cluster)?.patch("shared-0", &by, &data).await?;
        }
        let host = Patch::Merge(json!({"spec": {"host": format!("round-{round}")}}));
        rules()?.patch("shared", &by, &host).await?;
        Ok(())
    };
    write("console").await?;
    for agent in agents {
        let log = agent.log();
        let line = log.lines().find(|line| line.contains("showing the live page")).context("no page")?;
        let address = line.split("address=").nth(1).context("no address")?.trim().trim_matches('"').to_owned();
        wait_for("the page shows the drift of every target", PATIENCE, || async {
            let page = get(&address, "/fleets/shop/drift")?;
            let targets =
                TARGETS.iter().all(|target| page.contains(&format!("<span class=\"target\">{target}</span>")));
            Ok((targets && page.matches(CONSOLE).count() >= 3).then_some(()))
        })
        .await
        .with_context(|| get(&address, "/fleets/shop/drift").unwrap_or_default())?;
        let gateways = get(&address, "/fleets/shop/gateways")?;
        ensure!(gateways.contains("<code class=\"address\">"), "{gateways}");
    }
    write("1").await
}

/// A page, as a browser gets it.
fn get(address: &str, path: &str) -> Result<String> {
    let mut stream = std::net::TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}

/// The leader is stopped while it writes, for longer than its Lease, and goes on.
async fn stopped_in_the_middle(lab: &Lab, story: &Story<'_>) -> Result<()> {
    let agent = story.agent.as_ref().context("no agent")?;
    let (targets, leader) = holders(lab).await?;
    ensure!(leader == "one", "{leader} leads");
    let busy = ["m1c1", "m1c2"].into_iter().find(|cluster| targets[*cluster] == "one").context("it has no cluster")?;
    let mark = lab.audit_mark(busy).await?;
    let revision = change(story, 2, busy)?;
    wait_for("it writes", PATIENCE, || async { Ok((writes(lab, busy, mark, "one").await?.len() > 20).then_some(())) })
        .await?;
    agent.pause()?;
    let done = writes(lab, busy, mark, "one").await?.len();
    ensure!(done < 600, "it was stopped too late to be in the middle of anything");
    wait_for("the other one leads and has everything", LEASE + TAKEOVER, || async {
        let (targets, leader) = holders(lab).await?;
        Ok((leader == "two" && targets.values().all(|holder| holder == "two")).then_some(()))
    })
    .await?;
    story.wait_ready(&revision).await?;

    let (host, marks) = (lab.audit_mark(HOST).await?, marks(lab).await?);
    agent.resume()?;
    // It notices, and comes back under another name.
    shared_by(lab, story, 2).await?;
    for context in TARGETS {
        let late = writes(lab, context, marks[context], "one").await?;
        ensure!(late.is_empty(), "written to {context} after the Lease was lost: {late:#?}");
    }
    let late = writes(lab, HOST, host, "one").await?;
    let status =
        |entry: &&AuditEntry| entry.resource.as_ref().is_some_and(|resource| resource.resource == "fleetsyncs");
    ensure!(late.iter().filter(status).count() == 0, "the status is the other one's: {late:#?}");
    ensure!(story.log().contains("stops writing"), "{}", story.log());
    Ok(())
}

/// Many targets on light fakes: the shares are even, Git is asked once per replica and commit, nothing is written twice.
#[tokio::test(flavor = "multi_thread")]
async fn several_replicas_share_many_targets_evenly() -> Result<()> {
    let lab =
        Lab::start(LabOptions { members: vec!["m1c1".to_owned()], asm: false, cloud: false, ..LabOptions::default() })
            .await?;
    let mut replicas = Replicas::start(&lab, (3, 30, 3), LEASE).await?;
    replicas.balanced(PATIENCE).await?;
    let packs = lab.git().packs();
    let (revision, _) = replicas.push("second").await?;
    replicas.ready(&revision).await?;
    ensure!(replicas.written_once("second")? == 90);
    let packs = lab.git().packs() - packs;
    ensure!(packs == 3, "3 replicas fetched {packs} times");

    let before = replicas.fakes.writes().len();
    let (lost, _) = replicas.lose("replica-1", LEASE + TAKEOVER).await?;
    ensure!(lost >= 9, "{lost} targets were lost");
    replicas.balanced(PATIENCE).await?;
    ensure!(replicas.fakes.writes().len() == before, "taking over is no reason to write");
    let (revision, _) = replicas.push("third").await?;
    replicas.ready(&revision).await?;
    ensure!(replicas.written_once("third")? == 90);
    Ok(())
}

/// Every second name leads to the cluster of the one before it.
fn first_of_two(cluster: &str) -> &str {
    match cluster {
        "c0001" => "c0000",
        "c0003" => "c0002",
        "c0005" => "c0004",
        "c0007" => "c0006",
        other => other,
    }
}

/// Eight names for four clusters: whichever replicas they fall to, each cluster has one writer, and the other name says why not.
#[tokio::test(flavor = "multi_thread")]
async fn two_names_of_one_cluster_have_one_writer() -> Result<()> {
    let lab =
        Lab::start(LabOptions { members: vec!["m1c1".to_owned()], asm: false, cloud: false, ..LabOptions::default() })
            .await?;
    let mut replicas = Replicas::start_with(&lab, (2, 8, 3), LEASE, first_of_two).await?;
    for round in ["first", "second", "third"] {
        let revision = match round {
            "first" => replicas.story.git(&["rev-parse", "HEAD"])?,
            _ => replicas.push(round).await?.0,
        };
        let settled = wait_for("of each two names one is synced and the other refused", PATIENCE, || async {
            let sync = replicas.story.status().await?;
            let states: BTreeMap<&str, (bool, String)> = targets(&sync)
                .map(|target| {
                    let synced = target["revision"] == revision.as_str();
                    (target["name"].as_str().unwrap_or_default(), (synced, target["conditions"].to_string()))
                })
                .collect();
            let pair = |one: &str, two: &str| {
                let refused = |name: &str, other: &str| {
                    states.get(name).is_some_and(|(synced, why)| {
                        !synced && why.contains(&format!("leads to the cluster of {other};"))
                    })
                };
                let synced = |name: &str| states.get(name).is_some_and(|(synced, _)| *synced);
                (synced(one) && refused(two, one)) || (synced(two) && refused(one, two))
            };
            let all = (0..4).all(|n| pair(&format!("c000{}", 2 * n), &format!("c000{}", 2 * n + 1)));
            Ok(all.then_some(()))
        })
        .await;
        settled.with_context(|| {
            replicas.agents.values().map(|agent| asm_lab::tail(agent.log_file(), 20)).collect::<String>()
        })?;
        // Each object of each cluster once, as soon as the replicas have shared the names; meanwhile one after the other.
        let writes = replicas.fakes.writes();
        let mut of_round: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        let mut writers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for write in writes.iter().filter(|write| write.round == round) {
            of_round.entry((&write.cluster, &write.name)).or_default().push(&write.user_agent);
            writers.entry(&write.cluster).or_default().push(&write.user_agent);
        }
        let most = if round == "first" { 2 } else { 1 };
        let fine = of_round.len() == 12 && of_round.values().all(|by| by.len() <= most);
        ensure!(fine, "{round}: {of_round:#?}");
        for (cluster, mut by) in writers {
            by.dedup();
            ensure!(by.len() <= most, "{round}: replicas took turns in {cluster}: {by:?}");
        }
    }
    Ok(())
}
