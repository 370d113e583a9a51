//! Copies of a repository, and how large the store gets.

use asm_shared::api::SourceSpec;

use super::test_server::{GitServer, Mood};
use super::test_tls::{authority, in_front_of};
use super::{Fetched, GitCredentials, Limits, Secrets, Source, SourceError};

fn spec(urls: &[&str]) -> SourceSpec {
    let mirrors: Vec<_> = urls[1..].iter().map(|url| serde_json::json!({"url": url})).collect();
    serde_json::from_value(serde_json::json!({"url": urls[0], "mirrors": mirrors, "timeoutSeconds": 20})).unwrap()
}

async fn fetch(source: &Source, urls: &[&str], last: Option<&str>) -> Result<Fetched, SourceError> {
    source.fetch(&spec(urls), Secrets::default(), last, None).await
}

const NOBODY: &str = "http://127.0.0.1:1/fleet.git";

#[tokio::test]
async fn the_first_that_answers_is_taken_and_the_others_are_named() {
    let (main, mirror) = (GitServer::start().await, GitServer::start().await);
    let first = main.commit("a.yaml", b"a: 1", "First");
    main.copy_to(&mirror);
    let folder = tempfile::tempdir().unwrap();
    let source = Source::open(folder.path());
    let (main_url, mirror_url) = (main.url(), mirror.url());
    let urls = [main_url.as_str(), NOBODY, mirror_url.as_str()];

    let fetched = fetch(&source, &urls, None).await.unwrap();
    assert_eq!((fetched.url.as_str(), fetched.passed_over.len()), (main_url.as_str(), 0));
    assert_eq!(mirror.requests(), (0, 0), "a mirror is asked only when it is needed");

    main.set(Mood::Status(503));
    let fetched = fetch(&source, &urls, Some(&first)).await.unwrap();
    assert_eq!((fetched.url.as_str(), fetched.revision.as_str()), (mirror_url.as_str(), first.as_str()));
    assert!(
        fetched.passed_over[0].contains("503") && fetched.passed_over[1].starts_with("mirror 1: http://127.0.0.1:1")
    );

    let error = fetch(&source, &[&main_url, NOBODY], Some(&first)).await.unwrap_err();
    let SourceError::Unreachable { url, reason } = &error else { panic!("{error:?}") };
    assert!(*url == main_url && reason.contains("503") && reason.contains("mirror 1: http://127.0.0.1:1"), "{reason}");
    // What a person must mend at the first is not covered up.
    main.set(Mood::Status(403));
    assert!(matches!(fetch(&source, &urls, Some(&first)).await, Err(SourceError::Unauthorized { .. })));
}

#[tokio::test]
async fn attack_a_mirror_that_is_behind_or_rewritten_is_never_taken() {
    let (main, behind, other) = (GitServer::start().await, GitServer::start().await, GitServer::start().await);
    main.commit("a.yaml", b"a: 1", "First");
    main.copy_to(&behind);
    let second = main.commit("a.yaml", b"a: 2", "Second");
    other.commit("a.yaml", b"evil: 1", "Another history");
    let folder = tempfile::tempdir().unwrap();
    let source = Source::open(folder.path());
    let (main_url, behind_url, other_url) = (main.url(), behind.url(), other.url());
    let urls = [main_url.as_str(), &behind_url, &other_url];
    fetch(&source, &urls, None).await.unwrap();
    main.set(Mood::Status(503));
    let error = fetch(&source, &urls, Some(&second)).await.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("mirror 1: the head of the branch") && text.contains("went back"), "{text}");
    assert!(text.contains("mirror 2: the head of the branch") && text.contains("rewritten"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_credentials_of_the_source_are_not_sent_to_a_mirror() {
    let (main, mirror) = (GitServer::start().await, GitServer::start().await);
    main.commit("a.yaml", b"a: 1", "First");
    main.copy_to(&mirror);
    let ours = authority();
    let port = |server: &GitServer| in_front_of(server.address(), &ours, "localhost").port();
    let url = |server: &GitServer| format!("https://localhost:{}/fleet.git", port(server));
    main.set(Mood::Status(503));
    let ca = Some(ours.pem().into_bytes());
    let source =
        Some(GitCredentials { password: Some("c4n4ry".to_owned()), ca: ca.clone(), ..GitCredentials::default() });
    let mirrors = vec![Ok(Some(GitCredentials { ca, ..GitCredentials::default() }))];
    let secrets = Secrets { source, mirrors, keyring: None };
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(&[&url(&main), &url(&mirror)]);
    Source::open(folder.path()).fetch(&spec, secrets, None, None).await.unwrap();
    assert_eq!((main.logins(), mirror.logins()), (1, 0));
}

/// What lies in a folder.
fn weight(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let each = entries
        .map(|entry| if entry.path().is_dir() { weight(&entry.path()) } else { entry.metadata().unwrap().len() });
    each.sum()
}

#[tokio::test]
async fn a_thousand_commits_leave_a_small_store() {
    const COMMITS: usize = 1000;
    let server = GitServer::start().await;
    let first = server.commit("fleet.yaml", b"a: 0", "First");
    let folder = tempfile::tempdir().unwrap();
    let source = Source::with_limits(folder.path(), Limits { packs: 8, ..Limits::default() });
    let (mut last, mut most, mut packs) = (first, 0, 0);
    for number in 0..COMMITS {
        let head = server
            .commit_quickly("monorepo/fleets/shop/fleet.yaml", &format!("a: {number}\n# {:0>2000}\n", number * 7919));
        // One in twenty-five is looked at: the agent polls, people push.
        if number % 25 == 0 || number == COMMITS - 1 {
            last = fetch(&source, &[&server.url()], Some(&last)).await.unwrap().revision;
            assert_eq!(last, head);
            most = most.max(weight(folder.path()));
            packs = packs.max(std::fs::read_dir(folder.path()).unwrap().count());
        }
    }
    let whole = tempfile::tempdir().unwrap();
    fetch(&Source::open(whole.path()), &[&server.url()], None).await.unwrap();
    let once = weight(whole.path());
    assert!(packs <= 2, "{packs} stores");
    // Two stores, and the packs of a few fetches, of which each has trees and an index of its own.
    assert!(most < 3 * once + (2 << 20), "at most {most} bytes, {once} when fetched at once");
}
