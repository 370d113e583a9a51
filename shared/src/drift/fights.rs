//! Fights: a field that is put back and written again, over and over. Two who correct each other write for ever; whoever
//! notices stops, says who the other one is, and tries again after a pause that grows.

use crate::object::ObjectId;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Put back so many times …
const TIMES: usize = 3;
/// … within this, it is a fight.
const WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// The first pause, doubled each time …
const FIRST_PAUSE: SignedDuration = SignedDuration::from_mins(10);
/// … up to this.
const LAST_PAUSE: SignedDuration = SignedDuration::from_hours(4);
/// Fights that are remembered; more objects than this do not turn against the agent at once.
const MOST: usize = 1000;

/// A field that is no longer put back for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Contest {
    /// The object.
    pub object: ObjectId,
    /// The field; empty when the whole object is deleted again and again.
    pub path: String,
    /// Who writes it, as far as is known.
    pub other: String,
    /// How often it was put back.
    pub times: usize,
    /// Until when it is left as it is.
    pub until: Timestamp,
}

impl Contest {
    /// Both sides, and what to do, for people.
    pub fn message(&self) -> String {
        let what = if self.path.is_empty() { "is deleted".to_owned() } else { format!("{} is written", self.path) };
        format!(
            "{} {what} by {} again and again; asm-agent put it back {} times and now leaves it until {}: stop the other, or \
             leave the field to it (kubectl asm freeze)",
            self.object,
            self.other,
            self.times,
            self.until.round(jiff::Unit::Second).unwrap_or(self.until)
        )
    }
}

#[derive(Clone, Debug, Default)]
struct Field {
    other: String,
    /// The last times it was put back.
    puts: Vec<Timestamp>,
    times: usize,
    pause: Option<(Timestamp, SignedDuration)>,
}

/// What is known of fights on one target.
#[derive(Clone, Debug, Default)]
pub struct Fights(BTreeMap<(ObjectId, String), Field>);

impl Fights {
    /// May the field be put back?
    pub fn may_correct(&self, object: &ObjectId, path: &str, now: Timestamp) -> bool {
        let field = self.0.get(&(object.clone(), path.to_owned()));
        field.and_then(|field| field.pause).is_none_or(|(until, _)| until <= now)
    }

    /// The field was put back. Gives the contest when that was once too often.
    pub fn corrected(&mut self, object: &ObjectId, path: &str, other: Option<&str>, now: Timestamp) -> Option<Contest> {
        self.forget(now);
        if self.0.len() >= MOST && !self.0.contains_key(&(object.clone(), path.to_owned())) {
            return None;
        }
        let field = self.0.entry((object.clone(), path.to_owned())).or_default();
        field.other = other.unwrap_or("somebody who is not recorded").to_owned();
        field.puts.retain(|at| now.duration_since(*at) < WINDOW);
        field.puts.push(now);
        field.times += 1;
        // After a pause one more time is enough: the other side has not given up.
        let pause = match field.pause {
            Some((_, last)) => (last * 2).min(LAST_PAUSE),
            None if field.puts.len() >= TIMES => FIRST_PAUSE,
            None => return None,
        };
        field.pause = Some((now + pause, pause));
        Some(Contest {
            object: object.clone(),
            path: path.to_owned(),
            other: field.other.clone(),
            times: field.times,
            until: now + pause,
        })
    }

    /// The fields that are left as they are at a time.
    pub fn contested(&self, now: Timestamp) -> Vec<Contest> {
        let paused = self.0.iter().filter_map(|((object, path), field)| {
            let (until, _) = field.pause.filter(|(until, _)| *until > now)?;
            let (object, path, other) = (object.clone(), path.clone(), field.other.clone());
            Some(Contest { object, path, other, times: field.times, until })
        });
        paused.collect()
    }

    /// When the next pause ends.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.values().filter_map(|field| field.pause).map(|(until, _)| until).filter(|until| *until > now).min()
    }

    /// A field that Git no longer wants, or wants otherwise, is no fight any more.
    pub fn end(&mut self, object: &ObjectId) {
        self.0.retain(|(known, _), _| known != object);
    }

    /// What has been quiet for longer than its pause is over.
    fn forget(&mut self, now: Timestamp) {
        self.0.retain(|_, field| {
            let last = field.puts.last().copied().unwrap_or(Timestamp::MIN);
            let quiet = field.pause.map_or(WINDOW, |(_, pause)| pause * 2);
            now.duration_since(last) < quiet
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    fn id() -> ObjectId {
        ObjectId::new("apps", "Deployment", Some("shop"), "web")
    }

    #[test]
    fn the_third_time_within_ten_minutes_is_a_fight_and_both_sides_are_named() {
        let mut fights = Fights::default();
        assert_eq!(fights.corrected(&id(), "spec.replicas", Some("hpa"), at(0)), None);
        assert_eq!(fights.corrected(&id(), "spec.replicas", Some("hpa"), at(1)), None);
        // Another field is another matter.
        assert_eq!(fights.corrected(&id(), "spec.paused", Some("hpa"), at(1)), None);
        assert!(fights.may_correct(&id(), "spec.replicas", at(2)));
        let contest = fights.corrected(&id(), "spec.replicas", Some("hpa"), at(2)).unwrap();
        insta::assert_snapshot!(contest.message(), @"Deployment shop/web spec.replicas is written by hpa again and again; asm-agent put it back 3 times and now leaves it until 1970-01-01T00:12:00Z: stop the other, or leave the field to it (kubectl asm freeze)");
        assert!(
            !fights.may_correct(&id(), "spec.replicas", at(11)) && fights.may_correct(&id(), "spec.replicas", at(12))
        );
        assert!(fights.may_correct(&id(), "spec.paused", at(3)));
        assert_eq!((fights.contested(at(3)).len(), fights.next(at(3))), (1, Some(at(12))));
        assert_eq!((fights.contested(at(12)).len(), fights.next(at(12))), (0, None));
    }

    #[test]
    fn slow_changes_are_no_fight() {
        let mut fights = Fights::default();
        assert!((0..20).all(|n| fights.corrected(&id(), "a", Some("kubectl"), at(n * 6)).is_none()));
    }

    #[test]
    fn pauses_grow_up_to_a_limit_and_are_forgotten_after_peace() {
        let mut fights = Fights::default();
        let mut now = at(0);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            if let Some(contest) = fights.corrected(&id(), "a", None, now) {
                pauses.push(contest.until.duration_since(now).as_mins());
                now = contest.until;
            }
        }
        assert_eq!(pauses[..5], [10, 20, 40, 80, 160]);
        assert_eq!(pauses.last(), Some(&240));
        assert_eq!(fights.corrected(&id(), "a", None, now + SignedDuration::from_hours(9)), None);
        fights.end(&id());
        assert!(fights.0.is_empty());
    }
}
