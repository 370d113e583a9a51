//! Says in time that a kubeconfig is about to end: those of ASM and ACK do. Pure: times in, words out.

use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How long before the end people are told.
pub(super) const NOTICE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How often they are told again.
const AGAIN: SignedDuration = SignedDuration::from_hours(24);

/// Who was told what and when.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    told: BTreeMap<String, (Timestamp, Timestamp)>,
}

/// Credentials of one target.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) target: String,
    pub(super) secret: String,
    pub(super) key: String,
    pub(super) end: Timestamp,
}

impl Expiry {
    /// What is to be told now.
    pub(super) fn due(&mut self, all: &[Credentials], namespace: &str, now: Timestamp) -> Vec<String> {
        let mut words = Vec::new();
        for one in all.iter().filter(|one| is_near(one.end, now)) {
            let told = self.told.get(&one.target);
            if told.is_none_or(|(end, at)| *end != one.end || now - AGAIN >= *at) {
                self.told.insert(one.target.clone(), (one.end, now));
                words.push(word(one, namespace, now));
            }
        }
        words
    }
}

/// Does it end soon, or has it ended?
pub(super) fn is_near(end: Timestamp, now: Timestamp) -> bool {
    end <= now + NOTICE
}

/// What is about to happen, and what to do.
pub(super) fn word(one: &Credentials, namespace: &str, now: Timestamp) -> String {
    let Credentials { target, secret, key, end } = one;
    let left = end.duration_since(now);
    let when = if left <= SignedDuration::ZERO {
        format!("ended at {end}")
    } else if left < SignedDuration::from_hours(48) {
        format!("end in {} hours, at {end}", left.as_hours())
    } else {
        format!("end in {} days, at {end}", left.as_hours() / 24)
    };
    format!(
        "{target}: the credentials of its kubeconfig {when}; get a new kubeconfig (console, or the API's \
         DescribeServiceMeshKubeconfig and DescribeClusterUserKubeconfig) and put it into the Secret, which the agent takes \
         up by itself: kubectl create secret generic -n {namespace} {secret} --from-file={key}=FILE --dry-run=client -o \
         yaml | kubectl apply -f -"
    )
}

#[cfg(test)]
mod tests {
    use super::{Credentials, Expiry, is_near};
    use jiff::Timestamp;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn ends(end: &str) -> Vec<Credentials> {
        let (secret, key) = ("m1c1-kubeconfig".to_owned(), "kubeconfig".to_owned());
        vec![Credentials { target: "m1c1".to_owned(), secret, key, end: at(end) }]
    }

    #[test]
    fn people_are_told_a_week_before_and_then_every_day() {
        let mut expiry = Expiry::default();
        let all = ends("2026-01-10T00:00:00Z");
        let mut due = |now: &str| expiry.due(&all, "asm-system", at(now));
        assert!(due("2026-01-02T23:59:59Z").is_empty());
        let word = due("2026-01-03T00:00:00Z").remove(0);
        assert!(
            word.starts_with("m1c1: the credentials of its kubeconfig end in 7 days, at 2026-01-10T00:00:00Z; "),
            "{word}"
        );
        assert!(word.contains("secret generic -n asm-system m1c1-kubeconfig --from-file=kubeconfig=FILE"), "{word}");
        assert!(due("2026-01-03T12:00:00Z").is_empty());
        assert_eq!(due("2026-01-04T00:00:00Z").len(), 1);
        assert!(due("2026-01-09T12:00:00Z").remove(0).contains("end in 12 hours"));
        assert!(due("2026-01-10T12:00:00Z").remove(0).contains("ended at 2026-01-10T00:00:00Z"));
        assert!(
            expiry.due(&ends("2027-01-10T00:00:00Z"), "asm-system", at("2026-01-11T12:00:00Z")).is_empty(),
            "renewed"
        );
        assert_eq!(expiry.due(&ends("2026-01-12T00:00:00Z"), "asm-system", at("2026-01-11T12:00:01Z")).len(), 1);
    }

    #[test]
    fn a_time_far_away_is_not_near() {
        assert!(!is_near(Timestamp::MAX, at("2026-01-01T00:00:00Z")));
        assert!(is_near(Timestamp::MIN, at("2026-01-01T00:00:00Z")));
    }
}
