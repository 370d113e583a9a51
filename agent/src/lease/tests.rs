use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use asm_shared::api::labels;
use rand::{Rng, SeedableRng as _};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep};
use tokio_util::sync::CancellationToken;

use super::names::{LEADER, annotation};
use super::test_server::{Fake, Line};
use super::{Claim, ClusterClaim, Item, LeaseParams, Membership, Shards, Tenure, Working};

const DURATION: Duration = Duration::from_secs(30);

/// A replica that works on what is its own, as supervisors do.
struct Replica {
    line: Fake,
    claim: tokio::sync::watch::Receiver<Claim>,
    shards: super::Shards,
    works: Arc<Mutex<BTreeMap<Item, Working>>>,
    stop: CancellationToken,
    supervisor: JoinHandle<()>,
    membership: Option<Membership>,
}

impl Replica {
    fn start(server: &Fake, name: &str, targets: usize) -> Self {
        Self::with(server, name, targets, false)
    }

    fn with(server: &Fake, name: &str, targets: usize, alone: bool) -> Self {
        let (line, stop) = (server.line(), CancellationToken::new());
        let params = LeaseParams { alone, ..LeaseParams::new(name, DURATION, Duration::from_secs(10)) };
        let membership = Membership::start(line.clone(), params, stop.clone());
        let works: Arc<Mutex<BTreeMap<Item, Working>>> = Arc::default();
        let supervisor =
            tokio::spawn(supervise(membership.claim.clone(), membership.shards.clone(), works.clone(), targets));
        let (claim, shards) = (membership.claim.clone(), membership.shards.clone());
        Self { line, claim, shards, works, stop, supervisor, membership: Some(membership) }
    }

    fn leads(&self) -> bool {
        self.claim.borrow().is_current() && self.shards.leads()
    }

    /// Targets that it may write to at this moment.
    fn writes(&self) -> Vec<Item> {
        if !self.claim.borrow().is_current() {
            return Vec::new();
        }
        self.works.lock().unwrap().keys().cloned().collect()
    }

    /// Killed: nothing is given back.
    fn kill(&mut self) {
        self.supervisor.abort();
        self.works.lock().unwrap().clear();
        if let Some(membership) = self.membership.take() {
            membership.task.abort();
            membership.keeper.abort();
        }
        self.line.set(Line::Silent);
    }

    async fn end(&mut self) {
        self.supervisor.abort();
        self.works.lock().unwrap().clear();
        self.stop.cancel();
        if let Some(membership) = self.membership.take() {
            membership.ended().await;
        }
    }
}

fn items(count: usize) -> Vec<Item> {
    (0..count).map(|n| Item::new("asm-system/shop", &format!("m1c{n}"))).collect()
}

/// Follows one FleetSync while the claim is good; work takes a moment to begin and to end.
async fn supervise(
    claim: tokio::sync::watch::Receiver<Claim>,
    shards: super::Shards,
    works: Arc<Mutex<BTreeMap<Item, Working>>>,
    targets: usize,
) {
    let mut share = shards.subscribe();
    let mut offer = None;
    loop {
        if claim.borrow().is_current() {
            let offer = offer.get_or_insert_with(|| {
                let offer = shards.offer();
                offer.set(items(targets));
                offer
            });
            let now = share.borrow_and_update().clone();
            for item in items(targets) {
                let works_on = works.lock().unwrap().contains_key(&item);
                if !works_on && now.is_mine(&item) {
                    if let Some(working) = offer.begin(&item) {
                        works.lock().unwrap().insert(item.clone(), working);
                        offer.tell(&item, format!("{} works", item.of));
                    }
                } else if works_on && !now.is_mine(&item) {
                    if now.is_leaving(&item) {
                        sleep(Duration::from_millis(30)).await;
                    }
                    if let Some(working) = works.lock().unwrap().remove(&item) {
                        working.ended();
                    }
                }
            }
        } else {
            works.lock().unwrap().clear();
            offer = None;
        }
        let _ = tokio::time::timeout(Duration::from_millis(200), share.changed()).await;
    }
}

async fn seconds(count: u64) {
    sleep(Duration::from_secs(count)).await;
}

fn loads(replicas: &[Replica]) -> Vec<usize> {
    replicas.iter().map(|replica| replica.writes().len()).collect()
}

/// Something happens to the line of one of three replicas.
fn trouble(replicas: &[Replica], rng: &mut impl Rng) {
    let line = match rng.random_range(0..9) {
        0 => Line::Broken,
        1 => Line::Silent,
        2 => Line::AnswersLost,
        3 => Line::Late(Duration::from_secs(rng.random_range(1..40))),
        _ => Line::Good,
    };
    replicas[rng.random_range(0..3)].line.set(line);
}

/// No target has two writers. Gives back how many have one.
fn written(replicas: &[Replica], what: &str) -> usize {
    let mut writers: BTreeMap<Item, usize> = BTreeMap::new();
    for replica in replicas {
        for item in replica.writes() {
            *writers.entry(item).or_default() += 1;
        }
    }
    assert!(writers.values().all(|count| *count == 1), "{what}: {writers:#?}");
    writers.len()
}

#[tokio::test(start_paused = true)]
async fn one_replica_has_everything_and_renews_one_lease() {
    let server = Fake::new();
    let alone = [Replica::start(&server, "a", 20)];
    seconds(2).await;
    assert_eq!((written(&alone, "alone"), alone[0].leads()), (20, true));
    let (writes, others) = server.with(|store| (store.writes, store.others));
    // 20 targets, the leader's Lease, its own once or twice.
    assert!(writes <= 23 && others == 0, "{writes} writes, {others} reads");
    seconds(3600).await;
    let hour = server.with(|store| store.writes) - writes;
    assert!(hour <= 400, "{hour} writes in an hour");
    assert_eq!(server.with(|store| store.others), 0);
    // Nobody asks how the targets stand, so nobody is told.
    let told =
        server.with(|store| store.leases.values().filter(|l| annotation(l, labels::LEASE_STATE).is_some()).count());
    assert_eq!(told, 0);
}

#[tokio::test(start_paused = true)]
async fn who_comes_gets_its_part_and_who_goes_leaves_its_own_at_once() {
    let server = Fake::new();
    let mut replicas = vec![Replica::start(&server, "a", 31)];
    seconds(2).await;
    for name in ["b", "c", "d"] {
        replicas.push(Replica::start(&server, name, 31));
        for _ in 0..500 {
            sleep(Duration::from_millis(10)).await;
            written(&replicas, name);
        }
        let loads = loads(&replicas);
        let (least, most) = (31 / replicas.len(), 31_usize.div_ceil(replicas.len()));
        assert!(loads.iter().all(|load| (least..=most).contains(load)), "{loads:?}");
        assert_eq!(loads.iter().sum::<usize>(), 31);
        assert_eq!(replicas.iter().filter(|replica| replica.leads()).count(), 1);
    }
    // Each is told how the others' targets stand.
    let share = replicas[3].shards.shared();
    assert_eq!(share.told.len() + share.mine.len(), 31);
    let kept: Vec<Item> = replicas[1].writes();
    replicas[2].end().await;
    seconds(3).await;
    assert_eq!(written(&replicas, "c has gone"), 31);
    assert!(kept.iter().all(|item| replicas[1].writes().contains(item)), "only the targets of who has gone move");
    // The leader clears away the Lease of a member that is over and holds nothing.
    seconds(5).await;
    let members = server.with(|store| store.leases.keys().filter(|name| !name.starts_with(LEADER)).count());
    assert_eq!(members, 3);
}

#[tokio::test(start_paused = true)]
async fn a_killed_replica_is_followed_within_its_time_and_five_seconds_and_not_before_its_time() {
    for killed in [0, 1] {
        let server = Fake::new();
        let mut replicas = vec![Replica::start(&server, "a", 40)];
        seconds(2).await;
        replicas.push(Replica::start(&server, "b", 40));
        seconds(25).await;
        assert_eq!(loads(&replicas), [20, 20]);
        replicas[killed].kill();
        let since = Instant::now();
        while written(&replicas, "killed") < 40 {
            sleep(Duration::from_millis(20)).await;
            assert!(since.elapsed() < DURATION + Duration::from_secs(5), "not taken over: {:?}", loads(&replicas));
        }
        assert!(since.elapsed() > DURATION - Duration::from_secs(11), "before its time: {:?}", since.elapsed());
        seconds(1).await;
        assert!(replicas[1 - killed].leads());
    }
}

/// A process that is stopped runs nothing, and then everything at once: here its line hangs, and what it had sent arrives later.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_arrives_after_the_end_does_not_bring_a_member_back() {
    let server = Fake::new();
    let mut replicas = vec![Replica::start(&server, "a", 10)];
    seconds(2).await;
    replicas.push(Replica::start(&server, "b", 10));
    seconds(5).await;
    let before = replicas[0].claim.borrow().identity.clone();
    for pause in [5, 20, 29, 31, 33, 36, 50] {
        replicas[0].line.set(Line::Late(Duration::from_secs(pause)));
        for _ in 0..1200 {
            sleep(Duration::from_millis(50)).await;
            written(&replicas, &format!("{pause} s late"));
        }
        replicas[0].line.set(Line::Good);
        for _ in 0..1200 {
            sleep(Duration::from_millis(50)).await;
            written(&replicas, &format!("after {pause} s"));
        }
        assert_eq!(written(&replicas, "settled"), 10);
    }
    assert_ne!(replicas[0].claim.borrow().identity, before, "it is back under another name");
    assert_eq!(loads(&replicas), [5, 5]);
}

#[tokio::test(start_paused = true)]
async fn short_trouble_costs_nothing() {
    let server = Fake::new();
    let mut replicas = vec![Replica::start(&server, "a", 10)];
    seconds(2).await;
    replicas.push(Replica::start(&server, "b", 10));
    seconds(5).await;
    let owned = replicas[0].writes();
    for line in [Line::Broken, Line::Silent, Line::AnswersLost, Line::Late(Duration::from_secs(2))] {
        replicas[0].line.set(line);
        for _ in 0..100 {
            sleep(Duration::from_millis(100)).await;
            assert_eq!(replicas[0].writes(), owned, "{line:?}");
        }
        replicas[0].line.set(Line::Good);
        seconds(15).await;
        assert_eq!(written(&replicas, "mended"), 10);
        assert_eq!(replicas[0].writes(), owned, "{line:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn leases_deleted_by_hand_make_no_second_writer() {
    let server = Fake::new();
    let mut replicas = vec![Replica::start(&server, "a", 10)];
    seconds(2).await;
    replicas.push(Replica::start(&server, "b", 10));
    seconds(5).await;
    let names: Vec<String> = server.with(|store| store.leases.keys().cloned().collect());
    for name in names {
        server.with(|store| store.remove(&name));
        for _ in 0..800 {
            sleep(Duration::from_millis(50)).await;
            written(&replicas, &name);
        }
        seconds(30).await;
        assert_eq!(written(&replicas, &name), 10, "after {name}");
        assert!(server.with(|store| store.holder(LEADER)).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_run_shares_nothing_and_an_agent_waits_for_its_end() {
    let server = Fake::new();
    let mut replicas = vec![Replica::with(&server, "once", 6, true)];
    seconds(2).await;
    replicas.push(Replica::start(&server, "a", 6));
    seconds(60).await;
    assert_eq!((loads(&replicas), replicas[0].leads()), (vec![6, 0], true));
    replicas[0].end().await;
    seconds(2).await;
    assert_eq!((loads(&replicas), replicas[1].leads()), (vec![0, 6], true));
    // The other way round: a single run beside an agent gets nothing, and takes nothing from it.
    replicas.push(Replica::with(&server, "once", 6, true));
    seconds(60).await;
    assert_eq!((loads(&replicas), replicas[2].leads()), (vec![0, 6, 0], false));
}

#[tokio::test(start_paused = true)]
async fn targets_that_only_one_replica_knows_are_not_left_alone() {
    let server = Fake::new();
    // One has read a commit with more targets; the other one cannot reach its Git server.
    let replicas = [Replica::start(&server, "behind", 10), Replica::start(&server, "ahead", 20)];
    for _ in 0..600 {
        sleep(Duration::from_millis(50)).await;
        written(&replicas, "one is behind");
    }
    assert_eq!(written(&replicas, "one is behind"), 20);
}

#[tokio::test(start_paused = true)]
async fn releasing_ends_also_when_the_server_is_silent() {
    let server = Fake::new();
    let mut a = Replica::start(&server, "a", 1);
    seconds(1).await;
    a.line.set(Line::Silent);
    tokio::time::timeout(Duration::from_secs(6), a.end()).await.expect("it ends");
}

#[tokio::test(start_paused = true)]
async fn a_claim_runs_out_by_itself_and_on_a_machine_that_slept() {
    let claim = |wall| Claim::begun((Instant::now(), wall), Duration::from_secs(10), &"me".into());
    let good = claim(SystemTime::now());
    assert!(good.is_current());
    // The machine's own clock stood still meanwhile.
    assert!(!claim(SystemTime::now() - Duration::from_secs(11)).is_current());
    // A clock that was set back is no reason to stop.
    assert!(claim(SystemTime::now() + Duration::from_secs(3600)).is_current());
    advance(Duration::from_secs(11)).await;
    assert!(!good.is_current() && !Claim::none().is_current());
    assert!(Claim::unchallenged("me").borrow().is_current());
}

/// Random trouble on random lines for half an hour: never two writers of a target, and most targets have one most of the time.
#[tokio::test(start_paused = true)]
async fn never_two_writers_whatever_happens() {
    let seeds = if std::env::var_os("KUBECTL_ASM_FULL").is_some() { 8 } else { 1 };
    for seed in 0..seeds {
        let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
        let server = Fake::new();
        let replicas: Vec<Replica> = ["a", "b", "c"].iter().map(|name| Replica::start(&server, name, 8)).collect();
        let mut total = 0;
        for step in 0..3600 {
            sleep(Duration::from_millis(500)).await;
            if step % 20 == 0 {
                trouble(&replicas, &mut rng);
            }
            total += written(&replicas, &format!("seed {seed}, step {step}"));
        }
        assert!(total > 3600 * 8 / 2, "seed {seed}: {total} of {}", 3600 * 8);
        for replica in &replicas {
            replica.supervisor.abort();
        }
    }
}

const SYNC: &str = "asm-system/shop";
/// The cluster that several targets lead to.
const UID: &str = "uid";

/// Asks for the cluster until it is there, as workers do.
async fn claimed(shards: &Shards, target: &str) -> ClusterClaim {
    loop {
        let claim = shards.claim_cluster(SYNC, target, UID);
        if let Ok(Ok(())) = tokio::time::timeout(Duration::from_secs(10), claim.held()).await {
            return claim;
        }
        claim.ended();
        drop(claim);
        seconds(1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_names_of_one_cluster_are_not_worked_on_by_two_replicas_at_once() {
    let server = Fake::new();
    let mut replicas = [Replica::start(&server, "a", 4), Replica::start(&server, "b", 4)];
    seconds(5).await;
    // Both find out at the same moment.
    let claims = [(0, "m1c1"), (1, "m1c2")].map(|(n, target)| replicas[n].shards.claim_cluster(SYNC, target, UID));
    let outcomes = futures::future::join_all(claims.iter().map(ClusterClaim::held)).await;
    let has = outcomes.iter().position(Result::is_ok).expect("one has it");
    let (other, name) = (1 - has, format!("{SYNC}/m1c{}", has + 1));
    assert_eq!(outcomes[other].as_ref().unwrap_err().as_ref(), name, "the other one is told whose it is");
    // Another FleetSync may well sync something into the same cluster.
    let elsewhere = replicas[other].shards.claim_cluster("asm-system/other", "m1c1", UID);
    elsewhere.held().await.unwrap();
    elsewhere.ended();
    drop(elsewhere);

    // The target moves to the other replica: given back in order it has the cluster at once, cut off only when what was on its way
    // has landed.
    let target = format!("m1c{}", has + 1);
    let [one, two] = claims;
    let (first, second) = if has == 0 { (one, two) } else { (two, one) };
    drop(second);
    first.ended();
    drop(first);
    let since = Instant::now();
    let second = claimed(&replicas[other].shards, &target).await;
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    drop(second);
    let since = Instant::now();
    let first = claimed(&replicas[has].shards, &target).await;
    assert!(since.elapsed() >= DURATION / 5, "{:?}", since.elapsed());

    // The one that has it is killed.
    replicas[has].kill();
    let since = Instant::now();
    let second = claimed(&replicas[other].shards, &target).await;
    assert!(since.elapsed() > DURATION - Duration::from_secs(11), "before its time: {:?}", since.elapsed());
    assert!(since.elapsed() < DURATION + Duration::from_secs(15), "{:?}", since.elapsed());
    drop(first);

    // The other name has it when the first one has not wanted it for a while, and is told whose it is until then.
    second.ended();
    drop(second);
    let since = Instant::now();
    seconds(1).await;
    let early = replicas[other].shards.claim_cluster(SYNC, "z", UID);
    assert_eq!(early.held().await.unwrap_err().as_ref(), name);
    early.ended();
    drop(early);
    let second = claimed(&replicas[other].shards, "z").await;
    assert!(since.elapsed() >= DURATION, "before its time: {:?}", since.elapsed());
    assert!(since.elapsed() < DURATION + Duration::from_secs(5), "{:?}", since.elapsed());

    // A target that begins anew (its Secret has changed) has it at once again, however quickly; nobody wants it: no Lease is left.
    second.ended();
    drop(second);
    for _ in 0..20 {
        let again = claimed(&replicas[other].shards, "z").await;
        again.ended();
        drop(again);
        sleep(Duration::from_millis(7)).await;
    }
    seconds(3 * DURATION.as_secs()).await;
    let left = server.with(|store| store.leases.keys().filter(|name| name.contains("-cluster-")).count());
    assert_eq!(left, 0);
}

/// That a replica has the cluster, under which claim, and how often it has had it.
type Having = Arc<Mutex<(Option<Tenure>, usize)>>;

/// Three replicas want one cluster all the time, under two names, over lines with random trouble: never two have it.
#[tokio::test(start_paused = true)]
async fn never_two_replicas_have_one_cluster() {
    let server = Fake::new();
    let replicas: Vec<Replica> = ["a", "b", "c"].iter().map(|name| Replica::start(&server, name, 2)).collect();
    let held: Vec<Having> = (0..3).map(|_| Arc::default()).collect();
    let workers: Vec<JoinHandle<()>> = replicas
        .iter()
        .zip(&held)
        .enumerate()
        .map(|(n, (replica, held))| {
            let (claim, shards, held) = (replica.claim.clone(), replica.shards.clone(), held.clone());
            tokio::spawn(async move {
                let mut rng = rand::rngs::StdRng::seed_from_u64(n as u64);
                loop {
                    let tenure = Tenure::of(claim.clone());
                    if !tenure.is_current() {
                        sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                    let target = format!("m1c{}", rng.random_range(0..2));
                    let cluster = tokio::select! {
                        cluster = claimed(&shards, &target) => cluster,
                        () = tenure.over() => continue,
                    };
                    {
                        let mut held = held.lock().unwrap();
                        *held = (Some(tenure.clone()), held.1 + 1);
                    }
                    let in_order = tokio::select! {
                        () = sleep(Duration::from_millis(rng.random_range(1..20_000))) => rng.random_bool(0.7),
                        () = tenure.over() => false,
                        () = cluster.lost() => false,
                    };
                    held.lock().unwrap().0 = None;
                    if in_order {
                        cluster.ended();
                    }
                    drop(cluster);
                    sleep(Duration::from_millis(rng.random_range(0..300))).await;
                }
            })
        })
        .collect();
    let mut rng = rand::rngs::StdRng::seed_from_u64(7);
    for step in 0..14_400 {
        sleep(Duration::from_millis(50)).await;
        let having = held.iter().filter(|held| held.lock().unwrap().0.as_ref().is_some_and(Tenure::is_current)).count();
        assert!(having <= 1, "step {step}: {having} have it");
        if step % 200 == 0 {
            trouble(&replicas, &mut rng);
        }
    }
    workers.iter().for_each(JoinHandle::abort);
    // Who of them has it is a matter of luck; that somebody has is not.
    let times: usize = held.iter().map(|held| held.lock().unwrap().1).sum();
    assert!(times >= 10, "they had it {times} times only");
}
