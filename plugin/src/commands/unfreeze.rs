//! `kubectl asm unfreeze`.

use super::freeze::find;
use crate::commit::{self, CommitArgs};
use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::live::drifted::Selector;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::UnfreezeFields;
use asm_shared::object::ObjectId;

/// Looks after fields again that were left alone: what differs is drift from then on.
///
/// Takes them out of ignoreDifferences in fleet.yaml. Nothing is written to a cluster by that: the drift is reported, or
/// corrected where the FleetSync says so.
///
/// Exit codes: 0 done, 2 usage or input error.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kubectl asm unfreeze mesh/VirtualService/default/bookinfo
  kubectl asm unfreeze Deployment/shop/web --field spec.replicas --commit

Output formats: json, yaml, name")]
pub struct UnfreezeArgs {
    /// The object; without a target, on every target
    #[arg(value_name = "[TARGET/]KIND/[NS/]NAME")]
    object: String,

    /// Only this field; may be repeated [default: all of them]
    #[arg(long = "field", value_name = "PATH")]
    fields: Vec<String>,

    #[command(flatten)]
    commit: CommitArgs,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: UnfreezeArgs) -> Result<Exit, CommandError> {
    context.output(&write::FORMATS)?;
    let repo = context.repo()?;
    // An entry may have outlived its object.
    let (selector, id) = find(&repo, &args.object).or_else(|error| left_over(&repo, &args.object).ok_or(error))?;
    let intent = UnfreezeFields { targets: selector.target.into_iter().collect(), id, fields: args.fields };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    let on = if intent.targets.is_empty() { String::new() } else { format!(" on {}", intent.targets.join(", ")) };
    let fields = if intent.fields.is_empty() { "all fields".to_owned() } else { intent.fields.join(", ") };
    let message = format!("unfreeze {}{on}\n\nLooked after again: {fields}\n", intent.id);
    commit::finish(context, &repo, &plan, &message, (args.write, &args.commit))
}

/// The object of an entry that matches nothing in Git.
fn left_over(repo: &FleetRepo, text: &str) -> Option<(Selector, ObjectId)> {
    let targets = repo.state.targets();
    let names: Vec<&str> = targets.iter().map(|target| target.name()).collect();
    let selector = Selector::parse(text, &names).ok()?;
    let entries = repo.state.frozen.iter().map(|freeze| &freeze.entry);
    let mut ids = entries.map(|entry| {
        let (kind, group) = entry.kind.split_once('.').unwrap_or((&entry.kind, ""));
        ObjectId::new(group, kind, entry.namespace.as_deref(), &entry.name)
    });
    let id = ids.find(|id| names.iter().any(|target| selector.matches(target, id)))?;
    Some((selector, id))
}
