//! `kubectl asm freeze`.

use crate::commit::{self, CommitArgs};
use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::live::drifted::{self, Selector, object_name};
use crate::live::host::Host;
use crate::when;
use crate::write::{self, WriteArgs};
use asm_shared::api::DriftedField;
use asm_shared::authoring::{FreezeFields, did_you_mean};
use asm_shared::object::{FieldPath, ObjectId, Segment};
use jiff::Timestamp;

/// Leaves fields of an object alone: whatever they hold, they are neither reported as drift nor written.
///
/// Writes an entry of ignoreDifferences into fleet.yaml, with the reason. The agent honours it from that commit on, also
/// when a later commit changes other fields of the object. Without --field the fields that drifted are meant, as the
/// agent reports them (--context, or the current context of the kubeconfig). Elements of lists are called by their names
/// where they have some; those without are counted as in Git's file, so mind the entry when elements are put before them.
///
/// Exit codes: 0 done, 2 usage or input error, 3 the agent's cluster could not be reached.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # what drifted of it, until the end of the year
  kubectl asm freeze mesh/VirtualService/default/bookinfo --reason 'canary by hand' --until 2026-12-31

  # a field that an autoscaler writes, on every cluster
  kubectl asm freeze Deployment/shop/web --field spec.replicas --reason 'the autoscaler writes it' --commit

Output formats: json, yaml, name")]
pub struct FreezeArgs {
    /// The object; without a target, on every target that has it
    #[arg(value_name = "[TARGET/]KIND/[NS/]NAME")]
    object: String,

    /// A field, as `kubectl asm drift` prints its path; may be repeated [default: the fields that drifted]
    #[arg(long = "field", value_name = "PATH")]
    fields: Vec<String>,

    /// Why, for who reads it next year
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// When it ends: a day such as 2026-12-31, a time, or a duration such as 72h or 7d
    #[arg(long, value_name = "WHEN", value_parser = when::to_come)]
    until: Option<Timestamp>,

    /// Name of the FleetSync, when drift is asked for [default: the only one of the namespace]
    #[arg(long, value_name = "NAME")]
    fleet_sync: Option<String>,

    #[command(flatten)]
    commit: CommitArgs,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: FreezeArgs) -> Result<Exit, CommandError> {
    context.output(&write::FORMATS)?;
    let repo = context.repo()?;
    let (selector, id) = find(&repo, &args.object)?;
    let mut intent = FreezeFields {
        targets: selector.target.clone().into_iter().collect(),
        id,
        fields: args.fields,
        reason: args.reason,
        until: args.until,
    };
    if intent.fields.is_empty() {
        (intent.targets, intent.fields) = drifted_fields(context, &selector, args.fleet_sync.as_deref(), &intent.id)?;
    }
    let plan = intent.plan(&repo.tree, &repo.state)?;
    let on = if intent.targets.is_empty() { String::new() } else { format!(" on {}", intent.targets.join(", ")) };
    let message =
        format!("freeze {}{on}\n\n{}\n\nLeft alone: {}\n", intent.id, intent.reason, intent.fields.join(", "));
    commit::finish(context, &repo, &plan, &message, (args.write, &args.commit))
}

/// The object of Git that is meant.
pub(super) fn find(repo: &FleetRepo, text: &str) -> Result<(Selector, ObjectId), CommandError> {
    repo.fleet()?;
    let targets = repo.state.targets();
    let names: Vec<&str> = targets.iter().map(|target| target.name()).collect();
    let selector = Selector::parse(text, &names)?;
    let candidates: Vec<_> =
        repo.state.manifests.iter().map(|manifest| (manifest.target.name().to_owned(), manifest.id.clone())).collect();
    let found = drifted::choose(&selector, &candidates, Clone::clone)?;
    match found.into_iter().next() {
        Some((_, id)) => Ok((selector, id)),
        None => {
            let names: Vec<String> = candidates.iter().map(|(target, id)| object_name(target, id)).collect();
            Err(CommandError::input(format!("there is no {text} in the files"))
                .hinted_with(did_you_mean(text, names.iter().map(String::as_str))))
        }
    }
}

/// What the agent reports of the object: on which targets, and the fields.
fn drifted_fields(
    context: &Context,
    selector: &Selector,
    fleet_sync: Option<&str>,
    id: &ObjectId,
) -> Result<(Vec<String>, Vec<String>), CommandError> {
    let reports = context.block_on(async {
        let host = Host::connect(context).await?;
        let sync = host.fleet_sync(fleet_sync).await?;
        host.drift_reports(&sync).await
    })?;
    let all = drifted::all(&reports);
    let found: Vec<_> = all.iter().filter(|one| one.id == *id && selector.matches(one.target, &one.id)).collect();
    let mut fields: Vec<String> = Vec::new();
    for field in found.iter().flat_map(|one| &one.object.fields).map(whole) {
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    if fields.is_empty() {
        return Err(CommandError::input(format!("no field of {id} has drifted, as far as the agent has noticed"))
            .hinted("name the field with --field PATH"));
    }
    Ok((found.into_iter().map(|one| one.target.to_owned()).collect(), fields))
}

/// An element that came has no place in Git's list: the list as a whole is left alone.
fn whole(field: &DriftedField) -> String {
    let path = FieldPath::parse(&field.path);
    let list = path.filter(|path| field.wanted.is_none() && matches!(path.0.last(), Some(Segment::Index(_))));
    list.and_then(|path| path.parent()).map_or_else(|| field.path.clone(), |list| list.to_string())
}
