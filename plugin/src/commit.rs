//! `--commit`: authored edits as one commit of the user's own Git.

use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::git::Git;
use crate::output::{self, OutputFormat};
use crate::write::{self, EditList, WriteArgs};
use asm_shared::authoring::{FileEdit, Plan, objects_of};

/// Flags of commands that can commit what they write.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CommitArgs {
    /// Commit what is written with your own Git; the tree must have no other changes
    #[arg(long)]
    commit: bool,

    /// Commit it on a new branch of this name
    #[arg(long, value_name = "NAME", requires = "commit")]
    branch: Option<String>,
}

/// The commit that was made.
#[derive(Clone, Debug)]
pub(crate) struct Committed {
    /// Its short ID.
    pub(crate) id: String,
    /// The branch that it is on.
    pub(crate) branch: String,
}

impl CommitArgs {
    /// Writes the edits, and commits them if that is asked for. `None`: there is no commit.
    pub(crate) fn write(
        &self,
        repo: &FleetRepo,
        edits: &[FileEdit],
        message: &str,
        write: WriteArgs,
    ) -> Result<Option<Committed>, CommandError> {
        let edits: Vec<FileEdit> = edits.iter().filter(|edit| edit.before != edit.after).cloned().collect();
        let all: Vec<&FileEdit> = edits.iter().collect();
        write::check(repo, &all)?;
        if write.is_dry_run() || edits.is_empty() {
            return Ok(None);
        }
        if !self.commit {
            write::write_files(&repo.root, &all)?;
            return Ok(None);
        }
        let git = Git::new(&repo.root);
        git.ensure_clean().map_err(|error| error.hinted("or leave --commit out to change the files only"))?;
        let Some(name) = &self.branch else {
            let branch = git.ensure_branch()?;
            let id = git.write_and_commit(repo, &edits, message)?;
            return Ok(Some(Committed { id, branch }));
        };
        let before = git.begin_branch(name)?;
        let id =
            git.write_and_commit(repo, &edits, message).map_err(|error| git.abandon_branch(name, &before, error))?;
        Ok(Some(Committed { id, branch: name.clone() }))
    }
}

/// Writes a plan and tells it, for commands whose document is the list of edits.
pub(crate) fn finish(
    context: &Context,
    repo: &FleetRepo,
    plan: &Plan,
    message: &str,
    (write, commit): (WriteArgs, &CommitArgs),
) -> Result<Exit, CommandError> {
    let format = context.output(&write::FORMATS)?;
    let committed = commit.write(repo, &plan.edits, message, write)?;
    if format.is_document() {
        let list = EditList::new(&plan.edits, write).committed(committed.as_ref());
        output::print(context.ui(), format, &output::of(&list)?)?;
    } else {
        tell(context, format, &plan.edits, message, write, committed.as_ref())?;
    }
    plan.warnings.iter().for_each(|warning| context.ui().warning(warning));
    next_step(context, repo, &plan.edits, write, committed.as_ref());
    Ok(Exit::Clean)
}

/// The edits for people, and the commit.
pub(crate) fn tell(
    context: &Context,
    format: OutputFormat,
    edits: &[FileEdit],
    message: &str,
    write: WriteArgs,
    committed: Option<&Committed>,
) -> Result<(), CommandError> {
    match (committed, format) {
        (_, OutputFormat::Name) => edits.iter().flat_map(objects_of).for_each(|name| context.ui().line(&name)),
        (Some(commit), _) => {
            let subject = message.lines().next().unwrap_or_default();
            context.ui().line(&format!("{} {subject}", commit.id));
        }
        (None, _) => write::report(context, format, &edits.iter().collect::<Vec<_>>(), write)?,
    }
    Ok(())
}

/// What to do with what was written.
pub(crate) fn next_step(
    context: &Context,
    repo: &FleetRepo,
    edits: &[FileEdit],
    write: WriteArgs,
    committed: Option<&Committed>,
) {
    if write.is_dry_run() || edits.is_empty() {
        return;
    }
    match committed {
        Some(commit) => context.ui().hint(&format!("next: git push REMOTE {}", commit.branch)),
        None => context.ui().hint(&format!("keep it with: {}", write::git_commands(&repo.root, edits))),
    }
}
