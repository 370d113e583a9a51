//! What every command gets: the global flags, the terminal, and the fleet repository on demand.

use crate::error::CommandError;
use crate::globals::GlobalArgs;
use crate::output::OutputFormat;
use crate::ui::Ui;
use crate::write;
use asm_io::tree::DirTree;
use asm_shared::fleet::{Fleet, FleetState, Memory};
use std::path::{Path, PathBuf};

/// The run of one command.
#[derive(Debug)]
pub struct Context {
    /// Flags of every command.
    pub globals: GlobalArgs,
    /// The verb reads `--cluster` itself: it does not name a cluster of the kubeconfig.
    own_cluster_flag: bool,
    ui: Ui,
}

impl Context {
    /// Makes the run of one command.
    pub fn new(globals: GlobalArgs, own_cluster_flag: bool, ui: Ui) -> Self {
        Self { globals, own_cluster_flag, ui }
    }

    /// The terminal.
    pub fn ui(&self) -> &Ui {
        &self.ui
    }

    /// The output format that was asked for, if it is among those of the command.
    pub fn output(&self, allowed: &[OutputFormat]) -> Result<OutputFormat, CommandError> {
        OutputFormat::choose(self.globals.output.as_deref(), allowed)
    }

    /// The kubeconfig cluster named by `--cluster`, unless the verb means clusters of the fleet by it.
    pub fn kubeconfig_cluster(&self) -> Option<&str> {
        self.globals.cluster.as_deref().filter(|_| !self.own_cluster_flag)
    }

    /// Finds and reads the fleet repository. Problems inside it are in `state.problems`.
    pub fn repo(&self) -> Result<FleetRepo, CommandError> {
        FleetRepo::open(self.repo_root()?)
    }

    /// The same, for whoever reads it again and again: files that have not changed since are not parsed again.
    pub fn repo_again(&self, memory: &mut Memory) -> Result<FleetRepo, CommandError> {
        let root = self.repo_root()?;
        let tree = DirTree::new(&root);
        let state = FleetState::read_again(&tree, memory);
        Ok(FleetRepo { root, tree, state })
    }

    /// The root of the fleet repository: `--repo`, or the nearest parent directory with a `fleet.yaml`.
    pub fn repo_root(&self) -> Result<PathBuf, CommandError> {
        if let Some(root) = &self.globals.repo {
            return if root.join("fleet.yaml").is_file() {
                write::recover(&self.ui, root)?;
                Ok(root.clone())
            } else {
                Err(CommandError::input(format!("{} is not a fleet repository: it has no fleet.yaml", root.display()))
                    .hinted(format!("start one with: kubectl asm init --dir {}", root.display())))
            };
        }
        let here = std::env::current_dir()
            .map_err(|error| CommandError::input("cannot tell the current directory").caused_by(&error))?;
        let root = find_root(&here).ok_or_else(|| {
            CommandError::input(format!(
                "no fleet repository here: neither {} nor a directory above it has a fleet.yaml",
                here.display()
            ))
            .hinted("start one with: kubectl asm init, or name one with --repo DIR")
        })?;
        write::recover(&self.ui, &root)?;
        Ok(root)
    }

    /// Runs asynchronous work to its end.
    pub fn block_on<T>(&self, work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| CommandError::internal("cannot start the asynchronous runtime").caused_by(&error))?
            .block_on(work)
    }
}

/// The nearest directory with a `fleet.yaml`, from `directory` upwards.
pub fn find_root(directory: &Path) -> Option<PathBuf> {
    directory.ancestors().find(|directory| directory.join("fleet.yaml").is_file()).map(Path::to_path_buf)
}

/// A fleet repository in a working directory.
#[derive(Debug)]
pub struct FleetRepo {
    /// The directory of `fleet.yaml`.
    pub root: PathBuf,
    /// Its files.
    pub tree: DirTree,
    /// What they say.
    pub state: FleetState,
}

impl FleetRepo {
    /// Reads the fleet repository in a directory.
    pub fn open(root: PathBuf) -> Result<Self, CommandError> {
        let tree = DirTree::new(&root);
        let state = FleetState::read(&tree);
        Ok(Self { root, tree, state })
    }

    /// The fleet file. When it cannot be used, the error lists what is wrong with it.
    pub fn fleet(&self) -> Result<&Fleet, CommandError> {
        self.state.fleet.as_ref().ok_or_else(|| {
            let fatal = self.state.problems.iter().filter(|problem| problem.targets.is_empty());
            fatal.fold(CommandError::input("fleet.yaml cannot be used"), |error, problem| {
                error.because(problem.to_string()).hinted_with(problem.hint.clone())
            })
        })
    }
}
