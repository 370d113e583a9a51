//! The left side is what runs: API servers are read, several at a time.

use super::DiffArgs;
use super::comparison::{Compared, Comparison, Unreached};
use super::sides::{Right, Standing};
use crate::context::Context;
use crate::error::CommandError;
use crate::live::{self, LiveTargetName, objects};
use asm_shared::diff::{diff_live, diff_live_literally};
use asm_shared::fleet::FleetState;
use futures::stream::{self, StreamExt as _};

/// API servers read at the same time.
const TARGETS_AT_ONCE: usize = 4;

/// Compares with what runs. `prepare` sees what was read before it is compared.
pub(super) fn against_live(
    context: &Context,
    args: &DiffArgs,
    chosen: &[LiveTargetName],
    label: String,
    right: Right,
    wanted: FleetState,
    prepare: impl Fn(&mut objects::Seen),
) -> Result<Compared, CommandError> {
    let (mut seen, unreached) = context.block_on(read_live(context, chosen, &wanted))?;
    seen.iter_mut().for_each(prepare);
    let mut gaps = Vec::new();
    for seen in &seen {
        gaps.extend(seen.gaps.iter().map(|gap| format!("{}: {}: {}", seen.live.target, gap.what, gap.why)));
    }
    let mut live: Vec<_> = seen.into_iter().map(|seen| seen.live).collect();
    live::frozen::leave_out(&mut live, &wanted, jiff::Timestamp::now());
    let diff = if args.raw { diff_live_literally } else { diff_live }(&live, &wanted);
    let comparison = Comparison {
        before: "live".to_owned(),
        after: label,
        right,
        is_live: true,
        is_literal: args.raw,
        diff,
        unreached,
        lint: None,
        traffic: None,
        standing: Standing::default(),
    };
    Ok(Compared { comparison, problems: wanted.problems, gaps })
}

/// Reads the targets, several at a time, in their own order.
async fn read_live(
    context: &Context,
    chosen: &[LiveTargetName],
    wanted: &FleetState,
) -> Result<(Vec<objects::Seen>, Vec<Unreached>), CommandError> {
    let progress = context.ui().progress(&format!("reading {} API servers", chosen.len()));
    let answers: Vec<_> = stream::iter(chosen)
        .map(|name| async move { (name, objects::read(context, name, wanted).await) })
        .buffered(TARGETS_AT_ONCE)
        .collect()
        .await;
    drop(progress);
    let (mut seen, mut unreached) = (Vec::new(), Vec::new());
    for (name, answer) in answers {
        match answer {
            Ok(answer) => seen.push(answer),
            Err(error) => unreached.push(Unreached { name: name.clone(), error }),
        }
    }
    Ok((seen, unreached))
}
