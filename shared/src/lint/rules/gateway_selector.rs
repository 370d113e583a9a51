//! # gateway-selector
//!
//! ## What it finds
//!
//! A Gateway (Istio) whose `spec.selector` chooses no pod: neither the pods of an IstioGateway of the fleet nor those of a
//! workload in a member cluster.
//!
//! ## Why it is bad
//!
//! istiod gives the Gateway's servers to the pods that the selector chooses. Without such a pod nothing listens, and
//! requests to its hosts are refused or answered with 404 by another Gateway. Nothing reports it.
//!
//! The pods of an IstioGateway carry the labels `app: istio-NAME`, `istio: NAME`, `asm-system: "true"`, `provider: asm` and
//! those of `spec.podLabels`; a label that several gateways share has to be in `podLabels` of each.
//!
//! ```yaml
//! # no IstioGateway of the fleet has this label
//! spec:
//!   selector:
//!     istio: ingresgateway
//! ```
//!
//! ## How to mend it
//!
//! Correct the label, or add it to `spec.podLabels` of the gateway that is meant
//! (`kubectl asm gateway share --label KEY=VALUE GATEWAY…`).

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{GatewayView, Pod, World};
use crate::distance::distance;
use serde_json::{Map, Value};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "gateway-selector",
    severity: Severity::Error,
    summary: "a Gateway's selector chooses no pod",
    istio: &["IST0101"],
    kiali: &["KIA0302"],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("gateway_selector.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for gateway in world.gateways() {
        if !gateway.pods.is_empty() || gateway.gateway.selector.is_empty() {
            continue;
        }
        let selector = words(&gateway.gateway.selector);
        let message = format!("no pod has the labels {selector}: nothing opens the ports of this Gateway");
        let report = Report::at(gateway.manifest, "/spec/selector", message);
        sink.push(match nearest(world, gateway) {
            Some((pod, key, value)) => {
                let meant = format!("Did you mean `{key}: {value}`, as the pods of {} have it?", pod.manifest.id);
                let pointer = format!("/spec/selector/{}", key.replace('~', "~0").replace('/', "~1"));
                let edit = (gateway.manifest, EditOp::Set(pointer, Value::String(value.clone())));
                report.hint(meant).related(pod.manifest, "/metadata/name", "these pods").fix(
                    format!("select `{key}: {value}`"),
                    false,
                    vec![edit],
                )
            }
            None => report.hint("Correct the label, or add it to spec.podLabels of the IstioGateway that is meant"),
        });
    }
}

/// The gateway's pods that have all labels but one, and that one almost.
fn nearest<'w, 'a>(world: &'w World<'a>, gateway: &'w GatewayView<'a>) -> Option<(&'w Pod<'a>, &'w str, String)> {
    let gateways = world.pods().iter().filter(|pod| pod.is_istio_gateway());
    let near = gateways.filter_map(|pod| {
        let mut wrong = gateway.gateway.selector.iter().filter(|(key, value)| pod.labels.get(*key) != Some(value));
        let (key, wanted) = wrong.next()?;
        let found = pod.labels.get(key)?.as_str()?;
        let far = distance(found, wanted.as_str()?);
        (wrong.next().is_none() && far <= 2).then(|| (far, pod, key.as_str(), found.to_owned()))
    });
    near.min_by_key(|(far, ..)| *far).map(|(_, pod, key, value)| (pod, key, value))
}

fn words(labels: &Map<String, Value>) -> String {
    let words: Vec<String> =
        labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    words.join(",")
}
