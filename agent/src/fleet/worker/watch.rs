//! Watches of one target: one per kind, filtered by the set's label, metadata only. Each runs in a task of its own and
//! hands on what it saw, reduced to a few bytes per object, through one bounded channel.

use super::resources::Resources;
use super::state::{Seen, WatchFailure, WatchedKind};
use asm_io::cluster::{ClusterError, ErrorKind};
use asm_shared::api::labels;
use asm_shared::drift::Fingerprint;
use asm_shared::object::ObjectId;
use asm_shared::plan::Observed;
use futures::{StreamExt as _, pin_mut};
use kube::api::{Api, DynamicObject, ListParams, ObjectMeta, PartialObjectMeta};
use kube::runtime::watcher::{self, watcher};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Events on their way to the target's task. A full channel makes the watches wait, not the memory grow.
const IN_FLIGHT: usize = 1024;
/// A broken watch is tried again after this, doubled each time …
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// … up to this: a cluster that comes back is seen within it.
const LAST_RETRY: Duration = Duration::from_secs(5);
/// A watch that has not broken again after this is asked whether it stands: nothing tells, as long as nothing changes.
const SETTLED: Duration = Duration::from_secs(1);

/// The running watches of a target.
pub(super) struct Watches {
    set: String,
    tasks: BTreeMap<WatchedKind, AbortOnDropHandle<()>>,
    sender: mpsc::Sender<(WatchedKind, Seen)>,
    events: mpsc::Receiver<(WatchedKind, Seen)>,
}

impl Watches {
    /// No watch yet. `set`: value of the label that members carry.
    pub(super) fn new(set: &str) -> Self {
        let (sender, events) = mpsc::channel(IN_FLIGHT);
        Self { set: set.to_owned(), tasks: BTreeMap::new(), sender, events }
    }

    /// Starts and ends watches so that exactly these kinds are watched.
    pub(super) fn follow(&mut self, resources: &Resources, kinds: &BTreeSet<WatchedKind>) {
        self.tasks.retain(|kind, _| kinds.contains(kind));
        for kind in kinds {
            if !self.tasks.contains_key(kind) {
                let task = watch(resources.clone(), kind.clone(), self.set.clone(), self.sender.clone());
                self.tasks.insert(kind.clone(), AbortOnDropHandle::new(tokio::spawn(task)));
            }
        }
    }

    /// The next thing seen.
    pub(super) async fn next(&mut self) -> (WatchedKind, Seen) {
        loop {
            match self.events.recv().await {
                // Something that a watch sent before it was ended is not wanted any more.
                Some((kind, seen)) if self.tasks.contains_key(&kind) => return (kind, seen),
                Some(_) => {}
                // Cannot be: this struct holds a sender.
                None => std::future::pending().await,
            }
        }
    }

    /// What has been seen already, without waiting.
    pub(super) fn ready(&mut self) -> Option<(WatchedKind, Seen)> {
        while let Ok((kind, seen)) = self.events.try_recv() {
            if self.tasks.contains_key(&kind) {
                return Some((kind, seen));
            }
        }
        None
    }
}

async fn watch(resources: Resources, kind: WatchedKind, set: String, sender: mpsc::Sender<(WatchedKind, Seen)>) {
    let mut delay = FIRST_RETRY;
    loop {
        let api = match resources.metadata_api(&kind.group_kind, &kind.api_version).await {
            Ok(api) => api,
            Err(error) => {
                if sender.send((kind.clone(), Seen::Broken(failure(&kind, &error)))).await.is_err() {
                    return;
                }
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(LAST_RETRY);
                continue;
            }
        };
        run(api, &kind, &set, &sender, &mut delay).await;
        if sender.is_closed() {
            return;
        }
    }
}

/// Runs one watch until it has to be built anew.
async fn run(
    api: Api<PartialObjectMeta<DynamicObject>>,
    kind: &WatchedKind,
    set: &str,
    sender: &mpsc::Sender<(WatchedKind, Seen)>,
    delay: &mut Duration,
) {
    let config = watcher::Config::default().labels(&format!("{}={set}", labels::PART_OF));
    let stream = watcher(api.clone(), config);
    pin_mut!(stream);
    let mut in_doubt = false;
    loop {
        let next = match tokio::time::timeout(SETTLED, stream.next()).await {
            Ok(next) => next,
            Err(_) if !in_doubt => stream.next().await,
            Err(_) => {
                in_doubt = !answers(&api, set).await;
                if !in_doubt && sender.send((kind.clone(), Seen::Answers)).await.is_err() {
                    return;
                }
                continue;
            }
        };
        let Some(event) = next else { return };
        let seen = match event {
            Ok(event) => {
                in_doubt = false;
                // That a list is asked for says nothing: it may be refused, for ever.
                if !matches!(event, watcher::Event::Init) {
                    *delay = FIRST_RETRY;
                }
                reduce(kind, event)
            }
            Err(error) => {
                let error = cluster_error(error);
                in_doubt = error.is_transient();
                let send = sender.send((kind.clone(), Seen::Broken(failure(kind, &error)))).await;
                if send.is_err() {
                    return;
                }
                tokio::time::sleep(*delay).await;
                *delay = (*delay * 2).min(LAST_RETRY);
                continue;
            }
        };
        if let Some(seen) = seen
            && sender.send((kind.clone(), seen)).await.is_err()
        {
            return;
        }
    }
}

/// Does the API server list this kind? The least that can be asked.
async fn answers(api: &Api<PartialObjectMeta<DynamicObject>>, set: &str) -> bool {
    let least = ListParams::default().labels(&format!("{}={set}", labels::PART_OF)).limit(1);
    api.list_metadata(&least).await.is_ok()
}

fn reduce(kind: &WatchedKind, event: watcher::Event<PartialObjectMeta<DynamicObject>>) -> Option<Seen> {
    let pair =
        |object: PartialObjectMeta<DynamicObject>| Some((id_of(kind, &object.metadata)?, observed(&object.metadata)));
    match event {
        watcher::Event::Init => Some(Seen::ListStarted),
        watcher::Event::InitApply(object) => pair(object).map(|(id, live)| Seen::Listed(id, live)),
        watcher::Event::InitDone => Some(Seen::ListDone),
        watcher::Event::Apply(object) => pair(object).map(|(id, live)| Seen::Changed(id, live)),
        watcher::Event::Delete(object) => id_of(kind, &object.metadata).map(Seen::Gone),
    }
}

fn id_of(kind: &WatchedKind, metadata: &ObjectMeta) -> Option<ObjectId> {
    Some(ObjectId {
        group_kind: kind.group_kind.clone(),
        namespace: metadata.namespace.as_deref().map(Into::into),
        name: metadata.name.as_deref()?.into(),
    })
}

/// What is kept of an object's metadata.
pub(super) fn observed(metadata: &ObjectMeta) -> Observed {
    Observed {
        uid: metadata.uid.as_deref().unwrap_or_default().into(),
        fingerprint: Fingerprint::of(metadata),
        deleting: metadata.deletion_timestamp.is_some(),
    }
}

fn cluster_error(error: watcher::Error) -> ClusterError {
    match error {
        watcher::Error::InitialListFailed(source)
        | watcher::Error::WatchStartFailed(source)
        | watcher::Error::WatchFailed(source) => source.into(),
        watcher::Error::WatchError(status) => ClusterError::from_status(&status),
        watcher::Error::NoResourceVersion => {
            ClusterError::new(ErrorKind::Other, "the API server does not support watches of this kind")
        }
    }
}

fn failure(kind: &WatchedKind, error: &ClusterError) -> WatchFailure {
    WatchFailure {
        unreachable: matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Timeout),
        unauthorized: matches!(error.kind, ErrorKind::Unauthorized),
        message: format!("{} cannot be watched: {}", kind.group_kind, error.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::Request;
    use axum::response::IntoResponse as _;
    use serde_json::{Value, json};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn config_map(name: &str, version: &str) -> Value {
        json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": name, "namespace": "n", "uid": name, "resourceVersion": version},
        })
    }

    /// What no API server sends: each line is one poisoned event.
    fn poison() -> Vec<String> {
        let event = |object: Value| json!({"type": "MODIFIED", "object": object}).to_string();
        let with = |field: &str, value: Value| {
            let mut object = config_map("poisoned", "8");
            object["metadata"][field] = value;
            object
        };
        vec![
            "<html>not an event</html>".to_owned(),
            "{\"type\": \"MODIFIED\"".to_owned(),
            json!({"type": "EXPLODED", "object": {}}).to_string(),
            event(json!("a string")),
            event(with("managedFields", json!([{"manager": 7, "fieldsV1": "\u{0}"}]))),
            event(with("labels", json!([1, 2, 3]))),
            event(with("creationTimestamp", json!("the day before yesterday"))),
            event(with("name", Value::Null)),
            "{".repeat(100_000),
            json!({"type": "ERROR", "object": {"kind": "Status", "code": "many"}}).to_string(),
        ]
    }

    async fn serve(router: axum::Router) -> kube::Client {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        kube::Client::try_from(kube::Config::new(format!("http://{address}").parse().unwrap())).unwrap()
    }

    /// Lists one object, then tells a poisoned event in each watch, then a good one.
    async fn api_server() -> kube::Client {
        let watches = Arc::new(AtomicUsize::new(0));
        let answer = move |request: Request| {
            let watches = watches.clone();
            async move {
                let json = [("content-type", "application/json")];
                if !request.uri().query().unwrap_or_default().contains("watch=") {
                    let list = json!({
                        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
                        "metadata": {"resourceVersion": "7"}, "items": [config_map("listed", "7")],
                    });
                    return (json, list.to_string()).into_response();
                }
                let turn = watches.fetch_add(1, Ordering::SeqCst);
                let good = json!({"type": "MODIFIED", "object": config_map("good", "9")}).to_string();
                let line = poison().into_iter().nth(turn).unwrap_or(good);
                (json, line + "\n").into_response()
            }
        };
        serve(axum::Router::new().fallback(answer)).await
    }

    /// Who may not list is not asked four times a second for ever.
    #[tokio::test(start_paused = true)]
    async fn a_list_that_is_refused_is_asked_for_less_and_less_often() {
        let refused = || async {
            let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "no"});
            (axum::http::StatusCode::FORBIDDEN, [("content-type", "application/json")], status.to_string())
        };
        let client = serve(axum::Router::new().fallback(refused)).await;
        let kind =
            WatchedKind { group_kind: asm_shared::object::GroupKind::new("", "ConfigMap"), api_version: "v1".into() };
        let mut watches = Watches::new("a-set");
        let started = tokio::time::Instant::now();
        watches.follow(&Resources::new(client), &BTreeSet::from([kind]));
        let mut broken = 0;
        while broken < 10 {
            broken += usize::from(matches!(watches.next().await.1, Seen::Broken(_)));
        }
        assert!(started.elapsed() > Duration::from_secs(20), "{:?}", started.elapsed());
    }

    /// A connection that breaks and is there again, and nothing changes: nothing would ever tell that it is.
    #[tokio::test(start_paused = true)]
    async fn a_watch_that_stands_again_is_no_failure_any_more() {
        let watches = Arc::new(AtomicUsize::new(0));
        let answer = move |request: Request| {
            let watches = watches.clone();
            async move {
                let json = [("content-type", "application/json")];
                if !request.uri().query().unwrap_or_default().contains("watch=") {
                    let list = json!({
                        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
                        "metadata": {"resourceVersion": "7"}, "items": [],
                    });
                    return (json, list.to_string()).into_response();
                }
                if watches.fetch_add(1, Ordering::SeqCst) == 0 {
                    let broken = futures::stream::iter([Err::<&str, _>(std::io::Error::other("reset"))]);
                    return (json, axum::body::Body::from_stream(broken)).into_response();
                }
                let silent = futures::stream::pending::<Result<&str, std::io::Error>>();
                (json, axum::body::Body::from_stream(silent)).into_response()
            }
        };
        let client = serve(axum::Router::new().fallback(answer)).await;
        let kind =
            WatchedKind { group_kind: asm_shared::object::GroupKind::new("", "ConfigMap"), api_version: "v1".into() };
        let mut watches = Watches::new("a-set");
        watches.follow(&Resources::new(client), &BTreeSet::from([kind]));
        let mut told = Vec::new();
        while told.last() != Some(&"answers") {
            told.push(match watches.next().await.1 {
                Seen::Broken(_) => "broken",
                Seen::Answers => "answers",
                _ => "listed",
            });
        }
        assert_eq!(told.iter().filter(|word| **word == "broken").count(), 1, "{told:?}");
    }

    /// Pauses between tries cost nothing: time that stands still goes on by itself when everybody waits.
    #[tokio::test(start_paused = true)]
    async fn attack_a_poisoned_object_in_a_watch_does_not_wedge_it() {
        let kind =
            WatchedKind { group_kind: asm_shared::object::GroupKind::new("", "ConfigMap"), api_version: "v1".into() };
        let mut watches = Watches::new("a-set");
        watches.follow(&Resources::new(api_server().await), &BTreeSet::from([kind]));
        let mut broken = 0;
        loop {
            match watches.next().await.1 {
                Seen::Changed(id, _) if &*id.name == "good" => break,
                Seen::Changed(id, _) => assert_eq!(&*id.name, "poisoned", "only what could be read at all"),
                Seen::Broken(failure) => {
                    broken += 1;
                    assert!(failure.message.len() < 2_000, "{}", failure.message);
                }
                _ => {}
            }
            assert!(broken < 100, "it is wedged");
        }
        assert!(broken > 0);
    }
}
