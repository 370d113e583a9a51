//! A diff program of one's own, started as kubectl starts it: two folders, `LIVE-…` and `MERGED-…`, one file per object.

use super::comparison::Comparison;
use super::patch;
use crate::context::Context;
use crate::error::CommandError;
use crate::signals::Ends;
use asm_shared::diff::{ObjectChange, Op};
use asm_shared::fleet::Target;
use asm_shared::object::split_api_version;
use asm_shared::text::printable;
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Longest name of a file: more is cut, and a number keeps names apart.
const NAME: usize = 180;

/// The program and its arguments. As kubectl does, arguments of other characters than these are dropped: nobody gets a
/// shell out of the variable.
pub(super) fn program() -> Option<Vec<String>> {
    let text = std::env::var("KUBECTL_EXTERNAL_DIFF").ok()?;
    let mut words = text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned);
    let program = words.next()?;
    let is_plain = |word: &String| word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '='));
    Some(std::iter::once(program).chain(words.filter(is_plain)).collect())
}

/// Runs the program over the changed objects. What it ends with does not matter unless it is more than 1, which means
/// that it failed. What cannot be undone is told on stderr all the same.
pub(super) fn run(context: &Context, program: &[String], comparison: &Comparison) -> Result<(), CommandError> {
    for change in comparison.diff.changes.iter().filter(|change| matches!(change.op, Op::Replace | Op::Destroy)) {
        let targets: Vec<&str> = change.targets.iter().map(Target::name).collect();
        let what = if change.op == Op::Replace { "replaces" } else { "destroys" };
        let told = format!("{what} {} on {}: {}", change.id, targets.join(", "), change.consequences.join("; "));
        context.ui().warning(&printable(&told));
    }
    if comparison.diff.changes.is_empty() {
        return Ok(());
    }
    let failed =
        |what: &str, error: &io::Error| CommandError::input(format!("KUBECTL_EXTERNAL_DIFF: {what}")).caused_by(error);
    context.block_on(async {
        // From here on Ctrl-C ends the program, and what it read is removed.
        let mut ends = Ends::listen().map_err(|error| failed("cannot watch for signals", &error))?;
        let folders = (folder("LIVE-"), folder("MERGED-"));
        let (live, merged) = match folders {
            (Ok(live), Ok(merged)) => (live, merged),
            (Err(error), _) | (_, Err(error)) => return Err(failed("cannot make a temporary folder", &error)),
        };
        write(comparison, live.path(), merged.path())
            .map_err(|error| failed("cannot write temporary files", &error))?;
        let (name, args) = program.split_first().map_or(("diff", &[][..]), |(name, args)| (name.as_str(), args));
        let mut command = Command::new(name);
        command.args(args).arg(live.path()).arg(merged.path()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| {
            failed(&format!("cannot start {}", printable(name)), &error)
                .hinted("unset it to see the page of kubectl asm")
        })?;
        let status = wait(&mut ends, &mut child).await.map_err(|error| failed("cannot wait for it", &error))?;
        match status {
            None => Err(CommandError::input("interrupted")),
            Some(status) if matches!(status.code(), Some(0 | 1)) => Ok(()),
            Some(status) => {
                Err(CommandError::input(format!("KUBECTL_EXTERNAL_DIFF: {} failed ({status})", printable(name)))
                    .hinted("it is expected to end with 0 or 1; unset the variable to see the page of kubectl asm"))
            }
        }
    })
}

/// Waits for the child; `None` when a signal came first, and then the child is gone too.
async fn wait(ends: &mut Ends, child: &mut Child) -> io::Result<Option<std::process::ExitStatus>> {
    tokio::select! {
        status = child.wait() => return status.map(Some),
        () = ends.recv() => {}
    }
    child.kill().await?;
    Ok(None)
}

/// A folder that only we may enter and that is removed with the value.
fn folder(prefix: &str) -> io::Result<TempDir> {
    let mut folder = tempfile::Builder::new();
    folder.prefix(prefix);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        folder.permissions(std::fs::Permissions::from_mode(0o700));
    }
    folder.tempdir()
}

/// One file per changed object and side, secrets redacted.
fn write(comparison: &Comparison, live: &Path, merged: &Path) -> io::Result<()> {
    for change in &comparison.diff.changes {
        for (number, version) in change.versions(comparison.is_literal).iter().enumerate() {
            let sample = version.after.as_ref().or(version.before.as_ref());
            let name = file_name(change, sample, &version.targets);
            let name = free(live, merged, &name, number);
            for (folder, object) in [(live, &version.before), (merged, &version.after)] {
                if object.is_some() {
                    put(&folder.join(&name), &patch::text(object.as_ref()))?;
                }
            }
        }
    }
    Ok(())
}

/// `m1c1.apps.v1.Deployment.default.reviews`: kubectl's name behind that of the target. Nothing in it leads elsewhere.
fn file_name(change: &ObjectChange, object: Option<&Value>, targets: &[Target]) -> String {
    let api_version = object.and_then(|object| object.get("apiVersion")).and_then(Value::as_str).unwrap_or("v1");
    let (group, version) = split_api_version(api_version);
    let group = if group.is_empty() { String::new() } else { format!("{group}.") };
    let more = if targets.len() > 1 { format!("+{}", targets.len() - 1) } else { String::new() };
    let target = targets.first().map_or("", Target::name);
    let (kind, namespace) = (&change.id.group_kind.kind, change.id.namespace.as_deref().unwrap_or_default());
    let name = format!("{target}{more}.{group}{version}.{kind}.{namespace}.{}", change.id.name);
    let safe = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | ':') { c } else { '_' };
    let mut name: String = name.chars().map(safe).collect();
    while name.len() > NAME {
        name.pop();
    }
    name.trim_start_matches(['.', '-']).to_owned()
}

/// The name, or one like it that no other object has.
fn free(live: &Path, merged: &Path, name: &str, number: usize) -> String {
    let taken = |name: &str| live.join(name).exists() || merged.join(name).exists();
    let numbered = (number + 1..).map(|number| format!("{name}~{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| !name.is_empty() && !taken(name)).unwrap_or_default()
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)?.write_all(text.as_bytes())
}
