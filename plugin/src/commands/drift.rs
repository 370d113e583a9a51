//! `kubectl asm drift`.

pub(crate) mod history;
mod rows;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::live::host::Host;
use crate::live::report::{Shown, short};
use crate::output::{self, Document, OutputFormat};
use asm_shared::api::{DriftReport, FleetSync};
use asm_shared::authoring::did_you_mean;
use kube::ResourceExt as _;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// Shows what differs from Git in the clusters: which field, wanted and found value, who changed it and when.
///
/// Reads the DriftReports of the agent, so it asks one cluster only: --context, or the current context of the kubeconfig;
/// namespace asm-system unless -n says otherwise. Values of Secrets are never shown. Who removed a field or deleted an
/// object is not recorded by the Kubernetes API, and is not guessed.
///
/// Exit codes: 0 no drift (always with --history), 1 drift, 2 usage or input error, 3 the cluster could not be reached.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kubectl asm drift
  kubectl asm drift shop --target m1c1 -o json
  kubectl asm drift --history --since 7d --by kubectl-edit")]
pub struct DriftArgs {
    /// Name of the FleetSync [default: the only one of the namespace]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// Only this target: `mesh` or a cluster's name; may be repeated
    #[arg(long = "target", value_name = "NAME")]
    pub targets: Vec<String>,

    /// Show drift that is over, and how it ended: put back, adopted, overwritten by a commit, frozen
    #[arg(long)]
    pub history: bool,

    /// With --history: nothing that ended before; a duration such as 7d, a day, or a time
    #[arg(long, value_name = "TIME", requires = "history", value_parser = crate::when::past)]
    pub since: Option<jiff::Timestamp>,

    /// With --history: only changes by this field manager (`kubectl` is also kubectl-edit, …) or user; may be repeated
    #[arg(long, value_name = "MANAGER", requires = "history")]
    pub by: Vec<String>,
}

/// Drift, one report per target.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DriftReportList {
    /// The mesh first, then by target. A target without a report has no drift.
    items: Vec<Shown<DriftReport>>,
}

impl Document for DriftReportList {
    const KIND: &'static str = "DriftReportList";
}

/// Runs it.
pub fn run(context: &Context, args: DriftArgs) -> Result<Exit, CommandError> {
    let format = context.output(&[OutputFormat::Wide, OutputFormat::Json, OutputFormat::Yaml, OutputFormat::Name])?;
    let (sync, mut reports) = context.block_on(async {
        let host = Host::connect(context).await?;
        let sync = host.fleet_sync(args.name.as_deref()).await?;
        let reports = host.drift_reports(&sync).await?;
        Ok((sync, reports))
    })?;
    check_targets(&sync, &reports, &args.targets)?;
    reports.retain(|report| args.targets.is_empty() || args.targets.contains(&report.spec.target));
    if args.history {
        let wish = history::Wish { since: args.since, by: &args.by };
        return history::run(context, format, &reports, &wish);
    }
    match format {
        OutputFormat::Json | OutputFormat::Yaml => {
            let items = reports.iter().map(Shown::new).collect();
            output::print(context.ui(), format, &output::of(&DriftReportList { items })?)?;
        }
        OutputFormat::Name => context.ui().data(&rows::names(&reports)),
        OutputFormat::Human | OutputFormat::Wide => {
            let now = jiff::Timestamp::now();
            let mut table = rows::table(&reports, now, format == OutputFormat::Wide);
            let width = context.ui().width().filter(|_| format == OutputFormat::Human);
            let left_out = width.map(|width| table.fit(width, rows::LEAST, rows::LONG)).unwrap_or_default();
            context.ui().table(&table);
            if !left_out.is_empty() {
                let names: Vec<String> = left_out.iter().map(|name| name.to_uppercase()).collect();
                context.ui().status(&format!("left out for lack of room: {} (-o wide has all)", names.join(", ")));
            }
            rows::notes(&reports).iter().chain(&rows::frozen(&reports, now)).for_each(|note| context.ui().status(note));
        }
    }
    for warning in warnings(&sync, &reports) {
        context.ui().warning(&warning);
    }
    let total: u32 = reports.iter().map(total).sum();
    if total == 0 {
        if !format.is_document() {
            let looked_at = sync.status.iter().flat_map(|status| &status.targets).map(|target| &target.name);
            let count = looked_at.filter(|name| args.targets.is_empty() || args.targets.contains(name)).count();
            context.ui().status(&format!("no drift in {}", counted(count, "target")));
        }
        return Ok(Exit::Clean);
    }
    if !format.is_document() {
        let name = reports.iter().flat_map(rows::selector).next().unwrap_or_default();
        context.ui().hint(&format!(
            "what to do with it: kubectl asm adopt {name} (into Git), revert {name} (Git's value back), freeze {name} (leave it alone)"
        ));
    }
    Ok(Exit::Findings)
}

fn total(report: &DriftReport) -> u32 {
    report.status.as_ref().map_or(0, |status| status.total)
}

fn counted(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// A target that nobody knows is a typing error, not a target without drift.
fn check_targets(sync: &FleetSync, reports: &[DriftReport], targets: &[String]) -> Result<(), CommandError> {
    let of_sync = sync.status.iter().flat_map(|status| &status.targets).map(|target| target.name.as_str());
    let known: BTreeSet<&str> = of_sync.chain(reports.iter().map(|report| report.spec.target.as_str())).collect();
    match targets.iter().find(|name| !known.contains(name.as_str())) {
        None => Ok(()),
        Some(name) => Err(CommandError::usage(format!("FleetSync {} has no target {name}", sync.name_any()))
            .hinted_with(did_you_mean(name, known.iter().copied()))
            .hinted(format!("targets are: {}", known.into_iter().collect::<Vec<_>>().join(", ")))),
    }
}

/// Reports that are about an older commit than the one that the agent has read.
fn warnings(sync: &FleetSync, reports: &[DriftReport]) -> Vec<String> {
    let Some(status) = &sync.status else {
        return vec![format!("no agent has looked at {} yet", sync.name_any())];
    };
    let newest = status.source.as_ref().and_then(|source| source.revision.as_deref());
    let Some(newest) = newest else { return Vec::new() };
    let old = reports.iter().filter_map(|report| {
        let revision = report.status.as_ref()?.revision.as_deref()?;
        (revision != newest).then(|| {
            format!(
                "{}: compared with {}, but the agent has read {} by now",
                report.spec.target,
                short(revision),
                short(newest)
            )
        })
    });
    old.collect()
}

#[cfg(test)]
#[path = "drift/tests.rs"]
mod tests;
