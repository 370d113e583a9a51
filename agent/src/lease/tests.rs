use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use tokio::time::{Instant, advance, sleep};
use tokio_util::sync::CancellationToken;

use super::{Claim, Election, LeaseError, LeaseParams, Leases, start};

/// What a candidate's way to the API server does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Good,
    /// Requests fail.
    Broken,
    /// Requests hang.
    Silent,
    /// Writes arrive, their answers do not.
    AnswersLost,
}

#[derive(Default)]
struct Server {
    lease: Option<Lease>,
    version: u64,
    requests: u64,
}

impl Server {
    fn store(&mut self, mut lease: Lease) -> Lease {
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(lease.clone());
        lease
    }

    fn holder(&self) -> Option<String> {
        self.lease.as_ref()?.spec.as_ref()?.holder_identity.clone()
    }
}

/// One API server, with a line of its own for each candidate.
#[derive(Clone)]
struct Fake {
    server: Arc<Mutex<Server>>,
    line: Arc<Mutex<Line>>,
}

impl Fake {
    fn new(server: &Arc<Mutex<Server>>) -> Self {
        Self { server: Arc::clone(server), line: Arc::new(Mutex::new(Line::Good)) }
    }

    fn set(&self, line: Line) {
        *self.line.lock().unwrap() = line;
    }

    async fn travel(&self) -> Result<(), LeaseError> {
        self.server.lock().unwrap().requests += 1;
        sleep(Duration::from_millis(5)).await;
        let line = *self.line.lock().unwrap();
        match line {
            Line::Good | Line::AnswersLost => Ok(()),
            Line::Broken => Err(LeaseError::Failed("broken".to_owned())),
            Line::Silent => std::future::pending().await,
        }
    }

    async fn answer(&self, lease: Lease) -> Result<Lease, LeaseError> {
        if *self.line.lock().unwrap() == Line::AnswersLost {
            return Err(LeaseError::Failed("the answer was lost".to_owned()));
        }
        sleep(Duration::from_millis(5)).await;
        Ok(lease)
    }
}

impl Leases for Fake {
    async fn get(&self) -> Result<Option<Lease>, LeaseError> {
        self.travel().await?;
        let lease = self.server.lock().unwrap().lease.clone();
        Ok(lease)
    }

    async fn create(&self, lease: Lease) -> Result<Lease, LeaseError> {
        self.travel().await?;
        let stored = {
            let mut server = self.server.lock().unwrap();
            if server.lease.is_some() {
                return Err(LeaseError::Conflict);
            }
            server.store(lease)
        };
        self.answer(stored).await
    }

    async fn replace(&self, lease: Lease) -> Result<Lease, LeaseError> {
        self.travel().await?;
        let stored = {
            let mut server = self.server.lock().unwrap();
            let known = server.lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
            if known.is_none() || known != lease.metadata.resource_version {
                return Err(LeaseError::Conflict);
            }
            server.store(lease)
        };
        self.answer(stored).await
    }
}

struct Replica {
    line: Fake,
    election: Election,
    stop: CancellationToken,
}

impl Replica {
    fn start(server: &Arc<Mutex<Server>>, name: &str) -> Self {
        let line = Fake::new(server);
        let stop = CancellationToken::new();
        let params = LeaseParams::new(name, Duration::from_secs(30), Duration::from_secs(10));
        Self { election: start(line.clone(), params, stop.clone()), line, stop }
    }

    fn leads(&self) -> bool {
        self.election.claim.borrow().is_current()
    }
}

fn server() -> Arc<Mutex<Server>> {
    Arc::default()
}

async fn seconds(count: u64) {
    sleep(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn the_first_takes_it_and_keeps_it() {
    let server = server();
    let (a, b) = (Replica::start(&server, "a"), Replica::start(&server, "b"));
    seconds(1).await;
    assert!(a.leads() != b.leads());
    let (leader, other) = if a.leads() { (a, b) } else { (b, a) };
    for _ in 0..600 {
        seconds(1).await;
        assert!(leader.leads() && !other.leads());
    }
    assert!(!other.election.claim.borrow().holder.is_empty(), "the other one knows who leads");
    let transitions = server.lock().unwrap().lease.clone().unwrap().spec.unwrap().lease_transitions;
    assert_eq!(transitions, Some(1));
    // Two requests each 9–10 s: idle costs next to nothing.
    let requests = server.lock().unwrap().requests;
    assert!(requests < 150, "{requests} requests in 10 minutes");
}

#[tokio::test(start_paused = true)]
async fn a_silent_leader_is_followed_only_after_it_has_stopped_itself() {
    for line in [Line::Silent, Line::Broken] {
        let server = server();
        let a = Replica::start(&server, "a");
        seconds(1).await;
        let b = Replica::start(&server, "b");
        seconds(20).await;
        assert!(a.leads() && !b.leads());
        a.line.set(line);
        let cut = Instant::now();
        let mut gap = false;
        while !b.leads() {
            assert!(cut.elapsed() < Duration::from_secs(45), "nobody took over");
            gap |= !a.leads();
            sleep(Duration::from_millis(50)).await;
            assert!(!(a.leads() && b.leads()), "two leaders");
        }
        assert!(gap, "the old leader stops some time before the new one begins");
        // When the old one is back, it stays behind the new one.
        a.line.set(Line::Good);
        for _ in 0..120 {
            sleep(Duration::from_millis(500)).await;
            assert!(!a.leads() && b.leads());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn short_trouble_does_not_cost_the_claim() {
    let server = server();
    let a = Replica::start(&server, "a");
    seconds(9).await;
    for line in [Line::Broken, Line::Silent, Line::AnswersLost] {
        a.line.set(line);
        for _ in 0..10 {
            seconds(1).await;
            assert!(a.leads());
        }
        a.line.set(Line::Good);
        seconds(15).await;
        assert!(a.leads());
    }
    assert_eq!(server.lock().unwrap().lease.clone().unwrap().spec.unwrap().lease_transitions, Some(1));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_claim_wakes_who_waits_for_it() {
    let server = server();
    let a = Replica::start(&server, "a");
    seconds(1).await;
    let mut claim = a.election.claim.clone();
    claim.borrow_and_update();
    a.line.set(Line::Silent);
    let end = claim.borrow().valid_until;
    claim.wait_for(|claim| !claim.holder_is_me).await.unwrap();
    let late = Instant::now().duration_since(end);
    assert!(late < Duration::from_millis(10), "{late:?} late");
}

#[tokio::test(start_paused = true)]
async fn a_conflict_while_renewing_ends_the_claim_at_once() {
    let server = server();
    let a = Replica::start(&server, "a");
    seconds(1).await;
    assert!(a.leads());
    {
        let mut server = server.lock().unwrap();
        let mut lease = server.lease.clone().unwrap();
        lease.spec.as_mut().unwrap().holder_identity = Some("thief".to_owned());
        server.store(lease);
    }
    let mut claim = a.election.claim.clone();
    claim.wait_for(|claim| !claim.holder_is_me).await.unwrap();
    let stolen = Instant::now();
    claim.wait_for(|claim| &*claim.holder == "thief").await.unwrap();
    // The thief never renews: after its time, which begins when it was first seen, the claim comes back.
    claim.wait_for(Claim::is_current).await.unwrap();
    assert!(stolen.elapsed() >= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_lease_deleted_by_hand_makes_no_second_leader() {
    let server = server();
    let a = Replica::start(&server, "a");
    seconds(1).await;
    let b = Replica::start(&server, "b");
    seconds(15).await;
    for _ in 0..5 {
        server.lock().unwrap().lease = None;
        for _ in 0..300 {
            sleep(Duration::from_millis(100)).await;
            assert!(!(a.leads() && b.leads()), "two leaders");
        }
        assert!(a.leads() || b.leads(), "nobody leads");
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_one_need_not_wait_when_the_lease_is_released() {
    let server = server();
    let a = Replica::start(&server, "a");
    seconds(1).await;
    let b = Replica::start(&server, "b");
    seconds(1).await;
    a.stop.cancel();
    a.election.task.await.unwrap();
    assert!(!a.election.claim.borrow().is_current());
    assert_eq!(server.lock().unwrap().holder(), None);
    seconds(11).await;
    assert!(b.leads());
    // One that does not hold it leaves it alone.
    let c = Replica::start(&server, "c");
    seconds(1).await;
    c.stop.cancel();
    c.election.task.await.unwrap();
    assert_eq!(server.lock().unwrap().holder().as_deref(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn releasing_ends_also_when_the_server_is_silent() {
    let server = server();
    let a = Replica::start(&server, "a");
    seconds(1).await;
    a.line.set(Line::Silent);
    a.stop.cancel();
    tokio::time::timeout(Duration::from_secs(6), a.election.task).await.expect("it ends").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_claim_runs_out_by_itself() {
    let claim = Claim { holder_is_me: true, valid_until: Instant::now() + Duration::from_secs(1), holder: "me".into() };
    assert!(claim.is_current());
    advance(Duration::from_secs(2)).await;
    assert!(!claim.is_current());
    assert!(Claim::unchallenged("me").borrow().is_current());
}

/// Random trouble on random lines for an hour: never two leaders, and somebody leads most of the time.
#[tokio::test(start_paused = true)]
async fn never_two_leaders_whatever_happens() {
    use rand::{Rng as _, SeedableRng as _};
    for seed in 0..8 {
        let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
        let server = server();
        let replicas: Vec<_> = ["a", "b", "c"].iter().map(|name| Replica::start(&server, name)).collect();
        let mut led = 0;
        for step in 0..7200 {
            sleep(Duration::from_millis(500)).await;
            if step % 20 == 0 {
                let line = match rng.random_range(0..8) {
                    0 => Line::Broken,
                    1 => Line::Silent,
                    2 => Line::AnswersLost,
                    _ => Line::Good,
                };
                replicas[rng.random_range(0..3)].line.set(line);
            }
            let leaders = replicas.iter().filter(|replica| replica.leads()).count();
            assert!(leaders <= 1, "seed {seed}: {leaders} leaders");
            led += leaders;
        }
        assert!(led > 3600, "seed {seed}: somebody led only {led} times of 7200");
    }
}
