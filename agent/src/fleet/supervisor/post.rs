//! The targets of a FleetSync, and the tasks of those that are this replica's.

use super::Supervisor;
use crate::fleet::brief::Brief;
use crate::fleet::commit::{Base, Reader};
use crate::fleet::inventory::InventoryStore;
use crate::fleet::view::Told;
use crate::fleet::worker::{self, Order, Setting, TargetReport};
use crate::lease::{Item, Working};
use asm_shared::api::labels;
use asm_shared::fleet::{FleetState, Target};
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

/// A commit that could not be read again is read once more after this.
const LATER: Duration = Duration::from_secs(2);

/// How long the whole of a commit is kept for targets that may become this replica's: how they are shared settles within this.
const KEPT: Duration = Duration::from_secs(10);

/// A target.
pub(super) struct Post {
    pub(super) item: Item,
    /// Its task, if it is this replica's.
    pub(super) work: Option<Work>,
    /// What it said last.
    pub(super) report: Option<TargetReport>,
    /// What the replica that works on it told last, as it was told and as it is understood.
    pub(super) told: Option<(Arc<str>, Brief)>,
    /// And what it told for the page.
    pub(super) shown: Told,
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
        self.context.sets.claim(self.set(target), &super::super::full_name(&self.sync));
    }

    pub(super) fn set(&self, target: &str) -> String {
        labels::applyset_id(&self.context.namespace, &self.sync.name_any(), target)
    }

    /// Turns the commit into orders. Without a valid fleet file the last orders stand: nothing is applied or removed.
    pub(super) async fn make_orders(&mut self, reader: Reader, state: Arc<FleetState>) {
        if state.fleet.is_none() {
            return;
        }
        let targets = state.targets();
        self.base = Some(Base::new(reader, state));
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
                Post { item, work: None, report: None, told: None, shown: Told::default() }
            });
        }
        self.members = targets.iter().filter(|target| **target != Target::Mesh).cloned().collect();
        self.order_of_targets = targets;
        self.offer.set(self.posts.values().map(|post| post.item.clone()).collect());
        let manned = self.posts.iter().filter(|(_, post)| post.work.is_some());
        self.provide(manned.map(|(target, _)| target.clone()).collect()).await;
        for (target, post) in &self.posts {
            if let (Some(work), Some(order)) = (&post.work, self.order_of(target)) {
                work.orders.send_replace(order);
            }
        }
        self.man_posts().await;
    }

    /// Makes what the last commit with a valid fleet file wants of these targets.
    async fn provide(&mut self, targets: Vec<Target>) {
        let of_sets: Vec<_> = targets.into_iter().map(|target| (target.clone(), self.set(target.name()))).collect();
        let Some(base) = &mut self.base else { return };
        if let Err(error) = base.provide(of_sets).await {
            tracing::warn!(fleetsync = self.sync.name_any(), "the commit cannot be read again: {error}");
            self.man_at = Some(Instant::now() + LATER);
        }
    }

    /// What of the commit is not this replica's now is read again when it is.
    pub(super) fn let_go(&mut self) {
        self.let_go_at = None;
        if let Some(base) = &mut self.base {
            base.let_go();
        }
    }

    /// Starts the tasks of targets that are this replica's by now, and ends those of others.
    pub(super) async fn man_posts(&mut self) {
        self.man_at = None;
        let targets: Vec<Target> = self.posts.keys().cloned().collect();
        let begins = |post: &Post| post.work.is_none() && self.share.is_mine(&post.item);
        let begin = self.posts.iter().filter(|(_, post)| begins(post)).map(|(target, _)| target.clone()).collect();
        self.provide(begin).await;
        for target in targets {
            let Some(post) = self.posts.get(&target) else { continue };
            let (item, is_mine) = (post.item.clone(), self.share.is_mine(&post.item));
            match (&post.work, is_mine) {
                (Some(_), false) => self.hand_over(&target),
                (None, true) => {
                    // Only what this replica works on is made: a fleet is larger than its part of it.
                    if self.base.as_ref().and_then(|base| base.desired(&target)).is_none() {
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
        if self.posts.values().all(|post| post.work.is_some()) {
            self.let_go();
        } else {
            self.let_go_at.get_or_insert_with(|| Instant::now() + KEPT);
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
            post.shown = Told::of(&report);
        }
        if let Some(base) = &mut self.base {
            base.forget(target);
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
        let desired = self.base.as_ref()?.desired(target)?.clone();
        Some(self.order(target, desired, &self.members))
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
            syncing: self.syncing.clone(),
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
            set: self.set(target.name()),
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
