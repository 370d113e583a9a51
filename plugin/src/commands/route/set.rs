//! `kubectl asm route set`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{Destination, Retries, SetRoute, Setting, SubsetSpec};

/// Sets where a route goes, and how long it waits.
///
/// The file is edited in place: everything else that the rule says stays, comments too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # everything to v3
  kubectl asm route set reviews --to reviews@v3

  # a share for a new version; its subset is declared
  kubectl asm route set reviews --to reviews@v3=95,reviews@v4=5

  # at most five seconds, and three tries of two
  kubectl asm route set reviews --timeout 5s --retries 3,per-try=2s

  # the second rule of a route with several
  kubectl asm route set bookinfo --rule 2 --to productpage:9080

Destinations: HOST[:PORT][@SUBSET][=PERCENT]
Output formats: json, yaml, name")]
pub struct SetArgs {
    /// Name of the route (VirtualService)
    name: String,

    /// Rule of the route, by its name or its number from 1 [default: the only one]
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,

    /// Where requests go; may be repeated
    #[arg(long = "to", value_name = "DESTINATION", value_delimiter = ',', required_unless_present_any = ["timeout", "retries"])]
    destinations: Vec<Destination>,

    /// Subset to declare besides those of the destinations; may be repeated
    #[arg(long = "subset", value_name = "NAME[:LABEL=VALUE]", value_delimiter = ',')]
    subsets: Vec<SubsetSpec>,

    /// How long a request may take, all tries together; `off` for no limit
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,

    /// How often a request that failed is tried again, 0 for never; `off` for the mesh's default
    #[arg(long, value_name = "N[,per-try=DURATION]")]
    retries: Option<String>,

    /// Accept names that the fleet does not know
    #[arg(long)]
    allow_unknown: bool,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: SetArgs) -> Result<Exit, CommandError> {
    let repo = context.repo()?;
    let intent = SetRoute {
        name: args.name,
        namespace: context.globals.namespace.clone(),
        rule: args.rule,
        destinations: args.destinations,
        subsets: args.subsets,
        timeout: setting(args.timeout, Ok)?,
        retries: setting(args.retries, |text| text.parse::<Retries>())?,
        allow_unknown: args.allow_unknown,
    };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    write::finish(context, &repo, &plan, args.write, "kubectl asm diff")
}

/// A flag that may say `off`.
fn setting<T>(text: Option<String>, read: impl Fn(String) -> Result<T, String>) -> Result<Setting<T>, CommandError> {
    match text {
        None => Ok(Setting::Keep),
        Some(text) if text == "off" => Ok(Setting::Off),
        Some(text) => Ok(Setting::To(read(text).map_err(CommandError::usage)?)),
    }
}
