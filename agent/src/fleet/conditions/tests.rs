//! What the conditions say in each situation that people get into.

use super::*;
use crate::fleet::worker::{Ending, TargetReport};
use asm_shared::api::{HeldChange, HeldObject};
use asm_shared::fleet::Target;
use asm_shared::object::ObjectId;
use std::sync::Arc;

fn time(text: &str) -> Time {
    Time(text.parse().unwrap())
}

fn report(target: &str, revision: Option<&str>) -> TargetReport {
    let target = if target == "mesh" { Target::Mesh } else { Target::Cluster(target.into()) };
    let mut report = TargetReport::new(&target, &"0123456789abcdef".into());
    report.revision = revision.map(Arc::from);
    report.objects = 3;
    report.settled = true;
    report
}

fn synced(target: &str) -> (String, Option<TargetReport>) {
    (target.to_owned(), Some(report(target, Some("0123456789abcdef"))))
}

fn known(targets: Vec<(String, Option<TargetReport>)>) -> Known {
    let targets = targets.into_iter().map(|(name, report)| (name, report.as_ref().map(Brief::of))).collect();
    let source = SourceStatus { revision: Some("0123456789abcdef".to_owned()), ..SourceStatus::default() };
    Known { source: Some(source), has_fleet: true, targets, ..Known::default() }
}

/// `Type=Status/Reason: message` of the conditions that are not as in a calm fleet.
fn says(known: &Known) -> Vec<String> {
    let calm =
        ["SourceReady=True", "FleetValid=True", "Synced=True", "Healthy=True", "Drifted=False", "HeldBack=False"];
    let status = status(known, &FleetSyncStatus::default(), &time("2026-01-01T00:00:00Z"));
    let line = |c: &Condition| format!("{}={}/{}: {}", c.type_, c.status, c.reason, c.message);
    status.conditions.iter().map(line).filter(|line| !calm.iter().any(|calm| line.starts_with(calm))).collect()
}

#[test]
fn a_calm_fleet_is_ready() {
    let known = known(vec![synced("mesh"), synced("m1c1")]);
    assert_eq!(says(&known), ["Ready=True/Ready: 2 targets are at 01234567"]);
}

#[test]
fn a_dead_cluster_is_named_and_the_rest_is_not_blamed() {
    let mut dead = report("m1c1", Some("old"));
    dead.blocked = Some("connection refused".to_owned());
    let known = known(vec![synced("mesh"), ("m1c1".to_owned(), Some(dead))]);
    let why = "m1c1: connection refused";
    assert_eq!(
        says(&known),
        [
            format!("Ready=False/TargetUnavailable: {why}"),
            format!("Synced=False/TargetUnavailable: {why}"),
            "Healthy=Unknown/NotSeen: not every target can be looked at".to_owned(),
        ]
    );
}

#[test]
fn a_held_change_is_said_in_full() {
    let mut held = report("mesh", Some("old"));
    held.held.push(HeldChange {
        action: "Delete".to_owned(),
        kind: "Service".to_owned(),
        namespace: None,
        name: "x".to_owned(),
        uid: "u".to_owned(),
        addresses: vec!["198.51.100.7".to_owned()],
        message: "Service x loses 198.51.100.7".to_owned(),
    });
    let known = known(vec![("mesh".to_owned(), Some(held))]);
    assert_eq!(
        says(&known),
        [
            "Ready=False/HeldBack: mesh: Service x loses 198.51.100.7",
            "Synced=False/HeldBack: mesh: Service x loses 198.51.100.7",
            "HeldBack=True/ApprovalNeeded: mesh: Service x loses 198.51.100.7",
        ]
    );
}

fn refused(name: &str) -> HeldObject {
    HeldObject {
        kind: "VirtualService.networking.istio.io".to_owned(),
        namespace: Some("shop".to_owned()),
        name: name.to_owned(),
        rule: "destination-host".to_owned(),
        at: "mesh/a.yaml:3:5".to_owned(),
        message: format!("VirtualService shop/{name} is held back: no Service; name one"),
    }
}

#[test]
fn what_lint_holds_back_is_said_with_rule_and_place() {
    let mut held = report("mesh", Some("old"));
    held.lint = vec![refused("a"), refused("b")];
    held.hold = Some("2 objects have left Git but stay".to_owned());
    let known = known(vec![("mesh".to_owned(), Some(held)), synced("m1c1")]);
    let why = "mesh: mesh/a.yaml:3:5: VirtualService shop/a is held back: no Service; name one (destination-host) (and 1 more)";
    assert_eq!(
        says(&known),
        [
            format!("Ready=False/HeldBack: {why}"),
            format!("Synced=False/HeldBack: {why}"),
            format!("HeldBack=True/LintErrors: {why}"),
        ]
    );
    let status = status(&known, &FleetSyncStatus::default(), &time("2026-01-01T00:00:00Z"));
    assert_eq!((status.held_by_lint, status.held_back), (2, 0));
    assert_eq!(status.targets[0].lint[1].name, "b");
}

#[test]
fn while_a_target_is_on_its_way_nothing_is_called_failed() {
    let mut busy = report("mesh", Some("old"));
    busy.settled = false;
    busy.problems.push(SyncProblem { at: "mesh/a.yaml:1:1".to_owned(), message: "refused".to_owned() });
    let known = known(vec![("mesh".to_owned(), Some(busy)), ("m1c1".to_owned(), None)]);
    assert!(says(&known)[0].starts_with("Ready=False/Progressing: "), "{:?}", says(&known));
}

/// Removals of a cluster wait for the mesh's routes: that is no wish for an approval, unless the mesh does not get there.
#[test]
fn removals_that_wait_for_the_mesh_are_held_back_only_when_it_has_ended_its_pass() {
    let mut waiting = report("m1c1", Some("old"));
    waiting.settled = false;
    waiting.hold = Some("1 objects have left Git and stay until the mesh has the commit's routes".to_owned());
    let held = |waiting: &TargetReport| {
        let known = known(vec![synced("mesh"), ("m1c1".to_owned(), Some(waiting.clone()))]);
        says(&known).into_iter().find(|line| line.starts_with("HeldBack"))
    };
    assert_eq!(held(&waiting), None);
    waiting.settled = true;
    assert!(held(&waiting).is_some_and(|line| line.starts_with("HeldBack=True/RemovalsWait: m1c1: 1 objects")));
}

#[test]
fn broken_files_keep_a_fleet_from_being_ready_even_when_everything_else_is_applied() {
    let mut known = known(vec![synced("mesh"), ("m1c1".to_owned(), Some(report("m1c1", Some("old"))))]);
    known.problems = vec![SyncProblem { at: "clusters/m1c1/a.yaml:3:1".to_owned(), message: "no name".to_owned() }];
    assert_eq!(
        says(&known),
        [
            "Ready=False/SomeFilesWrong: clusters/m1c1/a.yaml:3:1: no name",
            "FleetValid=False/SomeFilesWrong: clusters/m1c1/a.yaml:3:1: no name",
            "Synced=False/SomeFilesWrong: m1c1: its files have problems; see FleetValid",
        ]
    );
}

#[test]
fn an_unhealthy_object_is_named() {
    let mut sick = report("mesh", Some("0123456789abcdef"));
    let id = ObjectId::new("", "Service", Some("a"), "b");
    sick.unhealthy.insert(id, "waits for its load balancer's address".to_owned());
    let known = known(vec![("mesh".to_owned(), Some(sick))]);
    assert_eq!(says(&known)[0], "Ready=False/Progressing: mesh: Service a/b waits for its load balancer's address");
}

#[test]
fn a_condition_keeps_its_time_until_it_turns() {
    let first = status(&known(vec![synced("mesh")]), &FleetSyncStatus::default(), &time("2026-01-01T00:00:00Z"));
    let mut later = known(vec![synced("mesh")]);
    later.source_error = Some(("Unreachable", "no answer".to_owned()));
    let second = status(&later, &first, &time("2026-01-02T00:00:00Z"));
    let at = |status: &FleetSyncStatus, kind: &str| {
        status.conditions.iter().find(|c| c.type_ == kind).map(|c| c.last_transition_time.clone())
    };
    assert_eq!(at(&second, "Synced"), Some(time("2026-01-01T00:00:00Z")));
    assert_eq!(at(&second, "SourceReady"), Some(time("2026-01-02T00:00:00Z")));
}

#[test]
fn the_status_stays_small_even_when_everything_fails_everywhere() {
    let mut full = report("mesh", None);
    for n in 0..10_000 {
        let message = "x".repeat(2000);
        full.problems.push(SyncProblem { at: format!("mesh/{n}.yaml:1:1"), message });
        full.unhealthy.insert(ObjectId::new("", "Service", Some("a"), &n.to_string()), "y".repeat(2000));
    }
    for targets in [1, 5, 20] {
        let many = (0..targets).map(|n| (format!("m1c{n}"), Some(full.clone()))).collect();
        let status = status(&known(many), &FleetSyncStatus::default(), &time("2026-01-01T00:00:00Z"));
        let size = serde_json::to_vec(&status).unwrap().len();
        assert!(size < 64 << 10, "{targets} targets: {size} bytes");
        assert_eq!((status.targets[0].problem_count, status.targets[0].unhealthy), (10_000, 10_000));
    }
}

#[test]
fn a_target_has_the_conditions_of_the_whole() {
    let status = status(&known(vec![synced("mesh")]), &FleetSyncStatus::default(), &time("2026-01-01T00:00:00Z"));
    let kinds: Vec<&str> = status.targets[0].conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(kinds, ["Ready", "Synced", "Healthy", "Drifted", "HeldBack"]);
}

/// etcd takes 1.5 MiB, and the field manager's entry names every field once more.
#[test]
fn a_thousand_targets_fit_into_one_status() {
    let mut sick = report("m1c0007", Some("0123456789abcdef"));
    sick.unhealthy
        .insert(ObjectId::new("", "Service", Some("a"), "b"), "waits for its load balancer's address".to_owned());
    let mut many: Vec<_> = (0..1000).map(|n| synced(&format!("m1c{n:04}"))).collect();
    many[7].1 = Some(sick);
    let status = status(&known(many), &FleetSyncStatus::default(), &time("2026-01-01T00:00:00Z"));
    let kinds = |n: usize| status.targets[n].conditions.iter().map(|c| c.type_.as_str()).collect::<Vec<_>>();
    assert_eq!((kinds(6), kinds(7)), (vec!["Ready"], vec!["Ready", "Healthy"]));
    let size = serde_json::to_vec(&status).unwrap().len();
    assert!(size < 400 << 10, "{size} bytes");
}

#[test]
fn a_source_says_who_signed_it_and_that_it_is_a_mirror() {
    let mut known = known(vec![synced("mesh")]);
    let source = known.source.get_or_insert_default();
    source.signed_by = Some("Ann (OpenPGP 3B24)".to_owned());
    source.url = Some("https://mirror/fleet".to_owned());
    let says = |known: &Known| {
        let status = status(known, &FleetSyncStatus::default(), &time("2026-01-01T00:00:00Z"));
        let found = status.conditions.into_iter().find(|c| c.type_ == labels::SOURCE_READY).unwrap();
        format!("{}/{}: {}", found.status, found.reason, found.message)
    };
    assert_eq!(says(&known), "True/Fetched: read 01234567, signed by Ann (OpenPGP 3B24)");
    known.passed_over = vec!["https://git/fleet: connection refused".to_owned()];
    assert_eq!(
        says(&known),
        "True/FetchedFromMirror: read 01234567, signed by Ann (OpenPGP 3B24) from the mirror https://mirror/fleet; \
         https://git/fleet: connection refused"
    );
}

#[test]
fn credentials_that_end_soon_are_told_and_do_not_make_it_unready() {
    let mut known = known(vec![synced("mesh"), synced("m1c1")]);
    let ends = |end: &str| Credentials {
        target: "m1c1".to_owned(),
        secret: "m1c1-kubeconfig".to_owned(),
        key: "kubeconfig".to_owned(),
        end: end.parse().unwrap(),
    };
    known.expiring = vec![ends("2026-02-01T00:00:00Z")];
    assert_eq!(says(&known), ["Ready=True/Ready: 2 targets are at 01234567"]);
    known.expiring.push(ends("2026-01-04T00:00:00Z"));
    let said = says(&known);
    assert_eq!(said[0], "Ready=True/Ready: 2 targets are at 01234567");
    let word =
        "CredentialsValid=False/ExpireSoon: m1c1: the credentials of its kubeconfig end in 3 days, at 2026-01-04";
    assert!(said[1].starts_with(word), "{}", said[1]);
}

/// Where a route leads is the mesh's, whichever cluster should have had the pods.
#[test]
fn a_route_that_leads_nowhere_makes_the_mesh_ill() {
    let mut known = known(vec![synced("mesh"), synced("m1c1")]);
    let route = ObjectId::new("networking.istio.io", "VirtualService", Some("shop"), "reviews");
    known.dead = vec![(route, "sends requests nowhere".to_owned())];
    assert_eq!(says(&known)[0], "Ready=False/Progressing: mesh: VirtualService shop/reviews sends requests nowhere");
    let status = status(&known, &FleetSyncStatus::default(), &time("2026-01-01T00:00:00Z"));
    let healthy =
        |n: usize| status.targets[n].conditions.iter().find(|it| it.type_ == "Healthy").unwrap().status.clone();
    assert_eq!((healthy(0), healthy(1)), ("False".to_owned(), "True".to_owned()));
    assert_eq!((status.targets[0].unhealthy, status.targets[1].unhealthy), (1, 0));
}

#[test]
fn what_was_not_looked_at_is_not_called_healthy() {
    let mut unseen = report("m1c1", Some("0123456789abcdef"));
    unseen.unseen = true;
    let known = known(vec![synced("mesh"), ("m1c1".to_owned(), Some(unseen))]);
    assert_eq!(
        says(&known)[0],
        "Ready=False/NotSeen: m1c1: what requests need to arrive (load balancers, certificates, pods) has not been looked at yet"
    );
}

/// It is good for a while, so that nothing is ill.
#[test]
fn a_certificate_that_ends_is_told_and_no_ill_health() {
    let mut ends = report("m1c1", Some("0123456789abcdef"));
    ends.ending = ["a", "b"]
        .map(|name| Ending {
            secret: ObjectId::new("", "Secret", Some("istio-system"), name),
            end: "2026-01-04T00:00:00Z".parse().unwrap(),
            whose: "Gateway shop/edge (mesh/edge.yaml:3:1)".to_owned(),
        })
        .to_vec();
    let known = known(vec![synced("mesh"), ("m1c1".to_owned(), Some(ends))]);
    let all = says(&known);
    assert!(all[0].starts_with("Ready=True/Ready"), "{}", all[0]);
    let told = all.iter().find(|text| text.starts_with("CertificatesValid")).unwrap();
    assert_eq!(
        told,
        "CertificatesValid=False/ExpireSoon: m1c1: Secret istio-system/a holds a certificate that ends at \
         2026-01-04T00:00:00Z, which Gateway shop/edge (mesh/edge.yaml:3:1) needs (and 1 more); renew it in this cluster"
    );
}
