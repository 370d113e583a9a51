//! `kubectl asm pr create`: the same table of cases for every forge, against servers that answer as their documents say;
//! then what Git alone decides.

use crate::forge_server::{FLAVORS, Flavor, ForgeServer, Mode};
use crate::world::{Run, World};
use serde_json::Value;
use std::process::Command;

/// A value that must be seen nowhere.
pub(crate) const TOKEN: &str = "canary-5f3c9a7e";

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

/// A fleet in a repository with a remote, and the forge behind it.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) forge: ForgeServer,
    /// The remote's repository.
    pub(crate) bare: String,
}

impl Scene {
    /// On `main`, all pushed, and a route changed that is not committed.
    pub(crate) fn new(flavor: &'static Flavor) -> Self {
        let mut world = World::with_fleet();
        let forge = ForgeServer::start(flavor, TOKEN);
        world.write("mesh/route.yaml", ROUTE);
        world.write("notes.txt", "notes\n");
        let path = flavor.remote.strip_prefix("https://forge.example/").unwrap();
        let bare = world.root().join("../remote").join(path);
        std::fs::create_dir_all(&bare).unwrap();
        world.env.push((flavor.variable.to_owned(), TOKEN.to_owned()));
        let scene = Self { world, forge, bare: bare.to_str().unwrap().to_owned() };
        scene.git(&["init", "-q", "--bare", "-b", "main", &scene.bare]);
        scene.git(&["config", "--global", "user.name", "me"]);
        scene.git(&["config", "--global", "user.email", "me@example.com"]);
        scene.git(&["init", "-q", "-b", "main"]);
        let local = bare.parent().unwrap().to_str().unwrap().to_owned();
        let far = flavor.remote.rsplit_once('/').unwrap().0;
        scene.git(&["config", &format!("url.{local}/.insteadOf"), &format!("{far}/")]);
        scene.git(&["remote", "add", "origin", flavor.remote]);
        scene.git(&["config", "asm.forge", flavor.word]);
        scene.git(&["config", "asm.forge-url", &scene.forge.url()]);
        scene.git(&["add", "."]);
        scene.git(&["commit", "-qm", "base"]);
        scene.git(&["push", "-q", "origin", "main"]);
        scene.weights(80);
        scene
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        let model = self.world.command(&[]);
        let mut git = Command::new("git");
        git.args(args).current_dir(self.world.root()).env_clear();
        git.envs(model.get_envs().filter_map(|(key, value)| Some((key, value?))));
        git.env("GIT_AUTHOR_DATE", "2026-03-01T12:00:00Z").env("GIT_COMMITTER_DATE", "2026-03-01T12:00:00Z");
        let output = git.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Lets the first version take this share.
    pub(crate) fn weights(&self, first: u32) {
        let route = ROUTE.replace("90", &first.to_string()).replace("10}", &format!("{}}}", 100 - first));
        self.world.write("mesh/route.yaml", &route);
    }

    /// A run, after which no token is seen anywhere.
    pub(crate) fn create(&self, args: &[&str]) -> Run {
        let run = self.world.run(&[&["pr", "create"][..], args].concat());
        let shown = run.to_string();
        assert!(!shown.contains(TOKEN), "{shown}");
        // Messages, names of branches here and there, settings.
        let told = self.git(&["log", "--all", "--format=%B%an%ae%D"])
            + &self.git(&["ls-remote", &self.bare])
            + &self.git(&["config", "--list", "--local"]);
        assert!(!told.contains(TOKEN), "{told}");
        // Addresses and bodies of calls.
        assert!(!self.forge.received().contains(TOKEN));
        run
    }

    /// The head of a branch of the remote.
    pub(crate) fn remote_head(&self, branch: &str) -> Option<String> {
        let told = self.git(&["ls-remote", &self.bare, &format!("refs/heads/{branch}")]);
        told.split_whitespace().next().map(str::to_owned)
    }

    pub(crate) fn branch(&self) -> String {
        self.git(&["branch", "--show-current"])
    }
}

fn change_id(body: &str) -> String {
    body.split("Asm-Change-Id: ").nth(1).unwrap().chars().take(40).collect()
}

fn each(case: impl Fn(&'static Flavor)) {
    for flavor in FLAVORS {
        case(flavor);
    }
}

#[test]
fn opens_updates_and_leaves_alone() {
    each(|flavor| {
        let scene = Scene::new(flavor);
        // Work in progress that is none of the fleet's business, some of it staged.
        scene.world.write("notes.txt", "staged\n");
        scene.git(&["add", "notes.txt"]);
        scene.world.write("notes.txt", "not staged\n");

        let run = scene.create(&["--reviewer", "alice"]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), format!("{}\n", scene.forge.page(1)).as_str()), "{run}");
        let request = scene.forge.request(1);
        assert!(request.is_open && !request.draft, "{request:?}");
        assert_eq!(
            (request.base.as_str(), &request.reviewers[..]),
            ("main", &["alice".to_owned()][..]),
            "{}",
            flavor.word
        );
        assert_eq!(request.title, "asm(route): change VirtualService default/reviews on mesh");
        assert!(
            request.body.contains("default/reviews") && request.body.contains("Asm-Change-Id: "),
            "{}",
            request.body
        );
        // On a branch of its own that holds the fleet's files alone.
        assert!(request.head.starts_with("asm/reviews-"), "{}", request.head);
        assert_eq!(scene.branch(), request.head);
        assert_eq!(scene.remote_head(&request.head), Some(scene.git(&["rev-parse", "HEAD"])));
        assert_eq!(scene.git(&["diff", "--name-only", "main", "HEAD"]), "mesh/route.yaml");
        assert_eq!(
            scene.git(&["log", "-1", "--format=%s%n%an"]),
            "asm(route): change VirtualService default/reviews on mesh\nme"
        );
        assert_eq!(scene.git(&["status", "--porcelain"]), "MM notes.txt");
        assert_eq!(scene.git(&["show", ":notes.txt"]), "staged");
        assert_eq!(scene.git(&["worktree", "list"]).lines().count(), 1);

        // Nothing has changed: nobody is told anything.
        let (writes, head) = (scene.forge.writes(), scene.git(&["rev-parse", "HEAD"]));
        let run = scene.create(&["--reviewer", "alice"]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), format!("{}\n", scene.forge.page(1)).as_str()), "{run}");
        assert!(run.stderr.contains("unchanged: "), "{run}");
        assert_eq!((scene.forge.writes(), scene.git(&["rev-parse", "HEAD"])), (writes, head), "{}", flavor.word);

        // Another change on the branch, and what people wrote stays.
        let id = change_id(&request.body);
        scene.forge.change(1, |request| {
            request.title = "my title".to_owned();
            request.body = format!("Please look.\n\n{}", request.body);
        });
        scene.weights(50);
        let run = scene.create(&[]);
        assert_eq!(run.code, Some(0), "{run}");
        assert!(run.stderr.contains("updated "), "{run}");
        let request = scene.forge.request(1);
        assert!(request.body.starts_with("Please look.\r\n\r\n") && change_id(&request.body) != id, "{}", request.body);
        assert_eq!((scene.forge.count(), request.title.as_str()), (1, "my title"));
        assert_eq!(scene.remote_head(&request.head), Some(scene.git(&["rev-parse", "HEAD"])));
        assert!(scene.create(&[]).stderr.contains("unchanged: "));

        // A commit made by hand.
        scene.weights(40);
        scene.git(&["commit", "-qm", "by hand", "mesh/route.yaml"]);
        assert!(scene.create(&["--title", "new title"]).stderr.contains("updated "));
        assert_eq!(scene.forge.request(1).title, "new title");
    });
}

#[test]
fn closed_merged_and_opened_elsewhere() {
    each(|flavor| {
        let scene = Scene::new(flavor);
        scene.create(&[]);
        let head = scene.forge.request(1).head;
        scene.forge.change(1, |request| request.is_open = false);
        let (writes, run) = (scene.forge.writes(), scene.create(&[]));
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run}");
        assert!(
            run.stderr.contains("was closed without being merged") && run.stderr.contains(&scene.forge.page(1)),
            "{run}"
        );
        assert!(run.stderr.contains("--reopen") && scene.forge.writes() == writes, "{run}");
        let run = scene.create(&["--reopen"]);
        assert_eq!(run.code, Some(0), "{run}");
        assert!(scene.forge.request(1).is_open && run.stderr.contains(" again"), "{run}");

        // Merged, and the branch goes on with something else.
        scene.git(&["push", "-q", "origin", "HEAD:main"]);
        scene.forge.change(1, |request| (request.is_open, request.is_merged) = (false, true));
        let run = scene.create(&[]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run}");
        assert!(run.stderr.contains("nothing to propose"), "{run}");
        scene.weights(10);
        assert_eq!(scene.create(&[]).stdout, format!("{}\n", scene.forge.page(2)));
        assert_eq!(scene.forge.request(2).head, head);

        // The same change, from a clone that knows nothing of it.
        let scene = Scene::new(flavor);
        scene.create(&[]);
        let (head, branch) = (scene.git(&["rev-parse", "HEAD"]), scene.branch());
        scene.git(&["switch", "-q", "main"]);
        scene.git(&["branch", "-qD", &branch]);
        scene.weights(80);
        let (writes, run) = (scene.forge.writes(), scene.create(&[]));
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), format!("{}\n", scene.forge.page(1)).as_str()), "{run}");
        assert!(run.stderr.contains("holds this change already"), "{run}");
        assert_eq!((scene.forge.writes(), scene.remote_head(&branch)), (writes, Some(head)));
        assert_eq!(
            (scene.branch().as_str(), scene.git(&["status", "--porcelain"]).as_str()),
            ("main", " M mesh/route.yaml")
        );
    });
}

/// Status, exit code, and what the message and the hint say.
const REFUSALS: [(u16, i32, &str, &str); 7] = [
    (401, 3, "does not know us (401)", "check the token in "),
    (403, 3, "may not do that (403)", "check the token in "),
    (404, 3, "not found (404)", "git remote --verbose"),
    (409, 2, "refuses (409)", "mend what it says"),
    (422, 2, "refuses (422)", "mend what it says"),
    (429, 3, "too many requests (429)", "in 17 s"),
    (500, 3, "a problem of its own (500)", "later"),
];

fn refusal(method: &'static str, code: u16) -> Mode {
    Mode::Status(method, code, if code == 429 { vec!["retry-after: 17".to_owned()] } else { Vec::new() })
}

#[test]
fn a_forge_that_refuses_before_the_push() {
    each(|flavor| {
        let scene = Scene::new(flavor);
        let all = || (scene.branch(), scene.git(&["status", "--porcelain"]), scene.git(&["ls-remote", &scene.bare]));
        let before = all();
        for (code, exit, told, hint) in REFUSALS {
            // Gitea answers 404 when there is no open one.
            if flavor.word == "gitea" && code == 404 {
                continue;
            }
            scene.forge.set_mode(refusal("GET", code));
            let run = scene.create(&[]);
            assert_eq!((run.code, run.stdout.as_str()), (Some(exit), ""), "{} {code}\n{run}", flavor.word);
            assert!(run.stderr.contains(told) && run.stderr.contains(hint), "{} {code}\n{run}", flavor.word);
            assert_eq!(run.stderr.matches("error:").count(), 1, "{run}");
            assert_eq!(all(), before, "{} {code}", flavor.word);
        }
    });
}

#[test]
fn a_forge_that_refuses_after_the_push() {
    each(|flavor| {
        let scene = Scene::new(flavor);
        for (code, exit, told, hint) in REFUSALS {
            scene.forge.set_mode(refusal("POST", code));
            let run = scene.create(&[]);
            assert_eq!((run.code, run.stdout.as_str()), (Some(exit), ""), "{} {code}\n{run}", flavor.word);
            for part in [told, hint, "the commits are pushed to origin as asm/reviews-", "it goes on from there"] {
                assert!(run.stderr.contains(part), "{} {code} {part}\n{run}", flavor.word);
            }
        }
        // The next run goes on, with the commit that is there.
        scene.forge.set_mode(Mode::Ok);
        let head = scene.git(&["rev-parse", "HEAD"]);
        assert_eq!(scene.create(&[]).stdout, format!("{}\n", scene.forge.page(1)), "{}", flavor.word);
        assert_eq!((scene.git(&["rev-parse", "HEAD"]), scene.forge.count()), (head, 1));
        assert_eq!(scene.git(&["rev-list", "--count", "main..HEAD"]), "1");
    });
}

#[test]
fn a_forge_that_sends_elsewhere_or_says_nothing() {
    each(|flavor| {
        let elsewhere = ForgeServer::start(flavor, TOKEN);
        let scene = Scene::new(flavor);
        let to = |to: &str| vec![format!("location: {to}")];
        for (is_pushed, mode, told) in [
            (false, Mode::Status("*", 302, to(&format!("{}/x", elsewhere.url()))), "the token was not sent there"),
            (false, Mode::Status("*", 301, to("//elsewhere.example/x")), "sends us elsewhere"),
            (false, Mode::Html, "not JSON (text/html)"),
            (false, Mode::Hang, "no answer within 1 s"),
            (true, Mode::Status("POST", 301, to(&format!("{}/x", elsewhere.url()))), "the token was not sent there"),
        ] {
            scene.forge.set_mode(mode);
            let run = scene.create(&["--request-timeout", "1s"]);
            assert_eq!((run.code, run.stdout.as_str()), (Some(3), ""), "{run}");
            assert!(run.stderr.contains(told), "{} {told}\n{run}", flavor.word);
            assert_eq!(scene.branch() != "main", is_pushed, "{run}");
        }
        assert_eq!(elsewhere.calls(), 0, "{}", flavor.word);

        // The proxy of the environment is asked, and told no token of a forge that is reached through a tunnel.
        let mut proxied = Scene::new(flavor);
        proxied.git(&["config", "asm.forge-url", "https://forge.invalid"]);
        proxied.world.env.push(("HTTPS_PROXY".to_owned(), scene.forge.url()));
        let (before, run) = (scene.forge.calls(), proxied.create(&[]));
        assert_eq!(run.code, Some(3), "{run}");
        assert!(scene.forge.calls() > before && !scene.forge.received().contains(TOKEN), "{run}");

        // Nobody listens there.
        scene.git(&["config", "asm.forge-url", "http://127.0.0.1:1"]);
        let run = scene.create(&[]);
        assert_eq!(run.code, Some(3), "{run}");
        assert!(run.stderr.contains("no connection") && run.stderr.contains("HTTPS_PROXY"), "{run}");
    });
}

#[test]
fn no_longer_than_the_forge_takes() {
    each(|flavor| {
        let scene = Scene::new(flavor);
        for number in 0..400 {
            let object = ROUTE.replace("reviews", &format!("reviews-{number}-{}", "x".repeat(200)));
            scene.world.write(&format!("mesh/many/{number}.yaml"), &object);
        }
        let title = "ü".repeat(300);
        let run = scene.create(&["--title", &title]);
        assert_eq!(run.code, Some(0), "{run}");
        let request = scene.forge.request(1);
        assert!(request.title.chars().count() <= flavor.limits[0] && request.title.ends_with('…'), "{}", request.title);
        assert!(request.body.len() <= flavor.limits[1], "{}", request.body.len());
        assert!(request.body.ends_with("<!-- kubectl-asm:end -->"), "{}", flavor.word);
        // Somebody's own text takes the room.
        scene.forge.change(1, |request| request.body = "x".repeat(flavor.limits[1] - 10));
        let run = scene.create(&[]);
        assert_eq!(run.code, Some(0), "{run}");
        if flavor.limits[1] < 1_000_000 {
            assert!(run.stderr.contains("leaves no room"), "{run}");
        }
        let run = scene.create(&["--title", &title]);
        assert!(run.stderr.contains("unchanged"), "{run}");
    });
}

#[test]
fn drafts_and_reviewers() {
    each(|flavor| {
        let scene = Scene::new(flavor);
        let run = scene.create(&["--draft", "--title", "t"]);
        match flavor.draft {
            None => {
                assert_eq!(run.code, Some(2), "{run}");
                assert!(run.stderr.contains("has no drafts") && scene.branch() == "main", "{run}");
            }
            Some(_) => {
                assert_eq!(run.code, Some(0), "{run}");
                assert!(scene.forge.request(1).draft, "{}", flavor.word);
                // The mark of a draft is no other title.
                assert!(scene.create(&["--title", "t"]).stderr.contains("unchanged"));
            }
        }
        // Nobody of that name: the pull request is there all the same.
        let scene = Scene::new(flavor);
        let run = scene.create(&["--reviewer", "nobody"]);
        assert_eq!(run.code, Some(0), "{run}");
        assert_eq!(run.stdout, format!("{}\n", scene.forge.page(1)));
        assert_eq!(run.stderr.contains("warning: "), !matches!(flavor.word, "gitee" | "codeup"), "{run}");
    });
}

#[test]
fn a_dry_run_tells_everything_and_asks_nobody() {
    each(|flavor| {
        let scene = Scene::new(flavor);
        let before = scene.git(&["status", "--porcelain"]);
        let run = scene.create(&["--dry-run", "--reviewer", "alice"]);
        assert_eq!(run.code, Some(0), "{run}");
        for part in [
            "asm/reviews-",
            "Commit message:",
            "Title:",
            "Body:",
            "90 → 80",
            "git push origin COMMIT:refs/heads/asm/",
            "POST http",
        ] {
            assert!(run.stdout.contains(part), "{} {part}\n{run}", flavor.word);
        }
        assert_eq!(
            (scene.forge.calls(), scene.branch().as_str(), scene.git(&["status", "--porcelain"])),
            (0, "main", before)
        );
        assert_eq!(scene.git(&["branch", "--all"]).lines().count(), 2);
        assert_eq!(scene.create(&["--dry-run", "--reviewer", "alice"]).stdout, run.stdout);
        let json: Value = serde_json::from_str(&scene.create(&["--dry-run", "-o", "json"]).stdout).unwrap();
        assert_eq!((json["kind"].as_str(), json["dryRun"].as_bool()), (Some("PullRequest"), Some(true)));
        // What was told is what is done.
        let json_after: Value = serde_json::from_str(&scene.create(&["-o", "json"]).stdout).unwrap();
        assert_eq!((&json_after["branch"], &json_after["changeId"]), (&json["branch"], &json["changeId"]));
        assert_eq!(scene.forge.request(1).title, json["title"].as_str().unwrap());
        assert_eq!(scene.git(&["log", "-1", "--format=%B"]), json["message"].as_str().unwrap().trim_end());
    });
}

/// Without a token, and without anything that would give one.
fn tokenless(flavor: &'static Flavor) -> Scene {
    let mut scene = Scene::new(flavor);
    scene.world.env.clear();
    scene
}

#[test]
fn without_a_token() {
    each(|flavor| {
        let scene = tokenless(flavor);
        let before = scene.git(&["ls-remote", &scene.bare]);
        let run = scene.create(&[]);
        // A bare repository is no forge: it takes no options.
        assert!(run.code == Some(3) || run.code == Some(2), "{run}");
        assert!(run.stderr.contains("export ") && run.stderr.contains("TOKEN"), "{run}");
        assert_eq!((scene.git(&["ls-remote", &scene.bare]), scene.branch().as_str()), (before, "main"), "{run}");
        let dry = scene.create(&["--dry-run"]);
        assert_eq!(dry.code, Some(0), "{dry}");
        match flavor.word {
            "gitea" => {
                assert!(dry.stdout.contains("-o topic=asm/reviews-") && dry.stdout.contains(":refs/for/main"), "{dry}")
            }
            "gitlab" => assert!(dry.stdout.contains("-o merge_request.create -o merge_request.target=main"), "{dry}"),
            _ => assert!(run.stderr.contains("no token for"), "{run}"),
        }
    });
}

#[test]
fn gitlab_opens_merge_requests_by_options() {
    let flavor = FLAVORS.iter().find(|flavor| flavor.word == "gitlab").unwrap();
    let scene = tokenless(flavor);
    let bare = scene.bare.as_str();
    scene.git(&["-C", bare, "config", "receive.advertisePushOptions", "true"]);
    // As GitLab does: a ref for the merge request, and its address for the one who pushed.
    let hook = "#!/bin/sh
i=0; while [ $i -lt $GIT_PUSH_OPTION_COUNT ]; do printenv GIT_PUSH_OPTION_$i >> options; i=$((i+1)); done
read old new ref; [ -z \"$new\" ] || git update-ref refs/merge-requests/4/head $new
echo; echo 'View merge request for x:'; echo '  https://forge.example/shop/mesh/sub/fleet/-/merge_requests/4'\n";
    std::fs::write(format!("{bare}/hooks/post-receive"), hook).unwrap();
    std::fs::set_permissions(format!("{bare}/hooks/post-receive"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let run = scene.create(&["--title", "two words", "--draft"]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(0), "https://forge.example/shop/mesh/sub/fleet/-/merge_requests/4\n"),
        "{run}"
    );
    let options = std::fs::read_to_string(format!("{bare}/options")).unwrap();
    for option in [
        "merge_request.create\n",
        "merge_request.target=main\n",
        "merge_request.title=Draft: two words\n",
        "merge_request.description=<!-- kubectl-asm:begin -->\\n",
    ] {
        assert!(options.contains(option), "{option}\n{options}");
    }
    assert_eq!(scene.remote_head(&scene.branch()), Some(scene.git(&["rev-parse", "HEAD"])));
    // Unchanged: known by the ref, and not pushed again.
    let run = scene.create(&[]);
    assert!(run.stderr.contains("unchanged: merge request 4"), "{run}");
    assert_eq!(std::fs::read_to_string(format!("{bare}/options")).unwrap(), options);
    scene.weights(70);
    assert!(scene.create(&[]).stderr.contains("updated merge request 4"));
}
