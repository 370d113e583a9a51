//! A proxy before each API server does what networks and busy servers do. Whatever it is: the agent comes to where Git is,
//! nothing is lost, and nothing is written twice or wrongly.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{CONSOLE, EXPECTED, NAMESPACE, PATIENCE, Story, api, condition};
use asm_lab::{AgentProcess, ApiProxy, Call, Clock, HOST, Lab, LabOptions, MESH, Verdict, users, wait_for};
use futures::TryStreamExt as _;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What happens to a call.
#[derive(Debug)]
struct Fault {
    name: &'static str,
    /// To the request, before anything has happened.
    request: Verdict,
    /// To the answer: what was asked for has happened, and the agent does not hear of it.
    answer: Verdict,
}

impl Fault {
    const fn of_request(name: &'static str, request: Verdict) -> Self {
        Self { name, request, answer: Verdict::Pass }
    }

    const fn of_answer(name: &'static str, answer: Verdict) -> Self {
        Self { name, request: Verdict::Pass, answer }
    }
}

const FAULTS: &[Fault] = &[
    Fault::of_request("a request is lost", Verdict::Nothing),
    Fault::of_answer("an answer is lost", Verdict::Nothing),
    Fault::of_request("a request is late", Verdict::Delay(Duration::from_millis(1500))),
    Fault::of_request("429", Verdict::Answer(429)),
    Fault::of_request("429 with Retry-After", Verdict::RetryAfter(429, 1)),
    Fault::of_request("409", Verdict::Answer(409)),
    Fault::of_request("500", Verdict::Answer(500)),
    Fault::of_answer("500 though it was done", Verdict::Answer(500)),
    Fault::of_answer("half of the JSON", Verdict::Half),
    Fault::of_request("a connection is reset", Verdict::Reset),
    Fault::of_answer("a connection is reset before the answer", Verdict::Reset),
];

const CALLS: [Call; 5] = [Call::List, Call::Watch, Call::Get, Call::Write, Call::Delete];
const CONTEXTS: [&str; 4] = [HOST, MESH, "m1c1", "m1c2"];
/// The kinds that the commits are about: nobody but the agent writes them.
const KINDS: [(&str, &str, &str, &str); 2] = [
    (MESH, "networking.istio.io/v1beta1", "DestinationRule", "destinationrules"),
    ("m1c2", "v1", "ConfigMap", "configmaps"),
];

/// A ConfigMap of m1c2 that somebody writes past Git.
const DRIFTS: &str = "drifts";

/// A fleet, its agent, and what is between it and the API servers.
struct Stage<'lab> {
    story: Story<'lab>,
    proxies: Vec<(&'static str, ApiProxy)>,
    clock: Option<Clock>,
    turn: usize,
}

impl<'lab> Stage<'lab> {
    async fn set(lab: &'lab Lab) -> Result<Self> {
        let story = Story::begin(lab)?;
        story.author()?;
        let mut proxies = Vec::new();
        for context in CONTEXTS {
            proxies.push((context, ApiProxy::start(lab, context).await?));
        }
        let mut stage = Self { story, proxies, clock: Clock::make(lab)?, turn: 0 };
        let revision = stage.next()?;
        stage.story.install(json!({})).await?;
        for target in &CONTEXTS[1..] {
            stage.kubeconfig(target, users::AGENT).await?;
        }
        stage.start()?;
        stage.story.wait_ready(&revision).await?;
        Ok(stage)
    }

    fn proxy(&self, context: &str) -> Result<&ApiProxy> {
        let mut found = self.proxies.iter().filter(|(name, _)| *name == context);
        found.next().map(|(_, proxy)| proxy).with_context(|| format!("there is no proxy before {context}"))
    }

    async fn kubeconfig(&self, target: &str, user: &str) -> Result<()> {
        let text = self.proxy(target)?.kubeconfig_text(user)?;
        self.story.secret(&format!("{target}-kubeconfig"), &text).await
    }

    fn start(&mut self) -> Result<()> {
        let mut args = self.story.agent_args_with_short_lease()?;
        // By way of the proxy, too.
        let host = self.story.lab.dir().join("faults-host.kubeconfig");
        std::fs::write(&host, self.proxy(HOST)?.kubeconfig_text(users::AGENT_SERVICE_ACCOUNT)?)?;
        args[1] = host.to_string_lossy().into_owned();
        args.extend(["--request-timeout", "3s", "--watch-silence", "4s"].map(str::to_owned));
        let env = self.clock.as_ref().map(Clock::env).unwrap_or_default();
        self.story.agent = Some(AgentProcess::spawn_with(self.story.lab, args, &env)?);
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        if let Some(mut agent) = self.story.agent.take() {
            ensure!(agent.terminate()?.success(), "the agent did not end well:\n{}", agent.log());
        }
        self.start()
    }

    /// The next commit: of the extras in the mesh and in m1c2 one is made, one is changed and one is removed.
    fn next(&mut self) -> Result<String> {
        self.turn += 1;
        let names = extras(self.turn);
        let join = |one: &dyn Fn(&str, &str) -> String| -> String {
            let all: Vec<String> = names.iter().map(|(name, value)| one(name, value)).collect();
            all.join("---\n")
        };
        let map = |name: &str, value: &str| {
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{value: {value}}}\n")
        };
        let rule = |name: &str, value: &str| {
            format!(
                "apiVersion: networking.istio.io/v1beta1\nkind: DestinationRule\nmetadata: {{name: {name}}}\nspec: {{host: {value}}}\n"
            )
        };
        self.story.write("clusters/m1c2/extras.yaml", &join(&map))?;
        self.story.write("clusters/m1c2/drifts.yaml", &map(DRIFTS, "git"))?;
        self.story.write("mesh/extras.yaml", &join(&rule))?;
        self.story.commit_and_push(&format!("turn {}", self.turn))
    }

    /// Does to the first call of each of these sorts at each API server what is told of it. Gives back to how many it was done.
    fn inject<'a>(&self, fault: impl Fn(usize) -> &'a Fault, calls: &[Call]) -> Arc<AtomicUsize> {
        let done = Arc::new(AtomicUsize::new(0));
        for (place, (_, proxy)) in self.proxies.iter().enumerate() {
            let fault = fault(place);
            for (is_answer, verdict) in [(false, fault.request.clone()), (true, fault.answer.clone())] {
                if matches!(verdict, Verdict::Pass) {
                    continue;
                }
                let (left, done) = (std::sync::Mutex::new(BTreeSet::from_iter(calls.iter().copied())), done.clone());
                let judge = move |request: &asm_lab::ProxyRequest| {
                    // Without a Lease nobody writes: that is a test of its own (`agent::lease`).
                    let is_first = !request.uri.contains("/leases")
                        && left.lock().is_ok_and(|mut left| left.remove(&request.call()));
                    if is_first {
                        done.fetch_add(1, Ordering::SeqCst);
                        return verdict.clone();
                    }
                    Verdict::Pass
                };
                if is_answer {
                    proxy.on_response(move |request, _| judge(request));
                } else {
                    proxy.on_request(judge);
                }
            }
        }
        done
    }

    fn clear(&self) {
        self.proxies.iter().for_each(|(_, proxy)| proxy.clear_hooks());
    }

    /// Where the histories of the extras stand now.
    async fn marks(&self) -> Result<Vec<String>> {
        let mut marks = Vec::new();
        for kind in KINDS {
            let list = self.api(kind)?.list(&ListParams::default()).await?;
            marks.push(list.metadata.resource_version.unwrap_or_default());
        }
        Ok(marks)
    }

    fn api(&self, (context, version, kind, plural): (&str, &str, &str, &str)) -> Result<Api<DynamicObject>> {
        api(self.story.lab, context, version, kind, plural, Some("default"))
    }

    /// Waits for a commit, and looks at every write that was stored since `marks`: those that it asks for, each once.
    async fn arrives(&self, revision: &str, marks: &[String]) -> Result<()> {
        self.story.wait_ready(revision).await?;
        let (before, now) = (extras(self.turn - 1), extras(self.turn));
        let mut wanted: BTreeMap<String, &str> = BTreeMap::new();
        for (name, value) in &now {
            match before.get(name) {
                None => drop(wanted.insert(name.clone(), "made")),
                Some(old) if old != value => drop(wanted.insert(name.clone(), "changed")),
                Some(_) => {}
            }
        }
        wanted.extend(before.keys().filter(|name| !now.contains_key(*name)).map(|name| (name.clone(), "removed")));
        for (kind, mark) in KINDS.into_iter().zip(marks) {
            let history = history(&self.api(kind)?, mark).await?;
            let once = history.len() == wanted.len()
                && history.iter().all(|(name, what)| wanted.get(name).is_some_and(|wanted| wanted == what));
            ensure!(once, "{} in {}: stored were {history:?}, the commit asks for {wanted:?}", kind.2, kind.0);
        }
        let differences = self.story.differences(EXPECTED).await?;
        ensure!(differences.is_empty(), "{differences:#?}");
        Ok(())
    }

    /// A commit while this is done to these calls: to each API server its own.
    async fn survives<'a>(&mut self, fault: impl Fn(usize) -> &'a Fault, calls: &[Call]) -> Result<()> {
        let name = (0..CONTEXTS.len()).map(|place| fault(place).name).collect::<Vec<_>>().join("; ");
        let began = Instant::now();
        let marks = self.marks().await?;
        let revision = self.next()?;
        let done = self.inject(fault, calls);
        if calls.contains(&Call::Watch) {
            self.proxies.iter().for_each(|(_, proxy)| proxy.cut_connections());
        }
        if calls.contains(&Call::List) {
            // Lists come at the start; watches go on where they were.
            self.restart()?;
        }
        let arrived = self.arrives(&revision, &marks).await;
        arrived.with_context(|| format!("{name}, {calls:?}:\n{}", self.story.log()))?;
        ensure!(done.load(Ordering::SeqCst) > 0, "{name}, {calls:?}: there was no such call");
        self.clear();
        tracing::info!("{:.1} s {name}, {calls:?}", began.elapsed().as_secs_f64());
        Ok(())
    }
}

/// The extras of a turn: a name and a value each. From turn to turn one comes, one goes, one changes and one stays.
fn extras(turn: usize) -> BTreeMap<String, String> {
    let named = |n: usize| format!("extra-{n}");
    let mut all = BTreeMap::from([(named(turn), "first".to_owned())]);
    if turn > 0 {
        all.insert(named(turn - 1), "second".to_owned());
    }
    if turn > 1 {
        all.insert(named(turn - 2), "second".to_owned());
    }
    all
}

/// Every write that was stored after a resourceVersion: name, and what it was.
async fn history(api: &Api<DynamicObject>, from: &str) -> Result<Vec<(String, &'static str)>> {
    let events = api.watch(&WatchParams::default().timeout(1), from).await?;
    let events: Vec<WatchEvent<DynamicObject>> = Box::pin(events).try_collect().await?;
    let told = |object: DynamicObject, what| object.metadata.name.map(|name| (name, what));
    let told = events.into_iter().filter_map(|event| match event {
        WatchEvent::Added(object) => told(object, "made"),
        WatchEvent::Modified(object) => told(object, "changed"),
        WatchEvent::Deleted(object) => told(object, "removed"),
        _ => None,
    });
    Ok(told.filter(|(name, _)| name.starts_with("extra-")).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_network_does_the_agent_comes_to_where_git_is() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut stage = Stage::set(&lab).await?;
    // Every fault with every call takes minutes that the full run does not have.
    let full = std::env::var_os("KUBECTL_ASM_FAULTS").is_some();
    if full {
        for fault in FAULTS {
            for call in CALLS {
                stage.survives(|_| fault, &[call]).await?;
            }
        }
    } else {
        // Each fault once to each sort of server, several at once: what is written, and another sort of call.
        for (round, first) in (0..FAULTS.len()).step_by(3).enumerate() {
            let call = [Call::Watch, Call::Get, Call::Delete, Call::List][round];
            stage.survives(|place| &FAULTS[(first + place) % FAULTS.len()], &[call, Call::Write]).await?;
        }
    }
    silent_watches(&mut stage).await?;
    expired_token(&mut stage).await?;
    set_clock(&mut stage, if full { &[7200, -7200, 400 * 86400, 0] } else { &[400 * 86400, 0] }).await
}

/// Somebody changes a ConfigMap of m1c2, and the report says so.
async fn drift_is_seen(stage: &Stage<'_>, value: &str) -> Result<()> {
    let maps = stage.api(KINDS[1])?;
    let manager = PatchParams { field_manager: Some(CONSOLE.to_owned()), ..PatchParams::default() };
    maps.patch(DRIFTS, &manager, &Patch::Merge(json!({"data": {"value": value}}))).await?;
    let reports =
        api(stage.story.lab, HOST, "kubectl-asm.io/v1alpha1", "DriftReport", "driftreports", Some(NAMESPACE))?;
    let told = || async {
        let report = serde_json::to_value(reports.get("shop-m1c2").await?)?;
        let objects = report["status"]["objects"].as_array().cloned().unwrap_or_default();
        let is_it = |object: &Value| object["name"] == DRIFTS && object["fields"][0]["found"] == value;
        Ok(objects.iter().any(is_it).then_some(()))
    };
    wait_for(format!("it is told that somebody wrote {value:?}"), PATIENCE, told)
        .await
        .with_context(|| stage.story.log())
}

/// Connections that stand and say nothing: what happens is seen all the same.
async fn silent_watches(stage: &mut Stage<'_>) -> Result<()> {
    stage.proxies.iter().for_each(|(_, proxy)| proxy.silence_watches());
    drift_is_seen(stage, "by hand").await?;
    let revision = stage.next()?;
    stage.story.wait_ready(&revision).await?;
    Ok(())
}

/// The token of a target ends while its watches go on. Nothing is lost, what to do is told, and a new one is taken up.
async fn expired_token(stage: &mut Stage<'_>) -> Result<()> {
    let old = stage.proxy("m1c2")?;
    let text = old.kubeconfig_text(users::AGENT)?;
    let token = text.split("token: \"").nth(1).and_then(|rest| rest.split('"').next()).context("there is no token")?;
    let ended = format!("Bearer {token}");
    old.on_request(move |request| if request.authorization == ended { Verdict::Answer(401) } else { Verdict::Pass });
    let revision = stage.next()?;
    let told = |sync: &Value| {
        let why = condition(sync, "Synced").map(|one| one["message"].to_string()).unwrap_or_default();
        why.contains("m1c2: ") && why.contains("renew the kubeconfig in Secret m1c2-kubeconfig")
    };
    stage.story.wait_status("it is told whose token has ended", told).await?;
    stage.kubeconfig("m1c2", users::ALICE).await?;
    stage.story.wait_ready(&revision).await?;
    stage.clear();
    Ok(())
}

/// The machine's clock is set: nothing is taken for over or not yet begun that is not.
async fn set_clock(stage: &mut Stage<'_>, jumps: &[i64]) -> Result<()> {
    if stage.clock.is_none() {
        tracing::warn!("the clock is not set: there is no C compiler (cc)");
        return Ok(());
    }
    for seconds in jumps {
        stage.clock.as_ref().context("there is a clock")?.set(*seconds)?;
        let marks = stage.marks().await?;
        let revision = stage.next()?;
        let arrived = stage.arrives(&revision, &marks).await;
        arrived.with_context(|| format!("the clock is {seconds} s ahead:\n{}", stage.story.log()))?;
        drift_is_seen(stage, &format!("at {seconds}")).await?;
    }
    Ok(())
}
