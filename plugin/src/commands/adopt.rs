//! `kubectl asm adopt`.

mod choice;
mod told;

use crate::commit::{self, CommitArgs};
use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::live::drifted::{self, Drifted, Selector};
use crate::live::host::Host;
use crate::live::report::short;
use crate::live::{self, one};
use crate::output::{self, Document};
use crate::write::{self, EditItem, WriteArgs};
use asm_io::revisions::WorkingCopy;
use asm_io::tree::resolve;
use asm_shared::api::{DriftReport, FleetSync};
use asm_shared::authoring::AdoptDrift;
use asm_shared::fleet::Manifest;
use choice::Taken;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Takes live changes into Git: the files get the values that run.
///
/// The agent's DriftReports say what drifted and who did it; the values are read anew from the clusters, through the
/// kubeconfig contexts that fleet.yaml names. The manifest that declares the object is edited in place: a route that was
/// added is inserted where it stands, a field that was removed is removed, an object that was deleted leaves Git. When one
/// cluster of a group drifted, it gets a patch (clusters/NAME/patches/). Values of Secrets are never taken.
///
/// With --commit the message tells who made each change and when. The agent is asked through --context, or the current
/// context of the kubeconfig.
///
/// Exit codes: 0 done, or nothing to do, 2 usage or input error, 3 a cluster could not be reached.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # see what would be written
  kubectl asm adopt mesh/VirtualService/default/bookinfo --dry-run

  # one field of it, as a commit on a new branch
  kubectl asm adopt vs/bookinfo --field spec.http[0].route[0].weight --commit --branch adopt-weight

  # everything that drifted
  kubectl asm adopt --all --commit

Output formats: json, yaml, name")]
pub struct AdoptArgs {
    /// Objects, as `kubectl asm drift -o name` or kubectl names them; without a target, on every target where they drifted
    #[arg(value_name = "[TARGET/]KIND/[NS/]NAME", required_unless_present = "all")]
    objects: Vec<String>,

    /// Only this field, as `kubectl asm drift` prints its path; may be repeated
    #[arg(long = "field", value_name = "PATH", conflicts_with = "all")]
    fields: Vec<String>,

    /// Everything that drifted
    #[arg(long, conflicts_with = "objects")]
    all: bool,

    /// Name of the FleetSync [default: the only one of the namespace]
    #[arg(long, value_name = "NAME")]
    fleet_sync: Option<String>,

    #[command(flatten)]
    commit: CommitArgs,

    #[command(flatten)]
    write: WriteArgs,
}

/// What was taken into Git, or would be.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Adoption<'a> {
    /// Was nothing written?
    dry_run: bool,
    /// The objects with what was taken over of them, and who had changed it.
    objects: &'a [Taken<'a>],
    /// One per file; none when the files say so already.
    items: Vec<EditItem<'a>>,
    /// ID of the commit; with --commit only.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<&'a str>,
    /// Branch that the commit is on; with --commit only.
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<&'a str>,
}

impl Document for Adoption<'_> {
    const KIND: &'static str = "Adoption";
}

/// Runs it.
pub fn run(context: &Context, args: AdoptArgs) -> Result<Exit, CommandError> {
    context.output(&write::FORMATS)?;
    let repo = context.repo()?;
    repo.fleet()?;
    let fields = choice::fields(&args.fields)?;
    let (sync, reports) = context.block_on(async {
        let host = Host::connect(context).await?;
        let sync = host.fleet_sync(args.fleet_sync.as_deref()).await?;
        let reports = host.drift_reports(&sync).await?;
        Ok((sync, reports))
    })?;
    warn_of_other_commit(context, &repo, &sync);
    let all = drifted::all(&reports);
    let chosen = if args.all { all.clone() } else { choose(context, &repo, &all, &args.objects)? };
    warn_of_unlisted(context, &args, &reports);
    if args.all && chosen.is_empty() {
        context.ui().status("nothing has drifted: there is nothing to take over");
    }
    if !fields.is_empty() && chosen.iter().any(|other| chosen[0].id != other.id) {
        return Err(CommandError::usage("--field is for one object").hinted("adopt the objects one after the other"));
    }
    let (objects, taken) = read(context, &repo, &chosen, &fields)?;
    let plan = AdoptDrift { objects }.plan(&repo.tree, &repo.state)?;
    let message = told::message(&taken);
    finish(context, &repo, &args, &plan.edits, &taken, &message)
}

fn finish(
    context: &Context,
    repo: &FleetRepo,
    args: &AdoptArgs,
    edits: &[asm_shared::authoring::FileEdit],
    taken: &[Taken<'_>],
    message: &str,
) -> Result<Exit, CommandError> {
    let (ui, format) = (context.ui(), context.output(&write::FORMATS)?);
    let committed = args.commit.write(repo, edits, message, args.write)?;
    if format.is_document() {
        let document = Adoption {
            dry_run: args.write.is_dry_run(),
            objects: taken,
            items: edits.iter().map(|edit| EditItem::new(edit, args.write)).collect(),
            commit: committed.as_ref().map(|commit| commit.id.as_str()),
            branch: committed.as_ref().map(|commit| commit.branch.as_str()),
        };
        output::print(ui, format, &output::of(&document)?)?;
    } else {
        told::lines(taken).iter().for_each(|line| ui.status(line));
        if !taken.is_empty() {
            commit::tell(context, format, edits, message, args.write, committed.as_ref())?;
        }
    }
    if committed.is_none() && !edits.is_empty() && !args.write.is_dry_run() {
        ui.hint("--commit writes who made the change, and when, into the commit's message");
    }
    commit::next_step(context, repo, edits, args.write, committed.as_ref());
    Ok(Exit::Clean)
}

/// The drifted objects that are meant. One that Git has and that did not drift is no error: there is nothing to do.
fn choose<'a>(
    context: &Context,
    repo: &FleetRepo,
    all: &[Drifted<'a>],
    texts: &[String],
) -> Result<Vec<Drifted<'a>>, CommandError> {
    let targets = repo.state.targets();
    let names: Vec<&str> = targets.iter().map(|target| target.name()).collect();
    let mut chosen: Vec<Drifted<'a>> = Vec::new();
    for text in texts {
        let selector = Selector::parse(text, &names)?;
        let found = drifted::choose(&selector, all, |one| (one.target.to_owned(), one.id.clone()))?;
        if found.is_empty() {
            if !repo.state.manifests.iter().any(|manifest| selector.matches(manifest.target.name(), &manifest.id)) {
                return Err(choice::unknown(&selector, all));
            }
            context.ui().status(&format!("{text} has not drifted, as far as the agent has noticed"));
        }
        for one in found {
            if !chosen.iter().any(|other| other.target == one.target && other.id == one.id) {
                chosen.push(one);
            }
        }
    }
    Ok(chosen)
}

/// Reads the objects from the clusters, and what differs of them.
fn read<'a>(
    context: &Context,
    repo: &FleetRepo,
    chosen: &[Drifted<'a>],
    fields: &[asm_shared::object::FieldPath],
) -> Result<(Vec<asm_shared::authoring::AdoptObject>, Vec<Taken<'a>>), CommandError> {
    let contexts = live::contexts(repo.fleet()?);
    let mut wanted: BTreeMap<&str, Vec<(&Drifted<'a>, &Manifest)>> = BTreeMap::new();
    for one in chosen {
        let of = |manifest: &&Manifest| manifest.target.name() == one.target && manifest.id == one.id;
        let manifest = repo.state.manifests.iter().find(of).ok_or_else(|| {
            CommandError::input(format!("the files have no {}, which the agent reports as drifted", one.name()))
                .hinted("the working tree is another commit than the agent's, perhaps: git pull")
        })?;
        wanted.entry(one.target).or_default().push((one, manifest));
    }
    let progress = context.ui().progress("reading the objects");
    let now = jiff::Timestamp::now();
    let (mut objects, mut taken) = (Vec::new(), Vec::new());
    for name in contexts {
        let Some(wanted) = wanted.remove(name.target.name()) else { continue };
        let ids: Vec<_> =
            wanted.iter().map(|(_, manifest)| (manifest.id.clone(), manifest.api_version.to_string())).collect();
        let found: Vec<Option<Value>> = context.block_on(one::read(context, &name, &ids))?;
        for ((drifted, manifest), live) in wanted.into_iter().zip(found) {
            let frozen = repo.state.frozen_paths(manifest, now);
            if let Some((object, told)) = choice::of_object(drifted, manifest, live, fields, &frozen)? {
                objects.push(object);
                taken.push(told);
            } else {
                context.ui().status(&told::nothing(drifted));
            }
        }
    }
    drop(progress);
    Ok((objects, taken))
}

/// The agent compared with its commit, this command with the files here.
fn warn_of_other_commit(context: &Context, repo: &FleetRepo, sync: &FleetSync) {
    let source = sync.status.as_ref().and_then(|status| status.source.as_ref());
    let Some(theirs) = source.and_then(|source| source.revision.as_deref()) else { return };
    let Ok(copy) = WorkingCopy::find(&repo.root) else { return };
    let Ok(ours) = resolve(&copy.repository, "HEAD") else { return };
    let ours = ours.to_string();
    if ours != theirs {
        let (ours, theirs) = (short(&ours), short(theirs));
        context.ui().warning(&format!("the agent is at {theirs}, the working tree at {ours}: pull or push first"));
    }
}

/// A report holds the first objects only.
fn warn_of_unlisted(context: &Context, args: &AdoptArgs, reports: &[DriftReport]) {
    if !args.all {
        return;
    }
    for report in reports {
        let Some(status) = &report.status else { continue };
        let listed = u32::try_from(status.objects.len()).unwrap_or(u32::MAX);
        if status.total > listed {
            let left = status.total - listed;
            context.ui().warning(&format!(
                "{}: the report leaves out {left} objects; adopt again when these are merged",
                report.spec.target
            ));
        }
    }
}
