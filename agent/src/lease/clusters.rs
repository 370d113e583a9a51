//! Which cluster is worked on as which target. Two targets of a FleetSync that are one cluster by mistake (a Secret with the
//! wrong kubeconfig, two names in `fleet.yaml`) would write the same objects, each into a set of its own, without end. Within one
//! replica `fleet::progress` keeps them apart; between replicas a Lease of the cluster does, which lives as those of targets do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;

use super::names;
use super::shards::{Shards, Share};

/// That a cluster is one target's. Dropped: it is free for another one, soon.
#[derive(Debug)]
pub struct ClusterClaim {
    shards: Shards,
    /// Its Lease.
    name: Arc<str>,
    /// `namespace/FleetSync/target`.
    of: Arc<str>,
    ended: AtomicBool,
}

impl Shards {
    /// Asks for a cluster (the UID of its `kube-system`), as a target of a FleetSync (`namespace/name`). It must not be written
    /// to before [`ClusterClaim::held`]. Ask for no cluster twice at a time.
    pub fn claim_cluster(&self, full_name: &str, target: &str, uid: &str) -> ClusterClaim {
        let name: Arc<str> = names::of_cluster(full_name, uid).into();
        let of: Arc<str> = format!("{full_name}/{target}").into();
        self.said().clusters.insert(name.clone(), of.clone());
        self.tell_news();
        ClusterClaim { shards: self.clone(), name, of, ended: AtomicBool::new(false) }
    }
}

impl ClusterClaim {
    /// Waits until the cluster is this target's. A replica that ends with the same target is waited for.
    ///
    /// # Errors
    /// It is another target's: `namespace/FleetSync/target`.
    pub async fn held(&self) -> Result<(), Arc<str>> {
        let mut share = self.shards.subscribe();
        loop {
            {
                let now = share.borrow_and_update();
                if self.is_in(&now) {
                    return Ok(());
                }
                if let Some(other) = now.claimed.get(&self.name).filter(|other| **other != self.of) {
                    return Err(other.clone());
                }
            }
            if share.changed().await.is_err() {
                // How the work is shared is told as long as there is an agent.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until it is not this target's any more.
    pub async fn lost(&self) {
        let mut share = self.shards.subscribe();
        if share.wait_for(|share| !self.is_in(share)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The work has come to its end by itself: nothing is on its way to the cluster.
    pub fn ended(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    fn is_in(&self, share: &Share) -> bool {
        share.everything || share.clusters.contains(&self.name)
    }
}

impl Drop for ClusterClaim {
    fn drop(&mut self) {
        let mut said = self.shards.said();
        said.clusters.remove(&self.name);
        if !self.ended.load(Ordering::Relaxed) {
            said.cut.insert(self.name.clone(), Instant::now());
        }
        self.shards.tell_news();
    }
}
