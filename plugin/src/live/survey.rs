//! Reading a mesh and its members for an import: GET and LIST only, page by page, each object cut down as it comes.

use super::objects::{PAGE, whole};
use crate::context::Context;
use crate::error::CommandError;
use crate::kubeconfig;
use asm_io::cluster::{ClusterError, ErrorKind, Resource};
use asm_shared::fleet::Target;
use asm_shared::import::{ChosenPods, Generated, Harvest, Member};
use asm_shared::object::kinds::{self, ASM};
use asm_shared::object::{GroupKind, ObjectId};
use futures::stream::{self, StreamExt as _};
use kube::Client;
use kube::api::ListParams;
use serde_json::Value;
use std::collections::BTreeSet;

/// API servers read at the same time.
const AT_ONCE: usize = 4;
/// How often a list is begun again whose pages have expired.
const RESTARTS: usize = 3;
/// Kinds of workloads that are imported.
pub const WORKLOADS: [&str; 2] = ["Deployment", "StatefulSet"];

/// Which objects are read.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Only these namespaces; all when empty.
    pub namespaces: Vec<String>,
    /// Kinds that are not read.
    pub without: BTreeSet<GroupKind>,
    /// Workloads with these labels.
    pub selectors: Vec<String>,
    /// Workloads by name.
    pub workloads: Vec<ObjectId>,
    /// ConfigMaps of the workloads too.
    pub config_maps: bool,
}

/// Something that could not be read.
#[derive(Debug)]
struct Failure {
    target: Target,
    kube_context: String,
    what: String,
    kind: Option<GroupKind>,
    error: ClusterError,
}

/// Reads the mesh and the members. An error tells everything that could not be read.
pub async fn survey(
    context: &Context,
    wish: &Wish,
    mesh_context: &str,
    members: &[Member],
) -> Result<(Harvest, Vec<Harvest>), CommandError> {
    let mesh = Server::connect(context, Target::Mesh, mesh_context).await?;
    let mut servers = Vec::with_capacity(members.len());
    for member in members {
        servers.push(Server::connect(context, Target::Cluster(member.name.as_str().into()), &member.context).await?);
    }
    let mut failures = Vec::new();
    let (found, served) = mesh.mesh(wish, &mut failures).await;
    let is_mesh_read = failures.is_empty();
    if is_mesh_read && !served {
        return Err(not_a_mesh(mesh_context));
    }
    let gateway = GroupKind::new(ASM, "IstioGateway");
    let generated = Generated::by((is_mesh_read && !wish.without.contains(&gateway)).then(|| found.gateways()));
    let workloads = each(&servers, |server| server.workloads(wish, &generated)).await;
    let mut harvests = Vec::with_capacity(servers.len());
    for (harvest, failed) in workloads {
        harvests.push(harvest);
        failures.extend(failed);
    }
    missing(wish, &harvests, failures.is_empty())?;
    let chosen = ChosenPods::of(&harvests);
    let work = stream::iter(servers.iter().zip(harvests))
        .map(|(server, harvest)| server.services(harvest, wish, &generated, &chosen))
        .buffered(AT_ONCE);
    let (mut harvests, mut late) = (Vec::new(), Vec::new());
    for (harvest, failed) in work.collect::<Vec<_>>().await {
        harvests.push(harvest);
        late.extend(failed);
    }
    // What was out of reach before is told once.
    late.retain(|failure| !failures.iter().any(|known| known.target == failure.target && known.error == failure.error));
    failures.extend(late);
    if failures.is_empty() { Ok((found, harvests)) } else { Err(told(&failures, members.len() + 1)) }
}

/// Work on every API server, several at a time, the answers in the order of the servers.
async fn each<'a, F>(servers: &'a [Server], work: impl Fn(&'a Server) -> F) -> Vec<(Harvest, Vec<Failure>)>
where
    F: Future<Output = (Harvest, Vec<Failure>)>,
{
    stream::iter(servers).map(work).buffered(AT_ONCE).collect().await
}

/// One API server.
struct Server {
    target: Target,
    kube_context: String,
    client: Client,
}

impl Server {
    async fn connect(context: &Context, target: Target, kube_context: &str) -> Result<Self, CommandError> {
        let client = kubeconfig::client(context, kube_context).await?;
        Ok(Self { target, kube_context: kube_context.to_owned(), client })
    }

    fn failure(&self, what: String, kind: Option<GroupKind>, error: ClusterError) -> Failure {
        Failure { target: self.target.clone(), kube_context: self.kube_context.clone(), what, kind, error }
    }

    /// Everything of the mesh, and whether the API server serves any kind of a mesh.
    async fn mesh(&self, wish: &Wish, failures: &mut Vec<Failure>) -> (Harvest, bool) {
        let mut harvest = Harvest::new(Target::Mesh);
        let mut served = false;
        for row in kinds::KINDS.iter().filter(|row| row.place == kinds::Place::Mesh) {
            let kind = GroupKind::new(row.group, row.kind);
            if wish.without.contains(&kind) {
                harvest.not_read(kind, "left out with --without");
                served = true;
                continue;
            }
            match self.list(&kind, wish, None, &mut |object| harvest.mesh_object(object)).await {
                Ok(found) => served |= found,
                Err(error) => {
                    let is_over = error.is_about_connection();
                    failures.push(self.failure(format!("list {kind}"), Some(kind), error));
                    if is_over {
                        break;
                    }
                }
            }
        }
        (harvest, served)
    }

    /// The chosen workloads.
    async fn workloads(&self, wish: &Wish, generated: &Generated) -> (Harvest, Vec<Failure>) {
        let mut harvest = Harvest::new(self.target.clone());
        let mut failures = Vec::new();
        for kind in WORKLOADS.map(|kind| GroupKind::new("apps", kind)) {
            for selector in &wish.selectors {
                if wish.without.contains(&kind) {
                    harvest.not_read(kind.clone(), "left out with --without");
                    break;
                }
                let mut take = |object: &Value| harvest.workload(object, generated);
                if let Err(error) = self.list(&kind, wish, Some(selector), &mut take).await {
                    let is_over = error.is_about_connection();
                    failures.push(self.failure(format!("list {kind}"), Some(kind.clone()), error));
                    if is_over {
                        return (harvest, failures);
                    }
                }
            }
        }
        for id in &wish.workloads {
            match self.get(id).await {
                Ok(Some(object)) => harvest.workload(&object, generated),
                Ok(None) => {}
                Err(error) => {
                    let is_over = error.is_about_connection();
                    failures.push(self.failure(format!("get {id}"), Some(id.group_kind.clone()), error));
                    if is_over {
                        break;
                    }
                }
            }
        }
        self.autoscalers(&mut harvest, wish, &mut failures).await;
        (harvest, failures)
    }

    /// Autoscalers, where there is something to scale.
    async fn autoscalers(&self, harvest: &mut Harvest, wish: &Wish, failures: &mut Vec<Failure>) {
        let kind = GroupKind::new("autoscaling", "HorizontalPodAutoscaler");
        if !harvest.has_workloads() || failures.iter().any(|failure| failure.error.is_about_connection()) {
            return;
        }
        if wish.without.contains(&kind) {
            return harvest
                .not_read(kind, "left out with --without: replicas of scaled workloads may be in their files");
        }
        if let Err(error) = self.list(&kind, wish, None, &mut |object| harvest.autoscaler(object)).await {
            failures.push(self.failure(format!("list {kind}"), Some(kind), error));
        }
    }

    /// Load balancers, the Services of the chosen workloads, and what else those workloads need.
    async fn services(
        &self,
        mut harvest: Harvest,
        wish: &Wish,
        generated: &Generated,
        chosen: &ChosenPods,
    ) -> (Harvest, Vec<Failure>) {
        let mut failures = Vec::new();
        let service = GroupKind::new("", "Service");
        if wish.without.contains(&service) {
            harvest.not_read(service, "left out with --without");
        } else {
            let mut take = |object: &Value| harvest.service(object, generated, chosen);
            if let Err(error) = self.list(&service, wish, None, &mut take).await {
                let is_over = error.is_about_connection();
                failures.push(self.failure(format!("list {service}"), Some(service), error));
                if is_over {
                    return (harvest, failures);
                }
            }
        }
        for id in harvest.companions(wish.config_maps && !wish.without.contains(&GroupKind::new("", "ConfigMap"))) {
            if wish.without.contains(&id.group_kind) {
                continue;
            }
            match self.get(&id).await {
                Ok(Some(object)) => harvest.companion(&object, generated),
                // A workload may name what is not there (yet).
                Ok(None) => {}
                Err(error) => {
                    let is_over = error.is_about_connection();
                    failures.push(self.failure(format!("get {id}"), Some(id.group_kind.clone()), error));
                    if is_over {
                        break;
                    }
                }
            }
        }
        (harvest, failures)
    }

    /// Every object of a kind, in the first version that the API server serves; `false` when it serves none.
    async fn list(
        &self,
        kind: &GroupKind,
        wish: &Wish,
        selector: Option<&str>,
        take: &mut (dyn FnMut(&Value) + Send),
    ) -> Result<bool, ClusterError> {
        let namespaces: Vec<Option<&str>> =
            if wish.namespaces.is_empty() { vec![None] } else { wish.namespaces.iter().map(|n| Some(&**n)).collect() };
        for version in versions(&kind.group) {
            let Some(resource) = Resource::known(kind, &api_version(&kind.group, version)) else { continue };
            let mut is_served = true;
            for namespace in &namespaces {
                match self.pages(&resource, *namespace, selector, take).await {
                    Ok(()) => {}
                    Err(error) if error.is_not_found() => {
                        is_served = false;
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
            if is_served {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn pages(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        selector: Option<&str>,
        take: &mut (dyn FnMut(&Value) + Send),
    ) -> Result<(), ClusterError> {
        let api = resource.objects(self.client.clone(), namespace);
        let first = ListParams::default().limit(PAGE);
        let first = selector.map_or_else(|| first.clone(), |selector| first.clone().labels(selector));
        let (mut parameters, mut restarts) = (first.clone(), 0);
        loop {
            let page = match api.list(&parameters).await.map_err(ClusterError::from) {
                Ok(page) => page,
                // Taken so long that the snapshot is gone. What was taken already is taken again: by name, so once.
                Err(error) if error.kind == ErrorKind::Expired && restarts < RESTARTS => {
                    restarts += 1;
                    parameters = first.clone();
                    continue;
                }
                Err(error) => return Err(error),
            };
            page.items.iter().for_each(|object| take(&whole(resource, object)));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = first.clone().continue_token(&token),
                None => return Ok(()),
            }
        }
    }

    async fn get(&self, id: &ObjectId) -> Result<Option<Value>, ClusterError> {
        let api_version = api_version(&id.group_kind.group, "v1");
        let Some(resource) = Resource::known(&id.group_kind, &api_version) else { return Ok(None) };
        let api = resource.objects(self.client.clone(), id.namespace.as_deref());
        Ok(api.get_opt(&id.name).await?.map(|object| whole(&resource, &object)))
    }
}

/// Versions to ask for, best first: the one that authoring writes, then those that older and newer meshes have.
fn versions(group: &str) -> &'static [&'static str] {
    match group {
        "networking.istio.io" => &["v1beta1", "v1alpha3", "v1"],
        "security.istio.io" | ASM => &["v1beta1", "v1"],
        "telemetry.istio.io" => &["v1alpha1", "v1"],
        "extensions.istio.io" => &["v1alpha1"],
        "autoscaling" => &["v2", "v1"],
        _ => &["v1"],
    }
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn not_a_mesh(mesh_context: &str) -> CommandError {
    CommandError::input(format!("context {mesh_context} serves no kind of a mesh: neither IstioGateway nor Istio's"))
        .hinted("name the context of the mesh's own API, not of a member cluster: --mesh-context NAME")
}

/// Workloads that were named and that no member has.
fn missing(wish: &Wish, harvests: &[Harvest], is_complete: bool) -> Result<(), CommandError> {
    let is_missing = |id: &&ObjectId| is_complete && !harvests.iter().any(|harvest| harvest.has(id));
    match wish.workloads.iter().find(is_missing) {
        Some(id) => Err(CommandError::input(format!("no cluster of the fleet has the {id}"))
            .hinted("list them with: kubectl get deployments,statefulsets --all-namespaces")),
        None => Ok(()),
    }
}

/// What could not be read, all of it.
fn told(failures: &[Failure], servers: usize) -> CommandError {
    let concerned: BTreeSet<&str> = failures.iter().map(|failure| failure.target.name()).collect();
    let names = Vec::from_iter(concerned).join(", ");
    let message = format!("nothing was written: {names} could not be read ({servers} API servers were asked)");
    let is_input = |failure: &Failure| {
        matches!(failure.error.kind, ErrorKind::Invalid(_) | ErrorKind::NotFound | ErrorKind::Other)
    };
    let error =
        if failures.iter().all(is_input) { CommandError::input(message) } else { CommandError::unreachable(message) };
    let error = failures.iter().fold(error, |error, failure| {
        let Failure { target, kube_context, what, error: why, .. } = failure;
        error.because(format!("{target} (context {kube_context}): cannot {what}: {why}"))
    });
    hints(failures).into_iter().fold(error, CommandError::hinted)
}

fn hints(failures: &[Failure]) -> Vec<String> {
    let unreachable: BTreeSet<&str> = failures
        .iter()
        .filter(|failure| failure.error.is_about_connection())
        .map(|failure| failure.kube_context.as_str())
        .collect();
    let mut hints: Vec<String> = unreachable
        .into_iter()
        .map(|kube_context| format!("is it up and the network open? try: kubectl --context {kube_context} version"))
        .collect();
    let refused: BTreeSet<&str> = failures
        .iter()
        .filter(|failure| failure.error.kind == ErrorKind::Forbidden)
        .filter_map(|failure| Some(&*failure.kind.as_ref()?.kind))
        .collect();
    if !refused.is_empty() {
        let kinds = Vec::from_iter(refused).join(",");
        hints.push(format!("ask for the right to get and list them, or import the rest with: --without {kinds}"));
    }
    hints
}
