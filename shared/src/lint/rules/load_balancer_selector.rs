//! # load-balancer-selector
//!
//! ## What it finds
//!
//! A Service of type LoadBalancer in a member cluster that is meant for a gateway's pods (its selector has one of ASM's
//! labels) and chooses none of them: the gateway does not run in that cluster, it is serverless, the Service stands in another
//! namespace, or a label is wrong. A warning when it chooses the pods of several gateways.
//!
//! ## Why it is bad
//!
//! A Service selects pods of its own namespace and cluster. Without pods the load balancer costs money and answers nothing,
//! and no API server says so.
//!
//! ## How to mend it
//!
//! Give it the namespace `istio-system` and the four labels of the generated Service: `app: istio-NAME`, `istio: NAME`,
//! `asm-system: "true"`, `provider: asm`. `kubectl asm clb add NAME` writes it so.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Front, World, namespace};
use crate::asm::gateway::{self, RESERVED_LABELS};
use crate::distance::distance;
use crate::fleet::Manifest;
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "load-balancer-selector",
    severity: Severity::Error,
    summary: "a further load balancer of a gateway selects no pod of it",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("load_balancer_selector.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let gateways: HashMap<&str, &'a Manifest> =
        world.of_kind(ASM, "IstioGateway").map(|manifest| (&*manifest.id.name, manifest)).collect();
    for front in world.fronts().iter().filter(|front| front.is_load_balancer() && !front.generated) {
        let Some(selector) = front.manifest.object.at("/spec/selector").and_then(Value::as_object) else {
            continue;
        };
        let Some(name) = meant(selector) else { continue };
        let pods = world.pods_with(selector).filter(|pod| pod.target.as_ref() == Some(&front.target));
        let (mut here, mut elsewhere) = (BTreeSet::new(), false);
        let mut workloads = false;
        for pod in pods {
            if pod.namespace != namespace(front.manifest) {
                elsewhere = true;
            } else if pod.is_istio_gateway() {
                here.insert(&*pod.manifest.id.name);
            } else {
                workloads = true;
            }
        }
        if here.len() > 1 {
            sink.push(several(front, &here, &gateways));
        } else if here.is_empty() && !workloads {
            sink.extend(none(world, front, name, elsewhere, &gateways));
        }
    }
}

/// The gateway that a selector is meant for: by its name, or because only ASM has such labels.
pub(super) fn meant(selector: &Map<String, Value>) -> Option<&str> {
    let text = |key: &str| selector.get(key).and_then(Value::as_str);
    let named = text("istio").or_else(|| text("app")?.strip_prefix("istio-"));
    let asm = text("provider") == Some("asm") || selector.contains_key("asm-system");
    named.or(asm.then_some(""))
}

fn several<'a>(front: &Front<'a>, here: &BTreeSet<&str>, gateways: &HashMap<&str, &'a Manifest>) -> Report<'a> {
    let names: Vec<&str> = here.iter().copied().collect();
    let message = format!("it selects the pods of several gateways: {}", names.join(", "));
    let report = Report::at(front.manifest, "/spec/selector", message).severity(Severity::Warning);
    let report = report.hint("Select by the four labels that ASM gives the pods of one gateway");
    here.iter()
        .filter_map(|name| gateways.get(name))
        .fold(report, |report, gateway| report.related(gateway, "/metadata/name", "its pods"))
}

fn none<'a>(
    world: &World<'a>,
    front: &Front<'a>,
    name: &str,
    elsewhere: bool,
    gateways: &HashMap<&str, &'a Manifest>,
) -> Option<Report<'a>> {
    let report = |message: String| Report::at(front.manifest, "/spec/selector", message);
    if elsewhere {
        let message = format!(
            "the pods of the gateway {name} are in {}, not in {}: it selects nothing",
            gateway::NAMESPACE,
            namespace(front.manifest)
        );
        let edit = (front.manifest, EditOp::Set("/metadata/namespace".to_owned(), Value::from(gateway::NAMESPACE)));
        let report = Report::at(front.manifest, "/metadata/namespace", message);
        return Some(report.fix(format!("put it into {}", gateway::NAMESPACE), false, vec![edit]));
    }
    let Some(own) = gateways.get(name) else {
        let near = gateways
            .keys()
            .map(|known| (distance(known, name), *known))
            .filter(|(far, _)| *far <= 2 && !name.is_empty())
            .min();
        let (_, near) = near?;
        let report = report(format!("there is no gateway {name}: it selects nothing"));
        return Some(corrected(report.hint(format!("Did you mean {near}?")), front, near));
    };
    let related = |report: Report<'a>| report.related(own, "/metadata/name", "the gateway");
    if gateway::is_serverless(&own.object) {
        let message =
            format!("the gateway {name} is serverless: its pods are in no member cluster, so it selects nothing");
        return Some(
            related(report(message))
                .hint("A serverless gateway has the one load balancer that ASM gives it: remove this Service"),
        );
    }
    let id = world.cluster(&front.target).and_then(|cluster| cluster.id.as_deref());
    let runs_here = id.is_some_and(|id| gateway::cluster_ids(&own.object).contains(&id));
    if !runs_here {
        let message = format!("the gateway {name} does not run in this cluster: it selects nothing");
        return Some(
            related(report(message)).hint("Add the cluster to spec.clusterIds of the gateway, or remove this Service"),
        );
    }
    let report = related(report(format!("no pod of the gateway {name} has these labels: it selects nothing")));
    Some(corrected(report, front, name))
}

/// With ASM's labels of this gateway instead of what the selector has of them.
fn corrected<'a>(report: Report<'a>, front: &Front<'a>, name: &str) -> Report<'a> {
    let labels = gateway::pod_labels(name, &Value::Null);
    let labels: Map<String, Value> =
        labels.into_iter().filter(|(key, _)| RESERVED_LABELS.contains(&key.as_str())).collect();
    let edit = (front.manifest, EditOp::Set("/spec/selector".to_owned(), Value::Object(labels)));
    report.fix(format!("select the pods of {name}"), false, vec![edit])
}
