//! `kubectl asm gateway list`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Document, OutputFormat};
use crate::ui::Table;
use asm_shared::asm::overview::{self, GatewayOverview};
use schemars::JsonSchema;
use serde::Serialize;

/// Lists the gateways of the fleet, as its files have them.
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "ls",
    after_help = "Examples:
  kubectl asm gateway list
  kubectl asm gateway list -o wide

Output formats: wide, json, yaml, name"
)]
pub struct ListArgs {}

/// The gateways of the fleet.
#[derive(Serialize, JsonSchema)]
pub(crate) struct IngressGatewayList<'a> {
    /// As the files have them.
    items: &'a [GatewayOverview],
}

impl Document for IngressGatewayList<'_> {
    const KIND: &'static str = "IngressGatewayList";
}

/// Runs it.
pub fn run(context: &Context, _args: ListArgs) -> Result<Exit, CommandError> {
    use OutputFormat::{Human, Json, Name, Wide, Yaml};
    let format = context.output(&[Wide, Json, Yaml, Name])?;
    let repo = context.repo()?;
    let fleet = repo.fleet()?;
    let items: Vec<_> = overview::gateways(&repo.state).map(|manifest| overview::of(&repo.state, manifest)).collect();
    let ui = context.ui();
    match format {
        Json | Yaml => output::print(ui, format, &output::of(&IngressGatewayList { items: &items })?)?,
        Name => items.iter().for_each(|item| ui.line(&format!("istiogateway.istio.alibabacloud.com/{}", item.name))),
        Human | Wide if items.is_empty() => {
            ui.status(&format!("No gateways found in fleet {}.", fleet.metadata.name));
            ui.hint("make one with: kubectl asm gateway create NAME --serverless, or --cluster NAME");
        }
        Human | Wide => ui.table(&table(&items, format == Wide)),
    }
    Ok(Exit::Clean)
}

/// Where it runs: `serverless`, or the names of its clusters.
pub(super) fn hosting(item: &GatewayOverview) -> String {
    if item.serverless {
        return "serverless".to_owned();
    }
    let names: Vec<_> = item.clusters.iter().map(|part| part.cluster.as_str()).collect();
    names.join(",")
}

/// The Service: its type, or the kind of its load balancer and its network.
pub(super) fn service(item: &GatewayOverview) -> String {
    match (item.load_balancer, item.address_type.as_deref()) {
        (Some(kind), Some(network)) => format!("{kind} {network}"),
        // What ASM puts in front of a serverless gateway is its own.
        _ => item.service_type.clone(),
    }
}

fn table(items: &[GatewayOverview], wide: bool) -> Table {
    let more: &[_] = if wide { &["policy", "pod labels", "gateways", "routes", "file"] } else { &[] };
    let headers = ["name", "type", "runs in", "service", "ports", "replicas"];
    let mut table = Table::new(headers.into_iter().chain(more.iter().copied()));
    for item in items {
        let mut cells = vec![
            item.name.clone(),
            item.gateway_type.clone(),
            hosting(item),
            service(item),
            item.ports.join(","),
            item.replicas.clone(),
        ];
        if wide {
            let names = |places: &[overview::Place]| {
                let names: Vec<_> = places.iter().map(|place| format!("{}/{}", place.namespace, place.name)).collect();
                names.join(",")
            };
            cells.extend([
                item.external_traffic_policy.clone().unwrap_or_default(),
                item.pod_labels.join(","),
                names(&item.gateways),
                names(&item.routes),
                item.source.clone(),
            ]);
        }
        table.row(cells);
    }
    table
}
