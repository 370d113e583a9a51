//! DestinationRules as istiod joins and chooses them (`setDestinationRules`, `mergeDestinationRule`, `destinationRule`).

use super::locality;
use super::model::{ROOT_NAMESPACE, items, namespace, text, texts};
use super::order::Ages;
use crate::fleet::Manifest;
use crate::istio::{by_specificity, full_host};
use crate::object::At as _;
use serde_json::{Map, Value};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// DestinationRules of one host that are joined.
#[derive(Clone, Debug)]
pub(super) struct Joined<'s> {
    exported: BTreeSet<&'s str>,
    /// Those joined, in their order.
    pub(super) from: Vec<&'s Manifest>,
    selector: Option<&'s Map<String, Value>>,
    pub(super) subsets: Vec<Subset<'s>>,
    pub(super) policy: Option<&'s Value>,
}

/// A subset, and where it is written.
#[derive(Clone, Debug)]
pub(super) struct Subset<'s> {
    pub(super) name: &'s str,
    pub(super) labels: Option<&'s Map<String, Value>>,
    pub(super) policy: Option<&'s Value>,
    pub(super) manifest: &'s Manifest,
    /// Other DestinationRules that define it too; the order of creation decides.
    pub(super) rivals: Vec<(&'s Manifest, Option<&'s Map<String, Value>>)>,
}

/// Rules of one namespace by host.
type ByHost<'s> = BTreeMap<String, Vec<Joined<'s>>>;

/// All of a mesh.
#[derive(Default)]
pub(super) struct DestinationRules<'s> {
    /// What a gateway does depends on the region of its pods.
    pub(super) by_region: bool,
    /// And on the name of their cluster.
    pub(super) by_cluster: bool,
    local: HashMap<&'s str, ByHost<'s>>,
    exported: HashMap<&'s str, ByHost<'s>>,
    root_private: ByHost<'s>,
}

impl<'s> DestinationRules<'s> {
    /// Those given are ordered by age.
    pub(super) fn of(all: &[&'s Manifest], ages: Ages<'_>) -> Self {
        let mut found = Self::default();
        let selector = |rule: &Manifest| rule.object.at("/spec/workloadSelector").is_some();
        let mut all = all.to_vec();
        // A stable sort: by age among themselves.
        all.sort_by_key(|rule| !selector(rule));
        for rule in all {
            let subsets = items(&rule.object, "/spec/subsets").iter().filter_map(|it| it.get("trafficPolicy"));
            for policy in subsets.chain(rule.object.at("/spec/trafficPolicy")) {
                found.by_region |= locality::matters(policy);
                found.by_cluster |= locality::names_clusters(policy);
            }
            let own = namespace(rule);
            let exported: BTreeSet<&str> =
                if selector(rule) { BTreeSet::from(["."]) } else { texts(&rule.object, "/spec/exportTo").collect() };
            let private = exported.len() == 1 && (exported.contains(".") || exported.contains(own));
            let at_home = exported.is_empty() || ["*", ".", own].iter().any(|name| exported.contains(name));
            if at_home {
                join(found.local.entry(own).or_default(), rule, &exported, ages);
            }
            if !private {
                join(found.exported.entry(own).or_default(), rule, &exported, ages);
            } else if own == ROOT_NAMESPACE {
                join(&mut found.root_private, rule, &exported, ages);
            }
        }
        found
    }

    /// What applies to a host when a gateway's pods call it.
    pub(super) fn find(
        &self,
        host: &str,
        of: Option<&str>,
        pods: &str,
        labels: &BTreeMap<String, String>,
    ) -> Option<&Joined<'s>> {
        let own = if pods == ROOT_NAMESPACE { Some(&self.root_private) } else { self.local.get(pods) };
        if let Some(rules) = own.and_then(|rules| most_specific(rules, host)) {
            return choose(rules.iter().collect(), pods, labels);
        }
        for space in of.into_iter().chain([ROOT_NAMESPACE]) {
            let rules = self.exported.get(space).and_then(|rules| most_specific(rules, host));
            let seen = rules.into_iter().flatten();
            let seen: Vec<_> = seen.filter(|rule| rule.exported.is_empty() || rule.is_seen_by(pods)).collect();
            if !seen.is_empty() {
                return choose(seen, pods, labels);
            }
        }
        None
    }
}

impl Joined<'_> {
    fn is_seen_by(&self, pods: &str) -> bool {
        self.exported.contains("*") || self.exported.contains(pods)
    }
}

/// The rules of the host itself, or of the narrowest wildcard around it.
fn most_specific<'m, 's>(rules: &'m ByHost<'s>, host: &str) -> Option<&'m [Joined<'s>]> {
    if let Some(exact) = rules.get(host) {
        return Some(exact);
    }
    let needle = host.strip_prefix('*').unwrap_or(host);
    // Wildcards sort first.
    let wide = rules.iter().take_while(|(rule, _)| rule.starts_with('*'));
    let wide = wide.filter(|(rule, _)| needle.ends_with(&rule[1..]));
    wide.min_by(|(a, _), (b, _)| by_specificity(a, b)).map(|(_, rules)| rules.as_slice())
}

/// Rules for certain pods before those for all; of the latter the last one.
fn choose<'m, 's>(rules: Vec<&'m Joined<'s>>, pods: &str, labels: &BTreeMap<String, String>) -> Option<&'m Joined<'s>> {
    let selects = |rule: &&&Joined<'_>| {
        let home = rule.from.first().is_some_and(|first| namespace(first) == pods);
        let has = |(key, value): (&String, &Value)| labels.get(key).map(String::as_str) == value.as_str();
        home && rule.selector.is_some_and(|selector| selector.iter().all(has))
    };
    let chosen = rules.iter().find(selects).or_else(|| rules.iter().rev().find(|rule| rule.selector.is_none()));
    chosen.copied()
}

fn join<'s>(rules: &mut ByHost<'s>, rule: &'s Manifest, exported: &BTreeSet<&'s str>, ages: Ages<'_>) {
    let host = full_host(text(&rule.object, "/spec/host"), namespace(rule));
    let known = rules.entry(host).or_default();
    let new = read(rule, exported);
    let mut apart = true;
    for known in known.iter_mut() {
        if known.exported == *exported {
            apart = false;
        } else {
            apart = true;
            if known.exported.is_empty() || !exported.is_superset(&known.exported) {
                continue;
            }
        }
        let (old, own) = (known.selector, new.selector);
        if old.is_some() && own.is_some() && old != own {
            apart = true;
            continue;
        }
        if old.is_some() == own.is_some() {
            apart = false;
        }
        absorb(known, &new, rule, ages);
    }
    if apart || known.is_empty() {
        known.push(new);
    }
}

/// What a later rule adds to an earlier one: subsets that it lacks, and a policy when it has none.
fn absorb<'s>(known: &mut Joined<'s>, new: &Joined<'s>, rule: &'s Manifest, ages: Ages<'_>) {
    known.from.push(rule);
    for subset in &new.subsets {
        match known.subsets.iter_mut().find(|old| old.name == subset.name) {
            None => known.subsets.push(subset.clone()),
            Some(old) if old.labels != subset.labels && ages.known(old.manifest, rule).is_none_or(Ordering::is_gt) => {
                old.rivals.push((rule, subset.labels));
            }
            Some(_) => {}
        }
    }
    known.policy = known.policy.or(new.policy);
}

fn read<'s>(rule: &'s Manifest, exported: &BTreeSet<&'s str>) -> Joined<'s> {
    let subsets = items(&rule.object, "/spec/subsets").iter().map(|subset| Subset {
        name: text(subset, "/name"),
        labels: subset.get("labels").and_then(Value::as_object),
        policy: subset.get("trafficPolicy").filter(|policy| !policy.is_null()),
        manifest: rule,
        rivals: Vec::new(),
    });
    Joined {
        exported: exported.clone(),
        from: vec![rule],
        selector: rule
            .object
            .at("/spec/workloadSelector")
            .map(|selector| selector.get("matchLabels").and_then(Value::as_object).unwrap_or(none())),
        subsets: subsets.collect(),
        policy: rule.object.at("/spec/trafficPolicy").filter(|policy| !policy.is_null()),
    }
}

fn none() -> &'static Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    &NONE
}
