//! Annotations of the cloud controller manager that are fixed once the load balancer exists (`asm-domain.md` §4.2, §4.5).

use super::{Consequence, named};
use serde_json::Value;

const NEW_PREFIX: &str = "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-";
const OLD_PREFIX: &str = "service.beta.kubernetes.io/alicloud-loadbalancer-";

/// One fixed annotation: the part behind the prefix, what absent means, whether NLBs keep it fixed too.
struct Fixed {
    suffix: &'static str,
    default: Option<&'static str>,
    nlb: bool,
}

const FIXED: &[Fixed] = &[
    Fixed { suffix: "address-type", default: Some("internet"), nlb: false },
    Fixed { suffix: "id", default: None, nlb: true },
    Fixed { suffix: "master-zoneid", default: None, nlb: false },
    Fixed { suffix: "slave-zoneid", default: None, nlb: false },
    Fixed { suffix: "ip-version", default: Some("ipv4"), nlb: true },
    Fixed { suffix: "ip", default: None, nlb: false },
    Fixed { suffix: "network-type", default: None, nlb: false },
    Fixed { suffix: "resource-group-id", default: None, nlb: true },
];

/// A setting of the cloud controller: the new prefix first, the legacy one only when the new key is absent.
pub(super) fn setting<'a>(annotations: Option<&'a Value>, suffix: &str) -> Option<&'a str> {
    let annotations = annotations?;
    [NEW_PREFIX, OLD_PREFIX]
        .iter()
        .find_map(|prefix| annotations.get(format!("{prefix}{suffix}")))
        .and_then(Value::as_str)
}

/// What becomes of the load balancer's fixed settings.
pub(super) fn changed(
    before: Option<&Value>,
    after: Option<&Value>,
    is_nlb: bool,
    addresses: &[String],
) -> Vec<Consequence> {
    let rows = FIXED.iter().filter(|row| row.nlb || !is_nlb);
    rows.filter_map(|row| {
        let (old, new) = (setting(before, row.suffix), setting(after, row.suffix));
        if old.or(row.default) == new.or(row.default) {
            return None;
        }
        let name = format!("loadbalancer-{}", row.suffix);
        Some(match (row.suffix, old, new) {
            ("id", Some(old), None) => Consequence::note(format!(
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
        })
    })
    .collect()
}
