//! Writing that cannot be finished leaves the repository as it was, whatever keeps it from being finished.

use crate::world::World;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A fleet of twelve clusters, and a command that writes a file for each.
pub(super) fn many() -> (World, [&'static str; 6]) {
    let names: Vec<_> = (1..=12).map(|number| format!("  - name: c{number}\n")).collect();
    let world = World::new();
    world.write(
        "fleet.yaml",
        &format!(
            "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata:\n  name: shop\nspec:\n  mesh: {{}}\n  clusters:\n{}",
            names.concat()
        ),
    );
    (
        world,
        [
            "app",
            "add",
            "bookinfo",
            "--preset=single",
            "--clusters=c1",
            "--place=reviews-v3=c1,c2,c3,c4,c5,c6,c7,c8,c9,c10,c11,c12",
        ],
    )
}

/// Everything below the root, hidden files and folders included.
fn everything(world: &World) -> Vec<(String, Option<String>)> {
    everything_below(&world.root())
}

/// Everything below a folder, hidden files and folders included.
pub(super) fn everything_below(root: &Path) -> Vec<(String, Option<String>)> {
    fn collect(root: &Path, directory: &Path, found: &mut Vec<(String, Option<String>)>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            found.push((path.strip_prefix(root).unwrap().display().to_string(), std::fs::read_to_string(&path).ok()));
            if path.is_dir() {
                collect(root, &path, found);
            }
        }
    }
    let mut found = Vec::new();
    collect(root, root, &mut found);
    found.sort();
    found
}

/// The command in a shell that does something first.
fn in_shell(world: &World, first: &str, args: &[&str]) -> Command {
    let command = world.command(args);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{first}; exec \"$0\" \"$@\"")).arg(command.get_program()).args(command.get_args());
    shell.current_dir(world.root()).env_clear().stdin(Stdio::null());
    shell.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    shell
}

#[test]
fn no_room_for_the_files() {
    let (world, args) = many();
    let before = everything(&world);
    // The limit is told as an error, as a full disk is.
    let output = in_shell(&world, "trap '' XFSZ; ulimit -f 0", &args).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.starts_with("error: cannot write") && told.contains("File too large") && told.contains("hint: "),
        "{told}"
    );
    assert_eq!(everything(&world), before);

    // The limit kills.
    let output = in_shell(&world, "ulimit -f 0", &args).output().unwrap();
    assert_eq!(output.status.code(), None);
    world.ok(&["cluster", "list"]);
    let left: Vec<_> = everything(&world).into_iter().filter(|(name, _)| !name.starts_with(".kubectl-asm-")).collect();
    assert_eq!(left, before);
    world.ok(&args);
}

#[test]
fn something_else_stands_where_a_file_or_a_folder_should() {
    for (path, is_folder) in [("clusters/c9/apps", false), ("clusters/c9/apps/bookinfo.yaml", true)] {
        let (world, args) = many();
        if is_folder {
            std::fs::create_dir_all(world.root().join(path)).unwrap();
        } else {
            world.write(path, "");
        }
        let before = everything(&world);
        let run = world.run(&args);
        assert_eq!(run.code, Some(2), "{path}\n{run}");
        assert!(run.stderr.contains(path) && run.stdout.is_empty(), "{path}\n{run}");
        assert_eq!(everything(&world), before, "{path}");
    }
}

#[test]
fn a_repository_that_may_not_be_written() {
    let (world, args) = many();
    let before = everything(&world);
    let mode = |mode| {
        std::fs::set_permissions(world.root().join(".."), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(world.root(), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o555);
    // Root may write everywhere; then somebody else has to try.
    let may_write = std::fs::write(world.root().join("probe"), "").is_ok();
    let mut command = if may_write {
        std::fs::remove_file(world.root().join("probe")).unwrap();
        let inner = world.command(&args);
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(inner.get_program());
        let probe = command.arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !probe.is_ok_and(|status| status.success()) {
            mode(0o755);
            return;
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(inner.get_program()).args(args);
        command.current_dir(world.root());
        command
    } else {
        world.command(&args)
    };
    let output = command.output().unwrap();
    mode(0o755);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.starts_with("error: cannot write in ") && told.contains("Permission denied") && told.contains("hint: "),
        "{told}"
    );
    assert_eq!(everything(&world), before);
}

/// Killed at any moment: the next command finds the fleet as it was, or all of what was to be written.
#[test]
fn killed_at_any_moment() {
    let (world, args) = many();
    let start = Instant::now();
    world.ok(&args);
    let (time, after) = (start.elapsed(), everything(&world));
    let (mut unchanged, mut complete) = (0, 0);
    for moment in 0..40 {
        let (world, args) = many();
        let before = everything(&world);
        let mut child = world.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(time.mul_f64(f64::from(moment) / 32.0) + Duration::from_micros(1));
        let _ = child.kill();
        child.wait().unwrap();
        world.ok(&["cluster", "list"]);
        // A journal that was not yet in place is a hidden file that nothing reads.
        let found: Vec<_> =
            everything(&world).into_iter().filter(|(name, _)| !name.starts_with(".kubectl-asm-")).collect();
        if found == before {
            unchanged += 1;
        } else {
            assert_eq!(found, after, "killed at moment {moment}");
            complete += 1;
        }
    }
    assert_eq!(unchanged + complete, 40);
}
