//! `kubectl asm status`.

mod page;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::live::host::{Host, resource_name};
use crate::live::report::{Shown, is_true};
use crate::output::{self, Document, OutputFormat};
use asm_shared::api::{FleetSync, FleetSyncStatus, labels};
use schemars::JsonSchema;
use serde::Serialize;

/// Shows what the agent last did: revision, targets, problems, and changes that wait for an approval.
///
/// Reads the FleetSync in the cluster that the agent runs in: --context, or the current context of the kubeconfig;
/// namespace asm-system unless -n says otherwise. Without a name all FleetSyncs of the namespace are shown.
///
/// Exit codes: 0 ready, 1 not ready, drifted or held back, 2 usage or input error, 3 the cluster could not be reached.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kubectl asm status
  kubectl asm status shop --context host -o wide")]
pub struct StatusArgs {
    /// Name of the FleetSync [default: all of the namespace]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// FleetSyncs, with what the agent says about them.
#[derive(Serialize, JsonSchema)]
pub(crate) struct FleetSyncList {
    /// By namespace and name.
    items: Vec<Shown<FleetSync>>,
}

impl Document for FleetSyncList {
    const KIND: &'static str = "FleetSyncList";
}

/// Runs it.
pub fn run(context: &Context, args: StatusArgs) -> Result<Exit, CommandError> {
    let format = context.output(&[OutputFormat::Wide, OutputFormat::Json, OutputFormat::Yaml, OutputFormat::Name])?;
    let syncs = context.block_on(async {
        let host = Host::connect(context).await?;
        match &args.name {
            Some(name) => Ok(vec![host.fleet_sync(Some(name)).await?]),
            None => match host.fleet_syncs().await? {
                none if none.is_empty() => Ok(vec![host.fleet_sync(None).await?]),
                all => Ok(all),
            },
        }
    })?;
    match format {
        OutputFormat::Json | OutputFormat::Yaml => {
            let items = syncs.iter().map(Shown::new).collect();
            output::print(context.ui(), format, &output::of(&FleetSyncList { items })?)?;
        }
        OutputFormat::Name => syncs.iter().for_each(|sync| context.ui().line(&resource_name(sync))),
        OutputFormat::Human | OutputFormat::Wide => {
            let now = jiff::Timestamp::now();
            for (place, sync) in syncs.iter().enumerate() {
                if place > 0 {
                    context.ui().line("");
                }
                context.ui().data(&page::of(sync, now, format == OutputFormat::Wide));
            }
            for step in syncs.iter().filter_map(page::next_step) {
                context.ui().hint(&step);
            }
        }
    }
    Ok(if syncs.iter().all(is_well) { Exit::Clean } else { Exit::Findings })
}

/// Ready at the newest spec, without drift and without held changes?
fn is_well(sync: &FleetSync) -> bool {
    let Some(status) = &sync.status else { return false };
    is_current(sync, status)
        && is_true(&status.conditions, labels::READY)
        && status.drifted == 0
        && status.held_back == 0
        && status.held_by_lint == 0
}

/// Is the status about the newest spec?
fn is_current(sync: &FleetSync, status: &FleetSyncStatus) -> bool {
    status.observed_generation.is_none() || status.observed_generation >= sync.metadata.generation
}
