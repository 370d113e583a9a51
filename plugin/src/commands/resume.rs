//! `kubectl asm resume`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::live::host;

/// Goes on applying after a suspend.
///
/// Sets spec.suspend of the FleetSync to false; nothing else is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kubectl asm resume shop")]
pub struct ResumeArgs {
    /// Name of the FleetSync [default: the only one of the namespace]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// Runs it.
pub fn run(context: &Context, args: ResumeArgs) -> Result<Exit, CommandError> {
    host::set_suspend(context, args.name.as_deref(), false)
}
