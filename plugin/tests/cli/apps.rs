//! Applications: placed, moved, removed, and those of the fleet's owners.

use super::world::World;

/// Kinds and names of the objects in a file.
fn outline(world: &World, path: &str) -> Vec<String> {
    let kind_and_name = |document: &str| {
        let kind = document.lines().find_map(|line| line.strip_prefix("kind: "))?;
        Some(format!("{kind} {}", document.lines().find_map(|line| line.strip_prefix("  name: "))?))
    };
    world.read(path).split("---\n").filter_map(kind_and_name).collect()
}

const M1C1: &str = "clusters/m1c1/apps/bookinfo.yaml";
const M1C2: &str = "clusters/m1c2/apps/bookinfo.yaml";

#[test]
fn bookinfo_placed_anew_is_bookinfo_added_so() {
    let world = World::with_bookinfo();
    world.ok(&["app", "place", "reviews-v3=m1c2", "details=m1c1"]);
    let added = World::with_fleet();
    added.ok(&[
        "app",
        "add",
        "bookinfo",
        "--preset",
        "split",
        "--place",
        "reviews-v3=m1c1,m1c2",
        "--place",
        "details=m1c2,m1c1",
    ]);
    assert_eq!(world.files(), added.files());
    let run = world.ok(&["app", "place", "reviews-v3=m1c2"]);
    assert!(run.stderr.contains("unchanged"), "{run}");

    // And back.
    world.ok(&["app", "remove", "reviews-v3", "--cluster", "m1c2"]);
    world.ok(&["app", "remove", "details", "--cluster", "m1c1"]);
    assert_eq!(world.files(), World::with_bookinfo().files());

    // Everything in one cluster: the other one's file goes.
    let run = world.ok(&["app", "move", "reviews-v3", "--to", "m1c2"]);
    assert!(run.stdout.contains("deleted clusters/m1c1/apps/bookinfo.yaml"), "{run}");
    let single = World::with_fleet();
    single.ok(&["app", "add", "bookinfo", "--preset", "single", "--clusters", "m1c2"]);
    assert_eq!(world.files(), single.files());
}

#[test]
fn a_changed_file_is_edited_in_place() {
    let world = World::with_bookinfo();
    let text = world
        .read(M1C2)
        .replace("# v1: no stars\n", "# v1: 没有星星 (ours)\n")
        .replace("replicas: 1\n", "replicas: 2 # busy\n");
    world.write(M1C2, &text);
    world.ok(&["app", "place", "reviews-v1=m1c1"]);
    assert_eq!(world.read(M1C2), text);
    let copied = world.read(M1C1);
    assert!(copied.contains("---\n# v1: 没有星星 (ours)\napiVersion: apps/v1\nkind: Deployment\n"), "{copied}");
    assert!(copied.contains("replicas: 2 # busy\n"), "{copied}");
    assert_eq!(copied.matches("kind: Service\n").count(), 2, "reviews and ratings were there already");

    let run = world.ok(&["app", "move", "productpage", "--to", "m1c1"]);
    assert_eq!(
        outline(&world, M1C1)[4..],
        [
            "Deployment reviews-v1",
            "Service productpage",
            "ServiceAccount bookinfo-productpage",
            "Deployment productpage-v1",
            "Service details"
        ],
        "{run}"
    );
    assert!(world.read(M1C1).contains("# details: no pods here. productpage-v1 calls it by this name"));
    assert!(!world.read(M1C2).contains("name: productpage"), "nobody calls it in m1c2");
    assert!(world.read(M1C2).contains("name: details\n"));
    world.ok(&["app", "remove", "bookinfo"]);
    assert!(!world.root().join("clusters").exists(), "{}", world.files());
}

#[test]
fn what_a_route_leads_to_is_not_removed() {
    let world = World::with_bookinfo();
    world.ok(&["route", "split", "reviews", "--subset", "v1,v2,v3", "--to", "v1=90,v3=10"]);
    world.ok(&["route", "add", "bookinfo", "--host", "shop.example.com", "--to", "productpage:9080"]);
    let before = world.files();
    insta::assert_snapshot!(world.run(&["app", "remove", "reviews-v3"]));
    insta::assert_snapshot!(world.run(&["app", "remove", "productpage"]));
    insta::assert_snapshot!(world.run(&["app", "remove", "reviews-v9"]));
    insta::assert_snapshot!(world.run(&["app", "remove", "reviews-v3", "--cluster", "m1c2"]));
    assert_eq!(world.files(), before);
    insta::assert_snapshot!(world.run(&["app", "remove", "reviews-v2"]));
    insta::assert_snapshot!(world.run(&["app", "remove", "reviews-v3", "--force"]));
    let run = world.ok(&["app", "remove", "details"]);
    assert!(run.stderr.contains("warning: details runs nowhere any more, and productpage-v1 calls it"), "{run}");
    assert!(
        world.read(M1C2).contains("kind: Service\nmetadata:\n  name: details\n"),
        "its caller still looks the name up"
    );
}

#[test]
fn an_application_of_ones_own() {
    let world = World::with_bookinfo();
    insta::assert_snapshot!(world.run(&[
        "app",
        "add",
        "cart",
        "--image",
        "registry.example.com/cart:1.4",
        "--port",
        "grpc=8080",
        "--place",
        "m1c1",
        "--replicas",
        "2",
        "--service-account",
        "--env",
        "MODE=on",
        "--env",
        "RATINGS=http://ratings:9080/x",
        "--called-by",
        "productpage",
    ]));
    insta::assert_snapshot!("cart_m1c1", world.read("clusters/m1c1/apps/cart.yaml"));
    insta::assert_snapshot!("cart_m1c2", world.read("clusters/m1c2/apps/cart.yaml"));
    // A second version goes into the same file, the Service is there.
    world.ok(&["app", "add", "cart", "--image", "cart:2", "--port", "grpc=8080", "--version", "v2", "--place", "m1c1"]);
    assert_eq!(
        outline(&world, "clusters/m1c1/apps/cart.yaml"),
        ["Service cart", "ServiceAccount cart", "Deployment cart-v1", "Deployment cart-v2"]
    );
    // Elsewhere too: its account comes along, and the Service that its environment names is there already.
    world.ok(&["app", "place", "cart-v1=m1c2"]);
    assert_eq!(
        outline(&world, "clusters/m1c2/apps/cart.yaml"),
        ["Service cart", "ServiceAccount cart", "Deployment cart-v1"]
    );
    // Out of m1c1 altogether. Nothing there is known to call it, but that is not sure of the others.
    let run = world.ok(&["app", "remove", "cart", "--cluster", "m1c1"]);
    assert!(run.stdout.contains("deleted clusters/m1c1/apps/cart.yaml"), "{run}");
    world.ok(&["app", "remove", "cart"]);
    assert_eq!(world.files(), World::with_bookinfo().files());
}

#[test]
fn names_stay_where_callers_may_be() {
    let world = World::with_fleet();
    let add = |name: &str, more: &[&str]| {
        world.ok(&[&["app", "add", name, "--image", "x:1", "--port", "80"], more].concat());
    };
    add("web", &["--place", "m1c1"]);
    add("cart", &["--place", "m1c1", "--also-in", "m1c2"]);
    assert_eq!(outline(&world, "clusters/m1c2/apps/cart.yaml"), ["Service cart"]);
    let run = world.ok(&["app", "move", "cart", "--to", "m1c2"]);
    assert!(
        run.stderr.contains("warning: the Service cart stays in m1c1: whether web-v1 calls it there is not known here"),
        "{run}"
    );
    assert_eq!(outline(&world, "clusters/m1c1/apps/cart.yaml"), ["Service cart"]);
    let run = world.ok(&["app", "place", "web=m1c2", "--calls", "cart"]);
    assert!(!run.stderr.contains("not known"), "{run}");
}

#[test]
fn patched_and_shared_objects_are_left_to_people() {
    let world = World::with_fleet();
    let text = world.read("fleet.yaml") + "  groups:\n    - name: first\n      clusters: [m1c1]\n";
    world.write("fleet.yaml", &text);
    world.ok(&["app", "add", "web", "--image", "x:1", "--port", "80", "--place", "m1c1"]);
    // The same files for a group.
    let web = world.read("clusters/m1c1/apps/web.yaml");
    std::fs::remove_dir_all(world.root().join("clusters")).unwrap();
    world.write("groups/first/apps/web.yaml", &web);
    let run = world.run(&["app", "remove", "web"]);
    assert!(run.code == Some(2) && run.stderr.contains("is declared for all clusters of a group"), "{run}");
    world.ok(&["app", "place", "web=m1c2"]);
    assert_eq!(world.read("clusters/m1c2/apps/web.yaml"), web);
    std::fs::remove_dir_all(world.root().join("clusters")).unwrap();
    let patch = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Patch\nmetadata: {name: more}\nspec:\n  target: {kind: Deployment, name: web-v1}\n  merge: {spec: {replicas: 3}}\n";
    world.write("clusters/m1c1/patches/more.yaml", patch);
    let before = world.files();
    let run = world.run(&["app", "place", "web=m1c2"]);
    assert!(
        run.code == Some(2) && run.stderr.contains("is changed by the patch clusters/m1c1/patches/more.yaml"),
        "{run}"
    );
    assert_eq!(world.files(), before);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let world = World::with_bookinfo();
    world.write(
        "fleet.yaml",
        &format!("{}  groups:\n    - name: all\n      clusters: [m1c1, m1c2]\n", world.read("fleet.yaml")),
    );
    let shared = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shared-v1}\nspec:\n  template:\n    metadata:\n      labels: {app: shared}\n";
    world.write("groups/all/shared.yaml", shared);
    let before = world.files();
    let mut all = String::new();
    for args in [
        &["app", "add", "bookshop"][..],
        &["app", "add", "bookinfoo"],
        &["app", "add", "cart", "--image", "x", "--port", "80"],
        &["app", "add", "cart", "--image", "x", "--port", "80", "--place", "m1c3"],
        &["app", "add", "cart", "--image", "x", "--port", "htp=80", "--place", "m1c1"],
        &["app", "add", "2cart", "--image", "x", "--port", "80", "--place", "m1c1"],
        &["app", "add", "reviews", "--image", "x", "--port", "80", "--place", "m1c1"],
        &["app", "add", "reviews", "--image", "x", "--port", "9080", "--version", "v3", "--place", "m1c1"],
        &["app", "add", "cart", "--image", "x", "--port", "80", "--place", "m1c1", "--called-by", "reviewz"],
        &["app", "place", "reviews-v3"],
        &["app", "place", "reviews-v3=m1c3"],
        &["app", "move", "revews", "--to", "m1c1"],
        &["app", "remove", "shared-v1", "--cluster", "m1c1"],
    ] {
        let run = world.run(args);
        assert_eq!(run.code, Some(2), "{args:?}\n{run}");
        all += &format!("$ {}\n{run}\n\n", args.join(" "));
    }
    assert_eq!(world.files(), before);
    insta::assert_snapshot!(all);
}
