//! When to look at the Git server next.

use std::time::Duration;

use rand::Rng;

/// The interval and up to a tenth more, so that many sources do not ask one server at the same moment.
pub fn next_poll(interval: Duration, rng: &mut impl Rng) -> Duration {
    interval.mul_f64(1.0 + rng.random_range(0.0..=0.1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::next_poll;

    #[test]
    fn never_sooner_and_at_most_a_tenth_later() {
        let interval = Duration::from_secs(30);
        let waits: Vec<_> = (0..1000).map(|_| next_poll(interval, &mut rand::rng())).collect();
        assert!(waits.iter().all(|wait| (interval..=Duration::from_secs(33)).contains(wait)));
        assert!(waits.iter().max() > waits.iter().min());
    }
}
