//! # load-balancer-listeners
//!
//! ## What it finds
//!
//! `loadbalancer-id` without `loadbalancer-force-override-listeners: "true"` (only that exact word counts), and
//! `loadbalancer-force-override-listeners` without `loadbalancer-id`.
//!
//! ## Why it is bad
//!
//! The controller makes server groups on a reused load balancer but does not touch its listeners: it serves nothing until
//! somebody points listeners to the groups, although the Service looks fine. Without an ID the switch means nothing.
//!
//! ## How to mend it
//!
//! Set it to `"true"` if nobody else uses the listeners of these ports: they are overwritten, whoever made them. Otherwise make
//! the listeners yourself and ignore this finding.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, escape, removal};
use crate::asm::annotations::key;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "load-balancer-listeners",
    severity: Severity::Warning,
    summary: "a reused load balancer gets no listeners",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("load_balancer_listeners.rs"),
    check,
};

const OVERRIDE: &str = "loadbalancer-force-override-listeners";

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for front in world.fronts().iter().filter(|front| front.is_load_balancer()) {
        match (front.setting("loadbalancer-id"), front.setting(OVERRIDE)) {
            (Some(id), given) if given.is_none_or(|given| given.value.as_str() != Some("true")) => {
                let at = given.map_or(&id.pointer, |given| &given.pointer);
                let message = format!(
                    "no listener is made on {}: it serves nothing until somebody does",
                    id.value.as_str().unwrap_or_default()
                );
                let base = id.pointer.rsplit_once('/').map_or("", |(base, _)| base);
                let pointer =
                    given.map_or_else(|| format!("{base}/{}", escape(&key(OVERRIDE))), |given| given.pointer.clone());
                let report = Report::at(front.manifest, &**at, message).targets([front.target.clone()]);
                let report = report.hint("Listeners of the same ports are overwritten then, whoever made them");
                let edit = (front.manifest, EditOp::Set(pointer, Value::from("true")));
                sink.push(report.fix("let the cloud controller make the listeners", false, vec![edit]));
            }
            (None, Some(given)) => {
                let message = format!("{OVERRIDE} means nothing without loadbalancer-id");
                let report = Report::at(front.manifest, &*given.pointer, message).targets([front.target.clone()]);
                let edit = (front.manifest, removal(front.manifest, &given.pointer));
                sink.push(report.severity(Severity::Info).fix("take it away", true, vec![edit]));
            }
            _ => {}
        }
    }
}
