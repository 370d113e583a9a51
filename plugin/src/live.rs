//! The live side of a fleet: mesh and member clusters by their kubeconfig contexts.

pub mod drifted;
pub mod frozen;
pub mod host;
pub mod objects;
pub mod one;
pub mod report;
pub mod several;
pub mod survey;
pub mod wait;

use crate::context::Context;
use crate::error::CommandError;
use asm_io::cluster::{ClusterError, ErrorKind};
use asm_shared::authoring::did_you_mean;
use asm_shared::fleet::{Fleet, Target};

/// One API server of the fleet and the kubeconfig context that leads to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveTargetName {
    /// The target.
    pub target: Target,
    /// Its kubeconfig context.
    pub kube_context: String,
}

/// The targets of a fleet with their kubeconfig contexts: what `fleet.yaml` says, else `mesh` and the cluster's name.
pub fn contexts(fleet: &Fleet) -> Vec<LiveTargetName> {
    let mesh = LiveTargetName {
        target: Target::Mesh,
        kube_context: fleet.spec.mesh.context.clone().unwrap_or_else(|| "mesh".to_owned()),
    };
    let clusters = fleet.spec.clusters.iter().map(|cluster| LiveTargetName {
        target: Target::Cluster(cluster.name.as_str().into()),
        kube_context: cluster.context.clone().unwrap_or_else(|| cluster.name.clone()),
    });
    std::iter::once(mesh).chain(clusters).collect()
}

/// The targets that `--context` and `--target` leave over; all of them without either.
pub fn chosen(context: &Context, fleet: &Fleet, targets: &[String]) -> Result<Vec<LiveTargetName>, CommandError> {
    let all = contexts(fleet);
    for name in targets {
        if !all.iter().any(|live| live.target.name() == name) {
            let names = || all.iter().map(|live| live.target.name());
            return Err(CommandError::usage(format!("fleet.yaml has no target {name}"))
                .hinted_with(did_you_mean(name, names()))
                .hinted(format!("targets are: {}", names().collect::<Vec<_>>().join(", "))));
        }
    }
    for name in &context.globals.contexts {
        if !all.iter().any(|live| live.kube_context == *name) {
            let names: Vec<&str> = all.iter().map(|live| live.kube_context.as_str()).collect();
            return Err(CommandError::usage(format!("no target of fleet.yaml uses the kubeconfig context {name}"))
                .hinted(format!(
                    "contexts of the fleet are: {}; change one with `context:` in fleet.yaml",
                    names.join(", ")
                )));
        }
    }
    let wanted = |live: &LiveTargetName| {
        (targets.is_empty() || targets.iter().any(|name| live.target.name() == name))
            && (context.globals.contexts.is_empty() || context.globals.contexts.contains(&live.kube_context))
    };
    Ok(all.into_iter().filter(wanted).collect())
}

/// What a failed request means for the user: a kind, the API server's own words, and what to do next.
pub fn request_failed(kube_context: &str, doing: &str, error: &ClusterError) -> CommandError {
    let message = format!("cannot {doing} (context {kube_context})");
    let hint = match error.kind {
        ErrorKind::Unauthorized => {
            format!("the credentials were refused or are missing; try: kubectl --context {kube_context} auth whoami")
        }
        ErrorKind::Forbidden => "the API server does not allow it: ask for the role, or use --as".to_owned(),
        ErrorKind::Unreachable | ErrorKind::Timeout => {
            format!("is the cluster up and the network open? try: kubectl --context {kube_context} version")
        }
        _ => String::new(),
    };
    let told = match error.kind {
        ErrorKind::Unreachable
        | ErrorKind::Unauthorized
        | ErrorKind::Forbidden
        | ErrorKind::Timeout
        | ErrorKind::Throttled(_)
        | ErrorKind::Server => CommandError::unreachable(message),
        _ => CommandError::input(message),
    };
    told.because(error.message.clone()).hinted_with((!hint.is_empty()).then_some(hint))
}
