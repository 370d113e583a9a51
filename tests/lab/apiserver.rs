//! One kube-apiserver: start, stop, start again on the same port.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::time::Instant;

use crate::{
    access::Access,
    controlplane::{ControlPlane, Program},
    processes::Supervised,
    users,
};

/// What is recorded: who did what, without bodies. The API server's requests to itself are noise.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  users: [\"system:apiserver\"]
- level: Metadata
";

const READY_WITHIN: Duration = Duration::from_secs(120);

/// What all API servers of a lab share.
pub(crate) struct Shared<'a> {
    pub(crate) programs: &'a ControlPlane,
    pub(crate) dir: &'a Path,
    pub(crate) etcd: &'a str,
}

pub(crate) struct ApiServer {
    pub(crate) context: String,
    pub(crate) port: u16,
    index: usize,
    dir: PathBuf,
    etcd: String,
    programs: ControlPlane,
    process: Mutex<Option<Supervised>>,
}

/// Why a start failed.
pub(crate) enum StartError {
    /// Another process took the port between our look and the start.
    PortTaken,
    Other(anyhow::Error),
}

impl ApiServer {
    pub(crate) fn new(shared: &Shared<'_>, context: &str, index: usize, port: u16) -> Self {
        Self {
            context: context.to_owned(),
            port,
            index,
            dir: shared.dir.to_owned(),
            etcd: shared.etcd.to_owned(),
            programs: shared.programs.clone(),
            process: Mutex::new(None),
        }
    }

    /// Writes the files that every API server's flags name.
    pub(crate) fn write_shared_files(dir: &Path) -> Result<()> {
        std::fs::write(dir.join("audit-policy.yaml"), AUDIT_POLICY)?;
        Ok(())
    }

    pub(crate) fn audit_log(&self) -> PathBuf {
        self.dir.join(format!("audit-{}.jsonl", self.context))
    }

    fn log(&self) -> PathBuf {
        self.dir.join(format!("apiserver-{}.log", self.context))
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.lock().as_ref().map(Supervised::pid)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.lock().is_some()
    }

    /// Ends it at once, as a machine that loses power does.
    pub(crate) fn stop(&self) {
        drop(self.lock().take());
    }

    /// Starts the process; does not wait until it serves.
    pub(crate) fn spawn(&self) -> Result<()> {
        let file = |name: &str| self.dir.join(name).display().to_string();
        let mut command = self.programs.command(Program::ApiServer);
        command
            .arg(format!("--etcd-servers={}", self.etcd))
            .arg(format!("--etcd-prefix=/{}", self.context))
            .arg("--bind-address=127.0.0.1")
            .arg(format!("--secure-port={}", self.port))
            .arg(format!("--cert-dir={}", file(&format!("certs-{}", self.context))))
            .arg(format!("--tls-cert-file={}", file("server.crt")))
            .arg(format!("--tls-private-key-file={}", file("server.key")))
            .arg(format!("--token-auth-file={}", file("tokens.csv")))
            .arg("--authorization-mode=RBAC")
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(format!("--service-account-key-file={}", file("sa.pub")))
            .arg(format!("--service-account-signing-key-file={}", file("sa.key")))
            // The clusters' Service ranges differ, as they must in a mesh.
            .arg(format!("--service-cluster-ip-range=172.{}.0.0/16", 16 + self.index % 16))
            // No tokens are made for pods that nothing runs.
            .arg("--disable-admission-plugins=ServiceAccount")
            .arg("--allow-privileged=true")
            // Endpoints of the `kubernetes` Service may not be loopback addresses; nothing here needs them.
            .arg("--endpoint-reconciler-type=none")
            // So nobody uses it either; without one a machine needs a default route.
            .arg("--advertise-address=10.244.0.1")
            .arg("--shutdown-delay-duration=0s")
            .arg("--profiling=false")
            .arg(format!("--audit-policy-file={}", file("audit-policy.yaml")))
            .arg(format!("--audit-log-path={}", self.audit_log().display()))
            // Numbers of backups do not matter, but the file must never rotate away from its reader.
            .arg("--audit-log-maxsize=100000")
            .arg("--audit-log-format=json");
        let process = Supervised::start(&format!("kube-apiserver {}", self.context), command, &self.log())?;
        *self.lock() = Some(process);
        Ok(())
    }

    /// Waits until it serves everything, RBAC defaults included.
    pub(crate) async fn ready(&self, access: &Access) -> Result<(), StartError> {
        let mut config = access.config(&self.context, users::LAB, "asm-lab").map_err(StartError::Other)?;
        config.default_retry = false;
        let client = kube::Client::try_from(config).map_err(|e| StartError::Other(e.into()))?;
        let end = Instant::now() + READY_WITHIN;
        let mut last = String::new();
        while Instant::now() < end {
            // A new client each round is not needed: a refused connection is tried anew.
            match tokio::time::timeout(Duration::from_secs(10), self.ask(&client)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => last = format!("{error:#}"),
                Err(_) => last = "no answer within ten seconds".to_owned(),
            }
            let ended = match self.lock().as_mut() {
                Some(process) => process.exited().map_err(StartError::Other)?.map(|_| process.log_tail()),
                None => Some("it was stopped meanwhile".to_owned()),
            };
            if let Some(log) = ended {
                if log.contains("address already in use") {
                    return Err(StartError::PortTaken);
                }
                return Err(StartError::Other(anyhow::anyhow!(
                    "the API server of {} ended while starting:\n{log}",
                    self.context
                )));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(StartError::Other(anyhow::anyhow!(
            "the API server of {} was not ready within {READY_WITHIN:?} ({last}); log: {}",
            self.context,
            self.log().display()
        )))
    }

    async fn ask(&self, client: &kube::Client) -> Result<()> {
        for path in ["/readyz", "/api/v1/namespaces/default"] {
            let request = http::Request::get(path).body(Vec::new())?;
            client.request_text(request).await.with_context(|| path.to_owned())?;
        }
        Ok(())
    }

    /// Starts it again on the port it had, however long the kernel keeps that.
    pub(crate) async fn start_again(&self, access: &Access) -> Result<()> {
        if self.is_running() {
            return Ok(());
        }
        for _ in 0..20 {
            self.spawn()?;
            match self.ready(access).await {
                Ok(()) => return Ok(()),
                Err(StartError::Other(error)) => return Err(error),
                Err(StartError::PortTaken) => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
        bail!("port {} of the API server of {} stays taken by another process", self.port, self.context)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Supervised>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
