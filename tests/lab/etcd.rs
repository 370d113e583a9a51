//! The one etcd that all API servers share, each below its own prefix.

use std::{path::Path, time::Duration};

use anyhow::{Result, bail};

use crate::{
    controlplane::{ControlPlane, Program},
    ports::free_port,
    processes::Supervised,
};

pub(crate) struct Etcd {
    pub(crate) process: Supervised,
    pub(crate) url: String,
}

impl Etcd {
    pub(crate) async fn start(programs: &ControlPlane, dir: &Path) -> Result<Self> {
        let log = dir.join("etcd.log");
        for _ in 0..5 {
            let port = free_port()?;
            let url = format!("http://127.0.0.1:{port}");
            let mut command = programs.command(Program::Etcd);
            command
                .arg(format!("--data-dir={}", dir.join("etcd").display()))
                .arg(format!("--listen-client-urls={url}"))
                .arg(format!("--advertise-client-urls={url}"))
                .arg("--listen-peer-urls=http://127.0.0.1:0")
                .arg("--log-level=warn")
                // The data is thrown away with the lab; syncing it to disk is most of etcd's time on a slow disk.
                .arg("--unsafe-no-fsync");
            let mut process = Supervised::start("etcd", command, &log)?;
            loop {
                if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                    return Ok(Self { process, url });
                }
                if process.exited()?.is_some() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if !process.log_tail().contains("address already in use") {
                bail!("etcd ended while starting:\n{}", process.log_tail());
            }
        }
        bail!("etcd found no free port in five tries")
    }
}
