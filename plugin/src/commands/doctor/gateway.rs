//! `kubectl asm doctor gateway`.

use super::chain::{self, ChainArgs};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::OutputFormat;
use asm_shared::asm::overview;
use asm_shared::fleet::FleetState;
use asm_shared::route::{self, Front, Request};
use asm_shared::verify::{self, Layer};

/// Finds the first thing that keeps requests from arriving through a gateway.
///
/// A request to each host that the files serve is walked along the chain: address, load balancer, gateway pods, Gateway, server
/// and port, VirtualService, Service and subset, pods. At the first link that does not hold it says why, in which file and
/// line, and what to do. The files answer most of it; --live asks the mesh and the clusters for addresses, events of the
/// cloud controller and ready pods.
///
/// Exit codes: 0 every link holds, as far as was looked, 1 one does not, 2 usage or input error, 3 a cluster could not be
/// reached.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kubectl asm doctor gateway ingressgateway
  kubectl asm doctor gateway ingressgateway --live --cluster m1c1

Output formats: json, yaml")]
pub struct GatewayArgs {
    /// Name of the gateway
    name: String,

    #[command(flatten)]
    chain: ChainArgs,
}

/// Runs it.
pub fn run(context: &Context, args: GatewayArgs) -> Result<Exit, CommandError> {
    let format = context.output(&[OutputFormat::Json, OutputFormat::Yaml])?;
    let repo = context.repo()?;
    chain::check_clusters(&repo, &args.chain.cluster)?;
    let fronts = route::gateways(&repo.state);
    let found = chain::gateways(&fronts, Some(&args.name))?;
    let wanted: Vec<(&Front<'_>, Vec<Request>)> =
        found.into_iter().map(|front| (front, requests(&repo.state, front))).collect();
    chain::run(context, &repo, &args.chain, format, &wanted, &format!("kubectl asm verify {}", args.name))
}

/// A request to each host; where no Gateway serves any, one to each port.
fn requests(state: &FleetState, front: &Front<'_>) -> Vec<Request> {
    let gateway = overview::gateways(state).find(|gateway| *gateway.id.name == *front.name);
    let asks = gateway.map(|gateway| verify::plan(state, gateway)).unwrap_or_default();
    let is_http = |port: u16| asks.iter().any(|ask| ask.port == port && ask.layer == Layer::Http);
    let mut found: Vec<Request> = asks
        .iter()
        .filter(|ask| ask.layer == Layer::Http || (ask.layer == Layer::Tls && !is_http(ask.port)))
        .map(verify::request_of)
        .collect();
    if found.is_empty() {
        let ports = front.doors.iter().flat_map(|door| &door.ports);
        let mut numbers: Vec<u16> = ports.map(|port| port.port).collect();
        numbers.sort_unstable();
        numbers.dedup();
        found.extend(numbers.into_iter().filter_map(|port| {
            let scheme = if port == 443 { "https" } else { "http" };
            Request::from_url(&format!("{scheme}://{ANY}:{port}/"), None, &[]).ok()
        }));
    }
    found
}

/// A host that stands for any.
const ANY: &str = "any.example";
