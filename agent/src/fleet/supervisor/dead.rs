//! Routes that lead where nobody answers: the pods of a destination may be in any cluster, so that only whoever hears of all
//! clusters can say so.

use super::Supervisor;
use crate::fleet::worker::seconds;
use asm_shared::fleet::Target;
use asm_shared::health::ways::{Told, Way, dead};
use asm_shared::object::ObjectId;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Namespace, Service and subset.
type Place = (Arc<str>, Arc<str>, Option<Arc<str>>);

/// Since when which ways lead nowhere.
#[derive(Debug, Default)]
pub(super) struct Since(BTreeMap<Place, Timestamp>);

impl Since {
    /// Takes in which ways lead nowhere now. Gives back what to say of each.
    fn take(&mut self, dead: &[&Way], now: Timestamp) -> Vec<(ObjectId, String)> {
        let key = |way: &Way| (way.namespace.clone(), way.service.clone(), way.subset.clone());
        let since = |way: &&Way| (key(way), self.0.get(&key(way)).copied().unwrap_or(now));
        self.0 = dead.iter().map(since).collect();
        let told = |way: &&Way| {
            let since = self.0.get(&key(way)).copied().unwrap_or(now);
            (way.used_by.object.clone(), format!("{} (since {})", way.fault(), seconds(since)))
        };
        dead.iter().map(told).collect()
    }
}

impl Supervisor {
    /// Looks, as far as every cluster says how it stands at the commit at hand.
    pub(super) fn find_dead_ways(&mut self) {
        let Some(base) = &self.base else { return };
        let clusters = self.known.targets.iter().filter(|(name, _)| name != Target::Mesh.name());
        let told: Vec<Option<&Told>> = clusters
            .map(|(_, brief)| {
                let brief = brief.as_ref()?;
                brief.ways.as_ref().filter(|_| brief.wanted == base.revision() && brief.blocked.is_none())
            })
            .collect();
        self.known.dead = self.dead_since.take(&dead(base.ways(), &told), Timestamp::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use asm_shared::fleet::Position;
    use asm_shared::health::ways::Origin;

    #[test]
    fn since_when_is_kept_as_long_as_it_lasts() {
        let way = Way {
            namespace: "shop".into(),
            service: "reviews".into(),
            subset: Some("v9".into()),
            labels: [("version".to_owned(), "v9".to_owned())].into(),
            used_by: Origin {
                object: ObjectId::new("networking.istio.io", "VirtualService", Some("shop"), "reviews"),
                position: Position { file: "mesh/r.yaml".into(), line: 7, column: 9 },
            },
            more: 1,
        };
        let at = |text: &str| text.parse().unwrap();
        let mut since = Since::default();
        let first = since.take(&[&way], at("2026-01-01T00:00:00Z"));
        assert_eq!(since.take(&[&way], at("2026-01-02T00:00:00Z")), first);
        assert_eq!(
            first[0].1,
            "sends requests to the subset v9 of reviews.shop (mesh/r.yaml:7:9) (and 1 more routes), and no ready pod in any \
             cluster has its labels (version=v9): these requests fail with 503. Start such pods, correct the labels, or take \
             the share away: kubectl asm route weight (since 2026-01-01T00:00:00Z)"
        );
        assert!(since.take(&[], at("2026-01-03T00:00:00Z")).is_empty());
        assert!(since.take(&[&way], at("2026-01-04T00:00:00Z"))[0].1.ends_with("(since 2026-01-04T00:00:00Z)"));
    }
}
