//! What pull requests are called and say, from fleets.

use super::{ChangeSet, ChangedFile, cut};
use crate::diff::diff;
use crate::fleet::{FleetState, MemoryTree};
use std::collections::BTreeSet;

const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  mesh: {}
  clusters:
  - {name: m1c1}
  - {name: m1c2}
  - {name: m1c3}
  - {name: m1c4}
  - {name: m1c5}
  groups:
  - {name: all, clusters: [m1c1, m1c2, m1c3, m1c4, m1c5]}
";

const ROUTE: &str = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews]
  http:
  - route:
    - {destination: {host: reviews, subset: v1}, weight: 90}
    - {destination: {host: reviews, subset: v2}, weight: 10}
";

const GATEWAY: &str = "apiVersion: istio.alibabacloud.com/v1beta1
kind: IstioGateway
metadata: {name: ingressgateway, namespace: istio-system}
spec:
  externalTrafficPolicy: Local
";

const SECRET: &str = "apiVersion: v1
kind: Secret
metadata: {name: login, namespace: shop}
stringData:
  password: hunter2
";

/// Paths and contents.
type Files<'a> = &'a [(&'a str, &'a str)];

/// The change set between two sets of files, beside the fleet file.
fn set(before: Files<'_>, after: Files<'_>) -> ChangeSet {
    let state = |files: Files<'_>| {
        let tree: MemoryTree = files.iter().copied().chain([("fleet.yaml", FLEET)]).collect();
        FleetState::read(&tree)
    };
    let content = |files: Files<'_>, path: &str| {
        files.iter().find(|(found, _)| *found == path).map(|(_, text)| format!("{:x}", text.len()))
    };
    let paths: BTreeSet<&str> = before.iter().chain(after).map(|(path, _)| *path).collect();
    let files = paths.into_iter().map(|path| ChangedFile {
        path: path.to_owned(),
        before: content(before, path),
        after: content(after, path),
    });
    ChangeSet::new(files.filter(|file| file.before != file.after).collect(), diff(&state(before), &state(after)))
}

#[test]
fn messages_say_what_changes() {
    let weights = ROUTE.replace("90", "80").replace("10}", "200}");
    let policy = GATEWAY.replace("Local", "Cluster");
    let cases: [(Files<'_>, Files<'_>); 6] = [
        (&[("mesh/r.yaml", ROUTE)], &[("mesh/r.yaml", &weights)]),
        (&[("mesh/g.yaml", GATEWAY)], &[("mesh/g.yaml", &policy)]),
        (&[], &[("mesh/r.yaml", ROUTE), ("groups/all/s.yaml", SECRET)]),
        (&[("groups/all/s.yaml", SECRET)], &[("groups/all/s.yaml", &SECRET.replace("hunter2", "hunter 33"))]),
        (&[("mesh/r.yaml", ROUTE)], &[("mesh/r.yaml", &format!("# why\n{ROUTE}"))]),
        (&[("groups/all/s.yaml", SECRET)], &[]),
    ];
    let told: Vec<_> = cases
        .iter()
        .map(|(before, after)| {
            let set = set(before, after);
            format!("{}\n{}", set.branch(), set.message(None).commit)
        })
        .collect();
    insta::assert_snapshot!(told.join("---\n"));
}

#[test]
fn the_id_follows_from_the_files_alone() {
    let one = set(&[("mesh/a.yaml", ROUTE)], &[]);
    assert_eq!(one.id().len(), 40);
    assert_eq!(one.id(), set(&[("mesh/a.yaml", ROUTE)], &[]).id());
    let file = |path: &str, before: Option<&str>, after: Option<&str>| ChangedFile {
        path: path.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    };
    let id = |files: &[ChangedFile]| ChangeSet::new(files.to_vec(), one.diff().clone()).id();
    let (a, b) = (file("a", Some("1"), Some("2")), file("b", None, Some("2")));
    assert_eq!(id(&[a.clone(), b.clone()]), id(&[b, a]));
    let different = [
        vec![file("a", Some("1"), Some("2"))],
        vec![file("a", Some("2"), Some("1"))],
        vec![file("a", Some("1"), None)],
        vec![file("a", None, Some("1"))],
        vec![file("a", Some(""), Some("1"))],
        vec![file("a1", None, Some(""))],
        vec![],
    ];
    let ids: BTreeSet<_> = different.iter().map(|files| id(files)).collect();
    assert_eq!(ids.len(), different.len());
}

#[test]
fn long_texts_are_cut_between_characters() {
    assert_eq!(cut("short", 255), "short");
    let long = cut(&"é".repeat(200), 255);
    assert!(long.len() <= 255 && long.ends_with('…'), "{long}");
    let title = set(&[("mesh/r.yaml", ROUTE)], &[]).message(Some("  mine\u{1b}[31m\nsecond ")).title;
    assert_eq!(title, "mine\u{fffd}[31m\u{fffd}second");
}
