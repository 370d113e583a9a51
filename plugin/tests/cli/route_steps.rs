//! Shifting weights in steps, each a commit.

use super::world::World;
use std::process::Command;

fn git(world: &World, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
        .args(args)
        .current_dir(world.root())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A route to v1, committed.
fn world() -> World {
    let mut world = World::with_bookinfo();
    for (key, value) in [
        ("GIT_AUTHOR_NAME", "a"),
        ("GIT_AUTHOR_EMAIL", "a@example.com"),
        ("GIT_COMMITTER_NAME", "a"),
        ("GIT_COMMITTER_EMAIL", "a@example.com"),
    ] {
        world.env.push((key.to_owned(), value.to_owned()));
    }
    world.ok(&["route", "split", "reviews", "--subset", "v1,v2,v3", "--to", "v1=70,v2=30"]);
    git(&world, &["init", "--quiet", "-b", "main"]);
    git(&world, &["add", "."]);
    git(&world, &["commit", "--quiet", "-m", "start"]);
    world
}

fn log(world: &World) -> Vec<String> {
    git(world, &["log", "--reverse", "--format=%s"]).lines().map(str::to_owned).collect()
}

/// Subsets and weights of the route in a revision.
fn weights(world: &World, revision: &str) -> String {
    let text = git(world, &["show", &format!("{revision}:mesh/routes/reviews.yaml")]);
    let route = text.split("kind: VirtualService").nth(1).unwrap();
    let field = |line: &str| {
        let line = line.trim();
        line.strip_prefix("subset: ")
            .map(|name| format!(" {name}"))
            .or(line.strip_prefix("weight: ").map(|w| format!("={w}")))
    };
    route.lines().filter_map(field).collect::<String>().trim().to_owned()
}

#[test]
fn each_step_is_a_commit() {
    let world = world();
    let run = world.ok(&["route", "weight", "reviews", "v3=100", "--steps", "10,50,100", "--dry-run"]);
    assert_eq!(run.stdout.matches("+++ b/mesh/routes/reviews.yaml").count(), 3, "{run}");
    assert_eq!(log(&world), ["start"]);
    let run = world.ok(&["route", "weight", "reviews", "v3=100", "--steps", "10,50,100"]);
    assert_eq!(
        log(&world),
        ["start", "route reviews: v3 to 10 %", "route reviews: v3 to 50 %", "route reviews: v3 to 100 %"]
    );
    assert_eq!(weights(&world, "HEAD~2"), "v1=63 v2=27 v3=10");
    assert_eq!(weights(&world, "HEAD~1"), "v1=35 v2=15 v3=50");
    assert_eq!(weights(&world, "HEAD"), "v3=100");
    assert_eq!(git(&world, &["status", "--porcelain"]), "");
    assert_eq!(run.stdout.lines().count(), 3);
    assert!(run.stderr.contains("warning: reviews@v1"), "{run}");
    let run = world.ok(&["route", "split", "reviews", "--to", "v1=50,v3=50", "--steps", "25,50", "-o", "json"]);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["kind"], "StepList");
    assert_eq!(document["items"][1]["message"], "route reviews: v1 to 50 %");
    assert_eq!(weights(&world, "HEAD~1"), "v3=75 v1=25");
}

#[test]
fn a_detached_head_will_do_and_what_was_reached_is_not_repeated() {
    let world = world();
    git(&world, &["checkout", "--quiet", "--detach"]);
    world.ok(&["route", "weight", "reviews", "v3=50", "v1=50", "--steps", "25,50"]);
    world.ok(&["route", "weight", "reviews", "v3=100", "--steps", "25,50,75,100"]);
    assert_eq!(
        log(&world)[2..],
        ["route reviews: v3 to 50 %", "route reviews: v3 to 75 %", "route reviews: v3 to 100 %"]
    );
    assert_eq!(weights(&world, "HEAD~1").split(' ').next(), Some("v1=25"));
}

#[test]
fn what_stands_in_the_way_stops_it_before_anything_is_written() {
    let world = world();
    let steps = ["route", "weight", "reviews", "v3=100", "--steps", "10,100"];
    let stopped = |expected: &str| {
        let before = (world.files(), log(&world));
        let run = world.run(&steps);
        assert_eq!(run.code, Some(2), "{run}");
        assert!(run.stderr.contains(expected), "{run}");
        assert_eq!((world.files(), log(&world)), before);
    };
    world.write("mesh/new.yaml", "");
    stopped("error: mesh/new.yaml is not committed: nothing was written");
    std::fs::remove_file(world.root().join("mesh/new.yaml")).unwrap();
    let text = world.read("fleet.yaml");
    world.write("fleet.yaml", &format!("# x\n{text}"));
    stopped("error: fleet.yaml is not committed");
    world.write("fleet.yaml", &text);
    std::fs::write(world.root().join(".git/MERGE_HEAD"), git(&world, &["rev-parse", "HEAD"])).unwrap();
    stopped("error: a merge is going on in this repository");
    std::fs::remove_file(world.root().join(".git/MERGE_HEAD")).unwrap();
    std::fs::create_dir(world.root().join(".git/rebase-merge")).unwrap();
    stopped("error: a rebase is going on");
    std::fs::remove_dir(world.root().join(".git/rebase-merge")).unwrap();

    for (args, expected) in [
        (&["v3=100", "--steps", "10,50"][..], "the last of --steps is the share in the end: v3 is to get 100, not 50"),
        (&["v3=100", "--steps", "50,10,100"], "each of --steps must be greater"),
        (&["v1=10", "v2=40", "v3=50", "--steps", "25,50"], "exactly one destination whose share grows"),
        (&["v3=90", "--steps", "90"], "the weights add up to 90, not 100"),
    ] {
        let before = (world.files(), log(&world));
        let run = world.run(&[&["route", "weight", "reviews"], args].concat());
        assert!(run.code == Some(2) && run.stderr.contains(expected), "{run}");
        assert_eq!((world.files(), log(&world)), before);
    }
    let run = world.run(&["route", "split", "ratings", "--to", "v1=100", "--steps", "50,100"]);
    assert!(run.stderr.contains("ratings has no route yet"), "{run}");
}

#[cfg(unix)]
#[test]
fn a_hook_that_refuses_leaves_the_tree_as_it_was() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = world();
    let hook = world.root().join(".git/hooks/pre-commit");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    // It lets the first step pass.
    std::fs::write(&hook, "#!/bin/sh\nif [ -e .git/once ]; then echo no >&2; exit 1; fi\ntouch .git/once\n").unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let run = world.run(&["route", "weight", "reviews", "v3=100", "--steps", "10,100"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("error: cannot commit the step\n  caused by: no\n"), "{run}");
    assert!(run.stderr.contains("hint: 1 of the steps are committed; the same command goes on from there"), "{run}");
    assert_eq!(log(&world).len(), 2);
    assert_eq!(git(&world, &["status", "--porcelain"]), "");
}
