//! # tls-verification
//!
//! ## What it finds
//!
//! A DestinationRule that begins TLS (`SIMPLE` or `MUTUAL`) and says nothing of whom to trust: neither `caCertificates`
//! nor, with a `workloadSelector`, a `credentialName`; for the host or for one port.
//!
//! ## Why it is bad
//!
//! The certificate of the other side may not be verified: whoever answers is trusted.
//!
//! ## How to mend it
//!
//! Set `caCertificates`, or `credentialName` together with `workloadSelector`. With `insecureSkipVerify: true` it is
//! said that no verification is meant.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
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

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for rule in &world.destination_rules {
        let object = &rule.manifest.object;
        let selects = object.pointer("/spec/workloadSelector").is_some_and(|selector| !selector.is_null());
        let mut places = vec![("/spec/trafficPolicy/tls".to_owned(), "IST0128", true)];
        let ports = |pointer: &str| object.pointer(pointer).and_then(Value::as_array).map_or(0, Vec::len);
        for index in 0..ports("/spec/trafficPolicy/portLevelSettings") {
            places.push((format!("/spec/trafficPolicy/portLevelSettings/{index}/tls"), "IST0129", true));
        }
        for index in 0..ports("/spec/subsets") {
            places.push((format!("/spec/subsets/{index}/trafficPolicy/tls"), "IST0128", false));
        }
        for (pointer, code, known) in places {
            let Some(tls) = object.pointer(&pointer) else { continue };
            let field = |name: &str| tls.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            let mode = field("mode").unwrap_or_default();
            let trusts = field("caCertificates").is_some() || selects && field("credentialName").is_some();
            let meant = tls.get("insecureSkipVerify").and_then(Value::as_bool) == Some(true);
            if !matches!(mode, "SIMPLE" | "MUTUAL") || trusts || meant {
                continue;
            }
            let message = format!("TLS {mode} to {} trusts whoever answers: no CA is named", rule.rule.host);
            let report = Report::at(rule.manifest, pointer, message).hint("Set caCertificates");
            sink.push(if known { report.code(code) } else { report });
        }
    }
}
