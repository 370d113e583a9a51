//! What host names mean: Services by their full name over all clusters, and the hosts of ServiceEntries.

use super::names::namespace;
use super::services::Service;
use crate::fleet::Manifest;
use crate::istio::full_host;
use crate::object::At as _;
use serde_json::Value;
use std::collections::HashMap;

/// All hosts.
#[derive(Debug, Default)]
pub(in crate::lint) struct Hosts<'a> {
    /// Services by full name (indices).
    services: HashMap<String, Vec<usize>>,
    /// ServiceEntries by host; wildcards among them.
    entries: HashMap<String, Vec<&'a Manifest>>,
    wildcards: Vec<(String, &'a Manifest)>,
}

/// What a host name means.
#[derive(Clone, Debug, Default)]
pub(in crate::lint) struct HostMatch<'a> {
    /// Services of that name, one per cluster that has it (indices into `World::services`).
    pub(in crate::lint) services: Vec<usize>,
    /// ServiceEntries with that host, or with a wildcard that has it.
    pub(in crate::lint) entries: Vec<&'a Manifest>,
}

impl HostMatch<'_> {
    /// Nothing has this name.
    pub(in crate::lint) fn is_empty(&self) -> bool {
        self.services.is_empty() && self.entries.is_empty()
    }
}

impl<'a> Hosts<'a> {
    pub(super) fn of(entries: &[&'a Manifest], services: &[Service<'a>]) -> Self {
        let mut hosts = Self::default();
        // The Services of all clusters mostly have the same names: each is written out once.
        let mut by_name: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
        for (index, service) in services.iter().enumerate() {
            by_name.entry((service.namespace, &service.name)).or_default().push(index);
        }
        for ((namespace, name), indices) in by_name {
            hosts.services.entry(full_host(name, namespace).to_lowercase()).or_default().extend(indices);
        }
        hosts.services.values_mut().for_each(|indices| indices.sort_unstable());
        for manifest in entries {
            let named = manifest.object.at("/spec/hosts").and_then(Value::as_array).into_iter().flatten();
            for host in named.filter_map(Value::as_str).map(|host| full_host(host, namespace(manifest)).to_lowercase())
            {
                match host.strip_prefix('*') {
                    Some(suffix) => hosts.wildcards.push((suffix.to_owned(), manifest)),
                    None => hosts.entries.entry(host).or_default().push(manifest),
                }
            }
        }
        hosts
    }

    /// What a host means when an object of this namespace names it.
    pub(in crate::lint) fn find(&self, host: &str, namespace: &str) -> HostMatch<'a> {
        let full = full_host(host, namespace).to_lowercase();
        // `reviews.shop` is short for `reviews.shop.svc.cluster.local`; `.svc` likewise.
        let longer = [full.clone(), format!("{full}.svc.cluster.local"), format!("{full}.cluster.local")];
        let services = longer.iter().find_map(|name| self.services.get(name)).cloned().unwrap_or_default();
        let mut entries = self.entries.get(&full).cloned().unwrap_or_default();
        let wide =
            self.wildcards.iter().filter(|(suffix, _)| full.len() > suffix.len() && full.ends_with(suffix.as_str()));
        entries.extend(wide.map(|(_, manifest)| *manifest));
        HostMatch { services, entries }
    }

    /// Names of the Services that the fleet knows, for "did you mean".
    pub(in crate::lint) fn names(&self) -> impl Iterator<Item = &str> {
        self.services.keys().chain(self.entries.keys()).map(String::as_str)
    }
}
