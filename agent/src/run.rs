//! From the command line to running parts, and back to an exit code.

mod agent;
mod once;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::credentials::Limits;
use crate::http::{Hooks, Observer, Seen, Server};
use crate::log::{self, LogFormat};
use crate::metrics::Metrics;
use crate::notify::Reach;
use crate::readiness::Readiness;
use crate::shutdown::Signals;
use crate::trace;
use crate::web::{Access, Page, Views};

/// What the command line says, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Kubeconfig of the host cluster; the pod's service account when absent.
    pub kubeconfig: Option<PathBuf>,
    /// Context of that kubeconfig.
    pub context: Option<String>,
    /// Namespace; see [`crate::args::Args`].
    pub namespace: Option<String>,
    /// FleetSyncs of every namespace.
    pub all_namespaces: bool,
    /// Who targets are worked on as, when a FleetSync says nothing.
    pub default_service_account: Option<String>,
    /// Sync this FleetSync once, within this time.
    pub once: Option<(String, Duration)>,
    /// Where to answer probes and scrapes.
    pub http_address: SocketAddr,
    /// Where to take hints of Git servers.
    pub webhook_address: Option<SocketAddr>,
    /// Where and to whom to show the live page.
    pub web: Option<Web>,
    /// Where API servers tell of changes.
    pub observer_address: Option<SocketAddr>,
    /// Certificate, key and token for that.
    pub observer_files: Option<PathBuf>,
    /// Duration and renewal of the member Lease; none: without leader election.
    pub lease: Option<(Duration, Duration)>,
    /// Log filter.
    pub log_level: String,
    /// Log format.
    pub log_format: LogFormat,
    /// Who takes traces.
    pub otlp_endpoint: Option<String>,
    /// Folder for Git objects.
    pub data_dir: Option<PathBuf>,
    /// How long an API server may take.
    pub limits: Limits,
    /// Where notifications may go.
    pub reach: Reach,
    /// Time to end in.
    pub grace_period: Duration,
}

/// The live page.
#[derive(Clone, Debug)]
pub struct Web {
    /// Where it listens.
    pub address: SocketAddr,
    /// Names by which browsers ask for it.
    pub hosts: Vec<String>,
    /// File with its token.
    pub token: Option<PathBuf>,
}

/// How the agent ended. The numbers are a contract with scripts (docs: exit codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As asked.
    Done,
    /// Not synced, held back or drifted.
    NotSynced,
    /// Wrong options or input.
    Usage,
    /// A cluster or Git server could not be reached.
    Unreachable,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(match ending {
            Ending::Done => 0,
            Ending::NotSynced => 1,
            Ending::Usage => 2,
            Ending::Unreachable => 3,
        })
    }
}

/// Why the agent could not start or go on.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Failure {
    ending: Ending,
    message: String,
}

fn failure(ending: Ending, message: impl Into<String>) -> Failure {
    Failure { ending, message: message.into() }
}

/// Runs the agent to its end on a runtime of its own.
pub fn block_on(settings: Settings) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            log::last_words(&format!("the runtime could not be started: {error}; see the limits on threads and files"));
            return Ending::Usage.into();
        }
    };
    let unusable = |message: String| {
        log::last_words(&message);
        ExitCode::from(Ending::Usage)
    };
    let (exporter, taker) = match trace::start(settings.otlp_endpoint.as_deref(), runtime.handle()) {
        Ok(traces) => traces.unzip(),
        Err(message) => return unusable(message),
    };
    if let Err(message) = log::start(&settings.log_level, settings.log_format, taker) {
        return unusable(message);
    }
    if exporter.is_none() && trace::is_named_by_environment() {
        tracing::info!("the environment names a collector, and this build sends no traces (feature otlp)");
    }
    let ending = runtime.block_on(until_ended(settings));
    if let Some(exporter) = exporter {
        exporter.end();
    }
    // Not dropped: that would wait for a thread that hangs in the Git library.
    runtime.shutdown_background();
    ending.into()
}

/// Runs until the work has ended or a second signal says: now.
async fn until_ended(settings: Settings) -> Ending {
    let shutdown = CancellationToken::new();
    let signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => return report(&failure(Ending::Usage, format!("signals cannot be caught: {error}"))),
    };
    tokio::select! {
        ended = start(settings, shutdown.clone()) => match ended {
            Ok(ending) => ending,
            Err(failure) => report(&failure),
        },
        () = signals.second(shutdown) => Ending::NotSynced,
    }
}

fn report(failure: &Failure) -> Ending {
    tracing::error!("{failure}");
    failure.ending
}

/// Every field is named, so that one that nothing reads does not compile.
async fn start(settings: Settings, shutdown: CancellationToken) -> Result<Ending, Failure> {
    let Settings {
        kubeconfig,
        context,
        namespace,
        all_namespaces,
        default_service_account,
        once,
        http_address,
        webhook_address,
        web,
        observer_address,
        observer_files,
        lease,
        log_level: _,
        log_format: _,
        otlp_endpoint: _,
        data_dir,
        limits,
        reach,
        grace_period,
    } = settings;
    let in_cluster = kubeconfig.is_none();
    let unusable = |error: crate::credentials::CredentialsError| failure(Ending::Usage, error.to_string());
    let host = crate::credentials::host(kubeconfig.as_deref(), context.as_deref()).await.map_err(unusable)?;
    let client = crate::credentials::host_client(host.clone(), limits).map_err(unusable)?;
    let namespace = namespace.unwrap_or_else(|| agent::own_namespace(in_cluster));
    let (data_dir, _temporary) = agent::data_dir(data_dir)?;
    let metrics = Arc::new(Metrics::default());
    let readiness = Readiness::default();
    let mut views = Views::default();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), namespace, data_dir = %data_dir.display(), "starting");

    let seen = Seen::default();
    // `--once` is a command, not a service: it must not fail because the agent on the same machine has the port.
    let http = CancellationToken::new();
    if once.is_none() {
        // Before the first question can come.
        readiness.expect(agent::LEASE_CHECK);
        let server = Server::bind(http_address, Arc::clone(&metrics), readiness.clone()).await.map_err(|error| {
            failure(Ending::Usage, format!("--http-address {http_address}: {error}; choose a free port"))
        })?;
        let address = server.address().map_or_else(|_| http_address.to_string(), |address| address.to_string());
        tracing::info!(address, "answering /healthz, /readyz and /metrics");
        tokio::spawn(server.serve(http.clone()));
        if let Some(wanted) = webhook_address {
            let watched = (!all_namespaces).then_some(namespace.as_str());
            let hooks = Hooks::bind(wanted, client.clone(), watched, Arc::clone(&metrics)).await.map_err(|error| {
                failure(Ending::Usage, format!("--webhook-address {wanted}: {error}; choose a free port"))
            })?;
            let address = hooks.address().map_or_else(|_| wanted.to_string(), |address| address.to_string());
            tracing::info!(address, "taking hints of Git servers at /hooks/FLEETSYNC");
            tokio::spawn(hooks.serve(http.clone()));
        }
        if let Some(web) = web {
            views = Views::on();
            show(web, &views, &http).await?;
        }
        if let Some((wanted, files)) = observer_address.zip(observer_files) {
            let observer = Observer::bind(wanted, &files, seen.clone()).await.map_err(|error| {
                let folder = files.display();
                failure(Ending::Usage, format!("--observer-address {wanted}, --observer-files {folder}: {error}"))
            })?;
            let address = observer.address().map_or_else(|_| wanted.to_string(), |address| address.to_string());
            tracing::info!(address, "observing changes at /observe/TOKEN");
            tokio::spawn(observer.serve(http.clone()));
        }
    }
    let parts = agent::Parts {
        client,
        host,
        namespace,
        all_namespaces,
        default_service_account: default_service_account.map(Into::into),
        data_dir,
        metrics,
        readiness,
        views,
        shutdown,
        lease,
        limits,
        reach,
        alone: once.is_some(),
        grace_period,
        seen,
    };
    let ending = match once {
        Some((name, timeout)) => once::run(parts, &name, timeout).await,
        None => agent::run(parts).await,
    };
    http.cancel();
    ending
}

/// Shows the live page until `stop`.
async fn show(web: Web, views: &Views, stop: &CancellationToken) -> Result<(), Failure> {
    let Web { address: wanted, hosts, token } = web;
    let access = Access::new(wanted, hosts, token).map_err(|error| failure(Ending::Usage, error.to_string()))?;
    let taken = |error| failure(Ending::Usage, format!("--web-address {wanted}: {error}; choose a free port"));
    if let Some(page) = Page::bind(wanted, views, access).await.map_err(taken)? {
        let address = page.address().map_or_else(|_| wanted.to_string(), |address| address.to_string());
        tracing::info!(address, "showing the live page");
        tokio::spawn(page.serve(stop.clone()));
    }
    Ok(())
}
