//! `kubectl asm gateway create`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{AddressType, CreateGateway, ExternalTrafficPolicy, GatewayPort, Hosting};
use clap::ValueEnum;

/// Creates an ingress gateway: mesh/gateways/NAME.yaml.
///
/// A serverless gateway is run by ASM and reaches the pods of every cluster of the mesh through one address. Any other
/// gateway runs in the member clusters that are named, with one load balancer in each.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # one serverless gateway for all clusters
  kubectl asm gateway create ingressgateway --serverless

  # a gateway in two clusters, reachable from the VPC only
  kubectl asm gateway create ingressgateway --cluster m1c1,m1c2 --replicas 2 --address-type intranet

  # look at the YAML first
  kubectl asm gateway create ingressgateway --serverless --dry-run

Output formats: json, yaml, name")]
pub struct CreateArgs {
    /// Name of the gateway; the pods get the labels istio=NAME and app=istio-NAME
    name: String,

    /// Let ASM run the gateway, in no member cluster
    #[arg(long, conflicts_with = "cluster", required_unless_present = "cluster")]
    serverless: bool,

    /// Member clusters to run it in, by their names in fleet.yaml
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    cluster: Vec<String>,

    /// A port; may be repeated [default: http=80 and https=443]
    #[arg(long = "port", value_name = "NAME=PORT[:TARGET]")]
    ports: Vec<GatewayPort>,

    /// Pods (in each cluster) [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    replicas: Option<u32>,

    /// Network of the load balancers [default: internet]
    #[arg(long, value_name = "TYPE", conflicts_with = "serverless")]
    address_type: Option<AddressTypeArg>,

    /// Local keeps the client's address, Cluster spreads evenly [default: Local if serverless, otherwise Cluster]
    #[arg(long, value_name = "POLICY", ignore_case = true)]
    external_traffic_policy: Option<PolicyArg>,

    #[command(flatten)]
    write: WriteArgs,
}

/// Network of the load balancers.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum AddressTypeArg {
    /// Public.
    Internet,
    /// Inside the VPC.
    Intranet,
}

/// What nodes do with traffic for pods elsewhere.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PolicyArg {
    /// Pass it on.
    #[value(name = "Cluster")]
    Cluster,
    /// Do not take it.
    #[value(name = "Local")]
    Local,
}

/// Runs it.
pub fn run(context: &Context, args: CreateArgs) -> Result<Exit, CommandError> {
    if let Some(namespace) = context.globals.namespace.as_deref().filter(|namespace| *namespace != "istio-system") {
        return Err(CommandError::usage(format!("a gateway cannot stand in namespace {namespace}"))
            .because("ASM gives gateways their configuration in istio-system only")
            .hinted("leave --namespace out"));
    }
    let repo = context.repo()?;
    let intent = CreateGateway {
        name: args.name,
        hosting: if args.serverless { Hosting::Serverless } else { Hosting::Clusters(args.cluster) },
        ports: args.ports,
        replicas: args.replicas,
        address_type: args.address_type.map(|value| match value {
            AddressTypeArg::Internet => AddressType::Internet,
            AddressTypeArg::Intranet => AddressType::Intranet,
        }),
        external_traffic_policy: args.external_traffic_policy.map(|value| match value {
            PolicyArg::Cluster => ExternalTrafficPolicy::Cluster,
            PolicyArg::Local => ExternalTrafficPolicy::Local,
        }),
    };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    let next = format!(
        "kubectl asm route add NAME --gateway NAME-gateway --create-gateway --selector istio={} --host HOST --to SERVICE:PORT",
        intent.name
    );
    write::finish(context, &repo, &plan, args.write, &next)
}
