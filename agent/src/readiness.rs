//! Named checks behind `/readyz`: whoever does the work says whether it is ready.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Checks {
    /// By name; the reason when a check is not fine.
    reasons: BTreeMap<String, Option<String>>,
}

/// The checks. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Checks>>);

impl Readiness {
    /// Adds a check that is not ready yet, so that the agent is not ready before the work has even started.
    pub fn expect(&self, check: &str) {
        self.not_ready(check, "not started yet");
    }

    /// The check is fine.
    pub fn ready(&self, check: &str) {
        self.checks().reasons.insert(check.to_owned(), None);
    }

    /// The check is not fine, and why. The text is shown to whoever asks `/readyz`: no secrets.
    pub fn not_ready(&self, check: &str, reason: impl Into<String>) {
        self.checks().reasons.insert(check.to_owned(), Some(reason.into()));
    }

    /// Takes a check away (its FleetSync is gone).
    pub fn forget(&self, check: &str) {
        self.checks().reasons.remove(check);
    }

    /// What is not ready: check and reason, in order of name. Empty: ready.
    pub fn missing(&self) -> Vec<(String, String)> {
        let checks = self.checks();
        let reason = |(check, reason): (&String, &Option<String>)| Some((check.clone(), reason.clone()?));
        checks.reasons.iter().filter_map(reason).collect()
    }

    // A panic while the lock was held cannot leave the checks half changed: every change is one call.
    fn checks(&self) -> MutexGuard<'_, Checks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn lists_what_is_missing_until_it_is_ready() {
        let readiness = Readiness::default();
        readiness.expect("watch");
        let clone = readiness.clone();
        clone.not_ready("git", "no answer");
        assert_eq!(
            readiness.missing(),
            [("git".into(), "no answer".into()), ("watch".into(), "not started yet".into())]
        );
        clone.ready("watch");
        clone.forget("git");
        assert!(readiness.missing().is_empty());
    }
}
