//! `--watch`: the page follows the files.

use super::world::World;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

const ROUTE: &str = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews]
  http:
  - timeout: 1s
    route:
    - {destination: {host: reviews}}
";

struct Watching {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Watching {
    fn start(world: &World, args: &[&str]) -> Self {
        let mut child = world.command(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// Everything up to a line that contains this text. Blocks until it comes.
    fn until(&mut self, text: &str) -> String {
        let mut seen = String::new();
        while !seen.lines().any(|line| line.contains(text)) {
            assert_ne!(self.output.read_line(&mut seen).unwrap(), 0, "ended before {text:?}:\n{seen}");
        }
        seen
    }

    /// Ctrl-C.
    fn end(mut self) -> Option<i32> {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code()
    }
}

fn fleet() -> World {
    let world = World::with_fleet();
    world.write("mesh/route.yaml", ROUTE);
    git(&world, "init --quiet -b main");
    commit(&world);
    world
}

fn commit(world: &World) {
    git(world, "add .");
    git(world, "-c user.name=a -c user.email=a@example.com commit --quiet -m fleet");
}

fn git(world: &World, line: &str) {
    let mut git = Command::new("git");
    git.args(line.split(' ')).current_dir(world.root()).env_clear().env("HOME", world.root().join(".."));
    git.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    assert!(git.status().unwrap().success(), "git {line}");
}

#[test]
fn the_page_follows_the_files() {
    let world = fleet();
    let mut watching = Watching::start(&world, &["diff", "--watch"]);
    watching.until("No differences.");
    // As editors do: beside it, then over it.
    world.write("mesh/.route.yaml.swp", "x");
    world.write("mesh/route.yaml.new", &ROUTE.replace("1s", "2s"));
    std::fs::rename(world.root().join("mesh/route.yaml.new"), world.root().join("mesh/route.yaml")).unwrap();
    assert!(watching.until("1 to change").contains("~ spec.http[0].timeout   1s → 2s"));
    // What is not finished yet is told, and survived.
    world.write("mesh/route.yaml", "apiVersion: [\n");
    let broken = watching.until("caused by: ");
    assert!(broken.contains("error: 1 problem in the files") && broken.contains("mesh/route.yaml:"), "{broken}");
    world.write("fleet.yaml.tmp", "");
    world.write("mesh/route.yaml", &ROUTE.replace("1s", "3s"));
    assert!(watching.until("1 to change").contains("~ spec.http[0].timeout   1s → 3s"));
    // A folder that was not there.
    world.write("clusters/m1c1/deep/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n");
    watching.until("1 to add, 1 to change");
    world.write("clusters/m1c1/deep/b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, namespace: b}\n");
    watching.until("2 to add, 1 to change");
    // Lint is kept up to date too.
    world.write("mesh/route.yaml", &ROUTE.replace("http:", "gateways: [nowhere]\n  http:"));
    watching.until("Lint: 1 new error");
    world.write("mesh/route.yaml", &ROUTE.replace("1s", "4s"));
    watching.until("Lint: nothing new");
    assert_eq!(watching.end(), Some(0));
}

#[test]
fn loose_manifests_and_what_cannot_be_watched() {
    let world = fleet();
    world.write("../new/route.yaml", ROUTE);
    let mut watching =
        Watching::start(&world, &["diff", "--watch", "--summary", "--manifests", "../new", "--against", "HEAD"]);
    watching.until("No differences.");
    world.write("../new/route.yaml", &ROUTE.replace("1s", "2s"));
    watching.until("1 to change");
    assert_eq!(watching.end(), Some(0));
    for wrong in [&["HEAD..main"][..], &["-o", "json"], &["--live"], &["--manifests", "../new"]] {
        let run = world.run(&[&["diff", "--watch"], wrong].concat());
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run}");
    }
}

/// The revision is judged once, and anew when it is another commit.
#[test]
fn findings_since_a_revision_follow_the_files_and_the_revision() {
    let world = fleet();
    let args = ["lint", "--watch", "--base", "HEAD", "--new-only", "--severity", "error"];
    let mut watching = Watching::start(&world, &args);
    watching.until("nothing");
    let wrong = ROUTE.replace("hosts:", "gateways: [nowhere]\n  hosts:");
    world.write("mesh/route.yaml", &wrong);
    watching.until("error[virtual-service-gateway]");
    world.write("mesh/route.yaml", &format!("# more\n{wrong}"));
    watching.until("mesh/route.yaml:6");
    commit(&world);
    world.write("mesh/route.yaml", &wrong);
    watching.until("nothing");
    assert_eq!(watching.end(), Some(0));
}

#[test]
fn findings_follow_the_files() {
    let world = fleet();
    let mut watching = Watching::start(&world, &["lint", "--watch", "--rule", "regex"]);
    watching.until("nothing found");
    world.write(
        "mesh/route.yaml",
        &ROUTE.replace("hosts:", "gateways: [mesh]\n  hosts:").replace("timeout: 1s", "match: [{uri: {regex: 'a**'}}]"),
    );
    assert!(watching.until("1 error in 1 file").contains("error[regex]"));
    world.write("mesh/route.yaml", ROUTE);
    watching.until("nothing found");
    assert_eq!(watching.end(), Some(0));
    for wrong in [&["-o", "json"][..], &["--fix"], &["--rule", "no-such"]] {
        let run = world.run(&[&["lint", "--watch"], wrong].concat());
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run}");
    }
}
