//! `kubectl asm pr create` from a fork: which remote is pushed to, which one the change is for, and what each forge is told.

use crate::forge_server::{FLAVORS, Flavor, Mode};
use crate::pull_requests::Scene;
use serde_json::Value;

/// As `gh repo fork --remote` leaves a clone: `origin` is the fork, and `main` follows `upstream`.
fn forked(flavor: &'static Flavor) -> (Scene, String) {
    let scene = Scene::new(flavor);
    let far = |path: &str| format!("https://forge.example/{path}.git");
    let bare = scene.world.root().join("../remote").join(format!("{}.git", flavor.paths[1]));
    std::fs::create_dir_all(&bare).unwrap();
    let bare = bare.to_str().unwrap().to_owned();
    scene.git(&["init", "-q", "--bare", "-b", "main", &bare]);
    scene.git(&["config", &format!("url.{bare}.insteadOf"), &far(flavor.paths[1])]);
    scene.git(&["remote", "rename", "origin", "upstream"]);
    scene.git(&["remote", "add", "origin", &far(flavor.paths[1])]);
    scene.git(&["push", "-q", "origin", "main"]);
    scene.git(&["fetch", "-q", "--all"]);
    scene.git(&["branch", "-q", "--set-upstream-to=upstream/main"]);
    (scene, bare)
}

fn heads(scene: &Scene, bare: &str) -> Vec<String> {
    let told = scene.git(&["ls-remote", "--heads", bare]);
    told.lines().filter_map(|line| line.split_once("refs/heads/")).map(|(_, name)| name.to_owned()).collect()
}

#[test]
fn the_branch_goes_to_the_fork_and_the_request_to_upstream() {
    for flavor in FLAVORS {
        let (scene, fork) = forked(flavor);
        // Somebody has a branch of the same name in the repository itself.
        let dry: Value = serde_json::from_str(&scene.create(&["--dry-run", "-o", "json"]).stdout).unwrap();
        assert_eq!((&dry["remote"], &dry["baseRemote"]), (&"origin".into(), &"upstream".into()), "{dry}");
        assert_eq!((&dry["repository"], &dry["fork"]), (&flavor.paths[0].into(), &flavor.paths[1].into()), "{dry}");

        let run = scene.create(&["--reviewer", "alice"]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), format!("{}\n", scene.forge.page(1)).as_str()), "{run}");
        assert!(
            run.stderr
                .contains(&format!("from the fork {} (origin) to {} (upstream)", flavor.paths[1], flavor.paths[0])),
            "{run}"
        );
        let request = scene.forge.request(1);
        assert!(request.is_from_fork && request.head.starts_with("asm/reviews-"), "{} {request:?}", flavor.word);
        assert_eq!((request.head.as_str(), request.base.as_str()), (dry["branch"].as_str().unwrap(), "main"));
        assert_eq!(heads(&scene, &fork), [request.head.as_str(), "main"], "{}", flavor.word);
        assert_eq!(heads(&scene, &scene.bare), ["main"], "{}", flavor.word);

        // The branch follows the fork now, and what it is for is still known.
        let writes = scene.forge.writes();
        let run = scene.create(&[]);
        assert!(run.stderr.contains("unchanged: ") && run.stdout == format!("{}\n", scene.forge.page(1)), "{run}");
        assert_eq!(scene.forge.writes(), writes, "{}", flavor.word);
        scene.weights(50);
        let run = scene.create(&["--title", "another"]);
        assert!(run.stderr.contains("updated "), "{run}");
        assert_eq!((scene.forge.count(), scene.forge.request(1).title.as_str()), (1, "another"));

        // One of the same name in the repository itself is another one.
        scene.forge.change(1, |request| request.is_from_fork = false);
        assert_eq!(scene.create(&[]).stdout, format!("{}\n", scene.forge.page(2)), "{}", flavor.word);
        assert!(scene.forge.request(2).is_from_fork, "{}", flavor.word);

        scene.forge.change(2, |request| request.is_open = false);
        scene.forge.change(1, |request| (request.is_open, request.is_from_fork) = (false, true));
        let run = scene.create(&[]);
        assert!(run.code == Some(2) && run.stderr.contains("was closed without being merged"), "{run}");
    }
}

#[test]
fn a_refusal_after_the_push_names_the_fork_and_goes_on() {
    for flavor in FLAVORS {
        let (scene, _) = forked(flavor);
        scene.forge.set_mode(Mode::Status("POST", 403, Vec::new()));
        let run = scene.create(&[]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(3), ""), "{run}");
        assert!(run.stderr.contains("the commits are pushed to origin as asm/reviews-"), "{run}");
        scene.forge.set_mode(Mode::Ok);
        assert_eq!(scene.create(&[]).stdout, format!("{}\n", scene.forge.page(1)), "{}", flavor.word);
    }
}

#[test]
fn which_one_is_the_fork() {
    let flavor = &FLAVORS[0];
    let sides = |scene: &Scene, args: &[&str]| {
        let run = scene.create(&[&["--dry-run", "-o", "json"][..], args].concat());
        let json: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{args:?}\n{run}"));
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        (text("remote"), text("baseRemote"))
    };
    let pair = |head: &str, base: &str| (head.to_owned(), base.to_owned());
    let (scene, _) = forked(flavor);
    // What is said comes first, then settings, then what Git and other tools know.
    assert_eq!(sides(&scene, &["--remote", "upstream"]), pair("upstream", "upstream"));
    assert_eq!(sides(&scene, &["--base-remote", "origin"]), pair("upstream", "origin"));
    assert_eq!(sides(&scene, &["--remote", "origin", "--base-remote", "origin"]), pair("origin", "origin"));
    scene.git(&["config", "asm.base-remote", "origin"]);
    assert_eq!(sides(&scene, &["--remote", "origin"]), pair("origin", "origin"));
    scene.git(&["config", "--unset", "asm.base-remote"]);

    // Other names: Git's own triangle, or what `gh repo set-default` wrote.
    scene.git(&["remote", "rename", "upstream", "shop"]);
    scene.git(&["remote", "rename", "origin", "mine"]);
    assert_eq!(sides(&scene, &[]), pair("shop", "shop"));
    scene.git(&["config", "remote.pushDefault", "mine"]);
    assert_eq!(sides(&scene, &[]), pair("mine", "shop"));
    scene.git(&["config", "--unset", "remote.pushDefault"]);
    scene.git(&["config", "remote.shop.gh-resolved", "base"]);
    assert_eq!(sides(&scene, &["--remote", "mine"]), pair("mine", "shop"));
    // Nobody said that the other one may be pushed to.
    assert_eq!(sides(&scene, &[]), pair("shop", "shop"));

    // Nothing tells them apart.
    scene.git(&["config", "--unset", "remote.shop.gh-resolved"]);
    scene.git(&["branch", "-q", "--unset-upstream"]);
    for (args, parts) in [
        (&[][..], &["there are 2 remotes: mine, shop", "--remote NAME", "--base-remote NAME"][..]),
        (&["--base-remote", "nowhere"], &["there is no remote nowhere", "choose one of mine, shop with --base-remote"]),
    ] {
        let run = scene.create(args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run}");
        parts.iter().for_each(|part| assert!(run.stderr.contains(part), "{part}\n{run}"));
    }
    // A mirror on another forge is no fork, unless somebody says so; and then nothing can be done.
    scene.git(&["remote", "rename", "shop", "upstream"]);
    scene.git(&["remote", "rename", "mine", "origin"]);
    scene.git(&["branch", "-q", "--set-upstream-to=origin/main"]);
    scene.git(&["remote", "set-url", "upstream", "https://elsewhere.example/shop/fleet.git"]);
    assert_eq!(sides(&scene, &[]), pair("origin", "origin"));
    let run = scene.create(&["--base-remote", "upstream"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run}");
    assert!(run.stderr.contains("are on different forges") && run.stderr.contains("--base-remote NAME"), "{run}");
}

#[test]
fn without_a_token_the_push_goes_where_the_forge_takes_it() {
    for (word, parts) in [
        // Whoever may read a repository may push there for review.
        ("gitea", &["git push -o topic=asm/reviews-", " upstream COMMIT:refs/for/main"][..]),
        ("gitlab", &["-o merge_request.target_project=shop/mesh/sub/fleet ", " origin COMMIT:refs/heads/asm/reviews-"]),
    ] {
        let (mut scene, _) = forked(FLAVORS.iter().find(|flavor| flavor.word == word).unwrap());
        scene.world.env.clear();
        let dry = scene.create(&["--dry-run"]);
        assert_eq!(dry.code, Some(0), "{dry}");
        parts.iter().for_each(|part| assert!(dry.stdout.contains(part), "{part}\n{dry}"));
    }
}
