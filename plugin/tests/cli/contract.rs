//! Exit codes, streams and flags: what scripts rely on.

mod completion;
#[cfg(unix)]
mod failures;
mod flags;
#[cfg(target_os = "linux")]
mod full_disk;
mod outcomes;
mod stage;
mod verbs;

use super::world::World;
use std::io::Read as _;
use std::process::Stdio;

#[test]
fn exit_codes() {
    let world = World::with_fleet();
    for (args, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["gateway", "create", "--help"], 0),
        (&["version"], 0),
        (&["cluster", "list"], 0),
        (&[], 2),
        (&["gateway"], 2),
        (&["no-such-verb"], 2),
        (&["version", "--no-such-flag"], 2),
        (&["version", "-o", "wide"], 2),
        (&["version", "--color", "sometimes"], 2),
        (&["gateway", "create", "x", "--serverless", "--dry-run=server"], 2),
        (&["gateway", "create", "x", "--cluster", "m1c3"], 2),
        (&["cluster", "list", "--repo", "/no/such/directory"], 2),
        (&["cluster", "list", "-n", "x", "-A"], 2),
    ] {
        let run = world.run(args);
        assert_eq!(run.code, Some(code), "{args:?}\n{run}");
        let (told, other) = if code == 0 { (&run.stdout, &run.stderr) } else { (&run.stderr, &run.stdout) };
        assert!(!told.is_empty(), "{args:?} says nothing");
        assert!(other.is_empty(), "{args:?} also says {other}");
    }
}

/// Every flag that kubectl users type by reflex.
const KUBECTL_FLAGS: &str = "--kubeconfig=k --context=a --context b --cluster c --user u --as me --as-group g --as-group=h --as-uid 1 \
    --request-timeout 3s --server https://x --token t --certificate-authority f --client-certificate f --client-key f \
    --insecure-skip-tls-verify --tls-server-name x --disable-compression --cache-dir d -v=3 --no-headers --color never --no-pager --no-input";

#[test]
fn flags_may_stand_anywhere() {
    let world = World::with_fleet();
    let expected = world.ok(&["cluster", "list", "-o", "json"]).stdout;
    let root = world.root();
    let root = root.to_str().unwrap();
    for place in 0..=2 {
        let mut args = vec!["cluster", "list"];
        args.splice(place..place, KUBECTL_FLAGS.split_whitespace());
        args.extend(["-o", "json"]);
        assert_eq!(world.ok(&args).stdout, expected, "{args:?}");
    }
    for args in [
        ["-o", "json", "cluster", "list", "--repo", root],
        ["--repo", root, "cluster", "-ojson", "--no-pager", "list"],
        ["-s", "https://x", "-v=3", "cluster", "list", "-ojson"],
    ] {
        assert_eq!(world.ok(&args).stdout, expected, "{args:?}");
    }
}

#[test]
fn the_repository_is_found_from_below() {
    let world = World::with_fleet();
    world.write("mesh/gateways/.gitkeep", "");
    let mut command = world.command(&["cluster", "list", "-o", "name"]);
    let output = command.current_dir(world.root().join("mesh/gateways")).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "cluster/m1c1\ncluster/m1c2\n");

    let nowhere = World::new();
    insta::assert_snapshot!(nowhere.run(&["cluster", "list"]), @"
    ! error: no fleet repository here: neither HOME/fleet nor a directory above it has a fleet.yaml
    ! hint: start one with: kubectl asm init, or name one with --repo DIR
    [2]
    ");
}

#[test]
fn colour_goes_where_it_was_asked_for() {
    let mut world = World::with_fleet();
    let escape = |run: super::world::Run| run.stderr.contains('\u{1b}');
    let args = ["gateway", "create", "x", "--cluster", "m1c3"];
    assert!(!escape(world.run(&args)), "stderr is no terminal");
    assert!(escape(world.run(&[&args[..], &["--color", "always"]].concat())));
    assert!(!escape(world.run(&[&args[..], &["--color=never"]].concat())));
    world.env.push(("NO_COLOR".to_owned(), "1".to_owned()));
    assert!(!escape(world.run(&args)));
}

#[test]
fn a_closed_pipe_ends_the_output_quietly() {
    let world = World::with_fleet();
    let mut child =
        world.command(&["completion", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Closed before anything is read: the script is longer than a pipe holds.
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let world = World::with_fleet();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = world.command(&["cluster", "list"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: cannot write to stdout"));
}

#[test]
fn help_has_a_summary_and_an_example_everywhere() {
    fn visit(command: &clap::Command, path: &str) {
        for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
            let path = format!("{path} {}", inner.get_name());
            let about = inner.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.trim().is_empty(), "{path} has no summary");
            assert!(!about.contains('\n'), "{path}: the summary is one line");
            if inner.has_subcommands() {
                visit(inner, &path);
            } else {
                let after = inner.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(after.contains(&path), "{path} has no example");
            }
        }
    }
    visit(&kubectl_asm::cli::command("kubectl-asm".as_ref()), "kubectl asm");
}

#[test]
fn completion_for_kubectl() {
    let world = World::with_fleet();
    let script = world.ok(&["completion", "kubectl"]).stdout;
    assert!(script.starts_with("#!/bin/sh\n") && script.contains("kubectl-asm __complete \"$@\""), "{script}");
    world.ok(&["gateway", "create", "ingressgateway", "--serverless"]);
    for (words, expected) in [
        (&["gateway", "create", "x", "--cluster", ""][..], "m1c1\nm1c2\n:4\n"),
        (&["cluster", "remove", "m"], "m1c1\nm1c2\n:4\n"),
        (&["--context", "a", "cluster", "remove", "m1c2"], "m1c2\n:4\n"),
        (&["version", "--col"], "--color\tWhen to use colour\n:4\n"),
        (&["completion", "f"], "fish\n:4\n"),
    ] {
        assert_eq!(world.ok(&[&["__complete"][..], words].concat()).stdout, expected, "{words:?}");
    }
    // Outside of a fleet there is nothing to offer, and nothing to complain about.
    assert_eq!(World::new().ok(&["__complete", "cluster", "remove", ""]).stdout, ":4\n");
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(world.ok(&["completion", shell]).stdout.contains("kubectl-asm"), "{shell}");
    }
}

#[test]
fn version() {
    let world = World::new();
    assert_eq!(world.ok(&["version"]).stdout, concat!("Client Version: v", env!("CARGO_PKG_VERSION"), "\n"));
    let document: serde_json::Value = serde_json::from_str(&world.ok(&["version", "-o", "json"]).stdout).unwrap();
    assert_eq!(document["kind"], "Version");
    assert_eq!(document["clientVersion"]["version"], concat!("v", env!("CARGO_PKG_VERSION")));
}
