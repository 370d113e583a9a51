//! Writes every generated file of the project, or checks that they are what would be written.

use anyhow::{Context as _, Result, ensure};
use asm_shared::api::{DriftReport, FleetSync};
use asm_shared::fleet::json_schemas;
use asm_shared::lint;
use clap::CommandFactory as _;
use kube::CustomResourceExt as _;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Options of `cargo xtask gen`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail when a file is not what would be written
    #[arg(long)]
    check: bool,
}

/// First line of the YAML files.
const HEADER: &str = "# Written by `cargo xtask gen`; do not edit.\n";

pub(crate) fn run(args: &Args) -> Result<()> {
    let files = files()?;
    let mut stale = Vec::new();
    for (path, text) in &files {
        let full = root().join(path);
        if std::fs::read_to_string(&full).is_ok_and(|found| found == *text) {
            continue;
        }
        stale.push(path.display().to_string());
        if !args.check {
            if let Some(dir) = full.parent() {
                std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
            }
            std::fs::write(&full, text).with_context(|| format!("cannot write {}", full.display()))?;
        }
    }
    for path in leftovers(&files) {
        stale.push(path.display().to_string());
        if !args.check {
            std::fs::remove_file(root().join(&path)).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    ensure!(!args.check || stale.is_empty(), "not up to date: {}; run `cargo xtask gen`", stale.join(", "));
    anstream::println!(
        "{} generated files, {} {}",
        files.len(),
        stale.len(),
        if args.check { "stale" } else { "written" }
    );
    Ok(())
}

/// The project's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files() -> Result<BTreeMap<PathBuf, String>> {
    let mut files = BTreeMap::new();
    for crd in [FleetSync::crd(), DriftReport::crd()] {
        let names = &crd.spec.names;
        let path = format!("manifests/crds/{}.yaml", names.plural);
        let value = serde_json::to_value(&crd)?;
        files.insert(path.into(), format!("{HEADER}{}", asm_shared::yaml::write(&value)));
    }
    for (name, schema) in json_schemas() {
        let text = format!("{}\n", serde_json::to_string_pretty(&schema)?);
        files.insert(format!("docs/schemas/{}.json", name.to_lowercase()).into(), text);
    }
    for (kind, schema) in kubectl_asm::schemas::schemas() {
        let text = format!("{}\n", serde_json::to_string_pretty(&schema)?);
        files.insert(format!("docs/schemas/output/{}.json", kind.to_lowercase()).into(), text);
    }
    files.insert("docs/cli.md".into(), cli_reference());
    for rule in lint::all() {
        let page = format!("<!-- Written by `cargo xtask gen`; do not edit. -->\n{}", rule.markdown());
        files.insert(format!("{RULES}/{}.md", rule.id).into(), page);
    }
    files.insert(format!("{RULES}/README.md").into(), rule_index());
    Ok(files)
}

/// The folder of the pages of rules: what is not generated there is of a rule that is gone.
const RULES: &str = "docs/rules";

/// Every rule on one line.
fn rule_index() -> String {
    let mut page = String::from(
        "<!-- Written by `cargo xtask gen`; do not edit. -->\n# Rules of `kubectl asm lint`\n\n`kubectl asm explain RULE` \
         shows these pages too.\n\n| rule | severity | fix | finds |\n|---|---|---|---|\n",
    );
    for rule in lint::all() {
        let fix = if rule.fixes { "yes" } else { "" };
        page.push_str(&format!("| [{0}]({0}.md) | {1} | {fix} | {2} |\n", rule.id, rule.severity, rule.summary));
    }
    page
}

/// Pages of rules that are gone.
fn leftovers(files: &BTreeMap<PathBuf, String>) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(RULES)).into_iter().flatten().flatten();
    let paths = entries.map(|entry| Path::new(RULES).join(entry.file_name()));
    paths.filter(|path| !files.contains_key(path)).collect()
}

/// The help of every command, as one page.
fn cli_reference() -> String {
    let mut page = String::from(
        "<!-- Written by `cargo xtask gen`; do not edit. -->\n# Command reference\n\nWhat `--help` prints, for every \
         command. Global options are accepted anywhere after `kubectl asm`; they are listed once, at the end.\n",
    );
    let mut command = kubectl_asm::cli::Cli::command().bin_name("kubectl asm").term_width(100);
    command.build();
    describe(&command, "kubectl asm", &mut page);
    let agent = asm_agent::args::Args::command().bin_name("asm-agent").term_width(100);
    page.push_str("\n## asm-agent\n\n```text\n");
    page.push_str(&trimmed(&agent.clone().render_long_help().to_string()));
    page.push_str("```\n");
    page
}

fn describe(command: &clap::Command, path: &str, page: &mut String) {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let path = format!("{path} {}", sub.get_name());
        if sub.get_subcommands().any(|sub| sub.get_name() != "help") {
            describe(sub, &path, page);
            continue;
        }
        page.push_str(&format!("\n## {path}\n\n```text\n"));
        let shown = sub.clone().mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg });
        page.push_str(&trimmed(&shown.term_width(100).render_long_help().to_string()));
        page.push_str("```\n");
    }
}

/// Without spaces at the ends of lines, which editors and reviewers trip over.
fn trimmed(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
