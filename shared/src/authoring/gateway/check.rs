//! What is wrong or strange about a gateway. A change is judged by what it brings: what was so before is not held
//! against it.

mod load_balancer;
mod needs;
mod service_ports;

use super::super::suggest::did_you_mean;
use super::fields::{self, FIELDS, Type};
use super::path::kind;
use super::{NAMESPACE, RESERVED_LABELS, cloud};
use crate::asm::gateway::{self, OF_A_CLUSTER};
use crate::fleet::{Cluster, Fleet, FleetState};
use crate::object::At as _;
use serde_json::Value;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// JSON pointer of the field.
    pub(super) pointer: String,
    /// What is wrong.
    pub(super) message: String,
    /// What to do.
    pub(super) hints: Vec<String>,
    /// It cannot work: nothing is written.
    pub(super) fatal: bool,
}

/// A gateway being looked at.
struct Subject<'a> {
    name: &'a str,
    object: &'a Value,
    state: &'a FleetState,
    fleet: &'a Fleet,
    found: Vec<Finding>,
}

/// Everything that `after` has and `before` had not.
pub(super) fn introduced(
    name: &str,
    before: Option<&Value>,
    after: &Value,
    state: &FleetState,
    fleet: &Fleet,
) -> Vec<Finding> {
    let known: Vec<_> = before.map(|before| of(name, before, state, fleet)).unwrap_or_default();
    let told = |finding: &Finding| known.iter().any(|known| known.message == finding.message);
    of(name, after, state, fleet).into_iter().filter(|finding| !told(finding)).collect()
}

fn of(name: &str, object: &Value, state: &FleetState, fleet: &Fleet) -> Vec<Finding> {
    let mut subject = Subject { name, object, state, fleet, found: Vec::new() };
    subject.types();
    subject.hosting();
    subject.labels();
    subject.scaling();
    subject.service_ports();
    subject.load_balancer();
    subject.needs();
    subject.found
}

impl<'a> Subject<'a> {
    fn error(&mut self, pointer: impl Into<String>, message: impl Into<String>, hints: &[&str]) {
        self.add(pointer.into(), message.into(), hints, true);
    }

    fn warning(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.add(pointer.into(), message.into(), &[], false);
    }

    fn add(&mut self, pointer: String, message: String, hints: &[&str], fatal: bool) {
        let hints = hints.iter().map(|hint| (*hint).to_owned()).collect();
        self.found.push(Finding { pointer, message, hints, fatal });
    }

    fn spec(&self, field: &str) -> Option<&'a Value> {
        self.object.get("spec")?.get(field)
    }

    fn text(&self, field: &str) -> Option<&'a str> {
        self.spec(field)?.as_str()
    }

    fn is_serverless(&self) -> bool {
        gateway::is_serverless(self.object)
    }

    fn service_type(&self) -> &'a str {
        self.text("serviceType").unwrap_or("LoadBalancer")
    }

    fn is_nlb(&self) -> bool {
        self.text("loadBalancerClass") == Some(cloud::NLB_CLASS)
    }

    /// The parts that hold fields: `spec`, and what each cluster has differently. With the pointer and the cluster's ID.
    fn parts(&self) -> Vec<(String, Option<&'a str>, &'a Value)> {
        let all = self.object.get("spec").map(|spec| ("/spec".to_owned(), None, spec));
        let overrides = self.spec("overrides").and_then(Value::as_object).into_iter().flatten();
        let overrides = overrides.map(|(id, inner)| (format!("/spec/overrides/{id}"), Some(id.as_str()), inner));
        all.into_iter().chain(overrides).collect()
    }

    /// The member clusters that it runs in.
    fn clusters(&self) -> Vec<&'a Cluster> {
        let ids = gateway::cluster_ids(self.object);
        let fleet: &'a Fleet = self.fleet;
        fleet.spec.clusters.iter().filter(|c| c.id.as_deref().is_some_and(|id| ids.contains(&id))).collect()
    }

    fn types(&mut self) {
        for (base, _, part) in self.parts() {
            for (field, value) in part.as_object().into_iter().flatten() {
                let pointer = format!("{base}/{field}");
                match fields::type_of(field) {
                    Some(wanted) if !wanted.fits(value) => {
                        let message = format!("{field} is {}, it has to be {}", kind(value), wanted.word());
                        self.error(pointer, message, &[]);
                    }
                    Some(_) => {}
                    None => {
                        let near = did_you_mean(field, FIELDS.iter().map(|(known, _)| *known)).unwrap_or_default();
                        let near = if near.is_empty() { near } else { format!("; {near}") };
                        self.warning(
                            pointer,
                            format!(
                                "{field} is not a field of IstioGateway that is known here: it is kept as it is{near}"
                            ),
                        );
                    }
                }
            }
        }
        if has_fraction(self.object) {
            self.error("/spec", "no field of a gateway takes a number with a fraction", &["quote it if it is text"]);
        }
        let annotations = self.object.at("/metadata/annotations");
        if annotations.is_some_and(|annotations| !Type::Texts.fits(annotations)) {
            self.error("/metadata/annotations", "annotations have to be text: quote them", &[]);
        }
        for (field, allowed) in [
            ("gatewayType", &["ingress", "egress"][..]),
            ("serviceType", &["LoadBalancer", "NodePort", "ClusterIP"]),
            ("externalTrafficPolicy", &["Cluster", "Local"]),
        ] {
            if let Some(value) = self.text(field).filter(|value| !allowed.contains(value)) {
                let message = format!("{field} is `{value}`, it has to be one of {}", allowed.join(", "));
                self.error(format!("/spec/{field}"), message, &[]);
            }
        }
        if self.service_type() == "ClusterIP" && self.spec("externalTrafficPolicy").is_some() {
            let message = "externalTrafficPolicy needs a Service of type LoadBalancer or NodePort, not ClusterIP";
            self.error("/spec/externalTrafficPolicy", message, &["take it away with --unset externalTrafficPolicy"]);
        }
    }

    fn hosting(&mut self) {
        let ids = gateway::cluster_ids(self.object);
        if self.is_serverless() {
            if !ids.is_empty() || self.spec("overrides").is_some() {
                let message = "a serverless gateway has no clusters: ASM runs it";
                self.error("/spec/clusterIds", message, &["leave --cluster, clusterIds and overrides out"]);
            }
            let is_set = |field: &&&str| self.spec(field).is_some_and(|value| value != &Value::Bool(false));
            let set: Vec<_> = OF_A_CLUSTER.iter().filter(is_set).collect();
            for field in set {
                self.warning(
                    format!("/spec/{field}"),
                    format!("{field} refers to a cluster, and a serverless gateway is in none: what ASM does with it is not documented"),
                );
            }
            return;
        }
        if ids.is_empty() {
            let hint = "name them with --cluster A,B, or let ASM run it with --serverless";
            self.error("/spec/clusterIds", "a gateway needs at least one cluster", &[hint]);
        }
        let known = |id: &str| self.fleet.spec.clusters.iter().any(|cluster| cluster.id.as_deref() == Some(id));
        let unknown: Vec<_> = ids.iter().filter(|id| !known(id)).collect();
        for id in unknown {
            self.error(
                "/spec/clusterIds",
                format!("fleet.yaml has no cluster with the ID {id}"),
                &["see: kubectl asm cluster list"],
            );
        }
        for (pointer, id, _) in self.parts() {
            if let Some(id) = id.filter(|id| !ids.contains(id)) {
                let message = format!("overrides are for the cluster {id}, in which the gateway does not run");
                self.error(pointer, message, &["name the cluster in clusterIds as well, or take the override away"]);
            }
        }
    }

    fn labels(&mut self) {
        for (base, _, part) in self.parts() {
            for (label, value) in part.get("podLabels").and_then(Value::as_object).into_iter().flatten() {
                let pointer = format!("{base}/podLabels");
                if RESERVED_LABELS.contains(&label.as_str()) {
                    let message = format!(
                        "the label {label} is reserved: ASM sets {} on the pods itself",
                        RESERVED_LABELS.join(", ")
                    );
                    self.error(pointer, message, &["choose another label, for example team=edge"]);
                } else if let Some(value) = value.as_str().filter(|value| !is_label(label, value)) {
                    self.error(pointer, format!("`{label}={value}` is not a label"), &[LABEL_HINT]);
                }
            }
        }
        if self.object.at("/metadata/namespace").and_then(Value::as_str) != Some(NAMESPACE) {
            self.error(
                "/metadata/namespace",
                format!("a gateway stands in {NAMESPACE}: elsewhere it does not start"),
                &[],
            );
        }
    }

    fn scaling(&mut self) {
        for (base, _, part) in self.parts() {
            let number = |field: &str| part.get(field).and_then(Value::as_i64);
            let target = |field: &str| part.get(field).and_then(|metric| metric.get("targetAverageUtilization"));
            for field in ["replicaCount", "minReplicas", "maxReplicas"] {
                if number(field).is_some_and(|count| count < 1) {
                    self.error(format!("{base}/{field}"), format!("{field} has to be 1 or more"), &[]);
                }
            }
            if let (Some(min), Some(max)) = (number("minReplicas"), number("maxReplicas"))
                && min > max
            {
                self.error(
                    format!("{base}/minReplicas"),
                    format!("minReplicas {min} is more than maxReplicas {max}"),
                    &[],
                );
            }
            let has_target = target("cpu").or(target("memory")).is_some();
            if base == "/spec" && has_target && number("maxReplicas").is_none() {
                self.error(
                    format!("{base}/maxReplicas"),
                    "a target without a range scales nothing",
                    &["add --min-replicas and --max-replicas"],
                );
            }
            if base == "/spec" && number("maxReplicas").is_some() && !has_target {
                self.warning(
                    format!("{base}/maxReplicas"),
                    "nothing says when to scale between minReplicas and maxReplicas: add --cpu-target or --memory-target",
                );
            }
            for metric in ["cpu", "memory"] {
                if target(metric).is_some_and(|target| target.as_i64().is_none_or(|percent| percent < 1)) {
                    self.error(
                        format!("{base}/{metric}"),
                        format!("the target of {metric} is a percentage of its request, 1 or more"),
                        &[],
                    );
                }
            }
            for field in ["rollingMaxSurge", "rollingMaxUnavailable"] {
                let number = |text: &str| text.strip_suffix('%').unwrap_or(text).parse::<u32>().is_ok();
                if let Some(text) = part.get(field).and_then(Value::as_str).filter(|text| !number(text)) {
                    self.error(
                        format!("{base}/{field}"),
                        format!("{field} is `{text}`, it has to be a number or a percentage"),
                        &[],
                    );
                }
            }
        }
    }
}

/// What a label may be.
pub(super) const LABEL_HINT: &str = "a key is [prefix/]name; name and value have at most 63 letters, digits, `-`, `_` or `.`, a letter or digit at both ends";

/// Is it a label that Kubernetes takes?
pub(super) fn is_label(key: &str, value: &str) -> bool {
    let part = |text: &str| {
        let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        text.len() <= 63
            && ends(text.chars().next())
            && ends(text.chars().last())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let (prefix, name) = key.rsplit_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let dns = |prefix: &str| {
        prefix.len() <= 253
            && prefix.split('.').all(|label| {
                part(label) && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            })
    };
    part(name) && prefix.is_none_or(dns) && (value.is_empty() || part(value))
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_i64().is_none(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(map) => map.values().any(has_fraction),
        _ => false,
    }
}
