//! What an import came to, for people and for machines.

use crate::error::CommandError;
use crate::output::{self, Document, OutputFormat};
use crate::ui::{Table, Ui};
use asm_shared::import::{ImportReport, LeftOut};
use asm_shared::text::printable;
use std::collections::BTreeMap;

/// Objects of one kind and namespace that were left out for the same reason; more are told as a number.
const TOLD_ONE_BY_ONE: usize = 5;

impl Document for ImportReport {
    const KIND: &'static str = "ImportReport";
}

pub(super) fn document(ui: &Ui, format: OutputFormat, report: &ImportReport) -> Result<(), CommandError> {
    output::print(ui, format, &output::of(report)?)
}

/// What was read, what was left out, what to know.
pub(super) fn human(ui: &Ui, report: &ImportReport) {
    for target in &report.targets {
        let of = |count: usize, what: &str| format!("{count} {what}");
        let parts = [
            of(target.imported, if report.dry_run { "to import" } else { "imported" }),
            of(target.in_git, "in Git already"),
            of(target.left_out, "left out"),
        ];
        ui.status(&format!("{}: {} objects read, {}", target.target, target.read, parts.join(", ")));
    }
    let mut table = Table::new(["left out", "where", "why"]);
    for (name, group) in folded(&report.left_out) {
        let Some(first) = group.first() else { continue };
        table.row([printable(&name), first.targets.join(","), printable(&first.message)]);
    }
    if report.dry_run {
        // On stdout stand the files, to be piped on.
        let text = table.render(false);
        if !table.is_empty() {
            ui.status(text.trim_end());
        }
    } else {
        ui.table(&table);
    }
    for kind in &report.not_read {
        ui.warning(&format!("{} of {} were not read: {}", kind.kind, kind.targets.join(", "), kind.message));
    }
    for warning in &report.warnings {
        ui.warning(&printable(warning));
    }
}

/// What to do with the files.
pub(super) fn next_steps(ui: &Ui, commands: &str) {
    ui.hint("look at the files; compare them with what runs: kubectl asm diff --live");
    ui.hint(&format!("keep them with: {commands}"));
    ui.hint("next: install the agent (kubectl apply -k manifests/install) with a FleetSync that says `drift: Report`: it puts its label on the objects and changes nothing else");
}

/// Rows by what they say. Many objects of one kind, namespace and reason are one row.
fn folded(left_out: &[LeftOut]) -> Vec<(String, Vec<&LeftOut>)> {
    let mut groups: BTreeMap<_, Vec<&LeftOut>> = BTreeMap::new();
    for object in left_out {
        let key = (object.reason, &object.id.group_kind, &object.id.namespace, &object.message, &object.targets);
        groups.entry(key).or_default().push(object);
    }
    let mut rows = Vec::new();
    for ((_, kind, namespace, ..), group) in groups {
        if group.len() > TOLD_ONE_BY_ONE {
            let namespace = namespace.as_deref().unwrap_or_default();
            rows.push((format!("{} {namespace}/* ({})", kind.kind, group.len()), group));
        } else {
            rows.extend(group.into_iter().map(|object| (object.id.to_string(), vec![object])));
        }
    }
    rows
}
