//! Leader election over a `Lease`: at any time at most one replica believes that it may write.
//!
//! Modelled on kubert's lease. Clocks of other machines are never read: a candidate takes over when the Lease has not
//! changed for the holder's whole duration **as measured here**, and the holder counts its time from before the request
//! that the API server confirmed, minus a margin for writes that are still on their way.

mod api;
mod candidate;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use api::{KubeLeases, LeaseError, Leases};

/// Who may write, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whether the Lease is this replica's.
    pub holder_is_me: bool,
    /// When the claim ends unless it is renewed. Of another replica's claim: when it may be taken over.
    pub valid_until: Instant,
    /// The holder, for logs; empty when nobody is known to hold the Lease.
    pub holder: Arc<str>,
}

impl Claim {
    /// Whether this replica may write at this moment. Ask before every write: a claim runs out by itself.
    pub fn is_current(&self) -> bool {
        self.holder_is_me && Instant::now() < self.valid_until
    }

    /// Nobody holds the Lease, as far as is known.
    fn none() -> Self {
        Self { holder_is_me: false, valid_until: Instant::now(), holder: Arc::from("") }
    }

    /// A claim that never ends, for an agent that runs alone (`--no-leader-election`).
    pub fn unchallenged(identity: &str) -> watch::Receiver<Self> {
        // A year: tokio's clock cannot add arbitrary durations.
        let valid_until = Instant::now() + Duration::from_secs(365 * 24 * 3600);
        watch::channel(Self { holder_is_me: true, valid_until, holder: identity.into() }).1
    }
}

/// How the election is run.
#[derive(Clone, Debug)]
pub struct LeaseParams {
    /// Name of this candidate; must differ from every other process's, also from that of an earlier start.
    pub identity: String,
    /// How long a claim is good without renewal, for others.
    pub duration: Duration,
    /// How often the holder renews and others look.
    pub renew: Duration,
    /// After how long a request counts as failed.
    pub request_timeout: Duration,
}

impl LeaseParams {
    /// Parameters with a request timeout that leaves time for several tries within one duration.
    pub fn new(identity: &str, duration: Duration, renew: Duration) -> Self {
        Self {
            identity: identity.to_owned(),
            duration,
            renew,
            request_timeout: (renew / 2).max(Duration::from_secs(1)),
        }
    }

    /// How long the holder itself trusts a renewal: a fifth less than others wait, so that a write that began just
    /// before the end has landed before anyone else writes.
    fn trusted(&self) -> Duration {
        self.duration * 4 / 5
    }
}

/// A running election.
pub struct Election {
    /// Who may write. The channel closes when the election has ended.
    pub claim: watch::Receiver<Claim>,
    /// Ends once the Lease is released after `stop`.
    pub task: JoinHandle<()>,
}

/// Starts the election. It goes on through API errors until `stop`; then the Lease is released, if held, so that
/// another replica need not wait for it to expire. Stop it only after the last write.
pub fn start(leases: impl Leases, params: LeaseParams, stop: CancellationToken) -> Election {
    let (sender, claim) = watch::channel(Claim::none());
    let task = tokio::spawn(candidate::Candidate::new(leases, params, sender).run(stop));
    Election { claim, task }
}
