//! The simulated cloud: which load balancers exist, which are gone, and every operation on them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

/// One account's load balancers as one cluster sees them (`Lab::cloud`). Addresses are never given twice, so a test
/// can tell a load balancer that was kept from one that was made again.
#[derive(Debug, Clone)]
pub struct Cloud {
    cluster: String,
    state: Arc<Mutex<State>>,
    /// Counts changes of what exists.
    changes: Arc<watch::Sender<u64>>,
}

/// CLB or NLB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadBalancerKind {
    /// Classic Load Balancer: has an IP.
    Clb,
    /// Network Load Balancer: has a domain name.
    Nlb,
}

/// The object that a load balancer was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Context of the cluster.
    pub cluster: String,
    /// Namespace of the Service (or of the IstioGateway, for a serverless one).
    pub namespace: String,
    /// Name of the Service or IstioGateway.
    pub name: String,
    /// Its UID: a re-created Service is another owner.
    pub uid: String,
}

/// A load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadBalancer {
    /// `lb-…` or `nlb-…`
    pub id: String,
    /// CLB or NLB
    pub kind: LoadBalancerKind,
    /// The IP; for an NLB its domain name.
    pub address: String,
    /// What it was made for; none for one made in the console, or preserved when its Service went.
    pub owner: Option<Owner>,
    /// Services that use it through the annotation `…-loadbalancer-id`.
    pub reused_by: Vec<Owner>,
    /// When it was made.
    pub created: Timestamp,
    /// Front-end ports, as `PORT/PROTOCOL`.
    pub listeners: BTreeSet<String>,
    /// Attributes by the last part of their annotation's key: `address-type`, `spec`, …
    pub attributes: BTreeMap<String, String>,
}

impl LoadBalancer {
    /// `internet` or `intranet`
    #[must_use]
    pub fn address_type(&self) -> &str {
        self.attributes.get("address-type").map_or("internet", String::as_str)
    }
}

/// A load balancer that is gone, with its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedLoadBalancer {
    /// As it was.
    pub load_balancer: LoadBalancer,
    /// When.
    pub time: Timestamp,
    /// Why: `Service deleted`, `type changed`, `deleted in the console`, …
    pub reason: String,
}

/// What a synchronisation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncKind {
    /// Made the load balancer.
    Create,
    /// Compared and updated attributes and listeners, as the Service's hash had changed.
    Update,
    /// Deleted it, or let it go.
    Delete,
    /// Was refused; the message of the event.
    Failed(String),
}

/// One synchronisation of one Service with the cloud. Reconciliations that find the hash unchanged are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudSync {
    /// For whom.
    pub owner: Owner,
    /// The load balancer, if there was one.
    pub load_balancer: Option<String>,
    /// What it did.
    pub kind: SyncKind,
    /// When.
    pub time: Timestamp,
}

#[derive(Debug, Default)]
struct State {
    alive: Vec<LoadBalancer>,
    deleted: Vec<DeletedLoadBalancer>,
    syncs: Vec<CloudSync>,
    /// How many addresses were given from each pool.
    given: BTreeMap<String, u32>,
    made: u64,
    members: Vec<String>,
}

impl Cloud {
    pub(crate) fn new(cluster: &str, members: &[String]) -> Self {
        let state = State { members: members.to_vec(), ..State::default() };
        let changes = Arc::new(watch::Sender::new(0));
        Self { cluster: cluster.to_owned(), state: Arc::new(Mutex::new(state)), changes }
    }

    /// The same account, seen from another cluster.
    #[must_use]
    pub fn of(&self, cluster: &str) -> Self {
        Self { cluster: cluster.to_owned(), ..self.clone() }
    }

    /// Wakes whenever a load balancer of the account comes, goes or changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The load balancers that exist and that this cluster made or uses.
    #[must_use]
    pub fn load_balancers(&self) -> Vec<LoadBalancer> {
        let mine = |o: &Owner| o.cluster == self.cluster;
        let used = |lb: &&LoadBalancer| lb.owner.as_ref().is_some_and(mine) || lb.reused_by.iter().any(mine);
        self.state().alive.iter().filter(used).cloned().collect()
    }

    /// The one of a Service of this cluster, made for it or reused by it.
    #[must_use]
    pub fn load_balancer_of(&self, namespace: &str, name: &str) -> Option<LoadBalancer> {
        let mine = |o: &Owner| o.cluster == self.cluster && o.namespace == namespace && o.name == name;
        self.state().alive.iter().find(|lb| lb.owner.iter().chain(&lb.reused_by).any(mine)).cloned()
    }

    /// Any load balancer of the account, by ID.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<LoadBalancer> {
        self.state().alive.iter().find(|lb| lb.id == id).cloned()
    }

    /// The load balancers of this cluster that are gone, oldest first.
    #[must_use]
    pub fn deleted(&self) -> Vec<DeletedLoadBalancer> {
        let mine = |d: &&DeletedLoadBalancer| d.load_balancer.owner.as_ref().is_some_and(|o| o.cluster == self.cluster);
        self.state().deleted.iter().filter(mine).cloned().collect()
    }

    /// Every synchronisation for this cluster, oldest first.
    #[must_use]
    pub fn syncs(&self) -> Vec<CloudSync> {
        self.state().syncs.iter().filter(|s| s.owner.cluster == self.cluster).cloned().collect()
    }

    /// Makes a CLB as a person in the console does: Services can reuse it by its ID.
    #[must_use]
    pub fn create_load_balancer(&self, address_type: &str) -> LoadBalancer {
        let attributes = BTreeMap::from([("address-type".to_owned(), address_type.to_owned())]);
        self.make(LoadBalancerKind::Clb, None, attributes, None)
    }

    /// Deletes a load balancer as a person in the console does, behind the controllers' backs.
    pub fn delete_load_balancer(&self, id: &str) -> bool {
        self.remove(id, "deleted in the console")
    }

    pub(crate) fn make(
        &self,
        kind: LoadBalancerKind,
        owner: Option<Owner>,
        attributes: BTreeMap<String, String>,
        pool: Option<&str>,
    ) -> LoadBalancer {
        let mut state = self.state();
        state.made += 1;
        let mut hash = Sha256::new();
        hash.update(self.cluster.as_bytes());
        hash.update(state.made.to_le_bytes());
        let digest = crate::hex(&hash.finalize());
        let id = &digest[..20];
        let address_type = attributes.get("address-type").map_or("internet", String::as_str);
        let (id, address) = match kind {
            LoadBalancerKind::Clb => (format!("lb-{id}"), state.next_address(&self.cluster, address_type, pool)),
            LoadBalancerKind::Nlb => {
                (format!("nlb-{id}"), format!("nlb-{id}.{}.nlb.example.net", self.cluster.to_lowercase()))
            }
        };
        let made = LoadBalancer {
            id,
            kind,
            address,
            owner,
            reused_by: Vec::new(),
            created: Timestamp::now(),
            listeners: BTreeSet::new(),
            attributes,
        };
        state.alive.push(made.clone());
        drop(state);
        self.changed();
        made
    }

    pub(crate) fn remove(&self, id: &str, reason: &str) -> bool {
        let mut state = self.state();
        let Some(at) = state.alive.iter().position(|lb| lb.id == id) else { return false };
        let load_balancer = state.alive.remove(at);
        state.deleted.push(DeletedLoadBalancer { load_balancer, time: Timestamp::now(), reason: reason.to_owned() });
        drop(state);
        self.changed();
        true
    }

    pub(crate) fn made_for(&self, uid: &str) -> Option<LoadBalancer> {
        self.state().alive.iter().find(|lb| lb.owner.as_ref().is_some_and(|o| o.uid == uid)).cloned()
    }

    pub(crate) fn change(&self, id: &str, change: impl FnOnce(&mut LoadBalancer)) {
        if let Some(lb) = self.state().alive.iter_mut().find(|lb| lb.id == id) {
            change(lb);
        }
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn record(&self, owner: Owner, load_balancer: Option<String>, kind: SyncKind) {
        self.state().syncs.push(CloudSync { owner, load_balancer, kind, time: Timestamp::now() });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Public addresses are from the ranges for documentation, private ones look like a VPC's.
    fn next_address(&mut self, cluster: &str, address_type: &str, pool: Option<&str>) -> String {
        let index = self.members.iter().position(|m| m == cluster).unwrap_or(self.members.len());
        let pool = match (pool, address_type, index) {
            (Some(pool), ..) => pool.to_owned(),
            (None, "intranet", _) => format!("10.{}", 200 + index % 50),
            (None, _, 0) => "203.0.113".to_owned(),
            (None, _, 1) => "192.0.2".to_owned(),
            _ => format!("100.{}", 64 + index % 64),
        };
        let given = self.given.entry(pool.clone()).or_insert(0);
        *given += 1;
        let n = *given;
        match pool.matches('.').count() {
            // The documentation ranges hold 254 addresses; a load test that needs more gets them from elsewhere.
            2 if n < 255 => format!("{pool}.{n}"),
            2 => format!("100.{}.{}.{}", 64 + index % 64, n / 250, n % 250 + 1),
            _ => format!("{pool}.{}.{}", n / 250, n % 250 + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cluster_sees_its_own_and_addresses_are_never_given_twice() {
        let cloud = Cloud::new("m1c1", &["m1c1".into(), "m1c2".into()]);
        let owner = |cluster: &str, uid: &str| Owner {
            cluster: cluster.into(),
            namespace: "istio-system".into(),
            name: "s".into(),
            uid: uid.into(),
        };
        let make = |cloud: &Cloud, cluster: &str, uid: &str| {
            cloud.make(LoadBalancerKind::Clb, Some(owner(cluster, uid)), BTreeMap::new(), None)
        };
        let first = make(&cloud, "m1c1", "1");
        let other = make(&cloud.of("m1c2"), "m1c2", "2");
        assert_eq!((first.address.as_str(), other.address.as_str()), ("203.0.113.1", "192.0.2.1"));
        assert_eq!(cloud.load_balancers(), std::slice::from_ref(&first));
        assert!(cloud.remove(&first.id, "test"));
        assert_eq!(cloud.deleted().len(), 1);
        assert_eq!(make(&cloud, "m1c1", "3").address, "203.0.113.2");
        assert_eq!(cloud.of("m1c2").load_balancers().len(), 1);
        assert_eq!(cloud.create_load_balancer("intranet").address, "10.200.0.2");
    }
}
