//! Keeps a page up to date while files are edited, for any verb that makes a page of files.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::signals::Ends;
use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout_at};

/// Editors write a file in several steps: nothing is read until they have been quiet for so long.
const QUIET: Duration = Duration::from_millis(120);
/// Somebody who never stops writing is shown all the same.
const AT_MOST: Duration = Duration::from_secs(1);
/// Folders inside each other, at most.
const MAX_DEPTH: usize = 64;

/// Shows what `page` makes, and again after every change below `roots` that gives another page, until Ctrl-C. On a terminal
/// the screen is drawn anew, otherwise pages are appended.
pub(crate) fn run(
    context: &Context,
    roots: &[PathBuf],
    mut page: impl FnMut() -> String,
) -> Result<Exit, CommandError> {
    let failed = |error: &std::io::Error| CommandError::internal("cannot wait for changes").caused_by(error);
    // Lives as long as the loop: a Ctrl-C while the page is made must not be missed.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| failed(&error))?;
    let _entered = runtime.enter();
    let mut ends = Ends::listen().map_err(|error| failed(&error))?;
    // Watches are set before files are read, so that no change falls between.
    let mut files = Files::watch(roots)?;
    let mut shown = None;
    loop {
        let text = page();
        if shown.as_ref() != Some(&text) {
            show(context, &text, shown.is_none());
            shown = Some(text);
        }
        let goes_on = runtime.block_on(async {
            tokio::select! {
                () = files.changed() => true,
                () = ends.recv() => false,
            }
        });
        // Nobody reads any more, as after `| head`.
        if !goes_on || context.ui().is_closed() {
            return Ok(Exit::Clean);
        }
        files.follow()?;
    }
}

fn show(context: &Context, text: &str, is_first: bool) {
    let ui = context.ui();
    let cleared = ui.clear();
    if !cleared && !is_first {
        ui.line(&format!("\n== {}", jiff::Zoned::now().strftime("%H:%M:%S")));
    }
    ui.data(text);
    if cleared || is_first {
        ui.status("watching for changes; Ctrl-C ends");
    }
}

/// An error as part of a page.
pub(crate) fn told(error: &CommandError) -> String {
    let causes: String = error.causes.iter().map(|cause| format!("  caused by: {cause}\n")).collect();
    let hints: String = error.hints.iter().map(|hint| format!("hint: {hint}\n")).collect();
    format!("error: {}\n{causes}{hints}", error.message)
}

/// The folders below some roots.
struct Files {
    roots: Vec<PathBuf>,
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
    events: UnboundedReceiver<Event>,
}

impl Files {
    fn watch(roots: &[PathBuf]) -> Result<Self, CommandError> {
        let (sender, events) = unbounded_channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if let Ok(event) = event {
                // Nobody waits any more when the loop has ended.
                let _ = sender.send(event);
            }
        });
        let roots = roots.iter().map(|root| root.canonicalize().unwrap_or_else(|_| root.clone())).collect();
        let watcher = watcher.map_err(|error| refused(&error))?;
        let mut files = Self { roots, watcher, watched: BTreeSet::new(), events };
        files.follow()?;
        Ok(files)
    }

    /// Watches folders that are new, and forgets those that are gone. Files are not watched: editors replace them.
    fn follow(&mut self) -> Result<(), CommandError> {
        let mut found = BTreeSet::new();
        self.roots.iter().for_each(|root| folders(root, 0, &mut found));
        for folder in found.difference(&self.watched) {
            match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                Err(error)
                    if !matches!(error.kind, notify::ErrorKind::PathNotFound | notify::ErrorKind::Io(_))
                        || folder.exists() =>
                {
                    return Err(refused(&error));
                }
                // Gone again already.
                _ => {}
            }
        }
        self.watched = found;
        Ok(())
    }

    /// Waits until something has changed, and then until it is quiet.
    async fn changed(&mut self) {
        while let Some(event) = self.events.recv().await {
            self.forget(&event);
            if matters(&self.roots, &event) {
                break;
            }
        }
        let end = Instant::now() + AT_MOST;
        loop {
            let quiet = (Instant::now() + QUIET).min(end);
            match timeout_at(quiet, self.events.recv()).await {
                Ok(Some(event)) if Instant::now() < end => self.forget(&event),
                _ => return,
            }
        }
    }

    /// A folder that went is watched anew when it comes again.
    fn forget(&mut self, event: &Event) {
        if matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))) {
            self.watched.retain(|folder| !event.paths.iter().any(|path| folder.starts_with(path)));
        }
    }
}

fn refused(error: &notify::Error) -> CommandError {
    CommandError::input("cannot watch the files")
        .caused_by(error)
        .hinted("on Linux the number of watches is limited: sysctl fs.inotify.max_user_watches")
}

/// A folder and all in it, but for hidden ones (`.git`).
fn folders(folder: &Path, depth: usize, found: &mut BTreeSet<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    found.insert(folder.to_owned());
    let inner = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    for entry in inner.filter(|entry| !is_hidden(&entry.file_name().to_string_lossy()) && depth < MAX_DEPTH) {
        folders(&entry.path(), depth + 1, found);
    }
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

/// Was a file or folder written that can mean something?
fn matters(roots: &[PathBuf], event: &Event) -> bool {
    // Reading is an event too, and we read.
    let written = match event.kind {
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => false,
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => true,
    };
    written
        && (event.need_rescan()
            || event.paths.iter().any(|path| {
                let inner = roots.iter().find_map(|root| path.strip_prefix(root).ok()).unwrap_or(path);
                inner.iter().all(|part| !is_hidden(&part.to_string_lossy()))
                    && path.file_name().is_none_or(|name| !is_temporary(&name.to_string_lossy()))
            }))
}

/// Names that editors give to what they throw away: backups, swap files, vim's `4913`, what is renamed over the file.
fn is_temporary(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    name.ends_with('~')
        || name.starts_with('#')
        || name.contains("___jb_")
        || name == "4913"
        || matches!(extension, "swp" | "swo" | "swx" | "tmp" | "bak" | "orig")
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{AccessKind, CreateKind, DataChange};

    #[test]
    fn what_matters() {
        let roots = [PathBuf::from("/fleet")];
        let write = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let matters = |kind, path: &str| super::matters(&roots, &Event::new(kind).add_path(PathBuf::from(path)));
        assert!(matters(write, "/fleet/mesh/a.yaml"));
        assert!(matters(EventKind::Create(CreateKind::Folder), "/fleet/groups/new"));
        assert!(!matters(EventKind::Access(AccessKind::Any), "/fleet/mesh/a.yaml"), "we read it ourselves");
        for path in [
            "/fleet/.git/index",
            "/fleet/mesh/.a.yaml.swp",
            "/fleet/mesh/a.yaml~",
            "/fleet/mesh/4913",
            "/fleet/mesh/#a.yaml#",
            "/fleet/mesh/a.yaml.tmp",
            "/fleet/mesh/a.yaml___jb_tmp___",
        ] {
            assert!(!matters(write, path), "{path}");
        }
    }

    #[test]
    fn hidden_folders_are_not_watched() {
        let root = tempfile::tempdir().unwrap();
        for path in ["mesh/deep", ".git/objects", "clusters"] {
            std::fs::create_dir_all(root.path().join(path)).unwrap();
        }
        let mut found = BTreeSet::new();
        folders(root.path(), 0, &mut found);
        let names: Vec<_> =
            found.iter().map(|path| path.strip_prefix(root.path()).unwrap().display().to_string()).collect();
        assert_eq!(names, ["", "clusters", "mesh", "mesh/deep"]);
    }
}
