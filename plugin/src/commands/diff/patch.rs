//! The comparison as unified patches, one per object.

use super::comparison::Comparison;
use anstyle::{AnsiColor, Style};
use asm_shared::diff::{ObjectChange, Version};
use asm_shared::fleet::Target;
use asm_shared::text::printable;
use asm_shared::yaml;
use serde_json::Value;
use similar::TextDiff;

/// Unchanged lines around a changed one.
const AROUND: usize = 3;

/// All patches, in the order of the page. The same patch on several targets is there once.
pub(super) fn page(comparison: &Comparison, color: bool) -> String {
    let changes = comparison.diff.changes.iter();
    changes
        .flat_map(|change| change.versions(comparison.is_literal).into_iter().map(move |version| (change, version)))
        .map(|(change, version)| styled(&one(change, &version), color))
        .collect()
}

fn one(change: &ObjectChange, version: &Version) -> String {
    let (before, after) = (text(version.before.as_ref()), text(version.after.as_ref()));
    let path = path(change, &version.targets);
    let side = |letter: &str, value: &Option<Value>| match value {
        Some(_) => format!("{letter}/{path}"),
        None => "/dev/null".to_owned(),
    };
    let diff = TextDiff::from_lines(&before, &after);
    let patch = diff
        .unified_diff()
        .context_radius(AROUND)
        .header(&side("a", &version.before), &side("b", &version.after))
        .to_string();
    if patch.is_empty() {
        return String::new();
    }
    let targets: Vec<String> = version.targets.iter().map(|target| printable(target.name())).collect();
    let consequences: String = change.consequences.iter().map(|text| format!("! {}\n", printable(text))).collect();
    format!("diff {} on {}\n{consequences}{patch}", printable(&change.id.to_string()), targets.join(", "))
}

/// An object as YAML without control characters, a line break at the end.
pub(super) fn text(object: Option<&Value>) -> String {
    let Some(object) = object else { return String::new() };
    let yaml = yaml::write(object);
    yaml.trim_end_matches('\n').split('\n').fold(String::new(), |text, line| text + &printable(line) + "\n")
}

/// `m1c1/default/service/reviews.yaml`: as `-o name` calls it.
fn path(change: &ObjectChange, targets: &[Target]) -> String {
    let namespace = change.id.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    let target = targets.first().map_or("", Target::name);
    let kind = change.id.group_kind.to_string().to_lowercase();
    printable(&format!("{target}/{namespace}{kind}/{}.yaml", change.id.name))
}

fn styled(patch: &str, color: bool) -> String {
    if !color {
        return patch.to_owned();
    }
    let style = |line: &str| match line.as_bytes() {
        [b'+', b'+', b'+', b' ', ..] | [b'-', b'-', b'-', b' ', ..] | [b'd', ..] => Style::new().bold(),
        [b'+', ..] => AnsiColor::Green.on_default(),
        [b'-', ..] => AnsiColor::Red.on_default(),
        [b'@', ..] => AnsiColor::Cyan.on_default(),
        [b'!', ..] => AnsiColor::Yellow.on_default().bold(),
        _ => Style::new(),
    };
    let lines = patch.split_inclusive('\n').map(|line| {
        let (style, text) = (style(line), line.trim_end_matches('\n'));
        format!("{style}{text}{style:#}{}", &line[text.len()..])
    });
    lines.collect()
}
