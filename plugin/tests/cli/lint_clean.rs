//! Fleets that the commands write are clean: no rule of lint has a warning about them.

use super::world::World;
use asm_shared::fleet::{FleetState, MemoryTree};
use asm_shared::lint::{Assumptions, RULES, Severity, run};
use std::path::Path;

fn add(tree: &mut MemoryTree, root: &Path, folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        if entry.is_dir() && !name.starts_with('.') {
            add(tree, root, &entry);
        } else if entry.extension().is_some_and(|extension| extension == "yaml") {
            tree.insert(&name, std::fs::read_to_string(&entry).unwrap());
        }
    }
}

#[track_caller]
fn clean(world: &World) {
    let mut tree = MemoryTree::default();
    add(&mut tree, &world.root(), &world.root());
    let state = FleetState::read(&tree);
    assert!(state.problems.is_empty(), "{:#?}", state.problems);
    assert!(!state.manifests.is_empty());
    let found = run(&state, RULES, Assumptions { complete: true, ..Assumptions::default() });
    let bad: Vec<_> = found.iter().filter(|finding| finding.severity >= Severity::Warning).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

fn all(world: &World, commands: &[&[&str]]) {
    for command in commands {
        world.ok(command);
        clean(world);
    }
}

#[test]
fn the_main_story() {
    let world = World::with_fleet();
    let route = ["route", "add", "bookinfo", "--gateway", "bookinfo-gateway", "--create-gateway", "--host", "*"];
    let to = ["--match", "exact:/productpage", "--match", "prefix:/static", "--to", "productpage:9080"];
    all(
        &world,
        &[
            &["gateway", "create", "ingressgateway", "--serverless"],
            &["app", "add", "bookinfo", "--preset", "split"],
            &[&route[..], &to[..]].concat(),
            &["route", "split", "reviews", "--subset", "v1,v2,v3", "--to", "v1=90,v3=10"],
            &["route", "fault", "reviews", "--delay", "2s=10"],
            &["app", "place", "reviews-v3=m1c2", "details=m1c1"],
            &["route", "mirror", "reviews", "--to", "reviews@v3", "--percent", "10"],
            &["route", "weight", "reviews", "v1=50", "v3=50"],
        ],
    );
}

#[test]
fn several_load_balancers() {
    let world = World::with_fleet();
    all(
        &world,
        &[
            &["gateway", "create", "ingressgateway", "--cluster", "m1c1,m1c2", "--address-type", "internet"],
            &["clb", "add", "--gateway", "ingressgateway", "--cluster", "m1c1", "--internal", "--spec", "slb.s1.small"],
            &[
                "clb",
                "add",
                "--gateway",
                "ingressgateway",
                "--all-clusters",
                "--charge-type",
                "PayBySpec",
                "--spec",
                "slb.s2.small",
                "--annotation",
                "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-delete-protection=on",
            ],
            &[
                "gateway",
                "create",
                "reused",
                "--cluster",
                "m1c1,m1c2",
                "--reuse-load-balancer",
                "m1c1:lb-1",
                "--reuse-load-balancer",
                "m1c2:lb-2",
                "--override-listeners",
            ],
            &["gateway", "create", "second", "--cluster", "m1c1"],
            &[
                "gateway",
                "share",
                "ingressgateway",
                "second",
                "--label",
                "team=edge",
                "--gateway",
                "edge",
                "--create-gateway",
                "--host",
                "*",
            ],
            &[
                "gateway",
                "create",
                "nlb",
                "--cluster",
                "m1c2",
                "--load-balancer",
                "nlb",
                "--zone-map",
                "cn-a=vsw-1",
                "--zone-map",
                "cn-b=vsw-2",
            ],
        ],
    );
}
