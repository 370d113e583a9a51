//! kube-controller-manager with only the controllers that a lab needs.

use std::{fs, path::Path};

use anyhow::Result;

use crate::{
    access::Access,
    controlplane::{ControlPlane, Program},
    processes::Supervised,
    users,
};

/// For the API servers that hold objects but run nothing.
pub(crate) const HOLDS_OBJECTS: &str = "namespace-controller,garbage-collector-controller";

/// For clusters with workloads.
pub(crate) const RUNS_WORKLOADS: &str = "namespace-controller,garbage-collector-controller,serviceaccount-controller,\
     deployment-controller,replicaset-controller,statefulset-controller,daemonset-controller,job-controller,\
     endpointslice-controller,clusterrole-aggregation-controller";

pub(crate) fn start(
    programs: &ControlPlane,
    access: &Access,
    dir: &Path,
    context: &str,
    controllers: &str,
) -> Result<Supervised> {
    let kubeconfig = dir.join(format!("controller-manager-{context}.kubeconfig"));
    fs::write(&kubeconfig, access.kubeconfig_text(context, users::CONTROLLER_MANAGER)?)?;
    let mut command = programs.command(Program::ControllerManager);
    command
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .arg(format!("--controllers={controllers}"))
        .arg("--leader-elect=false")
        // The default of 20 queries a second makes load tests measure this limit.
        .arg("--kube-api-qps=1000")
        .arg("--kube-api-burst=2000")
        // It serves nothing here, so it needs no port.
        .arg("--secure-port=0")
        .arg("--profiling=false");
    let log = dir.join(format!("controller-manager-{context}.log"));
    Supervised::start(&format!("kube-controller-manager {context}"), command, &log)
}
