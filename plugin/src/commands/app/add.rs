//! `kubectl asm app add`.

use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{AddApp, AddBookinfo, Placement, PlacementRule, ServiceAnnotation, did_you_mean};
use asm_shared::fleet::Fleet;
use clap::ValueEnum;

/// Adds an application, spread over the clusters as you say: clusters/CLUSTER/apps/NAME.yaml.
///
/// `bookinfo` is Istio's sample application. Any other name makes a Deployment and a Service from --image and --port.
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

  # your own: in two clusters, and its name in every cluster where productpage runs
  kubectl asm app add cart --image registry.example.com/cart:1.4 --port 8080 --place m1c1,m1c2 --called-by productpage

  # a second version of it in one cluster
  kubectl asm app add cart --version v2 --image registry.example.com/cart:2.0 --port 8080 --place m1c1

Output formats: json, yaml, name")]
pub struct AddArgs {
    /// `bookinfo`, or the name of your own application
    app: String,

    /// Where everything runs that --place does not mention [default: single, in a fleet of one cluster]
    #[arg(long, value_name = "PRESET")]
    preset: Option<Preset>,

    /// Clusters of the preset, by their names in fleet.yaml [default: m1c1,m1c2, or the first ones of the fleet]
    #[arg(long, value_name = "A,B", value_delimiter = ',', requires = "preset")]
    clusters: Vec<String>,

    /// Where it runs; for bookinfo SERVICE[-VERSION]=CLUSTER,… for each part; may be repeated
    #[arg(long, value_name = "CLUSTER,…")]
    place: Vec<String>,

    /// Container image
    #[arg(long, value_name = "IMAGE", conflicts_with = "preset", requires = "port", help_heading = OWN)]
    image: Option<String>,

    /// Port of its Service and its container, and what it speaks there, for example grpc=9000 [default protocol: http]
    #[arg(long, value_name = "[PROTOCOL=]PORT", value_parser = port, requires = "image", help_heading = OWN)]
    port: Option<(String, u16)>,

    /// Label `version` of its pods [default: v1]
    #[arg(long, value_name = "VERSION", requires = "image", help_heading = OWN)]
    version: Option<String>,

    /// Pods in each cluster [default: 1]
    #[arg(long, value_name = "COUNT", requires = "image", help_heading = OWN)]
    replicas: Option<u32>,

    /// Give it a ServiceAccount of its own
    #[arg(long, requires = "image", help_heading = OWN)]
    service_account: bool,

    /// Variable of its environment; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = variable, requires = "image", help_heading = OWN)]
    env: Vec<(String, String)>,

    /// Application that calls it: its Service stands wherever that runs; may be repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "image", help_heading = OWN)]
    called_by: Vec<String>,

    /// Cluster in which its Service stands besides; may be repeated
    #[arg(long, value_name = "CLUSTER", value_delimiter = ',', requires = "image", help_heading = OWN)]
    also_in: Vec<String>,

    /// Annotation of one of its Services; may be repeated
    #[arg(long, value_name = "SERVICE:KEY=VALUE")]
    service_annotation: Vec<String>,

    #[command(flatten)]
    write: WriteArgs,
}

const OWN: &str = "Options for an application of your own";

/// `[PROTOCOL=]PORT`.
fn port(text: &str) -> Result<(String, u16), String> {
    let (protocol, port) = text.split_once('=').unwrap_or(("http", text));
    let port = port.parse().ok().filter(|port| *port > 0).ok_or("the port is a number from 1 to 65535")?;
    Ok((protocol.to_owned(), port))
}

/// `KEY=VALUE`.
fn variable(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or("not KEY=VALUE")?;
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if key.starts_with(|c: char| c.is_ascii_digit()) || !key.chars().all(good) {
        return Err(format!("`{key}` is no name of a variable"));
    }
    Ok((key.to_owned(), value.to_owned()))
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
    let repo = context.repo()?;
    if args.app != "bookinfo" {
        return own(context, &repo, args);
    }
    if args.image.is_some() {
        return Err(CommandError::usage("bookinfo has images of its own: leave --image out, or choose another name"));
    }
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

/// An application of the user's.
fn own(context: &Context, repo: &FleetRepo, args: AddArgs) -> Result<Exit, CommandError> {
    let (Some(image), Some((protocol, port))) = (args.image, args.port) else {
        return Err(CommandError::usage(format!("what is {}? There is no sample application of that name", args.app))
            .hinted_with(did_you_mean(&args.app, ["bookinfo"]))
            .hinted("for your own, say --image IMAGE --port PORT --place CLUSTER"));
    };
    if !args.service_annotation.is_empty() {
        return Err(CommandError::usage("--service-annotation is for bookinfo"));
    }
    let mut clusters: Vec<String> = Vec::new();
    for name in args.place.iter().flat_map(|list| list.split(',')).map(str::trim) {
        // `cart=m1c1` is how the parts of bookinfo are placed: here it can only mean the same.
        let name = name.strip_prefix(&format!("{}=", args.app)).unwrap_or(name);
        if !clusters.iter().any(|known| known == name) {
            clusters.push(name.to_owned());
        }
    }
    let name = args.app;
    let next = format!("kubectl asm route add {name} --to {name}:{port}");
    let intent = AddApp {
        name,
        version: args.version.unwrap_or_else(|| "v1".to_owned()),
        image,
        port,
        protocol,
        clusters,
        replicas: args.replicas.unwrap_or(1),
        service_account: args.service_account,
        env: args.env,
        namespace: context.globals.namespace.clone(),
        called_by: args.called_by,
        also_in: args.also_in,
    };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    write::finish(context, repo, &plan, args.write, &next)
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
