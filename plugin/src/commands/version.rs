//! `kubectl asm version`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, OutputFormat};
use serde_json::json;

/// Shows the version of this program.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kubectl asm version
  kubectl asm version -o json

Output formats: json, yaml")]
pub struct VersionArgs {}

/// Runs it.
pub fn run(context: &Context, _args: VersionArgs) -> Result<Exit, CommandError> {
    let format = context.output(&[OutputFormat::Json, OutputFormat::Yaml])?;
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    // Set by whoever builds from a checkout; a source archive has no commit to tell.
    let commit = option_env!("KUBECTL_ASM_GIT_COMMIT");
    if format.is_document() {
        let mut client = json!({ "version": version, "os": std::env::consts::OS, "arch": std::env::consts::ARCH });
        if let Some(commit) = commit {
            client["gitCommit"] = commit.into();
        }
        output::print(context.ui(), format, &output::document("Version", json!({ "clientVersion": client }))?)?;
    } else {
        context.ui().line(&format!("Client Version: {version}"));
        if let Some(commit) = commit {
            context.ui().line(&format!("Git Commit: {commit}"));
        }
    }
    Ok(Exit::Clean)
}
