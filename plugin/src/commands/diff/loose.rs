//! Manifests without a fleet on the right side: `--manifests`, `--cluster`, `--against`.

use super::compare::{self, Compared, Right};
use super::sides;
use super::{DiffArgs, value::printable};
use crate::context::Context;
use crate::error::CommandError;
use crate::live;
use asm_io::loose::{self, Folder};
use asm_io::tree::DirTree;
use asm_shared::diff::{diff, diff_literally};
use asm_shared::fleet::{Fleet, FleetState, ONLY_CLUSTER};
use std::path::{Path, PathBuf};

/// The files and the clusters of the command line.
pub(crate) struct Given {
    folders: Vec<Folder>,
    /// Clusters without files of their own.
    clusters: Vec<String>,
}

impl Given {
    /// Reads `--manifests` and `--cluster`.
    pub(crate) fn read(manifests: &[PathBuf], clusters: &[String]) -> Result<Self, CommandError> {
        let mut given = Self {
            folders: manifests.iter().map(|path| Folder { path: path.clone(), cluster: None }).collect(),
            clusters: Vec::new(),
        };
        for text in clusters {
            let (name, path) = text.split_once('=').map_or((text.as_str(), None), |(name, path)| (name, Some(path)));
            if name.is_empty() || name == "mesh" || path == Some("") {
                return Err(CommandError::usage(format!("--cluster {text}: not NAME or NAME=DIR"))
                    .hinted("the mesh's manifests are given with --manifests"));
            }
            match path {
                Some(path) => {
                    given.folders.push(Folder { path: PathBuf::from(path), cluster: Some(name.to_owned()) });
                }
                None => given.clusters.push(name.to_owned()),
            }
        }
        Ok(given)
    }

    fn all_clusters(&self) -> Vec<&str> {
        let own = self.folders.iter().filter_map(|folder| folder.cluster.as_deref());
        self.clusters.iter().map(String::as_str).chain(own).collect()
    }

    /// Fails when one of the folders is a fleet: it is read as one by `verb --repo`.
    pub(crate) fn refuse_fleets(&self, verb: &str) -> Result<(), CommandError> {
        let Some(folder) = self.folders.iter().find(|folder| folder.path.join("fleet.yaml").is_file()) else {
            return Ok(());
        };
        let shown = folder.path.display();
        let what = if verb == "diff" { "its own changes are" } else { "it is" };
        Err(CommandError::usage(format!("{shown} is a fleet repository, not a folder of loose manifests"))
            .hinted(format!("{what} shown by: kubectl asm {verb} --repo {shown}")))
    }

    /// What is given, for people.
    pub(crate) fn label(&self) -> String {
        let paths: Vec<String> = self.folders.iter().map(|folder| folder.path.display().to_string()).collect();
        paths.join(", ")
    }

    /// The files that are given.
    pub(crate) fn state(&self) -> Result<FleetState, CommandError> {
        let clusters: Vec<&str> = self.clusters.iter().map(String::as_str).collect();
        loose::read(&self.folders, &clusters).map_err(|error| sides::wrong(&error))
    }
}

/// Compares loose manifests with a revision, a folder, or what runs.
pub(super) fn compare(context: &Context, args: &DiffArgs) -> Result<Compared, CommandError> {
    let mut given = Given::read(&args.manifests, &args.cluster)?;
    given.refuse_fleets("diff")?;
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
            compare::warn_before(context, &before.problems);
            let diff = if args.raw { diff_literally } else { diff }(&before, &after);
            let label = printable(args.against.as_deref().unwrap_or_default());
            compare::in_files(args, label, given.label(), Right::Loose, diff, after.problems)
        }
        (_, Some(revision)) => {
            let before = sides::revision(&context.repo_root()?, revision)?;
            compare::warn_before(context, &before.state.problems);
            let diff = if args.raw { diff_literally } else { diff }(&before.state.as_far_as(&after), &after);
            compare::in_files(args, before.label, given.label(), Right::Loose, diff, after.problems)
        }
        (_, None) => {
            // Only where something is to go: a folder of routes needs no cluster.
            let chosen: Vec<_> =
                chosen.into_iter().filter(|live| after.manifests_of(&live.target).next().is_some()).collect();
            compare::against_live(context, args, &chosen, given.label(), Right::Loose, after, |seen| {
                // These manifests are part of something: what they do not name is not theirs to delete.
                seen.live.objects.values_mut().for_each(|object| object.is_managed = false);
            })?
        }
    };
    compare::retain(args, &mut compared);
    Ok(compared)
}

/// The folders of the right side.
pub(super) fn folders(args: &DiffArgs) -> Result<Vec<PathBuf>, CommandError> {
    let paths = Given::read(&args.manifests, &args.cluster)?.folders.into_iter().map(|folder| folder.path);
    // Of a file, the folder: editors replace files.
    let folder = |path: PathBuf| match path.parent().filter(|_| path.is_file()) {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => path,
    };
    Ok(paths.map(folder).collect())
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
