//! # export-to-value
//! ## What it finds
//!
//! In `exportTo` of a VirtualService, a DestinationRule or a ServiceEntry: a word that is neither `*`, `.` nor a namespace; the same
//! namespace twice (`.` is the own one); anything beside `*`; `~`, which only a ServiceEntry may have, and alone; a DestinationRule with a
//! `workloadSelector` that is exported to other namespaces.
//!
//! ## Why it is bad
//!
//! istiod's webhook refuses the object. Where there is none, who sees it is not what is meant.
//!
//! ## How to mend it
//!
//! `["*"]`, or leave it out: everybody. `["."]`: the own namespace.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, has, is_label, items, namespace};
use crate::fleet::Manifest;
use crate::object::kinds::ISTIO_NETWORKING;
use std::collections::BTreeSet;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "export-to-value",
    severity: Severity::Error,
    summary: "exportTo is written wrongly",
    istio: &["IST0106"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("export_to_value.rs"),
    check,
};

const KINDS: [&str; 3] = ["VirtualService", "DestinationRule", "ServiceEntry"];

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for manifest in KINDS.into_iter().flat_map(|kind| world.of_kind(ISTIO_NETWORKING, kind)) {
        let words: Vec<&str> =
            items(&manifest.object, "/spec/exportTo").filter_map(|(_, word)| word.as_str()).collect();
        judge(manifest, &words, sink);
    }
}

fn judge<'a>(manifest: &'a Manifest, words: &[&str], sink: &mut Sink<'a>) {
    let own = namespace(manifest);
    let is_entry = &*manifest.group_kind().kind == "ServiceEntry";
    let remove = |index: usize| vec![(manifest, EditOp::Remove(at(index)))];
    let mut seen = BTreeSet::new();
    for (index, word) in words.iter().enumerate() {
        let means = if *word == "." { own } else { word };
        let known = matches!(*word, "." | "*") || is_label(word) || (is_entry && *word == "~");
        if !known {
            let message = match *word {
                "~" => "only a ServiceEntry can be exported to nobody".to_owned(),
                word => format!("`{word}` is no namespace"),
            };
            sink.push(Report::at(manifest, at(index), message).hint("*, . or the name of a namespace"));
        } else if !seen.insert(means) {
            let report = Report::at(manifest, at(index), format!("it is exported to {means} twice"));
            sink.push(report.fix("take the second one away", true, remove(index)));
        } else if words.contains(&"*") && *word != "*" {
            let report = Report::at(manifest, at(index), format!("`*` is everybody, {means} too"));
            sink.push(report.fix(format!("take {word} away"), true, remove(index)));
        } else if words.contains(&"~") && *word != "~" {
            sink.push(Report::at(manifest, at(index), format!("it is exported to nobody and to {means}")));
        }
    }
    let beyond = words.iter().any(|word| !matches!(*word, ".") && *word != own);
    if beyond && manifest.object.get("spec").is_some_and(|spec| has(spec, "workloadSelector")) && !is_entry {
        let message = "a DestinationRule for chosen workloads is for its own namespace only";
        let edit = (manifest, EditOp::Set("/spec/exportTo".to_owned(), serde_json::json!(["."])));
        sink.push(Report::at(manifest, "/spec/exportTo", message).fix(
            "export it to its own namespace",
            false,
            vec![edit],
        ));
    }
}

fn at(index: usize) -> String {
    format!("/spec/exportTo/{index}")
}
