//! `kubectl asm gateway share`.

use super::settings::pair;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{NewSharedGateway, ShareGateway};

/// Lets several gateways share one Gateway (Istio): the same pod label on each, and a selector for it.
///
/// A new pod label restarts the pods, one after the other. Gateways that have the label already, and those that the
/// Gateway no longer selects, are named.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # the Gateway bookinfo-gateway for both
  kubectl asm gateway share --label key1=value1 ingressgateway-1 ingressgateway-2 --gateway bookinfo-gateway

  # a new Gateway
  kubectl asm gateway share --label key1=value1 ingressgateway-1 ingressgateway-2 --gateway shared --create-gateway --host '*'

Output formats: json, yaml, name")]
pub struct ShareArgs {
    /// Names of the gateways (IstioGateway)
    #[arg(required = true, value_name = "NAME")]
    gateways: Vec<String>,

    /// The label that their pods get
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    label: (String, String),

    /// Name of the Gateway (Istio) [default: the only one that selects one of them]
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,

    /// Make the Gateway
    #[arg(long, requires = "gateway")]
    create_gateway: bool,

    /// Port of the new Gateway
    #[arg(long, value_name = "PORT", default_value_t = 80, requires = "create_gateway",
          value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,

    /// Host of the new Gateway; may be repeated
    #[arg(long = "host", value_name = "HOST", default_value = "*", requires = "create_gateway")]
    hosts: Vec<String>,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: ShareArgs) -> Result<Exit, CommandError> {
    let repo = context.repo()?;
    let intent = ShareGateway {
        gateways: args.gateways,
        label: args.label,
        gateway: args.gateway,
        namespace: context.globals.namespace.clone(),
        new_gateway: args.create_gateway.then_some(NewSharedGateway { port: args.port, hosts: args.hosts }),
    };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    let next = "kubectl asm route add NAME --gateway GATEWAY --host HOST --to SERVICE:PORT, if it has no routes yet";
    write::finish(context, &repo, &plan, args.write, next)
}
