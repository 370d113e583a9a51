use std::time::{Duration, Instant};

use asm_shared::api::{SecretReference, SourceSpec};
use tempfile::TempDir;

use super::test_server::{GitServer, Mood};
use super::{Fetched, GitCredentials, Limits, Source, SourceError, outcome};
use crate::metrics::FetchOutcome;

struct Setup {
    server: GitServer,
    folder: TempDir,
    source: Source,
}

impl Setup {
    async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::with_limits(&folder.path().join("source"), limits);
        Self { server: GitServer::start().await, folder, source }
    }

    fn spec(&self) -> SourceSpec {
        spec(&self.server.url(), 20)
    }

    async fn fetch(&self) -> Result<Fetched, SourceError> {
        self.source.fetch(&self.spec(), None, None, None).await
    }

    async fn fetch_after(&self, last: &str, accept: Option<&str>) -> Result<Fetched, SourceError> {
        self.source.fetch(&self.spec(), None, Some(last), accept).await
    }
}

fn spec(url: &str, timeout_seconds: u32) -> SourceSpec {
    serde_json::from_value(serde_json::json!({"url": url, "timeoutSeconds": timeout_seconds})).unwrap()
}

fn read(fetched: &Fetched, file: &str) -> Vec<u8> {
    let repository = git2::Repository::open_bare(&fetched.repository).unwrap();
    let commit = repository.find_commit(git2::Oid::from_str(&fetched.revision).unwrap()).unwrap();
    let entry = commit.tree().unwrap().get_path(std::path::Path::new(file)).unwrap();
    let blob = repository.find_blob(entry.id()).unwrap();
    blob.content().to_vec()
}

#[tokio::test]
async fn follows_a_branch_and_asks_once_while_it_does_not_move() {
    let setup = Setup::new().await;
    let first = setup.server.commit("a.yaml", b"a: 1", "First \u{1b}[31mcommit\n\nwith a body");
    let fetched = setup.fetch().await.unwrap();
    assert_eq!((&fetched.revision, fetched.changed), (&first, true));
    assert_eq!(fetched.subject, "First \u{fffd}[31mcommit");
    assert_eq!(fetched.author, "Ann \u{fffd}Author <ann@example.com>");
    assert_eq!(read(&fetched, "a.yaml"), b"a: 1");
    assert!(!fetched.repository.join("a.yaml").exists(), "nothing is checked out");

    let before = setup.server.requests();
    let same = setup.fetch_after(&first, None).await.unwrap();
    assert!(!same.changed && same.revision == first);
    assert_eq!(setup.server.requests(), (before.0 + 1, before.1), "one request, no pack");

    let second = setup.server.commit("a.yaml", b"a: 2", "Second");
    let fetched = setup.fetch_after(&first, None).await.unwrap();
    assert!(fetched.changed && fetched.revision == second);
    assert_eq!(read(&fetched, "a.yaml"), b"a: 2");

    // After a restart with the same folder nothing is fetched again.
    let again = Source::open(&setup.folder.path().join("source"));
    let packs = setup.server.requests().1;
    let fetched = again.fetch(&setup.spec(), None, Some(&second), None).await.unwrap();
    assert!(fetched.changed, "the first look of a source is news to whoever opened it");
    assert_eq!(setup.server.requests().1, packs);
}

#[tokio::test]
async fn fetches_one_branch_and_no_tags() {
    let setup = Setup::new().await;
    setup.server.commit("a.yaml", b"a: 1", "First");
    setup.server.commit("secret.yaml", b"s: 1", "Other work");
    setup.server.push("other");
    setup.server.push("refs-in-name/deep");
    setup.server.reset("HEAD~");
    setup.server.push("main");
    let fetched = setup.fetch().await.unwrap();
    let repository = git2::Repository::open_bare(&fetched.repository).unwrap();
    let names: Vec<_> =
        repository.references().unwrap().map(|found| found.unwrap().name().unwrap().to_owned()).collect();
    assert_eq!(names, ["refs/remotes/origin/main"]);
    let mut deep = setup.spec();
    deep.branch = "refs-in-name/deep".to_owned();
    assert!(setup.source.fetch(&deep, None, None, None).await.unwrap().changed);
}

#[tokio::test]
async fn a_rewritten_branch_needs_consent() {
    let setup = Setup::new().await;
    let first = setup.server.commit("a.yaml", b"a: 1", "First");
    let second = setup.server.commit("a.yaml", b"a: 2", "Second");
    setup.fetch_after(&first, None).await.unwrap();

    // Back to an older commit.
    setup.server.reset(&first);
    setup.server.push("main");
    let error = setup.fetch_after(&second, None).await.unwrap_err();
    assert_eq!(error, SourceError::NotFastForward { from: second.clone(), to: first.clone(), went_back: true });
    assert!(error.to_string().contains("went back"), "{error}");
    let hint = error.hint("asm-system", "fleet");
    let command =
        format!("kubectl annotate fleetsync -n asm-system fleet --overwrite kubectl-asm.io/accept-revision={first}");
    assert!(hint.contains(&command), "{hint}");
    assert_eq!(outcome(&Err(error)), FetchOutcome::NotFastForward);

    // Rewritten.
    let other = setup.server.commit("a.yaml", b"a: 3", "Other second");
    let error = setup.fetch_after(&second, Some(&second)).await.unwrap_err();
    assert!(matches!(error, SourceError::NotFastForward { went_back: false, .. }), "{error:?}");
    // Only the exact commit is accepted, not a prefix.
    assert!(setup.fetch_after(&second, Some(&other[..12])).await.is_err());
    assert_eq!(setup.fetch_after(&second, Some(&other)).await.unwrap().revision, other);
    // Once applied, it is what later commits must follow.
    let next = setup.server.commit("a.yaml", b"a: 4", "Next");
    assert_eq!(setup.fetch_after(&other, Some(&other)).await.unwrap().revision, next);

    // A history that has nothing in common, seen by an agent that has lost its store.
    setup.server.orphan();
    setup.server.commit("a.yaml", b"a: 5", "Fresh start");
    let fresh = Source::open(&setup.folder.path().join("fresh"));
    let error = fresh.fetch(&setup.spec(), None, Some(&next), None).await.unwrap_err();
    assert!(matches!(error, SourceError::NotFastForward { went_back: false, .. }), "{error:?}");
    // Something that is no commit ID is no ancestor either.
    assert!(fresh.fetch(&setup.spec(), None, Some("not-a-commit"), None).await.is_err());
}

#[tokio::test]
async fn branches_and_repositories_that_are_not_there() {
    let setup = Setup::new().await;
    let error = setup.fetch().await.unwrap_err();
    assert!(matches!(error, SourceError::EmptyRepository { .. }), "{error:?}");

    setup.server.commit("a.yaml", b"a: 1", "First");
    for branch in ["b", "c", "d", "e", "f", "g"] {
        setup.server.push(branch);
    }
    let mut spec = setup.spec();
    spec.branch = "release".to_owned();
    let error = setup.source.fetch(&spec, None, None, None).await.unwrap_err();
    assert!(
        error.to_string().ends_with("there is no branch \"release\"; there are: b, c, d, e, f and 2 more"),
        "{error}"
    );
    for wrong in ["", "-x", "a b", "a..b", "a*", "a:b", "x\u{7}", "a/"] {
        spec.branch = wrong.to_owned();
        let error = setup.source.fetch(&spec, None, None, None).await.unwrap_err();
        assert!(matches!(error, SourceError::InvalidBranch { .. }), "{wrong}: {error:?}");
    }
    let gone = self::spec(&format!("http://{}/gone.git", setup.server.address()), 10);
    let error = setup.source.fetch(&gone, None, None, None).await.unwrap_err();
    assert!(matches!(error, SourceError::RepositoryMissing { .. }), "{error:?}");
}

#[tokio::test]
async fn servers_that_do_not_talk_git() {
    let setup = Setup::new().await;
    setup.server.commit("a.yaml", b"a: 1", "First");
    setup.server.set(Mood::Login("alice", "hunter2"));
    let error = setup.fetch().await.unwrap_err();
    assert_eq!(error, SourceError::Unauthorized { url: setup.server.url(), presented: false });
    assert!(error.hint("n", "f").contains("source.secretRef"));

    setup.server.set(Mood::Status(403));
    assert!(matches!(setup.fetch().await, Err(SourceError::Unauthorized { .. })));
    for mood in [Mood::Status(500), Mood::Status(204), Mood::Page] {
        setup.server.set(mood.clone());
        let error = setup.fetch().await.unwrap_err();
        assert!(matches!(error, SourceError::Unreachable { .. }), "{mood:?}: {error:?}");
    }
    let closed = spec("http://127.0.0.1:1/fleet.git", 5);
    let error = setup.source.fetch(&closed, None, None, None).await.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }) && error.is_unreachable(), "{error:?}");
    let unknown = spec("http://git.invalid/fleet.git", 10);
    let error = setup.source.fetch(&unknown, None, None, None).await.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn credentials_never_go_over_http() {
    let setup = Setup::new().await;
    setup.server.commit("a.yaml", b"a: 1", "First");
    let credentials = GitCredentials { password: Some("hunter2".to_owned()), ..GitCredentials::default() };
    let mut spec = setup.spec();
    spec.secret_ref = Some(SecretReference { name: "git".to_owned() });
    let error = setup.source.fetch(&spec, Some(&credentials), None, None).await.unwrap_err();
    assert!(error.to_string().contains("clear text"), "{error}");
    assert_eq!(setup.server.requests(), (0, 0));
    spec.url = spec.url.replace("http://", "http://alice:hunter2@");
    let error = setup.source.fetch(&spec, None, None, None).await.unwrap_err();
    assert!(matches!(error, SourceError::InvalidUrl { .. }) && !error.to_string().contains("hunter2"), "{error}");
    assert_eq!(setup.server.requests(), (0, 0));
    // Only an authority in the Secret: nothing that could leak.
    let authority = rcgen::generate_simple_self_signed(["git.example.com".to_owned()]).unwrap().cert.pem();
    let credentials = GitCredentials { ca: Some(authority.into_bytes()), ..GitCredentials::default() };
    assert!(setup.source.fetch(&setup.spec(), Some(&credentials), None, None).await.is_ok());
}

#[tokio::test]
async fn attack_redirects_to_another_host_are_not_followed() {
    let (setup, other) = (Setup::new().await, GitServer::start().await);
    setup.server.commit("a.yaml", b"a: 1", "First");
    other.commit("a.yaml", b"evil: 1", "Evil");
    let port = other.address().port();
    for elsewhere in [format!("http://localhost:{port}"), "file:///etc".to_owned(), "ftp://x".to_owned()] {
        setup.server.set(Mood::Redirect(elsewhere.clone()));
        let error = setup.fetch().await.unwrap_err();
        assert!(matches!(error, SourceError::Unreachable { .. }), "{elsewhere}: {error:?}");
    }
    assert_eq!(other.requests(), (0, 0));
    // Round and round on the same host: an end is put to it.
    setup.server.set(Mood::Redirect(String::new()));
    assert!(setup.fetch().await.is_err());
    assert!(setup.server.requests().0 < 60);
}

#[tokio::test]
async fn a_silent_server_costs_the_timeout_and_one_thread() {
    let setup = Setup::new().await;
    let first = setup.server.commit("a.yaml", b"a: 1", "First");
    setup.server.set(Mood::Silent(Duration::from_secs(4)));
    let hasty = spec(&setup.server.url(), 1);
    let started = Instant::now();
    let error = setup.source.fetch(&hasty, None, None, None).await.unwrap_err();
    assert!(matches!(error, SourceError::Timeout { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(3));

    let started = Instant::now();
    let requests = setup.server.requests();
    let error = setup.source.fetch(&hasty, None, None, None).await.unwrap_err();
    assert!(matches!(error, SourceError::StillRunning { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_millis(500), "it says so at once");
    assert_eq!(setup.server.requests(), requests, "no second thread");
    assert_eq!(outcome(&Err(error)), FetchOutcome::Timeout);

    // The first one ends by itself, and what it got is used.
    setup.server.set(Mood::Good);
    let fetched = loop {
        match setup.fetch().await {
            Err(SourceError::StillRunning { .. }) => tokio::time::sleep(Duration::from_millis(100)).await,
            other => break other.unwrap(),
        }
    };
    assert_eq!(fetched.revision, first);
    assert_eq!(setup.server.requests().1, 1, "the pack was fetched once, by the first one");
}

#[tokio::test]
async fn two_looks_at_a_time_wait_for_each_other() {
    let setup = Setup::new().await;
    setup.server.commit("a.yaml", b"a: 1", "First");
    setup.server.set(Mood::Silent(Duration::from_millis(200)));
    let (one, two) = tokio::join!(setup.fetch(), setup.fetch());
    assert_eq!(one.unwrap().revision, two.unwrap().revision);
    assert_eq!(setup.server.requests().1, 1);
}

#[tokio::test]
async fn a_source_that_goes_takes_its_thread_along() {
    let Setup { server, folder, source } = Setup::new().await;
    let first = server.commit("a.yaml", b"a: 1", "First");
    server.set(Mood::Silent(Duration::from_secs(60)));
    let patient = spec(&server.url(), 20);
    let dropped = tokio::time::timeout(Duration::from_millis(300), source.fetch(&patient, None, None, None)).await;
    assert!(dropped.is_err());
    drop(source);
    server.set(Mood::Good);
    let next = Source::open(&folder.path().join("source"));
    let fetched = loop {
        match next.fetch(&patient, None, None, None).await {
            Err(SourceError::StillRunning { .. }) => tokio::task::yield_now().await,
            other => break other.unwrap(),
        }
    };
    assert_eq!(fetched.revision, first);
}

#[tokio::test]
async fn attack_a_list_of_branches_without_end_is_cut() {
    let setup = Setup::new().await;
    setup.server.set(Mood::EndlessList);
    let error = setup.fetch().await.unwrap_err();
    assert!(matches!(&error, SourceError::TooLarge { reason, .. } if reason.contains("16 MiB")), "{error:?}");
}

#[tokio::test]
async fn attack_a_pack_bomb_is_refused_before_it_is_unpacked() {
    let setup = Setup::with(Limits { object: 1 << 20, ..Limits::default() }).await;
    // A few kilobytes on the way.
    setup.server.commit("zeros.bin", &vec![0; 3 << 20], "Bomb");
    let error = setup.fetch().await.unwrap_err();
    let SourceError::TooLarge { reason, .. } = &error else { panic!("{error:?}") };
    assert_eq!(reason, "an object of 3 MiB unpacked, at most 1 MiB");
    let setup = Setup::with(Limits { unpacked: 2 << 20, ..Limits::default() }).await;
    for file in ["a.bin", "b.bin", "c.bin"] {
        setup.server.commit(file, &vec![file.as_bytes()[0]; 1 << 20], "Bomb");
    }
    let error = setup.fetch().await.unwrap_err();
    assert!(matches!(&error, SourceError::TooLarge { reason, .. } if reason.contains("2 MiB unpacked")), "{error:?}");
}

#[tokio::test]
async fn what_is_too_large_is_not_taken() {
    let mut noise = vec![0; 1_500_000];
    rand::Rng::fill(&mut rand::rng(), noise.as_mut_slice());
    let setup = Setup::with(Limits { bytes: 300 << 10, ..Limits::default() }).await;
    setup.server.commit("big.bin", &noise, "Big");
    let error = setup.fetch().await.unwrap_err();
    assert!(matches!(&error, SourceError::TooLarge { reason, .. } if reason.contains("300 KiB")), "{error:?}");
    assert_eq!(outcome(&Err(error)), FetchOutcome::Refused);

    let setup = Setup::with(Limits { objects: 20, ..Limits::default() }).await;
    for number in 0..10 {
        setup.server.commit(&format!("{number}.yaml"), format!("a: {number}").as_bytes(), "One more");
    }
    let error = setup.fetch().await.unwrap_err();
    assert!(matches!(&error, SourceError::TooLarge { reason, .. } if reason.contains("objects")), "{error:?}");
}

#[tokio::test]
async fn broken_objects_are_refused_and_fetched_anew() {
    let setup = Setup::new().await;
    let first = setup.server.commit("a.yaml", b"a: 1", "First");
    setup.server.set(Mood::BrokenPack);
    let error = setup.fetch().await.unwrap_err();
    assert!(matches!(error, SourceError::Corrupt { .. } | SourceError::Unreachable { .. }), "{error:?}");
    setup.server.set(Mood::Good);
    let fetched = setup.fetch().await.unwrap();
    assert_eq!(fetched.revision, first);

    // The reader finds the store broken and says so.
    setup.source.discard().await.unwrap();
    let again = setup.fetch().await.unwrap();
    assert!(!again.changed && again.revision == first && again.repository != fetched.repository);
    assert_eq!(read(&again, "a.yaml"), b"a: 1");
    assert_eq!(read(&fetched, "a.yaml"), b"a: 1", "who still reads the old store can go on");

    // A store that is no repository any more is replaced without being asked.
    std::fs::remove_file(again.repository.join("HEAD")).unwrap();
    assert_eq!(read(&setup.fetch().await.unwrap(), "a.yaml"), b"a: 1");
}

#[tokio::test]
async fn the_store_does_not_grow_for_ever() {
    let setup = Setup::with(Limits { packs: 3, ..Limits::default() }).await;
    let mut last: Option<String> = None;
    let mut stores = std::collections::BTreeSet::new();
    for number in 0..14 {
        let revision = setup.server.commit("a.yaml", format!("a: {number}").as_bytes(), "Next");
        let fetched = setup.source.fetch(&setup.spec(), None, last.as_deref(), None).await.unwrap();
        assert_eq!(fetched.revision, revision, "history is known across stores");
        stores.insert(fetched.repository.clone());
        last = Some(revision);
    }
    assert!(stores.len() > 2, "{stores:?}");
    let left = std::fs::read_dir(setup.folder.path().join("source")).unwrap().count();
    assert_eq!(left, 2, "the present store and the one before");
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let source = Source::open(&folder.path().join("file/source"));
    let error = source.fetch(&spec("http://127.0.0.1:1/a", 5), None, None, None).await.unwrap_err();
    assert!(matches!(error, SourceError::Storage { .. }) && error.hint("n", "f").contains("--data-dir"), "{error:?}");
}
