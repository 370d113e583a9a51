//! The links of requests, from the files and from what runs: what `doctor gateway` and `doctor route` share.

mod read;
mod render;

use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Document, OutputFormat};
use asm_shared::authoring::did_you_mean;
use asm_shared::doctor::chain::{Chain, walk};
use asm_shared::fleet::Target;
use asm_shared::route::{self, Front, Options, Request, Table, Trace};
use schemars::JsonSchema;
use serde::Serialize;

/// The links of requests, up to the first of each that does not hold.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChainReport {
    /// Were clusters asked?
    live: bool,
    /// One item for each request and each Service that it may come in by.
    items: Vec<Chain>,
}

impl Document for ChainReport {
    const KIND: &'static str = "ChainReport";
}

/// Flags of both verbs.
#[derive(Clone, Debug, clap::Args)]
pub struct ChainArgs {
    /// Only by the load balancers of these member clusters
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(super) cluster: Vec<String>,

    /// Ask the mesh and the clusters as well: addresses, events of the cloud controller, pods
    #[arg(long)]
    pub(super) live: bool,
}

/// A request, put to a gateway by one of its Services.
struct Way<'a> {
    front: &'a Front<'a>,
    table: usize,
    /// Index among the Services of the gateway.
    door: Option<usize>,
    request: &'a Request,
}

/// Walks requests through gateways and tells; `next` is what to do when every link holds.
pub(super) fn run(
    context: &Context,
    repo: &FleetRepo,
    args: &ChainArgs,
    format: OutputFormat,
    wanted: &[(&Front<'_>, Vec<Request>)],
    next: &str,
) -> Result<Exit, CommandError> {
    let (mut places, mut ways) = (Vec::new(), Vec::new());
    for (front, requests) in wanted {
        for (door, cluster) in doors(front, &args.cluster) {
            let table = places.len();
            places.push((*front, cluster));
            ways.extend(requests.iter().map(|request| Way { front, table, door, request }));
        }
    }
    if ways.is_empty() {
        return Err(CommandError::input(
            "there is nothing to look at: no Service of these clusters is in front of the gateway",
        )
        .hinted("list them with: kubectl asm gateway list, kubectl asm clb list"));
    }
    let tables = route::compile_each(&repo.state, &places, &Options::default());
    let traces: Vec<Trace<'_>> =
        ways.iter().filter_map(|way| Some(table(&tables, way)?.explain(way.request))).collect();
    let found = if args.live { Some(read::read(context, repo, &ways, &traces)?) } else { None };
    let items = ways.iter().zip(&traces).map(|(way, trace)| {
        let door = way.door.and_then(|door| way.front.doors.get(door));
        let live = found.as_ref().map(|found| found.of(way));
        walk(way.front, door, way.request, trace, live.as_ref())
    });
    let report = ChainReport { live: args.live, items: items.collect() };
    tell(context, format, &report, next)?;
    let is_fine = report.items.iter().all(|chain| chain.broken.is_none());
    match found.and_then(|found| found.error) {
        Some(error) => Err(error),
        None if is_fine => Ok(Exit::Clean),
        None => Ok(Exit::Findings),
    }
}

fn table<'a, 's>(tables: &'a [Table<'s>], way: &Way<'_>) -> Option<&'a Table<'s>> {
    tables.get(way.table)
}

/// The Services of a gateway, in the clusters that are meant; a way without one where no file knows any.
fn doors(front: &Front<'_>, clusters: &[String]) -> Vec<(Option<usize>, Option<Target>)> {
    let all = front.doors.iter().enumerate();
    let meant = all.filter(|(_, door)| clusters.is_empty() || clusters.iter().any(|name| name == door.cluster.name()));
    let found: Vec<_> = meant
        .map(|(index, door)| (Some(index), (door.cluster != Target::Mesh).then(|| door.cluster.clone())))
        .collect();
    if found.is_empty() && clusters.is_empty() { vec![(None, None)] } else { found }
}

fn tell(context: &Context, format: OutputFormat, report: &ChainReport, next: &str) -> Result<(), CommandError> {
    let ui = context.ui();
    if format.is_document() {
        return output::print(ui, format, &output::of(report)?);
    }
    ui.data(&render::pages(&report.items));
    let broken = report.items.iter().filter(|chain| chain.broken.is_some()).count();
    match (broken, report.live) {
        (0, true) => ui.hint(&format!("every link holds; next: {next}")),
        (0, false) => ui.hint("every link of the files holds; ask the clusters as well: --live"),
        (broken, _) => {
            ui.status(&format!("Requests that do not arrive: {broken} of {}.", report.items.len()));
            if !report.live && report.items.iter().any(|chain| !chain.is_certain()) {
                ui.hint("addresses, load balancers and pods were not asked: --live");
            }
        }
    }
    Ok(())
}

/// The gateways that are meant.
pub(super) fn gateways<'a>(fronts: &'a [Front<'a>], name: Option<&str>) -> Result<Vec<&'a Front<'a>>, CommandError> {
    let found: Vec<&Front<'_>> = fronts.iter().filter(|front| name.is_none_or(|name| front.name == name)).collect();
    match name {
        Some(name) if found.is_empty() => Err(CommandError::input(format!("there is no gateway {name}"))
            .hinted_with(did_you_mean(name, fronts.iter().map(|front| front.name.as_str())))
            .hinted("list them with: kubectl asm gateway list")),
        None if found.is_empty() => {
            Err(CommandError::input("the fleet has no gateway")
                .hinted("make one with: kubectl asm gateway create NAME"))
        }
        _ => Ok(found),
    }
}

/// Clusters that fleet.yaml does not have are typing errors.
pub(super) fn check_clusters(repo: &FleetRepo, clusters: &[String]) -> Result<(), CommandError> {
    let known: Vec<&str> = repo.fleet()?.spec.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    match clusters.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(CommandError::usage(format!("fleet.yaml has no cluster {name}"))
            .hinted_with(did_you_mean(name, known.iter().copied()))
            .hinted(format!("the fleet has {}", known.join(", ")))),
    }
}
