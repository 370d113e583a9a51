//! What the targets of this replica say.

use super::Supervisor;
use crate::fleet::conditions::told;
use crate::fleet::worker::{News, Word};
use jiff::Timestamp;
use kube::runtime::events::EventType;

/// Objects held back by lint that one report makes Events for.
const MOST_EVENTS: usize = 10;

impl Supervisor {
    pub(super) async fn hear(&mut self, word: Word) {
        match word {
            Word::News(target, News::Ended(past)) => self.writer.remember(target.name(), *past),
            Word::News(target, news) => {
                match &news {
                    News::Drift { change, .. } => self.context.metrics.drift_found(target.name(), *change),
                    News::Corrected { .. } => self.context.metrics.drift_corrected(target.name()),
                    _ => {}
                }
                self.events.news(&target, news).await;
            }
            Word::Report(report) => {
                let sync = self.label();
                let post = self.posts.get_mut(&report.target).filter(|post| post.work.is_some());
                // What a task says while it ends for another replica's sake is that one's to say.
                let Some(post) = post else { return };
                let before = post.report.as_ref();
                let held_before = before.map(|report| report.held.clone()).unwrap_or_default();
                let fresh: Vec<String> =
                    report.held.iter().filter(|h| !held_before.contains(h)).map(|h| h.message.clone()).collect();
                let lint_before = before.map(|report| report.lint.clone()).unwrap_or_default();
                let wrong = report.lint.iter().filter(|held| !lint_before.contains(held));
                let wrong: Vec<String> = wrong.map(|held| told(report.target.name(), held)).collect();
                let target = report.target.name();
                self.context.metrics.drifted(&sync, target, u32::try_from(report.drift.len()).unwrap_or(u32::MAX));
                let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
                self.context.metrics.held(&sync, target, count(report.held.len()));
                self.context.metrics.held_by_lint(&sync, target, count(report.lint.len()));
                self.context.metrics.credentials_expire(&sync, target, report.expires);
                if report.is_synced() {
                    self.context.metrics.target_synced(&sync, target, Timestamp::now());
                }
                post.report = Some(*report);
                for note in fresh {
                    self.events.publish(EventType::Warning, "HeldBack", "Plan", note).await;
                }
                let more = wrong.len().saturating_sub(MOST_EVENTS);
                for note in wrong.into_iter().take(MOST_EVENTS) {
                    self.events.publish(EventType::Warning, "LintErrors", "Lint", note).await;
                }
                if more > 0 {
                    let note = format!("lint holds {more} more objects back; find them with: kubectl asm lint");
                    self.events.publish(EventType::Warning, "LintErrors", "Lint", note).await;
                }
            }
        }
    }
}
