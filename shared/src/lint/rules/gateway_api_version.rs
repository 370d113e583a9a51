//! # gateway-api-version
//!
//! ## What it finds
//!
//! A CRD of the Gateway API that is older than what Istio reads: TLSRoute before v1.5.0.
//!
//! ## Why it is bad
//!
//! istiod leaves objects of such a CRD out without a word: a Gateway with TLS passthrough has no routes and no
//! listener.
//!
//! ## How to mend it
//!
//! Install the CRDs of a newer release of the Gateway API.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
use crate::object::At as _;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "gateway-api-version",
    severity: Severity::Warning,
    summary: "a CRD of the Gateway API is too old",
    istio: &["IST0176"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("gateway_api_version.rs"),
    check,
};

/// The oldest release whose CRD Istio reads.
const OLDEST: &[(&str, [u64; 3])] = &[("tlsroutes.gateway.networking.k8s.io", [1, 5, 0])];

const RELEASE: &str = "gateway.networking.k8s.io/bundle-version";

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for crd in world.of_kind("apiextensions.k8s.io", "CustomResourceDefinition") {
        let Some((name, oldest)) = OLDEST.iter().find(|(name, _)| *name == &*crd.id.name) else { continue };
        let annotations = crd.object.at("/metadata/annotations");
        let Some(release) = annotations.and_then(|all| all.get(RELEASE)).and_then(Value::as_str) else { continue };
        if numbers(release).is_some_and(|numbers| numbers < *oldest) {
            let [major, minor, patch] = oldest;
            let message = format!("{name} is of {release}: Istio reads it from v{major}.{minor}.{patch} on");
            let report = Report::at(crd, "/metadata/annotations", message);
            sink.push(report.hint("Install the CRDs of a newer release of the Gateway API"));
        }
    }
}

/// `v1.4.1-rc.1` as [1, 4, 1].
fn numbers(release: &str) -> Option<[u64; 3]> {
    let plain = release.trim_start_matches('v').split(['-', '+']).next()?;
    let mut numbers = plain.split('.').map(|number| number.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}
