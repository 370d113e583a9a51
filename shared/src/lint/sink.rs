//! Where rules put what they find. Places become files and lines here; what several targets have in common is folded.

use super::finding::{Edit, EditOp, Finding, Fix, Place, Related, Severity, sort};
use crate::fleet::{Manifest, Position, Target};
use std::collections::HashMap;

/// A finding as a rule tells it.
pub(super) struct Report<'a> {
    manifest: &'a Manifest,
    pointer: String,
    message: String,
    severity: Option<Severity>,
    code: Option<&'static str>,
    beyond: bool,
    hint: Option<String>,
    related: Vec<(&'a Manifest, String, String)>,
    targets: Option<Vec<Target>>,
    fixes: Vec<Fix>,
}

impl<'a> Report<'a> {
    /// About the field of a manifest at a JSON pointer; the empty pointer means the object. `message`: what is wrong and
    /// why, one sentence without a full stop and without the cluster's name, so that clusters can be folded.
    pub(super) fn at(manifest: &'a Manifest, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            manifest,
            pointer: pointer.into(),
            message: message.into(),
            severity: None,
            code: None,
            beyond: false,
            hint: None,
            related: Vec::new(),
            targets: None,
            fixes: Vec::new(),
        }
    }

    /// Less severe than the rule says.
    pub(super) fn severity(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }

    /// The code of `istioctl analyze`, when the rule has several.
    pub(super) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// `istioctl analyze` does not see this one, although the rule has a code.
    pub(super) fn beyond(mut self) -> Self {
        self.beyond = true;
        self
    }

    /// The next step.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The next step, if there is one.
    pub(super) fn hints(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// Another place that belongs to it.
    pub(super) fn related(mut self, manifest: &'a Manifest, pointer: &str, label: impl Into<String>) -> Self {
        self.related.push((manifest, pointer.to_owned(), label.into()));
        self
    }

    /// The targets it holds for; without this the manifest's own.
    pub(super) fn targets(mut self, targets: impl IntoIterator<Item = Target>) -> Self {
        self.targets = Some(targets.into_iter().collect());
        self
    }

    /// A way to mend it, by edits of manifests (pointers within the object). Left out when a patch has changed one of them
    /// or the field comes from an anchor: then the file does not say what the object says.
    pub(super) fn fix(mut self, title: impl Into<String>, safe: bool, edits: Vec<(&'a Manifest, EditOp)>) -> Self {
        let placed: Option<Vec<Edit>> = edits.into_iter().map(|(manifest, op)| edit(manifest, op)).collect();
        if let Some(edits) = placed {
            self.fixes.push(Fix { title: title.into(), safe, edits });
        }
        self
    }
}

fn edit(manifest: &Manifest, op: EditOp) -> Option<Edit> {
    let document = &manifest.document;
    let outer = |pointer: String| format!("{}{pointer}", document.pointer);
    let (EditOp::Set(at, _)
    | EditOp::Insert(at, ..)
    | EditOp::Append(at, _)
    | EditOp::Move(at, ..)
    | EditOp::Rename(at, _)
    | EditOp::Remove(at)) = &op;
    if manifest.patched_by.is_some() || document.is_aliased(at) {
        return None;
    }
    let op = match op {
        EditOp::Set(at, value) => EditOp::Set(outer(at), value),
        EditOp::Insert(at, index, value) => EditOp::Insert(outer(at), index, value),
        EditOp::Append(at, value) => EditOp::Append(outer(at), value),
        EditOp::Move(at, from, to) => EditOp::Move(outer(at), from, to),
        EditOp::Rename(at, name) => EditOp::Rename(outer(at), name),
        EditOp::Remove(at) => EditOp::Remove(outer(at)),
    };
    Some(Edit { file: manifest.position.file.clone(), document: document.index, op })
}

/// The rule that speaks, as far as its findings say it.
#[derive(Clone, Copy)]
pub(super) struct Speaker {
    pub(super) id: &'static str,
    /// The most severe finding that it gives.
    pub(super) severity: Severity,
    /// The code of `istioctl analyze`, when there is just one.
    pub(super) code: Option<&'static str>,
}

/// Collects what one rule reports.
pub(super) struct Sink<'a> {
    rule: Speaker,
    /// First of all that are alike, and where it is in `findings`.
    known: HashMap<(Place, String), usize>,
    findings: Vec<Finding>,
    _world: std::marker::PhantomData<&'a ()>,
}

impl<'a> Sink<'a> {
    /// For a rule.
    pub(super) fn of(rule: Speaker) -> Self {
        Self { rule, known: HashMap::new(), findings: Vec::new(), _world: std::marker::PhantomData }
    }

    /// Takes what is found in a file that holds no object.
    pub(super) fn push_at(
        &mut self,
        position: Position,
        message: String,
        hint: String,
        related: Vec<Related>,
        target: Target,
    ) {
        let rule = self.rule;
        self.findings.push(Finding {
            rule: rule.id,
            severity: rule.severity,
            code: None,
            message,
            hint: Some(hint),
            place: Place { position, object: None, path: String::new() },
            related,
            targets: vec![target],
            fixes: Vec::new(),
        });
    }

    /// Takes a report.
    pub(super) fn push(&mut self, report: Report<'a>) {
        let rule = self.rule;
        let place = place(report.manifest, &report.pointer);
        let targets = report.targets.unwrap_or_else(|| vec![report.manifest.target.clone()]);
        let key = (place.clone(), report.message.clone());
        if let Some(finding) = self.known.get(&key).and_then(|index| self.findings.get_mut(*index)) {
            finding.targets.extend(targets);
            return;
        }
        self.known.insert(key, self.findings.len());
        let related = report.related.into_iter();
        self.findings.push(Finding {
            rule: rule.id,
            severity: report.severity.unwrap_or(rule.severity),
            code: report.code.or(rule.code.filter(|_| !report.beyond)),
            message: report.message,
            hint: report.hint,
            place,
            related: related.map(|(at, pointer, label)| Related { place: self::place(at, &pointer), label }).collect(),
            targets,
            fixes: report.fixes,
        });
    }

    /// Takes reports.
    pub(super) fn extend(&mut self, reports: impl IntoIterator<Item = Report<'a>>) {
        reports.into_iter().for_each(|report| self.push(report));
    }

    /// All findings, ordered by place, then by rule.
    pub(super) fn finish(self) -> Vec<Finding> {
        let mut findings = self.findings;
        for finding in &mut findings {
            finding.targets.sort();
            finding.targets.dedup();
        }
        sort(&mut findings);
        findings
    }
}

fn place(manifest: &Manifest, pointer: &str) -> Place {
    Place { position: manifest.position_of(pointer), object: Some(manifest.id.clone()), path: path(pointer) }
}

/// `/spec/http/0/route` as people write it: `spec.http[0].route`.
fn path(pointer: &str) -> String {
    let mut path = String::new();
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str(&format!("[{token}]"));
        } else if token.contains(['.', '/']) {
            path.push_str(&format!("[{token:?}]"));
        } else {
            path.push_str(if path.is_empty() { "" } else { "." });
            path.push_str(&token);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    #[test]
    fn pointers_as_people_write_them() {
        assert_eq!(super::path(""), "");
        assert_eq!(super::path("/spec/http/0/route/12/weight"), "spec.http[0].route[12].weight");
        assert_eq!(super::path("/metadata/annotations/a.b~1c"), "metadata.annotations[\"a.b/c\"]");
    }
}
