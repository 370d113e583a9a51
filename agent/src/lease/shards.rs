//! What supervisors and the sharing of the work have to say to each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::names;

/// One target of one FleetSync.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Name of its Lease.
    pub(super) name: Arc<str>,
    /// `namespace/FleetSync/target`, for people.
    pub(super) of: Arc<str>,
}

impl Item {
    /// A target (`mesh` or a cluster's name) of a FleetSync (`namespace/name`).
    pub fn new(full_name: &str, target: &str) -> Self {
        Self { name: names::of_target(full_name, target).into(), of: format!("{full_name}/{target}").into() }
    }
}

/// How the work is shared at the moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Share {
    /// This replica writes the status of FleetSyncs.
    pub leads: bool,
    /// Who does; empty when nobody is known to.
    pub leader: Arc<str>,
    /// There are other replicas, which want to know how the targets of this one stand.
    pub others: bool,
    /// There is no sharing: every target is this replica's.
    pub(super) everything: bool,
    /// Leases of the targets that are this replica's to work on.
    pub(super) mine: BTreeSet<Arc<str>>,
    /// Targets that it has to end with, because another replica is to have them.
    pub(super) leaving: BTreeSet<Arc<str>>,
    /// Leases of the clusters that targets of this replica may write to.
    pub(super) clusters: BTreeSet<Arc<str>>,
    /// Clusters that targets of this replica lead to, though they are another target's of another replica: which.
    pub(super) claimed: BTreeMap<Arc<str>, Arc<str>>,
    /// What other replicas tell of theirs, by Lease.
    pub(super) told: BTreeMap<Arc<str>, Arc<str>>,
    /// Which replica has which of the others' targets, by Lease.
    pub(super) holders: BTreeMap<Arc<str>, Arc<str>>,
}

impl Share {
    /// Is it this replica's to work on?
    pub fn is_mine(&self, item: &Item) -> bool {
        self.everything || self.mine.contains(&item.name)
    }

    /// Is it still this replica's, and to be ended with in order? Otherwise it is another's already.
    pub fn is_leaving(&self, item: &Item) -> bool {
        self.leaving.contains(&item.name)
    }

    /// The replica that works on it, when that is another one: the name of its pod.
    pub fn holder(&self, item: &Item) -> Option<&str> {
        let holder = self.holders.get(&item.name)?;
        Some(holder.rsplit_once('_').map_or(&**holder, |(pod, _)| pod))
    }

    /// What the replica that works on it tells.
    pub fn told(&self, item: &Item) -> Option<&Arc<str>> {
        self.told.get(&item.name)
    }
}

/// What the supervisors of this replica have said.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Targets, by offer: a FleetSync that is made anew has one before the old one's is gone.
    offers: BTreeMap<u64, Vec<Item>>,
    next_offer: u64,
    /// How targets stand, by Lease.
    pub(super) states: BTreeMap<Arc<str>, Arc<str>>,
    /// Targets that are being worked on, by Lease.
    pub(super) working: BTreeSet<Arc<str>>,
    /// Clusters that targets lead to, by Lease, and of which target each.
    pub(super) clusters: BTreeMap<Arc<str>, Arc<str>>,
    /// Targets and clusters where work was cut off, and when: something of it may still be on its way.
    pub(super) cut: BTreeMap<Arc<str>, Instant>,
    /// The hash of what is offered, and since when.
    pub(super) known: Option<Arc<str>>,
    pub(super) known_since: Option<Instant>,
}

impl Said {
    /// All targets, by Lease.
    pub(super) fn items(&self) -> BTreeMap<Arc<str>, Arc<str>> {
        self.offers.values().flatten().map(|item| (item.name.clone(), item.of.clone())).collect()
    }
}

#[derive(Debug)]
struct Desk {
    said: Mutex<Said>,
    news: Notify,
    share: watch::Sender<Arc<Share>>,
    /// For the member Lease.
    known: watch::Sender<Option<Arc<str>>>,
    alone: bool,
}

/// Where this replica may write. Clones share everything.
#[derive(Clone, Debug)]
pub struct Shards(Arc<Desk>);

impl Shards {
    /// Shared with other replicas. `alone`: with nobody, though they are there.
    pub(super) fn new(alone: bool) -> (Self, watch::Receiver<Option<Arc<str>>>) {
        let (known, receiver) = watch::channel(None);
        (Self::with(Share::default(), known, alone), receiver)
    }

    /// Everything is this replica's, and nobody is asked.
    pub fn unshared() -> Self {
        let share = Share { leads: true, everything: true, ..Share::default() };
        Self::with(share, watch::channel(None).0, true)
    }

    fn with(share: Share, known: watch::Sender<Option<Arc<str>>>, alone: bool) -> Self {
        let share = watch::Sender::new(Arc::new(share));
        Self(Arc::new(Desk { said: Mutex::default(), news: Notify::new(), share, known, alone }))
    }

    /// How the work is shared, now and whenever that changes.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Share>> {
        self.0.share.subscribe()
    }

    /// Does this replica write the status of FleetSyncs?
    pub fn leads(&self) -> bool {
        self.0.share.borrow().leads
    }

    /// Takes the targets of one FleetSync, as long as the answer lives.
    pub fn offer(&self) -> Offer {
        let mut said = self.said();
        said.next_offer += 1;
        Offer { shards: self.clone(), number: said.next_offer }
    }

    // A panic while the lock was held cannot leave it half changed: every change is one call.
    pub(super) fn said(&self) -> MutexGuard<'_, Said> {
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was said.
    pub(super) fn tell_news(&self) {
        self.0.news.notify_one();
    }

    /// Waits until a supervisor says something.
    pub(super) async fn news(&self) {
        self.0.news.notified().await;
    }

    pub(super) fn publish(&self, share: Share) {
        self.0.share.send_if_modified(|current| {
            let changed = **current != share;
            if changed {
                *current = Arc::new(share);
            }
            changed
        });
    }

    pub(super) fn shared(&self) -> Arc<Share> {
        self.0.share.borrow().clone()
    }

    /// What the targets are that this replica knows, as a hash, has changed.
    fn offered(&self, said: &mut Said) {
        let mut hash = Sha256::new();
        let items = said.items();
        items.keys().for_each(|name| hash.update(format!("{name}\n").as_bytes()));
        let hex: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let known: Option<Arc<str>> = (!items.is_empty() && !self.0.alone).then(|| hex.into());
        if said.known != known {
            said.known.clone_from(&known);
            said.known_since = Some(Instant::now());
            self.0.known.send_replace(known);
        }
        said.states.retain(|name, _| items.contains_key(name));
        self.0.news.notify_one();
    }
}

/// The targets of one FleetSync. Dropped: nobody here wants them any more.
#[derive(Debug)]
pub struct Offer {
    shards: Shards,
    number: u64,
}

impl Offer {
    /// These are its targets.
    pub fn set(&self, items: Vec<Item>) {
        let mut said = self.shards.said();
        if said.offers.get(&self.number) != Some(&items) {
            said.offers.insert(self.number, items);
            self.shards.offered(&mut said);
        }
    }

    /// How a target stands, for the other replicas.
    pub fn tell(&self, item: &Item, state: String) {
        let mut said = self.shards.said();
        if said.states.get(&item.name).is_none_or(|told| **told != *state) {
            said.states.insert(item.name.clone(), state.into());
            self.shards.0.news.notify_one();
        }
    }

    /// Begins to work on a target, if it is this replica's. It is not given away before the answer is dropped.
    pub fn begin(&self, item: &Item) -> Option<Working> {
        // Under the lock, so that it is not given away between the look and the beginning.
        let mut said = self.shards.said();
        // One task of a target has to end before the next begins.
        if !self.shards.shared().is_mine(item) || said.working.contains(&item.name) {
            return None;
        }
        said.working.insert(item.name.clone());
        Some(Working { shards: self.shards.clone(), name: item.name.clone(), ended: AtomicBool::new(false) })
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        let mut said = self.shards.said();
        said.offers.remove(&self.number);
        self.shards.offered(&mut said);
    }
}

/// That a target is being worked on.
#[derive(Debug)]
pub struct Working {
    shards: Shards,
    name: Arc<str>,
    ended: AtomicBool,
}

impl Working {
    /// The work has come to its end by itself: nothing is on its way.
    pub fn ended(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let mut said = self.shards.said();
        if !self.ended.load(Ordering::Relaxed) {
            said.cut.insert(self.name.clone(), Instant::now());
        }
        said.working.remove(&self.name);
        // What it told is not what the next holder would tell.
        said.states.remove(&self.name);
        self.shards.0.news.notify_one();
    }
}
