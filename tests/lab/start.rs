//! Starting a lab: its directory, its processes, its controllers.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    sync::atomic::AtomicU64,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{
    Access, Cloud, ControlPlane, DataPlane, GitServer, HOST, Lab, LabOptions, MESH, Pki,
    apiserver::{ApiServer, Shared, StartError},
    cluster_id, controller_manager,
    controllers::{asm, ccm, kubelet},
    crds, dataplane,
    etcd::Etcd,
    pki, ports, users,
};

const PREFIX: &str = "kubectl-asm-lab-";

impl Lab {
    /// Starts a lab and waits until all of it serves.
    pub async fn start(options: LabOptions) -> Result<Self> {
        let began = Instant::now();
        // Two providers in one program would make rustls refuse to choose; a choice already made is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let say = |text: &str| {
            tracing::debug!("{text}");
            if let Some(progress) = &options.progress {
                progress(text);
            }
        };
        ensure!(!options.members.is_empty(), "a lab needs a member cluster");
        for name in &options.members {
            let fits =
                !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            ensure!(fits, "{name:?} is no name for a member cluster: small letters, digits and - only");
            ensure!(name != HOST && name != MESH, "no member can be called {name}");
        }
        if options.data_plane.is_some() {
            dataplane::set_up_network()?;
        }
        say("Preparing the control plane's programs");
        let control_plane = tokio::task::spawn_blocking(ControlPlane::prepare).await??;
        let (dir, lock) = make_dir()?;
        let pki = Pki::new()?;
        let tokens = users::Tokens::new(&pki::random()?);
        let server_cert = pki.server_cert()?;
        fs::write(dir.path().join("ca.crt"), pki.ca_pem())?;
        fs::write(dir.path().join("server.crt"), &server_cert.cert_pem)?;
        fs::write(dir.path().join("server.key"), &server_cert.key_pem)?;
        fs::write(dir.path().join("tokens.csv"), tokens.file())?;
        pki::write_service_account_key(dir.path())?;
        ApiServer::write_shared_files(dir.path())?;

        let contexts: Vec<String> =
            [HOST, MESH].into_iter().map(str::to_owned).chain(options.members.iter().cloned()).collect();
        say(&format!("Starting etcd and {} API servers: {}", contexts.len(), contexts.join(", ")));
        let etcd = Etcd::start(&control_plane, dir.path()).await?;
        let shared = Shared { programs: &control_plane, dir: dir.path(), etcd: &etcd.url };
        let (servers, access) = start_servers(&shared, &contexts, &pki, &tokens).await?;
        say(&format!("API servers are ready after {:.1} s", began.elapsed().as_secs_f32()));

        let kubeconfig = dir.path().join("kubeconfig");
        fs::write(&kubeconfig, access.kubeconfig(users::ADMIN)?)?;
        let mut controller_managers = Vec::new();
        if options.controller_manager {
            for context in &contexts {
                let runs_workloads = options.members.contains(context);
                let controllers =
                    if runs_workloads { controller_manager::RUNS_WORKLOADS } else { controller_manager::HOLDS_OBJECTS };
                controller_managers.push(controller_manager::start(
                    &control_plane,
                    &access,
                    dir.path(),
                    context,
                    controllers,
                )?);
            }
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("asm-lab")
            .enable_all()
            .build()
            .context("cannot start the lab's runtime")?;
        let git_root = dir.path().join("git");
        let git = runtime.spawn(async move { GitServer::start(&git_root).await }).await??;
        let cloud = Cloud::new(MESH, &options.members);
        let mut lab = Self {
            members: options.members.clone(),
            access,
            pki,
            control_plane,
            kubeconfig,
            cloud,
            git: Some(git),
            numbers: AtomicU64::new(0),
            runtime: Some(runtime),
            data_plane: None,
            controller_managers,
            servers,
            etcd: Some(etcd),
            _lock: lock,
            dir,
        };
        say("Installing CRDs and namespaces");
        lab.furnish().await?;
        if let Some(wanted) = &options.data_plane {
            say("Starting istiod");
            let (dir, access) = (lab.dir.path().to_owned(), &lab.access);
            lab.data_plane = Some(DataPlane::start(wanted, access, dir, &lab.members).await?);
        }
        lab.start_controllers(&options)?;
        say(&format!("The lab is ready after {:.1} s", began.elapsed().as_secs_f32()));
        Ok(lab)
    }

    async fn furnish(&self) -> Result<()> {
        let namespaces = async {
            let wanted = self.members.iter().map(|m| (m.as_str(), "istio-system"));
            for (context, namespace) in wanted.chain([(HOST, "asm-system"), (MESH, "istio-system")]) {
                let yaml = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n");
                self.apply_yaml(context, &yaml).await?;
            }
            anyhow::Ok(())
        };
        let mesh = self.client_as(MESH, users::LAB)?;
        tokio::try_join!(namespaces, crds::install(&mesh))?;
        Ok(())
    }

    fn start_controllers(&self, options: &LabOptions) -> Result<()> {
        let handle = self.handle();
        // Clients belong to the runtime that makes them.
        let _inside = handle.enter();
        if options.asm {
            let client = |context: &str| self.access.client(context, users::ASM_CONTROLLER, "asm-controller/lab");
            let members = self.members.iter().map(|context| {
                Ok(asm::Member { id: cluster_id(context), context: context.clone(), client: client(context)? })
            });
            let members = members.collect::<Result<Vec<_>>>()?;
            handle.spawn(asm::Asm::new(client(MESH)?, members, self.cloud.clone()).run());
        }
        for (index, cluster) in self.members.iter().enumerate() {
            if options.cloud {
                let client = self.access.client(cluster, users::CLOUD_CONTROLLER, "cloud-controller-manager/lab")?;
                let timing = ccm::Timing {
                    first_retry: options.cloud_retry.0,
                    last_retry: options.cloud_retry.1,
                    provisioning: options.provisioning,
                };
                handle.spawn(ccm::Ccm::new(cluster, client, self.cloud.of(cluster), timing).run());
            }
            if options.kubelet {
                let client = self.access.client(cluster, users::KUBELET, "kubelet/lab")?;
                let pods = self.data_plane.as_ref().map(DataPlane::pods);
                let kubelet =
                    kubelet::Kubelet { cluster: cluster.clone(), index, termination: options.termination, pods };
                handle.spawn(kubelet.run(client));
            }
        }
        if let Some(data_plane) = &self.data_plane {
            data_plane.serve(&handle, &self.access, &self.cloud, &self.members)?;
        }
        Ok(())
    }
}

/// Starts all API servers at once; one whose port got taken meanwhile gets another.
async fn start_servers(
    shared: &Shared<'_>,
    contexts: &[String],
    pki: &Pki,
    tokens: &users::Tokens,
) -> Result<(BTreeMap<String, ApiServer>, Access)> {
    let mut servers = BTreeMap::new();
    for (index, context) in contexts.iter().enumerate() {
        let mut port = ports::free_port()?;
        while servers.values().any(|s: &ApiServer| s.port == port) {
            port = ports::free_port()?;
        }
        let server = ApiServer::new(shared, context, index, port);
        server.spawn()?;
        servers.insert(context.clone(), server);
    }
    for _ in 0..5 {
        let urls = servers.iter().map(|(c, s)| (c.clone(), format!("https://127.0.0.1:{}", s.port))).collect();
        let access = Access::new(pki, tokens.clone(), urls);
        let ready = futures::future::join_all(servers.values().map(|s| s.ready(&access))).await;
        let states: Vec<_> = servers.keys().cloned().zip(ready).collect();
        let mut moved = false;
        for (context, state) in states {
            match state {
                Ok(()) => {}
                Err(StartError::Other(error)) => return Err(error),
                Err(StartError::PortTaken) => {
                    moved = true;
                    if let Some(server) = servers.get_mut(&context) {
                        server.stop();
                        server.port = ports::free_port()?;
                        server.spawn()?;
                    }
                }
            }
        }
        if !moved {
            return Ok((servers, access));
        }
    }
    anyhow::bail!("ports kept being taken by other processes while the API servers started")
}

/// Makes the lab's directory, and removes those of labs that were killed: they cannot do it themselves.
fn make_dir() -> Result<(TempDir, File)> {
    let base = std::env::temp_dir();
    for entry in fs::read_dir(&base).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        // A directory without a lock is just being made by another process.
        if let Ok(lock) = File::open(entry.path().join("lock"))
            && lock.try_lock().is_ok()
        {
            tracing::debug!(dir = %entry.path().display(), "removing what a killed lab left");
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&base).context("cannot make the lab's directory")?;
    // Locked under another name first: no other process may see it unlocked.
    let lock = File::create(dir.path().join("lock.new"))?;
    lock.lock()?;
    fs::rename(dir.path().join("lock.new"), dir.path().join("lock"))?;
    Ok((dir, lock))
}
