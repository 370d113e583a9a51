//! # proxy-user
//!
//! ## What it finds
//!
//! Pods of an application that run as user 1337.
//!
//! ## Why it is bad
//!
//! That is the user of the sidecar, whose connections are not led through the sidecar: those of the application are not
//! either, in both directions.
//!
//! ## How to mend it
//!
//! Use another user.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
use crate::fleet::Manifest;
use crate::object::At as _;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "proxy-user",
    severity: Severity::Warning,
    summary: "an application runs as the user of the sidecar",
    istio: &["IST0144"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("proxy_user.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for (pod, spec) in world.pods().iter().filter_map(|pod| Some((pod, pod.spec?))) {
        let runs = |value: &Value| value.at("/securityContext/runAsUser").and_then(Value::as_u64) == Some(1337);
        let containers = spec.get("containers").and_then(Value::as_array).into_iter().flatten().enumerate();
        let application =
            |(_, container): &(usize, &Value)| container.get("name").and_then(Value::as_str) != Some("istio-proxy");
        let own = containers.filter(application).filter(|(_, container)| runs(container));
        let mut places: Vec<String> = own.map(|(index, _)| format!("/containers/{index}")).collect();
        if runs(spec) {
            places.push(String::new());
        }
        if places.is_empty() {
            continue;
        }
        let message = "it runs as user 1337, the sidecar's: its connections do not go through the sidecar";
        let report = Report::at(pod.manifest, "", message).hint("Use another user");
        let edits = places.into_iter().filter_map(|place| {
            let pod_spec = spec_pointer(pod.manifest)?;
            Some((pod.manifest, EditOp::Remove(format!("{pod_spec}{place}/securityContext/runAsUser"))))
        });
        sink.push(report.fix("use the user of the image", false, edits.collect()));
    }
}

/// Where the pod's spec is in its manifest.
fn spec_pointer(manifest: &Manifest) -> Option<&'static str> {
    let pointers = ["/spec/jobTemplate/spec/template/spec", "/spec/template/spec", "/spec"];
    pointers.into_iter().find(|pointer| manifest.object.at(pointer).is_some())
}
