//! `kubectl asm clb show`.

use super::list::{Item, LoadBalancerList, address, check_clusters, item, keys, made_by};
use super::live::{self, Answers};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, OutputFormat};
use asm_shared::authoring::{LoadBalancerService, did_you_mean};
use std::fmt::Write as _;

/// Shows one load balancer: what Git says about it in each cluster, and with --live its address.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kubectl asm clb show istio-ingressgateway-2
  kubectl asm clb show istio-ingressgateway-2 --cluster m1c1 --live
  kubectl asm clb show istio-ingressgateway -o json

Output formats: json, yaml, name")]
pub struct ShowArgs {
    /// Name of the Service
    name: String,

    /// Only these member clusters
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    cluster: Vec<String>,

    /// Ask the clusters for the address
    #[arg(long)]
    live: bool,
}

/// Runs it.
pub fn run(context: &Context, args: ShowArgs) -> Result<Exit, CommandError> {
    use OutputFormat::{Human, Json, Name, Wide, Yaml};
    let format = context.output(&[Json, Yaml, Name])?;
    let repo = context.repo()?;
    let fleet = repo.fleet()?;
    check_clusters(fleet, &args.cluster)?;
    let all = LoadBalancerService::all(&repo.state);
    let matches = |service: &&LoadBalancerService| {
        service.name == args.name
            && (args.cluster.is_empty() || args.cluster.contains(&service.cluster))
            && context.globals.namespace.as_ref().is_none_or(|namespace| service.namespace == *namespace)
    };
    let found: Vec<LoadBalancerService> = all.iter().filter(matches).cloned().collect();
    if found.is_empty() {
        let place = if args.cluster.is_empty() { "the fleet".to_owned() } else { args.cluster.join(" and ") };
        return Err(CommandError::input(format!("there is no load balancer {} in {place}", args.name))
            .hinted_with(did_you_mean(&args.name, all.iter().map(|service| service.name.as_str())))
            .hinted("list them with: kubectl asm clb list"));
    }
    let answers = if args.live { Some(live::read(context, fleet, &keys(&found))?) } else { None };
    let items: Vec<Item<'_>> = found.iter().map(|service| item(service, answers.as_ref())).collect();
    match format {
        Json | Yaml => output::print(context.ui(), format, &output::of(&LoadBalancerList { items: &items })?)?,
        Name => items.iter().for_each(|item| context.ui().line(&format!("service/{}", item.service.name))),
        Human | Wide => {
            let pages: Vec<String> = items.iter().map(|item| page(item, args.live)).collect();
            context.ui().data(&pages.join("\n"));
        }
    }
    match answers.and_then(Answers::error) {
        Some(error) => Err(error),
        None => Ok(Exit::Clean),
    }
}

/// One load balancer on a page, as `kubectl describe` lays it out.
fn page(item: &Item<'_>, live: bool) -> String {
    let service = item.service;
    let made_by = made_by(service, "ASM, from the IstioGateway", "Git", "<unknown>");
    let place = service.position.as_ref().map(|at| format!(" ({}:{})", at.file, at.line)).unwrap_or_default();
    let mut lines = vec![
        ("Name", service.name.clone()),
        ("Namespace", service.namespace.clone()),
        ("Cluster", service.cluster.clone()),
        ("Gateway", if service.gateways.is_empty() { "<none>".to_owned() } else { service.gateways.join(", ") }),
        ("Made by", format!("{made_by}{place}")),
        ("Type", service.product.to_owned()),
        ("Network", service.network.clone()),
    ];
    let optional = [
        ("Specification", &service.spec),
        ("Charge type", &service.charge_type),
        ("Reuses", &service.reuses),
        ("Takes the place of", &service.replaces),
    ];
    lines.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
    lines.push(("Traffic policy", service.external_traffic_policy.clone()));
    if live {
        lines.push(("Address", address(item)));
        let id = item.live.and_then(|live| live.as_ref()?.load_balancer_id.clone());
        lines.extend(id.map(|id| ("Load balancer ID", id)));
    }
    let mut page = String::new();
    for (name, value) in lines {
        // Writing to a string does not fail.
        let _ = writeln!(page, "{:<20}{value}", format!("{name}:"));
    }
    page.push_str("Ports:\n");
    for port in &service.ports {
        let target = port.target_port.as_str().map_or_else(|| port.target_port.to_string(), str::to_owned);
        let node_port = port.node_port.map(|number| format!(", node port {number}")).unwrap_or_default();
        let _ = writeln!(
            page,
            "  {:<16}{}/{} → {target}{node_port}",
            port.name.as_deref().unwrap_or("<unnamed>"),
            port.port,
            port.protocol
        );
    }
    if !service.annotations.is_empty() {
        page.push_str("Annotations:\n");
        for (key, value) in &service.annotations {
            let _ = writeln!(page, "  {key}: {}", value.as_str().unwrap_or_default());
        }
    }
    page
}
