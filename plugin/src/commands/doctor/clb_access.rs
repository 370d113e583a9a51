//! `kubectl asm doctor clb-access`.

mod read;
mod render;

use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Document, OutputFormat};
use crate::write::{self, WriteArgs};
use asm_shared::asm::gateway::is_serverless;
use asm_shared::asm::overview;
use asm_shared::authoring::{FixClbAccess, LoadBalancerService, UnreachedClb, did_you_mean};
use asm_shared::doctor::clb_access::{
    Diagnosis, Facts, Overall, Policy, Possible, RemedyKind, ServiceFacts, diagnose, of_files,
};
use asm_shared::fleet::Manifest;
use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Says from where in a cluster the address of its load balancers is reached, why not, and what helps.
///
/// With externalTrafficPolicy: Local, pods on some nodes may reach the address of a gateway's load
/// balancer while others do not: nodes take the address for their own and look for a gateway pod of
/// theirs. Which clients that concerns depends on the mode and version of kube-proxy, the node and
/// the network of the client.
///
/// Reads Services, pods, nodes, events, and kube-proxy's and Terway's configuration through the
/// members' kubeconfig contexts; changes nothing there. With --offline the files alone say what they
/// can.
///
/// --fix writes one of the three remedies of ASM's documentation into the files of the fleet:
///   service-dns      clients in Git that name the address call the Service; nothing is lost
///   policy-cluster   externalTrafficPolicy: Cluster; gateways no longer see clients' addresses
///   eni              the same with pods as back ends (backend-type: eni); needs Terway with ENIs
///
/// Exit codes: 0 reached from everywhere (or fixed), 1 not reached from somewhere, not to be told, or
/// the cloud controller complains, 2 usage or input error, 3 a cluster could not be reached (the
/// others are told).
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:
  # every load balancer of every cluster
  kubectl asm doctor clb-access

  # why does this pod not get through?
  kubectl asm doctor clb-access ingressgateway --cluster m1c1 --from-pod shop/client-0

  # what the remedy would change, then change it
  kubectl asm doctor clb-access ingressgateway --fix policy-cluster --dry-run
  kubectl asm doctor clb-access ingressgateway --fix policy-cluster

Output formats: json, yaml; with --fix also name"
)]
pub struct ClbAccessArgs {
    /// A gateway, or the Service of a load balancer [default: all]
    name: Option<String>,

    /// Only in these member clusters
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    cluster: Vec<String>,

    /// The client: a pod
    #[arg(long, value_name = "NAMESPACE/POD", conflicts_with_all = ["from_node", "offline"])]
    from_pod: Option<String>,

    /// The client: a node, or a process on it
    #[arg(long, value_name = "NODE", conflicts_with = "offline")]
    from_node: Option<String>,

    /// Ask no cluster: say what the files alone can say
    #[arg(long)]
    offline: bool,

    /// Write a remedy into the files of the fleet
    #[arg(long, value_name = "REMEDY", requires = "name")]
    fix: Option<FixArg>,

    /// An address that clients in Git may name, for --fix service-dns; may be repeated
    #[arg(long = "address", value_name = "IP|NAME", requires = "fix")]
    addresses: Vec<String>,

    #[command(flatten)]
    write: WriteArgs,
}

/// `--fix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FixArg {
    /// Clients call the Service by its DNS name.
    ServiceDns,
    /// externalTrafficPolicy: Cluster.
    PolicyCluster,
    /// The same with ENI back ends.
    Eni,
}

impl From<FixArg> for RemedyKind {
    fn from(arg: FixArg) -> Self {
        match arg {
            FixArg::ServiceDns => Self::ServiceDns,
            FixArg::PolicyCluster => Self::PolicyCluster,
            FixArg::Eni => Self::Eni,
        }
    }
}

/// From where inside of a cluster the addresses of its load balancers are reached.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClbAccess {
    /// Were clusters asked?
    live: bool,
    /// One item for each load balancer and cluster.
    items: Vec<Diagnosis>,
    /// What could not be learned although the cluster answered.
    gaps: Vec<String>,
}

impl Document for ClbAccess {
    const KIND: &'static str = "ClbAccess";
}

/// Runs it.
pub fn run(context: &Context, args: ClbAccessArgs) -> Result<Exit, CommandError> {
    let format = match args.fix {
        Some(_) => context.output(&write::FORMATS)?,
        None => context.output(&[OutputFormat::Json, OutputFormat::Yaml])?,
    };
    let repo = context.repo()?;
    let services = chosen(context, &repo, &args)?;
    let caller = read::From::parse(args.from_pod.as_deref(), args.from_node.as_deref())?;
    let (facts, gaps, error) = if args.offline {
        (services.iter().map(Chosen::offline).collect(), Vec::new(), None)
    } else {
        read::read(context, repo.fleet()?, &services, caller.as_ref())?
    };
    let report = ClbAccess { live: !args.offline, items: facts.iter().map(diagnose).collect(), gaps };
    if let Some(fix) = args.fix {
        // What could not be asked could not be judged either: nothing is written then.
        return match error {
            Some(error) => Err(error),
            None => write_fix(context, &repo, fix.into(), &args, &facts, &report),
        };
    }
    if format.is_document() {
        output::print(context.ui(), format, &output::of(&report)?)?;
    } else {
        context.ui().data(&render::pages(&report.items));
    }
    report.gaps.iter().for_each(|gap| context.ui().warning(gap));
    if report.items.is_empty() && error.is_none() {
        context.ui().status("No load balancers found.");
    }
    let is_fine = report.items.iter().all(|item| item.overall == Overall::Reached && item.events.is_empty());
    if !is_fine && !format.is_document() {
        next(context, &args, &report.items);
    }
    match error {
        Some(error) => Err(error),
        None if is_fine => Ok(Exit::Clean),
        None => Ok(Exit::Findings),
    }
}

/// A load balancer to be looked at.
pub(super) struct Chosen {
    pub(super) service: Option<LoadBalancerService>,
    /// A serverless gateway, which no cluster has.
    pub(super) serverless: Option<Serverless>,
}

impl Chosen {
    fn offline(&self) -> Facts {
        match (&self.service, &self.serverless) {
            (Some(service), _) => of_files(service, false),
            (None, found) => found.as_ref().map(Serverless::facts).unwrap_or_default(),
        }
    }
}

/// A gateway that ASM runs.
#[derive(Clone, Debug)]
pub(super) struct Serverless {
    name: String,
    policy: Policy,
}

impl Serverless {
    fn of(gateway: &Manifest) -> Self {
        let policy = gateway.object.pointer("/spec/externalTrafficPolicy").and_then(Value::as_str);
        Self {
            name: gateway.id.name.to_string(),
            policy: if policy == Some("Local") { Policy::Local } else { Policy::Cluster },
        }
    }

    /// What is known of it: it is in no cluster.
    pub(super) fn facts(&self) -> Facts {
        Facts {
            cluster: "mesh".to_owned(),
            service: ServiceFacts {
                namespace: "istio-system".to_owned(),
                name: self.name.clone(),
                serverless: true,
                policy: self.policy,
                ..ServiceFacts::default()
            },
            ..Facts::default()
        }
    }
}

/// The load balancers that are meant.
fn chosen(context: &Context, repo: &FleetRepo, args: &ClbAccessArgs) -> Result<Vec<Chosen>, CommandError> {
    let fleet = repo.fleet()?;
    let known: Vec<&str> = fleet.spec.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    if let Some(name) = args.cluster.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(CommandError::usage(format!("fleet.yaml has no cluster {name}"))
            .hinted_with(did_you_mean(name, known.iter().copied()))
            .hinted(format!("the fleet has {}", known.join(", "))));
    }
    let all = LoadBalancerService::all(&repo.state);
    let serverless: Vec<Serverless> =
        overview::gateways(&repo.state).filter(|gateway| is_serverless(&gateway.object)).map(Serverless::of).collect();
    let is_meant = |service: &LoadBalancerService| {
        args.name.as_ref().is_none_or(|name| service.name == *name || service.gateways.contains(name))
    };
    if let Some(name) = &args.name
        && !all.iter().any(is_meant)
        && !serverless.iter().any(|own| own.name == *name)
    {
        let names = all.iter().flat_map(|service| service.gateways.iter().chain([&service.name]));
        let names = names.chain(serverless.iter().map(|own| &own.name));
        return Err(CommandError::input(format!("no gateway and no load balancer of the fleet is called {name}"))
            .hinted_with(did_you_mean(name, names.map(String::as_str)))
            .hinted("list them with: kubectl asm clb list"));
    }
    let namespace = context.globals.namespace.as_deref();
    let here = all.iter().filter(|service| {
        is_meant(service)
            && (args.cluster.is_empty() || args.cluster.contains(&service.cluster))
            && namespace.is_none_or(|namespace| service.namespace == namespace)
    });
    let mut chosen: Vec<Chosen> =
        here.map(|service| Chosen { service: Some(service.clone()), serverless: None }).collect();
    if args.cluster.is_empty() {
        let meant = serverless.into_iter().filter(|own| args.name.as_ref().is_none_or(|name| *name == own.name));
        chosen.extend(meant.map(|own| Chosen { service: None, serverless: Some(own) }));
    }
    Ok(chosen)
}

/// Writes a remedy for those load balancers that need one.
fn write_fix(
    context: &Context,
    repo: &FleetRepo,
    remedy: RemedyKind,
    args: &ClbAccessArgs,
    facts: &[Facts],
    report: &ClbAccess,
) -> Result<Exit, CommandError> {
    let local = |facts: &&Facts| facts.service.policy == Policy::Local && !facts.service.serverless;
    let concerned: Vec<&Facts> = facts.iter().filter(local).collect();
    for item in report.items.iter().flat_map(|item| item.remedies.iter().map(move |remedy| (item, remedy))) {
        let (item, found) = item;
        let why = found.because.as_deref().unwrap_or_default();
        let place = format!("{} {}/{}", item.cluster, item.namespace, item.service);
        match found.possible {
            _ if found.name != remedy => {}
            Possible::Yes => {}
            Possible::No => {
                return Err(CommandError::input(format!("{} does not help {place}", remedy.word()))
                    .because(why)
                    .hinted("take service-dns or policy-cluster"));
            }
            Possible::Unknown => context.ui().warning(&format!(
                "{place}: it is not known whether {} can be taken here: {why}; it needs {}",
                remedy.word(),
                found.needs.unwrap_or_default()
            )),
        }
    }
    if concerned.is_empty() {
        context.ui().warning("no remedy is needed: none of these load balancers has externalTrafficPolicy: Local");
    }
    let services = concerned.iter().map(|facts| UnreachedClb {
        cluster: facts.cluster.clone(),
        namespace: facts.service.namespace.clone(),
        name: facts.service.name.clone(),
        addresses: facts.service.addresses().into_iter().chain(args.addresses.iter().cloned()).collect(),
    });
    let plan = FixClbAccess { remedy, services: services.collect() }.plan(&repo.tree, &repo.state)?;
    write::finish(context, repo, &plan, args.write, "kubectl asm diff, then: kubectl asm pr create")
}

/// What to do about it.
fn next(context: &Context, args: &ClbAccessArgs, items: &[Diagnosis]) {
    let ui = context.ui();
    let Some(item) = items.iter().find(|item| item.overall != Overall::Reached && !item.remedies.is_empty()) else {
        if items.iter().any(|item| item.overall != Overall::Reached || !item.events.is_empty()) {
            ui.hint("next: kubectl asm clb list --live");
        }
        return;
    };
    if args.offline {
        ui.hint("ask the clusters, which know the nodes and kube-proxy: leave --offline out");
    }
    let name = args.name.as_deref().unwrap_or(&item.service);
    let own = if args.cluster.is_empty() { String::new() } else { format!(" --cluster {}", args.cluster.join(",")) };
    ui.hint(&format!("next: kubectl asm doctor clb-access {name}{own} --fix service-dns|policy-cluster|eni --dry-run"));
}
