//! `kubectl asm completion`.

use crate::cli;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::ValueEnum;
use clap_complete::{Shell, generate};

/// Prints a completion script.
///
/// kubectl completes its plugins by running a program `kubectl_complete-asm` from PATH. krew installs only
/// `kubectl-asm`, so put that script there yourself; it works in every shell in which kubectl's own completion works.
/// The scripts for single shells complete the program when it is called `kubectl-asm`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # complete `kubectl asm …` in every shell
  kubectl asm completion kubectl > ~/.local/bin/kubectl_complete-asm
  chmod +x ~/.local/bin/kubectl_complete-asm

  # complete `kubectl-asm …` in bash
  source <(kubectl asm completion bash)

  # complete `kubectl-asm …` in zsh and fish
  kubectl asm completion zsh > \"${fpath[1]}/_kubectl-asm\"
  kubectl asm completion fish > ~/.config/fish/completions/kubectl-asm.fish")]
pub struct CompletionArgs {
    /// For whom
    shell: For,
}

/// For whom a script is.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum For {
    /// The program that kubectl runs to complete `kubectl asm`.
    Kubectl,
    Bash,
    Zsh,
    Fish,
    Powershell,
}

/// Asks this program with kubectl's own protocol; kubectl sets no KUBECONFIG or flags of its own while completing.
const KUBECTL: &str = "#!/bin/sh
# Completion of `kubectl asm`: put this file on PATH as kubectl_complete-asm and make it executable.
exec kubectl-asm __complete \"$@\"
";

/// Runs it.
pub fn run(context: &Context, args: CompletionArgs) -> Result<Exit, CommandError> {
    context.output(&[])?;
    let shell = match args.shell {
        For::Kubectl => {
            context.ui().data(KUBECTL);
            return Ok(Exit::Clean);
        }
        For::Bash => Shell::Bash,
        For::Zsh => Shell::Zsh,
        For::Fish => Shell::Fish,
        For::Powershell => Shell::PowerShell,
    };
    let mut script = Vec::new();
    let mut command = cli::command("kubectl-asm".as_ref());
    generate(shell, &mut command, "kubectl-asm", &mut script);
    context.ui().data(&String::from_utf8_lossy(&script));
    Ok(Exit::Clean)
}
