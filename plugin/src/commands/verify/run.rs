//! All questions, several at a time, and what comes of them.

use super::addresses::Place;
use super::curl::Pod;
use super::{Check, Settings, VerifyArgs, local};
use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::live;
use crate::ui::Progress;
use asm_shared::verify::{Answer, Ask, Layer, Outcome, Spread, Test, belongs_to, judge, spread};
use futures::stream::{self, StreamExt as _};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

/// A question and the address that it is put to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) place: &'a Place,
    pub(super) ask: &'a Ask,
}

/// Who asks.
enum From {
    Here,
    Pod(Pod),
}

impl From {
    fn name(&self) -> Option<String> {
        match self {
            Self::Here => None,
            Self::Pod(pod) => Some(pod.from.to_string()),
        }
    }
}

/// Everything that one run shares.
struct Run<'a> {
    settings: &'a Settings,
    permits: Semaphore,
    /// How many requests were answered.
    done: AtomicUsize,
    all: usize,
    progress: Progress,
    /// What keeps a pod from asking.
    broken: Mutex<Vec<String>>,
}

/// Puts all questions; the checks come back in their order, and what kept pods from asking.
pub(super) fn all(
    context: &Context,
    repo: &FleetRepo,
    targets: &[Target<'_>],
    settings: &Settings,
    args: &VerifyArgs,
) -> Result<(Vec<Check>, Vec<String>), CommandError> {
    let askers = askers(context, repo, args)?;
    let count =
        |target: &Target<'_>| 1 + if target.ask.expect.weights.is_empty() { 0 } else { settings.requests as usize };
    let run = Run {
        settings,
        permits: Semaphore::new(settings.concurrency),
        done: AtomicUsize::new(0),
        all: targets.iter().map(count).sum::<usize>() * askers.len(),
        progress: context.ui().progress("asking"),
        broken: Mutex::default(),
    };
    // One port of one address: what is behind it is asked only when it takes connections.
    let mut doors: Vec<(&From, &[Target<'_>])> = Vec::new();
    for from in &askers {
        let same = |a: &Target<'_>, b: &Target<'_>| std::ptr::eq(a.place, b.place) && a.ask.port == b.ask.port;
        doors.extend(targets.chunk_by(same).map(|door| (from, door)));
    }
    let checks = context.block_on(async {
        let checks: Vec<Vec<Check>> = stream::iter(&doors)
            .map(|(from, door)| run.door(from, door))
            .buffered(settings.concurrency)
            .collect()
            .await;
        Ok(checks.concat())
    })?;
    let mut broken = run.broken.into_inner().unwrap_or_default();
    broken.sort();
    broken.dedup();
    Ok((checks, broken))
}

/// This machine, or the pods that were named.
fn askers(context: &Context, repo: &FleetRepo, args: &VerifyArgs) -> Result<Vec<From>, CommandError> {
    if args.from_pods.is_empty() {
        return Ok(vec![From::Here]);
    }
    let contexts = live::contexts(repo.fleet()?);
    let pods = args.from_pods.iter().filter_map(|from| {
        let target = contexts.iter().find(|target| target.target.name() == from.cluster)?;
        Some(From::Pod(Pod::new(from, &target.kube_context, &context.globals)))
    });
    Ok(pods.collect())
}

impl Run<'_> {
    async fn door(&self, from: &From, door: &[Target<'_>]) -> Vec<Check> {
        let (first, rest): (Vec<&Target<'_>>, Vec<&Target<'_>>) =
            door.iter().partition(|target| target.ask.layer == Layer::Tcp);
        let mut checks = Vec::new();
        for target in first.iter().take(1) {
            checks.push(self.check(from, target).await);
        }
        let is_closed = checks.iter().any(|check| check.outcome == Outcome::Failed);
        if is_closed {
            checks.extend(rest.iter().map(|target| skipped(from, target)));
            return checks;
        }
        let more: Vec<Vec<Check>> = stream::iter(rest)
            .map(|target| self.whole(from, target))
            .buffered(self.settings.concurrency)
            .collect()
            .await;
        checks.extend(more.concat());
        checks
    }

    /// One question, and how its answers are spread.
    async fn whole(&self, from: &From, target: &Target<'_>) -> Vec<Check> {
        let check = self.check(from, target).await;
        let is_ok = check.outcome == Outcome::Ok;
        let mut checks = vec![check];
        if is_ok && !target.ask.expect.weights.is_empty() {
            checks.push(self.spread(from, target).await);
        }
        checks
    }

    async fn check(&self, from: &From, target: &Target<'_>) -> Check {
        match self.ask(from, target).await {
            Some(answer) => {
                let verdict = judge(target.ask, &answer);
                Check { outcome: verdict.outcome, found: verdict.found, hint: verdict.hint, ..blank(from, target) }
            }
            None => {
                Check { outcome: Outcome::Undecided, found: "the pod could not ask".to_owned(), ..blank(from, target) }
            }
        }
    }

    async fn ask(&self, from: &From, target: &Target<'_>) -> Option<Answer> {
        let _permit = self.permits.acquire().await;
        let answer = match from {
            From::Here => Some(local::ask(self.settings, &target.place.address, target.ask).await),
            From::Pod(pod) => match pod.ask(self.settings, &target.place.address, target.ask).await {
                Ok(answer) => Some(answer),
                Err(why) => {
                    if let Ok(mut broken) = self.broken.lock() {
                        broken.push(format!("{}: {why}", pod.from));
                    }
                    None
                }
            },
        };
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.progress.set(&format!("asking: {done} of {}", self.all));
        answer
    }

    async fn spread(&self, from: &From, target: &Target<'_>) -> Check {
        let weights = &target.ask.expect.weights;
        let answers: Vec<Option<Answer>> = stream::iter(0..self.settings.requests)
            .map(|_| self.ask(from, target))
            .buffer_unordered(self.settings.concurrency)
            .collect()
            .await;
        let (mut counts, mut silent, mut failed) = (BTreeMap::new(), 0, Vec::new());
        for answer in answers {
            match answer {
                Some(Answer::Http { version: Some(version), .. }) => {
                    let known = belongs_to(&version, weights.iter().map(|(name, _)| name.as_str()));
                    *counts.entry(known.map_or(version.clone(), str::to_owned)).or_default() += 1_u64;
                }
                Some(Answer::Http { .. } | Answer::Connected) => silent += 1,
                Some(answer @ Answer::Failed(_)) => failed.push(judge(target.ask, &answer).found),
                None => failed.push("the pod could not ask".to_owned()),
            }
        }
        let result = spread(weights, &counts, self.settings.confidence);
        let (outcome, found, hint) = told(self.settings.requests, silent, &failed, result.as_ref());
        Check { check: "spread", outcome, found, hint, spread: result, ..blank(from, target) }
    }
}

/// What the answers to many requests come to.
fn told(requests: u32, silent: u32, failed: &[String], result: Option<&Spread>) -> (Outcome, String, Option<String>) {
    if let Some(first) = failed.first() {
        return (Outcome::Failed, format!("{} of {requests} requests failed: {first}", failed.len()), None);
    }
    if silent > 0 {
        let found = format!("{silent} of {requests} answers do not say which version gave them");
        let hint = "say where it stands: --version-from header:NAME, json:/POINTER or body-regex:EXPRESSION";
        return (Outcome::Undecided, found, Some(hint.to_owned()));
    }
    let Some(result) = result else {
        return (Outcome::Undecided, "there were no answers".to_owned(), None);
    };
    let share = |share: &asm_shared::verify::Share| {
        let percent = |part: f64| format!("{:.1}", part * 100.0).trim_end_matches(".0").to_owned();
        let seen = share.seen as f64 / result.requests as f64;
        format!("{} {} % (wanted {} %)", share.version, percent(seen), percent(share.expected))
    };
    let shares: Vec<String> = result.shares.iter().map(share).collect();
    let test = match result.test {
        Test::None if result.fits => String::new(),
        Test::None => ": a version that must not answer has answered".to_owned(),
        _ => format!(
            ": p = {:.4} of {} answers, refused below {:.4}",
            result.p,
            result.requests,
            1.0 - result.confidence
        ),
    };
    let outcome = if result.fits { Outcome::Ok } else { Outcome::Failed };
    let hint = (!result.fits).then(|| {
        "old connections, retries and mirrors count as well; what the route says: kubectl asm route list".to_owned()
    });
    (outcome, format!("{}{test}", shares.join(", ")), hint)
}

fn skipped(from: &From, target: &Target<'_>) -> Check {
    Check {
        outcome: Outcome::Skipped,
        found: format!("port {} takes no connection", target.ask.port),
        ..blank(from, target)
    }
}

fn blank(from: &From, target: &Target<'_>) -> Check {
    let Target { place, ask } = target;
    let is_default = ask.port == if ask.tls { 443 } else { 80 };
    let port = if is_default { String::new() } else { format!(":{}", ask.port) };
    let scheme = if ask.tls { "https" } else { "http" };
    Check {
        gateway: place.gateway.clone(),
        cluster: place.cluster.clone(),
        service: place.service.clone(),
        address: place.address.clone(),
        port: ask.port,
        from: from.name(),
        check: ask.layer.word(),
        name: ask.name.clone(),
        url: (ask.layer == Layer::Http)
            .then(|| format!("{scheme}://{}{port}{}", ask.host_or(&place.address), ask.path)),
        outcome: Outcome::Ok,
        found: String::new(),
        hint: None,
        spread: None,
        source: ask.source.clone(),
    }
}
