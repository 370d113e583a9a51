//! The three calls that an election needs, so that tests can stand in for the API server.

use std::future::Future;

use asm_io::cluster::ClusterError;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;

/// Reads and writes one Lease.
pub trait Leases: Send + Sync + 'static {
    /// The Lease, or none when there is none.
    fn get(&self) -> impl Future<Output = Result<Option<Lease>, LeaseError>> + Send;

    /// Makes the Lease; a conflict when it is there already.
    fn create(&self, lease: Lease) -> impl Future<Output = Result<Lease, LeaseError>> + Send;

    /// Replaces the Lease of exactly this `resourceVersion`; a conflict when it has moved on or is gone.
    fn replace(&self, lease: Lease) -> impl Future<Output = Result<Lease, LeaseError>> + Send;
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

/// A Lease on a real API server.
pub struct KubeLeases {
    api: kube::Api<Lease>,
    name: String,
}

impl KubeLeases {
    /// The Lease of this name and namespace.
    pub fn new(client: kube::Client, namespace: &str, name: &str) -> Self {
        Self { api: kube::Api::namespaced(client, namespace), name: name.to_owned() }
    }
}

impl Leases for KubeLeases {
    async fn get(&self) -> Result<Option<Lease>, LeaseError> {
        self.api.get_opt(&self.name).await.map_err(describe)
    }

    async fn create(&self, mut lease: Lease) -> Result<Lease, LeaseError> {
        lease.metadata.name = Some(self.name.clone());
        self.api.create(&PostParams::default(), &lease).await.map_err(describe)
    }

    async fn replace(&self, lease: Lease) -> Result<Lease, LeaseError> {
        self.api.replace(&self.name, &PostParams::default(), &lease).await.map_err(describe)
    }
}

fn describe(error: kube::Error) -> LeaseError {
    match error {
        // 404 on a replace: deleted in between.
        kube::Error::Api(status) if matches!(status.code, 404 | 409) => LeaseError::Conflict,
        other => LeaseError::Failed(ClusterError::from(other).message),
    }
}
