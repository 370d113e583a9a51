//! What differs from Git: which field, from what to what, who, when; and what can be done about it.

use super::Look;
use super::overview::change;
use super::parts::{State, has, link, link_with, number, pill, slice, text, time, unlisted};
use super::past;
use crate::web::history::name;
use crate::web::views::{FleetView, TargetView};
use asm_shared::api::{DriftedField, DriftedObject, FrozenReport};
use maud::{Markup, html};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

/// Objects of one page.
const EACH: usize = 25;
/// Letters of a value that are shown.
const LONGEST: usize = 2000;
/// A value of more letters is written in lines.
const LINE: usize = 60;
/// Fields that are left alone, shown of one target.
const FROZEN: usize = 50;

pub(super) fn of(view: &FleetView, look: &Look) -> Option<Markup> {
    let path = ["fleets", &view.name, "drift"];
    let targets = || view.targets.iter().filter(|target| look.target.is_empty() || target.name == look.target);
    let all: Vec<(&TargetView, &DriftedObject)> = targets()
        .flat_map(|target| target.drift.objects.iter().map(move |object| (target, object)))
        .filter(|(_, object)| look.q.is_empty() || is_about(object, &look.q))
        .collect();
    let part = slice(all.len(), EACH, look);
    let frozen: Vec<(&TargetView, &FrozenReport)> = targets()
        .flat_map(|target| target.drift.frozen.iter().take(FROZEN).map(move |field| (target, field)))
        .collect();
    let missing: u64 = targets().map(unlisted).sum();
    Some(html! {
        section.card aria-labelledby="drift-title" {
            h2 #drift-title { "Drift" }
            form.filter role="search" action=(link(&path)) {
                label { "Object, field or author " input type="search" name="q" value=(look.q) autocomplete="off"; }
                label { "Target " select name="target" {
                    option value="" { "all" }
                    @for target in &view.targets {
                        option value=(target.name) selected[target.name == look.target] { (target.name) }
                    }
                } }
                button type="submit" { "Show" }
                @if !look.q.is_empty() || !look.target.is_empty() { a href=(link(&path)) { "all" } }
            }
            div #drift data-part {
                @if all.is_empty() { p.calm { (pill(State::Good, "none")) " Nothing differs from Git." } }
                @for (target, object) in all.get(part.from..part.to).unwrap_or_default() { (one(target, object)) }
                (part.turn("drifted objects", |page| {
                    link_with(&path, &[("q", &look.q), ("target", &look.target), ("page", &page.to_string())])
                }))
                @if missing > 0 {
                    p.hint { (missing) " more objects differ and are not listed; " code { "kubectl asm diff --live" } " tells them all." }
                }
            }
        }
        @if !frozen.is_empty() {
            section.card #frozen data-part aria-labelledby="frozen-title" {
                h2 #frozen-title { "Left alone" }
                ul.frozen { @for (target, field) in frozen { li {
                    (target.name) ": " code { (name(&field.kind, field.namespace.as_deref(), &field.name)) } " "
                    code { (field.path) } " · " bdi { (field.reason) }
                    @if let Some(until) = &field.until { " · until " (time(until.0)) }
                    " · " code { (field.declared_at) }
                } } }
            }
        }
        (past::of(view, &look.target, &look.q))
    })
}

fn is_about(object: &DriftedObject, part: &str) -> bool {
    has(&name(&object.kind, object.namespace.as_deref(), &object.name), part)
        || object
            .fields
            .iter()
            .any(|field| has(&field.path, part) || field.manager.as_ref().is_some_and(|by| has(by, part)))
}

/// One object.
fn one(target: &TargetView, object: &DriftedObject) -> Markup {
    let kind = object.kind.split('.').next().unwrap_or_default().to_lowercase();
    let about = format!("{}/{kind}/{}", target.name, object.name);
    let namespace = object.namespace.as_deref().filter(|namespace| *namespace != "default");
    let namespace = namespace.map(|namespace| format!(" -n {namespace}")).unwrap_or_default();
    html! {
        article.drifted {
            h3 {
                span.target { (target.name) } " " code { (name(&object.kind, object.namespace.as_deref(), &object.name)) } " "
                (pill(State::Warned, change(object.change)))
            }
            p.hint {
                "noticed " (time(object.since.0)) @if !object.declared_at.is_empty() { " · in Git at " code { (object.declared_at) } }
            }
            @for field in &object.fields { (of_field(field)) }
            @if object.more_fields > 0 { p.hint { "and " (number(object.more_fields, State::Warned)) " more fields" } }
            @if let Some(note) = &object.note { p.note { (text(note)) } }
            p.actions {
                "Into Git: " code { "kubectl asm adopt " (about) (namespace) } " · back to Git's value: "
                code { "kubectl asm revert " (about) (namespace) } " · leave it alone: " code { "kubectl asm freeze " (about) (namespace) }
            }
        }
    }
}

fn of_field(field: &DriftedField) -> Markup {
    html! { div.field {
        p {
            code.path { (field.path) }
            span.who {
                @match &field.manager {
                    Some(by) => {
                        " by " bdi { strong { (by) } }
                        @if let Some(operation) = &field.operation { " (" (operation) @if let Some(part) = &field.subresource { ", " (part) } ")" }
                    },
                    None => " by somebody that the API server does not name",
                }
                @if let Some(at) = &field.time { " · " (time(at.0)) }
            }
        }
        (difference(field.wanted.as_ref(), field.found.as_ref()))
        @if let Some(note) = &field.note { p.note { (text(note)) } }
    } }
}

/// Git's value and the live one, line by line. What would be read out as one long line is told apart by words, too.
fn difference(wanted: Option<&Value>, found: Option<&Value>) -> Markup {
    let written = |value: Option<&Value>| value.map_or_else(|| "(not set)\n".to_owned(), written);
    let (old, new) = (written(wanted), written(found));
    let diff = TextDiff::from_lines(&old, &new);
    html! { pre.diff { @for change in diff.iter_all_changes() {
        @let line = change.value().trim_end_matches('\n');
        @match change.tag() {
            ChangeTag::Delete => del { span.unseen { "Git: " } "- " (line) "\n" },
            ChangeTag::Insert => ins { span.unseen { "live: " } "+ " (line) "\n" },
            ChangeTag::Equal => span { "  " (line) "\n" },
        }
    } } }
}

/// A value as JSON: on a line, or indented when it is long; the rest of a very long one is left out.
fn written(value: &Value) -> String {
    let line = value.to_string();
    let text = if line.len() > LINE { serde_json::to_string_pretty(value).unwrap_or(line) } else { line };
    let mut text = text;
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        text.push_str("\n…");
    }
    text.push('\n');
    text
}
