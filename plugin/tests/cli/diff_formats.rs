//! `kubectl asm diff` in its formats: patches, comments, diff programs, colours, ASCII; lines and secrets.

use super::world::{Run, World};
use serde_json::Value;
use std::io::Read as _;
use std::process::{Command, Stdio};

const CANARY: &str = "canary-4711";

fn git(world: &World, line: &str) {
    let mut git = Command::new("git");
    git.args(line.split(' ')).current_dir(world.root()).env_clear().env("HOME", world.root().join(".."));
    git.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    assert!(git.status().unwrap().success(), "git {line}");
}

fn commit(world: &World) {
    git(world, "add .");
    git(world, "-c user.name=a -c user.email=a@example.com commit --quiet --allow-empty -m x");
}

fn config(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: default}}\ndata: {{a: {value}}}\n")
}

fn secret(value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: login, namespace: default}}\nstringData: {{password: {value}}}\n"
    )
}

fn gateway(kind: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: clb-2\n  namespace: istio-system\n  annotations:\n    \
         service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type: {kind}\nspec:\n  type: LoadBalancer\n  ports:\n  - {{name: http, port: 80}}\n"
    )
}

/// A fleet with one change of each kind, and a secret that changes.
fn changed() -> World {
    let world = World::with_fleet();
    for cluster in ["m1c1", "m1c2"] {
        world.write(&format!("clusters/{cluster}/map.yaml"), &config("settings", "one"));
    }
    world.write("clusters/m1c1/gone.yaml", &config("gone", "x"));
    world.write("clusters/m1c1/secret.yaml", &secret(CANARY));
    world.write("clusters/m1c1/clb.yaml", &gateway("internet"));
    git(&world, "init --quiet -b main");
    commit(&world);
    for cluster in ["m1c1", "m1c2"] {
        world.write(&format!("clusters/{cluster}/map.yaml"), &config("settings", "two"));
    }
    std::fs::remove_file(world.root().join("clusters/m1c1/gone.yaml")).unwrap();
    world.write("clusters/m1c1/secret.yaml", &secret(&format!("{CANARY}-2")));
    world.write("clusters/m1c1/clb.yaml", &gateway("intranet"));
    world.write("mesh/new.yaml", "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: db, namespace: default}\nspec: {hosts: [db.example.com]}\n");
    world
}

#[test]
fn patches() {
    insta::assert_snapshot!(changed().run(&["diff", "-o", "patch"]));
}

#[test]
fn the_next_step_comes_last_and_dangers_first() {
    let run = changed().run(&["diff"]);
    let next: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(next.len(), 2, "{run}");
    assert!(next[0].starts_with("Next: kubectl asm clb replace clb-2"), "{run}");
    assert_eq!(next[1], "Next: kubectl asm lint --base HEAD --new-only");
}

/// A VirtualService at a gateway that is nowhere.
fn unbound(name: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  \
         hosts: [{name}.example.com]\n  gateways: [nowhere]\n  http:\n  - redirect: {{uri: /}}\n"
    )
}

#[test]
fn what_lint_finds_in_the_change_and_nothing_of_what_was_there() {
    let world = World::with_fleet();
    world.write("mesh/old.yaml", &unbound("old"));
    world.write("mesh/mended.yaml", &unbound("mended"));
    git(&world, "init --quiet -b main");
    commit(&world);
    git(&world, "remote add origin https://git.example.com/shop/fleet.git");
    world.write("mesh/mended.yaml", &unbound("mended").replace("  gateways: [nowhere]\n", ""));
    let run = world.run(&["diff", "--summary"]);
    assert!(run.stdout.contains("\nLint: nothing new, 1 fixed, 1 unchanged\n"), "{run}");
    assert_eq!(run.stderr, "Next: kubectl asm pr create\n");

    git(&world, "switch --quiet -c feature");
    world.write("mesh/new.yaml", &unbound("new"));
    commit(&world);
    let run = world.run(&["diff", "main...feature", "--summary"]);
    assert!(run.stdout.contains("\nLint: 1 new error, 1 fixed, 1 unchanged\n"), "{run}");
    assert!(run.stdout.contains("\n  error    virtual-service-gateway   mesh/new.yaml:6:"), "{run}");
    // The hint finds the same.
    let hint = run.stderr.trim_end().strip_prefix("Next: kubectl asm ").unwrap_or_else(|| panic!("{run}"));
    assert_eq!(hint, "lint --base main... --new-only");
    let names = world.run(&[&hint.split(' ').collect::<Vec<_>>()[..], &["-o", "name"]].concat());
    assert_eq!((names.code, names.stdout.as_str()), (Some(1), "virtualservice.networking.istio.io/new\n"), "{names}");

    let json: Value = serde_json::from_str(&world.run(&["diff", "main...feature", "-o", "json"]).stdout).unwrap();
    let lint = &json["lint"];
    assert_eq!([&lint["newErrors"], &lint["newWarnings"], &lint["fixed"], &lint["unchanged"]], [1, 0, 1, 1]);
    assert_eq!(
        (&lint["findings"][0]["rule"], &lint["findings"][0]["file"]),
        (&"virtual-service-gateway".into(), &"mesh/new.yaml".into())
    );
    let page = world.run(&["diff", "main...feature", "-o", "markdown"]).stdout;
    assert!(page.contains("Lint: 1 new error, 1 fixed, 1 unchanged.\n"), "{page}");
    assert!(
        page.contains("**New in lint:**\n\n- error <code>virtual-service-gateway</code> at <code>mesh/new.yaml"),
        "{page}"
    );
    // Only of the targets that are asked for.
    let run = world.run(&["diff", "main...feature", "--target", "m1c1"]);
    assert!(!run.stdout.contains("Lint:"), "{run}");

    // Another branch than the one that is checked out: lint looks at files.
    git(&world, "switch --quiet main");
    let run = world.run(&["diff", "main...feature", "--summary"]);
    assert!(run.stderr.starts_with("Next: kubectl asm diff --live"), "{run}");
}

/// Whatever the format, no secret; whatever the format, the same exit code.
#[test]
fn no_format_shows_a_secret() {
    let mut world = changed();
    let formats: [&[&str]; 11] = [
        &[],
        &["--summary"],
        &["--raw"],
        &["--ascii"],
        &["-o", "json"],
        &["-o", "yaml"],
        &["-o", "name"],
        &["-o", "markdown"],
        &["-o", "patch"],
        &["-o", "patch", "--raw"],
        &["-o", "json", "--raw"],
    ];
    let check = |run: Run| {
        assert_eq!(run.code, Some(1), "{run}");
        assert!(!run.to_string().contains("canary") && !run.to_string().contains("Y2FuYXJ5"), "{run}");
    };
    for format in formats {
        check(world.run(&[&["diff"], format].concat()));
    }
    world.env.push(("KUBECTL_EXTERNAL_DIFF".to_owned(), "diff -u -N".to_owned()));
    let run = world.run(&["diff"]);
    assert!(run.stdout.contains("(redacted"), "{run}");
    check(run);
}

#[test]
fn a_comment_has_a_budget() {
    let world = changed();
    let page = world.run(&["diff", "-o", "markdown"]).stdout;
    assert!(page.ends_with("<!-- asm-diff:v1 -->\n"), "{page}");
    let small = world.run(&["diff", "-o", "markdown", "--budget", "1500"]).stdout;
    assert!(small.len() <= 1500 && small.contains("**Left out here, for lack of room:**"), "{small}");
    commit(&world);
    let page = world.run(&["diff", "HEAD~1..HEAD", "-o", "markdown"]).stdout;
    let marker = page.lines().last().unwrap();
    let id = marker.strip_prefix("<!-- asm-diff:v1 head=").and_then(|rest| rest.strip_suffix(" -->")).unwrap();
    assert_eq!(id.len(), 40, "{marker}");
}

/// A program that tells what it was given.
fn script(world: &World, body: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = world.root().join("../tool");
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_string_lossy().into_owned()
}

fn temporary(world: &World) -> Vec<String> {
    let entries = std::fs::read_dir(world.root().join("../tmp")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

fn with_program(body: &str) -> World {
    let mut world = changed();
    std::fs::create_dir(world.root().join("../tmp")).unwrap();
    // An argument of other characters is dropped, as kubectl does.
    let program = format!("{} -a --b=c $(touch) x.y", script(&world, body));
    world.env.push(("KUBECTL_EXTERNAL_DIFF".to_owned(), program));
    world.env.push(("TMPDIR".to_owned(), world.root().join("../tmp").to_string_lossy().into_owned()));
    world
}

#[test]
fn a_diff_program_gets_two_folders_of_files() {
    let world = with_program(
        "echo \"$1 $2 $#\"; basename \"$3\" | cut -c1-5; basename \"$4\" | cut -c1-7\n\
         for d in \"$3\" \"$4\"; do stat -c '%a' \"$d\"; (cd \"$d\"; stat -c '%a %n' *); done; exit 1",
    );
    let run = world.run(&["diff"]);
    insta::assert_snapshot!(run);
    assert_eq!(temporary(&world), Vec::<String>::new(), "what it read is removed");
    // With -o and with --summary it is not asked.
    assert!(world.run(&["diff", "--summary"]).stdout.starts_with("Comparing "));
    assert!(world.run(&["diff", "-o", "patch"]).stdout.starts_with("diff "));
}

#[test]
fn a_diff_program_that_fails() {
    for (body, code) in [("exit 0", 1), ("exit 1", 1), ("exit 7", 2)] {
        let world = with_program(body);
        let run = world.run(&["diff"]);
        assert_eq!(run.code, Some(code), "{body}: {run}");
        assert_eq!(temporary(&world), Vec::<String>::new());
    }
    let mut world = changed();
    world.env.push(("KUBECTL_EXTERNAL_DIFF".to_owned(), "no-such-diff-program".to_owned()));
    let run = world.run(&["diff"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("cannot start no-such-diff-program") && run.stderr.contains("hint: unset it"), "{run}");
}

#[test]
fn ctrl_c_removes_what_a_diff_program_read() {
    let world = with_program("echo started; exec sleep 1000");
    let mut child = world.command(&["diff"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut started = [0; 8];
    child.stdout.as_mut().unwrap().read_exact(&mut started).unwrap();
    assert_eq!((&started, temporary(&world).len()), (b"started\n", 2));
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert_eq!(temporary(&world), Vec::<String>::new());
}

/// Names lead nowhere else, neither in folders nor on a terminal.
#[test]
fn odd_names_are_harmless() {
    let mut world = World::with_fleet();
    git(&world, "init --quiet -b main");
    commit(&world);
    for (number, name) in
        ["../../../escape", "\\e[2Jred", "a/b", "a_b", "-rf", "中文", "\\u202Ereversed"].iter().enumerate()
    {
        world.write(&format!("clusters/m1c1/{number}.yaml"), &config(&format!("\"{name}\""), "x"));
    }
    for format in [&[][..], &["-o", "patch"], &["-o", "markdown"], &["-o", "name"], &["--ascii"]] {
        let run = world.run(&[&["diff"], format].concat());
        assert!(!run.stdout.contains(['\u{1b}', '\u{202e}']), "{run}");
        assert!(!format.contains(&"--ascii") || (run.stdout.is_ascii() && run.stderr.is_ascii()), "{run}");
    }
    std::fs::create_dir(world.root().join("../tmp")).unwrap();
    world.env.push(("TMPDIR".to_owned(), world.root().join("../tmp").to_string_lossy().into_owned()));
    world.env.push(("KUBECTL_EXTERNAL_DIFF".to_owned(), script(&world, "ls \"$2\"")));
    insta::assert_snapshot!(world.run(&["diff"]).stdout);
}

/// One change in many clusters: what is printed grows with the changes and not with the clusters.
#[test]
fn lines_grow_with_distinct_changes() {
    let lines = |clusters: usize, distinct: usize, format: &[&str]| {
        let world = World::new();
        let names: Vec<String> = (0..clusters).map(|n| format!("{{name: c{n}}}")).collect();
        world.write(
            "fleet.yaml",
            &format!("apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {{name: shop}}\nspec: {{mesh: {{}}, clusters: [{}]}}\n", names.join(", ")),
        );
        let write = |value: &str| {
            for n in 0..clusters {
                for object in 0..distinct {
                    world.write(&format!("clusters/c{n}/{object}.yaml"), &config(&format!("map-{object}"), value));
                }
            }
        };
        git(&world, "init --quiet -b main");
        write("one");
        commit(&world);
        write("two");
        let run = world.run(&[&["diff"], format].concat());
        assert_eq!(run.code, Some(1), "{run}");
        run.stdout.lines().count()
    };
    for format in [&[][..], &["--summary"], &["-o", "patch"], &["-o", "markdown"]] {
        let counts = [3, 5, 20].map(|clusters| lines(clusters, 1, format));
        assert_eq!(counts, [counts[0]; 3], "{format:?}");
        assert!(lines(3, 2, format) > counts[0], "{format:?}");
    }
}

#[test]
fn colours_by_the_conventions() {
    let mut world = changed();
    let colored = |world: &World, args: &[&str]| world.run(&[&["diff"], args].concat()).stdout.contains("\u{1b}[");
    assert!(!colored(&world, &[]), "not into a pipe");
    assert!(colored(&world, &["--color=always"]) && colored(&world, &["--color=always", "-o", "patch"]));
    assert!(!colored(&world, &["--color=always", "-o", "json"]));
    world.env.push(("CLICOLOR_FORCE".to_owned(), "1".to_owned()));
    assert!(colored(&world, &[]));
    assert!(!colored(&world, &["--color=never"]));
    world.env.push(("NO_COLOR".to_owned(), "1".to_owned()));
    assert!(!colored(&world, &[]), "NO_COLOR wins");
}

#[test]
fn to_the_letter() {
    let world = World::with_fleet();
    let service = |port: &str| {
        format!("apiVersion: v1\nkind: Service\nmetadata: {{name: a, namespace: b}}\nspec:\n  ports:\n  - {port}\n")
    };
    world.write("clusters/m1c1/a.yaml", &service("{port: 80}"));
    git(&world, "init --quiet -b main");
    commit(&world);
    world.write("clusters/m1c1/a.yaml", &service("{port: 80, protocol: TCP}"));
    assert_eq!(world.run(&["diff"]).code, Some(0));
    let run = world.run(&["diff", "--raw"]);
    assert_eq!(run.code, Some(0), "what means the same is no difference in any format: {run}");
    assert!(
        run.stdout.contains("= Service b/a")
            && run.stdout.contains("= spec.ports[port=80,protocol=TCP].protocol   TCP"),
        "{run}"
    );
    let run = world.run(&["diff", "--raw", "-o", "json"]);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, document["changes"][0]["op"].as_str()), (Some(0), Some("same")));
    assert_eq!(world.run(&["diff", "--raw", "-o", "name"]).stdout, "");
}
