//! `kubectl asm pr create`: what the repository decides. Each thing that stands in the way is one message with a hint, and
//! leaves everything as it was.

use crate::forge_server::FLAVORS;
use crate::pull_requests::{Scene, TOKEN};
use crate::world::Run;
use std::os::unix::fs::PermissionsExt as _;

fn scene() -> Scene {
    Scene::new(&FLAVORS[0])
}

/// Everything that a refused run must leave as it was.
fn all(scene: &Scene) -> String {
    let refs = scene.git(&["for-each-ref", "--format=%(refname) %(objectname)", "refs/heads"]);
    let states = [
        scene.git(&["status", "--porcelain=v2", "--branch"]),
        scene.git(&["diff", "--cached"]),
        scene.git(&["ls-remote", &scene.bare]),
        scene.git(&["worktree", "list"]),
        scene.world.files(),
    ];
    refs + &states.concat()
}

/// A run that must be refused with one message, and leave everything as it was.
fn refused(scene: &Scene, args: &[&str], code: i32, parts: &[&str]) -> Run {
    let (before, writes) = (all(scene), scene.forge.writes());
    let run = scene.create(args);
    assert_eq!((run.code, run.stdout.as_str()), (Some(code), ""), "{args:?}\n{run}");
    assert_eq!(run.stderr.matches("error:").count(), 1, "{run}");
    assert!(run.stderr.contains("hint: "), "{run}");
    for part in parts {
        assert!(run.stderr.contains(part), "{part}\n{run}");
    }
    assert_eq!((all(scene), scene.forge.writes()), (before, writes), "{args:?}");
    run
}

fn hook(scene: &Scene, path: &str, text: &str) {
    let path = scene.world.root().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn which_remote() {
    let scene = scene();
    scene.git(&["remote", "rename", "origin", "one"]);
    scene.git(&["remote", "add", "two", "https://forge.example/shop/fleet.git"]);
    refused(&scene, &[], 2, &["there are 2 remotes: one, two", "--remote NAME", "git config asm.remote NAME"]);
    refused(&scene, &["--remote", "three"], 2, &["there is no remote three", "one, two"]);
    scene.git(&["config", "asm.remote", "two"]);
    assert_eq!(scene.create(&[]).stdout, format!("{}\n", scene.forge.page(1)));

    let scene = self::scene();
    scene.git(&["remote", "add", "fork", "https://forge.example/me/fleet.git"]);
    // What the branch follows needs no word.
    scene.git(&["branch", "-q", "--set-upstream-to=origin/main"]);
    assert_eq!(scene.create(&[]).code, Some(0));

    let scene = self::scene();
    scene.git(&["remote", "remove", "origin"]);
    refused_without_remote(&scene, &["this repository has no remote", "git remote add origin URL"]);
    scene.git(&["remote", "add", "origin", "/srv/git/fleet.git"]);
    refused_without_remote(&scene, &["no address of a forge", "git remote set-url"]);
    scene.git(&["remote", "set-url", "origin", "https://git.example/shop/fleet.git"]);
    scene.git(&["config", "--unset", "asm.forge"]);
    refused_without_remote(
        &scene,
        &["cannot tell which kind of forge git.example is", "--forge", "git config asm.forge"],
    );
}

fn refused_without_remote(scene: &Scene, parts: &[&str]) {
    let run = scene.world.run(&["pr", "create"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run}");
    for part in parts {
        assert!(run.stderr.contains(part), "{part}\n{run}");
    }
    assert_eq!(scene.branch(), "main");
}

#[test]
fn where_head_stands() {
    let scene = scene();
    scene.git(&["checkout", "-q", "--detach"]);
    refused(&scene, &[], 2, &["HEAD is on no branch (detached)", "--branch NAME", "git switch"]);
    let run = scene.create(&["--branch", "mine"]);
    assert_eq!((run.code, scene.branch().as_str()), (Some(0), "mine"), "{run}");

    let scene = self::scene();
    for (branch, told) in
        [("main", "main is the base"), ("a..b", "no name for a branch"), ("-x", "no name for a branch")]
    {
        refused(&scene, &[&format!("--branch={branch}")], 2, &[told]);
    }
    scene.git(&["branch", "there"]);
    refused(&scene, &["--branch", "there"], 2, &["there is a branch there already", "git switch there"]);
    scene.git(&["switch", "-q", "there"]);
    assert_eq!(scene.create(&[]).code, Some(0));
    assert_eq!(scene.forge.request(1).head, "there");

    let scene = self::scene();
    std::fs::write(scene.world.root().join(".git/MERGE_HEAD"), scene.git(&["rev-parse", "HEAD"])).unwrap();
    refused(&scene, &[], 2, &["a merge is going on", "git merge --abort"]);

    // No commit at all.
    let world = crate::world::World::with_fleet();
    let run = world.run(&["pr", "create"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("in no Git repository") && run.stderr.contains("git init"), "{run}");
}

#[test]
fn which_base() {
    let scene = scene();
    refused(&scene, &["--base", "maim"], 2, &["the remote origin has no branch maim", "--base: main"]);
    let run = scene.create(&["--dry-run", "--base", "maim"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("this clone knows no branch maim"), "{run}");
    scene.git(&["push", "-q", "origin", "main:release"]);
    scene.git(&["config", "asm.base", "release"]);
    scene.git(&["switch", "-q", "-c", "release"]);
    assert_eq!(scene.create(&[]).code, Some(0));
    assert_eq!(scene.forge.request(1).base, "release");
}

#[test]
fn a_shallow_clone() {
    let scene = scene();
    scene.git(&["stash", "-q"]);
    scene.git(&["switch", "-q", "-c", "feature"]);
    for number in 1..4 {
        scene.weights(80 + number);
        scene.git(&["commit", "-qam", "step"]);
    }
    scene.git(&["push", "-q", "origin", "feature"]);
    // Cut off above the commit that both branches come from.
    let last = scene.git(&["rev-parse", "HEAD"]);
    std::fs::write(scene.world.root().join(".git/shallow"), format!("{last}\n")).unwrap();
    refused(&scene, &[], 2, &["no commit in common", "the clone is shallow", "git fetch --unshallow origin"]);
    std::fs::remove_file(scene.world.root().join(".git/shallow")).unwrap();
    assert_eq!(scene.create(&[]).code, Some(0));
}

#[test]
fn the_base_has_gone_on() {
    let scene = scene();
    let route = scene.world.read("mesh/route.yaml");
    scene.git(&["stash", "-q"]);
    scene.weights(30);
    scene.git(&["commit", "-qam", "somebody else's"]);
    scene.git(&["push", "-q", "origin", "main"]);
    scene.git(&["reset", "-q", "--hard", "HEAD~1"]);
    scene.world.write("mesh/route.yaml", &route);
    refused(
        &scene,
        &[],
        2,
        &["contradicts what main of origin has", "in mesh/route.yaml", "git pull --rebase --autostash origin main"],
    );
    // In another file it does not matter.
    scene.git(&["checkout", "-q", "mesh/route.yaml"]);
    scene.world.write("mesh/other.yaml", &route.replace("reviews", "ratings"));
    assert_eq!(scene.create(&[]).code, Some(0));
    assert_eq!(scene.git(&["diff", "--name-only", "main", "HEAD"]), "mesh/other.yaml");

    // The branch itself has gone on.
    let branch = scene.branch();
    let other = scene.git(&["commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "a reviewer's"]);
    scene.git(&["push", "-q", "origin", &format!("{other}:refs/heads/{branch}")]);
    scene.git(&["update-ref", "-d", &format!("refs/remotes/origin/{branch}")]);
    scene.world.write("mesh/other.yaml", &route.replace("reviews", "details"));
    let run = refused(&scene, &[], 2, &["has commits that are not here", "git pull --rebase --autostash origin"]);
    assert!(!run.stderr.contains("! "), "{run}");
}

#[test]
fn a_protected_branch() {
    let scene = scene();
    let update = "case $1 in refs/heads/asm/*) echo 'protected branch'; exit 1;; esac";
    hook(&scene, "../remote/shop/fleet.git/hooks/update", update);
    let parts = ["origin refuses the push to asm/reviews-", "protected branch", "nothing was pushed", "--branch NAME"];
    refused(&scene, &[], 2, &parts);
    assert_eq!(scene.create(&["--branch", "mine/route"]).code, Some(0));
}

#[test]
fn hooks_and_identity_are_the_users() {
    let scene = scene();
    scene.world.write("mesh/b.yaml", "# not a fleet object\n");
    hook(
        &scene,
        ".git/hooks/pre-commit",
        "git diff --cached --name-only > .git/seen; grep -q 'weight: 80' mesh/route.yaml || exit 1",
    );
    hook(&scene, ".git/hooks/commit-msg", "echo 'Signed-off-by: hook' >> $1");
    scene.weights(60);
    refused(&scene, &[], 2, &["cannot commit the changes of the fleet: nothing was committed or pushed"]);
    scene.weights(80);
    assert_eq!(scene.create(&[]).code, Some(0));
    assert_eq!(scene.world.read(".git/seen"), "mesh/b.yaml\nmesh/route.yaml\n");
    assert!(scene.git(&["log", "-1", "--format=%B"]).contains("Signed-off-by: hook"));

    // Signed as the user signs.
    let scene = self::scene();
    let sign = "cat > /dev/null; echo '[GNUPG:] SIG_CREATED ' >&2; echo '-----BEGIN PGP SIGNATURE-----'";
    hook(&scene, "../sign", sign);
    scene.git(&["config", "--global", "gpg.program", scene.world.root().join("../sign").to_str().unwrap()]);
    scene.git(&["config", "--global", "commit.gpgSign", "true"]);
    assert_eq!(scene.create(&[]).code, Some(0));
    assert!(scene.git(&["cat-file", "commit", "HEAD"]).contains("gpgsig -----BEGIN PGP SIGNATURE-----"));

    let scene = self::scene();
    scene.git(&["config", "--global", "--unset", "user.email"]);
    scene.git(&["config", "user.useConfigOnly", "true"]);
    refused(&scene, &[], 2, &["cannot commit the changes of the fleet", "user.email"]);

    // A hook that shows what it finds in its environment.
    let scene = self::scene();
    hook(&scene, ".git/hooks/pre-push", "env >&2; exit 1");
    refused(&scene, &[], 3, &["cannot push to the remote origin", "nothing was pushed"]);
}

#[test]
fn only_the_fleets_files_and_all_of_them() {
    let scene = scene();
    let root = scene.world.root();
    scene.world.write("mesh/old.yaml", &scene.world.read("mesh/route.yaml").replace("reviews", "old"));
    scene.world.write("docs/readme.md", "a\n");
    scene.git(&["add", "."]);
    scene.git(&["commit", "-qm", "more"]);
    scene.git(&["push", "-q", "origin", "main"]);
    std::fs::remove_file(root.join("mesh/old.yaml")).unwrap();
    scene
        .world
        .write("clusters/m1c1/new one.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n");
    scene.world.write("docs/readme.md", "b\n");
    scene.world.write("scratch.txt", "c\n");
    // Staged one way, written another: what is written counts.
    scene.weights(70);
    scene.git(&["add", "mesh/route.yaml"]);
    scene.weights(75);
    let run = scene.create(&[]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stderr.contains("not of the fleet: docs/readme.md"), "{run}");
    let changed = scene.git(&["diff", "--name-status", "main", "HEAD"]);
    assert_eq!(changed, "A\tclusters/m1c1/new one.yaml\nD\tmesh/old.yaml\nM\tmesh/route.yaml");
    assert!(scene.git(&["show", "HEAD:mesh/route.yaml"]).contains("weight: 75"));
    assert_eq!(scene.git(&["status", "--porcelain"]), " M docs/readme.md\n?? scratch.txt");

    // Only what is committed.
    scene.weights(10);
    let run = scene.create(&["--no-commit"]);
    assert!(run.stderr.contains("not committed: mesh/route.yaml") && run.stderr.contains("unchanged"), "{run}");
}

#[test]
fn a_fleet_that_would_have_problems() {
    let scene = scene();
    scene.world.write("mesh/broken.yaml", "a: b: c\n");
    refused(&scene, &[], 2, &["problems that it does not have now", "mesh/broken.yaml:1", "--draft"]);
    let run = scene.create(&["--draft"]);
    assert_eq!(run.code, Some(0), "{run}");
}

#[test]
fn nothing_to_propose() {
    let scene = scene();
    scene.git(&["checkout", "-q", "mesh/route.yaml"]);
    for args in [&[][..], &["--dry-run"]] {
        let run = scene.create(args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run}");
        assert!(run.stderr.contains("nothing to propose"), "{run}");
    }
    // Squashed into the base under another commit.
    scene.weights(80);
    scene.git(&["switch", "-q", "-c", "feature"]);
    scene.git(&["commit", "-qam", "mine"]);
    scene.git(&["switch", "-q", "main"]);
    scene.weights(80);
    scene.git(&["commit", "-qam", "squashed"]);
    scene.git(&["push", "-q", "origin", "main"]);
    scene.git(&["switch", "-q", "feature"]);
    assert!(scene.create(&[]).stderr.contains("nothing to propose"));
}

#[test]
fn commits_on_the_base_itself() {
    let scene = scene();
    scene.git(&["commit", "-qam", "on main by mistake"]);
    let run = scene.create(&[]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(scene.branch().starts_with("asm/reviews-") && scene.git(&["status", "--porcelain"]).is_empty());
    assert_eq!(scene.git(&["rev-parse", "HEAD"]), scene.git(&["rev-parse", "main"]));
    // What is said puts the base back.
    let hint = run
        .stderr
        .lines()
        .find_map(|line| line.strip_prefix("hint: main has the same commits here; put it back with: git "));
    scene.git(&hint.unwrap_or_else(|| panic!("{run}")).split(' ').collect::<Vec<_>>());
    assert_eq!(scene.git(&["rev-parse", "main"]), scene.git(&["rev-parse", "origin/main"]));
    assert!(scene.create(&[]).stderr.contains("unchanged"));
}

#[test]
fn a_fleet_in_a_folder() {
    let scene = scene();
    let root = scene.world.root();
    scene.git(&["stash", "-q"]);
    std::fs::create_dir_all(root.join("fleets/shop")).unwrap();
    scene.git(&["mv", "mesh", "fleet.yaml", "fleets/shop/"]);
    scene.git(&["commit", "-qm", "into a folder"]);
    scene.git(&["push", "-q", "origin", "main"]);
    let route = scene.world.read("fleets/shop/mesh/route.yaml");
    scene.world.write("fleets/shop/mesh/route.yaml", &route.replace("90", "60").replace("10}", "40}"));
    scene.world.write("notes.txt", "mine\n");
    let run = scene.create(&["--repo", "fleets/shop"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(scene.git(&["diff", "--name-only", "main", "HEAD"]), "fleets/shop/mesh/route.yaml");
    assert_eq!(scene.git(&["status", "--porcelain"]), " M notes.txt");
    assert!(scene.create(&["--repo", "fleets/shop"]).stderr.contains("unchanged"));
}

#[test]
fn no_credential_of_the_remote_is_shown() {
    let scene = scene();
    // Nobody listens there, and Git names the address with all that is in it.
    for address in [
        format!("http://me:{TOKEN}@127.0.0.1:1/shop/fleet.git"),
        format!("http://{TOKEN}@127.0.0.1:1/shop/fleet.git"),
        format!("http://me:{}@127.0.0.1:1/shop/fleet.git", TOKEN.replace('-', "%2D")),
    ] {
        scene.git(&["remote", "set-url", "origin", &address]);
        for verbose in [false, true] {
            let mut command = scene.world.command(&["pr", "create"]);
            if verbose {
                command.env("GIT_TRACE", "1").env("GIT_CURL_VERBOSE", "1").env("GIT_TRACE_CURL_NO_DATA", "1");
            }
            let output = command.output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(3), "{told}");
            assert!(told.contains("cannot read the remote origin"), "{told}");
            assert!(!told.contains(TOKEN) && !told.contains("canary"), "{told}");
        }
        let dry = scene.world.run(&["pr", "create", "--dry-run", "-o", "json"]);
        assert!(dry.code == Some(0) && !dry.to_string().contains("canary"), "{dry}");
    }
}

#[test]
fn odd_names_stay_text() {
    let scene = scene();
    scene.world.write(
        "mesh/odd \u{1b}[31m<b>@all.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: b\n  annotations: {note: \"closes #1 @all <script>\"}\n",
    );
    scene.git(&["checkout", "-q", "mesh/route.yaml"]);
    let run = scene.create(&["--title", "a\u{1b}[31mb\n@c", "--draft"]);
    assert_eq!(run.code, Some(0), "{run}");
    let (request, message) = (scene.forge.request(1), scene.git(&["log", "-1", "--format=%B"]));
    for text in [&request.title, &message, &run.stderr, &run.stdout] {
        assert!(!text.contains('\u{1b}') && !text.contains("<script>"), "{text:?}");
    }
    assert_eq!(request.title, "a\u{fffd}[31mb\u{fffd}@c");
}

#[test]
fn the_body_says_what_lint_finds_in_the_change_and_nothing_of_what_was_there() {
    let scene = scene();
    let route = |name: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  \
             hosts: [{name}.example.com]\n  gateways: [nowhere]\n  http:\n  - redirect: {{uri: /}}\n"
        )
    };
    scene.world.write("mesh/old.yaml", &route("old"));
    scene.git(&["add", "mesh/old.yaml"]);
    scene.git(&["commit", "-qm", "old"]);
    scene.git(&["push", "-q", "origin", "main"]);
    scene.world.write("mesh/new.yaml", &route("new"));
    let run = scene.create(&["--dry-run"]);
    let lint = run.stdout.split_once("### asm lint").unwrap_or_else(|| panic!("{run}")).1;
    assert!(lint.contains("mesh/new.yaml") && lint.contains("virtual-service-gateway"), "{run}");
    assert!(!lint.contains("mesh/old.yaml"), "{run}");
}
