//! `kubectl asm clb add`.

use super::settings::SettingsArgs;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{AddClb, ClbPlace};

/// Gives a gateway one more load balancer: a Service with the gateway's own selector.
///
/// Writes clusters/CLUSTER/gateways/NAME.yaml for each cluster, so the gateway has one address more in each. The new Service
/// leads to the same pods as the generated one, which is not touched. A serverless gateway cannot have a second load
/// balancer: its pods are in no cluster.
///
/// The network of a CLB is fixed once it exists. A CLB is paid by use (PayByCLCU) with cloud controller 2.12.4 and later
/// unless --charge-type says otherwise; --spec then has no effect.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # a second, internal CLB in the gateway's only cluster
  kubectl asm clb add --gateway ingressgateway --internal

  # in every cluster of the gateway, with a specification
  kubectl asm clb add --gateway ingressgateway --all-clusters --internet --spec slb.s1.small --charge-type PayBySpec

  # an NLB with one port
  kubectl asm clb add edge-tls --gateway edge --cluster m1c1 --nlb --zone cn-hangzhou-h:vsw-1 --zone cn-hangzhou-i:vsw-2 --port https=443

  # reuse a CLB that was made in the console; look first
  kubectl asm clb add --gateway edge --cluster m1c1 --annotation service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id=lb-1 --dry-run

Output formats: json, yaml, name")]
pub struct AddArgs {
    /// Name of the Service [default: istio-GATEWAY-2, -3…]
    name: Option<String>,

    /// Name of the gateway (IstioGateway)
    #[arg(long, value_name = "NAME")]
    gateway: String,

    /// Member clusters, by their names in fleet.yaml [default: the gateway's only one]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    cluster: Vec<String>,

    /// Every cluster in which the gateway runs
    #[arg(long, conflicts_with = "cluster")]
    all_clusters: bool,

    /// One file for the clusters of a group
    #[arg(long, value_name = "NAME", conflicts_with_all = ["cluster", "all_clusters"])]
    group: Option<String>,

    #[command(flatten)]
    settings: SettingsArgs,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: AddArgs) -> Result<Exit, CommandError> {
    if let Some(namespace) = context.globals.namespace.as_deref().filter(|namespace| *namespace != "istio-system") {
        return Err(CommandError::usage(format!("a gateway's load balancer cannot stand in namespace {namespace}"))
            .because("a Service selects pods of its own namespace, and gateways run in istio-system")
            .hinted("leave --namespace out"));
    }
    let repo = context.repo()?;
    let place = match args.group {
        Some(group) => ClbPlace::Group(group),
        None if args.all_clusters => ClbPlace::AllClusters,
        None => ClbPlace::Clusters(args.cluster),
    };
    let intent = AddClb { name: args.name, gateway: args.gateway, place, settings: args.settings.into() };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    write::finish(context, &repo, &plan, args.write, "kubectl asm diff; after the push: kubectl asm clb list --live")
}
