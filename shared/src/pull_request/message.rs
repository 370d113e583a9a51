//! Title, topic and commit message.

use super::words::{is_harmless_path, plain, topic, value};
use super::{ChangeSet, ChangedFile, TRAILER};
use crate::diff::{FieldChange, ObjectChange, Op};
use crate::fleet::Target;
use crate::object::GroupKind;
use crate::object::kinds::{ASM, ISTIO_NETWORKING};
use std::collections::BTreeSet;

/// Objects told one by one in a commit message; the rest is counted.
const OBJECTS: usize = 20;
/// Fields told of one object.
const FIELDS: usize = 4;
/// Names of targets that are told.
const NAMES: usize = 3;
/// Longest first line of a commit message.
const SUBJECT: usize = 100;

/// What a commit says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The first line; also the title of the pull request.
    pub title: String,
    /// The whole message, with the trailer.
    pub commit: String,
}

impl ChangeSet {
    /// Title and commit message; `title` replaces the one that follows from the changes.
    pub fn message(&self, title: Option<&str>) -> Message {
        let title = title.map_or_else(|| cut(&self.title(), SUBJECT), |title| plain(title.trim()));
        let body = self.lines().join("\n");
        let body = if body.is_empty() { body } else { format!("{body}\n\n") };
        let commit = format!("{title}\n\n{body}{TRAILER}: {}\n", self.id());
        Message { title, commit }
    }

    /// What the branch is called after: the one object, or the area.
    pub(super) fn topic(&self) -> String {
        let names: BTreeSet<&str> = self.diff.changes.iter().map(|change| &*change.id.name).collect();
        match names.iter().next() {
            Some(only) if names.len() == 1 => topic(only),
            Some(_) => self.area().to_owned(),
            None => match &self.files[..] {
                [only] => topic(stem(&only.path)),
                _ => "fleet".to_owned(),
            },
        }
    }

    /// What the changes are about, if all are about one thing.
    fn area(&self) -> &'static str {
        let areas: BTreeSet<_> = self.diff.changes.iter().map(|change| area(&change.id.group_kind)).collect();
        match areas.iter().next() {
            Some(only) if areas.len() == 1 => only,
            _ => "fleet",
        }
    }

    fn title(&self) -> String {
        let what = match &self.diff.changes[..] {
            [] => files(&self.files),
            [only] => one(only),
            several => many(several),
        };
        plain(&format!("asm({}): {what}", self.area()))
    }

    /// A line per object, or per file when no object changes.
    fn lines(&self) -> Vec<String> {
        let lines: Vec<_> = if self.diff.changes.is_empty() {
            self.files.iter().map(|file| format!("{} {}", file_verb(file), file.path)).collect()
        } else {
            self.diff.changes.iter().map(line).collect()
        };
        let more = lines.len().saturating_sub(OBJECTS);
        let mut lines: Vec<_> = lines.into_iter().take(OBJECTS).map(|line| plain(&line)).collect();
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines
    }
}

/// At most `limit` bytes, with an ellipsis where something is left out.
pub fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or_default().trim_end())
}

fn area(kind: &GroupKind) -> &'static str {
    match &*kind.group {
        ISTIO_NETWORKING => "route",
        ASM => "gateway",
        _ => "app",
    }
}

fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split('.').next().unwrap_or(name)
}

fn verb(op: Op) -> &'static str {
    match op {
        Op::Create => "add",
        Op::Replace => "replace",
        Op::Destroy => "remove",
        // Changes, and whatever else leaves the object where it is.
        _ => "change",
    }
}

fn file_verb(file: &ChangedFile) -> &'static str {
    match (&file.before, &file.after) {
        (None, _) => "add",
        (_, None) => "remove",
        _ => "edit",
    }
}

fn files(files: &[ChangedFile]) -> String {
    match files {
        [only] => format!("{} {}", file_verb(only), only.path),
        several => format!("edit {} files", several.len()),
    }
}

/// `VirtualService default/bookinfo`.
fn name(change: &ObjectChange) -> String {
    let namespace = change.id.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{} {namespace}{}", change.id.group_kind.kind, change.id.name)
}

fn targets<'a>(targets: impl IntoIterator<Item = &'a Target>) -> String {
    let names: Vec<_> = targets.into_iter().map(Target::name).collect();
    let more = names.len().saturating_sub(NAMES);
    let shown = names.iter().take(NAMES).copied().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// `spec.externalTrafficPolicy Local → Cluster`, where both values can be shown.
fn field(change: &ObjectChange, field: &FieldChange) -> String {
    // Elements by their names, unless a name means something to a forge.
    let path = Some(change.path_in_words(field)).filter(|path| is_harmless_path(path));
    let path = path.unwrap_or_else(|| field.path.to_string());
    match (field.before.as_ref().map(value), field.after.as_ref().map(value)) {
        (Some(Some(before)), Some(Some(after))) => format!("{path} {before} → {after}"),
        (None, Some(Some(after))) => format!("{path} {after}"),
        _ => path,
    }
}

fn one(change: &ObjectChange) -> String {
    let on = targets(&change.targets);
    match (&change.fields[..], change.op) {
        ([only], Op::Change) => {
            let told = format!("{}: {} on {on}", name(change), field(change, only));
            if told.len() <= SUBJECT - 20 { told } else { format!("change {} on {on}", name(change)) }
        }
        _ => format!("{} {} on {on}", verb(change.op), name(change)),
    }
}

fn many(changes: &[ObjectChange]) -> String {
    let counted = [Op::Create, Op::Change, Op::Replace, Op::Destroy].into_iter().filter_map(|op| {
        let count = changes.iter().filter(|change| change.op == op).count();
        (count > 0).then(|| format!("{} {count}", verb(op)))
    });
    let counted: Vec<_> = counted.collect();
    let on: BTreeSet<&Target> = changes.iter().flat_map(|change| &change.targets).collect();
    let kinds: BTreeSet<&str> = changes.iter().map(|change| &*change.id.group_kind.kind).collect();
    let what = match kinds.iter().next() {
        Some(only) if kinds.len() == 1 => format!("{only} objects"),
        _ => "objects".to_owned(),
    };
    format!("{} {what} on {}", counted.join(", "), targets(on))
}

fn line(change: &ObjectChange) -> String {
    let head = format!("{} {} ({})", verb(change.op), name(change), targets(&change.targets));
    if change.op != Op::Change || change.fields.is_empty() {
        return head;
    }
    let shown: Vec<_> = change.fields.iter().take(FIELDS).map(|inner| field(change, inner)).collect();
    let more = change.fields.len().saturating_sub(FIELDS);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{head}: {}{more}", shown.join(", "))
}
