//! What is needed against what an API server says is granted.

use super::{Need, VERBS};
use serde::Deserialize;
use std::collections::BTreeSet;

/// A rule as a `SelfSubjectRulesReview` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Granted {
    /// Groups; `*` for all.
    pub api_groups: Vec<String>,
    /// Plurals; `*` for all, `*/scale` for a subresource of all.
    pub resources: Vec<String>,
    /// Only these; empty for all.
    pub resource_names: Vec<String>,
    /// Verbs; `*` for all.
    pub verbs: Vec<String>,
}

impl Granted {
    fn allows(&self, need: &Need) -> bool {
        let has = |list: &[String], word: &str| list.iter().any(|entry| entry == "*" || entry == word);
        let of_all = need.resource.split_once('/').map(|(_, sub)| format!("*/{sub}"));
        has(&self.verbs, need.verb)
            && has(&self.api_groups, &need.group)
            && (has(&self.resources, &need.resource) || of_all.is_some_and(|word| self.resources.contains(&word)))
            && (self.resource_names.is_empty()
                || need.name.as_ref().is_some_and(|name| self.resource_names.iter().any(|known| **known == **name)))
    }

    /// Is everything that it allows needed?
    fn is_needed(&self, needs: &[&Need]) -> Vec<String> {
        let mut beyond = Vec::new();
        for group in &self.api_groups {
            for resource in &self.resources {
                let of_it = |need: &&&Need| *need.group == **group && *need.resource == **resource;
                let beside = |name: Option<&str>| {
                    let known = |verb: &&String| {
                        needs.iter().filter(of_it).any(|need| {
                            need.verb == verb.as_str() && (need.name.is_none() || need.name.as_deref() == name)
                        })
                    };
                    let mut verbs: Vec<&String> = self.verbs.iter().filter(|verb| !known(verb)).collect();
                    verbs.sort_by_key(|verb| VERBS.iter().position(|one| *one == verb.as_str()));
                    verbs.iter().map(|verb| verb.as_str()).collect::<Vec<_>>().join(",")
                };
                let full = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
                let mut tell = |verbs: String, name: &str| {
                    if !verbs.is_empty() {
                        beyond.push(format!("{verbs} {full}{name}"));
                    }
                };
                if self.resource_names.is_empty() {
                    tell(beside(None), "");
                }
                for name in &self.resource_names {
                    tell(beside(Some(name)), &format!(" {name}"));
                }
            }
        }
        beyond
    }
}

/// Of what is needed in one place (`None`: the whole cluster) what is not granted, and what is granted beyond it (`get,list
/// secrets`). `everyone`: what the API server grants to whoever logs in, which nobody gave to the agent.
pub fn compare<'n>(
    needs: &'n BTreeSet<Need>,
    place: Option<&str>,
    granted: &[Granted],
    everyone: &[Granted],
) -> (Vec<&'n Need>, Vec<String>) {
    let here = |need: &&Need| need.namespace.as_deref() == place;
    let missing = needs.iter().filter(here).filter(|need| !granted.iter().any(|rule| rule.allows(need))).collect();
    // What is needed everywhere is needed here too.
    let used: Vec<&Need> =
        needs.iter().filter(|need| need.namespace.is_none() || need.namespace.as_deref() == place).collect();
    let own = granted.iter().filter(|rule| !everyone.contains(rule));
    let beyond: BTreeSet<String> = own.flat_map(|rule| rule.is_needed(&used)).collect();
    (missing, beyond.into_iter().collect())
}
