//! `kubectl asm app add`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{AddBookinfo, Placement, PlacementRule, ServiceAnnotation};
use asm_shared::fleet::Fleet;
use clap::ValueEnum;

/// Adds a sample application, spread over the clusters as you say: clusters/CLUSTER/apps/bookinfo.yaml.
///
/// A cluster gets the Deployments placed in it, and a Service for whatever they call, because a name is looked up in the
/// caller's own cluster even when the pods behind it run in another.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # reviews v3 in m1c1, everything else in m1c2
  kubectl asm app add bookinfo --preset split

  # the same in clusters with other names
  kubectl asm app add bookinfo --preset split --clusters beijing-1,beijing-2

  # everything in one cluster, except reviews v3, which runs in two
  kubectl asm app add bookinfo --preset single --clusters m1c2 --place reviews-v3=m1c1,m1c2

  # piece by piece
  kubectl asm app add bookinfo --place productpage=m1c2,details=m1c2,ratings=m1c2,reviews=m1c1

Output formats: json, yaml, name")]
pub struct AddArgs {
    /// The application
    app: App,

    /// Where everything runs that --place does not mention [default: single, in a fleet of one cluster]
    #[arg(long, value_name = "PRESET")]
    preset: Option<Preset>,

    /// Clusters of the preset, by their names in fleet.yaml [default: m1c1,m1c2, or the first ones of the fleet]
    #[arg(long, value_name = "A,B", value_delimiter = ',', requires = "preset")]
    clusters: Vec<String>,

    /// Where a service, or one version of it, runs; may be repeated
    #[arg(long, value_name = "SERVICE[-VERSION]=CLUSTER,…")]
    place: Vec<String>,

    /// Annotation of one of its Services; may be repeated
    #[arg(long, value_name = "SERVICE:KEY=VALUE")]
    service_annotation: Vec<String>,

    #[command(flatten)]
    write: WriteArgs,
}

/// The sample applications.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum App {
    /// Istio's bookshop page: details, ratings, reviews v1 to v3, productpage.
    Bookinfo,
}

/// Placements with a name.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Preset {
    /// reviews v3 in the first cluster, everything else in the second.
    Split,
    /// Everything in one cluster.
    Single,
}

/// Runs it.
pub fn run(context: &Context, args: AddArgs) -> Result<Exit, CommandError> {
    let App::Bookinfo = args.app;
    let repo = context.repo()?;
    let mut rules = Vec::new();
    for text in &args.place {
        rules.extend(PlacementRule::parse_list(text)?);
    }
    let placement = placement(repo.fleet()?, &args)?;
    let annotations =
        args.service_annotation.iter().map(|text| ServiceAnnotation::parse(text)).collect::<Result<_, _>>()?;
    let intent = AddBookinfo { placement, rules, namespace: context.globals.namespace.clone(), annotations };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    let next = "kubectl asm route add bookinfo --gateway bookinfo-gateway --create-gateway --host '*' \
                --match exact:/productpage --match prefix:/static --match exact:/login --match exact:/logout \
                --match prefix:/api/v1/products --to productpage:9080";
    write::finish(context, &repo, &plan, args.write, next)
}

fn placement(fleet: &Fleet, args: &AddArgs) -> Result<Placement, CommandError> {
    let names: Vec<_> = fleet.spec.clusters.iter().map(|cluster| cluster.name.clone()).collect();
    match (args.preset, &args.clusters[..]) {
        (Some(Preset::Split), [first, second]) if first != second => {
            Ok(Placement::Split(first.clone(), second.clone()))
        }
        (Some(Preset::Split), []) => {
            let documented = ["m1c1", "m1c2"].map(str::to_owned);
            match &names[..] {
                _ if documented.iter().all(|name| names.contains(name)) => {
                    let [first, second] = documented;
                    Ok(Placement::Split(first, second))
                }
                [first, second, ..] => Ok(Placement::Split(first.clone(), second.clone())),
                _ => Err(CommandError::input("--preset split needs two clusters in fleet.yaml")
                    .hinted("add them with: kubectl asm cluster add NAME --id ACK-CLUSTER-ID")),
            }
        }
        (Some(Preset::Split), _) => Err(CommandError::usage("--preset split takes two different --clusters A,B")),
        (Some(Preset::Single), [one]) => Ok(Placement::All(one.clone())),
        (Some(Preset::Single), []) => match &names[..] {
            [first, ..] => Ok(Placement::All(first.clone())),
            [] => Err(CommandError::input("--preset single needs a cluster in fleet.yaml")
                .hinted("add it with: kubectl asm cluster add NAME --id ACK-CLUSTER-ID")),
        },
        (Some(Preset::Single), _) => Err(CommandError::usage("--preset single takes one of --clusters")),
        (None, _) if !args.place.is_empty() => Ok(Placement::None),
        (None, _) => match &names[..] {
            [only] => Ok(Placement::All(only.clone())),
            _ => Err(CommandError::usage("say where bookinfo runs")
                .hinted("for example --preset split, or --place details=CLUSTER,reviews-v3=CLUSTER")),
        },
    }
}
