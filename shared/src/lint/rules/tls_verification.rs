//! # tls-verification
//!
//! ## What it finds
//!
//! A DestinationRule that begins TLS (`SIMPLE` or `MUTUAL`) and says nothing of whom to trust: neither `caCertificates`
//! nor, with a `workloadSelector`, a `credentialName`; for the host or for one port.
//!
//! ## Why it is bad
//!
//! Before Istio 1.20 the certificate of the other side was not verified: whoever answers is trusted. Since then it must come
//! from one of the public authorities that the proxy's image knows, so without `spec.mesh.version` in `fleet.yaml`, or from 1.20
//! on, the finding is for information: a private authority is refused, and any public one is trusted.
//!
//! ## How to mend it
//!
//! Set `caCertificates`, or `credentialName` together with `workloadSelector`. With `insecureSkipVerify: true` it is
//! said that no verification is meant.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
use crate::asm::annotations::at_least;
use crate::object::At as _;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "tls-verification",
    severity: Severity::Warning,
    summary: "TLS begins without saying whom to trust",
    istio: &["IST0128", "IST0129"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("tls_verification.rs"),
    check,
};

/// From this version on proxies verify by the authorities of their image (`VERIFY_CERTIFICATE_AT_CLIENT`).
const VERIFIES: &str = "1.20";

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let version = world.fleet().and_then(|fleet| fleet.spec.mesh.version.as_deref());
    let verifies = version.and_then(|version| at_least(version, VERIFIES));
    for rule in world.destination_rules() {
        let object = &rule.manifest.object;
        let selects = object.at("/spec/workloadSelector").is_some_and(|selector| !selector.is_null());
        let mut places = vec![("/spec/trafficPolicy/tls".to_owned(), "IST0128", true)];
        let ports = |pointer: &str| object.at(pointer).and_then(Value::as_array).map_or(0, Vec::len);
        for index in 0..ports("/spec/trafficPolicy/portLevelSettings") {
            places.push((format!("/spec/trafficPolicy/portLevelSettings/{index}/tls"), "IST0129", true));
        }
        for index in 0..ports("/spec/subsets") {
            places.push((format!("/spec/subsets/{index}/trafficPolicy/tls"), "IST0128", false));
        }
        for (pointer, code, known) in places {
            let Some(tls) = object.at(&pointer) else { continue };
            let field = |name: &str| tls.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            let mode = field("mode").unwrap_or_default();
            let trusts = field("caCertificates").is_some() || selects && field("credentialName").is_some();
            let meant = tls.get("insecureSkipVerify").and_then(Value::as_bool) == Some(true);
            if !matches!(mode, "SIMPLE" | "MUTUAL") || trusts || meant {
                continue;
            }
            let host = &rule.rule.host;
            let report = if verifies == Some(false) {
                let message = format!("TLS {mode} to {host} trusts whoever answers: no CA is named");
                Report::at(rule.manifest, pointer, message)
            } else {
                let message = format!("TLS {mode} to {host} trusts every public authority: no CA is named");
                Report::at(rule.manifest, pointer, message).severity(Severity::Info)
            };
            let report = report.hint("Set caCertificates");
            sink.push(if known { report.code(code) } else { report });
        }
    }
}
