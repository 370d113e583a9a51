//! `kubectl asm init`.

use crate::context::{Context, FleetRepo, find_root};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::InitFleet;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// Starts a fleet repository: fleet.yaml, mesh/, README.md, and Git if there is none yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # start a fleet in this directory, named after it
  kubectl asm init

  # start a fleet named shop in a new directory
  kubectl asm init shop --dir shop --region cn-hangzhou --mesh-id ASM-INSTANCE-ID --mesh-context asm-shop")]
pub struct InitArgs {
    /// Name of the fleet [default: the name of the directory]
    name: Option<String>,

    /// Directory of the fleet; made when missing
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,

    /// ID of the ASM instance
    #[arg(long, value_name = "ID")]
    mesh_id: Option<String>,

    /// Region of the ASM instance
    #[arg(long, value_name = "REGION")]
    region: Option<String>,

    /// kubeconfig context of the mesh's own API [default: mesh]
    #[arg(long, value_name = "CONTEXT")]
    mesh_context: Option<String>,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: InitArgs) -> Result<Exit, CommandError> {
    let ui = context.ui();
    // Before the directory is made.
    context.output(&write::FORMATS)?;
    let root = real_path(&args.dir)
        .map_err(|error| CommandError::input(format!("cannot use {}", args.dir.display())).caused_by(&error))?;
    write::recover(ui, &root)?;
    if let Some(existing) = find_root(&root) {
        let what = if existing == root { "is a fleet repository already" } else { "is inside a fleet repository" };
        return Err(CommandError::input(format!(
            "{} {what}: {}",
            root.display(),
            existing.join("fleet.yaml").display()
        ))
        .hinted("add a cluster to it with: kubectl asm cluster add NAME --id ACK-CLUSTER-ID"));
    }
    let name = match args.name {
        Some(name) => name,
        None => name_of(&root)?,
    };
    let intent = InitFleet { name, mesh_id: args.mesh_id, region: args.region, mesh_context: args.mesh_context };
    let mut plan = intent.plan()?;
    // What somebody wrote already stays. fleet.yaml is not there, so only the README can be.
    plan.edits.retain(|edit| {
        let exists = root.join(&edit.path).exists();
        if exists {
            ui.status(&format!("unchanged {} (it was there)", edit.path));
        }
        !exists
    });

    if !args.write.is_dry_run() {
        std::fs::create_dir_all(&root)
            .map_err(|error| CommandError::input(format!("cannot make {}", root.display())).caused_by(&error))?;
    }
    let repo = FleetRepo::open(root.clone())?;
    write::write(context, &repo, &plan.edits, args.write)?;
    if !args.write.is_dry_run() {
        start_git(context, &root);
        let to = if args.dir == Path::new(".") { String::new() } else { format!("cd {} && ", args.dir.display()) };
        ui.hint(&format!("next: {to}kubectl asm cluster add NAME --id ACK-CLUSTER-ID"));
    }
    Ok(Exit::Clean)
}

/// Where a directory is that may not be there yet. What is there says where `..` leads; in what is not there it takes
/// the word before it back.
pub(crate) fn real_path(directory: &Path) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(directory)?;
    let existing = absolute.ancestors().find_map(|found| Some((found, found.canonicalize().ok()?)));
    let Some((found, mut real)) = existing else { return Ok(absolute) };
    for part in absolute.strip_prefix(found).unwrap_or(Path::new("")).components() {
        match part {
            Component::ParentDir => drop(real.pop()),
            part => real.push(part),
        }
    }
    Ok(real)
}

/// A fleet name from the directory's name.
pub(crate) fn name_of(root: &Path) -> Result<String, CommandError> {
    let file_name = root.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let label: String = file_name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let label = label.trim_matches('-');
    if label.is_empty() {
        return Err(CommandError::usage(format!("the directory {} gives the fleet no name", root.display()))
            .hinted("name it: kubectl asm init NAME"));
    }
    Ok(label.to_owned())
}

/// Makes the directory a Git repository with the user's own Git, unless it is inside one. A fleet without Git is no
/// failure of this command: its files are there.
pub(crate) fn start_git(context: &Context, root: &Path) {
    let git = |args: &[&str]| Command::new("git").arg("-C").arg(root).args(args).output();
    let inside = git(&["rev-parse", "--is-inside-work-tree"]);
    if inside.as_ref().is_ok_and(|output| output.status.success()) {
        return;
    }
    let made = inside.and_then(|_| git(&["-c", "init.defaultBranch=main", "init", "--quiet"]));
    match made {
        Ok(output) if output.status.success() => {
            context.ui().status("started a Git repository on branch main");
        }
        Ok(output) => context.ui().warning(&format!(
            "git init failed: {}; start the repository yourself",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => {
            context.ui().warning(&format!("cannot run git ({error}): the fleet is not in a Git repository yet"));
        }
    }
}
