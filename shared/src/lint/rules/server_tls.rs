//! # server-tls
//! ## What it finds
//!
//! A server of a Gateway for HTTPS or TLS without `tls`; one of another protocol with `tls`, other than the redirect of plain HTTP;
//! certificates of a mode that has none, no certificate or no CA in a mode that needs one, or several sources of them; versions before
//! TLS 1.2 without ciphers, ciphers twice or unknown; more than two certificates; a list of revoked certificates (`caCrl`) that has no
//! place; `httpsRedirect` on a server that is not plain HTTP.
//!
//! ## Why it is bad
//!
//! istiod's webhook refuses most of it. What it takes has no effect: a certificate beside `PASSTHROUGH`, a redirect of what is HTTPS
//! already, clients of TLS 1.0 that find no cipher, a cipher that Envoy does not know, a third certificate.
//!
//! ## How to mend it
//!
//! `mode: SIMPLE` with `credentialName` is what a site needs; `MUTUAL` if clients show certificates too, `PASSTHROUGH` if the application
//! ends TLS itself, which then has no certificate here.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, has, is_http, items, text};
use crate::distance::distance;
use crate::fleet::Manifest;
use serde_json::Value;
use std::collections::BTreeSet;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "server-tls",
    severity: Severity::Error,
    summary: "TLS of a Gateway server does not fit together",
    istio: &["IST0106"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("server_tls.rs"),
    check,
};

const CERTIFICATES: [&str; 6] =
    ["serverCertificate", "privateKey", "caCertificates", "tlsCertificates", "credentialName", "credentialNames"];

/// Ciphers of TLS 1.2 and before that Envoy has, as istiod lets them through.
const CIPHERS: [&str; 15] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
    "DES-CBC3-SHA",
];
/// Envoy takes one certificate for each kind of key, RSA and ECDSA.
const MOST_CERTIFICATES: usize = 2;

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for gateway in world.gateways() {
        let servers = gateway.gateway.servers.iter();
        for (server, (number, value)) in servers.zip(items(&gateway.manifest.object, "/spec/servers")) {
            let one = One { manifest: gateway.manifest, at: format!("/spec/servers/{number}"), tls: value.get("tls") };
            let encrypted = matches!(server.protocol.as_str(), "HTTPS" | "TLS");
            match one.tls.filter(|tls| !tls.is_null()) {
                None if encrypted => {
                    let message = format!("a server of {} has no tls", server.protocol);
                    let report = Report::at(one.manifest, one.at.clone(), message);
                    sink.push(report.hint("mode: SIMPLE with credentialName, or mode: PASSTHROUGH"));
                }
                None => {}
                Some(tls) if encrypted => one.of_encrypted(tls, sink),
                // Known protocols only: another one is another rule's business.
                Some(tls) if is_http(server) => one.of_plain(tls, sink),
                Some(_) if matches!(server.protocol.as_str(), "TCP" | "MONGO" | "REDIS" | "MYSQL") => {
                    let message = format!("a server of {} cannot have tls", server.protocol);
                    sink.push(Report::at(one.manifest, one.tls_at(""), message).hint("Its protocol must be TLS"));
                }
                Some(_) => {}
            }
        }
    }
}

/// A server.
struct One<'a> {
    manifest: &'a Manifest,
    at: String,
    tls: Option<&'a Value>,
}

impl<'a> One<'a> {
    fn tls_at(&self, field: &str) -> String {
        format!("{}/tls{field}", self.at)
    }

    fn report(&self, field: &str, message: impl Into<String>) -> Report<'a> {
        let field = if field.is_empty() { String::new() } else { format!("/{field}") };
        Report::at(self.manifest, self.tls_at(&field), message)
    }

    /// The certificates are taken away.
    fn without(&self, report: Report<'a>, fields: &[&str], safe: bool) -> Report<'a> {
        let edits = fields.iter().map(|field| (self.manifest, EditOp::Remove(self.tls_at(&format!("/{field}")))));
        report.fix(format!("take {} away", fields.join(" and ")), safe, edits.collect())
    }

    fn of_plain(&self, tls: &Value, sink: &mut Sink<'a>) {
        let mode = text(tls, "/mode");
        let given: Vec<&str> = certificates(tls);
        if matches!(mode, "" | "PASSTHROUGH" | "AUTO_PASSTHROUGH") && given.is_empty() {
            return;
        }
        let redirects = tls.get("httpsRedirect").and_then(Value::as_bool).unwrap_or_default();
        let report = self.report("", "plain HTTP has no certificates: besides httpsRedirect, tls has no place here");
        sink.push(if redirects {
            let mode = has(tls, "mode").then_some("mode");
            let fields: Vec<&str> = mode.into_iter().chain(given).collect();
            self.without(report, &fields, false)
        } else {
            report.hint("Its protocol must be HTTPS, or tls must go")
        });
    }

    fn of_encrypted(&self, tls: &Value, sink: &mut Sink<'a>) {
        if tls.get("httpsRedirect").and_then(Value::as_bool) == Some(true) {
            let report =
                self.report("httpsRedirect", "only plain HTTP is redirected to HTTPS").severity(Severity::Warning);
            sink.push(self.without(report, &["httpsRedirect"], true));
        }
        self.ciphers(tls, sink);
        let mut given = certificates(tls);
        let mode = text(tls, "/mode");
        if self::given(tls, "caCrl") {
            match mode {
                "ISTIO_MUTUAL" => {}
                "PASSTHROUGH" | "AUTO_PASSTHROUGH" | "" => given.push("caCrl"),
                mode => self.revoked(tls, mode, sink),
            }
        }
        match mode {
            mode @ ("ISTIO_MUTUAL" | "PASSTHROUGH" | "AUTO_PASSTHROUGH" | "") => {
                if let Some(first) = given.first() {
                    let refused = mode == "ISTIO_MUTUAL";
                    let mode = if mode.is_empty() { "PASSTHROUGH" } else { mode };
                    let report = self.report(first, format!("{mode} has no certificates of its own"));
                    // Without a mode, SIMPLE is likely meant.
                    let report = if refused { report } else { report.severity(Severity::Warning) };
                    sink.push(self.without(report.hint("mode: SIMPLE has them"), &given, false));
                }
            }
            mode => self.of_certificates(tls, mode, sink),
        }
    }

    fn of_certificates(&self, tls: &Value, mode: &str, sink: &mut Sink<'a>) {
        let mutual = mode != "SIMPLE";
        let by_name = given(tls, "credentialName") || given(tls, "credentialNames");
        let in_files = given(tls, "serverCertificate") && given(tls, "privateKey");
        let sources =
            [given(tls, "credentialName"), given(tls, "credentialNames"), given(tls, "tlsCertificates"), in_files];
        if sources.iter().filter(|source| **source).count() > 1 {
            let report = self.report("", "several sources of certificates: only one counts");
            sink.push(report.hint("Keep credentialName, and take the others away"));
        }
        if by_name {
            return;
        }
        if mutual && !given(tls, "caCertificates") {
            let report = self.report("", format!("{mode} needs the CA by which clients are judged"));
            sink.push(report.hint("credentialName of a Secret with ca.crt, or caCertificates"));
        }
        self.listed(tls, mode, sink);
        if !given(tls, "tlsCertificates") && !in_files {
            let report = self.report("", format!("{mode} needs a certificate and its key"));
            sink.push(report.hint("credentialName of a Secret of type kubernetes.io/tls"));
        }
    }

    /// Certificates in a list.
    fn listed(&self, tls: &Value, mode: &str, sink: &mut Sink<'a>) {
        for (index, one) in items(tls, "/tlsCertificates") {
            let missing: Vec<&str> =
                ["serverCertificate", "privateKey"].into_iter().filter(|field| !given(one, field)).collect();
            if !missing.is_empty() {
                let message = format!("{mode} needs a certificate and its key: {} is missing", missing.join(" and "));
                sink.push(self.report(&format!("tlsCertificates/{index}"), message));
            }
        }
        let count = items(tls, "/tlsCertificates").count();
        if count > MOST_CERTIFICATES {
            let message = format!("{count} certificates, and a server has two at most: one of RSA, one of ECDSA");
            let report = self.report(&format!("tlsCertificates/{MOST_CERTIFICATES}"), message);
            sink.push(report.severity(Severity::Warning).hint("A server for each host, each with its certificate"));
        }
    }

    /// A list of revoked certificates is for certificates of clients, from files.
    fn revoked(&self, tls: &Value, mode: &str, sink: &mut Sink<'a>) {
        let by_name = given(tls, "credentialName") || given(tls, "credentialNames");
        if by_name {
            let message = "beside credentialName it is ignored: the list of revoked certificates is read of the Secret";
            let report = self.report("caCrl", message).severity(Severity::Warning).beyond();
            sink.push(report.hint("Put it into the Secret as ca.crl, and take it away here"));
        } else if mode == "SIMPLE" {
            let report = self.report("caCrl", "SIMPLE asks clients for no certificate, so none can be revoked");
            sink.push(self.without(report.hint("mode: MUTUAL asks for one"), &["caCrl"], true));
        }
    }

    fn ciphers(&self, tls: &Value, sink: &mut Sink<'a>) {
        let ciphers: Vec<(usize, &str)> =
            items(tls, "/cipherSuites").filter_map(|(index, name)| Some((index, name.as_str()?))).collect();
        let old = matches!(text(tls, "/minProtocolVersion"), "TLSV1_0" | "TLSV1_1");
        if old && ciphers.is_empty() {
            let message = "versions before TLS 1.2 have none of the ciphers that are on by default";
            let report = self.report("minProtocolVersion", message).severity(Severity::Warning);
            sink.push(report.hint("Name ciphers for them in cipherSuites, or leave the old versions out"));
        }
        for (index, name) in ciphers.iter().filter(|(_, name)| !is_cipher(name)) {
            sink.push(self.unknown_cipher(*index, name));
        }
        let mut seen = BTreeSet::new();
        for (index, name) in ciphers.into_iter().filter(|(_, name)| is_cipher(name) && !seen.insert(*name)) {
            let field = format!("cipherSuites/{index}");
            let report = self.report(&field, format!("the cipher {name} is named twice")).severity(Severity::Warning);
            sink.push(self.without(report, &[&field], true));
        }
    }
}

impl<'a> One<'a> {
    fn unknown_cipher(&self, index: usize, name: &str) -> Report<'a> {
        let field = format!("cipherSuites/{index}");
        let report = self.report(&field, format!("Envoy has no cipher {name}: it is left out"));
        let report = report.severity(Severity::Warning);
        let upper = name.to_uppercase().replace('_', "-");
        let near = CIPHERS.iter().map(|known| (distance(known, &upper), *known)).min();
        match near.filter(|(far, _)| *far <= 2) {
            Some((far, meant)) => {
                let edit = (self.manifest, EditOp::Set(self.tls_at(&format!("/{field}")), meant.into()));
                report.hint(format!("Did you mean {meant}?")).fix(format!("write {meant}"), far == 0, vec![edit])
            }
            None => report.hint("Ciphers of TLS 1.3 cannot be chosen; for others Envoy uses the names of OpenSSL"),
        }
    }
}

/// As istiod reads it: words with an operator before them are not looked into.
fn is_cipher(name: &str) -> bool {
    matches!(name, "" | "ALL") || !name.starts_with(char::is_alphanumeric) || CIPHERS.contains(&name)
}

fn given(tls: &Value, field: &str) -> bool {
    match tls.get(field) {
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        _ => false,
    }
}

fn certificates(tls: &Value) -> Vec<&'static str> {
    CERTIFICATES.into_iter().filter(|field| given(tls, field)).collect()
}
