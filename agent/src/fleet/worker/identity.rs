//! Is the API server still that of the cluster which the inventory is about? A kubeconfig that leads somewhere else would
//! make everything look deleted, and the next commit would be written into a cluster that it is not for.
//!
//! A cluster is known by the UID of its namespace `kube-system`. Where that cannot be read (no such namespace, no
//! permission) nothing is known, and nothing is claimed.

use super::Worker;
use crate::fleet::progress;
use crate::lease::ClusterClaim;
use asm_io::cluster::{ClusterError, ErrorKind};
use asm_shared::fleet::Target;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::Api;
use std::time::Duration;

/// How long an answer may take; the pass is tried again afterwards.
const PATIENCE: Duration = Duration::from_secs(10);
/// What shows that an API server answers for Istio's kinds.
const ISTIO: [&str; 2] = ["networking.istio.io/v1", "networking.istio.io/v1beta1"];

/// That the cluster is this target's and no other's, neither of another replica nor of this one. Given back in this order.
pub(super) struct Held {
    cluster: ClusterClaim,
    _here: progress::Claim,
}

impl Held {
    /// The work has come to its end by itself.
    pub(super) fn ended(&self) {
        self.cluster.ended();
    }
}

/// Waits until the cluster is not this target's any more; for ever when it never was.
pub(super) async fn lost(held: Option<&Held>) {
    match held {
        Some(held) => held.cluster.lost().await,
        None => std::future::pending().await,
    }
}

/// What is known of the cluster behind the kubeconfig.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    /// The cluster that the inventory is about.
    pub(super) stored: Option<String>,
    /// It was looked at, and may be written to.
    pub(super) trusted: bool,
    /// It is another one: why nothing is done.
    pub(super) misled: Option<String>,
}

impl Worker {
    /// Looks, once, where the kubeconfig leads. Nothing is written before.
    pub(super) async fn identify(&mut self) -> Result<(), ClusterError> {
        if self.identity.trusted {
            return Ok(());
        }
        if self.order.desired.target != Target::Mesh {
            self.report.serves_istio = self.serves_istio().await;
        }
        let namespaces: Api<Namespace> = Api::all(self.resources.client());
        let asked = tokio::time::timeout(PATIENCE, namespaces.get_metadata("kube-system")).await;
        let asked = asked.map_err(|_| ClusterError::new(ErrorKind::Timeout, "the API server does not answer"))?;
        let live = match asked.map_err(ClusterError::from) {
            Ok(namespace) => namespace.metadata.uid,
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Forbidden) => None,
            Err(error) => return Err(error),
        };
        let Some(live) = live else {
            self.identity.trusted = true;
            return Ok(());
        };
        if self.is_another(&live)
            && let Ok((inventory, stored)) = self.store.load().await
        {
            // Somebody who has made the cluster anew deletes the inventory.
            self.state.inventory = inventory;
            self.identity.stored = stored;
        }
        self.identity.misled = self.why_misled(&live).await?;
        if self.identity.misled.is_none() {
            self.dirty |= self.identity.stored.as_ref() != Some(&live);
            self.identity.stored = Some(live);
            self.identity.trusted = true;
        }
        Ok(())
    }

    /// Does a member cluster answer for Istio's kinds, which are the mesh's all the same (access by the data plane's KubeAPI)?
    /// Nothing depends on it: those kinds are addressed at the mesh API alone, in every case. It is told, because the same
    /// object seems to be in several places then.
    async fn serves_istio(&self) -> bool {
        for version in ISTIO {
            if let Ok(Ok(true)) = tokio::time::timeout(PATIENCE, self.resources.serves(version)).await {
                tracing::info!(target = %self.target(), version, "the API server also answers for Istio's kinds");
                return true;
            }
        }
        false
    }

    fn is_another(&self, live: &str) -> bool {
        !self.state.inventory.is_empty() && self.identity.stored.as_deref().is_some_and(|stored| stored != live)
    }

    async fn why_misled(&mut self, live: &str) -> Result<Option<String>, ClusterError> {
        let secret = &self.order.kubeconfig.name;
        if self.is_another(live) {
            return Ok(Some(format!(
                "the kubeconfig in Secret {secret} leads to another cluster than the one that was synced (its kube-system has UID \
                 {live}); nothing is read or written there. Put the right kubeconfig back, or, if the cluster was made anew, \
                 delete ConfigMap {}",
                self.store.name()
            )));
        }
        let taken = |other: &str| {
            format!(
                "the kubeconfig in Secret {secret} leads to the cluster of {other}; nothing is written there twice. Put the right \
                 kubeconfig into the Secret"
            )
        };
        let here = match self.progress.claim(&self.order.desired.target, live) {
            Ok(here) => here,
            Err(other) => return Ok(Some(taken(other.name()))),
        };
        // Another replica may find out at this moment that one of its targets is the same cluster.
        let cluster = self.context.shards.claim_cluster(&self.owner, self.target(), live);
        let held = tokio::time::timeout(PATIENCE, cluster.held()).await;
        if !matches!(held, Ok(Ok(()))) {
            // Nothing was written under it.
            cluster.ended();
        }
        match held {
            Ok(Ok(())) => {
                self.claim = Some(Held { cluster, _here: here });
                Ok(None)
            }
            Ok(Err(other)) => Ok(Some(taken(other.rsplit('/').next().unwrap_or(&other)))),
            Err(_) => {
                let why = "the Lease of the cluster cannot be had from the home cluster; nothing is written without it";
                Err(ClusterError::new(ErrorKind::Timeout, why))
            }
        }
    }
}
