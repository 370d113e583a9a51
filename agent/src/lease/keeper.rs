//! Carries out what follows from the roster: takes Leases, gives them back, writes that members are over, tells the others
//! how this replica's targets stand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use asm_shared::api::labels;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesUnordered};
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::coordination::v1::Lease;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::api::Seen;
use super::names::{self, LEADER, annotated, annotation, holder};
use super::roster::{Decision, Roster, Wish};
use super::shards::{Shards, Share};
use super::{Claim, LeaseError, LeaseParams, Leases};

/// What happens within this time is looked at together.
const GATHER: Duration = Duration::from_millis(10);
/// How often the state of one target is told at most.
const TELL: Duration = Duration::from_millis(200);
/// After how long a write that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Writes in flight.
const WIDTH: usize = 16;

/// Leases by name, and what each is about.
type Names = BTreeMap<Arc<str>, Arc<str>>;

/// What is to stand in a Lease: its name, the annotation, the text.
type Annotation = (Arc<str>, &'static str, Arc<str>);

/// A write that has ended: of which Lease, and what is stored now; nothing when the Lease is deleted.
type Done = (Arc<str>, Result<Option<Lease>, LeaseError>);

pub(super) struct Keeper<L> {
    leases: L,
    params: LeaseParams,
    claim: watch::Receiver<Claim>,
    shards: Shards,
    roster: Roster,
    writes: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Leases that are being written.
    busy: BTreeSet<Arc<str>>,
    /// Leases that this replica has begun to give back: nothing of them is its own any more, until it has taken them anew.
    given: BTreeSet<Arc<str>>,
    /// Leases that are not written again before this.
    later: BTreeMap<Arc<str>, Instant>,
}

impl<L: Leases> Keeper<L> {
    pub(super) fn new(leases: L, params: LeaseParams, claim: watch::Receiver<Claim>, shards: Shards) -> Self {
        let roster = Roster::new(params.duration);
        let (writes, busy, later) = (FuturesUnordered::new(), BTreeSet::new(), BTreeMap::new());
        Self { leases, params, claim, shards, roster, writes, busy, given: BTreeSet::new(), later }
    }

    pub(super) async fn run(mut self) {
        let mut seen = self.leases.watch();
        let mut due = Instant::now();
        loop {
            tokio::select! {
                event = seen.next() => match event {
                    Some(event) => self.see(event, &mut seen),
                    // It ends only with the program.
                    None => return,
                },
                changed = self.claim.changed() => if changed.is_err() { return },
                () = self.shards.news() => {}
                Some((name, result)) = self.writes.next() => self.written(name, result),
                () = sleep_until(due) => {
                    due = self.step();
                    continue;
                }
            }
            due = due.min(Instant::now() + GATHER);
        }
    }

    fn see(&mut self, first: Seen, more: &mut BoxStream<'static, Seen>) {
        let now = Instant::now();
        let mut next = Some(first);
        while let Some(event) = next {
            if let Seen::Broken(why) = &event {
                tracing::warn!("the Leases of the other replicas cannot be watched: {why}");
            }
            self.roster.see(event, now);
            next = more.next().now_or_never().flatten();
        }
    }

    fn written(&mut self, name: Arc<str>, result: Result<Option<Lease>, LeaseError>) {
        self.busy.remove(&name);
        let now = Instant::now();
        match result {
            Ok(Some(lease)) => {
                // As the API server has it now there is no doubt about it.
                self.given.remove(&name);
                self.later.insert(name, now + TELL);
                self.roster.stored(lease, now);
            }
            Ok(None) => {}
            // Somebody else was quicker; the watch tells who.
            Err(LeaseError::Conflict) => {
                self.later.insert(name, now + RETRY);
            }
            Err(LeaseError::Failed(reason)) => {
                tracing::warn!(lease = &*name, reason, "the Lease could not be written; trying again");
                self.later.insert(name, now + RETRY);
            }
        }
    }

    /// Looks at everything once. Gives back when to look again though nothing happens.
    fn step(&mut self) -> Instant {
        let now = Instant::now();
        self.later.retain(|_, at| *at > now);
        self.roster.count_absent(now);
        let me = Some(self.claim.borrow().clone()).filter(Claim::is_current).map(|claim| claim.identity);
        let shards = self.shards.clone();
        // Held while it is decided and published: a supervisor that begins meanwhile begins with the new share.
        let mut said = shards.said();
        let (items, clusters) = (said.items(), said.clusters.clone());
        let targets: BTreeSet<Arc<str>> = items.keys().cloned().collect();
        // Somebody else's by now, or nobody's: no doubt is left.
        self.given.retain(|name| me.is_some() && self.roster.holder(name) == me.as_deref());
        said.cut.retain(|_, at| now < *at + self.params.margin());
        let decision = match &me {
            None => Decision::default(),
            Some(me) => self.roster.decide(
                Wish {
                    me,
                    targets: &targets,
                    clusters: &clusters,
                    doubt: &self.given,
                    known: said.known.as_deref(),
                    known_since: said.known_since.unwrap_or(now),
                    alone: self.params.alone,
                },
                now,
            ),
        };
        let share = self.share(me.as_deref(), (&items, &clusters), &decision);
        let mut give = Vec::new();
        for name in decision.give.iter().chain(&decision.drop) {
            let rests = !said.working.contains(name) && !said.cut.contains_key(name);
            if rests {
                give.push(name.clone());
            }
        }
        let mut tell: Vec<Annotation> = Vec::new();
        if decision.others {
            let told = |name: &Arc<str>| Some((name.clone(), labels::LEASE_STATE, said.states.get(name)?.clone()));
            tell.extend(share.mine.iter().filter_map(told));
        }
        // A cluster that is another target's now, which is this replica's, too.
        let of = |name: &Arc<str>| Some((name.clone(), labels::LEASE_CLUSTER_OF, clusters.get(name)?.clone()));
        tell.extend(share.clusters.iter().filter_map(of));
        let mut wake = decision.wake.unwrap_or(now + self.params.duration);
        wake = said.cut.values().map(|at| *at + self.params.margin()).fold(wake, Instant::min);
        shards.publish(share);
        drop(said);
        if let Some(me) = me {
            self.carry_out(&me, &decision, (&items, &clusters), &give, &tell);
        }
        self.later.values().copied().fold(wake, Instant::min).max(now + GATHER)
    }

    /// What supervisors are to know.
    fn share(&self, me: Option<&str>, (items, clusters): (&Names, &Names), decision: &Decision) -> Share {
        let is_held = |name: &Arc<str>| me.is_some() && self.roster.holder(name) == me && !self.given.contains(name);
        let is_mine = |name: &&Arc<str>| is_held(name) && !decision.give.contains(*name);
        let claimed = |name: &Arc<str>| {
            let is_others = |lease: &&Lease| holder(lease).is_some_and(|it| Some(it) != me);
            let lease = self.roster.lease(name).filter(|lease| is_others(lease) || decision.kept.contains(name))?;
            let of = annotation(lease, labels::LEASE_CLUSTER_OF).unwrap_or("another target");
            Some((name.clone(), Arc::from(of)))
        };
        let others = self.roster.states().filter(|(_, lease)| holder(lease) != me);
        let told = self.roster.states().filter(|(_, lease)| holder(lease) != me);
        let told = told.filter_map(|(name, lease)| Some((name.clone(), annotation(lease, labels::LEASE_STATE)?)));
        let before = self.shards.shared();
        // The same text is the same Arc, so that comparing costs nothing.
        let text = |name: &Arc<str>, text: &str| {
            before.told.get(name).filter(|known| ***known == *text).cloned().unwrap_or_else(|| text.into())
        };
        Share {
            leads: me.is_some() && self.roster.holder(LEADER) == me,
            leader: self.roster.holder(LEADER).unwrap_or_default().into(),
            others: decision.others,
            mine: items.keys().filter(is_mine).cloned().collect(),
            leaving: decision.give.union(&decision.drop).cloned().collect(),
            clusters: clusters.keys().filter(|name| is_held(name)).cloned().collect(),
            claimed: clusters.keys().filter_map(claimed).collect(),
            told: told.map(|(name, state)| (name.clone(), text(&name, state))).collect(),
            holders: others.filter_map(|(name, lease)| Some((name.clone(), holder(lease)?.into()))).collect(),
            ..Share::default()
        }
    }

    fn carry_out(
        &mut self,
        me: &str,
        decision: &Decision,
        (items, clusters): (&Names, &Names),
        give: &[Arc<str>],
        tell: &[Annotation],
    ) {
        for name in &decision.over {
            if let Some(lease) = self.roster.lease(name).cloned() {
                tracing::warn!(member = &**name, "this replica has gone silent: what it worked on is free");
                self.write(name, move |leases| async move { leases.replace(names::vacant(lease)).await.map(Some) });
            }
        }
        for name in &decision.take {
            let known = self.roster.lease(name).cloned();
            let new = || match (items.get(name), clusters.get(name)) {
                (Some(of), _) => annotated(names::new(name, labels::LEASE_TARGET), labels::LEASE_OF, Some(of)),
                (None, Some(_)) => names::new(name, labels::LEASE_CLUSTER),
                (None, None) => names::new(name, labels::LEASE_LEADER),
            };
            let exists = known.is_some();
            let mut lease = names::taken(known.unwrap_or_else(new), me);
            if let Some(of) = clusters.get(name) {
                lease = annotated(lease, labels::LEASE_CLUSTER_OF, Some(of));
            }
            self.write(name, move |leases| async move {
                if exists { leases.replace(lease).await.map(Some) } else { leases.create(lease).await.map(Some) }
            });
        }
        for name in give {
            let Some(lease) = self.roster.lease(name).cloned() else { continue };
            let for_good = decision.drop.contains(name);
            let begun = self.write(name, move |leases| async move {
                let free = leases.replace(names::vacant(lease)).await?;
                if for_good {
                    return leases.delete(free).await.map(|()| None);
                }
                Ok(Some(free))
            });
            if begun {
                self.given.insert(name.clone());
            }
        }
        for name in &decision.collect {
            if let Some(lease) = self.roster.lease(name).cloned() {
                self.write(name, move |leases| async move { leases.delete(lease).await.map(|()| None) });
            }
        }
        for (name, key, text) in tell {
            let Some(lease) = self.roster.lease(name) else { continue };
            if annotation(lease, key) != Some(text) {
                let lease = annotated(lease.clone(), key, Some(text));
                self.write(name, move |leases| async move { leases.replace(lease).await.map(Some) });
            }
        }
    }

    /// Starts a write, unless there is one of the same Lease, or there are many (then `false`). What is not started now is
    /// decided anew when one has ended.
    fn write<F>(&mut self, name: &Arc<str>, write: impl FnOnce(L) -> F) -> bool
    where
        F: Future<Output = Result<Option<Lease>, LeaseError>> + Send + 'static,
    {
        if self.writes.len() >= WIDTH || self.busy.contains(name) || self.later.contains_key(name) {
            return false;
        }
        self.busy.insert(name.clone());
        let (name, limit, work) = (name.clone(), self.params.request_timeout, write(self.leases.clone()));
        let bounded = async move {
            let result = timeout(limit, work).await;
            let silent = || LeaseError::Failed(format!("no answer within {} s", limit.as_secs_f32()));
            (name, result.unwrap_or_else(|_| Err(silent())))
        };
        self.writes.push(bounded.boxed());
        true
    }
}
