//! `kubectl asm route remove`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::RemoveRoute;

/// Removes a rule of a route, or with --confirm the whole route.
///
/// The Gateway and the DestinationRules in the same file stay, unless nothing else uses them and --with-unused is given.
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "rm",
    after_help = "Examples:
  # one rule; it says where its requests go from then on
  kubectl asm route remove reviews --rule testers

  # see what goes, then do it
  kubectl asm route remove bookinfo --with-unused --dry-run
  kubectl asm route remove bookinfo --with-unused --confirm

Output formats: json, yaml, name"
)]
pub struct RemoveArgs {
    /// Name of the route (VirtualService)
    name: String,

    /// Only this rule, by its name or its number from 1
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,

    /// Remove the whole route
    #[arg(long)]
    confirm: bool,

    /// Remove the Gateway and DestinationRules of its file too where nothing else uses them
    #[arg(long, conflicts_with = "rule")]
    with_unused: bool,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: RemoveArgs) -> Result<Exit, CommandError> {
    let repo = context.repo()?;
    let namespace = context.globals.namespace.clone();
    let whole = args.rule.is_none();
    let intent = RemoveRoute { name: args.name.clone(), namespace, rule: args.rule, with_unused: args.with_unused };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    if whole && !args.confirm && !args.write.is_dry_run() {
        let more = if args.with_unused { " --with-unused" } else { "" };
        let namespace = context.globals.namespace.as_ref().map(|name| format!(" -n {name}")).unwrap_or_default();
        return Err(CommandError::input(format!("this removes the whole route {}: nothing was done", args.name))
            .hinted(format!("see what goes with: kubectl asm route remove {}{namespace}{more} --dry-run", args.name))
            .hinted(format!("do it with: kubectl asm route remove {}{namespace}{more} --confirm", args.name)));
    }
    write::finish(context, &repo, &plan, args.write, "kubectl asm diff")
}
