//! `spec.lint` of `fleet.yaml`.

use super::{Judge, Uses, position};
use crate::fleet::layout::FLEET_FILE;
use crate::fleet::{FleetState, LintConfig, LintIgnore, Position, Tree};
use crate::lint::{Finding, Severity};
use crate::object::ObjectId;
use crate::yaml::{self, Document, Limits};
use globset::{GlobBuilder, GlobMatcher};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What `fleet.yaml` says to lint.
pub(super) struct Settings<'s> {
    ignores: Vec<Ignore>,
    severity: Option<&'s BTreeMap<String, Severity>>,
}

struct Ignore {
    position: Position,
    object: Option<GlobMatcher>,
    path: Option<GlobMatcher>,
    uses: Uses,
}

impl<'s> Settings<'s> {
    pub(super) fn of(tree: &dyn Tree, state: &'s FleetState, judge: &mut Judge<'_>) -> Self {
        let config = state.fleet.as_ref().map(|fleet| &fleet.spec.lint);
        let Some(config) = config.filter(|config| **config != LintConfig::default()) else {
            return Self { ignores: Vec::new(), severity: None };
        };
        let places = Places::of(tree);
        for id in config.severity.keys() {
            judge.knows(id, &places.of_field(&format!("/spec/lint/severity/{id}")));
        }
        let ignores = config.ignore.iter().enumerate();
        let ignores = ignores.filter_map(|(index, entry)| {
            let pointer = format!("/spec/lint/ignore/{index}");
            ignore(entry, &places, &pointer, judge)
        });
        Self { ignores: ignores.collect(), severity: Some(&config.severity) }
    }

    pub(super) fn set_severity(&self, finding: &mut Finding) {
        // What keeps a file from being read stays an error.
        let known = crate::lint::RULES.iter().any(|rule| rule.id == finding.rule);
        if let Some(severity) = self.severity.and_then(|map| map.get(finding.rule)).filter(|_| known) {
            finding.severity = *severity;
        }
    }

    /// Is it ignored? Every entry that matches is taken for used.
    pub(super) fn take(&mut self, finding: &Finding) -> bool {
        let taken = self.ignores.iter_mut().filter(|ignore| ignore.holds_for(finding));
        // All of them are asked.
        taken.map(|ignore| ignore.uses.take(finding.rule)).filter(|taken| *taken).count() > 0
    }

    pub(super) fn unused(&self, judge: &mut Judge<'_>) {
        for ignore in &self.ignores {
            ignore.uses.unused().for_each(|id| judge.unused(id, ignore.position.clone()));
        }
    }
}

impl Ignore {
    fn holds_for(&self, finding: &Finding) -> bool {
        let path = self.path.as_ref().is_none_or(|path| path.is_match(&*finding.place.position.file));
        let name = || finding.place.object.as_ref().map(steps);
        path && self.object.as_ref().is_none_or(|object| name().is_some_and(|name| object.is_match(name)))
    }
}

/// `VirtualService/shop/reviews`, `Namespace/shop`.
fn steps(id: &ObjectId) -> String {
    match &id.namespace {
        Some(namespace) => format!("{}/{namespace}/{}", id.group_kind.kind, id.name),
        None => format!("{}/{}", id.group_kind.kind, id.name),
    }
}

fn ignore(entry: &LintIgnore, places: &Places, pointer: &str, judge: &mut Judge<'_>) -> Option<Ignore> {
    if !judge.knows(&entry.rule, &places.of_field(&format!("{pointer}/rule"))) {
        return None;
    }
    if !entry.reason.chars().any(char::is_alphanumeric) {
        let message = format!("the entry for `{}` has no effect: it gives no reason", entry.rule);
        judge.syntax(places.of_field(&format!("{pointer}/reason")), message);
        return None;
    }
    let mut pattern = |field: &str, text: Option<&String>| match text.map(|text| glob(text)).transpose() {
        Ok(glob) => Some(glob),
        Err(error) => {
            let message = format!("the entry for `{}` has no effect: {error}", entry.rule);
            judge.syntax(places.of_field(&format!("{pointer}/{field}")), message);
            None
        }
    };
    let (object, path) = (pattern("object", entry.object.as_ref())?, pattern("path", entry.path.as_ref())?);
    Some(Ignore { position: places.of_field(pointer), object, path, uses: Uses::of([entry.rule.clone()]) })
}

fn glob(text: &str) -> Result<GlobMatcher, globset::Error> {
    Ok(GlobBuilder::new(text).literal_separator(true).build()?.compile_matcher())
}

/// Where the fields of `fleet.yaml` stand.
struct Places(Arc<str>, Option<Document>);

impl Places {
    fn of(tree: &dyn Tree) -> Self {
        let text = tree.read(FLEET_FILE).unwrap_or_default();
        let documents = yaml::read(&text, &Limits::default()).unwrap_or_default();
        Self(FLEET_FILE.into(), documents.into_iter().next())
    }

    fn of_field(&self, pointer: &str) -> Position {
        let at = self.1.as_ref().and_then(|document| document.position_of(pointer));
        let (line, column) = at.unwrap_or((1, 1));
        position(&self.0, line, column)
    }
}
