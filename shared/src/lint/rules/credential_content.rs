//! # credential-content
//!
//! ## What it finds
//!
//! A Secret that a Gateway's `credentialName` names and that is no certificate with a key: `tls.crt` and `tls.key` (or
//! `cert` and `key`) are missing, what stands there is no certificate, or it has expired.
//!
//! Only Secrets in Git can be looked into. Certificates had better not be kept there in clear text.
//!
//! ## Why it is bad
//!
//! The gateway refuses every TLS connection to the host, or shows an expired certificate.
//!
//! ## How to mend it
//!
//! Renew the certificate, and let an ExternalSecret, a SealedSecret or ASM's certificate management bring it to the
//! clusters.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Credentials, World, secret_of};
use crate::fleet::Manifest;
use crate::object::At as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeSet;
use x509_parser::pem::Pem;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "credential-content",
    severity: Severity::Error,
    summary: "a Secret is not the certificate that a Gateway needs",
    istio: &["IST0161"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("credential_content.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let credentials = Credentials::of(world);
    for view in world.gateways() {
        let pods = view.pods.iter().filter_map(|index| world.pods().get(*index));
        let places: BTreeSet<_> = pods.filter_map(|pod| Some((pod.namespace, pod.target.as_ref()?))).collect();
        let servers = view.manifest.object.at("/spec/servers").and_then(Value::as_array).into_iter().flatten();
        for (index, server) in servers.enumerate() {
            let name = server.at("/tls/credentialName").and_then(Value::as_str).and_then(secret_of);
            let found =
                name.into_iter().flat_map(|name| places.iter().map(move |(space, target)| (*space, *target, name)));
            for (space, target, name) in found {
                let Some(secret) = credentials.find(space, target, name) else { continue };
                let Some(fault) = fault(secret, world.now()) else { continue };
                let message = format!("the Secret {space}/{name} {fault}: TLS fails");
                let report = Report::at(view.manifest, format!("/spec/servers/{index}/tls/credentialName"), message);
                let report = report.targets([target.clone()]).related(secret, "/data", "the Secret");
                sink.push(report.hint("Renew the certificate"));
            }
        }
    }
}

/// What is wrong with the Secret. Nothing of what it holds is told.
fn fault(secret: &Manifest, now: Option<jiff::Timestamp>) -> Option<String> {
    if !secret.group_kind().is("", "Secret") {
        return None;
    }
    let field = |key: &str| {
        let plain = secret
            .object
            .get("stringData")
            .and_then(|data| data.get(key)?.as_str().map(|text| text.as_bytes().to_vec()));
        plain.or_else(|| STANDARD.decode(secret.object.get("data")?.get(key)?.as_str()?.trim()).ok())
    };
    let pair =
        [("tls.crt", "tls.key"), ("cert", "key")].into_iter().find_map(|(crt, key)| Some((field(crt)?, field(key)?)));
    let Some((certificate, _)) = pair else { return Some("has no tls.crt with tls.key".to_owned()) };
    let Some(Ok(pem)) = Pem::iter_from_buffer(&certificate).next() else {
        return Some("holds no certificate".to_owned());
    };
    let Ok(parsed) = pem.parse_x509() else { return Some("holds a certificate that cannot be read".to_owned()) };
    let end = jiff::Timestamp::from_second(parsed.validity().not_after.timestamp()).ok()?;
    let day = || end.strftime("%Y-%m-%d").to_string();
    now.filter(|now| end < *now).map(|_| format!("holds a certificate that expired on {}", day()))
}
