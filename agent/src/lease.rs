//! Which replica writes where, over `Lease`s: at any time at most one replica believes that it may write to a target.
//!
//! Each replica renews one *member* Lease, which says that it lives. The Lease of a target is taken once, by a write that
//! must meet the version that was seen, and is good as long as its holder's member Lease is: what renews is the replica, so
//! that a thousand targets cost no more requests than one.
//!
//! A target is a name. That two names lead to the same cluster is seen only where the cluster says which it is (`fleet`), and by
//! then two replicas may be there. So there is a Lease of the cluster, too ([`ClusterClaim`]): nothing is written without it.
//!
//! Clocks of other machines are never read. A member is over when its Lease says so: it has given it back, or another replica
//! has seen it unchanged for the whole duration **as measured there** and has written that it is over, against the very
//! version that it saw. From then on no renewal can succeed. The member itself counts its time from before the request that
//! the API server confirmed, minus a margin for writes that are on their way ([`Claim`]). One that was over comes back under
//! another name, with nothing in its hands: nobody ever has to tell an old claim from a new one.

mod api;
mod clusters;
mod keeper;
mod member;
mod names;
mod roster;
mod shards;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use api::{KubeLeases, LeaseError, Leases};
pub use clusters::ClusterClaim;
pub use shards::{Item, Offer, Shards, Share, Working};

/// That this replica lives, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whether there is a member Lease that says so.
    joined: bool,
    /// When the claim ends unless it is renewed.
    valid_until: Instant,
    /// The same by the clock on the wall: a machine that slept, or was moved, has a clock of its own that stood still.
    since: (SystemTime, Duration),
    /// Name of this replica in Leases; empty when it has none.
    identity: Arc<str>,
}

impl Claim {
    /// Whether this replica may write at this moment, where a Lease says that the target is its own. Ask before every write:
    /// a claim runs out by itself.
    pub fn is_current(&self) -> bool {
        // A clock that was set back says nothing.
        let slept = || self.since.0.elapsed().is_ok_and(|passed| passed >= self.since.1);
        self.joined && Instant::now() < self.valid_until && !slept()
    }

    /// No claim.
    pub(crate) fn none() -> Self {
        let (now, since) = (Instant::now(), (SystemTime::UNIX_EPOCH, Duration::ZERO));
        Self { joined: false, valid_until: now, since, identity: Arc::from("") }
    }

    /// A claim that began with a request at these times.
    fn begun((started, wall): (Instant, SystemTime), trusted: Duration, identity: &Arc<str>) -> Self {
        Self { joined: true, valid_until: started + trusted, since: (wall, trusted), identity: identity.clone() }
    }

    /// A claim that never ends, for an agent that runs alone (`--no-leader-election`).
    pub fn unchallenged(identity: &str) -> watch::Receiver<Self> {
        // A year: tokio's clock cannot add arbitrary durations.
        let year = Duration::from_secs(365 * 24 * 3600);
        watch::channel(Self::begun((Instant::now(), SystemTime::now()), year, &identity.into())).1
    }
}

/// A claim under one name. One that was lost and had again is another: what began under the first must not go on under the second.
#[derive(Clone, Debug)]
pub struct Tenure {
    claim: watch::Receiver<Claim>,
    identity: Arc<str>,
}

impl Tenure {
    /// The present one; it may be over already.
    pub fn of(claim: watch::Receiver<Claim>) -> Self {
        let identity = claim.borrow().identity.clone();
        Self { claim, identity }
    }

    /// Whether what began with it may write at this moment.
    pub fn is_current(&self) -> bool {
        let claim = self.claim.borrow();
        claim.identity == self.identity && claim.is_current()
    }

    /// Waits until it is over. When nobody tells of claims any more, there is one that stays for ever.
    pub async fn over(&self) {
        let mut claim = self.claim.clone();
        let over = |claim: &Claim| claim.identity != self.identity || !claim.is_current();
        if claim.wait_for(over).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// How the work is shared.
#[derive(Clone, Debug)]
pub struct LeaseParams {
    /// Name of this process, for people. What stands in Leases has something random added.
    pub identity: String,
    /// How long a member is good without renewal, for others.
    pub duration: Duration,
    /// How often a member renews.
    pub renew: Duration,
    /// After how long a request counts as failed.
    pub request_timeout: Duration,
    /// Takes all targets or none, and shares them with nobody (`--once`).
    pub alone: bool,
}

impl LeaseParams {
    /// Parameters with a request timeout that leaves time for several tries within one duration.
    pub fn new(identity: &str, duration: Duration, renew: Duration) -> Self {
        Self {
            identity: identity.to_owned(),
            duration,
            renew,
            request_timeout: (renew / 2).max(Duration::from_secs(1)),
            alone: false,
        }
    }

    /// How long a member itself trusts a renewal: a fifth less than others wait.
    fn trusted(&self) -> Duration {
        self.duration * 4 / 5
    }

    /// How long a write that has left may take to land.
    fn margin(&self) -> Duration {
        self.duration / 5
    }
}

/// A replica among others.
pub struct Membership {
    /// Whether it may write.
    pub claim: watch::Receiver<Claim>,
    /// Where.
    pub shards: Shards,
    task: JoinHandle<()>,
    keeper: JoinHandle<()>,
}

impl Membership {
    /// Joins the other replicas. It goes on through API errors until `stop`; then the member Lease is given back, so that
    /// others need not wait for it to expire. Stop it only after the last write.
    pub fn start(leases: impl Leases, params: LeaseParams, stop: CancellationToken) -> Self {
        let (sender, claim) = watch::channel(Claim::none());
        let (shards, known) = Shards::new(params.alone);
        let member = member::Member::new(leases.clone(), params.clone(), sender, known);
        let task = tokio::spawn(member.run(stop));
        let keeper = tokio::spawn(keeper::Keeper::new(leases, params, claim.clone(), shards.clone()).run());
        Self { claim, shards, task, keeper }
    }

    /// Ends when the member Lease has been given back after `stop`.
    pub async fn ended(self) {
        let _ = self.task.await;
        self.keeper.abort();
    }
}
