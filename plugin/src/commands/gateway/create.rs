//! `kubectl asm gateway create`.

use super::settings::SettingArgs;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{CreateGateway, Hosting, SHARING_RISKS};

/// Creates a gateway: mesh/gateways/NAME.yaml.
///
/// A serverless gateway is run by ASM and reaches the pods of every cluster of the mesh through one address. Any other
/// gateway runs in the member clusters that are named, with one load balancer in each. What is not said gets the
/// console's defaults.
///
/// TLS acceleration (MultiBuffer) has no documented form in YAML: it stays a switch of the console.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # one serverless gateway for all clusters
  kubectl asm gateway create ingressgateway --serverless

  # a gateway in two clusters, reachable from the VPC only, with a pod label that a Gateway can select
  kubectl asm gateway create ingressgateway --cluster m1c1,m1c2 --replicas 2 --address-type intranet --pod-label team=edge

  # scale from 2 to 5 pods, on different nodes, with time for connections to end
  kubectl asm gateway create ingressgateway --cluster m1c1 --min-replicas 2 --max-replicas 5 --cpu-target 80 --spread --graceful-shutdown 30

  # an NLB
  kubectl asm gateway create ingressgateway --cluster m1c1 --load-balancer nlb --zone-map cn-hangzhou-h=vsw-1 --zone-map cn-hangzhou-i=vsw-2

  # look at the YAML first
  kubectl asm gateway create ingressgateway --serverless --dry-run

Output formats: json, yaml, name")]
pub struct CreateArgs {
    /// Name of the gateway; the pods get the labels istio=NAME and app=istio-NAME
    name: String,

    /// Let ASM run the gateway, in no member cluster
    #[arg(long, conflicts_with_all = ["cluster", "egress"], required_unless_present = "cluster")]
    serverless: bool,

    /// Member clusters to run it in, by their names in fleet.yaml
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    cluster: Vec<String>,

    /// For traffic that leaves the mesh
    #[arg(long)]
    egress: bool,

    #[command(flatten)]
    settings: SettingArgs,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: CreateArgs) -> Result<Exit, CommandError> {
    super::check_namespace(context)?;
    let repo = context.repo()?;
    let intent = CreateGateway {
        name: args.name,
        hosting: if args.serverless { Hosting::Serverless } else { Hosting::Clusters(args.cluster) },
        settings: args.settings.settings(args.egress)?,
    };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    if !intent.settings.reuse.is_empty() {
        SHARING_RISKS.iter().for_each(|risk| context.ui().warning(risk));
    }
    let next = if intent.settings.egress {
        "kubectl asm diff".to_owned()
    } else {
        format!(
            "kubectl asm route add NAME --gateway NAME-gateway --create-gateway --selector istio={} --host HOST --to SERVICE:PORT",
            intent.name
        )
    };
    write::finish(context, &repo, &plan, args.write, &next)
}
