//! What is known of the other replicas and of who holds what, and what follows from it. Leases and times in, decisions out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use asm_shared::api::labels;
use asm_shared::sharding::assign;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt as _;
use tokio::time::Instant;

use super::api::Seen;
use super::names::{self, LEADER, annotation, holder};

/// How long a member that knows other targets still counts: it is about to read the commit that the others have read.
const CATCH_UP: Duration = Duration::from_secs(10);

/// A Lease as it was seen last.
#[derive(Debug)]
struct Known {
    lease: Lease,
    /// When it was first seen like that.
    since: Instant,
    /// Since when it says that it knows these targets.
    same_targets_since: Instant,
    /// It was deleted while somebody held it.
    gone: bool,
}

/// Whether a member may still write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// It may; until then nothing else is known.
    Until(Instant),
    /// Its time is over. That has to be written before it counts.
    Silent,
    /// It may not, and never will again.
    Over,
}

/// What this replica wants to know of the roster.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    /// Its own name.
    pub(super) me: &'a str,
    /// Leases of the targets that it knows.
    pub(super) targets: &'a BTreeSet<Arc<str>>,
    /// Leases of the clusters that its targets lead to, and of which target each.
    pub(super) clusters: &'a BTreeMap<Arc<str>, Arc<str>>,
    /// Leases that it has begun to give back, and of which it is not known whether it has.
    pub(super) doubt: &'a BTreeSet<Arc<str>>,
    /// The same as a hash, and since when.
    pub(super) known: Option<&'a str>,
    pub(super) known_since: Instant,
    /// It takes all of them and shares none.
    pub(super) alone: bool,
}

/// What is to be done, by names of Leases.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Decision {
    /// Members whose end has to be written.
    pub(super) over: Vec<Arc<str>>,
    /// Leases to take: of targets, clusters, or the leader's.
    pub(super) take: Vec<Arc<str>>,
    /// Targets of this replica that another one is to have, and clusters that none of its targets leads to any more.
    pub(super) give: BTreeSet<Arc<str>>,
    /// Targets of this replica that nobody wants any more.
    pub(super) drop: BTreeSet<Arc<str>>,
    /// Clusters that are free, and kept for the target that had them last.
    pub(super) kept: BTreeSet<Arc<str>>,
    /// Leases of members that are over and hold nothing, and of clusters that nobody works on, for the leader to delete.
    pub(super) collect: Vec<Arc<str>>,
    /// There are other members.
    pub(super) others: bool,
    /// When time alone may change the answer.
    pub(super) wake: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Roster {
    duration: Duration,
    leases: BTreeMap<Arc<str>, Known>,
    /// Holders whose member Lease is not there, and since when.
    absent: BTreeMap<String, Instant>,
    /// Names in the list that is being told.
    listed: Option<BTreeSet<Arc<str>>>,
    /// A list was complete once: what is not known is not there.
    complete: bool,
}

impl Roster {
    pub(super) fn new(duration: Duration) -> Self {
        Self { duration, leases: BTreeMap::new(), absent: BTreeMap::new(), listed: None, complete: false }
    }

    /// Takes in what the watch tells.
    pub(super) fn see(&mut self, seen: Seen, now: Instant) {
        match seen {
            Seen::Init => self.listed = Some(BTreeSet::new()),
            Seen::Lease(lease) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert(lease.name_any().into());
                }
                self.stored(*lease, now);
            }
            Seen::Listed => {
                self.complete = true;
                let listed = self.listed.take().unwrap_or_default();
                let left: Vec<Arc<str>> = self.leases.keys().filter(|name| !listed.contains(*name)).cloned().collect();
                left.iter().for_each(|name| self.left(name, now));
            }
            Seen::Gone(lease) => {
                let name: Arc<str> = lease.name_any().into();
                if self.leases.get(&name).is_some_and(|known| is_newer(&lease, &known.lease)) {
                    self.left(&name, now);
                }
            }
            Seen::Broken(_) => {}
        }
    }

    /// Takes in a Lease as the API server has it. Its time starts anew only when it has changed.
    pub(super) fn stored(&mut self, lease: Lease, now: Instant) {
        let name: Arc<str> = lease.name_any().into();
        let before = self.leases.get(&name);
        if before.is_some_and(|known| !known.gone && !is_newer(&lease, &known.lease)) {
            return;
        }
        let targets = |lease: &Lease| annotation(lease, labels::LEASE_TARGETS).map(str::to_owned);
        let same = before.filter(|known| targets(&known.lease) == targets(&lease));
        let same_targets_since = same.map_or(now, |known| known.same_targets_since);
        self.leases.insert(name, Known { lease, since: now, same_targets_since, gone: false });
    }

    /// A Lease is not there any more. One that somebody held was deleted by hand: its holder notices in its own time.
    fn left(&mut self, name: &Arc<str>, now: Instant) {
        match self.leases.get_mut(name) {
            Some(known) if (is_target(&known.lease) || is_cluster(&known.lease)) && holder(&known.lease).is_some() => {
                known.gone = true;
                known.since = now;
            }
            _ => {
                self.leases.remove(name);
            }
        }
    }

    /// Notes since when holders have no member Lease. To be called before anything is decided.
    pub(super) fn count_absent(&mut self, now: Instant) {
        if !self.complete {
            return;
        }
        let holders = self.leases.values().filter(|known| !is_member(&known.lease)).filter_map(|k| holder(&k.lease));
        let absent = holders.filter(|holder| !self.leases.contains_key(names::of_member(holder).as_str()));
        let since = |holder: &str| (holder.to_owned(), self.absent.get(holder).copied().unwrap_or(now));
        self.absent = absent.map(since).collect();
    }

    /// The Lease of this name, if it is there.
    pub(super) fn lease(&self, name: &str) -> Option<&Lease> {
        self.leases.get(name).filter(|known| !known.gone).map(|known| &known.lease)
    }

    /// Who holds the Lease of this name, whether that one is alive or not.
    pub(super) fn holder(&self, name: &str) -> Option<&str> {
        holder(&self.leases.get(name)?.lease)
    }

    /// Leases of targets, and what they tell.
    pub(super) fn states(&self) -> impl Iterator<Item = (&Arc<str>, &Lease)> {
        let there = self.leases.iter().filter(|(_, known)| is_target(&known.lease) && !known.gone);
        there.map(|(name, known)| (name, &known.lease))
    }

    fn life(&self, identity: &str, now: Instant) -> Life {
        match self.leases.get(names::of_member(identity).as_str()) {
            Some(known) if holder(&known.lease) != Some(identity) => Life::Over,
            Some(known) => {
                let end = known.since + held_for(&known.lease, self.duration);
                if now < end { Life::Until(end) } else { Life::Silent }
            }
            // Deleted by hand, or never seen: it may not know yet.
            None => match self.absent.get(identity) {
                Some(since) if now >= *since + self.duration => Life::Over,
                since => Life::Until(since.copied().unwrap_or(now) + self.duration),
            },
        }
    }

    /// What is to be done now.
    pub(super) fn decide(&self, wish: Wish<'_>, now: Instant) -> Decision {
        let mut decision = Decision::default();
        if !self.complete {
            return decision;
        }
        let sharing = self.members(wish, now, &mut decision);
        self.share(wish, &sharing, now, &mut decision);
        self.clusters(wish, now, &mut decision);
        let leads = self.holder(LEADER) == Some(wish.me);
        if !leads && self.is_free(LEADER, wish, now, &mut decision) {
            decision.take.push(LEADER.into());
        }
        if leads {
            decision.collect = self.done_with(now);
        }
        decision
    }

    /// The members that share the targets, this one included.
    fn members<'a>(&'a self, wish: Wish<'a>, now: Instant, decision: &mut Decision) -> Vec<&'a str> {
        let mut sharing: Vec<&str> = wish.known.map(|_| wish.me).into_iter().collect();
        for (name, known) in self.leases.iter().filter(|(_, known)| is_member(&known.lease)) {
            let Some(identity) = holder(&known.lease).filter(|identity| *identity != wish.me) else { continue };
            match self.life(identity, now) {
                Life::Until(end) => {
                    decision.others = true;
                    decision.wake_at(end);
                }
                Life::Silent => {
                    decision.over.push(name.clone());
                    continue;
                }
                Life::Over => continue,
            }
            let knows = annotation(&known.lease, labels::LEASE_TARGETS);
            let catches_up = known.same_targets_since.max(wish.known_since) + CATCH_UP;
            if knows.is_none() {
                continue;
            }
            if knows == wish.known {
                sharing.push(identity);
            } else if now < catches_up {
                decision.wake_at(catches_up);
                sharing.push(identity);
            }
        }
        sharing
    }

    /// Who is to have which target.
    fn share(&self, wish: Wish<'_>, sharing: &[&str], now: Instant, decision: &mut Decision) {
        let mut free: BTreeSet<&str> = BTreeSet::new();
        let mut held: Vec<(&str, Option<&str>)> = Vec::new();
        for name in wish.targets {
            let holder = self.holder(name);
            if self.is_free(name, wish, now, decision) {
                free.insert(name);
                held.push((name, None));
            } else if let Some(holder) = holder.filter(|holder| sharing.contains(holder)) {
                held.push((name, Some(holder)));
            }
        }
        let assigned = assign(held, sharing);
        let mine = |name: &str| wish.alone || assigned.get(name) == Some(&wish.me);
        decision.take = free.into_iter().filter(|name| mine(name)).map(Arc::from).collect();
        for (name, _) in self.states().filter(|(_, lease)| holder(lease) == Some(wish.me)) {
            if !wish.targets.contains(name) {
                decision.drop.insert(name.clone());
            } else if !mine(name) {
                decision.give.insert(name.clone());
            }
        }
    }

    /// Clusters are nobody's share: whose target leads to one first has it, as long as the target does.
    fn clusters(&self, wish: Wish<'_>, now: Instant, decision: &mut Decision) {
        for (name, of) in wish.clusters {
            if !self.is_free(name, wish, now, decision) {
                continue;
            }
            match self.kept_until(name, of, wish.me).filter(|until| now < *until) {
                Some(until) => {
                    decision.kept.insert(name.clone());
                    decision.wake_at(until);
                }
                None => decision.take.push(name.clone()),
            }
        }
        let held = self.leases.iter().filter(|(_, known)| is_cluster(&known.lease) && !known.gone);
        let held = held.filter(|(_, known)| holder(&known.lease) == Some(wish.me)).map(|(name, _)| name);
        // The Lease stays for a while: a target that another replica takes over, or whose credentials are new, asks for it next.
        decision.give.extend(held.filter(|name| !wish.clusters.contains_key(*name)).cloned());
    }

    /// A cluster that is free stays for a while with the target that had it: which of two names it is synced under must not
    /// depend on who is quicker when a replica ends. `None`: nobody had it, or this target itself.
    fn kept_until(&self, name: &str, of: &str, me: &str) -> Option<Instant> {
        let known = self.leases.get(name)?;
        annotation(&known.lease, labels::LEASE_CLUSTER_OF).filter(|last| *last != of)?;
        let since = match holder(&known.lease) {
            None => known.since,
            Some(holder) if holder == me => return None,
            Some(holder) => match self.leases.get(names::of_member(holder).as_str()) {
                Some(member) => member.since,
                None => *self.absent.get(holder)? + self.duration,
            },
        };
        Some(since + self.duration)
    }

    /// May this replica take it?
    fn is_free(&self, name: &str, wish: Wish<'_>, now: Instant, decision: &mut Decision) -> bool {
        let Some(known) = self.leases.get(name) else { return true };
        let Some(identity) = holder(&known.lease) else { return true };
        if identity == wish.me {
            // Deleted by hand, or perhaps given back: taken again, which fails if somebody else has.
            return known.gone || wish.doubt.contains(name);
        }
        let life = self.life(identity, now);
        let end = match life {
            Life::Until(end) => end,
            Life::Over => return true,
            Life::Silent => return false,
        };
        let forgotten = known.since + self.duration;
        if known.gone && now >= forgotten {
            return true;
        }
        decision.wake_at(if known.gone { end.min(forgotten) } else { end });
        false
    }

    /// Members that are over and hold nothing; clusters that nobody has worked on for a while.
    fn done_with(&self, now: Instant) -> Vec<Arc<str>> {
        let over = self.leases.iter().filter(|(_, known)| is_member(&known.lease) && holder(&known.lease).is_none());
        let mut over: BTreeSet<Arc<str>> = over.map(|(name, _)| name.clone()).collect();
        for known in self.leases.values().filter(|known| !is_member(&known.lease)) {
            if let Some(holder) = holder(&known.lease) {
                over.remove(names::of_member(holder).as_str());
            }
        }
        let left = |known: &Known| is_cluster(&known.lease) && !known.gone && holder(&known.lease).is_none();
        let left = self.leases.iter().filter(|(_, known)| left(known) && now >= known.since + self.duration);
        over.into_iter().chain(left.map(|(name, _)| name.clone())).collect()
    }
}

impl Decision {
    fn wake_at(&mut self, at: Instant) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

fn kind(lease: &Lease) -> Option<&str> {
    lease.metadata.labels.as_ref()?.get(labels::LEASE).map(String::as_str)
}

fn is_member(lease: &Lease) -> bool {
    kind(lease) == Some(labels::LEASE_MEMBER)
}

fn is_target(lease: &Lease) -> bool {
    kind(lease) == Some(labels::LEASE_TARGET)
}

fn is_cluster(lease: &Lease) -> bool {
    kind(lease) == Some(labels::LEASE_CLUSTER)
}

/// How long the holder of this Lease may go without renewing it.
fn held_for(lease: &Lease, otherwise: Duration) -> Duration {
    match lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds) {
        Some(seconds @ 1..) => Duration::from_secs(seconds.unsigned_abs().into()),
        _ => otherwise,
    }
}

/// Is it a later version? A watch may tell of a version after this replica's own write has made the next one.
fn is_newer(lease: &Lease, known: &Lease) -> bool {
    let version = |lease: &Lease| lease.metadata.resource_version.as_deref().and_then(|text| text.parse::<u64>().ok());
    match (version(lease), version(known)) {
        (Some(this), Some(that)) => this > that,
        _ => lease.metadata.resource_version != known.metadata.resource_version,
    }
}
