//! The targets of a FleetSync, and the tasks of those that are this replica's.

use super::{Commit, Supervisor};
use crate::fleet::brief::Brief;
use crate::fleet::inventory::InventoryStore;
use crate::fleet::worker::{self, Order, Setting, TargetReport};
use crate::lease::{Item, Working};
use asm_shared::api::labels;
use asm_shared::fleet::Target;
use asm_shared::plan::{Desired, PruneLimits};
use kube::{Resource as _, ResourceExt as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// How long a target that another replica is to have may take to come to the end of what it does.
const HAND_OVER: Duration = Duration::from_secs(20);

/// A target whose last task has not ended yet is tried again after this.
const AGAIN: Duration = Duration::from_millis(200);

/// A target.
pub(super) struct Post {
    pub(super) item: Item,
    /// Its task, if it is this replica's.
    pub(super) work: Option<Work>,
    /// What it said last.
    pub(super) report: Option<TargetReport>,
    /// What the replica that works on it told last, as it was told and as it is understood.
    pub(super) told: Option<(Arc<str>, Brief)>,
}

impl Post {
    /// How it stands, whoever works on it.
    pub(super) fn brief(&self) -> Option<Brief> {
        match &self.report {
            Some(report) => Some(Brief::of(report)),
            // What a former holder told is better than nothing.
            None => self.told.as_ref().map(|(_, brief)| brief.clone()),
        }
    }
}

/// The task of a target.
pub(super) struct Work {
    pub(super) orders: channel::Sender<Order>,
    task: AbortOnDropHandle<()>,
}

impl Supervisor {
    pub(super) fn claim(&self, target: &str) {
        let set = labels::applyset_id(&self.context.namespace, &self.sync.name_any(), target);
        self.context.sets.claim(set, &super::super::full_name(&self.sync));
    }

    fn set(&self, target: &Target) -> String {
        labels::applyset_id(&self.context.namespace, &self.sync.name_any(), target.name())
    }

    /// Turns the commit into orders. Without a valid fleet file the last orders stand: nothing is applied or removed.
    pub(super) fn make_orders(&mut self) {
        let Some((revision, state)) = self.state.clone() else { return };
        if state.fleet.is_none() {
            return;
        }
        self.base = Some((revision, state.clone()));
        let targets = state.targets();
        let left: Vec<Target> = self.posts.keys().filter(|target| !targets.contains(target)).cloned().collect();
        for target in left {
            self.posts.remove(&target);
            self.known.left.push(target.name().to_owned());
            self.stale_reports.insert(target.name().to_owned());
            self.context.metrics.forget_target(&self.label(), target.name());
        }
        self.known.left.retain(|name| targets.iter().all(|target| target.name() != name));
        self.stale_reports.retain(|name| targets.iter().all(|target| target.name() != name));
        let full_name = super::super::full_name(&self.sync);
        for target in &targets {
            self.claim(target.name());
            self.posts.entry(target.clone()).or_insert_with(|| {
                let item = Item::new(&full_name, target.name());
                Post { item, work: None, report: None, told: None }
            });
        }
        self.order_of_targets = targets;
        self.offer.set(self.posts.values().map(|post| post.item.clone()).collect());
        for (target, post) in &self.posts {
            if let (Some(work), Some(order)) = (&post.work, self.order_of(target)) {
                work.orders.send_replace(order);
            }
        }
        self.man_posts();
    }

    /// Starts the tasks of targets that are this replica's by now, and ends those of others.
    pub(super) fn man_posts(&mut self) {
        self.man_at = None;
        let targets: Vec<Target> = self.posts.keys().cloned().collect();
        for target in targets {
            let Some(post) = self.posts.get(&target) else { continue };
            let (item, is_mine) = (post.item.clone(), self.share.is_mine(&post.item));
            match (&post.work, is_mine) {
                (Some(_), false) => self.hand_over(&target),
                (None, true) => {
                    // Only what this replica works on is made: a fleet is larger than its part of it.
                    if self.base.is_none() {
                        continue;
                    }
                    let Some(working) = self.offer.begin(&item) else {
                        self.man_at = Some(Instant::now() + AGAIN);
                        continue;
                    };
                    let Some(order) = self.order_of(&target) else { continue };
                    let work = self.start(&target, order, working);
                    if let Some(post) = self.posts.get_mut(&target) {
                        post.work = Some(work);
                    }
                }
                _ => {}
            }
        }
    }

    /// Another replica is to have this target: it ends what it does, and then its Lease is given back.
    fn hand_over(&mut self, target: &Target) {
        let label = self.label();
        let Some(post) = self.posts.get_mut(target) else { return };
        let Some(work) = post.work.take() else { return };
        // What it said stays said until the other one says something.
        if let Some(report) = post.report.take() {
            post.told = Some((Arc::from(""), Brief::of(&report)));
        }
        self.writer.leave(target.name());
        self.context.metrics.forget_target(&label, target.name());
        if !self.share.is_leaving(&post.item) {
            tracing::warn!(%target, "its Lease is another replica's: the work on it is cut off");
            return;
        }
        tracing::info!(%target, "another replica takes it over");
        self.leaving.spawn(async move {
            // Without orders it ends after what it is at.
            drop(work.orders);
            let _ = tokio::time::timeout(HAND_OVER, work.task).await;
        });
    }

    /// Gives the orders again when anything but the commit changed.
    pub(super) fn give_orders(&mut self) {
        for (target, work) in self.posts.iter().filter_map(|(target, post)| Some((target, post.work.as_ref()?))) {
            let last = work.orders.borrow().clone();
            let order = self.order(target, last.desired.clone(), &last.members);
            let same = order.mode == last.mode
                && order.suspended == last.suspended
                && order.request == last.request
                // That there is no wish any more is no order.
                && (order.revert.is_none() || order.revert == last.revert)
                && order.kubeconfig == last.kubeconfig
                && order.service_account == last.service_account
                && order.limits == last.limits;
            if !same {
                work.orders.send_replace(order);
            }
        }
    }

    /// What a target is to do by the last commit with a valid fleet file.
    fn order_of(&self, target: &Target) -> Option<Order> {
        let (revision, state): &Commit = self.base.as_ref()?;
        let members = self.order_of_targets.iter().filter(|target| **target != Target::Mesh).cloned().collect();
        let desired = Arc::new(Desired::of(state, target, revision, &self.set(target)));
        Some(self.order(target, desired, &members))
    }

    fn order(&self, target: &Target, desired: Arc<Desired>, members: &Arc<[Target]>) -> Order {
        Order {
            desired,
            members: members.clone(),
            mode: self.sync.spec.drift,
            limits: PruneLimits::of(&self.sync.spec.prune),
            suspended: self.sync.spec.suspend,
            request: self.request.clone(),
            revert: self.revert.clone(),
            kubeconfig: self.sync.spec.kubeconfig_of(target.name()),
            service_account: match &self.sync.spec.service_account_name {
                Some(name) => Some(name.as_str().into()),
                None => self.context.default_service_account.clone(),
            },
        }
    }

    fn start(&self, target: &Target, order: Order, working: Working) -> Work {
        let (orders, receiver) = channel::channel(order);
        let name = self.sync.name_any();
        let owner = self.sync.controller_owner_ref(&()).unwrap_or_default();
        let client = self.context.client.clone();
        let setting = Setting {
            store: InventoryStore::new(client, &self.context.namespace, &name, target.name(), owner),
            context: self.context.clone(),
            set: self.set(target),
            owner: super::super::full_name(&self.sync),
            progress: self.progress.clone(),
            orders: receiver,
            words: self.words.clone(),
        };
        let task = async move {
            worker::kept(setting).await;
            // In the task: dropped with it, however it ends.
            working.ended();
        };
        Work { orders, task: AbortOnDropHandle::new(tokio::spawn(task)) }
    }
}
