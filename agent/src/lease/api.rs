//! The calls that replicas need to share the work, so that tests can stand in for the API server.

use std::future::Future;

use asm_io::cluster::ClusterError;
use asm_shared::api::labels;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryFutureExt as _};
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};

/// Reads and writes the Leases of the agent's replicas. Cheap to clone.
pub trait Leases: Clone + Send + Sync + 'static {
    /// The Lease of this name, as it is now, or none when there is none.
    fn get(&self, name: &str) -> impl Future<Output = Result<Option<Lease>, LeaseError>> + Send;

    /// Makes a Lease; a conflict when it is there already.
    fn create(&self, lease: Lease) -> impl Future<Output = Result<Lease, LeaseError>> + Send;

    /// Replaces the Lease of exactly this `resourceVersion`; a conflict when it has moved on or is gone.
    fn replace(&self, lease: Lease) -> impl Future<Output = Result<Lease, LeaseError>> + Send;

    /// Deletes the Lease of exactly this `resourceVersion`; one that is gone is no error.
    fn delete(&self, lease: Lease) -> impl Future<Output = Result<(), LeaseError>> + Send;

    /// All Leases with [`labels::LEASE`], and what becomes of them. Goes on through errors.
    fn watch(&self) -> BoxStream<'static, Seen>;
}

/// What a watch tells.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A list begins: what is not in it is gone.
    Init,
    /// It is like this now.
    Lease(Box<Lease>),
    /// The list is complete.
    Listed,
    /// It is gone.
    Gone(Box<Lease>),
    /// Nothing is known for the moment, and why.
    Broken(String),
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else wrote in between.
    #[error("the Lease was changed by somebody else")]
    Conflict,
    /// Anything else. The write may have happened.
    #[error("{0}")]
    Failed(String),
}

/// Leases on a real API server.
#[derive(Clone)]
pub struct KubeLeases(kube::Api<Lease>);

impl KubeLeases {
    /// Those of this namespace.
    pub fn new(client: kube::Client, namespace: &str) -> Self {
        Self(kube::Api::namespaced(client, namespace))
    }
}

impl Leases for KubeLeases {
    async fn get(&self, name: &str) -> Result<Option<Lease>, LeaseError> {
        self.0.get_opt(name).map_err(describe).await
    }

    async fn create(&self, lease: Lease) -> Result<Lease, LeaseError> {
        self.0.create(&PostParams::default(), &lease).map_err(describe).await
    }

    async fn replace(&self, lease: Lease) -> Result<Lease, LeaseError> {
        self.0.replace(&lease.name_any(), &PostParams::default(), &lease).map_err(describe).await
    }

    async fn delete(&self, lease: Lease) -> Result<(), LeaseError> {
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: lease.uid(), resource_version: lease.resource_version() }),
            ..DeleteParams::default()
        };
        match self.0.delete(&lease.name_any(), &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(describe(error)),
        }
    }

    fn watch(&self) -> BoxStream<'static, Seen> {
        let stream = watcher(self.0.clone(), watcher::Config::default().labels(labels::LEASE)).default_backoff();
        let seen = |event| match event {
            Ok(watcher::Event::Init) => Seen::Init,
            Ok(watcher::Event::InitApply(lease) | watcher::Event::Apply(lease)) => Seen::Lease(Box::new(lease)),
            Ok(watcher::Event::InitDone) => Seen::Listed,
            Ok(watcher::Event::Delete(lease)) => Seen::Gone(Box::new(lease)),
            Err(
                watcher::Error::InitialListFailed(error)
                | watcher::Error::WatchStartFailed(error)
                | watcher::Error::WatchFailed(error),
            ) => Seen::Broken(ClusterError::from(error).message),
            Err(other) => Seen::Broken(other.to_string()),
        };
        stream.map(seen).boxed()
    }
}

fn describe(error: kube::Error) -> LeaseError {
    match error {
        // 404 on a replace: deleted in between.
        kube::Error::Api(status) if matches!(status.code, 404 | 409) => LeaseError::Conflict,
        other => LeaseError::Failed(ClusterError::from(other).message),
    }
}
