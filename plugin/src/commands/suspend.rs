//! `kubectl asm suspend`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::live::host;

/// Stops applying; drift is still reported.
///
/// Sets spec.suspend of the FleetSync to true; nothing else is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kubectl asm suspend shop")]
pub struct SuspendArgs {
    /// Name of the FleetSync [default: the only one of the namespace]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// Runs it.
pub fn run(context: &Context, args: SuspendArgs) -> Result<Exit, CommandError> {
    host::set_suspend(context, args.name.as_deref(), true)
}
