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
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "proxy-user",
    severity: Severity::Warning,
    summary: "an application runs as the user of the sidecar",
    istio: &["IST0144"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("proxy_user.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for (pod, spec) in world.pods.iter().filter_map(|pod| Some((pod, pod.spec?))) {
        let runs = |value: &Value| value.pointer("/securityContext/runAsUser").and_then(Value::as_u64) == Some(1337);
        let containers = spec.get("containers").and_then(Value::as_array).into_iter().flatten();
        let application = |container: &&Value| container.get("name").and_then(Value::as_str) != Some("istio-proxy");
        if runs(spec) || containers.filter(application).any(runs) {
            let message = "it runs as user 1337, the sidecar's: its connections do not go through the sidecar";
            sink.push(Report::at(pod.manifest, "", message).hint("Use another user"));
        }
    }
}
