//! The lab: a fleet on one machine, for the end-to-end tests, the demo and benchmarks.
//!
//! etcd, the API servers, kube-controller-manager and the Git server are real programs. ASM's controller, the cloud
//! controller manager and the kubelets are simulated by the documented rules ([`controllers`]).
//!
//! | context | what it stands for |
//! |---|---|
//! | `host` | the cluster that the agent runs in: FleetSync, DriftReport, Secrets |
//! | `mesh` | the API of the mesh's control plane: Istio's kinds and IstioGateway |
//! | `m1c1`, `m1c2`, … | member clusters: workloads, Services, load balancers |
//!
//! With a [`dataplane`] pods, gateways and load balancers carry traffic.
//!
//! Everything ends with the [`Lab`] value, and when the process that holds it ends in any way.

mod access;
mod apiserver;
mod apply;
mod audit;
pub mod browser;
mod clock;
mod controller_manager;
pub mod controllers;
mod controlplane;
mod crds;
pub mod dataplane;
mod envoy;
mod etcd;
mod fake_clusters;
mod forge;
mod git_server;
mod judge;
pub mod kubectl;
mod meshplane;
mod options;
mod pki;
mod ports;
mod processes;
pub mod product;
mod proxy;
mod replicas;
mod start;
pub mod story;
pub mod users;
mod wait;

use std::{
    collections::BTreeMap,
    fmt::{Display, Write as _},
    fs::File,
    future::Future,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result};
use kube::Client;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::runtime::{Handle, Runtime};

pub use crate::{
    access::Access,
    apply::{apply_path, apply_text, apply_value, documents},
    audit::{AuditEntry, AuditMark, AuditResource, count_by_user},
    clock::Clock,
    controllers::{Cloud, CloudSync, DeletedLoadBalancer, LoadBalancer, LoadBalancerKind, Owner, SyncKind},
    controlplane::{ControlPlane, Program, cache_dir},
    controlplane::{istio_crds, istio_version},
    crds::asm_crds,
    dataplane::{DataPlane, DataPlaneOptions},
    envoy::envoy,
    fake_clusters::{Ailment, FakeClusters, FakeWrite},
    forge::Forge,
    git_server::{GitServer, Mode as GitMode},
    judge::Judge,
    meshplane::meshplane,
    options::{LabOptions, Progress},
    pki::{Pki, ServerCert},
    processes::{Signal, Supervised, detach_from_terminal, is_alive, signal, tail},
    product::{AgentProcess, PluginCommand, binaries, plugin},
    proxy::{ApiProxy, Call, ProxyRequest, Verdict},
    replicas::Replicas,
    wait::wait_for,
};
use crate::{apiserver::ApiServer, etcd::Etcd};

/// Context of the cluster that the agent runs in.
pub const HOST: &str = "host";
/// Context of the mesh's control plane.
pub const MESH: &str = "mesh";

/// A running lab.
pub struct Lab {
    members: Vec<String>,
    access: Access,
    pki: Pki,
    control_plane: ControlPlane,
    kubeconfig: PathBuf,
    cloud: Cloud,
    git: Option<GitServer>,
    numbers: AtomicU64,
    /// The lab's own tasks: they must go on whichever of a test's runtimes comes and goes.
    runtime: Option<Runtime>,
    // Processes in the order in which they end: whoever writes before what is written to.
    data_plane: Option<DataPlane>,
    controller_managers: Vec<Supervised>,
    servers: BTreeMap<String, ApiServer>,
    etcd: Option<Etcd>,
    /// Held while the lab lives, so that the next one knows whose directories are left over.
    _lock: File,
    dir: TempDir,
}

impl Lab {
    /// All contexts: `host`, `mesh`, then the members.
    pub fn contexts(&self) -> impl Iterator<Item = &str> {
        [HOST, MESH].into_iter().chain(self.members.iter().map(String::as_str))
    }

    /// The member clusters.
    #[must_use]
    pub fn members(&self) -> &[String] {
        &self.members
    }

    /// The ACK ID of a member: `c` and 32 characters, the same in every lab.
    #[must_use]
    pub fn cluster_id(&self, member: &str) -> String {
        cluster_id(member)
    }

    /// A kubeconfig file with all contexts, as user `admin`.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A kubeconfig for one context as some user, complete in itself.
    pub fn kubeconfig_text(&self, context: &str, user: &str) -> Result<String> {
        self.access.kubeconfig_text(context, user)
    }

    /// A client as user `admin`. It belongs to the runtime that calls this.
    pub fn client(&self, context: &str) -> Result<Client> {
        self.client_as(context, users::ADMIN)
    }

    /// A client as one of [`users`].
    pub fn client_as(&self, context: &str, user: &str) -> Result<Client> {
        self.access.client(context, user, &format!("{user}/lab"))
    }

    /// Addresses, authority and tokens.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The lab's certificate authority.
    #[must_use]
    pub fn pki(&self) -> &Pki {
        &self.pki
    }

    /// The control plane's programs, and the supervisor for others.
    #[must_use]
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// The lab's directory, removed with it. Logs are in it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The runtime that lives as long as the lab.
    #[must_use]
    pub fn handle(&self) -> Handle {
        // There until drop.
        self.runtime.as_ref().map_or_else(Handle::current, |r| r.handle().clone())
    }

    /// The Git server.
    #[must_use]
    #[allow(clippy::expect_used, reason = "there until drop")]
    pub fn git(&self) -> &GitServer {
        self.git.as_ref().expect("the Git server is there until the lab is dropped")
    }

    /// The data plane, if the lab has one.
    #[must_use]
    pub fn data_plane(&self) -> Option<&DataPlane> {
        self.data_plane.as_ref()
    }

    /// The load balancers of a cluster; of `mesh`: the addresses of serverless gateways.
    #[must_use]
    pub fn cloud(&self, context: &str) -> Cloud {
        self.cloud.of(context)
    }

    /// Ends an API server at once. What talks to it sees refused connections.
    pub fn stop_api_server(&self, context: &str) -> Result<()> {
        self.server(context)?.stop();
        Ok(())
    }

    /// Starts it again, on the same port, and waits until it is ready.
    pub async fn start_api_server(&self, context: &str) -> Result<()> {
        self.server(context)?.start_again(&self.access).await
    }

    /// The requests to an API server since the lab started, except its own and the lab's look at the log.
    pub async fn audit(&self, context: &str) -> Result<Vec<AuditEntry>> {
        self.audit_since(context, AuditMark::default()).await
    }

    /// Now, in an API server's audit log.
    pub async fn audit_mark(&self, context: &str) -> Result<AuditMark> {
        let log = self.settled_audit_log(context).await?;
        Ok(audit::read(&log, AuditMark::default())?.1)
    }

    /// The requests to an API server after a mark.
    pub async fn audit_since(&self, context: &str, mark: AuditMark) -> Result<Vec<AuditEntry>> {
        let log = self.settled_audit_log(context).await?;
        Ok(audit::read(&log, mark)?.0)
    }

    /// How many requests each user made after a mark.
    pub async fn audit_count(&self, context: &str, mark: AuditMark) -> Result<BTreeMap<String, usize>> {
        Ok(count_by_user(&self.audit_since(context, mark).await?))
    }

    /// The log once it holds every request that has been answered: an entry is written after its answer, so a request
    /// of ours is sent last and waited for.
    async fn settled_audit_log(&self, context: &str) -> Result<PathBuf> {
        let server = self.server(context)?;
        let log = server.audit_log();
        if !server.is_running() {
            return Ok(log);
        }
        let from = audit::read(&log, AuditMark::default()).map(|(_, mark)| mark).unwrap_or_default();
        let barrier = format!("{}={}", audit::BARRIER, self.next_number());
        let request = http::Request::get(format!("/version?{barrier}&")).body(Vec::new())?;
        self.client_as(context, users::LAB)?.request_text(request).await.context("cannot ask for the version")?;
        wait_for("the audit log holds the last request", Duration::from_secs(10), || async {
            Ok(audit::holds(&log, from, &format!("{barrier}\\u0026")).then_some(()))
        })
        .await?;
        Ok(log)
    }

    /// Server-side apply of every document of a text, as field manager and user `lab`.
    pub async fn apply_yaml(&self, context: &str, text: &str) -> Result<()> {
        apply_text(&self.client_as(context, users::LAB)?, text, "lab").await
    }

    /// The same for a file.
    pub async fn apply_file(&self, context: &str, path: &Path) -> Result<()> {
        apply_path(&self.client_as(context, users::LAB)?, path, "lab").await
    }

    /// Asks `condition` until it gives a value; see [`wait_for`].
    pub async fn wait_for<T, F, Fut>(&self, what: impl Display, deadline: Duration, condition: F) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<Option<T>>>,
    {
        wait_for(what, deadline, condition).await
    }

    /// The IDs of the processes that the lab runs now.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let servers = self.servers.values().filter_map(ApiServer::pid);
        let managers = self.controller_managers.iter().map(Supervised::pid);
        servers.chain(managers).chain(self.etcd.as_ref().map(|e| e.process.pid())).collect()
    }

    /// A number that this lab has not given before, for names.
    pub fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn server(&self, context: &str) -> Result<&ApiServer> {
        self.access.server(context)?;
        self.servers.get(context).with_context(|| format!("the lab has no API server {context}"))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Tasks first: they would only log that nothing answers any more. Not waited for: this may be a task's thread.
        self.git = None;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        self.data_plane = None;
        self.controller_managers.clear();
        for server in self.servers.values() {
            server.stop();
        }
        self.etcd = None;
    }
}

fn cluster_id(name: &str) -> String {
    let digest = hex(&Sha256::digest(format!("kubectl-asm lab {name}")));
    format!("c{}", &digest[..32])
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether the API server of a context answers that it is ready; for labs of other processes.
pub async fn is_ready(kubeconfig: &Path, context: &str) -> Result<bool> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = kube::config::Kubeconfig::read_from(kubeconfig).context("cannot read the lab's kubeconfig")?;
    let options = kube::config::KubeConfigOptions {
        context: Some(context.to_owned()),
        ..kube::config::KubeConfigOptions::default()
    };
    let mut config = kube::Config::from_custom_kubeconfig(file, &options).await?;
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(2));
    let client = Client::try_from(config)?;
    let request = http::Request::get("/readyz").body(Vec::new())?;
    let answer = tokio::time::timeout(Duration::from_secs(5), client.request_text(request)).await;
    Ok(matches!(answer, Ok(Ok(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_ids_look_like_acks() {
        let id = cluster_id("m1c1");
        assert_eq!(id.len(), 33);
        assert!(id.starts_with('c') && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
        assert_ne!(id, cluster_id("m1c2"));
    }
}
