//! Writes every generated file of the project, or checks that they are what would be written.

use anyhow::{Context as _, Result, ensure};
use asm_shared::api::{DriftReport, FleetSync};
use asm_shared::fleet::json_schemas;
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
    for (kind, schema) in kubectl_asm::output::schemas() {
        let text = format!("{}\n", serde_json::to_string_pretty(&schema)?);
        files.insert(format!("docs/schemas/output/{}.json", kind.to_lowercase()).into(), text);
    }
    files.insert("docs/cli.md".into(), cli_reference());
    Ok(files)
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
