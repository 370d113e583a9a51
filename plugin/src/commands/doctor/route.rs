//! `kubectl asm doctor route`.

use super::chain::{self, ChainArgs};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::OutputFormat;
use asm_shared::fleet::FleetState;
use asm_shared::route::{self, Answer, Front, Options, Request, Table};

/// Finds the first thing that keeps one request from arriving.
///
/// Walks it along the chain (address, load balancer, gateway pods, Gateway, server and port, VirtualService, Service and subset,
/// pods) of each gateway that knows its host, and stops at the first link that does not hold: why, in which file and line, and
/// what to do. The files answer most of it; --live asks the mesh and the clusters as well.
///
/// Exit codes: 0 every link holds, as far as was looked, 1 one does not, 2 usage or input error, 3 a cluster could not be
/// reached.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kubectl asm doctor route shop.example.com
  kubectl asm doctor route https://shop.example.com/cart?x=1 -H 'end-user: jason' --live

Output formats: json, yaml")]
pub struct RouteArgs {
    /// URL of the request; a host alone means http://HOST/
    #[arg(value_name = "HOST|URL")]
    url: String,

    /// Method of the request
    #[arg(long, short = 'X', value_name = "METHOD", default_value = "GET")]
    method: String,

    /// A header of the request; may be repeated
    #[arg(long = "header", short = 'H', value_name = "NAME:VALUE", value_parser = header)]
    headers: Vec<(String, String)>,

    /// The gateway that it comes to [default: those that know the host]
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,

    #[command(flatten)]
    chain: ChainArgs,
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err(format!("`{text}` is not NAME:VALUE")),
    }
}

/// Runs it.
pub fn run(context: &Context, args: RouteArgs) -> Result<Exit, CommandError> {
    let format = context.output(&[OutputFormat::Json, OutputFormat::Yaml])?;
    let url = if args.url.contains("://") { args.url.clone() } else { format!("http://{}", args.url) };
    let request = Request::from_url(&url, Some(&args.method), &args.headers)
        .map_err(|error| CommandError::usage(error.message).hinted(error.hint))?;
    let repo = context.repo()?;
    chain::check_clusters(&repo, &args.chain.cluster)?;
    let fronts = route::gateways(&repo.state);
    let mut found = chain::gateways(&fronts, args.gateway.as_deref())?;
    if args.gateway.is_none() {
        let knowing = knowing(&repo.state, &fronts, &request);
        // When none knows it, each says why not.
        if !knowing.is_empty() {
            found = knowing;
        }
    }
    let wanted: Vec<_> = found.into_iter().map(|front| (front, vec![request.clone()])).collect();
    chain::run(context, &repo, &args.chain, format, &wanted, &format!("kubectl asm verify --url {url}"))
}

/// The gateways that know the host of a request.
fn knowing<'a, 's>(state: &'s FleetState, fronts: &'a [Front<'s>], request: &Request) -> Vec<&'a Front<'s>> {
    let knows = |table: &Table<'_>| {
        !matches!(table.lookup(request).answer, Answer::NoListener | Answer::NoVirtualHost | Answer::Closed(_))
    };
    let tables = route::compile_all(state, fronts, &Options::default());
    fronts.iter().zip(&tables).filter(|(_, table)| knows(table)).map(|(front, _)| front).collect()
}
