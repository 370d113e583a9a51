//! Watching objects without losing a deletion.

use std::{collections::HashMap, fmt::Debug, time::Duration};

use futures::{StreamExt as _, pin_mut};
use kube::{
    Api, Resource, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        utils::Backoff,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::UnboundedSender;

/// What happened to an object.
#[derive(Debug, Clone)]
pub(crate) enum Change<K> {
    /// It is new or has changed.
    Set(Box<K>),
    /// It is gone; this is what was last seen of it.
    Gone(Box<K>),
}

/// Tells every change of the objects of `api`, for ever. After a break it tells what vanished meanwhile: the
/// simulated controllers keep their clouds in step by deletions, and have no finalizer on what they only watch.
pub(crate) async fn follow<K, M>(
    api: Api<K>,
    config: watcher::Config,
    to: UnboundedSender<M>,
    message: impl Fn(Change<K>) -> M + Send,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    M: Send,
{
    let stream = watcher(api, config).backoff(Quick::default());
    pin_mut!(stream);
    let mut known: HashMap<String, K> = HashMap::new();
    let mut listed: HashMap<String, K> = HashMap::new();
    let uid = |object: &K| object.uid().unwrap_or_default();
    while let Some(event) = stream.next().await {
        let changes = match event {
            Err(error) => {
                tracing::debug!(%error, "watch");
                continue;
            }
            Ok(Event::Init) => {
                listed.clear();
                continue;
            }
            Ok(Event::InitApply(object)) => {
                listed.insert(uid(&object), object.clone());
                vec![Change::Set(Box::new(object))]
            }
            Ok(Event::InitDone) => {
                let gone = known.into_iter().filter(|(uid, _)| !listed.contains_key(uid));
                let gone: Vec<_> = gone.map(|(_, object)| Change::Gone(Box::new(object))).collect();
                known = std::mem::take(&mut listed);
                gone
            }
            Ok(Event::Apply(object)) => {
                known.insert(uid(&object), object.clone());
                vec![Change::Set(Box::new(object))]
            }
            Ok(Event::Delete(object)) => {
                known.remove(&uid(&object));
                vec![Change::Gone(Box::new(object))]
            }
        };
        for change in changes {
            if to.send(message(change)).is_err() {
                return;
            }
        }
    }
}

/// 0.1 s to 1 s: a test that stops an API server wants its controllers back soon after it starts again.
struct Quick(Duration);

impl Default for Quick {
    fn default() -> Self {
        Self(Duration::from_millis(100))
    }
}

impl Iterator for Quick {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = self.0;
        self.0 = (now * 2).min(Duration::from_secs(1));
        Some(now)
    }
}

impl Backoff for Quick {
    fn reset(&mut self) {
        *self = Self::default();
    }
}
