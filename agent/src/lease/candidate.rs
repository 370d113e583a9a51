//! One replica's part in the election.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use rand::Rng as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{Claim, LeaseError, LeaseParams, Leases};

/// What was seen of the Lease last, and when it was first seen like that.
struct Observed {
    lease: Lease,
    since: Instant,
}

pub(super) struct Candidate<L> {
    leases: L,
    params: LeaseParams,
    claim: Arc<watch::Sender<Claim>>,
    observed: Option<Observed>,
    /// The last write may or may not have happened: look before writing again.
    unsure: bool,
    failures: u32,
}

impl<L: Leases> Candidate<L> {
    pub(super) fn new(leases: L, params: LeaseParams, claim: watch::Sender<Claim>) -> Self {
        Self { leases, params, claim: Arc::new(claim), observed: None, unsure: false, failures: 0 }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let claim = Arc::clone(&self.claim);
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = expire(&claim) => {}
            () = self.elect() => {}
        }
        self.release().await;
    }

    async fn elect(&mut self) {
        loop {
            let pause = self.round().await;
            sleep(pause).await;
        }
    }

    /// One look or write; how long to wait before the next.
    async fn round(&mut self) -> Duration {
        let limit = self.params.request_timeout;
        let outcome = match timeout(limit, self.attempt()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(LeaseError::Failed(format!("no answer within {} s", limit.as_secs_f32()))),
        };
        match outcome {
            Ok(pause) => {
                self.failures = 0;
                pause
            }
            Err(LeaseError::Conflict) => {
                // Somebody else wrote: whatever this replica believed is over until it has looked again.
                if self.claim.borrow().holder_is_me {
                    tracing::warn!("the Lease was changed by somebody else: this replica stops writing");
                }
                self.publish(Claim::none());
                self.unsure = true;
                self.backoff()
            }
            Err(LeaseError::Failed(reason)) => {
                tracing::warn!(reason, "the Lease could not be read or written; trying again");
                self.unsure = true;
                self.backoff()
            }
        }
    }

    async fn attempt(&mut self) -> Result<Duration, LeaseError> {
        let holds = self.claim.borrow().is_current();
        if !holds || self.unsure || self.observed.is_none() {
            let Some(found) = self.leases.get().await? else {
                // Deleted by hand: its holder notices only at its next renewal.
                if let Some(wait) = self.others_time_left() {
                    return Ok(wait);
                }
                self.observed = None;
                return self.write(None).await;
            };
            self.observe(found);
            self.unsure = false;
        }
        match self.others_time_left() {
            Some(wait) => Ok(wait),
            None => {
                let lease = self.observed.as_ref().map(|observed| observed.lease.clone());
                self.write(lease).await
            }
        }
    }

    /// How long to wait while another replica holds the Lease; none when this one may take or renew it.
    fn others_time_left(&self) -> Option<Duration> {
        let observed = self.observed.as_ref()?;
        let spec = observed.lease.spec.as_ref()?;
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == self.params.identity {
            return None;
        }
        let free_at = observed.since + held_for(spec, self.params.duration);
        let left = free_at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        self.publish(Claim { holder_is_me: false, valid_until: free_at, holder: holder.into() });
        Some(jittered(self.params.renew).min(left))
    }

    /// Takes or renews the Lease.
    async fn write(&mut self, current: Option<Lease>) -> Result<Duration, LeaseError> {
        // Before the request: others start counting no earlier than when the API server stored it.
        let started = Instant::now();
        // Until the answer is there, the write may or may not have happened.
        self.unsure = true;
        let now = MicroTime(Timestamp::now());
        let mut lease = current.unwrap_or_default();
        let exists = lease.metadata.resource_version.is_some();
        let spec = lease.spec.get_or_insert_default();
        let renewed = spec.holder_identity.as_deref() == Some(&self.params.identity);
        if !renewed {
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
        }
        spec.holder_identity = Some(self.params.identity.clone());
        spec.renew_time = Some(now);
        // Rounded up: others may wait longer than this replica trusts its claim, never shorter.
        let seconds = self.params.duration.as_secs_f64().ceil();
        spec.lease_duration_seconds = Some(seconds as i32);
        let written = if exists { self.leases.replace(lease).await? } else { self.leases.create(lease).await? };
        self.unsure = false;
        self.observe(written);
        if !self.claim.borrow().holder_is_me {
            tracing::info!(identity = self.params.identity, "this replica holds the Lease: it writes");
        }
        self.publish(Claim {
            holder_is_me: true,
            valid_until: started + self.params.trusted(),
            holder: self.params.identity.as_str().into(),
        });
        Ok(jittered(self.params.renew))
    }

    /// Remembers a Lease; its time starts anew only when it has changed.
    fn observe(&mut self, lease: Lease) {
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        let same = self.observed.as_ref().is_some_and(|seen| version(&seen.lease) == version(&lease));
        if !same {
            self.observed = Some(Observed { lease, since: Instant::now() });
        }
    }

    /// Gives the Lease back.
    async fn release(self) {
        let held = self.claim.borrow().holder_is_me || self.unsure;
        self.publish(Claim::none());
        if !held {
            return;
        }
        let limit = self.params.request_timeout;
        match timeout(limit, self.clear()).await {
            Ok(Ok(true)) => tracing::info!("the Lease is released"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the Lease could not be released: it expires by itself"),
            Err(_) => tracing::warn!("the Lease could not be released in time: it expires by itself"),
        }
    }

    async fn clear(&self) -> Result<bool, LeaseError> {
        // Looked up anew: a renewal may have been cut off by the end of the election.
        let Some(mut lease) = self.leases.get().await? else { return Ok(false) };
        let Some(spec) = lease.spec.as_mut() else { return Ok(false) };
        if spec.holder_identity.as_deref() != Some(&self.params.identity) {
            return Ok(false);
        }
        spec.holder_identity = None;
        spec.acquire_time = None;
        spec.renew_time = None;
        self.leases.replace(lease).await?;
        Ok(true)
    }

    fn publish(&self, claim: Claim) {
        self.claim.send_if_modified(|current| {
            let changed = *current != claim;
            *current = claim;
            changed
        });
    }

    /// Doubling pauses after failures, never longer than the time between two renewals.
    fn backoff(&mut self) -> Duration {
        let pause = Duration::from_millis(200 << self.failures.min(8));
        self.failures = self.failures.saturating_add(1);
        jittered(pause.min(self.params.renew))
    }
}

/// Publishes the end of a claim at the moment it runs out, also while a request hangs: whoever does the work waits for it.
async fn expire(claim: &watch::Sender<Claim>) {
    let mut watched = claim.subscribe();
    loop {
        let now = watched.borrow_and_update().clone();
        if !now.holder_is_me {
            // The sender is ours: it cannot be gone.
            let _ = watched.changed().await;
            continue;
        }
        tokio::select! {
            _ = watched.changed() => {}
            () = sleep_until(now.valid_until) => {
                let ended = claim.send_if_modified(|claim| {
                    let ended = claim.holder_is_me && claim.valid_until <= Instant::now();
                    if ended {
                        *claim = Claim::none();
                    }
                    ended
                });
                if ended {
                    tracing::warn!("the Lease could not be renewed in time: this replica stops writing");
                }
            }
        }
    }
}

/// How long the holder of this Lease may go without renewing it.
fn held_for(spec: &LeaseSpec, otherwise: Duration) -> Duration {
    match spec.lease_duration_seconds {
        Some(seconds @ 1..) => Duration::from_secs(seconds.unsigned_abs().into()),
        _ => otherwise,
    }
}

/// Up to a tenth shorter, so that replicas do not move in step and a holder is never late.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.9..=1.0))
}
