//! The data plane: istiod, Envoy in gateway pods and beside apps, load balancers that carry traffic. An optional part of the
//! lab ([`crate::LabOptions::data_plane`]); everything else of it stays as it is.
//!
//! | part | is |
//! |---|---|
//! | [`enclosure`] | the program once more, in user, network, mount and PID namespaces of its own: there it may give itself every address that pods and load balancers have, and nothing outlives it |
//! | `network` | addresses and links: a bridge for pods, network namespaces for pods with an Envoy |
//! | `istiod` | the real one, with the settings that a lab without certificates needs |
//! | `bootstrap`, `pods` | what a kubelet runs: a gateway pod is a stock Envoy, a pod in the mesh the app and an Envoy, any other pod the app |
//! | `app` | HTTP: says app, version, cluster, pod, path and host |
//! | `balancer` | the cloud's addresses as TCP forwarders to the pods behind a Service |
//! | `serverless` | ASM's own gateways: Envoys outside the clusters |
//! | [`traffic`] | a client that asks, counts and notes every failure |
//!
//! Needs Linux, `unshare` and `nsenter` (util-linux), `ip` (iproute2); where namespaces cannot be made,
//! [`enclosure::unavailable`] says why. No root, no iptables, no container: an app asks its sidecar at 127.0.0.1:9080, requests
//! to a pod do not pass its sidecar.

pub mod enclosure;
pub mod traffic;

mod app;
mod balancer;
mod bootstrap;
mod client;
mod istiod;
mod network;
mod pods;
mod serverless;

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command, sync::Arc};

use anyhow::{Result, ensure};
use tokio::runtime::Handle;

pub use client::{Answer, get};
pub(crate) use pods::Pods;

use crate::{Access, MESH, Supervised, controllers::Cloud, users};

/// What of the data plane to run.
#[derive(Debug, Clone)]
pub struct DataPlaneOptions {
    /// Apps (label `app`) whose pods get a sidecar. A pod's own `sidecar.istio.io/inject` decides first. Each costs an Envoy,
    /// so only those that ask other services are worth it.
    pub sidecars: Vec<String>,
}

impl Default for DataPlaneOptions {
    fn default() -> Self {
        Self { sidecars: vec!["productpage".to_owned()] }
    }
}

/// The programs of a data plane.
#[derive(Debug, Clone)]
pub struct Programs {
    istiod: PathBuf,
    envoy: PathBuf,
}

impl Programs {
    /// Finds the programs, building and downloading them the first time. Blocks.
    pub fn prepare() -> Result<Self> {
        Ok(Self { istiod: crate::meshplane()?, envoy: crate::envoy()? })
    }

    /// A command that ends when its standard input ends.
    fn istiod(&self) -> Command {
        let mut command = Command::new(&self.istiod);
        command.args(["istiod", "discovery"]);
        command
    }
}

/// Makes the network. Before anything else of the lab: in new namespaces even the loopback device is down.
pub(crate) fn set_up_network() -> Result<()> {
    ensure!(enclosure::is_inside(), "a data plane needs namespaces of its own: start it by way of `enclosure::again`");
    network::set_up()
}

/// A running data plane.
pub struct DataPlane {
    pods: Arc<Pods>,
    istiod: Supervised,
}

impl DataPlane {
    /// Starts istiod. Pods and load balancers follow with the clusters' controllers.
    pub(crate) async fn start(
        options: &DataPlaneOptions,
        access: &Access,
        dir: PathBuf,
        members: &[String],
    ) -> Result<Self> {
        let programs = tokio::task::spawn_blocking(Programs::prepare).await??;
        let istiod = istiod::start(&programs, access, &dir, members).await?;
        let pods = Pods { programs, dir, sidecars: options.sidecars.clone(), running: Default::default() };
        Ok(Self { pods: Arc::new(pods), istiod })
    }

    pub(crate) fn pods(&self) -> Arc<Pods> {
        Arc::clone(&self.pods)
    }

    /// Makes the load balancers of all members and the serverless gateways carry traffic.
    pub(crate) fn serve(&self, handle: &Handle, access: &Access, cloud: &Cloud, members: &[String]) -> Result<()> {
        for member in members {
            let client = access.client(member, users::CLOUD_CONTROLLER, "load-balancer/lab")?;
            handle.spawn(balancer::run(client, cloud.of(member)));
        }
        let mesh = access.client(MESH, users::ASM_CONTROLLER, "serverless-gateway/lab")?;
        handle.spawn(serverless::run(mesh, cloud.of(MESH), self.pods()));
        Ok(())
    }

    /// Memory of istiod and of each Envoy, in bytes (resident set).
    #[must_use]
    pub fn memory(&self) -> BTreeMap<String, u64> {
        let processes = self.pods.processes().into_iter().chain([("istiod".to_owned(), self.istiod.pid())]);
        processes.filter_map(|(name, pid)| Some((name, resident(pid)?))).collect()
    }
}

impl Drop for DataPlane {
    fn drop(&mut self) {
        self.pods.stop_all();
    }
}

/// Of a process and what it started.
fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let own = line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024;
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    Some(own + children.split_whitespace().filter_map(|child| resident(child.parse().ok()?)).sum::<u64>())
}
