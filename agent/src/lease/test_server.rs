//! An API server with Leases, and a line to it that has its troubles.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use std::collections::BTreeMap;
use tokio::sync::watch;
use tokio::time::sleep;

use super::api::Seen;
use super::{LeaseError, Leases};

/// What a replica's way to the API server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Good,
    /// Requests fail.
    Broken,
    /// Requests hang.
    Silent,
    /// Writes arrive, their answers do not.
    AnswersLost,
    /// Writes arrive late.
    Late(Duration),
}

#[derive(Default)]
pub(super) struct Store {
    pub(super) leases: BTreeMap<String, Lease>,
    version: u64,
    events: Vec<Seen>,
    pub(super) writes: usize,
    pub(super) others: usize,
}

impl Store {
    fn stamp(&mut self, lease: &mut Lease) {
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
    }

    fn store(&mut self, mut lease: Lease) -> Lease {
        self.stamp(&mut lease);
        self.leases.insert(lease.name_any(), lease.clone());
        self.events.push(Seen::Lease(Box::new(lease.clone())));
        self.writes += 1;
        lease
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Some(mut lease) = self.leases.remove(name) {
            self.stamp(&mut lease);
            self.events.push(Seen::Gone(Box::new(lease)));
            self.writes += 1;
        }
    }

    pub(super) fn holder(&self, name: &str) -> Option<String> {
        self.leases.get(name)?.spec.as_ref()?.holder_identity.clone()
    }
}

/// One API server, with a line of its own for each replica.
#[derive(Clone)]
pub(super) struct Fake {
    pub(super) store: Arc<Mutex<Store>>,
    news: watch::Sender<()>,
    line: Arc<Mutex<Line>>,
}

impl Fake {
    pub(super) fn new() -> Self {
        Self { store: Arc::default(), news: watch::Sender::new(()), line: Arc::new(Mutex::new(Line::Good)) }
    }

    /// Another line to the same server.
    pub(super) fn line(&self) -> Self {
        Self { line: Arc::new(Mutex::new(Line::Good)), ..self.clone() }
    }

    pub(super) fn set(&self, line: Line) {
        *self.line.lock().unwrap() = line;
    }

    fn now(&self) -> Line {
        *self.line.lock().unwrap()
    }

    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let answer = change(&mut self.store.lock().unwrap());
        self.news.send_replace(());
        answer
    }

    async fn travel(&self) -> Result<(), LeaseError> {
        sleep(Duration::from_millis(5)).await;
        match self.now() {
            Line::Good | Line::AnswersLost => Ok(()),
            Line::Broken => Err(LeaseError::Failed("broken".to_owned())),
            Line::Silent => std::future::pending().await,
            Line::Late(pause) => {
                sleep(pause).await;
                Ok(())
            }
        }
    }

    /// A write that has left arrives, whether anybody waits for its answer or not.
    async fn send<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut Store) -> Result<T, LeaseError> + Send + 'static,
    ) -> Result<T, LeaseError> {
        let server = self.clone();
        let arrived = tokio::spawn(async move {
            server.travel().await?;
            server.with(write)
        });
        let answer = arrived.await.unwrap();
        if self.now() == Line::AnswersLost {
            return Err(LeaseError::Failed("the answer was lost".to_owned()));
        }
        sleep(Duration::from_millis(5)).await;
        answer
    }
}

fn same(store: &Store, lease: &Lease) -> bool {
    let known = store.leases.get(&lease.name_any()).and_then(ResourceExt::resource_version);
    known.is_some() && known == lease.resource_version()
}

impl Leases for Fake {
    async fn get(&self, name: &str) -> Result<Option<Lease>, LeaseError> {
        self.travel().await?;
        Ok(self.with(|store| {
            store.others += 1;
            store.leases.get(name).cloned()
        }))
    }

    async fn create(&self, lease: Lease) -> Result<Lease, LeaseError> {
        self.send(move |store| {
            if store.leases.contains_key(&lease.name_any()) {
                return Err(LeaseError::Conflict);
            }
            Ok(store.store(lease))
        })
        .await
    }

    async fn replace(&self, lease: Lease) -> Result<Lease, LeaseError> {
        self.send(move |store| if same(store, &lease) { Ok(store.store(lease)) } else { Err(LeaseError::Conflict) })
            .await
    }

    async fn delete(&self, lease: Lease) -> Result<(), LeaseError> {
        self.send(move |store| {
            if !same(store, &lease) {
                return Err(LeaseError::Conflict);
            }
            store.remove(&lease.name_any());
            Ok(())
        })
        .await
    }

    fn watch(&self) -> BoxStream<'static, Seen> {
        let server = self.clone();
        let next = move |(at, news): (Option<usize>, watch::Receiver<()>)| {
            let server = server.clone();
            async move { Some(told(&server, at, news).await) }
        };
        stream::unfold((None, self.news.subscribe()), next).flat_map(stream::iter).boxed()
    }
}

/// What there is to tell from here on: first the list, then events; as long as the line is good.
async fn told(
    server: &Fake,
    at: Option<usize>,
    mut news: watch::Receiver<()>,
) -> (Vec<Seen>, (Option<usize>, watch::Receiver<()>)) {
    loop {
        if matches!(server.now(), Line::Good | Line::AnswersLost | Line::Late(_)) {
            news.borrow_and_update();
            let store = server.store.lock().unwrap();
            let end = store.events.len();
            let told: Vec<Seen> = match at {
                Some(at) => store.events[at..].to_vec(),
                None => {
                    let list = store.leases.values().map(|lease| Seen::Lease(Box::new(lease.clone())));
                    std::iter::once(Seen::Init).chain(list).chain([Seen::Listed]).collect()
                }
            };
            if !told.is_empty() {
                drop(store);
                return (told, (Some(end), news));
            }
        }
        // A line that is mended is noticed in a moment.
        let _ = tokio::time::timeout(Duration::from_millis(100), news.changed()).await;
    }
}
