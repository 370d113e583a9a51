//! Services of type LoadBalancer.

use super::{Loss, Step};
use crate::api::labels::FIELD_MANAGER;
use crate::asm::addresses;
use crate::asm::annotations::{Annotation, Product, fixed_changes, setting};
use crate::object::At as _;
use serde_json::Value;

/// Label of the cloud controller with the ID of the load balancer.
const ID_LABEL: &str = "service.k8s.alibaba/loadbalancer-id";
/// Annotation that gives a Service to another controller.
const CLASS: &str = "service.beta.kubernetes.io/class";

fn is_load_balancer(service: &Value) -> bool {
    service.at("/spec/type").and_then(Value::as_str) == Some("LoadBalancer")
}

fn annotations(service: &Value) -> Option<&Value> {
    service.at("/metadata/annotations")
}

fn class(service: &Value) -> Option<&str> {
    service.at("/spec/loadBalancerClass").and_then(Value::as_str)
}

/// Does the load balancer exist yet? Before that every setting can still change.
fn has_one(service: &Value) -> bool {
    let label = service.at("/metadata/labels").and_then(|labels| labels.get(ID_LABEL));
    is_load_balancer(service) && (label.is_some() || !addresses::of_service(service).is_empty())
}

/// The load balancer stays when the Service goes, because of a setting.
pub(super) fn stays(annotations: Option<&Value>) -> Option<&'static str> {
    let is_set = |name: &str| setting(annotations, name).is_some_and(|value| !value.is_empty());
    if is_set("loadbalancer-id") {
        return Some(
            "the load balancer itself stays, because it was reused (loadbalancer-id), without these listeners",
        );
    }
    is_set(PRESERVE).then_some("the load balancer itself stays (preserve-lb-on-delete) and costs on")
}

/// The setting that keeps a load balancer when its Service goes.
const PRESERVE: &str = "loadbalancer-preserve-lb-on-delete";

fn loss(live: &Value, what: &str) -> Option<Loss> {
    let stays = stays(annotations(live)).map(|why| format!("; {why}")).unwrap_or_default();
    Some(Loss { addresses: addresses::of_service(live), consequence: format!("{what}{stays}") })
}

pub(super) fn deleted(step: &Step<'_>) -> Option<Loss> {
    is_load_balancer(step.live).then_some(())?;
    loss(step.live, "deletes the Service's load balancer and its address")
}

pub(super) fn type_taken_away(step: &Step<'_>) -> Option<Loss> {
    let wanted = step.wanted?;
    (is_load_balancer(step.live) && !is_load_balancer(wanted)).then_some(())?;
    let kind = wanted.at("/spec/type").and_then(Value::as_str).unwrap_or("ClusterIP");
    loss(step.live, &format!("type LoadBalancer → {kind} deletes the load balancer and its address"))
}

pub(super) fn given_away(step: &Step<'_>) -> Option<Loss> {
    let of = |service: &Value| annotations(service)?.get(CLASS)?.as_str().map(str::to_owned);
    let now = of(step.wanted?)?;
    (has_one(step.live) && of(step.live).is_none()).then_some(())?;
    let what = format!("gives the Service to another controller ({CLASS}: {now}), and its load balancer to nobody");
    loss(step.live, &what)
}

/// Whether taking the class out of Git takes it away: only what we own goes.
fn owns_class(service: &Value) -> bool {
    let entries = service.at("/metadata/managedFields").and_then(Value::as_array);
    entries.into_iter().flatten().any(|entry| {
        entry["manager"] == FIELD_MANAGER
            && entry["operation"] == "Apply"
            && entry.at("/fieldsV1/f:spec/f:loadBalancerClass").is_some()
    })
}

pub(super) fn class_changed(step: &Step<'_>) -> Option<Loss> {
    let (was, now) = (class(step.live), class(step.wanted?));
    (has_one(step.live) && was != now && (now.is_some() || owns_class(step.live))).then_some(())?;
    let (was, now) = (was.unwrap_or("none"), now.unwrap_or("none"));
    let consequence = format!("loadBalancerClass {was} → {now} is refused while the type is LoadBalancer");
    Some(Loss { addresses: addresses::of_service(step.live), consequence })
}

/// Settings that cannot change any more, as `name: old → new`. Taking one out resets nothing, so it is no change; without
/// the ID of a reused load balancer, though, the controller does not find it any more.
pub(super) fn fixed<'a>(
    product: Product,
    before: impl Fn(&str) -> Option<&'a str>,
    after: impl Fn(&str) -> Option<&'a str>,
) -> Vec<String> {
    let told = |(row, was, now): (&Annotation, Option<&str>, Option<&str>)| {
        let now = now.or((row.name == "loadbalancer-id").then_some("none"))?;
        Some(format!("{}: {} → {now}", row.name, was.or(row.default).unwrap_or("none")))
    };
    fixed_changes(product, before, after).into_iter().filter_map(told).collect()
}

/// What the cloud controller does with such changes.
pub(super) fn refused(changes: &[String]) -> String {
    format!(
        "changes what is fixed once the load balancer exists ({}): the cloud controller refuses it again and again, and no \
         other change of the Service gets through meanwhile",
        changes.join(", ")
    )
}

pub(super) fn fixed_setting(step: &Step<'_>) -> Option<Loss> {
    let (live, wanted) = (annotations(step.live), annotations(step.wanted?));
    has_one(step.live).then_some(())?;
    let product = Product::of_class(class(step.live));
    let changes = fixed(product, |name| setting(live, name), |name| setting(wanted, name));
    (!changes.is_empty()).then(|| Loss { addresses: addresses::of_service(step.live), consequence: refused(&changes) })
}

/// The load balancer whose listeners are taken over by a change.
pub(super) fn taken_over(live: Option<&Value>, wanted: Option<&Value>) -> Option<Loss> {
    let overrides = |annotations| setting(annotations, "loadbalancer-force-override-listeners") == Some("true");
    let id = setting(wanted, "loadbalancer-id").filter(|id| !id.is_empty())?;
    (overrides(wanted) && !overrides(live)).then(|| Loss {
        addresses: vec![id.to_owned()],
        consequence: format!("takes over the listeners of {id} on the same ports, whoever made them"),
    })
}

pub(super) fn takes_over(step: &Step<'_>) -> Option<Loss> {
    taken_over(annotations(step.live), annotations(step.wanted?))
}
