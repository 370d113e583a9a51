//! Annotations of the cloud controller manager that are fixed once the load balancer exists.

use super::{Consequence, named};
use crate::asm::annotations::{Product, fixed_changes, setting};
use serde_json::Value;

/// What becomes of the load balancer's fixed settings.
pub(super) fn changed(
    before: Option<&Value>,
    after: Option<&Value>,
    product: Product,
    addresses: &[String],
) -> Vec<Consequence> {
    let changes = fixed_changes(product, |name| setting(before, name), |name| setting(after, name));
    let told = changes.into_iter().map(|(row, old, new)| {
        let name = row.name;
        match (name, old, new) {
            ("loadbalancer-id", Some(old), None) => Consequence::note(format!(
                "without {name} the cloud controller looks for a load balancer of its own; {old} is no longer used"
            )),
            (_, Some(_), None) => {
                Consequence::note(format!("removing {name} resets nothing: the load balancer keeps what it has"))
            }
            _ => Consequence::replacement(format!(
                "{name} is fixed once the load balancer exists: the cloud controller refuses {} → {}. \
                 It would take a new Service and lose the address{}; make a second Service, move DNS, then remove this one",
                old.or(row.default).unwrap_or("none"),
                new.or(row.default).unwrap_or("none"),
                named(addresses),
            )),
        }
    });
    told.collect()
}
