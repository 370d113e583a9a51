//! The host cluster: where the agent keeps its FleetSyncs and DriftReports.

use super::report::Shown;
use super::request_failed;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::kubeconfig;
use crate::output::{self, OutputFormat};
use asm_io::cluster::ClusterError;
use asm_shared::api::{DriftReport, FleetSync};
use asm_shared::authoring::did_you_mean;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

/// Namespace of the agent unless `-n` says otherwise.
pub const DEFAULT_NAMESPACE: &str = "asm-system";
/// Field manager of the few writes that the plugin makes.
pub const FIELD_MANAGER: &str = "kubectl-asm";

/// The cluster that the agent runs in.
pub struct Host {
    client: Client,
    /// Its kubeconfig context.
    pub kube_context: String,
    /// Namespace of the FleetSyncs; `None` for all.
    pub namespace: Option<String>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("kube_context", &self.kube_context).field("namespace", &self.namespace).finish()
    }
}

impl Host {
    /// By `--context`, or the current context of the kubeconfig.
    pub async fn connect(context: &Context) -> Result<Self, CommandError> {
        let kube_context = match context.globals.contexts.as_slice() {
            [] => kubeconfig::load(context)?.current_context.filter(|name| !name.is_empty()).ok_or_else(|| {
                CommandError::input("the kubeconfig has no current context")
                    .hinted("name the cluster that the agent runs in with --context, or choose one with: kubectl config use-context")
            })?,
            [one] => one.clone(),
            _ => return Err(CommandError::usage("the agent runs in one cluster: give --context once")),
        };
        let client = kubeconfig::client(context, &kube_context).await?;
        let namespace = (!context.globals.all_namespaces)
            .then(|| context.globals.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()));
        Ok(Self { client, kube_context, namespace })
    }

    /// The FleetSyncs, by namespace and name.
    pub async fn fleet_syncs(&self) -> Result<Vec<FleetSync>, CommandError> {
        let api: Api<FleetSync> = self.all();
        let mut found = self.answer("list FleetSyncs", api.list(&ListParams::default()).await)?.items;
        found.sort_by_key(|sync| (sync.namespace(), sync.name_any()));
        Ok(found)
    }

    /// One FleetSync: the named one, or the only one there is.
    pub async fn fleet_sync(&self, name: Option<&str>) -> Result<FleetSync, CommandError> {
        pick(self.fleet_syncs().await?, name, &self.place())
    }

    /// The DriftReports of a FleetSync, by target with the mesh first.
    pub async fn drift_reports(&self, sync: &FleetSync) -> Result<Vec<DriftReport>, CommandError> {
        let api: Api<DriftReport> = Api::namespaced(self.client.clone(), &sync.namespace().unwrap_or_default());
        let mut found = self.answer("list DriftReports", api.list(&ListParams::default()).await)?.items;
        found.retain(|report| report.spec.fleet_sync == sync.name_any());
        found.sort_by_key(|report| (report.spec.target != "mesh", report.spec.target.clone()));
        Ok(found)
    }

    /// Access to the FleetSyncs of one namespace.
    pub fn api(&self, sync: &FleetSync) -> Api<FleetSync> {
        Api::namespaced(self.client.clone(), &sync.namespace().unwrap_or_default())
    }

    /// Changes a FleetSync by a merge patch.
    pub async fn patch(&self, sync: &FleetSync, doing: &str, patch: &Value) -> Result<FleetSync, CommandError> {
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        self.answer(doing, self.api(sync).patch(&sync.name_any(), &parameters, &Patch::Merge(patch)).await)
    }

    /// The answer of the API server, or what its refusal means for the user.
    pub fn answer<T>(&self, doing: &str, answer: Result<T, kube::Error>) -> Result<T, CommandError> {
        answer.map_err(|error| self.failed(doing, &ClusterError::from(error)))
    }

    /// What a refusal means for the user.
    pub fn failed(&self, doing: &str, error: &ClusterError) -> CommandError {
        let failed = request_failed(&self.kube_context, doing, error);
        if error.is_not_found() {
            failed.hinted("is the agent installed in this cluster? name the one it runs in with --context")
        } else {
            failed
        }
    }

    fn all(&self) -> Api<FleetSync> {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// `namespace asm-system of context host`.
    fn place(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("namespace {namespace} of context {}", self.kube_context),
            None => format!("context {}", self.kube_context),
        }
    }
}

/// `fleetsync.kubectl-asm.io/NAME`, as kubectl names it.
pub fn resource_name(sync: &FleetSync) -> String {
    format!("fleetsync.kubectl-asm.io/{}", sync.name_any())
}

/// Suspends or resumes a FleetSync, and says so as kubectl does.
pub fn set_suspend(context: &Context, name: Option<&str>, suspend: bool) -> Result<Exit, CommandError> {
    let format = context.output(&[OutputFormat::Json, OutputFormat::Yaml, OutputFormat::Name])?;
    let (sync, changed) = context.block_on(async {
        let host = Host::connect(context).await?;
        let sync = host.fleet_sync(name).await?;
        if sync.spec.suspend == suspend {
            return Ok((sync, false));
        }
        let doing = if suspend { "suspend the FleetSync" } else { "resume the FleetSync" };
        Ok((host.patch(&sync, doing, &json!({"spec": {"suspend": suspend}})).await?, true))
    })?;
    match format {
        OutputFormat::Json | OutputFormat::Yaml => {
            output::print(context.ui(), format, &output::of(&Shown::new(&sync))?)?
        }
        OutputFormat::Name => context.ui().line(&resource_name(&sync)),
        OutputFormat::Human | OutputFormat::Wide => context.ui().line(&said(&sync, suspend, changed)),
    }
    Ok(Exit::Clean)
}

fn said(sync: &FleetSync, suspend: bool, changed: bool) -> String {
    let done = if suspend { "suspended" } else { "resumed" };
    let unchanged = if changed { "" } else { " (unchanged)" };
    format!("{} {done}{unchanged}", resource_name(sync))
}

fn pick(found: Vec<FleetSync>, name: Option<&str>, place: &str) -> Result<FleetSync, CommandError> {
    let names: Vec<String> = found.iter().map(|sync| sync.name_any()).collect();
    let Some(name) = name else {
        return match <[FleetSync; 1]>::try_from(found) {
            Ok([only]) => Ok(only),
            Err(found) if found.is_empty() => Err(CommandError::input(format!("there is no FleetSync in {place}"))
                .hinted("name the agent's namespace with -n and its cluster with --context")),
            Err(_) => Err(CommandError::usage(format!("there are several FleetSyncs in {place}: name one"))
                .hinted(format!("they are: {}", names.join(", ")))),
        };
    };
    let mut same: Vec<FleetSync> = found.into_iter().filter(|sync| sync.name_any() == name).collect();
    match (same.pop(), same.is_empty()) {
        (Some(sync), true) => Ok(sync),
        (Some(_), false) => {
            Err(CommandError::usage(format!("{place} has several FleetSyncs named {name}: choose a namespace with -n")))
        }
        (None, _) => Err(CommandError::input(format!("there is no FleetSync {name} in {place}"))
            .hinted_with(did_you_mean(name, names.iter().map(String::as_str)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use asm_shared::api::FleetSyncSpec;

    fn sync(namespace: &str, name: &str) -> FleetSync {
        let spec: FleetSyncSpec = serde_json::from_value(serde_json::json!({"source": {"url": "https://x"}})).unwrap();
        let mut sync = FleetSync::new(name, spec);
        sync.metadata.namespace = Some(namespace.to_owned());
        sync
    }

    #[test]
    fn suspending_is_said_as_kubectl_says_it() {
        assert_eq!(said(&sync("a", "shop"), true, true), "fleetsync.kubectl-asm.io/shop suspended");
        assert_eq!(said(&sync("a", "shop"), false, false), "fleetsync.kubectl-asm.io/shop resumed (unchanged)");
    }

    #[test]
    fn the_only_one_needs_no_name() {
        assert_eq!(pick(vec![sync("a", "shop")], None, "x").unwrap().name_any(), "shop");
        assert_eq!(pick(vec![sync("a", "shop"), sync("a", "b")], Some("b"), "x").unwrap().name_any(), "b");
        let message = |found, name| pick(found, name, "namespace a of context host").unwrap_err().message;
        assert_eq!(message(vec![], None), "there is no FleetSync in namespace a of context host");
        assert_eq!(
            message(vec![sync("a", "b"), sync("a", "c")], None),
            "there are several FleetSyncs in namespace a of context host: name one"
        );
        assert_eq!(message(vec![sync("a", "b")], Some("c")), "there is no FleetSync c in namespace a of context host");
        assert!(message(vec![sync("a", "b"), sync("z", "b")], Some("b")).contains("choose a namespace with -n"));
    }
}
