//! `kubectl asm gateway delete`.

use super::live;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{DeleteGateway, Deletion};
use std::io::IsTerminal as _;

/// Deletes a gateway from the files, and writes the approval that the agent waits for.
///
/// Says what goes with it: addresses, Gateways and routes that are at no gateway afterwards, further load balancers
/// without pods. Asks for the gateway's name on a terminal. A deleted gateway cannot be restored: its addresses are gone.
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "rm",
    after_help = "Examples:
  # see what goes
  kubectl asm gateway delete ingressgateway --live --dry-run

  # with the addresses that run now, without a question
  kubectl asm gateway delete ingressgateway --live --confirm ingressgateway

  # without access to the mesh
  kubectl asm gateway delete ingressgateway --address 198.51.100.7 --confirm ingressgateway

Output formats: json, yaml, name"
)]
pub struct DeleteArgs {
    /// Name of the gateway
    name: String,

    /// Name of the gateway again, instead of typing it when asked
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,

    /// An address that is lost, for the approval; may be repeated
    #[arg(long = "address", value_name = "IP|NAME")]
    addresses: Vec<String>,

    /// Read the addresses from the mesh
    #[arg(long)]
    live: bool,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: DeleteArgs) -> Result<Exit, CommandError> {
    super::check_namespace(context)?;
    // A wrong format is said before a cluster is asked, and before the name is.
    context.output(&write::FORMATS)?;
    let repo = context.repo()?;
    let mut intent = DeleteGateway { name: args.name, addresses: args.addresses, ..DeleteGateway::default() };
    // A name that is not there is said before any cluster is asked.
    let offline = intent.plan(&repo.tree, &repo.state)?;
    let deletion = if args.live {
        intent.live = live::gateway(context, repo.fleet()?, &repo.state, &intent.name)?;
        if intent.live.is_none() {
            context.ui().warning(&format!("the mesh has no gateway {}: nothing runs of it", intent.name));
        }
        intent.plan(&repo.tree, &repo.state)?
    } else {
        offline
    };
    tell(context, &intent.name, &deletion);
    if !args.write.is_dry_run() {
        confirm(context, &intent.name, args.confirm.as_deref())?;
    }
    write::finish(context, &repo, &deletion.plan, args.write, "kubectl asm diff")
}

fn tell(context: &Context, name: &str, deletion: &Deletion) {
    let ui = context.ui();
    let addresses = match &deletion.addresses[..] {
        [] => "its addresses (which ones: --live)".to_owned(),
        some => format!("its addresses {}", some.join(", ")),
    };
    ui.status(&format!(
        "Deleting {name} takes its Services, pods and load balancers in every cluster, and {addresses}."
    ));
    for (what, names) in [
        ("left without a gateway", &deletion.gateways),
        ("left without an entrance", &deletion.routes),
        ("left without pods", &deletion.services),
    ] {
        names.iter().for_each(|name| ui.status(&format!("  {what}: {name}")));
    }
}

fn confirm(context: &Context, name: &str, given: Option<&str>) -> Result<(), CommandError> {
    let refused =
        |message: String| Err(CommandError::usage(message).hinted(format!("to delete it, add: --confirm {name}")));
    match given {
        Some(given) if given == name => return Ok(()),
        Some(given) => return refused(format!("--confirm {given} is not the name of the gateway, {name}")),
        None => {}
    }
    let asks = std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && !context.globals.no_input;
    if !asks {
        return refused(format!("nothing was deleted: {name} has to be confirmed"));
    }
    context.ui().status("Type the name of the gateway to delete it:");
    let mut typed = String::new();
    std::io::stdin()
        .read_line(&mut typed)
        .map_err(|error| CommandError::input("cannot read the answer").caused_by(&error))?;
    if typed.trim() == name {
        Ok(())
    } else {
        refused(format!("nothing was deleted: `{}` is another name", typed.trim()))
    }
}
