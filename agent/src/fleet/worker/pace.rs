//! When touched objects are looked at: soon after they were touched, but not over and over while a rollout goes on.

use std::time::Duration;
use tokio::time::Instant;

/// Events are gathered this long before they are looked at: one write often makes several.
const GATHER: Duration = Duration::from_millis(50);
/// After a look that took long (many objects had to be read) the next one waits up to this many times as long: a rollout of a
/// thousand Deployments must not make the agent read them over and over.
const SHARE: u32 = 5;
/// It waits less when nothing has happened for this part of the time of the last look: the rollout has ended, and people wait to
/// hear it.
const QUIET_SHARE: u32 = 4;
/// No longer than this, however long the look took.
const QUIET: Duration = Duration::from_millis(500);

/// When the next look is due.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// At the latest.
    at: Option<Instant>,
    /// If nothing happens until then.
    quiet_at: Option<Instant>,
    /// When the last look ended, and how long it took.
    last: Option<(Instant, Duration)>,
}

impl Pace {
    /// When the next look is due, if any is.
    pub(super) fn due(&self) -> Option<Instant> {
        self.at.into_iter().chain(self.quiet_at).min()
    }

    /// The next look does not wait.
    pub(super) fn now(&mut self, now: Instant) {
        self.at = Some(now);
    }

    /// Something was touched.
    pub(super) fn touched(&mut self, now: Instant) {
        self.heard(now);
        let took = self.took();
        // However restless it is, at least half of the time nothing is read.
        let rested = self.last.map_or(now, |(ended, took)| ended + took);
        self.quiet_at = Some((now + (took / QUIET_SHARE).clamp(GATHER, QUIET)).max(rested));
    }

    /// Something was said of an object that may be worth a look.
    pub(super) fn heard(&mut self, now: Instant) {
        let soon = now + GATHER.max(self.took() * SHARE);
        self.at = Some(self.at.map_or(soon, |at| at.min(soon)));
    }

    /// A look has ended; the next one is due after the pause, whatever happens.
    pub(super) fn looked(&mut self, began: Instant, now: Instant, pause: Option<Duration>) {
        *self = Self { at: pause.map(|pause| now + pause), quiet_at: None, last: Some((now, now - began)) };
    }

    fn took(&self) -> Duration {
        self.last.map_or(Duration::ZERO, |(_, took)| took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, pace: &Pace) -> Option<u128> {
        pace.due().map(|due| (due - start).as_millis())
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn one_write_is_looked_at_at_once_and_its_events_together() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(after(start, &pace), None);
        pace.touched(start);
        pace.touched(start + ms(30));
        assert_eq!(after(start, &pace), Some(50));
        pace.looked(start + ms(50), start + ms(55), None);
        assert_eq!(after(start, &pace), None);
        pace.touched(start + ms(60));
        assert_eq!(after(start, &pace), Some(110));
    }

    #[test]
    fn a_rollout_is_looked_at_when_it_has_ended_and_seldom_before() {
        let start = Instant::now();
        let mut pace = Pace::default();
        // A look that took two seconds.
        pace.looked(start, start + ms(2_000), None);
        for n in 0..200 {
            pace.touched(start + ms(2_000 + n * 100));
            let due = after(start, &pace).unwrap();
            // Something happens every 100 ms: only the end of five times its time counts.
            assert!(due == 12_000 || due == u128::from(2_500 + n * 100).max(4_000), "{n}: {due}");
        }
        pace.looked(start + ms(12_000), start + ms(14_000), None);
        pace.touched(start + ms(17_000));
        assert_eq!(after(start, &pace), Some(17_500), "quiet after its end");
    }

    #[test]
    fn restless_objects_are_not_read_more_than_half_of_the_time() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.looked(start, start + ms(3_000), None);
        pace.touched(start + ms(3_001));
        assert_eq!(after(start, &pace), Some(6_000));
    }

    #[test]
    fn what_cannot_wait_does_not_and_pauses_are_kept() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.looked(start, start + ms(1_000), Some(ms(9_000)));
        assert_eq!(after(start, &pace), Some(10_000));
        pace.heard(start + ms(2_000));
        assert_eq!(after(start, &pace), Some(7_000));
        pace.now(start + ms(3_000));
        assert_eq!(after(start, &pace), Some(3_000));
    }
}
