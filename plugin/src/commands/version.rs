//! `kubectl asm version`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Document, OutputFormat};
use schemars::JsonSchema;
use serde::Serialize;

/// Shows the version of this program.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kubectl asm version
  kubectl asm version -o json

Output formats: json, yaml")]
pub struct VersionArgs {}

/// The version of this program.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Version {
    client_version: ClientVersion,
}

/// One program.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ClientVersion {
    /// `v` and the version.
    version: &'static str,
    /// Operating system.
    os: &'static str,
    /// Kind of processor.
    arch: &'static str,
    /// Commit that it was built from, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    git_commit: Option<&'static str>,
}

impl Document for Version {
    const KIND: &'static str = "Version";
}

/// Runs it.
pub fn run(context: &Context, _args: VersionArgs) -> Result<Exit, CommandError> {
    let format = context.output(&[OutputFormat::Json, OutputFormat::Yaml])?;
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    // Set by whoever builds from a checkout; a source archive has no commit to tell.
    let commit = option_env!("KUBECTL_ASM_GIT_COMMIT");
    if format.is_document() {
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        let client_version = ClientVersion { version, os, arch, git_commit: commit };
        output::print(context.ui(), format, &output::of(&Version { client_version })?)?;
    } else {
        context.ui().line(&format!("Client Version: {version}"));
        if let Some(commit) = commit {
            context.ui().line(&format!("Git Commit: {commit}"));
        }
    }
    Ok(Exit::Clean)
}
