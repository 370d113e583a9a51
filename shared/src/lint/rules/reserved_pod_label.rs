//! # reserved-pod-label
//!
//! ## What it finds
//!
//! `app`, `istio`, `asm-system` or `provider` in `spec.podLabels` of an IstioGateway, overrides included.
//!
//! ## Why it is bad
//!
//! ASM gives these labels to the pods itself, and the generated Service selects by them: another value there is overwritten, or
//! takes the pods away from their load balancer.
//!
//! ## How to mend it
//!
//! Choose another label, for example `team: edge`, and select by that.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, escape, removal};
use crate::asm::gateway::{RESERVED_LABELS, pod_labels};
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "reserved-pod-label",
    severity: Severity::Error,
    summary: "podLabels sets a label that ASM sets itself",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("reserved_pod_label.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for manifest in world.of_kind(ASM, "IstioGateway") {
        let overrides = manifest.object.at("/spec/overrides").and_then(Value::as_object).into_iter().flatten();
        let overrides = overrides.map(|(id, _)| format!("/spec/overrides/{}/podLabels", escape(id)));
        let set = pod_labels(&manifest.id.name, &Value::Null);
        for base in std::iter::once("/spec/podLabels".to_owned()).chain(overrides) {
            let labels = manifest.object.at(&base).and_then(Value::as_object).into_iter().flatten();
            for (key, value) in labels.filter(|(key, _)| RESERVED_LABELS.contains(&key.as_str())) {
                let pointer = format!("{base}/{}", escape(key));
                let report = Report::at(
                    manifest,
                    &*pointer,
                    format!("the label {key} is reserved: ASM sets it on the pods itself"),
                );
                // What ASM sets anyway can go without a difference.
                let same = set.get(key) == Some(value);
                let report = if same { report.severity(Severity::Info) } else { report };
                sink.push(report.fix(
                    format!("take the label {key} away"),
                    same,
                    vec![(manifest, removal(manifest, &pointer))],
                ));
            }
        }
    }
}
