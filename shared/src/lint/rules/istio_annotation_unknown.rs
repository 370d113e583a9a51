//! # istio-annotation-unknown
//!
//! ## What it finds
//!
//! An annotation in a domain of Istio (`sidecar.istio.io/…`, `traffic.sidecar.istio.io/…`) that Istio does not document, or that
//! the version of the mesh in `fleet.yaml` does not have: on any object, on the pods of workloads and gateways, and in
//! `serviceAnnotations`.
//!
//! ## Why it is bad
//!
//! Nobody reads it, and nobody says so: the sidecar is as if it were not there.
//!
//! ## How to mend it
//!
//! Correct the key. Istio's page on resource annotations lists them.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Annotated, World, escape};
use crate::distance::distance;
use crate::istio::Annotation;
use crate::object::At as _;
use std::collections::HashMap;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "istio-annotation-unknown",
    severity: Severity::Warning,
    summary: "Istio does not know an annotation",
    istio: &["IST0108"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("istio_annotation_unknown.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let version = world.istio_version();
    // A fleet has few different keys, and looking for what may be meant takes long.
    let mut meant: HashMap<&str, Option<&'static str>> = HashMap::new();
    for one in world.istio_annotations() {
        let known = Annotation::find(one.key);
        if known.is_some_and(|known| known.is_in(version)) {
            continue;
        }
        let report = match (known, version) {
            (Some(known), Some(version)) => {
                let why = match (&known.after, &known.gone) {
                    (_, Some(gone)) => format!("it is gone since {gone}"),
                    (Some(after), _) => format!("it came after {after}"),
                    _ => "it is of another version".to_owned(),
                };
                report(one, format!("Istio {version} does not read the annotation {}: {why}", one.key))
            }
            _ => report(one, format!("Istio knows no annotation {} and ignores it", one.key)),
        };
        let near = *meant.entry(one.key).or_insert_with(|| if known.is_some() { None } else { near(one.key) });
        sink.push(match near {
            Some(near) => {
                let report = report.hint(format!("Did you mean {near}?"));
                let taken = one.manifest.object.at(&format!("{}/{}", one.base, escape(near))).is_some();
                let edit = EditOp::Rename(one.pointer(), near.to_owned());
                if taken { report } else { report.fix(format!("name it {near}"), false, vec![(one.manifest, edit)]) }
            }
            None => report.hint("Correct the key, or take it away"),
        });
    }
}

fn report<'a>(one: &Annotated<'a>, message: String) -> Report<'a> {
    let report = Report::at(one.manifest, one.pointer(), message);
    if one.is_seen { report } else { report.beyond() }
}

/// The key that is most like it; one in another domain of Istio's is meant as well (`sidecar.istio.io/excludeInboundPorts`).
fn near(key: &str) -> Option<&'static str> {
    let name = |key: &'static str| key.rsplit_once('/').map_or(key, |(_, name)| name);
    let own = key.rsplit_once('/').map_or(key, |(_, name)| name);
    let lasting = |row: &&Annotation| row.deprecated.is_none() && row.gone.is_none();
    let all = || Annotation::all().iter().filter(lasting).map(|row| row.name.as_str());
    let close = all().map(|known| (distance(known, key), known)).min().filter(|(far, _)| *far <= 3);
    close.map(|(_, known)| known).or_else(|| all().find(|known| name(known) == own))
}
