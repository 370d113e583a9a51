//! The agent is killed at every API call, before the call or after it, and always comes to the same end.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{EXPECTED, NAMESPACE, Story, api};
use asm_lab::{AgentProcess, ApiProxy, HOST, Lab, LabOptions, MESH, Verdict, users};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which calls the agent is killed at: all of them in the full run, one in seven otherwise.
fn stride() -> u64 {
    if std::env::var_os("KUBECTL_ASM_FULL").is_some() { 1 } else { 7 }
}

/// Before the call is passed on, or when it was answered and the agent does not know yet.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Before,
    After,
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_call_it_comes_to_the_same_end() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let story = Story::begin(&lab)?;
    story.author()?;
    extras(&story, &["one", "two"])?;
    let first = story.commit_and_push("two extras")?;
    story.install(json!({})).await?;

    let mut proxies = Vec::new();
    for context in [HOST, MESH, "m1c1", "m1c2"] {
        proxies.push(ApiProxy::start(&lab, context).await?);
    }
    for (proxy, target) in proxies[1..].iter().zip([MESH, "m1c1", "m1c2"]) {
        story.secret(&format!("{target}-kubeconfig"), &proxy.kubeconfig_text(users::AGENT)?).await?;
    }
    let host = lab.dir().join("crash-host.kubeconfig");
    std::fs::write(&host, proxies[0].kubeconfig_text(users::AGENT_SERVICE_ACCOUNT)?)?;
    let start = || {
        let host = host.to_string_lossy().into_owned();
        let args =
            ["--kubeconfig", &host, "--namespace", NAMESPACE, "--http-address", "127.0.0.1:0", "--no-leader-election"];
        AgentProcess::spawn(&lab, args)
    };

    // Killed when its removal was answered, and Git wants the object again when the next agent starts.
    let mut revision = first;
    for proxy in [&proxies[1], &proxies[3]] {
        let mut agent = start()?;
        story.wait_ready(&revision).await?;
        agent.kill()?;
        extras(&story, &["two"])?;
        let without = story.commit_and_push("without one of the extras")?;
        let agent = start()?;
        let killed = kill_at_removal(proxy, &agent);
        ensure!(wait_killed_or_ready(&story, agent, &killed, &without).await? == Ended::Killed, "nothing was removed");
        proxy.clear_hooks();
        extras(&story, &["one", "two"])?;
        revision = story.commit_and_push("with it again")?;
        let mut agent = start()?;
        story.wait_ready(&revision).await.with_context(|| agent.log())?;
        check(&story, &revision).await.with_context(|| format!("removed, killed, wanted again:\n{}", agent.log()))?;
        agent.kill()?;
    }

    // The next syncs, killed at call after call: each new agent goes on where the last one was stopped.
    let (mut runs, mut turn) = (0, 0_usize);
    for when in [When::Before, When::After] {
        let mut n = 1;
        // A commit of its own: of the last one the status says already that it is ready.
        revision = next(&story, &mut turn)?;
        loop {
            let agent = start()?;
            let killed = kill_at(&proxies, &agent, n, when);
            let ended = wait_killed_or_ready(&story, agent, &killed, &revision).await?;
            proxies.iter().for_each(ApiProxy::clear_hooks);
            if ended == Ended::Ready {
                break;
            }
            runs += 1;
            if when == When::After {
                // What the dead agent was about to make is not wanted any more when the next one starts.
                revision = next(&story, &mut turn)?;
            }
            let mut agent = start()?;
            let ready = story.wait_ready(&revision).await;
            ready.with_context(|| format!("after the kill at call {n} ({when:?}):\n{}", agent.log()))?;
            let checked = check(&story, &revision).await;
            checked.with_context(|| format!("after the kill at call {n} ({when:?}):\n{}", agent.log()))?;
            agent.kill()?;
            revision = next(&story, &mut turn)?;
            n += stride();
        }
    }
    ensure!(runs > 4, "the agent was killed only {runs} times");
    Ok(())
}

/// Commits other extras than the last ones: some are removed, some are made.
fn next(story: &Story<'_>, turn: &mut usize) -> Result<String> {
    let all = ["one", "two", "three", "four", "five"];
    *turn += 1;
    let names = [all[*turn % 5], all[(*turn + 2) % 5]];
    extras(story, &names)?;
    story.commit_and_push(&format!("extras {}", names.join(" and ")))
}

/// ConfigMaps in a member and a VirtualService in the mesh, one each per name.
fn extras(story: &Story<'_>, names: &[&str]) -> Result<()> {
    let map = |name: &&str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: extra-{name}\n");
    let rule = |name: &&str| {
        format!(
            "apiVersion: networking.istio.io/v1beta1\nkind: DestinationRule\nmetadata:\n  name: extra-{name}\nspec:\n  host: \
             {name}\n"
        )
    };
    let join = |texts: Vec<String>| texts.join("---\n");
    story.write("clusters/m1c2/extras.yaml", &join(names.iter().map(map).collect()))?;
    story.write("mesh/extras.yaml", &join(names.iter().map(rule).collect()))
}

/// Kills the agent at its n-th call over all API servers. Gives back whether that has happened.
fn kill_at(proxies: &[ApiProxy], agent: &AgentProcess, n: u64, when: When) -> Arc<AtomicU64> {
    let (count, killed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    for proxy in proxies {
        let (count, killed, kill) = (count.clone(), killed.clone(), agent.killer());
        let hit = move || {
            if count.fetch_add(1, Ordering::SeqCst) + 1 >= n {
                killed.store(1, Ordering::SeqCst);
                kill();
                return Verdict::Reset;
            }
            Verdict::Pass
        };
        match when {
            When::Before => proxy.on_request(move |_| hit()),
            When::After => proxy.on_response(move |_, _| hit()),
        }
    }
    killed
}

/// Kills the agent when the removal of an object was answered and it does not know yet.
fn kill_at_removal(proxy: &ApiProxy, agent: &AgentProcess) -> Arc<AtomicU64> {
    let killed = Arc::new(AtomicU64::new(0));
    let (seen, kill) = (killed.clone(), agent.killer());
    proxy.on_response(move |request, _| {
        if request.method != "DELETE" {
            return Verdict::Pass;
        }
        seen.store(1, Ordering::SeqCst);
        kill();
        Verdict::Reset
    });
    killed
}

#[derive(PartialEq)]
enum Ended {
    Killed,
    Ready,
}

/// Waits until the agent was killed, or the commit is ready with fewer calls than it was to be killed at.
async fn wait_killed_or_ready(
    story: &Story<'_>,
    mut agent: AgentProcess,
    killed: &AtomicU64,
    revision: &str,
) -> Result<Ended> {
    let sync = story
        .wait_status("the agent is killed or ready", |sync| {
            killed.load(Ordering::SeqCst) > 0
                || (asm_lab::story::condition(sync, "Ready").is_some_and(|ready| ready["status"] == "True")
                    && sync["status"]["source"]["revision"] == revision)
        })
        .await;
    sync.with_context(|| agent.log())?;
    let ended = if killed.load(Ordering::SeqCst) > 0 { Ended::Killed } else { Ended::Ready };
    agent.kill()?;
    Ok(ended)
}

/// Everything expected is there, and exactly the extras of the commit.
async fn check(story: &Story<'_>, revision: &str) -> Result<()> {
    let differences = story.differences(EXPECTED).await?;
    ensure!(differences.is_empty(), "{differences:#?}");
    let file = story.git(&["show", &format!("{revision}:mesh/extras.yaml")])?;
    let wanted: Vec<&str> = file.lines().filter_map(|line| line.trim().strip_prefix("name: ")).collect();
    let places = [
        (MESH, "networking.istio.io/v1beta1", "DestinationRule", "destinationrules"),
        ("m1c2", "v1", "ConfigMap", "configmaps"),
    ];
    for (context, version, kind, plural) in places {
        let found = api(story.lab, context, version, kind, plural, Some("default"))?.list(&Default::default()).await?;
        let mut names: Vec<String> = found.items.into_iter().filter_map(|object| object.metadata.name).collect();
        names.retain(|name| name.starts_with("extra-"));
        names.sort();
        let mut wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        wanted.sort();
        ensure!(names == wanted, "{kind} in {context}: {names:?}, wanted {wanted:?}");
    }
    Ok(())
}
