//! Are n answers spread over versions as the weights say?
//!
//! The claim that is tested is "every request goes to version i with probability wᵢ/Σw, independently". It is refused when
//! what was seen, or anything less likely, had a probability below 1 − confidence.
//!
//! * an answer of a version that should get none refuses it at once;
//! * two versions: exact binomial test, two-sided by likelihood;
//! * more: Pearson's χ² when every expected count is 5 or more; else an exact binomial test for each version against the
//!   rest, at 1/k of the level each (Bonferroni), which may refuse less but never more often than stated.

use schemars::JsonSchema;
use serde::Serialize;
use statrs::distribution::{Binomial, ChiSquared, ContinuousCDF as _, Discrete as _, DiscreteCDF as _};
use std::collections::BTreeMap;

/// Below this expected count χ² is not trusted.
const SMALLEST_EXPECTED: f64 = 5.0;

/// What the test says.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// How many answers were counted.
    pub requests: u64,
    /// With which confidence the test refuses, between 0 and 1.
    pub confidence: f64,
    /// Which test.
    pub test: Test,
    /// The probability of what was seen or anything less likely, if the weights are as stated.
    pub p: f64,
    /// Is it as the weights say, as far as the test can tell?
    pub fits: bool,
    /// Each version, in the order of the weights; then those that should not have answered.
    pub shares: Vec<Share>,
}

/// Which test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Test {
    /// Nothing was to be tested: one version only, or none seen.
    None,
    /// Exact binomial test.
    Binomial,
    /// Pearson's χ².
    ChiSquared,
    /// Exact binomial tests of each version, corrected for their number.
    Binomials,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// Its name.
    pub version: String,
    /// The share that the weights give it, 0 to 1.
    pub expected: f64,
    /// How many answers it gave.
    pub seen: u64,
    /// The share that it may have at this confidence, by what was seen (Clopper–Pearson).
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Tests counts against weights. `None` when there are no weights or no answers.
pub fn spread(weights: &[(String, u32)], counts: &BTreeMap<String, u64>, confidence: f64) -> Option<Spread> {
    let total: u64 = weights.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let requests: u64 = counts.values().sum();
    if total == 0 || requests == 0 {
        return None;
    }
    let seen = |version: &str| counts.get(version).copied().unwrap_or_default();
    let level = 1.0 - confidence;
    let expected: Vec<(&str, f64, u64)> = weights
        .iter()
        .map(|(version, weight)| (version.as_str(), f64::from(*weight) / total as f64, seen(version)))
        .collect();
    let strangers = counts.iter().filter(|(name, _)| !weights.iter().any(|(version, _)| version == *name));
    let strange = strangers.clone().any(|(_, count)| *count > 0)
        || expected.iter().any(|(_, share, count)| *share == 0.0 && *count > 0);
    let positive: Vec<(f64, u64)> =
        expected.iter().filter(|(_, share, _)| *share > 0.0).map(|(_, share, count)| (*share, *count)).collect();
    let (test, p) = if strange { (Test::None, 0.0) } else { tested(&positive, requests) };
    let share = |version: &str, expected: f64, count: u64| {
        let (low, high) = interval(count, requests, level);
        Share { version: version.to_owned(), expected, seen: count, low, high }
    };
    let shares = expected
        .iter()
        .map(|(version, expected, count)| share(version, *expected, *count))
        .chain(strangers.map(|(version, count)| share(version, 0.0, *count)))
        .collect();
    Some(Spread { requests, confidence, test, p, fits: p >= level, shares })
}

fn tested(positive: &[(f64, u64)], requests: u64) -> (Test, f64) {
    match positive {
        [] | [_] => (Test::None, 1.0),
        [(share, count), _] => (Test::Binomial, binomial(*share, *count, requests)),
        many if many.iter().all(|(share, _)| share * requests as f64 >= SMALLEST_EXPECTED) => {
            (Test::ChiSquared, chi_squared(many, requests))
        }
        many => {
            let smallest = many.iter().map(|(share, count)| binomial(*share, *count, requests)).fold(1.0, f64::min);
            (Test::Binomials, (smallest * many.len() as f64).min(1.0))
        }
    }
}

/// The probability of all counts that are no likelier than the one seen.
fn binomial(share: f64, count: u64, requests: u64) -> f64 {
    let Ok(law) = Binomial::new(share, requests) else { return 1.0 };
    // Counts of the same likelihood on the other side differ by rounding.
    let limit = law.pmf(count) * (1.0 + 1e-7);
    let sum: f64 = (0..=requests).map(|k| law.pmf(k)).filter(|likelihood| *likelihood <= limit).sum();
    sum.min(1.0)
}

fn chi_squared(positive: &[(f64, u64)], requests: u64) -> f64 {
    let statistic: f64 = positive
        .iter()
        .map(|(share, count)| {
            let expected = share * requests as f64;
            (*count as f64 - expected).powi(2) / expected
        })
        .sum();
    ChiSquared::new((positive.len() - 1) as f64).map_or(1.0, |law| law.sf(statistic))
}

/// The exact (Clopper–Pearson) interval of a share.
fn interval(count: u64, requests: u64, level: f64) -> (f64, f64) {
    let tail = level / 2.0;
    // Where the chance of so many, or of so few, falls below the tail.
    let at_least = |share: f64| match count.checked_sub(1) {
        None => 1.0,
        Some(below) => Binomial::new(share, requests).map_or(1.0, |law| law.sf(below)),
    };
    let at_most = |share: f64| Binomial::new(share, requests).map_or(1.0, |law| law.cdf(count));
    let low = if count == 0 { 0.0 } else { bisect(|share| at_least(share) >= tail) };
    let high = if count == requests { 1.0 } else { bisect(|share| at_most(share) < tail) };
    (low, high)
}

/// The smallest share for which something holds that holds for all larger ones.
fn bisect(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if holds(middle) { high = middle } else { low = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn weights(all: &[(&str, u32)]) -> Vec<(String, u32)> {
        all.iter().map(|(version, weight)| ((*version).to_owned(), *weight)).collect()
    }

    fn counts(all: &[(&str, u64)]) -> BTreeMap<String, u64> {
        all.iter().map(|(version, count)| ((*version).to_owned(), *count)).collect()
    }

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 5e-4, "{a} is not {b}");
    }

    /// Figures of R: binom.test(8, 10, 0.5), binom.test(1, 20, 0.25), chisq.test(c(30, 14, 34, 45, 57, 20), p = 1/6 each).
    #[test]
    fn known_figures() {
        near(spread(&weights(&[("a", 1), ("b", 1)]), &counts(&[("a", 8), ("b", 2)]), 0.95).unwrap().p, 0.1094);
        near(spread(&weights(&[("a", 25), ("b", 75)]), &counts(&[("a", 1), ("b", 19)]), 0.95).unwrap().p, 0.0377);
        let six: Vec<(String, u32)> = (1..=6).map(|side| (side.to_string(), 1)).collect();
        let seen = counts(&[("1", 22), ("2", 24), ("3", 38), ("4", 30), ("5", 46), ("6", 44)]);
        let dice = spread(&six, &seen, 0.99).unwrap();
        assert_eq!(dice.test, Test::ChiSquared);
        near(dice.p, 0.0090);
        assert!(!dice.fits);
        // qbeta(0.025, 8, 3), qbeta(0.975, 9, 2)
        let share = &spread(&weights(&[("a", 1), ("b", 1)]), &counts(&[("a", 8), ("b", 2)]), 0.95).unwrap().shares[0];
        near(share.low, 0.4439);
        near(share.high, 0.9748);
    }

    #[test]
    fn what_must_not_answer_refuses_at_once() {
        let wrong = [
            spread(&weights(&[("v1", 100), ("v2", 0)]), &counts(&[("v1", 999), ("v2", 1)]), 0.99),
            spread(&weights(&[("v1", 100)]), &counts(&[("v1", 999), ("v3", 1)]), 0.99),
        ];
        for result in wrong {
            let result = result.unwrap();
            assert!(!result.fits && result.p == 0.0, "{result:?}");
        }
        let right = spread(&weights(&[("v1", 100), ("v2", 0)]), &counts(&[("v1", 5)]), 0.99).unwrap();
        assert!(right.fits, "{right:?}");
    }

    #[test]
    fn few_requests_are_tested_exactly() {
        let thirds = weights(&[("v1", 1), ("v2", 1), ("v3", 1)]);
        let few = spread(&thirds, &counts(&[("v1", 4), ("v2", 3), ("v3", 3)]), 0.99).unwrap();
        assert_eq!((few.test, few.fits), (Test::Binomials, true));
        let one_sided = spread(&thirds, &counts(&[("v1", 14)]), 0.99).unwrap();
        assert_eq!((one_sided.test, one_sided.fits), (Test::Binomials, false));
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(spread(&[], &counts(&[("v1", 3)]), 0.99), None);
        assert_eq!(spread(&weights(&[("v1", 1)]), &BTreeMap::new(), 0.99), None);
        assert_eq!(spread(&weights(&[("v1", 0)]), &counts(&[("v1", 3)]), 0.99), None);
    }

    /// Two versions by weights: refused exactly as often as the confidence allows, over all counts there are.
    #[test]
    fn the_level_is_kept_exactly() {
        for (one, other) in [(1, 1), (1, 9), (33, 67)] {
            let requests = 60;
            let share = f64::from(one) / f64::from(one + other);
            let law = Binomial::new(share, requests).unwrap();
            let refused: f64 = (0..=requests)
                .filter(|count| {
                    let seen = counts(&[("a", *count), ("b", requests - count)]);
                    !spread(&weights(&[("a", one), ("b", other)]), &seen, 0.95).unwrap().fits
                })
                .map(|count| law.pmf(count))
                .sum();
            assert!(refused <= 0.05 + 1e-9, "{one}:{other} is refused with {refused}");
            assert!(refused > 0.005, "{one}:{other} is never refused");
        }
    }

    proptest! {
        /// Probabilities are probabilities, intervals hold what was seen, and the order of the weights changes nothing.
        #[test]
        fn sane(weights in prop::collection::vec(0u32..100, 1..6), seen in prop::collection::vec(0u64..300, 6)) {
            let named: Vec<(String, u32)> = weights.iter().enumerate().map(|(i, w)| (format!("v{i}"), *w)).collect();
            let counts: BTreeMap<String, u64> = named.iter().zip(&seen).map(|((v, _), n)| (v.clone(), *n)).collect();
            let turned: Vec<(String, u32)> = named.iter().rev().cloned().collect();
            let (one, other) = (spread(&named, &counts, 0.99), spread(&turned, &counts, 0.99));
            prop_assert_eq!(one.is_some(), other.is_some());
            if let (Some(one), Some(other)) = (one, other) {
                prop_assert!((0.0..=1.0).contains(&one.p), "{}", one.p);
                prop_assert!((one.p - other.p).abs() < 1e-9);
                prop_assert_eq!(one.fits, other.fits);
                for share in &one.shares {
                    let seen = share.seen as f64 / one.requests as f64;
                    prop_assert!(share.low <= seen + 1e-9 && seen <= share.high + 1e-9, "{share:?}");
                }
            }
        }
    }
}
