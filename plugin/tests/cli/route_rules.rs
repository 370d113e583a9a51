//! Rules of a route: inserted, moved, removed, and what they do besides choosing a destination.

use super::world::World;

const RULES: &str = "\
# Ours.
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: shop
spec:
  hosts: [reviews]
  http:
  # Testers first.
  - name: testers
    match:
    - headers: {end-user: {exact: jason}}
    route:
    - destination: {host: reviews, subset: v2}

  - name: api # 接口
    match:
    - uri:
        prefix: /api
    - uri:
        exact: /health
    route:
    - destination:
        host: reviews
        subset: v1

  # Everybody else.
  - name: everybody
    route:
    - destination:
        host: reviews
        subset: v1
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
";

fn world() -> World {
    let world = World::with_bookinfo();
    world.write("mesh/shop.yaml", RULES);
    world
}

/// Runs that must leave everything as it is.
fn refused(world: &World, runs: &[&[&str]]) -> String {
    let before = world.files();
    let mut all = String::new();
    for args in runs {
        let run = world.run(args);
        assert_eq!(run.code, Some(2), "{args:?}\n{run}");
        all += &format!("$ {}\n{run}\n\n", args.join(" "));
    }
    assert_eq!(world.files(), before);
    all
}

#[test]
fn a_rule_is_inserted_where_it_is_reached() {
    let world = world();
    let add = ["route", "add", "shop", "--rule-name", "new", "--to", "reviews@v3", "--match"];
    fn with<'a>(add: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
        [add, more].concat()
    }
    insta::assert_snapshot!(refused(
        &world,
        &[
            // Behind the rule for everybody, where it would go by itself.
            &with(&add, &["prefix:/v2"]),
            &with(&add, &["prefix:/api/v1", "--after", "api"]),
            &with(&add, &["prefix:/", "--after", "testers"]),
            &with(&add, &["prefix:/api/v1", "--before", "ap"]),
            &with(&add, &["prefix:/v2", "--before", "api", "--gateway", "g"]),
            &["route", "add", "shop", "--rule-name", "api", "--first", "--to", "reviews@v1"],
            &["route", "add", "shop", "--to", "reviews@v1"],
            &["route", "add", "other", "--first", "--to", "reviews@v1"],
            &["route", "add", "other", "--rule-name", "new", "--before", "x", "--to", "reviews@v1"],
        ],
    ));
    // A narrower match in front of a wider one is fine; the subset is declared.
    world.ok(&with(&add, &["prefix:/api/v1+method:GET", "--match", "query:v=exact:3", "--before", "api"]));
    insta::assert_snapshot!("inserted", world.read("mesh/shop.yaml"));
    // What hides others is refused unless it is meant.
    let run = world.ok(&[
        "route",
        "add",
        "shop",
        "--rule-name",
        "all",
        "--before",
        "everybody",
        "--to",
        "reviews@v1",
        "--force",
    ]);
    assert!(run.stderr.contains("warning: rule everybody of shop (mesh/shop.yaml:"), "{run}");
    assert!(run.stderr.contains("is never reached any more: rule all of shop takes all its requests first"), "{run}");
}

#[test]
fn part_of_a_rule_may_be_hidden_but_it_is_said() {
    let world = world();
    let run = world.ok(&[
        "route",
        "add",
        "shop",
        "--rule-name",
        "health",
        "--match",
        "exact:/health",
        "--first",
        "--to",
        "reviews@v2",
    ]);
    assert!(run.stderr.contains("gets nothing any more by exact:/health: rule health of shop takes it"), "{run}");
}

#[test]
fn a_rule_moves_with_its_comments() {
    let world = world();
    insta::assert_snapshot!(refused(
        &world,
        &[
            &["route", "move", "shop", "everybody", "--first"],
            &["route", "move", "shop", "testers", "--last"],
            &["route", "move", "shop", "testers"],
            &["route", "move", "shop", "testerz", "--first"],
        ],
    ));
    world.ok(&["route", "move", "shop", "testers", "--after", "2"]);
    insta::assert_snapshot!("moved", world.read("mesh/shop.yaml"));
    world.ok(&["route", "move", "shop", "testers", "--first"]);
    assert_eq!(world.read("mesh/shop.yaml"), RULES, "there and back again");
    // The same in a file with the line ends of Windows, and one that does not end in a line break.
    world.write("mesh/shop.yaml", &RULES.replace('\n', "\r\n"));
    world.ok(&["route", "move", "shop", "api", "--before", "testers"]);
    let text = world.read("mesh/shop.yaml");
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{text:?}");
    world.ok(&["route", "move", "shop", "everybody", "--first", "--force"]);
}

#[test]
fn what_a_rule_does_besides() {
    let world = world();
    for args in [
        &["route", "mirror", "shop", "--rule", "everybody", "--to", "reviews@v3", "--percent", "12.5"][..],
        &["route", "fault", "shop", "--rule", "testers", "--abort", "503=10", "--delay", "5s"],
        &["route", "rewrite", "shop", "--rule", "api", "--prefix", "/", "--authority", "reviews.shop"],
        &["route", "set", "shop", "--rule", "api", "--timeout", "5s", "--retries", "3,per-try=2s"],
        &["route", "redirect", "shop", "--rule-name", "old", "--first", "--match", "exact:/old", "--to-path", "/api"],
    ] {
        world.ok(args);
    }
    insta::assert_snapshot!("besides", world.read("mesh/shop.yaml"));
    insta::assert_snapshot!("besides_shown", world.run(&["route", "show", "shop"]));
    for args in [
        &["route", "mirror", "shop", "--rule", "everybody", "--off"][..],
        &["route", "fault", "shop", "--rule", "testers", "--off"],
        &["route", "rewrite", "shop", "--rule", "api", "--off"],
        &["route", "set", "shop", "--rule", "api", "--timeout", "off", "--retries", "off"],
        &["route", "remove", "shop", "--rule", "old"],
    ] {
        world.ok(args);
    }
    let subset = "  - name: v3\n    labels:\n      version: v3\n";
    assert_eq!(world.read("mesh/shop.yaml").replace("  - { name: v3", "  - {name: v3"), format!("{RULES}{subset}"));
}

#[test]
fn a_rule_that_redirects_keeps_nothing_it_may_not_have() {
    let world = world();
    world.ok(&["route", "set", "shop", "--rule", "api", "--timeout", "5s"]);
    let run =
        world.ok(&["route", "redirect", "shop", "--rule", "api", "--to-host", "shop.example.com", "--code", "308"]);
    assert!(
        run.stderr.contains("warning: rule api of shop answers by itself now: its route, timeout are out"),
        "{run}"
    );
    let text = world.read("mesh/shop.yaml");
    assert!(text.contains("    redirect:\n      authority: shop.example.com\n      redirectCode: 308\n"), "{text}");
    insta::assert_snapshot!(refused(
        &world,
        &[
            &["route", "mirror", "shop", "--rule", "api", "--to", "reviews"],
            &["route", "redirect", "shop", "--rule", "1", "--to-path", "x"],
            &["route", "redirect", "shop", "--rule", "1", "--https", "--code", "404"],
            &["route", "redirect", "shop", "--rule", "1"],
            &["route", "fault", "shop", "--rule", "1", "--abort", "99"],
            &["route", "fault", "shop", "--rule", "1", "--delay", "5"],
            &["route", "fault", "shop", "--rule", "1", "--delay", "5s=101"],
            &["route", "set", "shop", "--rule", "1", "--timeout", "soon"],
            &["route", "set", "shop", "--rule", "1", "--retries", "many"],
            &["route", "mirror", "shop", "--rule", "1", "--to", "reveiws"],
        ],
    ));
}

#[test]
fn rules_and_routes_are_removed() {
    let world = world();
    let run = world.ok(&["route", "remove", "shop", "--rule", "api"]);
    assert!(run.stderr.contains("warning: shop: prefix:/api: goes to rule everybody now"), "{run}");
    let run = world.ok(&["route", "remove", "shop", "--rule", "everybody"]);
    assert!(run.stderr.contains("warning: shop: all requests: answered with 404 where no later rule matches"), "{run}");
    insta::assert_snapshot!(refused(
        &world,
        &[
            &["route", "remove", "shop", "--rule", "1"],
            &["route", "remove", "shop"],
            &["route", "rm", "shop", "--with-unused"]
        ],
    ));
    let run = world.ok(&["route", "remove", "shop", "--confirm"]);
    assert!(
        run.stderr.contains("warning: nothing uses DestinationRule reviews any more; --with-unused removes it too"),
        "{run}"
    );
    assert!(world.read("mesh/shop.yaml").starts_with("apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"));
    world.write("mesh/shop.yaml", RULES);
    let run = world.ok(&["route", "remove", "shop", "--with-unused", "--confirm"]);
    assert!(run.stdout.contains("deleted mesh/shop.yaml"), "{run}");
    assert!(!world.root().join("mesh/shop.yaml").exists());
}

#[test]
fn what_others_use_stays() {
    let world = world();
    world.ok(&["route", "add", "other", "--host", "other.example.com", "--to", "reviews@v1"]);
    world.ok(&["route", "remove", "shop", "--with-unused", "--confirm"]);
    assert!(world.read("mesh/shop.yaml").contains("kind: DestinationRule"));
}

#[test]
fn anchors_are_refused_or_kept() {
    let world = world();
    world.write("mesh/shop.yaml", &RULES.replace("  - name: testers", "  - &t\n    name: testers"));
    let before = world.files();
    let run = world.run(&["route", "fault", "shop", "--rule", "testers", "--abort", "503"]);
    assert!(run.code == Some(0) || world.files() == before, "{run}");
}

#[test]
fn routes_are_listed() {
    let world = world();
    world.ok(&["route", "add", "ratings", "--to", "ratings@v1"]);
    insta::assert_snapshot!(world.run(&["route", "list"]));
    insta::assert_snapshot!(world.run(&["route", "ls", "-A", "-o", "wide"]));
    insta::assert_snapshot!(world.run(&["route", "list", "-o", "name"]));
    insta::assert_snapshot!(world.run(&["route", "list", "-n", "other"]));
    insta::assert_snapshot!(world.run(&["route", "show", "shop", "-o", "json"]));
    insta::assert_snapshot!(world.run(&["route", "show", "shap"]));
}
