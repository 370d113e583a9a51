//! That a replica lives: its member Lease, renewed; a new one whenever the old one has run out.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use asm_shared::api::labels;
use k8s_openapi::api::coordination::v1::Lease;
use rand::Rng as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::names::{self, annotated, holder};
use super::{Claim, LeaseError, LeaseParams, Leases};

pub(super) struct Member<L> {
    leases: L,
    params: LeaseParams,
    claim: Arc<watch::Sender<Claim>>,
    /// Which targets this replica knows, as a hash.
    known: watch::Receiver<Option<Arc<str>>>,
    identity: Arc<str>,
    /// The Lease as it was stored last.
    lease: Option<Lease>,
    /// The last write may or may not have happened: look before writing again.
    unsure: bool,
    failures: u32,
}

impl<L: Leases> Member<L> {
    pub(super) fn new(
        leases: L,
        params: LeaseParams,
        claim: watch::Sender<Claim>,
        known: watch::Receiver<Option<Arc<str>>>,
    ) -> Self {
        let identity = names::identity(&params.identity).into();
        Self { leases, params, claim: Arc::new(claim), known, identity, lease: None, unsure: false, failures: 0 }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let claim = Arc::clone(&self.claim);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.release().await,
                () = expired(&claim) => tracing::warn!(
                    identity = &*self.identity,
                    "the member Lease could not be renewed in time: this replica stops writing"
                ),
                () = self.live() => {}
            }
            self.publish(Claim::none());
            // What was its own is everybody's now, its own included: under another name.
            self.identity = names::identity(&self.params.identity).into();
            self.lease = None;
            self.unsure = false;
        }
    }

    /// Joins and renews until that cannot go on under this name.
    async fn live(&mut self) {
        loop {
            let limit = self.params.request_timeout;
            let outcome = match timeout(limit, self.write()).await {
                Ok(outcome) => outcome,
                Err(_) => Err(LeaseError::Failed(format!("no answer within {} s", limit.as_secs_f32()))),
            };
            let pause = match outcome {
                Ok(()) => {
                    self.failures = 0;
                    jittered(self.params.renew)
                }
                Err(LeaseError::Conflict) => {
                    tracing::warn!(identity = &*self.identity, "the member Lease is over: this replica stops writing");
                    self.publish(Claim::none());
                    return sleep(self.backoff()).await;
                }
                Err(LeaseError::Failed(reason)) => {
                    tracing::warn!(reason, "the member Lease could not be read or written; trying again");
                    self.backoff()
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                // Nobody tells any more only when the agent ends.
                Ok(()) = self.known.changed() => {}
            }
        }
    }

    /// Makes or renews the Lease. A conflict: somebody has written that it is over.
    async fn write(&mut self) -> Result<(), LeaseError> {
        // After a pause of the whole process this is what runs first: a name that is over is not brought back to life.
        let joined = self.claim.borrow().joined;
        if joined && !self.claim.borrow().is_current() {
            return Err(LeaseError::Conflict);
        }
        if self.unsure {
            self.lease = self.look().await?;
            if joined && self.lease.is_none() {
                return Err(LeaseError::Conflict);
            }
        }
        // Before the request: others start counting no earlier than when the API server stored it.
        let started = (Instant::now(), SystemTime::now());
        let known = self.known.borrow_and_update().clone();
        let exists = self.lease.is_some();
        let lease =
            self.lease.clone().unwrap_or_else(|| names::new(&names::of_member(&self.identity), labels::LEASE_MEMBER));
        let mut lease = annotated(lease, labels::LEASE_TARGETS, known.as_deref());
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(self.identity.to_string());
        spec.acquire_time.get_or_insert_with(names::now);
        spec.renew_time = Some(names::now());
        // Rounded up: others may wait longer than this replica trusts its claim, never shorter.
        spec.lease_duration_seconds = Some(self.params.duration.as_secs_f64().ceil() as i32);
        self.unsure = true;
        let stored = if exists { self.leases.replace(lease).await? } else { self.leases.create(lease).await? };
        self.unsure = false;
        self.lease = Some(stored);
        let claim = Claim::begun(started, self.params.trusted(), &self.identity);
        if !claim.is_current() {
            return Err(LeaseError::Conflict);
        }
        if !joined {
            tracing::info!(identity = &*self.identity, "this replica has joined");
        }
        self.publish(claim);
        Ok(())
    }

    /// The Lease as it is now, if it is still this replica's.
    async fn look(&self) -> Result<Option<Lease>, LeaseError> {
        match self.leases.get(&names::of_member(&self.identity)).await? {
            Some(lease) if holder(&lease) == Some(&self.identity) => Ok(Some(lease)),
            Some(_) => Err(LeaseError::Conflict),
            None => Ok(None),
        }
    }

    /// Gives the Lease back: everything in the hands of this name is free from then on.
    async fn release(mut self) {
        self.publish(Claim::none());
        if self.lease.is_none() && !self.unsure {
            return;
        }
        let limit = self.params.request_timeout;
        let give_back = async {
            if self.unsure {
                self.lease = self.look().await?;
            }
            match self.lease.take() {
                Some(lease) => self.leases.replace(names::vacant(lease)).await.map(drop),
                None => Ok(()),
            }
        };
        match timeout(limit, give_back).await {
            Ok(Ok(())) => tracing::info!("the member Lease is given back"),
            Ok(Err(error)) => tracing::warn!(%error, "the member Lease could not be given back: it expires by itself"),
            Err(_) => tracing::warn!("the member Lease could not be given back in time: it expires by itself"),
        }
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

/// Ends at the moment the claim runs out, also while a request hangs.
async fn expired(claim: &watch::Sender<Claim>) {
    let mut watched = claim.subscribe();
    loop {
        let now = watched.borrow_and_update().clone();
        tokio::select! {
            // The sender is this replica's own: it cannot be gone.
            _ = watched.changed() => {}
            () = sleep_until(now.valid_until), if now.joined => return,
        }
    }
}

/// Up to a tenth shorter, so that replicas do not move in step and a member is never late.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.9..=1.0))
}
