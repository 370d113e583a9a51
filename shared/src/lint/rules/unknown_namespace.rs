//! # unknown-namespace
//!
//! ## What it finds
//!
//! A namespace in which the fleet has nothing, where one is given a right: in `exportTo` of a VirtualService, a DestinationRule or a
//! ServiceEntry, in the annotation `networking.istio.io/exportTo` of a Service, in `from` of a ReferenceGrant. A warning when it is
//! almost the name of one that the fleet knows; otherwise it is information, because a namespace may be somebody else's.
//!
//! ## Why it is bad
//!
//! Whom it is meant for does not get it: routes, policies, hosts or back ends do not exist for them. Nothing reports it.
//!
//! ## How to mend it
//!
//! Correct the name.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, escape, items, namespace, text};
use crate::distance::nearest;
use crate::fleet::Manifest;
use crate::object::At as _;
use crate::object::kinds::{GATEWAY_API, ISTIO_NETWORKING};
use std::collections::BTreeSet;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "unknown-namespace",
    severity: Severity::Warning,
    summary: "something is meant for a namespace that the fleet does not know",
    istio: &[],
    kiali: &["KIA0005", "KIA1601"],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("unknown_namespace.rs"),
    check,
};

const KINDS: [&str; 3] = ["VirtualService", "DestinationRule", "ServiceEntry"];
const OF_SERVICES: &str = "networking.istio.io/exportTo";

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let named: Vec<Named<'a>> = named(world);
    if named.is_empty() {
        return;
    }
    let mut known: BTreeSet<&str> = world.state().manifests.iter().map(namespace).collect();
    known.extend(world.of_kind("", "Namespace").map(|manifest| &*manifest.id.name));
    for Named { manifest, pointer, word, all } in named {
        if matches!(word, "" | "*" | "." | "~") || known.contains(word) {
            continue;
        }
        let near = nearest(known.iter().copied(), word);
        let report = Report::at(manifest, pointer.clone(), format!("the fleet has nothing in the namespace {word}"));
        sink.push(match near {
            Some(meant) => {
                let text = match all {
                    None => meant.to_owned(),
                    Some(all) => {
                        let words = all.split(',').map(|other| if other.trim() == word { meant } else { other });
                        words.collect::<Vec<_>>().join(",")
                    }
                };
                let report = report.hint(format!("Did you mean {meant}?"));
                report.fix(
                    format!("name the namespace {meant}"),
                    false,
                    vec![(manifest, EditOp::Set(pointer, text.into()))],
                )
            }
            None if world.is_complete() => report.hint("Correct the name, or leave it out"),
            None => report.severity(Severity::Info).hint("Correct the name, if nobody else has this namespace"),
        });
    }
}

/// A namespace that something is meant for.
struct Named<'a> {
    manifest: &'a Manifest,
    pointer: String,
    word: &'a str,
    /// The whole text, where several stand in one.
    all: Option<&'a str>,
}

fn named<'a>(world: &World<'a>) -> Vec<Named<'a>> {
    let mut found = Vec::new();
    for manifest in KINDS.into_iter().flat_map(|kind| world.of_kind(ISTIO_NETWORKING, kind)) {
        let words = items(&manifest.object, "/spec/exportTo").filter_map(|(at, word)| Some((at, word.as_str()?)));
        found.extend(words.map(|(index, word)| Named {
            manifest,
            pointer: format!("/spec/exportTo/{index}"),
            word,
            all: None,
        }));
    }
    for manifest in world.of_kind(GATEWAY_API, "ReferenceGrant") {
        let from = items(&manifest.object, "/spec/from");
        found.extend(from.map(|(index, from)| Named {
            manifest,
            pointer: format!("/spec/from/{index}/namespace"),
            word: text(from, "/namespace"),
            all: None,
        }));
    }
    let pointer = format!("/metadata/annotations/{}", escape(OF_SERVICES));
    for manifest in world.of_kind("", "Service") {
        let Some(all) = manifest.object.at(&pointer).and_then(|text| text.as_str()) else { continue };
        let words = all.split(',').map(str::trim);
        found.extend(words.map(|word| Named { manifest, pointer: pointer.clone(), word, all: Some(all) }));
    }
    found
}
