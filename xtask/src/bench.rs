//! Measures what users wait for, and writes the figures to `docs/benchmarks.md`.
//!
//! Not a test: a figure depends on the machine. Each is a minimum, median and maximum over many runs of the release build.

mod agent;
mod diff;
mod graph;
mod isolation;
mod lint;
mod route;
mod scale;

use crate::generate::root;
use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum as _;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Runs per figure
    #[arg(long, default_value_t = 40)]
    runs: u32,
    /// Print only; leave docs/benchmarks.md as it is
    #[arg(long)]
    print: bool,
    /// Measure this program instead of a release build; printed only
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Only this part
    #[arg(value_enum)]
    only: Option<Part>,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// The plugin in a fleet of 1,000 files
    Plugin,
    /// `lint`, time and memory
    Lint,
    /// The simulator of routes
    Route,
    /// `graph` of a thousand gateways
    Graph,
    /// The agent on real API servers; a quarter of an hour
    Agent,
    /// Five replicas of the agent over 500 light clusters; a quarter of an hour
    Scale,
    /// One agent over 20 light clusters, three of them ill; a quarter of an hour
    Isolation,
}

/// Files in the fleet that the commands are run in.
const FILES: usize = 1000;

/// One line of the table: what it is, what it should stay under, arguments, exit code.
struct Case {
    what: &'static str,
    goal: &'static str,
    args: &'static [&'static str],
    code: i32,
}

const CASES: &[Case] = &[
    Case { what: "start-up (`version`)", goal: "< 20 ms", args: &["version"], code: 0 },
    Case {
        what: "completion in a fleet of 1,000 files (`route weight <TAB>`)",
        goal: "< 50 ms",
        args: &["__complete", "route", "weight", ""],
        code: 0,
    },
    Case {
        what: "`diff` of 1,000 changed files against the last commit",
        goal: "≤ 1 s",
        args: &["diff", "--summary"],
        code: 1,
    },
    Case {
        what: "`route weight` in a fleet of 1,000 files (`--dry-run`)",
        goal: "",
        args: &["route", "weight", "route-7", "v1=40", "v2=60", "--dry-run"],
        code: 0,
    },
];

impl Part {
    /// Its section of the page.
    fn heading(self) -> &'static str {
        match self {
            Self::Plugin => "The plugin",
            Self::Lint => "Lint",
            Self::Route => "Routes",
            Self::Graph => "Graph",
            Self::Agent => "The agent",
            Self::Scale => "Replicas of the agent",
            Self::Isolation => "Isolation of targets",
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let parts = args.only.as_ref().map_or(Part::value_variants(), std::slice::from_ref);
    let mut program = None;
    for part in parts {
        let text = match part {
            // What needs no plugin is built by itself.
            Part::Route => route::run(args.runs)?,
            Part::Agent => agent::run()?,
            Part::Scale => scale::run()?,
            Part::Isolation => isolation::run()?,
            _ => {
                let program = match &program {
                    Some(program) => program,
                    None => program.insert(match &args.program {
                        Some(program) => program.canonicalize().context("no such program")?,
                        None => release()?.join("kubectl-asm"),
                    }),
                };
                match part {
                    Part::Plugin => plugin(program, args.runs)?,
                    Part::Lint => lint::run(program, args.runs)?,
                    _ => graph::run(program, args.runs)?,
                }
            }
        };
        let runs = match part {
            Part::Agent | Part::Scale => "The release build".to_owned(),
            _ => format!("{} runs of the release build", args.runs),
        };
        let machine = format!("{runs} on {}.\n\n", machine());
        if args.print || args.program.is_some() {
            anstream::println!("{text}");
        } else {
            replace(part.heading(), &format!("{machine}{text}"))?;
        }
    }
    Ok(())
}

/// Puts one section of the page anew; the last one when it is not there.
fn replace(heading: &str, text: &str) -> Result<()> {
    let page = root().join("docs/benchmarks.md");
    let old = std::fs::read_to_string(&page).context("cannot read docs/benchmarks.md")?;
    std::fs::write(&page, replaced(&old, heading, text)).context("cannot write docs/benchmarks.md")
}

fn replaced(page: &str, heading: &str, text: &str) -> String {
    let own = format!("## {heading}\n");
    let new = format!("{own}\n{}\n", text.trim_end());
    let mut sections: Vec<String> = page.split_inclusive('\n').fold(vec![String::new()], |mut sections, line| {
        if line.starts_with("## ") {
            sections.push(String::new());
        }
        if let Some(last) = sections.last_mut() {
            last.push_str(line);
        }
        sections
    });
    match sections.iter_mut().find(|section| section.starts_with(&own)) {
        Some(section) => *section = new,
        None => sections.push(new),
    }
    let sections: Vec<&str> = sections.iter().map(|section| section.trim_end()).collect();
    format!("{}\n", sections.join("\n\n"))
}

/// The table of the plugin.
fn plugin(program: &Path, runs: u32) -> Result<String> {
    let fleet = fleet(program)?;
    let mut table = String::from("| what | goal | minimum | median | maximum |\n|---|---|---|---|---|\n");
    let mut add = |what: &str, goal: &str, times: &[Duration]| -> Result<()> {
        let [minimum, median, maximum] = spread(times);
        writeln!(table, "| {what} | {goal} | {minimum} | {median} | {maximum} |")?;
        anstream::println!("{what}: {minimum} / {median} / {maximum}");
        Ok(())
    };
    for case in CASES {
        add(case.what, case.goal, &measure(program, fleet.path(), case, runs)?)?;
    }
    add(diff::CASE.what, diff::CASE.goal, &diff::times(program, runs)?)?;
    for clusters in [3, 5, 20] {
        let fleet = wide_fleet(program, clusters)?;
        let case = Case { what: "diff", goal: "", args: &["diff"], code: 1 };
        let times = measure(program, fleet.path(), &case, runs)?;
        let lines = Command::new(program).arg("diff").current_dir(fleet.path()).output()?.stdout;
        let lines = lines.iter().filter(|byte| **byte == b'\n').count();
        add(&format!("`diff` of {SHARED} changed Services over {clusters} clusters: {lines} lines"), "", &times)?;
    }
    Ok(table)
}

/// Services that every cluster of the wide fleet has.
const SHARED: usize = 50;

/// A fleet whose clusters share their Services, every one of them changed since the last commit in the same way.
fn wide_fleet(plugin: &Path, clusters: usize) -> Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    quiet(Command::new(plugin).args(["init", "bench"]).current_dir(dir.path()))?;
    for n in 1..=clusters {
        quiet(
            Command::new(plugin).args(["cluster", "add", &format!("m1c{n}"), "--group", "all"]).current_dir(dir.path()),
        )?;
    }
    let write = |port: u16| -> Result<()> {
        std::fs::create_dir_all(dir.path().join("groups/all"))?;
        for n in 0..SHARED {
            let text = format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: service-{n}, namespace: shop}}\nspec:\n  selector: {{app: \
                 service-{n}}}\n  ports: [{{name: http, port: {port}}}]\n"
            );
            std::fs::write(dir.path().join(format!("groups/all/service-{n}.yaml")), text)?;
        }
        Ok(())
    };
    write(80)?;
    commit_all(dir.path())?;
    write(81)?;
    Ok(dir)
}

fn commit_all(dir: &Path) -> Result<()> {
    for args in
        [&["add", "--all"][..], &["-c", "user.name=bench", "-c", "user.email=b@example.com", "commit", "-qm", "one"]]
    {
        quiet(Command::new("git").args(args).current_dir(dir))?;
    }
    Ok(())
}

/// Minimum, median, maximum of times in order.
fn spread(times: &[Duration]) -> [String; 3] {
    [times[0], times[times.len() / 2], times[times.len() - 1]].map(milliseconds)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let kib: u64 = kib.trim().trim_end_matches("kB").trim().parse().unwrap_or_default();
    format!("{cores} cores, {} GiB, {}", kib >> 20, std::env::consts::ARCH)
}

/// The directory of the release build, of which all parts are built at once: crates built one by one would compile what
/// they share anew, each with features of its own.
fn release() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--workspace", "--bins", "--examples"]).current_dir(root());
    ensure!(command.status().context("cannot run cargo")?.success(), "the release build failed");
    Ok(root().join("target/release"))
}

/// Runs an example that measures in its own process and prints its figures as JSON; its progress goes to the terminal.
fn figures(example: &str, args: &[&str]) -> Result<Value> {
    let release = release()?;
    let mut command = Command::new(release.join("examples").join(example));
    command.args(args).env("KUBECTL_ASM_BIN_DIR", &release).current_dir(root()).stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot run {example}"))?;
    ensure!(output.status.success(), "{example} failed");
    serde_json::from_slice(&output.stdout).with_context(|| format!("{example} printed no figures"))
}

/// A fleet with a thousand files, every one of them changed since the last commit.
fn fleet(plugin: &Path) -> Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    quiet(Command::new(plugin).args(["init", "bench"]).current_dir(dir.path()))?;
    for name in ["m1c1", "m1c2"] {
        quiet(Command::new(plugin).args(["cluster", "add", name]).current_dir(dir.path()))?;
    }
    write_files(dir.path(), 90)?;
    commit_all(dir.path())?;
    write_files(dir.path(), 80)?;
    Ok(dir)
}

fn write_files(dir: &Path, weight: u32) -> Result<()> {
    std::fs::create_dir_all(dir.join("mesh/routes"))?;
    for n in 0..FILES {
        let (other, name) = (100 - weight, format!("route-{n}"));
        let text = format!(
            "# Route {n}\napiVersion: networking.istio.io/v1beta1\nkind: VirtualService\nmetadata:\n  name: {name}\nspec:\n  \
             hosts:\n    - {name}.example.com\n  http:\n    - route:\n        - destination:\n            host: {name}\n            \
             subset: v1\n          weight: {weight}\n        - destination:\n            host: {name}\n            subset: v2\n          \
             weight: {other}\n---\napiVersion: networking.istio.io/v1beta1\nkind: DestinationRule\nmetadata:\n  name: {name}\n\
             spec:\n  host: {name}\n  subsets:\n    - name: v1\n      labels:\n        version: v1\n    - name: v2\n      labels:\n        \
             version: v2\n"
        );
        std::fs::write(dir.join(format!("mesh/routes/{name}.yaml")), text)?;
    }
    Ok(())
}

fn quiet(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Times in order, after one run that is not counted.
fn measure(plugin: &Path, dir: &Path, case: &Case, runs: u32) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for run in 0..=runs.max(1) {
        let mut command = Command::new(plugin);
        command.args(case.args).current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null());
        let started = Instant::now();
        let status = command.status()?;
        let took = started.elapsed();
        ensure!(status.code() == Some(case.code), "{} ended with {status}", case.what);
        if run > 0 {
            times.push(took);
        }
    }
    times.sort();
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn one_section_is_put_anew_and_the_others_stay() {
        let page = "# Page\n\n## A\n\nold\n\n## B\n\nb\n";
        assert_eq!(replaced(page, "A", "new\n"), "# Page\n\n## A\n\nnew\n\n## B\n\nb\n");
        assert_eq!(replaced(page, "C", "c"), "# Page\n\n## A\n\nold\n\n## B\n\nb\n\n## C\n\nc\n");
    }
}
