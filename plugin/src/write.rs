//! Writing authored edits: checked first, then all files or none, then told in kubectl's verbs.

mod journal;

use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Document, OutputFormat};
use crate::ui::Ui;
use asm_shared::authoring::{Action, FileEdit, Plan, new_problems, objects_of};
use clap::{Args, ValueEnum};
use journal::Journal;
use schemars::JsonSchema;
use serde::Serialize;
use similar::TextDiff;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Output formats of every command that writes files.
pub const FORMATS: [OutputFormat; 3] = [OutputFormat::Json, OutputFormat::Yaml, OutputFormat::Name];

/// Flags of every command that writes files.
#[derive(Clone, Copy, Debug, Args)]
pub struct WriteArgs {
    /// Print what would be written and write nothing
    #[arg(long, value_name = "client", num_args = 0..=1, require_equals = true, default_value = "none",
          default_missing_value = "client", hide_default_value = true, hide_possible_values = true)]
    pub dry_run: DryRun,
}

/// `--dry-run`, with kubectl's words. `server` is not among them: authoring never talks to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// Write.
    None,
    /// Print only.
    Client,
}

impl WriteArgs {
    /// Is nothing to be written?
    pub fn is_dry_run(self) -> bool {
        self.dry_run == DryRun::Client
    }
}

/// What a command wrote, or would write.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EditList<'a> {
    /// Was nothing written?
    dry_run: bool,
    /// One per file; none when the files say so already.
    items: Vec<EditItem<'a>>,
}

impl Document for EditList<'_> {
    const KIND: &'static str = "EditList";
}

/// One edit as the machine formats tell it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct EditItem<'a> {
    /// Path inside the fleet repository.
    path: &'a str,
    /// What is done to the file.
    action: Action,
    /// `resource/name` of every object that the file has afterwards, or had when it is deleted.
    objects: Vec<String>,
    /// A unified diff; with --dry-run only.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
}

/// Checks the edits, writes them (or shows them with `--dry-run`) and tells what was done.
///
/// Nothing is written when the fleet would have a problem that it does not have now.
pub fn write(context: &Context, repo: &FleetRepo, edits: &[FileEdit], args: WriteArgs) -> Result<(), CommandError> {
    let format = context.output(&FORMATS)?;
    let edits: Vec<_> = edits.iter().filter(|edit| edit.before != edit.after).collect();
    check(repo, &edits)?;
    if !args.is_dry_run() {
        write_files(&repo.root, &edits)?;
    }
    report(context, format, &edits, args)
}

/// [`write()`], then the warnings of the plan and what to do next.
pub fn finish(
    context: &Context,
    repo: &FleetRepo,
    plan: &Plan,
    args: WriteArgs,
    next: &str,
) -> Result<Exit, CommandError> {
    write(context, repo, &plan.edits, args)?;
    for warning in &plan.warnings {
        context.ui().warning(warning);
    }
    if !args.is_dry_run() && !plan.edits.is_empty() {
        context.ui().hint(&format!("keep it with: {}", git_commands(&repo.root, &plan.edits)));
        context.ui().hint(&format!("next: {next}"));
    }
    Ok(Exit::Clean)
}

/// The commands that commit the edits, from where the user stands.
pub(crate) fn git_commands(root: &Path, edits: &[FileEdit]) -> String {
    let paths: Vec<_> = edits.iter().map(|edit| edit.path.as_str()).collect();
    let paths = if paths.len() > 4 { "--all .".to_owned() } else { paths.join(" ") };
    let is_here = std::env::current_dir().is_ok_and(|here| root == here || root == Path::new("."));
    let git = if is_here { "git".to_owned() } else { format!("git -C {}", root.display()) };
    format!("{git} add {paths} && {git} commit")
}

/// Refuses edits that give the fleet a problem that it does not have now.
pub(crate) fn check(repo: &FleetRepo, edits: &[&FileEdit]) -> Result<(), CommandError> {
    let problems = new_problems(&repo.tree, &repo.state, edits.iter().copied());
    if problems.is_empty() {
        return Ok(());
    }
    let error = CommandError::input("nothing was written: the fleet would have problems that it does not have now");
    Err(problems.into_iter().fold(error, |error, problem| error.because(problem.to_string()).hinted_with(problem.hint)))
}

/// Tells what the edits do, or did.
pub(crate) fn report(
    context: &Context,
    format: OutputFormat,
    edits: &[&FileEdit],
    args: WriteArgs,
) -> Result<(), CommandError> {
    let ui = context.ui();
    let suffix = if args.is_dry_run() { " (dry run)" } else { "" };
    match format {
        OutputFormat::Json | OutputFormat::Yaml => {
            let items = edits
                .iter()
                .map(|edit| EditItem {
                    path: &edit.path,
                    action: edit.action(),
                    objects: objects_of(edit),
                    diff: args.is_dry_run().then(|| unified_diff(edit)),
                })
                .collect();
            let list = EditList { dry_run: args.is_dry_run(), items };
            output::print(ui, format, &output::of(&list)?)?;
        }
        OutputFormat::Name => {
            for name in edits.iter().flat_map(|edit| objects_of(edit)) {
                ui.line(&name);
            }
        }
        OutputFormat::Human | OutputFormat::Wide => {
            if edits.is_empty() {
                ui.status(&format!("unchanged: the files say so already{suffix}"));
            }
            for (index, edit) in edits.iter().enumerate() {
                let told = format!("{} {}{suffix}", edit.action(), edit.path);
                if args.is_dry_run() {
                    // What stands on stdout can be piped on; which file it belongs to is said on stderr.
                    ui.status(&told);
                    match (&edit.before, &edit.after) {
                        (None, Some(text)) if index > 0 && !text.starts_with("---") => ui.data(&format!("---\n{text}")),
                        (None, Some(text)) => ui.data(text),
                        _ => ui.data(&unified_diff(edit)),
                    }
                } else {
                    ui.line(&told);
                }
            }
        }
    }
    Ok(())
}

/// An edit as a unified diff.
pub(crate) fn unified_diff(edit: &FileEdit) -> String {
    let (before, after) = (edit.before.as_deref().unwrap_or(""), edit.after.as_deref().unwrap_or(""));
    let name = |side: &str, text: &Option<String>| match text {
        Some(_) => format!("{side}/{}", edit.path),
        None => "/dev/null".to_owned(),
    };
    TextDiff::from_lines(before, after)
        .unified_diff()
        .header(&name("a", &edit.before), &name("b", &edit.after))
        .to_string()
}

/// A file to be moved into place.
struct Staged<'a> {
    edit: &'a FileEdit,
    target: PathBuf,
    temp: Option<NamedTempFile>,
}

/// Writes all files or none: every new content is in a temporary file beside its target before the first rename, and a
/// rename that fails takes the earlier ones back.
pub(crate) fn write_files(root: &Path, edits: &[&FileEdit]) -> Result<(), CommandError> {
    if edits.is_empty() {
        return Ok(());
    }
    let journal = Journal::start(root, edits)?;
    let mut made_directories = Vec::new();
    let mut is_whole = true;
    let staged: Result<Vec<_>, _> = edits.iter().map(|edit| stage(root, edit, &mut made_directories)).collect();
    let result = staged.and_then(|mut staged| {
        for index in 0..staged.len() {
            if let Err(error) = staged[index].put() {
                let lost: Vec<_> = staged[..index].iter().filter_map(|done| done.take_back().err()).collect();
                is_whole = lost.is_empty();
                return Err(lost.into_iter().fold(error, CommandError::because));
            }
        }
        staged.iter().filter(|done| done.edit.after.is_none()).for_each(|done| remove_empty(&done.target, root));
        Ok(())
    });
    if result.is_err() {
        for directory in made_directories.iter().rev() {
            // Stays when somebody put something there meanwhile.
            let _ = std::fs::remove_dir(directory);
        }
    }
    if is_whole {
        journal.close();
    }
    result
}

/// Takes back what a command that was killed has left half done in the repository.
pub fn recover(ui: &Ui, root: &Path) -> Result<(), CommandError> {
    if let Some(files) = journal::recover(root)? {
        ui.warning(&format!("a command was interrupted while it wrote; taken back: {}", files.join(", ")));
    }
    Ok(())
}

/// Removes the folders that a removed file leaves empty, as Git does.
fn remove_empty(file: &Path, root: &Path) {
    for directory in file.ancestors().skip(1).take_while(|directory| *directory != root) {
        match std::fs::remove_dir(directory) {
            Ok(()) => {}
            // A run that was killed while it made the folders has made only the upper ones.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => return,
        }
    }
}

fn stage<'a>(root: &Path, edit: &'a FileEdit, made: &mut Vec<PathBuf>) -> Result<Staged<'a>, CommandError> {
    let target = root.join(&edit.path);
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        CommandError::input(format!("cannot {what} {}", target.display())).because(error.to_string())
    };
    let found = match std::fs::read(&target) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed("read", &error)),
    };
    if found.as_deref() != edit.before.as_deref().map(str::as_bytes) {
        return Err(failed("write", &"the file has changed since it was read").hinted("run the command again"));
    }
    let Some(content) = &edit.after else { return Ok(Staged { edit, target, temp: None }) };
    let directory = target.parent().unwrap_or(root);
    for missing in directory.ancestors().take_while(|directory| !directory.exists()).collect::<Vec<_>>().iter().rev() {
        std::fs::create_dir(missing).map_err(|error| failed("make the directory of", &error))?;
        made.push(missing.to_path_buf());
    }
    let mut temp = journal::temporary(directory).map_err(|error| failed("write", &error))?;
    temp.write_all(content.as_bytes())
        .and_then(|()| temp.as_file().sync_all())
        .and_then(|()| copy_permissions(&target, temp.path()))
        .map_err(|error| failed("write", &error))?;
    Ok(Staged { edit, target, temp: Some(temp) })
}

/// Temporary files are private; the file that comes into place has the permissions of the one before, or those that a
/// new file would have had.
fn copy_permissions(target: &Path, temp: &Path) -> std::io::Result<()> {
    if let Ok(metadata) = std::fs::metadata(target) {
        return std::fs::set_permissions(temp, metadata.permissions());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(temp, std::fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

impl Staged<'_> {
    fn put(&mut self) -> Result<(), CommandError> {
        let failed = |error: std::io::Error| {
            CommandError::input(format!("cannot write {}", self.target.display())).caused_by(&error)
        };
        match self.temp.take() {
            Some(temp) if self.edit.before.is_none() => {
                temp.persist_noclobber(&self.target).map(drop).map_err(|error| failed(error.error))
            }
            Some(temp) => temp.persist(&self.target).map(drop).map_err(|error| failed(error.error)),
            None => std::fs::remove_file(&self.target).map_err(failed),
        }
    }

    fn take_back(&self) -> Result<(), String> {
        match &self.edit.before {
            Some(content) => std::fs::write(&self.target, content),
            None => std::fs::remove_file(&self.target),
        }
        .map_err(|error| format!("cannot restore {}: {error}", self.target.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(path: &str, before: Option<&str>, after: Option<&str>) -> FileEdit {
        FileEdit { path: path.to_owned(), before: before.map(str::to_owned), after: after.map(str::to_owned) }
    }

    #[test]
    fn all_files_or_none() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::write(root.join("a"), "old").unwrap();
        // The second target is a directory, which no file can replace.
        std::fs::create_dir(root.join("b")).unwrap();
        let (a, b, c) = (edit("a", Some("old"), Some("new")), edit("b", None, Some("x")), edit("d/c", None, Some("x")));
        assert!(write_files(root, &[&a, &c, &b]).is_err());
        assert_eq!(std::fs::read_to_string(root.join("a")).unwrap(), "old");
        assert!(!root.join("d").exists());
        assert_eq!(std::fs::read_dir(root).unwrap().count(), 2);

        write_files(root, &[&a, &c]).unwrap();
        assert_eq!(std::fs::read_to_string(root.join("a")).unwrap(), "new");
        assert_eq!(std::fs::read_to_string(root.join("d/c")).unwrap(), "x");
    }

    #[test]
    fn a_file_changed_meanwhile_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a"), "theirs").unwrap();
        let error = write_files(directory.path(), &[&edit("a", Some("old"), Some("new"))]).unwrap_err();
        assert!(error.to_string().contains("has changed since it was read"), "{error}");
        assert_eq!(std::fs::read_to_string(directory.path().join("a")).unwrap(), "theirs");
        // Gone, or there although it was not.
        let (gone, new) = (edit("b", Some("old"), Some("new")), edit("a", None, Some("new")));
        let good = edit("c", None, Some("new"));
        for changed in [&gone, &new] {
            let error = write_files(directory.path(), &[&good, changed]).unwrap_err();
            assert!(error.to_string().contains("has changed since it was read"), "{error}");
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        }
    }
}
