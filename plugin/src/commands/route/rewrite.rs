//! `kubectl asm route rewrite`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::RewriteRoute;

/// Changes the path or the host of the requests that a rule sends on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # /shop/… arrives as /…
  kubectl asm route rewrite shop --rule 1 --prefix /

  # the Host that the service sees
  kubectl asm route rewrite shop --authority shop.internal

  # as it came in
  kubectl asm route rewrite shop --off

Output formats: json, yaml, name")]
pub struct RewriteArgs {
    /// Name of the route (VirtualService)
    name: String,

    /// Rule of the route, by its name or its number from 1 [default: the only one]
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,

    /// What stands instead of the matched prefix, or of the whole path for an exact match
    #[arg(long, value_name = "PATH", conflicts_with = "off")]
    prefix: Option<String>,

    /// What stands instead of the host
    #[arg(long, value_name = "HOST", conflicts_with = "off", required_unless_present_any = ["prefix", "off"])]
    authority: Option<String>,

    /// Take the rewrite away
    #[arg(long)]
    off: bool,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: RewriteArgs) -> Result<Exit, CommandError> {
    let repo = context.repo()?;
    let intent = RewriteRoute {
        name: args.name,
        namespace: context.globals.namespace.clone(),
        rule: args.rule,
        prefix: args.prefix,
        authority: args.authority,
    };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    write::finish(context, &repo, &plan, args.write, "kubectl asm diff")
}
