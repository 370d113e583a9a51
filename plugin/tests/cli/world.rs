//! A directory of its own for every test, and an environment that holds nothing of the machine's.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// ACK cluster IDs of the test fleet.
pub(crate) const M1C1: &str = "c0123456789abcdef0123456789abcde1";
pub(crate) const M1C2: &str = "c0123456789abcdef0123456789abcde2";

/// A home, a working directory, and nothing else.
pub(crate) struct World {
    home: TempDir,
    pub(crate) env: Vec<(String, String)>,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl std::fmt::Display for Run {
    /// Code, stdout and stderr, as snapshots show them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.stdout)?;
        for line in self.stderr.lines() {
            writeln!(f, "! {line}")?;
        }
        write!(f, "[{}]", self.code.map_or("signal".to_owned(), |code| code.to_string()))
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("fleet")).unwrap();
        Self { home, env: Vec::new() }
    }

    /// A fleet with the clusters m1c1 and m1c2.
    pub(crate) fn with_fleet() -> Self {
        let world = Self::new();
        world.write(
            "fleet.yaml",
            &format!(
                "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata:\n  name: shop\nspec:\n  mesh:\n    context: mesh\n  \
                 clusters:\n    - name: m1c1\n      id: {M1C1}\n    - name: m1c2\n      id: {M1C2}\n"
            ),
        );
        world
    }

    /// The same with Bookinfo over both clusters.
    pub(crate) fn with_bookinfo() -> Self {
        let world = Self::with_fleet();
        world.line("app add bookinfo --preset split");
        world
    }

    /// The working directory, `fleet/` in the home directory.
    pub(crate) fn root(&self) -> PathBuf {
        self.home.path().join("fleet")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-asm"));
        command.args(args).current_dir(self.root()).env_clear().stdin(Stdio::null());
        command.env("HOME", self.home.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CEILING_DIRECTORIES", self.home.path());
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        let output = self.command(args).output().unwrap();
        let text = |bytes: Vec<u8>| {
            let home = self.home.path().to_string_lossy().into_owned();
            String::from_utf8(bytes).unwrap().replace(&home, "HOME")
        };
        Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// A run that must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> Run {
        let run = self.run(args);
        assert_eq!(run.code, Some(0), "{args:?}\n{run}");
        run
    }

    /// A run that must succeed, of words without spaces.
    pub(crate) fn line(&self, line: &str) -> Run {
        self.ok(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// What of a file is not as in this text, with a line around each place.
    pub(crate) fn changed(&self, path: &str, before: &str) -> String {
        let after = self.read(path);
        similar::TextDiff::from_lines(before, &after).unified_diff().context_radius(1).to_string()
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// All files and their contents, Git's own excepted.
    pub(crate) fn files(&self) -> String {
        let mut paths = Vec::new();
        collect(&self.root(), &mut paths);
        paths.sort();
        paths.iter().fold(String::new(), |mut all, path| {
            let name = path.strip_prefix(self.root()).unwrap();
            write!(all, "== {}\n{}", name.display(), std::fs::read_to_string(path).unwrap()).unwrap();
            all
        })
    }
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with(".git") {
            collect(&path, paths);
        } else if path.is_file() {
            paths.push(path);
        }
    }
}
