//! What is needed where: the fleet's files, those of a base, and a FleetSync.

use super::RbacArgs;
use crate::commands::diff::value_error;
use crate::context::Context;
use crate::error::CommandError;
use crate::live::contexts;
use crate::live::host::DEFAULT_NAMESPACE;
use asm_io::revisions::WorkingCopy;
use asm_io::tree::{CommitTree, resolve};
use asm_shared::access::{Access, HostUse, of_host, of_target};
use asm_shared::api::FleetSync;
use asm_shared::authoring::did_you_mean;
use asm_shared::fleet::FleetState;
use asm_shared::yaml;
use std::path::Path;

/// Name of the cluster that the agent runs in.
const HOST: &str = "host";
/// Problems told one by one.
const PROBLEMS_SHOWN: usize = 10;

/// What is needed on one API server.
pub(super) struct Wanted {
    /// `host`, `mesh` or the cluster's name.
    pub(super) name: String,
    /// Its kubeconfig context; none: the current one, or --context.
    pub(super) kube_context: Option<String>,
    pub(super) access: Access,
    pub(super) is_host: bool,
    /// Namespace of the FleetSync.
    pub(super) namespace: String,
    /// Service account of that namespace that has the rights.
    pub(super) acts_as: Option<String>,
}

pub(super) fn read(context: &Context, args: &RbacArgs) -> Result<Vec<Wanted>, CommandError> {
    let repo = context.repo()?;
    let fleet = repo.fleet()?;
    whole(&repo.state, "the working tree")?;
    let base = args.base.as_deref().map(|base| state_at(&repo.root, base)).transpose()?;
    let sync = args.fleetsync.as_deref().map(fleet_sync).transpose()?;
    let namespace = sync.as_ref().and_then(|sync| sync.metadata.namespace.clone());
    let namespace =
        namespace.or_else(|| context.globals.namespace.clone()).unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    let acts_as = sync.as_ref().and_then(|sync| sync.spec.service_account_name.clone());
    let prune = sync.as_ref().is_none_or(|sync| sync.spec.prune.enabled);
    let mut all = Vec::new();
    if let Some(sync) = &sync {
        let webhooks = sync.spec.source.webhook.is_some();
        let syncs = [(sync.clone(), repo.state.targets())];
        // An agent for all namespaces lives in one of its own.
        let all_namespaces = context.globals.all_namespaces;
        let home = if all_namespaces { DEFAULT_NAMESPACE } else { namespace.as_str() };
        let use_ = HostUse { namespace: home, all_namespaces, syncs: &syncs, webhooks };
        all.push(Wanted {
            name: HOST.to_owned(),
            kube_context: None,
            access: of_host(&use_),
            is_host: true,
            namespace: home.to_owned(),
            acts_as: None,
        });
    }
    for live in contexts(fleet) {
        let mut access = of_target(&repo.state, &live.target, prune);
        if let Some(base) = &base {
            access.merge(of_target(base, &live.target, prune));
        }
        all.push(Wanted {
            name: live.target.name().to_owned(),
            kube_context: Some(live.kube_context),
            access,
            is_host: false,
            namespace: namespace.clone(),
            acts_as: acts_as.clone(),
        });
    }
    for name in &args.targets {
        if !all.iter().any(|wanted| wanted.name == *name) {
            let names = || all.iter().map(|wanted| wanted.name.as_str());
            let failed = if name == HOST {
                CommandError::usage(
                    "what the agent needs in its own cluster depends on the FleetSync: add --fleetsync FILE",
                )
            } else {
                CommandError::usage(format!("fleet.yaml has no target {name}"))
                    .hinted_with(did_you_mean(name, names()))
                    .hinted(format!("targets are: {}", names().collect::<Vec<_>>().join(", ")))
            };
            return Err(failed);
        }
    }
    all.retain(|wanted| args.targets.is_empty() || args.targets.contains(&wanted.name));
    Ok(all)
}

/// Roles out of half the files would be half the roles.
fn whole(state: &FleetState, label: &str) -> Result<(), CommandError> {
    if state.problems.is_empty() {
        return Ok(());
    }
    let failed = CommandError::input(format!("{label}: files cannot be read, and what they need is not known"));
    let told = state.problems.iter().take(PROBLEMS_SHOWN);
    Err(told
        .fold(failed, |failed, problem| failed.because(problem.to_string()))
        .hinted("mend them first: kubectl asm lint"))
}

fn state_at(root: &Path, revision: &str) -> Result<FleetState, CommandError> {
    let copy =
        WorkingCopy::find(root).map_err(|error| value_error(&error).hinted("revisions need a Git repository"))?;
    let commit = resolve(&copy.repository, revision).map_err(|error| {
        value_error(&error).hinted("list what there is with: git branch --all; get what is new with: git fetch")
    })?;
    if !copy.has_folder(commit) {
        return Ok(FleetState::default());
    }
    let tree = CommitTree::of(&copy.repository, commit, &copy.folder).map_err(|error| value_error(&error))?;
    let state = FleetState::read(&tree);
    whole(&state, revision)?;
    Ok(state)
}

fn fleet_sync(file: &Path) -> Result<FleetSync, CommandError> {
    let failed = |what: String| CommandError::input(format!("{}: {what}", file.display()));
    let text = std::fs::read(file).map_err(|error| failed("cannot be read".to_owned()).caused_by(&error))?;
    let documents = yaml::read(&text, &yaml::Limits::default()).map_err(|error| failed(error.to_string()))?;
    let mut found =
        documents.iter().filter(|document| document.value.get("kind").is_some_and(|kind| kind == "FleetSync"));
    let (Some(document), None) = (found.next(), found.next()) else {
        return Err(failed("it does not hold exactly one FleetSync".to_owned())
            .hinted("get it with: kubectl get fleetsync NAME -n NAMESPACE -o yaml"));
    };
    serde_json::from_value((*document.value).clone())
        .map_err(|error| failed("it is no FleetSync".to_owned()).caused_by(&error))
}
