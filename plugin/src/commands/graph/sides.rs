//! What is drawn: the working tree, a commit or loose manifests; and what it is compared with.

use super::GraphArgs;
use crate::commands::diff::value_error;
use crate::context::Context;
use crate::error::CommandError;
use crate::loose::Given;
use asm_io::revisions::{Oid, WorkingCopy};
use asm_io::tree::{CommitTree, DirTree, resolve};
use asm_shared::fleet::{FleetState, Problem, Tree};
use asm_shared::graph::{Graph, build, compare};
use asm_shared::lint::{Assumptions, lint, rules_of, run};
use std::path::Path;

/// Problems told one by one; the rest is counted.
const PROBLEMS_SHOWN: usize = 10;

/// What is drawn.
pub(super) struct Sides {
    /// Everything, compared with the base if there is one.
    pub(super) graph: Graph,
    /// The fleet's name, and the member clusters.
    pub(super) name: Option<String>,
    pub(super) clusters: Vec<String>,
    /// `working tree`, `main (4f1c2aa)`.
    pub(super) label: String,
    /// The base's.
    pub(super) base: Option<String>,
    /// What keeps files from being read.
    problems: Vec<Problem>,
}

/// A state and its graph.
struct Side {
    label: String,
    state: FleetState,
    graph: Graph,
}

impl Side {
    fn of(label: String, tree: &dyn Tree) -> Self {
        let state = FleetState::read(tree);
        let rules = rules_of(&[], &[]).unwrap_or_default();
        let assumptions = Assumptions { now: Some(jiff::Timestamp::now()), ..Assumptions::default() };
        let graph = build(&state, &lint(tree, &state, None, &rules, assumptions).found);
        Self { label, state, graph }
    }

    /// Fails when the fleet file cannot be used: then nothing is known.
    fn usable(&self) -> Result<(), CommandError> {
        let mut fatal = self.state.problems.iter().filter(|problem| problem.targets.is_empty()).peekable();
        if self.state.fleet.is_some() || fatal.peek().is_none() {
            return Ok(());
        }
        let error = CommandError::input(format!("{}: fleet.yaml cannot be used", self.label));
        Err(fatal.fold(error, |error, problem| error.because(problem.to_string()).hinted_with(problem.hint.clone())))
    }
}

/// Reads and draws it all.
pub(super) fn read(context: &Context, args: &GraphArgs) -> Result<Sides, CommandError> {
    if !args.manifests.is_empty() || !args.cluster.is_empty() {
        return loose(args);
    }
    let root = context.repo_root()?;
    let side = match &args.at {
        None => Side::of("working tree".to_owned(), &DirTree::new(&root)),
        Some(revision) => at(&root, revision, None)?,
    };
    side.usable()?;
    let base = args.base.as_deref().map(|base| before(&root, base, args.at.as_deref())).transpose()?;
    let (graph, base) = match base {
        Some(base) => {
            warn(context, &base);
            (compare(&base.graph, side.graph), Some(base.label))
        }
        None => (side.graph, None),
    };
    Ok(Sides { graph, base, ..Sides::of(side.label, side.state) })
}

/// Files of the base that cannot be read: what they say looks added.
fn warn(context: &Context, base: &Side) {
    for problem in base.state.problems.iter().take(PROBLEMS_SHOWN) {
        context.ui().warning(&format!("{}: {problem}", base.label));
    }
}

/// Manifests that are in no fleet.
fn loose(args: &GraphArgs) -> Result<Sides, CommandError> {
    if args.manifests.is_empty() && args.cluster.iter().all(|text| !text.contains('=')) {
        return Err(CommandError::usage("--cluster names a cluster of --manifests, and there are none")
            .hinted(format!("to show one cluster of the fleet: --target {}", args.cluster.join(" --target "))));
    }
    let given = Given::read(&args.manifests, &args.cluster)?.in_one_cluster_at_least();
    given.refuse_fleets("it is drawn by: kubectl asm graph")?;
    let state = given.state()?;
    let rules = rules_of(&[], &[]).unwrap_or_default();
    let assumptions = Assumptions { now: Some(jiff::Timestamp::now()), ..Assumptions::default() };
    let graph = build(&state, &run(&state, &rules, assumptions));
    Ok(Sides { graph, ..Sides::of(given.label(), state) })
}

/// The state that `--base` means.
fn before(root: &Path, base: &str, at: Option<&str>) -> Result<Side, CommandError> {
    let (name, other) = base.strip_suffix("...").map_or((base, None), |name| (name, Some(at.unwrap_or("HEAD"))));
    if name.is_empty() {
        return Err(CommandError::usage("the revision of --base is empty"));
    }
    self::at(root, name, other)
}

/// The fleet in a commit; in the one where it and another parted. A commit from before the fleet was started has nothing.
fn at(root: &Path, revision: &str, parted: Option<&str>) -> Result<Side, CommandError> {
    let copy =
        WorkingCopy::find(root).map_err(|error| value_error(&error).hinted("revisions need a Git repository"))?;
    let mut commit = known(&copy, revision)?;
    if let Some(other) = parted {
        commit = copy.merge_base(commit, known(&copy, other)?).map_err(|error| value_error(&error))?;
    }
    let short = copy.short(commit);
    let place = if parted.is_some() { " at the common ancestor" } else { "" };
    let label = if commit.to_string().starts_with(revision) { short } else { format!("{revision}{place} ({short})") };
    let nothing = |label| Side { label, state: FleetState::default(), graph: Graph::default() };
    if !copy.has_folder(commit) {
        return Ok(nothing(label));
    }
    let tree = CommitTree::of(&copy.repository, commit, &copy.folder).map_err(|error| value_error(&error))?;
    let has_fleet = tree.list().map_err(|error| value_error(&error))?.iter().any(|file| &**file == "fleet.yaml");
    Ok(if has_fleet { Side::of(label, &tree) } else { nothing(label) })
}

fn known(copy: &WorkingCopy, revision: &str) -> Result<Oid, CommandError> {
    resolve(&copy.repository, revision).map_err(|error| {
        value_error(&error).hinted("list what there is with: git branch --all; get what is new with: git fetch")
    })
}

impl Sides {
    fn of(label: String, state: FleetState) -> Self {
        let clusters = state.fleet.iter().flat_map(|fleet| &fleet.spec.clusters);
        Self {
            graph: Graph::default(),
            name: state.fleet.as_ref().map(|fleet| fleet.metadata.name.clone()),
            clusters: clusters.map(|cluster| cluster.name.clone()).collect(),
            label,
            base: None,
            problems: state.problems,
        }
    }

    /// What the picture is called.
    pub(super) fn title(&self) -> String {
        let name = self.name.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
        match &self.base {
            Some(base) => format!("{name}routing, {base} → {}", self.label),
            None => format!("{name}routing, {}", self.label),
        }
    }

    /// Fails when files could not be read: what they say is missing in the graph.
    pub(super) fn whole(&self) -> Result<(), CommandError> {
        let found = &self.problems;
        if found.is_empty() {
            return Ok(());
        }
        let count = if found.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", found.len()) };
        let failed = CommandError::input(format!("{count} in the files: what they say is missing above"));
        let failed =
            found.iter().take(PROBLEMS_SHOWN).fold(failed, |failed, problem| failed.because(problem.to_string()));
        Err(failed.hinted_with(found.iter().find_map(|problem| problem.hint.clone())))
    }
}
