//! `kubectl asm graph`.

mod document;
mod format;
mod next;
mod paint;
mod select;
mod sides;

pub(crate) use document::FleetGraph;
pub(crate) use format::WORDS as FORMATS;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, OutputFormat};
use crate::pager;
use crate::ui::Table;
use asm_shared::graph::{self, Graph};
use format::Format;
use sides::Sides;
use std::path::PathBuf;

/// Shows the way of requests through the fleet: host, load balancer, Service, gateway pods, Gateway, VirtualService, rule,
/// destination, endpoints per cluster, each with its file and line.
///
/// It is drawn from the files alone, from the same route tables that routes are tested with. What is broken is red and has
/// the rule of lint that found it (`kubectl asm explain RULE`). Where the DNS names lead is not in the files: a host is
/// shown at every load balancer through which its port can be reached. Routes between workloads (`mesh`) are shown as the way
/// from each host that they call, by all sidecars, whoever calls; --gateway mesh shows these alone.
///
/// With --base, two states are drawn as one: what was added is dashed (`+` in the tree), what only the base has is faint
/// (`-`), and what leads elsewhere, with another weight or another state is marked (`~`).
///
/// Exit codes: 0 nothing broken (and with --base no difference), 1 something is, 2 usage or input error. The same in every
/// format.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # everything, as a tree
  kubectl asm graph

  # how a request for a host goes, through one gateway
  kubectl asm graph --host shop.example.com --gateway ingressgateway

  # only what is broken
  kubectl asm graph --broken

  # what a branch changes on the way, as a picture
  kubectl asm graph --base main... --changed -o svg > change.svg

  # for a pull request or a page of documentation
  kubectl asm graph -o mermaid

  # manifests that are in no fleet
  kubectl asm graph --manifests routes/ --cluster m1c1=apps/

Output formats: wide (a table), json, yaml, mermaid, dot (Graphviz), svg")]
pub struct GraphArgs {
    /// Only ways of requests for this host, as a client asks for it; may be repeated
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,

    /// Only ways through this gateway: the name of an IstioGateway, or [NAMESPACE/]NAME of a Gateway, or `mesh`; may be repeated
    #[arg(long = "gateway", value_name = "NAME")]
    gateways: Vec<String>,

    /// Only ways through this member cluster: its load balancers, gateway pods, endpoints; may be repeated
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<String>,

    /// Only ways on which something is broken
    #[arg(long)]
    broken: bool,

    /// Compare with this revision; `REV...` means the commit where HEAD (or --at) left it
    #[arg(long, value_name = "REV")]
    base: Option<String>,

    /// With --base: only ways on which something differs
    #[arg(long, requires = "base")]
    changed: bool,

    /// Draw this revision instead of the working tree
    #[arg(long, value_name = "REV")]
    at: Option<String>,

    /// Manifests without a fleet.yaml instead of the fleet's: routes and gateways go to the mesh, workloads to --cluster;
    /// may be repeated
    #[arg(long, value_name = "DIR", conflicts_with_all = ["base", "at"])]
    manifests: Vec<PathBuf>,

    /// With --manifests: a cluster, and the manifests that are its own; may be repeated
    #[arg(long, value_name = "NAME[=DIR]", conflicts_with_all = ["base", "at"])]
    cluster: Vec<String>,

    /// Only ASCII characters in the tree
    #[arg(long)]
    ascii: bool,
}

/// Runs it.
pub fn run(context: &Context, args: GraphArgs) -> Result<Exit, CommandError> {
    let format = Format::choose(context.globals.output.as_deref())?;
    let sides = sides::read(context, &args)?;
    let graph = select::part(context, &args, &sides)?;
    show(context, format, &args, &sides, &graph)?;
    sides.whole()?;
    if format == Format::Human {
        next::steps(&args, &sides, &graph).iter().for_each(|hint| context.ui().hint(hint));
    }
    Ok(if graph.is_broken() || graph.is_changed() { Exit::Findings } else { Exit::Clean })
}

fn show(context: &Context, format: Format, args: &GraphArgs, sides: &Sides, graph: &Graph) -> Result<(), CommandError> {
    let ui = context.ui();
    match format {
        Format::Human => {
            let page = paint::page(&graph::tree(graph), ui.stdout_has_color());
            pager::show(context, &if args.ascii { paint::ascii(&page) } else { page })?;
            ui.status(&next::summary(sides, graph));
        }
        Format::Wide => {
            let mut table = Table::new(graph::HEADERS);
            graph::rows(graph).into_iter().for_each(|row| table.row(row));
            ui.table(&table);
        }
        Format::Json => output::print(ui, OutputFormat::Json, &document::of(sides, graph)?)?,
        Format::Yaml => output::print(ui, OutputFormat::Yaml, &document::of(sides, graph)?)?,
        Format::Mermaid => ui.data(&graph::mermaid(graph)),
        Format::Dot => ui.data(&graph::dot(graph)),
        Format::Svg => ui.data(&graph::svg(graph, &sides.title())),
    }
    Ok(())
}
