//! A disk that is full, and one that cannot be written at all: real ones, of a few pages, that nobody else sees.

use super::failures::many;
use crate::world::World;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Mounts a disk over the home directory, fills it, and runs the command with more and more room until it succeeds.
/// After each run the repository is copied to `OUT/<pages>`. Then the same on a disk that is read-only.
const SCRIPT: &str = r#"
set -eu
cp -a "$HOME/fleet" "$OUT/before"
mount -t tmpfs -o size=1m none "$HOME"
trap 'umount -l "$HOME"' EXIT
cp -a "$OUT/before" "$HOME/fleet"
cd "$HOME/fleet"
mount -o remount,ro "$HOME"
"$@" >"$OUT/ro.out" 2>"$OUT/ro.err" && echo 0 >"$OUT/ro.code" || echo $? >"$OUT/ro.code"
mount -o remount,rw "$HOME"
cp -a "$HOME/fleet" "$OUT/ro"
dd if=/dev/zero of="$HOME/filler" bs=4096 2>"$OUT/dd" || true
full=$(stat -c %s "$HOME/filler")
pages=0
while :; do
    truncate -s $((full - pages * 4096)) "$HOME/filler"
    code=0
    "$@" >"$OUT/$pages.out" 2>"$OUT/$pages.err" || code=$?
    echo $code >"$OUT/$pages.code"
    cp -a "$HOME/fleet" "$OUT/$pages"
    [ $code = 2 ] || break
    pages=$((pages + 1))
done
echo $pages >"$OUT/enough"
"#;

/// In a mount namespace of its own; as root of a user namespace where the user is not root.
fn in_namespace(unshare: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(unshare).args(["--mount", "--propagation", "private"]).stdin(Stdio::null());
    command
}

fn may_mount(unshare: &[&str]) -> bool {
    let home = tempfile::tempdir().unwrap();
    let mut command = in_namespace(unshare);
    command.args(["mount", "-t", "tmpfs", "-o", "size=1m", "none"]).arg(home.path());
    command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn run(world: &World, unshare: &[&str], out: &Path, args: &[&str]) -> Output {
    let plain = world.command(args);
    let mut command = in_namespace(unshare);
    command.args(["sh", "-c", SCRIPT, "sh"]).arg(plain.get_program()).args(args);
    command.env_clear().envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?)))).env("OUT", out);
    command.output().unwrap()
}

#[test]
fn nothing_is_written_until_there_is_room_for_all_of_it() {
    let Some(unshare) = [&[][..], &["--user", "--map-root-user"]].into_iter().find(|unshare| may_mount(unshare)) else {
        #[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
        {
            eprintln!("skipped: nothing can be mounted here, so no disk can be full");
        }
        return;
    };
    let several = many().1;
    for args in [&several[..], &["gateway", "create", "door", "--serverless"]] {
        let (world, _) = many();
        let out = tempfile::tempdir().unwrap();
        let output = run(&world, unshare, out.path(), args);
        assert!(output.status.success(), "{output:?}");
        let read = |name: &str| std::fs::read_to_string(out.path().join(name)).unwrap().trim().to_owned();
        let files = |name: &str| super::failures::everything_below(&out.path().join(name));
        let before = files("before");
        let refused = |name: &str, why: &str| {
            let told = read(&format!("{name}.err"));
            assert_eq!((read(&format!("{name}.code")).as_str(), read(&format!("{name}.out")).as_str()), ("2", ""));
            assert_eq!(told.matches("error: ").count(), 1, "{told}");
            assert!(told.starts_with("error: cannot ") && told.contains("/fleet"), "{told}");
            assert!(told.contains(why) && told.contains("\nhint: nothing was changed; "), "{told}");
            assert_eq!(files(name), before, "with {name} pages free");
        };
        refused("ro", "Read-only file system");
        let enough: usize = read("enough").parse().unwrap();
        for pages in 0..enough {
            refused(&pages.to_string(), "No space left on device");
        }
        // With room it does what it does elsewhere.
        assert_eq!(read(&format!("{enough}.code")), "0", "{}", read(&format!("{enough}.err")));
        world.ok(args);
        assert_eq!(files(&enough.to_string()), super::failures::everything_below(&world.root()));
        // More pages than files: it failed at every one of them.
        assert!(enough > read(&format!("{enough}.out")).lines().count(), "{enough} pages are enough");
    }
}
