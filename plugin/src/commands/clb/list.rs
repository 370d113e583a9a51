//! `kubectl asm clb list`.

use super::live::{self, Answers, Key, Live};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Document, OutputFormat};
use crate::ui::Table;
use asm_shared::authoring::{LoadBalancerPort, LoadBalancerService, did_you_mean};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

/// Lists the load balancers of the fleet: every LoadBalancer Service of every cluster.
///
/// Also those that ASM generates from the gateways and that do not stand in Git themselves. With --live each cluster is asked
/// for the addresses, and for load balancers that Git does not know: those are marked.
///
/// Exit codes: 0 listed, 2 usage or input error, 3 a cluster could not be reached (the others are listed).
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "ls",
    after_help = "Examples:
  kubectl asm clb list
  kubectl asm clb list --gateway ingressgateway --live
  kubectl asm clb list -o wide

Output formats: wide, json, yaml, name"
)]
pub struct ListArgs {
    /// Only these member clusters
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    cluster: Vec<String>,

    /// Only those of this gateway
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,

    /// Ask the clusters for the addresses, and for load balancers that Git does not know
    #[arg(long)]
    live: bool,
}

/// Load balancers of the fleet, one item for each cluster that has the Service.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LoadBalancerList<'a> {
    /// Clusters in the order of fleet.yaml, Services by namespace and name.
    pub(super) items: &'a [Item<'a>],
}

impl Document for LoadBalancerList<'_> {
    const KIND: &'static str = "LoadBalancerList";
}

/// A load balancer as the machine formats tell it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Item<'a> {
    #[serde(flatten)]
    pub(super) service: &'a LoadBalancerService,
    /// With `--live`: what the cluster says; null when it has no such Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "live_or_null")]
    pub(super) live: Option<&'a Option<Live>>,
}

/// Unlike with other fields, null is an answer here: `oneOf` keeps it in the published schema.
fn live_or_null(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "oneOf": [generator.subschema_for::<Live>(), { "type": "null" }] })
}

/// Runs it.
pub fn run(context: &Context, args: ListArgs) -> Result<Exit, CommandError> {
    use OutputFormat::{Human, Json, Name, Wide, Yaml};
    let format = context.output(&[Wide, Json, Yaml, Name])?;
    let repo = context.repo()?;
    let fleet = repo.fleet()?;
    check_clusters(fleet, &args.cluster)?;
    let namespace = context.globals.namespace.as_deref();
    let wanted = |service: &LoadBalancerService| {
        (args.cluster.is_empty() || args.cluster.contains(&service.cluster))
            && args.gateway.as_ref().is_none_or(|gateway| service.gateways.contains(gateway))
            && namespace.is_none_or(|namespace| service.namespace == namespace)
    };
    let all = LoadBalancerService::all(&repo.state);
    let answers =
        if args.live { Some(live::list(context, fleet, &keys(&all), &args.cluster, namespace)?) } else { None };
    let mut found = all;
    for (cluster, service) in answers.iter().flat_map(|answers| &answers.others) {
        found.extend(LoadBalancerService::only_live(&repo.state, cluster, service));
    }
    found.retain(wanted);
    let place = |name: &str| fleet.spec.clusters.iter().position(|cluster| cluster.name == name);
    found.sort_by_key(|service| (place(&service.cluster), service.namespace.clone(), service.name.clone()));
    let items: Vec<Item<'_>> = found.iter().map(|service| item(service, answers.as_ref())).collect();
    let ui = context.ui();
    match format {
        Json | Yaml => output::print(ui, format, &output::of(&LoadBalancerList { items: &items })?)?,
        Name => items.iter().for_each(|item| ui.line(&format!("service/{}", item.service.name))),
        Human | Wide if items.is_empty() => {
            ui.status("No load balancers found.");
            ui.hint("add one with: kubectl asm clb add --gateway NAME");
        }
        Human | Wide => ui.table(&table(&items, format == Wide, args.live)),
    }
    answers.iter().flat_map(|answers| &answers.gaps).for_each(|gap| ui.warning(gap));
    if items.iter().any(|item| !item.service.in_git) {
        ui.hint("what is not in Git is changed and removed by no command here, and not by the agent");
    }
    match answers.and_then(Answers::error) {
        Some(error) => Err(error),
        None => Ok(Exit::Clean),
    }
}

/// Clusters that fleet.yaml does not have are typing errors.
pub(super) fn check_clusters(fleet: &asm_shared::fleet::Fleet, clusters: &[String]) -> Result<(), CommandError> {
    let known: Vec<&str> = fleet.spec.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    match clusters.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(CommandError::usage(format!("fleet.yaml has no cluster {name}"))
            .hinted_with(did_you_mean(name, known.iter().copied()))
            .hinted(format!("the fleet has {}", known.join(", ")))),
    }
}

pub(super) fn key(service: &LoadBalancerService) -> Key {
    (service.cluster.clone(), service.namespace.clone(), service.name.clone())
}

pub(super) fn keys(services: &[LoadBalancerService]) -> Vec<Key> {
    services.iter().map(key).collect()
}

pub(super) fn item<'a>(service: &'a LoadBalancerService, answers: Option<&'a Answers>) -> Item<'a> {
    Item { service, live: answers.and_then(|answers| answers.services.get(&key(service))) }
}

/// Who makes it.
pub(super) fn made_by<'a>(service: &LoadBalancerService, asm: &'a str, git: &'a str, other: &'a str) -> &'a str {
    match (service.generated, service.in_git) {
        (true, _) => asm,
        (false, true) => git,
        (false, false) => other,
    }
}

/// `http 80→8080, https 443`.
pub(super) fn ports(ports: &[LoadBalancerPort]) -> String {
    let one = |port: &LoadBalancerPort| {
        let target = port.target_port.as_str().map_or_else(|| port.target_port.to_string(), str::to_owned);
        if target == port.port.to_string() { target } else { format!("{}→{target}", port.port) }
    };
    ports.iter().map(one).collect::<Vec<_>>().join(",")
}

/// The cell of an address.
pub(super) fn address(item: &Item<'_>) -> String {
    match item.live {
        None => "<unknown>".to_owned(),
        Some(None) => "<not there>".to_owned(),
        Some(Some(live)) if live.addresses.is_empty() => "<pending>".to_owned(),
        Some(Some(live)) => live.addresses.join(","),
    }
}

fn table(items: &[Item<'_>], wide: bool, live: bool) -> Table {
    let mut headers = vec!["name", "cluster", "gateway", "type", "network", "ports"];
    if live {
        headers.extend(["address", "in git"]);
    }
    if wide {
        headers.extend(["namespace", "spec", "charge type", "policy", "made by", "file"]);
    }
    let mut table = Table::new(headers);
    for item in items {
        let service = item.service;
        let mut cells = vec![
            service.name.clone(),
            service.cluster.clone(),
            service.gateways.join(","),
            service.product.to_owned(),
            service.network.clone(),
            ports(&service.ports),
        ];
        if live {
            cells.extend([address(item), if service.in_git { "yes" } else { "no" }.to_owned()]);
        }
        if wide {
            cells.extend([
                service.namespace.clone(),
                service.spec.clone().unwrap_or_default(),
                service.charge_type.clone().unwrap_or_default(),
                service.external_traffic_policy.clone(),
                made_by(service, "ASM", "Git", "<unknown>").to_owned(),
                service.position.as_ref().map(|at| format!("{}:{}", at.file, at.line)).unwrap_or_default(),
            ]);
        }
        table.row(cells);
    }
    table
}
