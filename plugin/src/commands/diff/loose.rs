//! Manifests without a fleet on the right side: `--manifests`, `--cluster`, `--against`.

use super::DiffArgs;
use super::comparison::{Compared, in_files, retain, warn_before};
use super::live::against_live;
use super::sides::{self, Right};
use crate::context::Context;
use crate::error::CommandError;
use crate::live;
use crate::loose::Given;
use asm_io::loose::{self, Folder};
use asm_io::tree::DirTree;
use asm_shared::diff::{diff, diff_literally};
use asm_shared::fleet::{Fleet, FleetState, ONLY_CLUSTER};
use asm_shared::text::printable;
use std::path::{Path, PathBuf};

/// Compares loose manifests with a revision, a folder, or what runs.
pub(super) fn compare(context: &Context, args: &DiffArgs) -> Result<Compared, CommandError> {
    let mut given = Given::read(&args.manifests, &args.cluster)?;
    given.refuse_fleets("its own changes are shown by: kubectl asm diff")?;
    let other = args.against.as_deref().map(|against| against_folder(against, Path::new(against)));
    let fleet = match other {
        // Between two folders it does not matter what the only cluster is called.
        Some(Some(_)) => None,
        _ => known_fleet(context),
    };
    if given.all_clusters().is_empty() {
        let only = fleet.as_ref().map_or(Some(ONLY_CLUSTER), |fleet| match &fleet.spec.clusters[..] {
            [only] => Some(only.name.as_str()),
            _ => None,
        });
        given.clusters.extend(only.filter(|_| fleet.is_some() || args.against.is_some()).map(str::to_owned));
    }
    let mut after = given.state()?;
    take_over_contexts(&mut after, fleet.as_ref());
    let chosen = match &after.fleet {
        Some(fleet) => live::chosen(context, fleet, &args.targets)?,
        None => Vec::new(),
    };
    let mut compared = match (other, &args.against) {
        (Some(Some(other)), _) => {
            let before = other.state(&given, &after)?;
            warn_before(context, &before.problems);
            let diff = if args.raw { diff_literally } else { diff }(&before, &after);
            let label = printable(args.against.as_deref().unwrap_or_default());
            in_files(args, label, given.label(), Right::Loose, diff, after.problems)
        }
        (_, Some(revision)) => {
            let before = sides::revision(&context.repo_root()?, revision)?;
            warn_before(context, &before.state.problems);
            let diff = if args.raw { diff_literally } else { diff }(&before.state.as_far_as(&after), &after);
            in_files(args, before.label, given.label(), Right::Loose, diff, after.problems)
        }
        (_, None) => {
            // Only where something is to go: a folder of routes needs no cluster.
            let chosen: Vec<_> =
                chosen.into_iter().filter(|live| after.manifests_of(&live.target).next().is_some()).collect();
            against_live(context, args, &chosen, given.label(), Right::Loose, after, |seen| {
                // These manifests are part of something: what they do not name is not theirs to delete.
                seen.live.objects.values_mut().for_each(|object| object.is_managed = false);
            })?
        }
    };
    retain(args, &mut compared);
    Ok(compared)
}

/// The folders of the right side.
pub(super) fn folders(args: &DiffArgs) -> Result<Vec<PathBuf>, CommandError> {
    Ok(Given::read(&args.manifests, &args.cluster)?.watched())
}

/// What `--against` names when it is no revision.
enum Other {
    /// A folder of loose manifests.
    Loose(PathBuf),
    /// A fleet's working tree.
    Fleet(PathBuf),
}

fn against_folder(text: &str, path: &Path) -> Option<Other> {
    if !path.exists() {
        return None;
    }
    let is_fleet = path.join("fleet.yaml").is_file();
    Some(if is_fleet { Other::Fleet(PathBuf::from(text)) } else { Other::Loose(PathBuf::from(text)) })
}

impl Other {
    fn state(&self, given: &Given, after: &FleetState) -> Result<FleetState, CommandError> {
        match self {
            Self::Loose(path) => {
                let folder = Folder { path: path.clone(), cluster: None };
                loose::read(&[folder], &given.all_clusters()).map_err(|error| sides::wrong(&error))
            }
            Self::Fleet(path) => Ok(FleetState::read(&DirTree::new(path)).as_far_as(after)),
        }
    }
}

/// The fleet around the current directory, when there is one: it knows the clusters and their contexts.
fn known_fleet(context: &Context) -> Option<Fleet> {
    let root = context.repo_root().ok()?;
    FleetState::read(&DirTree::new(&root)).fleet
}

/// Which kubeconfig contexts lead to the targets.
fn take_over_contexts(state: &mut FleetState, known: Option<&Fleet>) {
    let (Some(fleet), Some(known)) = (&mut state.fleet, known) else { return };
    fleet.spec.mesh.context.clone_from(&known.spec.mesh.context);
    for cluster in &mut fleet.spec.clusters {
        let same = known.spec.clusters.iter().find(|other| other.name == cluster.name);
        cluster.context = same.and_then(|same| same.context.clone());
    }
}
