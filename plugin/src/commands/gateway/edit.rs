//! `kubectl asm gateway edit`.

use super::live;
use super::settings::SettingArgs;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{EditGateway, GatewayPath, SHARING_RISKS};

/// Changes a gateway in its file: only what is given, only the bytes that it needs.
///
/// Says what the change means (pods that restart, ports that close, the client's address). A change that loses an address
/// of a load balancer is refused unless --allow-address-loss is given; the approval that the agent waits for is then
/// written as well.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kubectl asm gateway edit ingressgateway --replicas 3 --external-traffic-policy Local

  # any field
  kubectl asm gateway edit ingressgateway --set 'ports[https].targetPort=8443' --unset podLabels.team

  # leave a cluster and give up the address there
  kubectl asm gateway edit ingressgateway --cluster m1c1 --allow-address-loss --address 198.51.100.8

Output formats: json, yaml, name")]
pub struct EditArgs {
    /// Name of the gateway
    name: String,

    /// Member clusters to run it in, all of them
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    cluster: Vec<String>,

    #[command(flatten)]
    settings: SettingArgs,

    /// Take a field away, for example 'metadata.annotations[a.b/c]'; may be repeated
    #[arg(long, value_name = "PATH", help_heading = "Any other field")]
    unset: Vec<GatewayPath>,

    /// Make changes that lose the address of a load balancer
    #[arg(long)]
    allow_address_loss: bool,

    /// An address that is lost, for the approval; may be repeated
    #[arg(long = "address", value_name = "IP|NAME", requires = "allow_address_loss")]
    addresses: Vec<String>,

    /// Read the addresses that are lost from the mesh
    #[arg(long, requires = "allow_address_loss")]
    live: bool,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: EditArgs) -> Result<Exit, CommandError> {
    super::check_namespace(context)?;
    let repo = context.repo()?;
    let mut settings = args.settings.settings(false)?;
    settings.unset = args.unset;
    let intent = EditGateway {
        live: if args.live { live::gateway(context, repo.fleet()?, &repo.state, &args.name)? } else { None },
        name: args.name,
        clusters: (!args.cluster.is_empty()).then_some(args.cluster),
        settings,
        allow_address_loss: args.allow_address_loss,
        addresses: args.addresses,
    };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    if !intent.settings.reuse.is_empty() {
        SHARING_RISKS.iter().for_each(|risk| context.ui().warning(risk));
    }
    write::finish(context, &repo, &plan, args.write, "kubectl asm diff")
}
