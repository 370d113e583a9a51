//! Traffic: asks all the time and notes what is not an answer.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use tokio::task::JoinHandle;

use super::client::{Answer, get};

/// What is asked, and what of an answer counts.
#[derive(Debug, Clone)]
pub struct Question {
    /// A load balancer's.
    pub address: String,
    /// Host of the request.
    pub host: String,
    /// Path of the request.
    pub path: String,
    /// JSON pointer to the text that says who answered. An answer without it is a failure: Bookinfo's page says 200 when its
    /// reviews could not be had.
    pub who: &'static str,
}

impl Question {
    /// Which version of reviews answers for this path.
    #[must_use]
    pub fn reviews(address: &str, host: &str, path: &str) -> Self {
        let who = if path.starts_with("/productpage") { "/reviews/version" } else { "/version" };
        Self { address: address.to_owned(), host: host.to_owned(), path: path.to_owned(), who }
    }

    /// Asks once. The error says what came instead.
    pub async fn ask(&self) -> Result<(String, Answer)> {
        let answer = get(&self.address, &self.host, &self.path).await?;
        match answer.body.pointer(self.who).and_then(|who| who.as_str()) {
            Some(who) if answer.status == 200 => Ok((who.to_owned(), answer)),
            _ => {
                // The part that matters, not names of pods.
                let (part, _) = self.who.rsplit_once('/').unwrap_or_default();
                bail!("{}{part} {}", answer.status, answer.body.pointer(part).unwrap_or(&answer.body))
            }
        }
    }

    /// Asks `times` times, one after the other.
    pub async fn count(&self, times: usize) -> Tally {
        let mut tally = Tally::default();
        let began = Instant::now();
        for _ in 0..times {
            tally.ask(self, began).await;
        }
        tally
    }
}

/// What came of many questions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Who answered how often.
    pub answers: BTreeMap<String, usize>,
    /// What else came, and how long after the start.
    pub failures: Vec<(Duration, String)>,
    /// The longest time that an answer took.
    pub slowest: Duration,
}

impl Tally {
    async fn ask(&mut self, question: &Question, began: Instant) {
        let asked = Instant::now();
        match question.ask().await {
            Ok((who, _)) => *self.answers.entry(who).or_insert(0) += 1,
            Err(error) => self.failures.push((began.elapsed(), format!("{error:#}"))),
        }
        self.slowest = self.slowest.max(asked.elapsed());
    }

    /// Questions in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.answers.values().sum::<usize>() + self.failures.len()
    }

    /// Whether everything was answered, and by this one alone.
    #[must_use]
    pub fn only(&self, who: &str) -> bool {
        self.failures.is_empty() && self.answers.keys().eq([who])
    }

    /// Adds another one.
    pub fn merge(&mut self, other: Self) {
        for (who, count) in other.answers {
            *self.answers.entry(who).or_insert(0) += count;
        }
        self.failures.extend(other.failures);
        self.slowest = self.slowest.max(other.slowest);
    }

    /// How likely a spread as uneven as this one is when all three of `among` answer equally often: the p-value of a χ² test
    /// with two degrees of freedom. 0 when anything else came.
    #[must_use]
    pub fn evenness(&self, among: [&str; 3]) -> f64 {
        let counts = among.map(|who| self.answers.get(who).copied().unwrap_or_default());
        let sum: usize = counts.iter().sum();
        if sum == 0 || sum != self.total() {
            return 0.0;
        }
        #[allow(clippy::cast_precision_loss, reason = "counts of requests")]
        let (counts, expected) = (counts.map(|count| count as f64), sum as f64 / 3.0);
        let chi_squared: f64 = counts.iter().map(|count| (count - expected).powi(2) / expected).sum();
        (-chi_squared / 2.0).exp()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answers: Vec<String> = self.answers.iter().map(|(who, count)| format!("{who} {count}")).collect();
        write!(f, "{} of {} answered ({})", self.total() - self.failures.len(), self.total(), answers.join(", "))?;
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, what) in &self.failures {
            *kinds.entry(what).or_insert(0) += 1;
        }
        for (what, count) in kinds.iter().take(5) {
            write!(f, "; {count} × {what}")?;
        }
        Ok(())
    }
}

/// Traffic that goes on until it is stopped.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Tally>>,
}

impl Traffic {
    /// One client for each question, each with one request at a time.
    #[must_use]
    pub fn start(questions: &[Question]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let began = Instant::now();
        let client = |question: &Question| {
            let (question, stop) = (question.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut tally = Tally::default();
                while !stop.load(Ordering::Relaxed) {
                    tally.ask(&question, began).await;
                }
                tally
            })
        };
        let clients = questions.iter().map(client).collect();
        Self { stop, clients }
    }

    /// Ends it, and says what came of it, in the order of the questions.
    pub async fn stop(mut self) -> Result<Vec<Tally>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut tallies = Vec::new();
        for client in std::mem::take(&mut self.clients) {
            tallies.push(client.await?);
        }
        Ok(tallies)
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(counts: &[(&str, usize)]) -> Tally {
        let answers = counts.iter().map(|(who, count)| ((*who).to_owned(), *count)).collect();
        Tally { answers, ..Tally::default() }
    }

    #[test]
    fn the_test_tells_even_from_uneven() {
        let among = ["v1", "v2", "v3"];
        assert!(tally(&[("v1", 210), ("v2", 173), ("v3", 217)]).evenness(among) > 0.01);
        assert!(tally(&[("v1", 300), ("v2", 150), ("v3", 150)]).evenness(among) < 0.01);
        assert!(tally(&[("v3", 600)]).evenness(among) < 0.01);
        assert_eq!(tally(&[("v1", 200), ("v2", 200), ("v3", 200), ("v4", 1)]).evenness(among), 0.0);
        assert_eq!(Tally::default().evenness(among), 0.0);
        let mut failed = tally(&[("v1", 200), ("v2", 200), ("v3", 200)]);
        failed.failures.push((Duration::ZERO, "503".into()));
        assert_eq!(failed.evenness(among), 0.0);
        assert!(!failed.only("v1") && tally(&[("v3", 9)]).only("v3") && !Tally::default().only("v3"));
        assert_eq!(failed.to_string(), "600 of 601 answered (v1 200, v2 200, v3 200); 1 × 503");
    }
}
