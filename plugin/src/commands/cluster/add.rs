//! `kubectl asm cluster add`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::AddCluster;

/// Adds a member cluster to fleet.yaml.
///
/// Comments and formatting of the file stay as they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # a cluster that engineers reach with the kubeconfig context of the same name
  kubectl asm cluster add m1c1 --id ACK-CLUSTER-ID --region cn-hangzhou

  # with another context, in two groups
  kubectl asm cluster add m1c2 --id ACK-CLUSTER-ID --context ack-prod-2 --group prod,east

Output formats: json, yaml, name")]
pub struct AddArgs {
    /// Name in the fleet; the folder clusters/NAME/ goes to it
    name: String,

    /// ACK cluster ID (c and 32 letters or digits)
    #[arg(long, value_name = "ID")]
    id: Option<String>,

    /// Region
    #[arg(long, value_name = "REGION")]
    region: Option<String>,

    /// Kubernetes version, for example 1.33
    #[arg(long, value_name = "VERSION")]
    kubernetes_version: Option<String>,

    /// Group to put it in; may be repeated, made when missing
    #[arg(long = "group", value_name = "GROUP", value_delimiter = ',')]
    groups: Vec<String>,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it. The kubeconfig context of the cluster is that of the global flag `--context`.
pub fn run(context: &Context, args: AddArgs) -> Result<Exit, CommandError> {
    let kube_context = match &context.globals.contexts[..] {
        [] => None,
        [one] => Some(one.clone()),
        _ => return Err(CommandError::usage("a cluster has one kubeconfig context: give --context once")),
    };
    let repo = context.repo()?;
    let intent = AddCluster {
        name: args.name,
        id: args.id,
        region: args.region,
        kubernetes_version: args.kubernetes_version,
        context: kube_context,
        groups: args.groups,
    };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    let next = match repo.fleet()?.spec.clusters.len() {
        0 => {
            "kubectl asm cluster add for every other member cluster, or kubectl asm gateway create ingressgateway --serverless"
        }
        _ => "kubectl asm gateway create ingressgateway --serverless",
    };
    write::finish(context, &repo, &plan, args.write, next)
}
