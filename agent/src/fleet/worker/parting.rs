//! The grace period: an object must have been gone from Git for a while before it is removed, so that a commit that nobody
//! meant can be taken back, and another FleetSync can take the object over.

use asm_shared::object::ObjectId;
use asm_shared::plan::Prune;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Objects that have left Git, and since when. A restarted agent counts anew: later is safe.
#[derive(Debug, Default)]
pub(crate) struct Parting {
    since: BTreeMap<ObjectId, (Instant, Timestamp)>,
    /// When the next one may go.
    end: Option<Instant>,
}

impl Parting {
    /// Takes in what has left Git, and gives back what has been gone long enough; what came back is forgotten.
    pub(super) fn due(&mut self, leaving: &[Prune], grace: Duration, now: (Instant, Timestamp)) -> Vec<Prune> {
        self.since.retain(|id, _| leaving.iter().any(|prune| prune.id == *id));
        let mut due = Vec::new();
        self.end = None;
        for prune in leaving {
            let (since, _) = *self.since.entry(prune.id.clone()).or_insert(now);
            match since.checked_add(grace).filter(|end| *end > now.0) {
                None => due.push(prune.clone()),
                Some(end) => self.end = Some(self.end.map_or(end, |first| first.min(end))),
            }
        }
        due
    }

    /// When a pass has something to remove that must wait now.
    pub(super) fn end(&self) -> Option<Instant> {
        self.end
    }

    /// Nothing waits here.
    pub(super) fn clear_end(&mut self) {
        self.end = None;
    }

    /// What waits, for people.
    pub(super) fn message(&self, waiting: usize, grace: Duration) -> Option<String> {
        let (_, first) = self.since.values().min_by_key(|(since, _)| *since).filter(|_| waiting > 0)?;
        let end = jiff::SignedDuration::try_from(grace).ok().and_then(|grace| first.checked_add(grace).ok())?;
        let end = end.strftime("%H:%M:%SZ");
        Some(format!(
            "{waiting} objects have left Git and are removed from {end} on (spec.prune.graceSeconds); put them back into Git to \
             keep them"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaving(names: &[&str]) -> Vec<Prune> {
        let id = |name: &&str| ObjectId::new("", "ConfigMap", Some("default"), name);
        names.iter().map(|name| Prune { id: id(name), api_version: "v1".into(), uid: (*name).into() }).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_goes_only_after_its_own_grace_and_one_that_comes_back_begins_anew() {
        let (mut parting, grace) = (Parting::default(), Duration::from_secs(30));
        let clock = || (Instant::now(), Timestamp::UNIX_EPOCH);
        assert!(parting.due(&leaving(&["a"]), grace, clock()).is_empty());
        assert_eq!(parting.end(), Some(Instant::now() + grace));
        assert!(parting.message(1, grace).is_some_and(|told| told.contains("from 00:00:30Z on")));
        tokio::time::advance(Duration::from_secs(20)).await;
        assert!(parting.due(&leaving(&["a", "b"]), grace, clock()).is_empty());
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(parting.due(&leaving(&["a", "b"]), grace, clock()), leaving(&["a"]));
        assert_eq!(parting.end(), Some(Instant::now() + Duration::from_secs(20)));
        // Back in Git, and gone again.
        assert!(parting.due(&[], grace, clock()).is_empty());
        tokio::time::advance(Duration::from_secs(100)).await;
        assert!(parting.due(&leaving(&["b"]), grace, clock()).is_empty());
        assert_eq!(parting.due(&leaving(&["b"]), Duration::ZERO, clock()), leaving(&["b"]));
        assert_eq!(parting.end(), None);
    }
}
