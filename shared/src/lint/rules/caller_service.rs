//! # caller-service
//!
//! ## What it finds
//!
//! Pods whose environment, arguments or command name a Service (`http://ratings:9080`, `ratings.shop`, `ratings.shop.svc…`) that
//! other member clusters have and theirs has not.
//!
//! ## Why it is bad
//!
//! The mesh joins the endpoints of all clusters, but a name is looked up in the DNS of the caller's cluster: without a Service
//! there, even one without pods, it does not resolve, and the call never leaves the pod.
//!
//! ## How to mend it
//!
//! Put the Service into that cluster too: into a group that both are in, for example. It needs no pods there.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Pod, World};
use crate::fleet::{Target, pods};
use crate::object::At as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "caller-service",
    severity: Severity::Warning,
    summary: "pods call a Service that their cluster does not have",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("caller_service.rs"),
    check,
};

/// The clusters that have a Service, by namespace and name.
type Holders<'w> = BTreeMap<(&'w str, &'w str), BTreeSet<&'w Target>>;

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let members: BTreeSet<&Target> = world.pods().iter().filter_map(|pod| pod.target.as_ref()).collect();
    let mut holders: Holders<'_> = BTreeMap::new();
    for service in world.services().iter().filter(|service| service.target != Target::Mesh) {
        holders.entry((service.namespace, &*service.name)).or_default().insert(&service.target);
    }
    holders.retain(|_, holders| members.iter().any(|member| **member != Target::Mesh && !holders.contains(member)));
    if holders.is_empty() {
        return;
    }
    for pod in world.pods() {
        if let (Some(spec), Some(target)) = (pod.spec, &pod.target) {
            calls(pod, spec, target, &holders, sink);
        }
    }
}

fn calls<'a>(pod: &Pod<'a>, spec: &'a Value, target: &Target, holders: &Holders<'_>, sink: &mut Sink<'a>) {
    let Some(template) = pods::template_at(pod.manifest) else { return };
    let mut told = BTreeSet::new();
    for (at, text) in texts(spec) {
        for (name, space) in names(text) {
            let key = (space.unwrap_or(pod.namespace), name);
            let Some(those) = holders.get(&key).filter(|those| !those.contains(target)) else { continue };
            if !told.insert(key) {
                continue;
            }
            let names: Vec<&str> = those.iter().map(|holder| holder.name()).collect();
            let message = format!(
                "pods here call {}.{}, and only {} has that Service: its name does not resolve",
                key.1,
                key.0,
                names.join(", ")
            );
            let report = Report::at(pod.manifest, format!("{template}/spec{at}"), message);
            sink.push(
                report.targets([target.clone()]).hint("Put the Service into this cluster too; it needs no pods here"),
            );
        }
    }
}

/// What the containers are told, each with its place in the spec.
fn texts(spec: &Value) -> Vec<(String, &str)> {
    let list = |value: &'_ Value, field: &str| value.get(field).and_then(Value::as_array).map_or(0, Vec::len);
    let mut found = Vec::new();
    let mut add = |at: String| {
        if let Some(text) = spec.at(&at).and_then(Value::as_str) {
            found.push((at, text));
        }
    };
    for kind in ["containers", "initContainers"] {
        let containers = spec.get(kind).and_then(Value::as_array).into_iter().flatten();
        for (index, container) in containers.enumerate() {
            let base = format!("/{kind}/{index}");
            (0..list(container, "env")).for_each(|at| add(format!("{base}/env/{at}/value")));
            for field in ["args", "command"] {
                (0..list(container, field)).for_each(|at| add(format!("{base}/{field}/{at}")));
            }
        }
    }
    found
}

/// Names of Services that a text may mean, with their namespace if it says one. A bare word counts only as the host of a URL or
/// before a port: `redis` alone is anything.
fn names(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (start, is_part(c)) {
            (None, true) => start = Some(at),
            (Some(first), false) => {
                words.push((first, at));
                start = None;
            }
            _ => {}
        }
    }
    words.into_iter().filter_map(move |(first, end)| {
        let (before, word, after) = (text.get(..first)?, text.get(first..end)?, text.get(end..)?);
        let mut labels = word.trim_end_matches('.').split('.');
        let (name, space, rest) = (labels.next()?, labels.next(), labels.next());
        match (space, rest) {
            (None, _) => {
                let port = after.strip_prefix(':').is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()));
                (before.ends_with("://") || port).then_some((name, None))
            }
            (Some(_), None | Some("svc")) => Some((name, space)),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_a_text_may_mean() {
        for (text, expected) in [
            ("http://ratings:9080/a", vec![("ratings", None)]),
            ("ratings:9080", vec![("ratings", None)]),
            ("redis", vec![]),
            ("grpc://a.shop,b.shop.svc.cluster.local:80", vec![("a", Some("shop")), ("b", Some("shop"))]),
            ("https://www.example.com/x", vec![]),
            ("key: value", vec![]),
        ] {
            assert_eq!(super::names(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
